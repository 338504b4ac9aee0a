"""The streak as people see it: one line at the end of the daily set and in 我的学时, and no statement more on any other answer."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.calendar import Calendar
from bot.domain.study.streak import Streak
from bot.services.study import quiz
from bot.storage.people import leave
from tests.conftest import Chat, Clock, enroll
from tests.flows.test_daily import question_in_hand, right_answer


async def study(chat: Chat) -> str:
    await chat.say("每日")
    said = ""
    for _ in range(5):
        said = await chat.say(right_answer(question_in_hand(chat)))
    return said


async def test_the_streak_grows_by_working_days_and_stands_at_the_end_of_the_set(chat: Chat) -> None:
    chat.clock.now = datetime(2026, 3, 5, 1, tzinfo=UTC)
    assert "连续学法 1 个工作日" in await study(chat)
    chat.clock.now = datetime(2026, 3, 6, 1, tzinfo=UTC)
    assert "连续学法 2 个工作日" in await study(chat)

    chat.clock.now = datetime(2026, 3, 9, 1, tzinfo=UTC)
    assert "连续学法 2 个工作日（今天的还没有做）" in await chat.say("我的学时")
    assert "连续学法 3 个工作日" in await study(chat)
    assert "没有做" not in await chat.say("我的学时")


async def test_a_missed_day_is_forgiven_and_told_and_leave_costs_nothing(dispatcher: Dispatcher, clock: Clock) -> None:
    person = dispatcher.database.write_now(lambda session: enroll(session, "1001"))
    chat = Chat(dispatcher, clock, "1001")
    await study(chat)
    clock.now = datetime(2026, 3, 4, 1, tzinfo=UTC)
    assert "连续学法 2 个工作日，还可缺 1 天" in await study(chat)

    dispatcher.database.write_now(lambda session: leave.add(session, person, "leave", date(2026, 3, 3), date(2026, 3, 3), "1010", clock.now))
    assert "🔥 连续学法 2 个工作日" in (said := await chat.say("我的学时"))
    assert "还可缺" not in said


async def test_the_last_question_after_midnight_saves_the_day(chat: Chat) -> None:
    await study(chat)
    chat.clock.now = datetime(2026, 3, 3, 16, 10, tzinfo=UTC)
    assert "连续学法 2 个工作日" in await study(chat)
    assert chat.clock.now < datetime(2026, 3, 3, 16, 30, tzinfo=UTC)


async def test_an_answer_that_does_not_end_the_daily_set_counts_no_streak(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    plain = quiz.streak_of

    def counted(session: Session, calendar: Calendar, person_id: int, now: datetime) -> Streak:
        asked.append(person_id)
        return plain(session, calendar, person_id, now)

    monkeypatch.setattr(quiz, "streak_of", counted)
    await chat.say("每日")
    for _ in range(4):
        await chat.say(right_answer(question_in_hand(chat)))
    assert asked == []
    await chat.say(right_answer(question_in_hand(chat)))
    assert len(asked) == 1

    await chat.say("练习")
    for _ in range(10):
        await chat.say(right_answer(question_in_hand(chat)))
    assert len(asked) == 1
