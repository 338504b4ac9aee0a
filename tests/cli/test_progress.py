"""`campaign progress`: how far it has come, for a person and for a script."""

from __future__ import annotations

from bot.storage.db.database import Database
from tests.support.queued_deliveries import add_people, queue_campaign, run_sql
from tests.support.shell import ReportShell


def test_progress_is_a_bar_and_figures_and_a_refusal_for_what_never_went_out(report_shell: ReportShell) -> None:
    database: Database = report_shell.agency.database
    n = database.write_now(lambda session: queue_campaign(session, add_people(session, 5)))
    run_sql(database, "UPDATE delivery SET state = 'sent' WHERE id <= 3")
    run_sql(database, "UPDATE delivery SET state = 'unknown', error = 'unknown timeout' WHERE id = 4")

    status, out, _ = report_shell("campaign", "progress", str(n), "--once")
    assert status == 0
    assert "▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓░░░░ 4/5" in out
    assert "不明：unknown timeout 1 人" in out
    found = report_shell.json("campaign", "progress", str(n), "--json")
    assert (found["whole"], found["ended"], found["counts"]) == (5, 4, {"sent": 3, "unknown": 1, "queued": 1})
    assert [one["staff_no"] for one in found["missed"]] == ["p0003"]
    assert report_shell("campaign", "progress", "99")[0] == 1
    run_sql(database, "DELETE FROM delivery")
    run_sql(database, "DELETE FROM occurrence")
    status, _, err = report_shell("campaign", "progress", str(n))
    assert status == 1
    assert "还没有发过" in err
