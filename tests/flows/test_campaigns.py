"""An administrator plans in the chat, everybody else answers; who may not is answered as unknown."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.campaign.campaign import FiredCampaign
from bot.domain.reports import ReportQuery, Scope
from bot.services.campaign import fire
from bot.storage.reports.registry import REPORTS
from bot.storage.tables.people import RoleRow
from tests.conftest import Chat, Clock, enroll

NEW = "活动 新建 每日一练；每个工作日 10:00；单位=某局（含下级） 且 层级=公务员；每日；依据=年度要点第二条"


@pytest.fixture
def admin(chat: Chat, dispatcher: Dispatcher, clock: Clock) -> Chat:
    """9001, an administrator of the whole agency, among 1001 of the office and 1002 of finance."""

    def work(session: Session) -> None:
        enroll(session, "1002", "学员乙", unit="某局/财务处")
        enroll(session, "9001", "管理员甲", roles=("admin",), tier="领导干部")
        enroll(session, "9002", "管理员乙", unit="某局/财务处", tier="领导干部")
        unit = session.execute(text("SELECT id FROM unit WHERE path = '某局/财务处'")).scalar_one()
        person = session.execute(text("SELECT id FROM person WHERE staff_no = '9002'")).scalar_one()
        session.add(RoleRow(person_id=person, role="admin", unit_id=unit))

    dispatcher.database.write_now(work)
    return Chat(dispatcher, clock, "9001")


def other(chat: Chat, staff_no: str) -> Chat:
    return Chat(chat.dispatcher, chat.clock, staff_no)


def tick(chat: Chat, **later: float) -> list[FiredCampaign]:
    chat.clock.pass_(**later)
    catalog = chat.dispatcher.catalog()
    return chat.dispatcher.database.write_now(lambda session: fire.fire_due(session, catalog, catalog.library.calendar, chat.clock.now))


def rows(chat: Chat, statement: str) -> list[tuple[object, ...]]:
    return chat.dispatcher.database.read_now(lambda session: [tuple(row) for row in session.execute(text(statement))])


def number_in(said: str) -> int:
    found = re.search(r"活动 (\d+)「", said) or re.search(r"推送 确认 (\d+)", said)
    assert found is not None, said
    return int(found[1])


async def test_an_administrator_plans_in_one_line_looks_at_it_and_starts_it(admin: Chat) -> None:
    drafted = await admin.say(NEW)
    n = number_in(drafted)

    assert "已起草，还没有发" in drafted
    assert "现在会收到：2 人（学员甲、学员乙）" in drafted
    assert "接下来：2026-03-02（周一）10:00、2026-03-03（周二）10:00" in drafted
    assert "依据：年度要点第二条" in drafted
    assert tick(admin, hours=2) == []
    assert "已启动，2 人，下一次 2026-03-03（周二）10:00" in await admin.say(f"活动 启动 {n}")
    assert [one.invited for one in tick(admin, hours=23)] == [2]
    shown = await admin.say(f"活动 {n}")
    assert "已触发：待发 2" in shown
    assert f"{n}. 每日一练　进行中" in await admin.say("活动")


async def test_a_push_is_looked_at_then_confirmed_and_goes_once(admin: Chat) -> None:
    drafted = await admin.say("推送 单位=某局/办公室 且 层级=公务员 内容（回执）：周五下午 3 点,集中学法；请带笔记本！")
    n = number_in(drafted)

    assert "还没有发。收到的人会看到：" in drafted
    assert "📢 周五下午 3 点,集中学法；请带笔记本！\n按钮：[已阅]" in drafted
    assert "现在会收到：1 人（学员甲）" in drafted
    assert rows(admin, "SELECT COUNT(*) FROM delivery") == [(0,)]
    assert "已排队：1 人" in await admin.say(f"推送 确认 {n}")
    assert "不会再发一次" in await admin.say(f"推送 确认 {n}")
    assert rows(admin, "SELECT state, COUNT(*) FROM delivery GROUP BY state") == [("queued", 1)]
    occurrence = rows(admin, "SELECT id FROM occurrence")[0][0]

    learner = other(admin, "1001")
    assert (await learner.say(f"已阅 {occurrence}")).startswith("已记录：3月2日「周五下午 3 点")
    assert "之前已经点过" in await learner.say(f"已阅 {occurrence}")
    assert (await other(admin, "1002").say(f"已阅 {occurrence}")).startswith("未记录")
    assert (await learner.say("已阅 99")).startswith("未记录")
    assert "已阅：1 人" in await admin.say(f"活动 {n}")


async def test_a_push_names_its_clause_and_one_that_is_over_can_be_given_it(admin: Chat) -> None:
    drafted = await admin.say("推送 全员 内容：周五下午集中学法；依据=要点第四条")
    assert "依据：要点第四条" in drafted
    assert "集中学法；依据" not in drafted
    n = number_in(await admin.say("推送 全员 内容：周五下午集中学法"))
    await admin.say(f"推送 确认 {n}")
    assert "不能再改" in await admin.say(f"活动 改 {n} 名称=新名称")
    assert "依据：要点第五条" in await admin.say(f"活动 改 {n} 依据=要点第五条")


async def test_a_push_that_nobody_would_get_is_not_drafted(admin: Chat) -> None:
    assert "没有人会收到" in await admin.say("推送 标签=没有人 内容：在吗")
    assert rows(admin, "SELECT COUNT(*) FROM campaign") == [(0,)]


async def test_a_draft_of_yesterday_is_not_confirmed_blindly(admin: Chat) -> None:
    n = number_in(await admin.say("推送 全员 内容：今天下午停水"))
    admin.clock.pass_(hours=3)

    assert "请重新发一次「推送」" in await admin.say(f"推送 确认 {n}")
    assert rows(admin, "SELECT COUNT(*) FROM delivery") == [(0,)]


async def test_a_vote_counts_once_and_the_first_stands(admin: Chat) -> None:
    n = number_in(await admin.say("推送 层级=公务员 投票：学法放在哪天好？/周三/周五"))
    await admin.say(f"推送 确认 {n}")
    occurrence = rows(admin, "SELECT id FROM occurrence")[0][0]
    learner = other(admin, "1001")

    assert await learner.say(f"投票 {occurrence} C") == "未记录：请选 A/B 之一，例如「投票 12 A」。"
    assert (await learner.say(f"投票 {occurrence} b")).startswith("已记录：您选了 B. 周五")
    assert (await learner.say(f"投票 {occurrence} A")).startswith("未记录：您已经选过 B. 周五，以第一次为准")
    assert (await learner.say(f"投票 {occurrence} 周五")).startswith("已记录")
    assert (await admin.say(f"投票 {occurrence} A")).startswith("未记录：没有发给您")
    assert "投票：A. 周三 0 票，B. 周五 1 票" in await admin.say(f"活动 {n}")
    asked = await admin.say(f"活动 撤回 {n}")
    assert "还没有做，做了不能恢复" in asked
    assert f"「活动 撤回 确认 {n}」" in asked
    assert "已作废最近一次" in await admin.say(f"活动 撤回 确认 {n}")
    assert (await other(admin, "1002").say(f"投票 {occurrence} A")).startswith("未记录：「学法放在哪天好？」已经撤回")


async def test_the_year_s_forms_and_channels_are_counted_with_who_took_part_and_who_finished(admin: Chat) -> None:
    n = number_in(await admin.say("推送 全员 投票：学法放在哪天好？/周一/周五"))
    await admin.say(f"推送 确认 {n}")
    admin.dispatcher.database.write_now(
        lambda session: session.execute(text("UPDATE delivery SET state = 'sent', sent_at = created_at, channel = 'local' WHERE state = 'queued'"))
    )
    [(occurrence,)] = rows(admin, "SELECT id FROM occurrence")
    learner = other(admin, "1002")
    await learner.say(f"投票 {occurrence} A")
    await learner.say("每日")
    for word in ("A", "AB", "对"):
        if "已记录" in await learner.say(word):
            break
    catalog = admin.dispatcher.catalog()
    ask = ReportQuery(2026, date(2026, 3, 2), date(2026, 3, 2), catalog.policy)

    found = admin.dispatcher.database.read_now(lambda session: REPORTS["形式"].run(session, Scope(), ask).in_memory())
    assert list(found.parts[0].rows) == [("投票", "网页", 1, 4, 0, 1)]
    [row] = list(found.parts[1].rows)
    assert row[:4] == ("每日一练", "网页", 1, 1)
    office = rows(admin, "SELECT id FROM unit WHERE path = '某局/办公室'")
    narrow = admin.dispatcher.database.read_now(lambda session: REPORTS["形式"].run(session, Scope((int(str(office[0][0])),)), ask).in_memory())
    assert [list(part.rows) for part in narrow.parts] == [[("投票", "网页", 1, 2, 0, 0)], []], "another office's people are not in it"
    last_year = ReportQuery(2025, date(2025, 12, 31), date(2026, 3, 2), catalog.policy)
    assert [
        len(part.rows) for part in admin.dispatcher.database.read_now(lambda s: REPORTS["形式"].run(s, Scope(), last_year).in_memory()).parts
    ] == [
        0,
        0,
    ]


async def test_what_is_tried_out_is_what_will_be_seen_and_counts_for_nothing(admin: Chat) -> None:
    n = number_in(await admin.say("活动 新建 通知；2026-03-05 09:00；全员；通知（回执） 第一行\n第二行；还是第二行；依据=要点"))

    assert (await admin.say(f"活动 试发 {n}")).startswith("📢 第一行\n第二行；还是第二行")
    assert await admin.say("已阅 0") == "这是试发，不计入。正式发出后，收到的人点这里就算数。"
    assert await admin.say("投票 0 A") == "这是试发，不计入。正式发出后，收到的人点这里就算数。"


async def test_pausing_one_and_all(admin: Chat) -> None:
    n = number_in(await admin.say(NEW))
    await admin.say(f"活动 启动 {n}")
    assert "已暂停" in await admin.say(f"暂停 {n} 系统检修")
    assert "没有可以暂停的" in await admin.say(f"暂停 {n}")
    assert tick(admin, hours=2) == []
    assert "不补" in await admin.say(f"恢复 {n}")
    assert "全部推送已暂停" in await admin.say("暂停 全部 防御台风“烟花”")
    assert "防御台风" in await admin.say("活动")
    assert tick(admin, hours=24) == []
    assert "不能发" in await admin.say(f"推送 确认 {number_in(await admin.say('推送 全员 内容：停课'))}")
    assert "已恢复" in await admin.say("恢复 全部")
    assert len(tick(admin, minutes=1)) == 1
    lines = rows(admin, "SELECT action, outcome FROM audit WHERE actor = '9001' ORDER BY id")
    done = [action for action, outcome in lines if outcome == "done"]
    assert done == ["新建活动", "启动活动", "暂停活动", "恢复活动", "暂停全部推送", "新建活动", "恢复全部推送"]
    assert [action for action, outcome in lines if outcome == "refused"] == ["命令 暂停", "命令 推送"]


async def test_a_running_plan_is_stopped_only_when_it_is_said_twice(admin: Chat) -> None:
    n = number_in(await admin.say(NEW))
    await admin.say(f"活动 启动 {n}")
    asked = await admin.say(f"活动 停止 {n} 不办了")
    assert f"停止活动 {n}" in asked
    assert "还没有做，做了不能恢复。确认请点下面" in asked
    assert "进行中" in await admin.say(f"活动 {n}"), "asking leaves nothing"
    assert "已停止" in await admin.say(f"活动 停止 确认 {n} 不办了")


async def test_a_plan_is_changed_skipped_and_stopped(admin: Chat) -> None:
    n = number_in(await admin.say(NEW))
    assert "频次：每周一 15:00 遇假日跳过" in await admin.say(f"活动 改 {n} 频次=每周一 下午3点")
    assert "对象：全员" in await admin.say(f"活动 改 {n} 对象=全员")
    assert "除2026-03-09" in await admin.say(f"活动 跳过 {n} 2026-03-09")
    assert "（第 4 版）" in await admin.say(f"活动 {n}")
    assert "已停止" in await admin.say(f"活动 停止 {n} 不办了"), "of a draft nobody has seen anything"
    assert "不能再改" in await admin.say(f"活动 改 {n} 频次=每周一 09:00")


async def test_an_administrator_of_one_office_sees_and_reaches_that_office_only(admin: Chat) -> None:
    whole = number_in(await admin.say(NEW))
    finance = other(admin, "9002")

    drafted = await finance.say("活动 新建 本处学法；每周一 10:00；全员；每日")
    assert "对象：单位=某局/财务处（含下级）" in drafted
    assert f"没有编号为 {whole} 的活动" in await finance.say(f"活动 {whole}")
    assert f"没有编号为 {whole} 的活动" in await finance.say(f"活动 停止 {whole}")
    assert "只有全局的管理员" in await finance.say("暂停 全部 试试")
    assert "现在会收到：2 人（学员乙、管理员乙）" in await finance.say("推送 全员 内容：处内会议")


@pytest.mark.parametrize("said", ["活动", "活动 12", "推送 全员 内容：大家好", "暂停 全部", "恢复 全部", "活动　启动 1", "ＰＵＳＨ", "活动 新建"])
async def test_who_is_no_administrator_is_answered_as_unknown(chat: Chat, said: str) -> None:
    assert "没有看懂" in await chat.say(said)
    assert rows(chat, "SELECT COUNT(*) FROM campaign") == [(0,)]


@pytest.mark.parametrize(
    "said",
    ["活动 新建", "活动 新建 甲；乙", "活动 新建 甲；每周八；全员；每日", "活动 新建 甲；每周一；全员；课 没有的课", "活动 启动", "活动 启动 甲",
     "活动 跳过 1 明天", "活动 改 1 颜色=红", "活动 做点什么", "推送 内容：没有对象", "推送 全员", "推送 全员 内容：",
     "推送 确认 x", "暂停", "恢复 甲"],
)  # fmt: skip
async def test_what_cannot_be_read_is_refused_with_an_example(admin: Chat, said: str) -> None:
    assert re.search(r"例如|请写明|可以写|可以说|请这样写|没有编号|没有课程|正文是空的|没有看懂", await admin.say(said))
    assert rows(admin, "SELECT COUNT(*) FROM campaign") == [(0,)]


async def test_a_call_to_everybody_hidden_in_a_notice_stays_a_plain_word(admin: Chat) -> None:
    drafted = await admin.say("推送 全员 内容：@all\u202e <@U1> 请看")

    assert "@all" not in drafted
    assert "＠all <＠U1> 请看" in drafted


async def test_a_pack_is_drafted_with_one_command_and_started_with_another(admin: Chat) -> None:
    assert "国家宪法日：7 项" in await admin.say("活动 包")
    drafted = await admin.say("活动 包 国家宪法日")
    assert "宪法宣传周开始了　草稿　2026-12-01 09:00" in drafted
    assert "宪法日每日一练　草稿　2026-12-04 09:00" in drafted
    assert "已经起草过了" in await admin.say("活动 包 国家宪法日")
    found = re.search(r"活动 启动 [\d ]+\d", drafted)
    assert found is not None
    assert (await admin.say(found[0])).count("已启动") == 7
    assert "2027 年的放假安排还没有公布或录入" in await admin.say("活动 包 国家宪法日 2027")
    assert "没有「春节」这个活动包" in await admin.say("活动 包 春节")


async def test_in_december_every_administrator_is_told_once_that_next_year_is_missing(admin: Chat) -> None:
    days = (timedelta(days=273), timedelta(days=1), timedelta(days=1))
    for step in days:
        tick(admin, days=step.days)

    assert admin.clock.now.month == 12
    told = rows(
        admin, "SELECT c.name, COUNT(d.id) FROM campaign c JOIN delivery d ON d.campaign_id = c.id WHERE c.created_by = 'system' GROUP BY c.name"
    )
    assert told == [("系统提醒：放假安排", 2)]
    assert "⚠ 2027 年的放假安排还没有公布或录入" in await admin.say("活动")


@pytest.mark.parametrize(
    "words",
    [
        "推送 全员 内容：请学习《职务处分法》",
        "推送 全员 投票：先学哪一部/监察法/公职人员职务处分法",
        "活动 新建 职务处分法学习月；每个工作日 10:00；全员；每日",
        "考试 新建 职务处分法考试；2026-03-10 09:00 至 11:00；全员；单选 4×2；30 分钟；及格 60%",
    ],
)
async def test_a_law_that_does_not_exist_goes_out_under_no_name(admin: Chat, words: str) -> None:
    assert "应为《中华人民共和国公职人员政务处分法》" in await admin.say(words)
    assert rows(admin, "SELECT COUNT(*) FROM campaign") == [(0,)]
    assert rows(admin, "SELECT COUNT(*) FROM exam") == [(0,)]


async def test_what_was_written_under_a_wrong_name_before_can_still_be_given_its_clause(admin: Chat) -> None:
    n = number_in(await admin.say("活动 新建 学习月；2026-03-05 09:00；全员；通知 请学习监察法"))
    older = "UPDATE campaign SET name = '职务处分法学习月', content = REPLACE(content, '监察法', '职务处分法')"
    admin.dispatcher.database.write_now(lambda session: session.execute(text(older)))
    assert "依据：要点第五条" in await admin.say(f"活动 改 {n} 依据=要点第五条")
    assert "职务处分法" in str(rows(admin, "SELECT content FROM campaign"))
    for words in ("名称=职务处分法月", "内容=通知 请先学习职务处分法"):
        assert "应为《中华人民共和国公职人员政务处分法》" in await admin.say(f"活动 改 {n} {words}")
