"""`campaign progress`: how far it has come, for a person and for a script."""

from __future__ import annotations

from bot.storage.db.database import Database
from tests.cli.test_reports import (
    Shell,
    shell,  # noqa: F401
)
from tests.support.queued_deliveries import crowd, owe, run


def test_progress_is_a_bar_and_figures_and_a_refusal_for_what_never_went_out(shell: Shell) -> None:  # noqa: F811
    desk: Database = shell.agency.desk
    n = desk.write_now(lambda session: owe(session, crowd(session, 5)))
    run(desk, "UPDATE delivery SET state = 'sent' WHERE id <= 3")
    run(desk, "UPDATE delivery SET state = 'unknown', error = 'unknown timeout' WHERE id = 4")

    status, out, _ = shell("campaign", "progress", str(n), "--once")
    assert status == 0
    assert "▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓░░░░ 4/5" in out
    assert "不明：unknown timeout 1 人" in out
    found = shell.json("campaign", "progress", str(n), "--json")
    assert (found["whole"], found["ended"], found["counts"]) == (5, 4, {"sent": 3, "unknown": 1, "queued": 1})
    assert [one["staff_no"] for one in found["missed"]] == ["p0003"]
    assert shell("campaign", "progress", "99")[0] == 1
    run(desk, "DELETE FROM delivery")
    run(desk, "DELETE FROM occurrence")
    status, _, err = shell("campaign", "progress", str(n))
    assert status == 1
    assert "还没有发过" in err
