"""The notebook in chat: what was wrong comes back in portions, in time for the exam; and the run until the first mistake."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.study.spaced_repetition import AGAIN, GOOD, slow_after, update_mistake
from bot.services.library.catalog import Catalog
from bot.storage.study import mistakes
from tests.conftest import NOW, Chat
from tests.flows.test_daily import question_in_hand, right_answer, rows, wrong_answer

DAY = 24 * 3600


def tapped(catalog: Catalog, law: str = "") -> list[str]:
    """Questions that are answered by a tap, of one law or of all."""
    questions = catalog.library.questions
    return [name for name in catalog.drawn if questions[name].options and law in ("", questions[name].law)]


def remember(dispatcher: Dispatcher, name: str, *days_ago: float) -> None:
    """Put a question into the notebook of 1001: answered wrong so many days ago, then right."""

    def work(session: Session) -> None:
        kept = mistakes.entry(session, 1, name)
        for days in days_ago:
            kept = update_mistake(kept, name, AGAIN if kept is None else GOOD, NOW - timedelta(days=days))
        assert kept is not None
        mistakes.save_entries(session, [(1, kept)])

    dispatcher.database.write_now(work)


def missed(dispatcher: Dispatcher, count: int, law: str = "") -> list[str]:
    """So many questions in the notebook of 1001, each answered wrong two days ago."""
    names = tapped(dispatcher.catalog(), law)[:count]
    for name in names:
        remember(dispatcher, name, 2)
    return names


async def work_through(chat: Chat, right: bool = True, most: int = 20) -> int:
    """Answer what is in hand until the set is over; how many were answered."""
    for n in range(most):
        if chat.last.card is None:
            return n
        question = question_in_hand(chat)
        await chat.say(right_answer(question) if right else wrong_answer(question))
    return most


# ── Portions ──


async def test_a_backlog_is_asked_eight_a_day_and_the_rest_on_the_days_after(chat: Chat) -> None:
    missed(chat.dispatcher, 20)
    said = await chat.say("错题")
    assert "错题本共 20 题，今天到期 20 题，先做 8 题；每天最多 8 题，其余分到后面几天" in said
    assert "第1/8题" in said
    assert await work_through(chat) == 8

    said = await chat.say("错题")
    assert "今天的复习做完了（每天最多 8 题），还有 20 题到期" in said, "once right is not yet out, and due again today"
    assert chat.last.card is None
    chat.clock.pass_(DAY)
    assert "先做 8 题" in await chat.say("错题")


async def test_a_round_that_was_broken_off_counts_what_was_answered(chat: Chat) -> None:
    missed(chat.dispatcher, 12)
    await chat.say("错题")
    for _ in range(3):
        await chat.say(right_answer(question_in_hand(chat)))
    await chat.say("退出")
    assert "先做 5 题" in await chat.say("错题")


async def test_what_is_not_due_is_left_in_peace_and_the_day_named(chat: Chat) -> None:
    missed(chat.dispatcher, 1)
    await chat.say("错题")
    assert "再对 1 次移出" in await chat.say(right_answer(question_in_hand(chat)))
    await chat.say("错题")
    said = await chat.say(right_answer(question_in_hand(chat)))
    found = re.search(r"移出错题本；(\d+月\d+日)再问一次", said)
    assert found is not None
    said = await chat.say("错题")
    assert f"现在是空的。已移出的 1 题到期会再问，最近一次在 {found[1]}" in said


async def test_what_left_the_notebook_comes_back_when_due_and_enters_again_when_wrong(chat: Chat) -> None:
    missed(chat.dispatcher, 1)
    for _ in range(2):
        await chat.say("错题")
        await chat.say(right_answer(question_in_hand(chat)))
    chat.clock.pass_(60 * DAY)
    said = await chat.say("错题")
    assert "错题本共 0 题（另有 1 题已移出，到期再问），今天到期 1 题" in said
    assert "已收入错题本" in await chat.say(wrong_answer(question_in_hand(chat)))
    assert "错题本共 1 题，今天到期 1 题" in await chat.say("错题")


async def test_one_law_is_reviewed_by_its_name(chat: Chat) -> None:
    missed(chat.dispatcher, 3, law="民法典")
    missed(chat.dispatcher, 2, law="监察法")
    assert "共 3 题" in await chat.say("错题 民法典")
    assert question_in_hand(chat).law == "民法典"
    assert "没有《政务处分法》的题" in await chat.say("错题 政务处分法")
    assert "没有「火星法」" in await chat.say("错题 火星法")


# ── Mixed into the daily set ──


async def test_the_daily_set_stays_five_and_takes_two_that_are_near_due(chat: Chat) -> None:
    names = missed(chat.dispatcher, 6)
    said = await chat.say("每日")
    assert "第1/5题" in said
    mixed = rows(chat.dispatcher.database, "SELECT question FROM sitting_item")
    assert len(mixed) == 5
    assert len({name for (name,) in mixed} & set(names)) == 2

    said = await chat.say("错题")
    assert "先做 6 题" in said, "the two count among the eight of the day"


async def test_after_eight_reviews_the_daily_set_is_all_new(chat: Chat) -> None:
    names = missed(chat.dispatcher, 12)
    await chat.say("错题")
    await work_through(chat)
    await chat.say("每日")
    mixed = rows(chat.dispatcher.database, "SELECT question FROM sitting_item WHERE sitting_id = (SELECT id FROM sitting WHERE kind = 'daily')")
    assert {name for (name,) in mixed} & set(names) == set()


# ── Grades on the server's clock ──


@pytest.mark.parametrize(("extra", "slow"), [(0, False), (1, True), (2000, False)])
async def test_a_right_answer_is_slow_by_the_time_since_the_question_was_put(chat: Chat, extra: int, slow: bool) -> None:
    missed(chat.dispatcher, 1)
    await chat.say("错题")
    question = question_in_hand(chat)
    said = await chat.say(right_answer(question), after=slow_after(question) + extra)
    assert said.startswith("已记录。✅")
    assert ("按较慢计" in said) is slow


async def test_the_time_begins_anew_with_the_next_question_and_when_one_is_skipped(chat: Chat) -> None:
    missed(chat.dispatcher, 3)
    await chat.say("错题")
    await chat.say(right_answer(question_in_hand(chat)), after=500)
    assert "按较慢计" not in await chat.say(right_answer(question_in_hand(chat)), after=20)
    await chat.say("练习 错题")
    await chat.say("跳过", after=500)
    assert "按较慢计" not in await chat.say(right_answer(question_in_hand(chat)), after=20)


async def test_an_ordinary_right_answer_makes_no_card(chat: Chat) -> None:
    await chat.say("每日")
    await work_through(chat)
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM notebook_card") == [(0,)]


# ── The exam day ──


async def test_the_exam_day_is_set_and_the_notebook_says_what_to_expect(chat: Chat) -> None:
    missed(chat.dispatcher, 10)
    assert "没有设考试日期" in await chat.say("设置")
    assert "2026-03-20 考试，目标 90%" in await chat.say("设置 考试日期 2026-03-20")
    said = await chat.say("错题")
    assert re.search(r"🎯 3月20日考试（还有 18 天）：每天复习 4 分钟，错题本里的题到那天预计答对 9\d%，达到目标 90%", said)
    assert "没有设考试日期" in await chat.say("设置 考试日期 取消")
    assert "🎯" not in await chat.say("错题")


async def test_a_target_that_cannot_be_met_is_said_with_what_would_be_needed(chat: Chat) -> None:
    missed(chat.dispatcher, 100)
    await chat.say("设置 考试日期 3月12日")
    said = await chat.say("错题")
    found = re.search(r"达不到目标 90%。要达到，每天约需 (\d+) 分钟：可发「设置 每日复习 (\d+)」", said)
    assert found is not None
    assert found[1] == found[2]
    await chat.say(f"设置 每日复习 {found[1]}")
    said = await chat.say("错题")
    assert "达到目标 90%" in said
    assert f"先做 {int(found[1]) * 2} 题" in said, "two reviews a minute, as many as the person gave minutes for"


async def test_many_minutes_are_asked_in_rounds_of_twenty(chat: Chat) -> None:
    missed(chat.dispatcher, 60)
    await chat.say("设置 考试日期 2026-03-10")
    await chat.say("设置 每日复习 15")
    assert "今天为考试先做 20 题；做完再发「错题」接着做，今天共 30 题" in await chat.say("错题")
    assert await work_through(chat) == 20
    assert "今天为考试先做 10 题" in await chat.say("错题")


async def test_what_no_minutes_can_reach_is_said_plainly(chat: Chat) -> None:
    missed(chat.dispatcher, 120)
    await chat.say("设置 考试日期 2026-03-03")
    await chat.say("设置 考试目标 99%")
    assert "每天 60 分钟也不够" in await chat.say("错题")


async def test_before_an_exam_what_is_not_due_is_asked_too(chat: Chat) -> None:
    remember(chat.dispatcher, tapped(chat.dispatcher.catalog())[0], 14, 12, 3)
    assert "现在是空的。已移出的 1 题到期会再问" in await chat.say("错题")
    await chat.say("设置 考试日期 2026-03-30")
    assert "为考试先做 1 题" in await chat.say("错题")


async def test_an_exam_day_that_is_over_no_longer_counts(chat: Chat) -> None:
    missed(chat.dispatcher, 3)
    await chat.say("设置 考试日期 2026-03-05")
    chat.clock.pass_(4 * DAY)
    assert "🎯" not in await chat.say("错题")
    assert "没有设考试日期" in await chat.say("设置")


async def test_on_the_day_itself_it_is_said_what_is_known_now(chat: Chat) -> None:
    missed(chat.dispatcher, 3)
    await chat.say("设置 考试日期 2026-03-02")
    assert re.search(r"今天考试：错题本里的题预计答对 \d+%", await chat.say("错题"))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("设置 考试日期 2026-03-01", "已经过去"), ("设置 考试日期 下周", "不是日期"), ("设置 每日复习 0", "1 到 60"),
        ("设置 每日复习 很久", "1 到 60"),        ("设置 考试目标 100", "50 到 99"), ("设置 考试日期", "没有看懂"),
    ],
)  # fmt: skip
async def test_what_cannot_be_set_is_refused_with_the_reason(chat: Chat, words: str, reason: str) -> None:
    assert reason in await chat.say(words)
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM exam_goal") == [(0,)]


# ── Practice ──


async def test_only_mistakes_are_practised_at_any_time_and_without_end(chat: Chat) -> None:
    assert "没有可练的错题" in await chat.say("练习 错题")
    names = missed(chat.dispatcher, 12)
    await chat.say("错题")
    await work_through(chat)
    assert "今天的复习做完了" in await chat.say("错题")
    for _ in range(2):
        assert "第1/10题" in await chat.say("练习 错题")
        assert question_in_hand(chat).id in names
        assert await work_through(chat, right=False) == 10
    assert "没有《政务处分法》的题" in await chat.say("练习 错题 政务处分法")


async def test_practice_goes_by_law_and_at_random(chat: Chat) -> None:
    await chat.say("练习 监察法")
    assert question_in_hand(chat).law == "监察法"
    assert "第1/10题" in await chat.say("练习 随机")


# ── 挑战 ──


async def test_a_challenge_ends_with_the_first_mistake_and_keeps_the_best_run(chat: Chat) -> None:
    assert "最好成绩：还没有" in await chat.say("挑战")
    for n in range(1, 4):
        assert chat.last.card is not None
        assert chat.last.card.head.startswith(f"第{n}题")
        await chat.say(right_answer(question_in_hand(chat)))
    said = await chat.say(wrong_answer(question_in_hand(chat)))
    assert said.startswith("已记录。")
    assert "挑战结束：这次连对 3 题。🏆 新的最好成绩。" in said
    assert chat.last.card is None
    assert (await chat.say("A")).startswith("未记录"), "the run is over"

    assert "最好成绩：连对 3 题" in await chat.say("挑战")
    assert "这次连对 0 题。最好成绩：连对 3 题" in await chat.say(wrong_answer(question_in_hand(chat)))
    await chat.say("挑战")
    for _ in range(4):
        await chat.say(right_answer(question_in_hand(chat)))
    assert "这次连对 4 题。🏆 新的最好成绩（原来 3 题）" in await chat.say(wrong_answer(question_in_hand(chat)))
    assert "「错题」" in said
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM notebook_card") == [(3,)]


async def test_no_question_comes_twice_in_a_run_and_a_whole_run_ends_by_itself(chat: Chat) -> None:
    await chat.say("挑战")
    seen = []
    while chat.last.card is not None:
        seen.append(question_in_hand(chat).id)
        said = await chat.say(right_answer(question_in_hand(chat)))
    assert len(seen) == len(set(seen)) == 100
    assert "全部答对，一题没错！这次连对 100 题" in said


async def test_who_leaves_a_run_keeps_its_count(chat: Chat) -> None:
    await chat.say("挑战")
    for _ in range(2):
        await chat.say(right_answer(question_in_hand(chat)))
    await chat.say("退出")
    assert "最好成绩：连对 2 题" in await chat.say("挑战")


async def test_the_help_knows_both(chat: Chat) -> None:
    said = await chat.say("帮助")
    assert "「挑战」" in said
    assert "「错题」" in said
    assert "每天最多 8 题" in await chat.say("帮助 错题")
