"""What people type around a command, a title or an answer: understood where it is one, asked about where it may be, never guessed."""

from __future__ import annotations

import pytest

from bot.commands import router
from bot.dispatch import Dispatcher
from bot.domain.text import wording
from tests.conftest import Chat, Clock, enroll
from tests.flows.test_daily import question_in_hand, rows

COURTESIES = [
    ("我的学时。", "我的学时"), ("我的学时？", "我的学时"), ("看看我的学时", "我的学时"), ("学习！", "学习"), ("学习!", "学习"), ("学习😊", "学习"),
    ("考试吧", "考试"), ("每日~", "每日"), ("每日～", "每日"), ("错题呢", "错题"), ("错题集", "错题"), ("竞赛吗", "竞赛"), ("对战吧", "对战"),
    ("练习吧", "练习"), ("设置一下", "设置"), ("帮助?", "帮助"), ("为什么？", "为什么"), ("我要学习", "学习"), ("打开学习", "学习"),
    ("我想做练习", "练习"),
    ("请帮我查一下学时", "我的学时"), ("好的下一页", "下一页"), ("我看完了", "下一页"), ("继续看", "继续"), ("我不做了", "退出"), ("刷题", "练习"),
    ("開始學習", "学习"), ("練習", "练习"), ("錯題", "错题"), ("考試", "考试"), ("meiri", "每日"), ("xuexi", "学习"), ("“每日”", "每日"),
    ("【每日】", "每日"),
    ("麻烦看下我的学时谢谢", "我的学时"), ("今天的每日", "每日"), ("打开设置页面", "设置"), ("我的学分", "我的学时"), ("跳过吧", "跳过"),
    ("退出。", "退出"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "meant"), COURTESIES)
def test_a_command_with_courtesies_around_it_is_that_command(typed: str, meant: str) -> None:
    heard = router.find(typed)
    assert heard is not None
    assert (heard.command.name, heard.argument) == (meant, "")


@pytest.mark.parametrize(
    "typed",
    ["A", "对", "AC", "对吧", "选B", "不要学习", "没有考试吗", "A吧", "是的", "3B", "不对", "确认", "十五日", "下雨了", "要", "来"],
)
def test_what_is_no_command_is_left_to_the_open_question(typed: str) -> None:
    assert router.find(typed) is None


@pytest.mark.parametrize(
    ("typed", "argument"),
    [
        ("练习民法典", "民法典"),
        ("练习 民法典。", "民法典"),
        ("练习《民法典》吧", "民法典"),
        ("练习 民法典吧", "民法典"),
        ("学习《谁来赔》呢", "谁来赔"),
        ("考试 12。", "12"),
        ("练习 吧", ""),
        ("对战 1010！", "1010"),
    ],
)
def test_what_follows_a_command_is_freed_of_what_only_stands_around_it(typed: str, argument: str) -> None:
    heard = router.find(typed)
    assert heard is not None
    assert heard.argument == argument


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("每曰", True),
        ("学x习", True),
        ("帮住", True),
        ("你会什么", False),
        ("不要再发了", False),
        ("查 民法典 1191", False),
        ("学 分", False),
        ("谢谢", False),
    ],
)
async def test_a_guess_is_offered_as_a_button_and_only_when_it_is_near(chat: Chat, typed: str, near: bool) -> None:
    said = await chat.say(typed)
    assert ("您是想发" in said) == near
    assert not near or all(button.say in {entry.name for entry in router.COMMANDS.values()} for button in chat.last.buttons)


@pytest.mark.parametrize(
    ("typed", "word", "is_near"),
    [
        ("我的学识", "我的学时", True),
        ("习学", "学习", True),
        ("刷题", "错题", False),
        ("你会什么", "为什么", False),
        ("学分", "学习", False),
        ("学习", "学习", False),
    ],
)
def test_near_is_one_slip(typed: str, word: str, is_near: bool) -> None:
    assert wording.is_near(typed, word) == is_near


async def test_every_title_of_our_own_lists_is_found_as_it_stands_there(chat: Chat) -> None:
    catalogue = await chat.say("学习 目录")
    lines = [line for line in catalogue.split("\n") if line.startswith("· ")]
    assert len(lines) > 20
    for line in lines:
        title = line.removeprefix("· ").rpartition("（")[0]
        for typed in (f"学习 {title}", f"学习《{title}》", f"学习 {line}", title):
            assert f"《{title}》" in await chat.say(typed), typed
            await chat.say("退出")


async def test_a_law_with_questions_and_no_lesson_says_what_there_is(chat: Chat) -> None:
    laws = {lesson.law for lesson in chat.dispatcher.catalog().library.lessons.values()}
    law = next(name for name in chat.dispatcher.catalog().library.names if name not in laws and "题库" not in name and "必" not in name)
    assert "有题可以练" in await chat.say(f"学习 {law}")
    assert chat.last.buttons[0].say == f"练习 {law}"


async def test_a_law_that_is_nearly_named_is_offered_as_a_button(chat: Chat) -> None:
    assert "您是想发「练习 民法典」吗" in await chat.say("练习 民法")
    assert chat.last.buttons[0].say == "练习 民法典"


async def _practise(chat: Chat, kind: str) -> None:
    await chat.say("练习")
    while question_in_hand(chat).kind != kind:
        await chat.say("退出")
        await chat.say("练习")


@pytest.mark.parametrize("typed", ["第一个", "选第一个", "第1个", "我觉得是A", "就A了", "应该选a吧", "呃 A", "🅰️", "答案是A", "A项"])
async def test_a_choice_is_heard_in_a_speaker_s_own_words(chat: Chat, typed: str) -> None:
    await _practise(chat, "single")
    assert (await chat.say(typed)).startswith("已记录")
    assert rows(chat.dispatcher.database, "SELECT choice FROM answer") == [("A",)]


@pytest.mark.parametrize(("typed", "heard"), [("应该是错的", "错"), ("这个是对的", "对"), ("我觉得错", "错"), ("是的", "对"), ("嗯，对", "对")])
async def test_a_judgement_is_heard_in_a_speaker_s_own_words(chat: Chat, typed: str, heard: str) -> None:
    await _practise(chat, "judge")
    assert (await chat.say(typed)).startswith("已记录")
    assert rows(chat.dispatcher.database, "SELECT choice FROM answer") == [(heard,)]


@pytest.mark.parametrize(("typed", "heard"), [("一和三", "AC"), ("第一个和第三个", "AC"), ("A B C D 都对", "ABCD"), ("1、2", "AB")])
async def test_several_choices_are_heard_in_a_speaker_s_own_words(chat: Chat, typed: str, heard: str) -> None:
    await _practise(chat, "multiple")
    assert (await chat.say(typed)).startswith("已记录")
    assert rows(chat.dispatcher.database, "SELECT choice FROM answer") == [(heard,)]


@pytest.mark.parametrize("typed", ["BBBB", "CC", "b b"])
async def test_one_letter_several_times_is_asked_about_and_not_recorded(chat: Chat, typed: str) -> None:
    await _practise(chat, "single")
    said = await chat.say(typed)
    assert said.startswith("未记录")
    assert "一次只答一题" in said
    letter = typed[0].upper()
    assert (chat.last.buttons[0].say, chat.last.buttons[0].label) == (letter, f"这题选 {letter}")
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM answer") == [(0,)]
    assert (await chat.say(letter)).startswith("已记录")


@pytest.mark.parametrize("typed", ["不知道", "A或者B", "4 C 5 A", "6A7B8C"])
async def test_what_is_no_answer_is_refused_with_the_ways_on(chat: Chat, typed: str) -> None:
    await _practise(chat, "single")
    assert (await chat.say(typed)).startswith("未记录")
    assert [button.say for button in chat.last.buttons][-2:] == ["跳过", "退出"]


@pytest.mark.parametrize(
    "typed",
    [
        "学习并遵守有关规定", "考试成绩应当公布", "我的学时要核对", "排行榜应当公示", "申诉 人可以在三十日内提出", "检查 材料是否齐全",
        "报表 应当按月报送", "退出机制要健全",
        "怎么才能达标应当公开", "我要学习", "谢谢", "人工复核", "设置 警示标志", "帮助 困难群众", "查看证书", "暂停 施工并整改", "应该是错的",
    ],
)  # fmt: skip
async def test_free_text_at_a_short_answer_is_never_taken_for_something_else(chat: Chat, typed: str) -> None:
    await _practise(chat, "short")
    assert (await chat.say(typed)).startswith("已记录"), typed
    assert rows(chat.dispatcher.database, "SELECT choice FROM answer") == [(typed,)]


@pytest.mark.parametrize("typed", ["申诉", "检查", "停止", "证书。"])
async def test_a_word_that_may_be_answer_or_command_is_asked_about(chat: Chat, typed: str) -> None:
    await _practise(chat, "short")
    said = await chat.say(typed)
    assert said.startswith("未记录")
    assert [button.label for button in chat.last.buttons] == ["这是答案", "这是命令"]
    answer, order = chat.last.buttons
    assert (await chat.say(answer.say)).startswith("已记录")
    assert rows(chat.dispatcher.database, "SELECT choice FROM answer") == [(typed,)]
    assert not (await chat.say(order.say)).startswith("已记录")


@pytest.mark.parametrize("typed", ["跳过", "退出", "退出。", "我的学时", "帮助", "练习 民法典", "纠错 题干看不懂", "设置 周报 关"])
async def test_a_command_s_very_word_is_obeyed_at_a_written_answer(chat: Chat, typed: str) -> None:
    await _practise(chat, "short")
    await chat.say(typed)
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM answer") == [(0,)]


async def test_a_consent_stands_only_for_what_was_asked_last(chat: Chat) -> None:
    assert "没有看懂「确认」" in await chat.say("确认")


async def test_an_administrator_s_consent_is_heard(dispatcher: Dispatcher, clock: Clock) -> None:
    dispatcher.database.write_now(lambda session: enroll(session, "9001", "管理员甲", roles=("admin",)))
    dispatcher.database.write_now(lambda session: enroll(session, "1001", "学员甲"))
    admin = Chat(dispatcher, clock, "9001")
    assert "催学 确认" in await admin.say("催学 学时")
    assert "已发起催学" in await admin.say("确认")


async def test_the_words_of_an_administrator_are_kept_as_they_were_written(chat: Chat) -> None:
    chat.dispatcher.database.write_now(lambda session: enroll(session, "9001", "管理员甲", roles=("admin",)))
    admin = Chat(chat.dispatcher, chat.clock, "9001")
    await chat.say("每日")
    await chat.say("纠错 选项Ｂ，也说得通（请核）")
    assert rows(chat.dispatcher.database, "SELECT said FROM report") == [("选项Ｂ，也说得通（请核）",)]
    await admin.say("纠错 回复 1 已核对，标准答案为对，依据第（三）项。")
    assert rows(chat.dispatcher.database, "SELECT answered FROM report") == [("已核对，标准答案为对，依据第（三）项。",)]
