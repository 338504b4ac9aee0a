"""A lesson that is edited or taken out of its file while somebody reads it: nothing is credited twice, and nobody is stuck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.domain.library.library import Lesson
from bot.services.library.catalog import Catalog
from tests.conftest import Chat
from tests.flows.test_daily import question_in_hand, right_answer, rows
from tests.flows.test_lessons import expected, lesson_in_hand, read_through

CREDITED = "SELECT credit_seconds FROM ledger WHERE category = 'online'"


def shelve(chat: Chat, change: Callable[[dict[str, Lesson]], object]) -> None:
    """The service after a restart on changed files."""
    catalog = chat.dispatcher.catalog()
    lessons = dict(catalog.library.lessons)
    change(lessons)
    after = Catalog(replace(catalog.library, lessons=lessons), catalog.policy, catalog.drawn, catalog.chars_a_minute)
    chat.dispatcher.catalog = lambda: after


async def test_pages_read_before_a_lesson_changed_do_not_count_on_top_of_those_read_after(chat: Chat) -> None:
    await chat.say("学习 民法典")
    lesson = lesson_in_hand(chat)
    await chat.say("下一页", after=expected(lesson)[0])
    shelve(chat, lambda lessons: lessons.update({lesson.id: replace(lesson, digest="0" * 64)}))

    assert "从头开始" in await chat.say("下一页", after=expected(lesson)[1])
    said = await read_through(chat, lesson, expected(lesson))

    assert "学完了" in said
    assert rows(chat.dispatcher.database, CREDITED) == [(sum(expected(lesson)),)]
    assert "从头重读" in await chat.say("为什么")


@pytest.mark.parametrize("words", ["继续", "学习", "下一页"])
async def test_a_lesson_that_is_gone_is_put_down_and_the_next_one_can_be_begun(chat: Chat, words: str) -> None:
    await chat.say("学习 民法典")
    lesson = lesson_in_hand(chat)
    await chat.say("下一页", after=expected(lesson)[0])
    shelve(chat, lambda lessons: lessons.pop(lesson.id))

    assert "已经下架" in await chat.say(words)
    assert "1/" in await chat.say("学习")
    assert lesson_in_hand(chat).id != lesson.id
    assert rows(chat.dispatcher.database, "SELECT seconds, reason FROM uncredited") == [(expected(lesson)[0], "课程已经下架，没有学完，不计")]


async def test_the_closing_answer_of_a_lesson_that_is_gone_is_recorded_all_the_same(chat: Chat) -> None:
    await chat.say("学习 民法典")
    lesson = lesson_in_hand(chat)
    for one in expected(lesson):
        await chat.say("下一页", after=one)
    shelve(chat, lambda lessons: lessons.pop(lesson.id))

    said = ""
    for _ in lesson.questions:
        said = await chat.say(right_answer(question_in_hand(chat)))
        assert said.startswith("已记录")
    assert "已经下架" in said
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM answer") == [(len(lesson.questions),)]
    assert rows(chat.dispatcher.database, CREDITED) == []
    assert rows(chat.dispatcher.database, "SELECT state FROM reading") == [("left",)]
    assert "没有放下的题或课" in await chat.say("继续")


async def test_a_lesson_that_earned_nothing_the_first_time_may_still_earn(chat: Chat) -> None:
    await chat.say("学习 民法典")
    lesson = lesson_in_hand(chat)
    await read_through(chat, lesson, [1] * len(lesson.pages))
    assert rows(chat.dispatcher.database, CREDITED) == []

    assert "不再计学时" not in await chat.say(f"学习 {lesson.id}")
    await read_through(chat, lesson, expected(lesson))
    assert rows(chat.dispatcher.database, CREDITED) == [(sum(expected(lesson)),)]
    assert "不再计学时" in await chat.say(f"学习 {lesson.id}")
