"""The chat's words: help by role, unknown words, what one may not use, hours and reasons, corrections, written answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.commands.help import TOPICS
from bot.commands.router import COMMANDS
from bot.dispatch import IN_GROUP_REPLY, Dispatcher
from bot.domain.message import plain_text
from bot.domain.people.person import RoleName
from tests.conftest import Chat, Clock, enroll
from tests.flows.test_daily import change, question_in_hand, right_answer, rows, wrong_answer


@pytest.fixture
def admin(dispatcher: Dispatcher, clock: Clock) -> Chat:
    dispatcher.database.write_now(lambda session: enroll(session, "9001", "管理员甲", roles=("admin",)))
    return Chat(dispatcher, clock, "9001")


async def test_the_help_lists_what_this_person_may_use(chat: Chat, admin: Chat) -> None:
    mine = await chat.say("帮助")
    assert "「每日」" in mine
    assert "阅卷" not in mine
    assert "【管理员】" not in mine
    assert "阅卷" in await admin.say("帮助")
    assert "确认简答题" in await admin.say("帮助 管理员")
    assert "连对 2 次" in await chat.say("帮助 错题")
    assert "没有「管理员」" in await chat.say("帮助 管理员")


async def test_the_help_of_a_topic_explains_every_command_in_it(chat: Chat) -> None:
    said = await chat.say("帮助 考试")
    assert all(f"「{name}" in said for name in TOPICS["考试"])
    assert "先列出没有答的题" in said


def test_every_command_of_everybody_stands_under_one_topic_of_the_help() -> None:
    shown = [name for names in TOPICS.values() for name in names]
    everybody = {one.name for one in COMMANDS.values() if one.role in (None, RoleName.LEARNER)} - {"帮助"}
    assert sorted(shown) == sorted(everybody)


@pytest.mark.parametrize(("said", "meant"), [("每曰", "每日"), ("我的学识", "我的学时"), ("帮住", "帮助")])
async def test_a_misspelt_command_is_answered_with_the_nearest(chat: Chat, said: str, meant: str) -> None:
    assert f"「{meant}」" in await chat.say(said)


async def test_the_first_words_name_what_the_office_adds(chat: Chat, admin: Chat) -> None:
    assert "「每日」" in (said := await chat.say("你好"))
    assert "「阅卷」" not in said
    assert "「阅卷」" in await admin.say("你好")


async def test_what_one_may_not_use_is_answered_as_unknown_and_audited(chat: Chat) -> None:
    said = await chat.say("阅卷")
    assert said.startswith("没有看懂「阅卷」")
    assert rows(chat.dispatcher.database, "SELECT actor, action, outcome FROM audit") == [("1001", "命令 阅卷", "refused")]
    assert "「帮助」" in await chat.say("报表"), "a command of others is not taken for a misspelling"


@pytest.mark.parametrize("disguise", ["阅 卷", "阅\u200b卷", "\ufeff阅卷", "/阅卷", "　阅卷　1　对"])
async def test_disguised_words_of_power_do_nothing_for_a_learner(chat: Chat, disguise: str) -> None:
    assert "待确认" not in await chat.say(disguise)


async def test_a_stranger_gets_a_friendly_sentence_and_leaves_nothing_but_a_count(dispatcher: Dispatcher, clock: Clock) -> None:
    stranger = Chat(dispatcher, clock, "nobody")
    for words in ("你好", "每日", "B", "报表"):
        assert "绑定 工号 验证码" in await stranger.say(words)
    assert rows(dispatcher.database, "SELECT COUNT(*) FROM inbox") == [(0,)]
    assert rows(dispatcher.database, "SELECT what, n FROM tally") == [("stranger", 4)]


async def test_somebody_who_left_is_a_stranger(chat: Chat) -> None:
    change(chat.dispatcher.database, "UPDATE person SET left_on = '2026-03-01'")
    assert "绑定" in await chat.say("每日")


async def test_my_hours_say_what_is_missing_and_by_when(chat: Chat) -> None:
    said = await chat.say("我的学时")
    assert "年度应达 40 学时（公务员，规则 D11 第 1 版）" in said
    assert "还差 40 学时，12月31日截止（还有 305 天）" in said


async def test_why_explains_one_entry_and_nobody_elses(chat: Chat) -> None:
    await chat.say("每日")
    await chat.say(right_answer(question_in_hand(chat)))
    said = await chat.say("为什么")
    assert "#1" in said
    assert "规则 D3 第 1 版" in await chat.say("为什么 1")
    assert "没有" in await chat.say("为什么 2")

    chat.dispatcher.database.write_now(lambda session: enroll(session, "1002"))
    assert "没有" in await Chat(chat.dispatcher, chat.clock, "1002").say("为什么 1")


async def test_a_reported_question_is_seen_with_the_answer_and_answered(chat: Chat, admin: Chat) -> None:
    await chat.say("每日")
    question = question_in_hand(chat)
    await chat.say(right_answer(question))
    said = await chat.say("纠错 选项B也说得通")
    assert said.startswith("已记录。报告 #1")
    assert await chat.say("纠错 再报一次") == said, "an open report about the same version is not doubled"
    assert await chat.say("纠错 再报一次") == said
    assert (await chat.say("纠错 " + "长" * 500)).startswith("未记录")

    listed = await admin.say("纠错")
    assert question.stem in listed
    assert listed.endswith("报告人说：选项B也说得通\n再报一次"), "what was added later is kept, and kept once"
    assert "报告人作答" in listed
    for slip in ("纠错 1 已核对", "纠错 1", "纠错 回复 1", "纠错 回复 1 " + "长" * 301):
        assert "没有答复" in await admin.say(slip), "an answer that went wrong is no new report"
    assert (await admin.say("纠错 回复 1 已核对，第 B 项缺少要件，谢谢")).startswith("已记录")

    pushed = rows(chat.dispatcher.database, "SELECT content FROM campaign WHERE name = '系统提醒：纠错有了答复'")
    assert len(pushed) == 1
    assert "缺少要件" in pushed[0][0], "the answer is sent, and not only shown to who comes by"
    assert "缺少要件" not in await chat.say("继续")
    assert "回复：已核对，第 B 项缺少要件，谢谢" in await chat.say("纠错 1")
    assert "没有编号为 #2" in await chat.say("纠错 2")


async def test_the_button_under_a_question_asks_which_one_is_meant(chat: Chat) -> None:
    await chat.say("每日")
    assert chat.last.buttons[-1].say == "纠错"
    first = question_in_hand(chat)
    await chat.say(right_answer(first))
    second = question_in_hand(chat)
    assert chat.last.buttons[-1].say == "纠错"
    said = await chat.say("纠错")
    assert first.stem[:20] in said
    assert second.stem[:20] in said
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM report") == [(0,)], "to ask is no report"
    last, this = chat.last.buttons[:2]
    assert second.stem[:20] in await chat.say(this.say)
    assert first.stem[:20] in await chat.say(f"{last.say} 选项不全")
    assert rows(chat.dispatcher.database, "SELECT said FROM report ORDER BY id") == [("",), ("选项不全",)]
    assert "#1" in (overview := await chat.say("纠错"))
    assert "处理中" in overview


async def test_right_and_wrong_are_told_by_sign_and_word_where_the_buttons_were(chat: Chat) -> None:
    await chat.say("每日")
    question = question_in_hand(chat)
    await chat.say(right_answer(question))
    assert chat.last.done == f"已选 {question.key} ✓ 对"
    question = question_in_hand(chat)
    wrong = wrong_answer(question)
    await chat.say(wrong)
    assert chat.last.done == f"已选 {wrong} ✗ 应选 {question.key}"


async def test_the_end_of_the_day_s_set_is_a_moment_of_its_own(chat: Chat) -> None:
    await chat.say("每日")
    for _ in range(5):
        said = await chat.say(right_answer(question_in_hand(chat)))
        assert "依据：" in said
        if "每日一练完成" not in said:
            assert "学时：" not in said, "hours are said once, at the end"
    end = said.partition("【今天的每日一练做完了】")[2]
    for fragment in (
        "共 5 题，答对 5 题",
        "学时：本组 +5 分 37 秒（规则 D3 第 1 版）",
        "🔥 连续学法 1 个工作日",
        "0/40 学时，还差 40",
        "明天见：新的 5 道题",
    ):
        assert fragment in end


async def test_a_short_answer_is_provisional_until_a_person_confirms(chat: Chat, admin: Chat) -> None:
    catalog = chat.dispatcher.catalog()
    short = next(one for one in catalog.library.questions.values() if one.kind == "short")
    await chat.say("练习")
    while question_in_hand(chat).id != short.id:
        await chat.say("退出")
        await chat.say("练习")
    said = await chat.say("我认为应当" + short.points[0].words[0])
    assert "暂定" in said
    assert f"✓ {short.points[0].say}" in said
    assert f"○ 还可写：{short.points[1].say}" in said

    assert short.stem in await admin.say("阅卷")
    assert (await admin.say("阅卷 1 对")).startswith("已记录")
    assert "已经确认过" in await admin.say("阅卷 1 错")
    assert rows(chat.dispatcher.database, "SELECT earned FROM confirmation") == [(1000,)]


async def test_pictures_and_emptiness_are_answered_and_change_nothing(chat: Chat) -> None:
    await chat.say("每日")
    assert "文字" in await chat.say("   ")
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM answer") == [(0,)]


async def test_a_greeting_is_answered_with_what_to_do(chat: Chat) -> None:
    assert "学员甲，您好" in await chat.say("你好")


async def test_nobody_confirms_an_answer_of_their_own(admin: Chat) -> None:
    await admin.say("练习")
    while question_in_hand(admin).kind != "short":
        await admin.say("退出")
        await admin.say("练习")
    await admin.say("我认为应当如此")
    assert (await admin.say("阅卷 1 对")).startswith("未记录")
    assert rows(admin.dispatcher.database, "SELECT COUNT(*) FROM confirmation") == [(0,)]


@pytest.mark.parametrize(
    "words", ["我的学时", "每日", "A", "对", "考试 开始 1", "报表 个人 1001", "纠错", "学习", "绑定 1001 12345678", "今天天气真好"]
)
async def test_where_others_read_it_nothing_of_a_person_is_said(chat: Chat, words: str) -> None:
    """A question is in hand; the answer, the hours, the key and the record of others stay in the one-to-one chat."""
    assert "第1/5题" in await chat.say("每日")
    assert await chat.hear(replace(chat.message(words), in_group=True)) == plain_text(IN_GROUP_REPLY)
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM answer") == [(0,)]
    assert (await chat.say("A")).startswith("已记录")


async def test_help_is_given_in_a_group_as_well(chat: Chat) -> None:
    assert "每日" in await chat.hear(replace(chat.message("帮助"), in_group=True))
