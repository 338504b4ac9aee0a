"""Answers that come at once are gathered, decided and kept together: with a few statements in all, and for each person as if alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlmodel import Session

from bot.commands import tasks
from bot.dispatch import BROKEN_REPLY, Dispatcher
from bot.domain.message import Reply
from bot.storage.db import writer
from bot.storage.db.database import Database
from tests.conftest import Chat, Clock, enroll
from tests.flows.test_contest import opened
from tests.flows.test_daily import rows
from tests.support.exams import ExamHarness

PEOPLE = 12


@pytest.fixture
def chats(dispatcher: Dispatcher, clock: Clock) -> list[Chat]:
    """The chats of twelve people, whose messages meet one writer."""
    dispatcher.database._writers[1:] = []
    dispatcher.database.write_now(lambda session: [enroll(session, f"30{n:02}") for n in range(PEOPLE)])
    return [Chat(dispatcher, clock, f"30{n:02}") for n in range(PEOPLE)]


async def all_say(chats: Sequence[Chat], words: str) -> list[str]:
    return await asyncio.gather(*(chat.hear(chat.message(words)) for chat in chats))


async def all_answer(chats: Sequence[Chat], *, by_tap: bool = True) -> list[str]:
    """Each gives the first option of the card on their screen, all at once."""
    asked = [(chat, chat.last.card) for chat in chats if chat.last.card is not None]
    return await asyncio.gather(*(chat.hear(chat.message(card.options[0].say, card.task if by_tap else "")) for chat, card in asked))


class Alone:
    """Counts the messages that were heard by themselves."""

    count = 0


@contextmanager
def heard_alone(dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> Iterator[Alone]:
    alone = Alone()
    attend = dispatcher._attend

    def counted(session: Session, incoming: Any) -> Reply:
        alone.count += 1
        return attend(session, incoming)

    with monkeypatch.context() as patch:
        patch.setattr(dispatcher, "_attend", counted)
        yield alone


@pytest.mark.parametrize("how", ["tapped", "typed"])
@pytest.mark.parametrize("task", ["contest", "exam"])
async def test_answers_of_many_are_decided_together(
    chats: list[Chat], dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch, task: str, how: str
) -> None:
    number = opened(dispatcher) if task == "contest" else ExamHarness(dispatcher).publish()
    await all_say(chats, f"竞赛 {number} 开始" if task == "contest" else f"考试 开始 {number}")
    with heard_alone(dispatcher, monkeypatch) as alone:
        said = await all_answer(chats, by_tap=how == "tapped")
    assert all(words.startswith("已记录") and ("第2/" in words) for words in said), said
    assert alone.count == 0
    assert rows(dispatcher.database, "SELECT COUNT(*), COUNT(DISTINCT person_id) FROM answer WHERE n = 1") == [(PEOPLE, PEOPLE)]
    assert rows(dispatcher.database, "SELECT DISTINCT next FROM sitting") == [(2,)]


async def test_copies_and_a_second_message_of_one_person_keep_their_order(chats: list[Chat], dispatcher: Dispatcher) -> None:
    number = opened(dispatcher)
    await all_say(chats, f"竞赛 {number} 开始")
    card = chats[0].last.card
    assert card is not None
    tap = chats[0].message(card.options[0].say, card.task)
    second = chats[0].message(card.options[1].say, card.task)
    (first_text, copy_text, second_text), others = await asyncio.gather(
        asyncio.gather(chats[0].hear(tap), chats[0].hear(tap), chats[0].hear(second)), all_answer(chats[1:])
    )
    assert first_text == copy_text
    assert first_text.startswith("已记录")
    assert "以第一次为准" in second_text
    assert all(text.startswith("已记录") for text in others)
    assert rows(dispatcher.database, "SELECT COUNT(*) FROM answer") == [(PEOPLE,)]


async def test_one_whose_message_breaks_takes_nobody_with_them(chats: list[Chat], dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    number = opened(dispatcher)
    await all_say(chats, f"竞赛 {number} 开始")
    store, bad = dispatcher._attend, "3003"

    def breaking(session: Session, incoming: Any) -> Reply:
        store(session, incoming)
        if incoming.sender.user == bad:
            raise RuntimeError("written, and then broken")
        return Reply("已记录，单独")

    monkeypatch.setattr(dispatcher, "_attend", breaking)
    answer_together = tasks.answer_together

    def broken(session: Session, catalog: Any, messages: Any) -> Any:
        answer_together(session, catalog, messages)
        raise RuntimeError("the whole batch was written, and then it broke")

    monkeypatch.setattr(tasks, "answer_together", broken)
    said = await all_answer(chats)
    assert sum(words == BROKEN_REPLY.text for words in said) == 1
    assert rows(dispatcher.database, "SELECT COUNT(*) FROM answer") == [(PEOPLE - 1,)]
    assert rows(dispatcher.database, f"SELECT COUNT(*) FROM answer a JOIN account c ON c.person_id = a.person_id WHERE c.\"user\" = '{bad}'") == [
        (0,)
    ]


async def test_what_cannot_be_answered_together_is_heard_in_the_same_commit(
    chats: list[Chat], dispatcher: Dispatcher, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = ExamHarness(dispatcher).publish()
    await all_say(chats, f"考试 开始 {number}")
    commits: list[int] = []
    run = writer.Writer._run_in_transaction

    def counted(self: writer.Writer, connection: Any, batch: list[writer.WriteJob], *, savepoints: bool) -> None:
        commits.append(len(batch))
        run(self, connection, batch, savepoints=savepoints)

    monkeypatch.setattr(writer.Writer, "_run_in_transaction", counted)
    words = ["第 3 题", "答题卡", "A", "3A", "Z"]
    said = await asyncio.gather(*(chat.hear(chat.message(words[k % len(words)])) for k, chat in enumerate(chats)))
    assert commits == [PEOPLE]
    assert "第3/" in said[0]
    assert "答题卡" in said[1]
    assert said[2].startswith("已记录：第 1 题")
    assert said[3].startswith("已记录：第 3 题")
    assert "没有看懂「Z」" in said[4]
