"""`campaign …` at the command line: dry runs that write nothing, drafts, starts, stops, packs, and what is printed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.cli.context import context
from bot.domain.delivery.platform_limits import CalendarWindow
from bot.storage.delivery import quota
from tests.conftest import NOW
from tests.support.shell import Shell

NEW = ("campaign", "new", "--name", "每日一练", "--send", "每日", "--every", "每个工作日 10:00", "--to", "单位=财务处", "--clause", "要点二")


def test_a_campaign_is_drafted_started_skipped_paused_and_stopped(shell: Shell) -> None:
    seen = shell.json(*NEW)
    assert (seen["count"], seen["names"], seen["applied"], seen["id"]) == (1, ["学员乙"], False, None)
    assert seen["due"][0] == "2026-03-02T02:00:00.000000Z"
    assert shell.count("campaign") == 0

    n = str(shell.json(*NEW, "--apply")["id"])
    assert [(one["state"], one["audience"], one["rhythm"]) for one in shell.json("campaign", "list")] == [
        ("draft", "单位=某局/财务处（含下级）", "每个工作日 10:00")
    ]
    seen = shell("campaign", "start", n)
    assert "现在会收到：1 人（学员乙）" in seen
    assert seen.endswith("以上是预演，什么都没有写；加 --apply 生效。\n")
    assert shell.json("campaign", "show", n)["state"] == "draft", "a rehearsal leaves nothing"
    started = shell.json("campaign", "start", n, "--apply")
    assert (started["state"], started["applied"]) == ("running", True)
    assert "除2026-03-05" in shell.json("campaign", "skip", n, "3月5日", "--apply")["rhythm"]
    assert shell.json("campaign", "pause", n, "--reason", "检修")["applied"] is False
    assert shell.json("campaign", "pause", n, "--reason", "检修", "--apply")["state"] == "paused"
    assert shell.json("campaign", "resume", n, "--apply")["state"] == "running"
    assert shell.json("campaign", "show", n)["preview"]["count"] == 1
    assert "今天的每日一练" in shell("campaign", "test", n, "--to", "1002")
    assert shell.count("delivery") == 0
    assert shell.json("campaign", "test", n, "--to", "1002", "--apply")["channels"] == ["local"]
    assert shell.count("delivery") == 1
    assert shell.json("campaign", "stop", n)["skipped"] == 0
    assert shell.json("campaign", "stop", n, "--apply")["state"] == "stopped"
    assert shell.run("campaign", "start", n)[0] == 1
    assert shell.run("campaign", "recall", n, "--apply")[0] == 1


def test_several_drafts_are_started_together(shell: Shell) -> None:
    first = str(shell.json(*NEW, "--apply")["id"])
    second = str(shell.json(*NEW, "--name", "另一个", "--apply")["id"])
    started = shell.json("campaign", "start", first, second, "--apply")
    assert [one["state"] for one in started["campaigns"]] == ["running", "running"]


def test_the_same_plan_applied_twice_is_one_campaign(shell: Shell) -> None:
    made = shell.json(*NEW, "--apply")
    again = shell.json(*NEW, "--apply")
    assert (again["id"], again["applied"]) == (made["id"], False)
    assert f"一样的草稿早已有了，编号 {made['id']}，没有另起草。" in shell(*NEW)
    assert shell.count("campaign") == 1
    assert shell.json(*NEW, "--clause", "要点三", "--apply")["applied"] is True
    assert shell.count("campaign") == 2


def test_a_push_is_looked_at_then_sent_once_for_all(shell: Shell) -> None:
    words = ("campaign", "push", "--to", "全员", "--send", "通知(回执) 周五下午 3 点集中学法")
    seen = shell.json(*words)
    assert (seen["count"], seen["applied"], seen["id"], shell.count("campaign"), shell.count("delivery")) == (2, False, None, 0, 0)
    sent = shell.json(*words, "--apply")
    assert (sent["invited"], sent["excluded"], shell.count("delivery")) == (2, [], 2)
    again = shell.json(*words, "--apply")
    assert (again["id"], again["applied"]) == (sent["id"], False), "the same words to the same people go out once a day"
    assert "今天已经发过" in shell(*words)
    assert shell.run("campaign", "push", "--to", "标签=没有", "--send", "通知 无人", "--apply")[0] == 1
    assert shell.count("delivery") == 2


def test_a_campaign_is_changed_in_several_places_at_once_and_given_a_deadline(shell: Shell) -> None:
    n = str(shell.json(*NEW, "--apply")["id"])
    changed = shell.json(
        "campaign", "change", n, "--name", "每周一练", "--every", "每周一 10:00", "--clause", "要点三", "--deadline", "5个工作日", "--apply"
    )
    assert (changed["name"], changed["rhythm"], changed["clause"]) == ("每周一练", "每周一 10:00 遇假日跳过", "要点三")
    assert "发出后 5 个工作日内完成" in shell("campaign", "show", n)
    assert "没有写改什么" in shell.run("campaign", "change", n)[2]
    assert "只能是 补发 或 不补" in shell.run("campaign", "change", n, "--missed", "也许")[2]


def test_who_has_not_done_it_is_listed_and_urged_once(shell: Shell) -> None:
    assert shell("campaign", "nudge") == "没有活动还有人没完成。\n"
    n = str(shell.json("campaign", "push", "--to", "全员", "--send", "通知(回执) 请阅", "--apply")["id"])
    shell.database.write_now(
        lambda session: session.execute(text("UPDATE delivery SET state = 'sent', sent_at = created_at, read_at = created_at WHERE id = 1"))
    )
    shell.database.write_now(lambda session: session.execute(text("UPDATE delivery SET state = 'sent', sent_at = created_at WHERE id = 2")))

    [one] = shell.json("campaign", "nudge")
    assert (one["id"], one["open"]) == (int(n), 1)
    seen = shell.json("campaign", "nudge", n)
    assert ([one["staff_no"] for one in seen["people"]], seen["sent"]) == (["1002"], None), "the unread only"
    assert shell.count("delivery") == 2
    assert shell.json("campaign", "nudge", n, "--apply")["sent"] == 1
    assert shell.count("delivery") == 3


def test_everything_is_paused_and_resumed_with_one_command(shell: Shell) -> None:
    assert shell.json("campaign", "pause", "--all", "--reason", "台风") == {"paused": True, "changed": True, "applied": False}
    assert shell.json("campaign", "pause", "--all", "--reason", "台风", "--apply") == {"paused": True, "changed": True, "applied": True}
    assert shell.json("campaign", "pause", "--all", "--apply") == {"paused": True, "changed": False, "applied": False}
    assert shell.json("campaign", "resume", "--all", "--apply") == {"paused": False, "changed": True, "applied": True}
    assert shell.run("campaign", "pause")[0] == 2


def test_a_preview_names_who_and_when(shell: Shell) -> None:
    out = shell("campaign", "preview", "--to", "层级=公务员", "--every", "国家宪法日 09:00")

    assert "现在会收到：2 人（学员甲、学员乙）" in out
    assert "接下来：2026-12-04（周五）09:00" in out
    assert "2027 年的放假安排还没有公布或录入" in out


@pytest.mark.parametrize("option", [("--to", "单位=没有"), ("--every", "随便"), ("--send", "什么"), ("--send", "课 没有"), ("--missed", "也许")])
def test_what_makes_no_sense_is_refused_with_status_one(shell: Shell, option: tuple[str, str]) -> None:
    said = list(NEW)
    if option[0] in said:
        said[said.index(option[0]) + 1] = option[1]
    else:
        said += option

    status, _, err = shell.run(*said, "--apply")

    assert status == 1
    assert err.strip()
    assert shell.count("campaign") == 0


def test_what_the_platforms_still_allow_is_listed_with_the_agency_s_own_quotas(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_LIMITS__PLATFORM", "dingtalk/corp/month=100000")
    shell.database.write_now(lambda session: quota.take(session, [("dingtalk/corp/month", 80_000, CalendarWindow("month"))], 300, NOW))

    found = {one["name"]: one for one in shell.json("campaign", "budget")}
    assert found["dingtalk/corp/month"] == {
        "name": "dingtalk/corp/month", "allowed": 100_000, "each_account": False, "room": 80_000, "used": 300, "left": 79_700,
    }  # fmt: skip
    assert "企业微信　wecom/app/day　平台允许 200 人次（每个账号），最多用" in shell("campaign", "budget")
    assert not any("person" in name for name in found)


def test_a_pack_is_looked_at_then_drafted_once(shell: Shell) -> None:
    assert {"国家宪法日", "七一学法", "世界标准日", "国家安全教育日"} <= {one["name"] for one in shell.json("campaign", "pack")}
    assert len(shell.json("campaign", "pack", "国家宪法日")) == 7
    assert shell.count("campaign") == 0
    assert len(shell.json("campaign", "pack", "国家宪法日", "--apply", "--to", "层级=公务员")) == 7
    assert shell.run("campaign", "pack", "国家宪法日", "--apply")[0] == 1
    assert "2027 年的放假安排" in shell.run("campaign", "pack", "国家宪法日 2027")[2]


def test_a_duty_list_is_imported_listed_and_ticked_off(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "clock", lambda: datetime(2026, 7, 6, 1, tzinfo=UTC))
    listed = tmp_path / "清单.csv"
    listed.write_text("法律,责任处室,形式,次数,期限,联络员,依据\n消防法,财务处,专题培训,2,年底,1002,要点一\n", encoding="utf-8")

    assert shell.json("duty", "import", str(listed))["applied"] is False
    assert shell.count("duty") == 0
    assert shell.json("duty", "import", str(listed), "--apply")["applied"] is True
    assert shell.json("duty", "import", str(listed), "--apply")["applied"] is False
    one = shell.json("duty", "list")[0]
    assert (one["unit"], one["law"], one["state"], len(one["activities"])) == ("某局/财务处", "消防法", "未开展", 2)
    assert shell.json("duty", "digest") == [{"unit": "某局/财务处", "rows": 1, "liaisons": "学员乙"}]

    first = str(one["activities"][0]["id"])
    assert shell.run("duty", "done", first, "--note", "签到 12 人", "--on", "2026-12-01")[0] == 1
    assert "以上是预演" in shell("duty", "done", first, "--note", "签到 12 人", "--on", "6月20日")
    assert shell.json("duty", "list")[0]["done"] == 0
    shell("duty", "done", first, "--note", "签到 12 人", "--on", "2026-06-20", "--apply")
    assert shell.run("duty", "done", first, "--note", "再记一次")[0] == 1
    shell("duty", "cancel", str(one["activities"][1]["id"]), "--reason", "改期", "--apply")
    assert shell.json("duty", "list")[0]["state"] == "进行中"
    assert shell.json("duty", "digest") == []
    assert {one["state"] for one in shell.json("campaign", "list")} == {"draft"}


def test_a_duty_list_with_a_fault_names_row_and_column(shell: Shell, tmp_path: Path) -> None:
    listed = tmp_path / "清单.csv"
    listed.write_text("法律,责任处室,形式,次数,期限\n职务处分法,财务处,专题培训,若干次,年底\n", encoding="utf-8")

    status, out, _ = shell.run("duty", "import", str(listed), "--apply", "--json")

    assert status == 1
    assert [(one["row"], one["column"]) for one in json.loads(out)["faults"]] == [(2, "次数"), (2, "法律")]
    assert shell.count("duty") == 0
