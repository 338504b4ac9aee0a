"""What counts once, up to where, and in which year: caps of a day and a year, New Year's Eve, restarts, reversals, questions left out."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from bot.dispatch import Dispatcher
from bot.domain.library.question import Question
from bot.services.study.quiz import open_set
from bot.storage.hours import ledger
from tests.conftest import Chat
from tests.flows.test_daily import change, question_in_hand, right_answer, rows
from tests.flows.test_lessons import expected, lesson_in_hand

EVE = datetime(2026, 12, 31, 15, 59, 30, tzinfo=UTC)
"""Half a minute before the new year, in Shanghai."""
PRACTICE = "SELECT day, credit_seconds, source_id FROM ledger WHERE category = 'practice' ORDER BY id"


async def answer(chat: Chat) -> str:
    return await chat.say(right_answer(question_in_hand(chat)))


async def put_in_hand(chat: Chat, question: Question) -> None:
    """A round of this one question."""
    database, catalog, now = chat.dispatcher.database, chat.dispatcher.catalog(), chat.clock.now
    person_id = rows(database, "SELECT id FROM person")[0][0]
    database.write_now(lambda session: open_set(session, catalog, person_id, "practice", f"随机@{now}", [question.id], now))
    assert question.stem in await chat.say("继续")


async def test_practice_counts_half_an_hour_of_credit_a_day_and_what_was_over_counts_another_day(chat: Chat) -> None:
    change(
        chat.dispatcher.database, "INSERT INTO day_total (person_id, day, category, seconds) SELECT id, '2026-03-02', 'practice', 1300 FROM person"
    )
    await chat.say("每日")
    question = question_in_hand(chat)
    said = await answer(chat)
    assert said.startswith("已记录")
    assert "今日练习 0.5 学时已满" not in said, "hours are said once, at the end of the set"
    assert rows(chat.dispatcher.database, PRACTICE) == []
    assert rows(chat.dispatcher.database, "SELECT seconds, rule FROM uncredited") == [(67, "D3")]
    for _ in range(4):
        said = await answer(chat)
    assert "今日练习 0.5 学时已满" in said

    chat.clock.pass_(hours=24)
    await put_in_hand(chat, question)
    assert "学时：本组 +1 分 7 秒（规则 D3 第 1 版）" in await answer(chat)
    assert f"2026:{question.id}" in [row[2] for row in rows(chat.dispatcher.database, PRACTICE)]


async def test_practice_counts_ten_hours_of_credit_a_year(chat: Chat) -> None:
    change(
        chat.dispatcher.database,
        "INSERT INTO year_total (person_id, year, category, seconds, items) SELECT id, 2026, 'practice', 27000, 400 FROM person",
    )
    await chat.say("每日")
    for _ in range(5):
        said = await answer(chat)
    assert "本年练习 10 学时已满" in said
    assert rows(chat.dispatcher.database, PRACTICE) == []


async def test_a_question_answered_on_both_sides_of_midnight_of_the_new_year_counts_in_each_year_once(chat: Chat) -> None:
    chat.clock.now = EVE
    await chat.say("每日", after=0)
    question = question_in_hand(chat)
    old = chat.last.card
    assert old is not None
    await answer(chat)
    await answer(chat)
    chat.clock.pass_(seconds=60)
    assert (await answer(chat)).startswith("已记录"), "the set of the old day goes on"
    assert (await chat.tap_on(old, "A")).startswith("未记录"), "an answer of last year does not become one of this year"
    days = [row[0] for row in rows(chat.dispatcher.database, PRACTICE)]
    assert days == ["2026-12-31", "2026-12-31", "2027-01-01"]

    await put_in_hand(chat, question)
    await answer(chat)
    sources = [row[2] for row in rows(chat.dispatcher.database, PRACTICE)]
    assert sources.count(f"2026:{question.id}") == 1
    assert sources.count(f"2027:{question.id}") == 1


async def test_a_lesson_read_into_the_new_year_counts_on_the_day_it_ended(chat: Chat) -> None:
    """Rule D14: by the day on which the study ended, all of it, and once."""
    chat.clock.now = EVE
    await chat.say("学习 民法典", after=0)
    lesson = lesson_in_hand(chat)
    for one in expected(lesson):
        await chat.say("下一页", after=one)
    for _ in lesson.questions:
        await answer(chat)
    assert rows(chat.dispatcher.database, "SELECT day, credit_seconds, source_id FROM ledger WHERE category = 'online'") == [
        ("2027-01-01", sum(expected(lesson)), f"2027:{lesson.id}")
    ]
    assert rows(chat.dispatcher.database, "SELECT year, seconds FROM year_total WHERE category = 'online'") == [(2027, sum(expected(lesson)))]
    assert "今年已经学过" in await chat.say(f"学习 {lesson.id}")


async def test_the_clock_of_a_page_goes_on_while_the_service_is_down(chat: Chat) -> None:
    await chat.say("学习")
    lesson = lesson_in_hand(chat)
    dispatcher = chat.dispatcher
    chat.dispatcher = Dispatcher(dispatcher.database, dispatcher.catalog, rng=random.Random(4))
    again = await chat.say("继续", after=expected(lesson)[0] - 5)
    assert "1/" in again, "looking at the page again does not start it anew"
    await chat.say("下一页", after=5)
    assert rows(dispatcher.database, "SELECT page, seen, credited FROM page_view WHERE seen IS NOT NULL") == [
        (1, expected(lesson)[0], expected(lesson)[0])
    ]


async def test_what_was_taken_back_stays_spent_and_the_totals_stay_the_ledger(chat: Chat) -> None:
    await chat.say("每日")
    question = question_in_hand(chat)
    await answer(chat)
    database = chat.dispatcher.database
    entry = rows(database, "SELECT id FROM ledger")[0][0]
    assert database.write_now(lambda session: ledger.reverse(session, entry, chat.clock.now, "9001", items=1)) is not None
    assert database.write_now(lambda session: ledger.reverse(session, entry, chat.clock.now, "9001", items=1)) is None
    assert rows(database, "SELECT seconds, items FROM year_total") == [(0, 0)]
    assert rows(database, "SELECT seconds FROM day_total") == [(0,)]

    await chat.say("退出")
    await put_in_hand(chat, question)
    assert "本组的题今年已计过" in await answer(chat)
    assert rows(database, "SELECT SUM(credit_seconds) FROM ledger") == rows(database, "SELECT seconds FROM year_total")


async def test_a_message_of_the_old_day_that_is_heard_in_the_new_one_opens_no_closed_set(chat: Chat) -> None:
    chat.clock.now = EVE
    await chat.say("每日", after=0)
    chat.clock.pass_(seconds=40)
    await chat.say("每日", after=0)
    chat.clock.pass_(seconds=-20)
    await chat.say("每日", after=0)
    assert (await answer(chat)).startswith("已记录")
    sets = rows(chat.dispatcher.database, "SELECT scope, state FROM sitting WHERE kind = 'daily' ORDER BY id")
    assert sets == [("2026-12-31", "left"), ("2027-01-01", "open"), ("2026-12-31", "open")]
    assert rows(chat.dispatcher.database, "SELECT s.state FROM answer a JOIN sitting s ON s.id = a.sitting_id") == [("open",)]


async def test_a_question_that_was_skipped_comes_last(chat: Chat) -> None:
    await chat.say("每日")
    first = chat.last.card
    assert first is not None
    assert "先跳过" in await chat.say("跳过")
    assert "第2/5题" in await chat.say("继续")
    for _ in range(4):
        assert (await answer(chat)).startswith("已记录")
    assert chat.last.card == first
    assert "最后一道" in await chat.say("跳过")
    assert chat.last.card == first
    assert "每日一练完成" in await answer(chat)
    assert rows(chat.dispatcher.database, "SELECT n FROM answer ORDER BY id") == [(2,), (3,), (4,), (5,), (1,)]


async def test_nothing_in_hand_is_nothing_to_skip(chat: Chat) -> None:
    assert "没有可以跳过" in await chat.say("跳过")
    await chat.say("学习")
    assert "没有计学时" in await chat.say("跳过")
    assert rows(chat.dispatcher.database, "SELECT state FROM reading") == [("left",)]


@pytest.mark.parametrize(("part", "said"), [(True, "得一半分（规则 M1）"), (False, "回答错误")])
async def test_a_multiple_choice_short_of_an_option_is_told_its_half(chat: Chat, part: bool, said: str) -> None:
    question = next(one for one in chat.dispatcher.catalog().library.questions.values() if one.kind == "multiple")
    await put_in_hand(chat, question)
    choice = question.key[0] if part else next(letter for letter in question.letters if letter not in question.key)
    assert said in await chat.say(choice)
    assert rows(chat.dispatcher.database, "SELECT correct, earned FROM answer ORDER BY id DESC LIMIT 1") == [(0, 500 if part else 0)]
