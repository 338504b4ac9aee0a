"""One message, one effect: copies, retries, replicas, shuffled answers, old cards, double taps (bot/docs/reliability.md D1, D3, D5–D8, D15)."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.library.library import Library
from bot.domain.message import Address, Incoming, QuestionCard, Reply, plain_text
from bot.services.library.catalog import Catalog
from bot.services.study import quiz
from bot.services.study.quiz import open_set
from bot.storage.db.database import Database
from bot.storage.people import accounts
from bot.storage.study import sittings
from bot.storage.tables.people import AccountRow
from tests.conftest import NOW, Chat, Clock, enroll
from tests.flows.test_daily import question_in_hand, right_answer, rows

PEOPLE = 60


def singles(catalog: Catalog, count: int = 10) -> list[str]:
    """Questions with one right letter, so that every answer is a letter."""
    found = [name for name in catalog.drawn if catalog.library.questions[name].kind == "single"]
    return found[:count]


def with_round(session: Session, catalog: Catalog, user: str, count: int = 10) -> tuple[int, int]:
    """A person with a round of single-choice questions in hand: their id and the sitting's."""
    person_id = enroll(session, user)
    return person_id, open_set(session, catalog, person_id, "practice", f"随机@{user}", singles(catalog, count), NOW).sitting.id


@pytest.fixture
def people(dispatcher: Dispatcher) -> dict[str, int]:
    """60 people, each with ten questions in hand; their sittings."""
    catalog = dispatcher.catalog()
    return dispatcher.database.write_now(
        lambda session: {str(user): with_round(session, catalog, str(user))[1] for user in range(3000, 3000 + PEOPLE)}
    )


@pytest.fixture
async def replica(engine: Engine, dispatcher: Dispatcher) -> AsyncIterator[Dispatcher]:
    """A second service over the same database."""
    database = Database(engine, prelock=accounts.lock_people)
    database.start()
    yield Dispatcher(database, dispatcher.catalog, rng=random.Random(5))
    await asyncio.to_thread(database.stop)


def said_by(user: str, words: str, message_id: str, task: str = "") -> Incoming:
    return Incoming(Address("local", "test", user), words, message_id, NOW, "tap" if task else "text", task)


def effects(dispatcher: Dispatcher) -> list[tuple[object, ...]]:
    """Per answer: who, where, what, and whether its ledger effect is there exactly once."""
    return rows(
        dispatcher.database,
        """SELECT p.staff_no, a.n, a.choice, (SELECT COUNT(*) FROM ledger l WHERE l.person_id = a.person_id AND l.source_id = '2026:' || a.question)
           FROM answer a JOIN person p ON p.id = a.person_id ORDER BY 1, 2""",
    )


def totals_are_the_ledger(dispatcher: Dispatcher) -> bool:
    """The running totals equal the ledger to the second."""
    ledger = rows(dispatcher.database, "SELECT person_id, SUM(credit_seconds), COUNT(*) FROM ledger GROUP BY 1 ORDER BY 1")
    return ledger == rows(dispatcher.database, "SELECT person_id, seconds, items FROM year_total ORDER BY 1") and [row[:2] for row in ledger] == rows(
        dispatcher.database, "SELECT person_id, SUM(seconds) FROM day_total GROUP BY 1 ORDER BY 1"
    )


async def test_four_copies_at_once_have_one_effect_and_one_text(dispatcher: Dispatcher, replica: Dispatcher, people: dict[str, int]) -> None:
    """240 messages, each as four concurrent copies at two replicas."""
    messages = [(user, n) for user in people for n in range(4)]
    copies = [(user, n, turn) for user, n in messages for turn in range(4)]
    random.Random(1).shuffle(copies)
    replies = await asyncio.gather(*((dispatcher, replica)[turn % 2].handle(said_by(user, "B", f"m{n}")) for user, n, turn in copies))

    texts: dict[tuple[str, int], set[Reply]] = {}
    for (user, n, _), reply in zip(copies, replies, strict=True):
        assert reply.text.startswith("已记录")
        texts.setdefault((user, n), set()).add(reply)
    assert {len(found) for found in texts.values()} == {1}
    assert effects(dispatcher) == [(user, n, "B", 1) for user in sorted(people) for n in range(1, 5)]
    assert totals_are_the_ledger(dispatcher)


async def test_copies_of_a_command_have_one_effect_too(dispatcher: Dispatcher, people: dict[str, int]) -> None:
    """Four copies of 练习 open one round, and show the same question."""
    replies = await asyncio.gather(*(dispatcher.handle(said_by(user, "练习", "m1")) for user in people for _ in range(4)))
    assert all(reply.card is not None for reply in replies)
    assert [len({plain_text(reply) for reply in replies[at : at + 4]}) for at in range(0, 4 * PEOPLE, 4)] == [1] * PEOPLE
    assert rows(dispatcher.database, "SELECT COUNT(*) FROM sitting") == [(2 * PEOPLE,)]


@pytest.mark.parametrize("other", [{"user": "4002"}, {"app": "second"}, {"channel": "wecom"}], ids=["person", "app", "channel"])
async def test_the_same_message_id_from_elsewhere_is_another_message(dispatcher: Dispatcher, other: dict[str, str]) -> None:
    """Two people, two apps, two channels."""
    catalog = dispatcher.catalog()

    def roll(session: Session) -> None:
        person_id, _ = with_round(session, catalog, "4001")
        session.add(AccountRow(channel="wecom", user="4001", person_id=person_id, bound_at=NOW, bound_by="test"))
        with_round(session, catalog, "4002")

    dispatcher.database.write_now(roll)
    message = said_by("4001", "A", "same")
    elsewhere = replace(message, sender=replace(message.sender, **other))
    first, second = await asyncio.gather(dispatcher.handle(message), dispatcher.handle(elsewhere))
    assert first.text.startswith("已记录")
    assert second.text.startswith("已记录")
    assert rows(dispatcher.database, "SELECT COUNT(*) FROM answer") == [(2,)]
    assert rows(dispatcher.database, "SELECT COUNT(*) FROM inbox") == [(2,)]


async def test_a_retry_that_reaches_another_replica_gets_the_kept_reply(dispatcher: Dispatcher, replica: Dispatcher, people: dict[str, int]) -> None:
    """The second service has its own memory and the same database; a restart is the same thing one after the other."""
    first = await asyncio.gather(*(dispatcher.handle(said_by(user, "C", "m1")) for user in people))
    await asyncio.to_thread(dispatcher.database.stop)
    again = await asyncio.gather(*(replica.handle(said_by(user, "C", "m1")) for user in people))

    assert again == first
    assert rows(replica.database, "SELECT COUNT(*) FROM answer") == [(PEOPLE,)]


async def test_a_retry_that_came_late_gets_what_was_said_and_not_todays_answer(chat: Chat) -> None:
    message = chat.message("每日")
    first = await chat.hear(message)
    await chat.say(right_answer(question_in_hand(chat)))
    assert await chat.hear(message) == first


async def test_numbered_answers_in_any_order_land_on_their_own_question(dispatcher: Dispatcher, people: dict[str, int]) -> None:
    """Ten numbered answers of each person, shuffled; the letter of a place is known by its number."""
    letter = {n: "ABCD"[n % 4] for n in range(1, 11)}
    written = ("{n}{a}", "第{n}题 {a}", "{n}、{a}", "{n}:{a}")
    said = [(user, n) for user in people for n in letter]
    rng = random.Random(6)
    rng.shuffle(said)
    replies = await asyncio.gather(
        *(dispatcher.handle(said_by(user, rng.choice(written).format(n=n, a=letter[n]), f"m{n}")) for user, n in said),
    )
    assert {reply.text[:3] for reply in replies} == {"已记录"}
    assert effects(dispatcher) == [(user, n, letter[n], 1) for user in sorted(people) for n in letter]
    assert totals_are_the_ledger(dispatcher)


async def test_tapped_answers_in_any_order_land_on_their_own_question(dispatcher: Dispatcher, people: dict[str, int]) -> None:
    letter = {n: "ABCD"[n % 4] for n in range(1, 11)}
    taps = [(user, sitting, n) for user, sitting in people.items() for n in letter]
    random.Random(8).shuffle(taps)
    replies = await asyncio.gather(*(dispatcher.handle(said_by(user, letter[n], f"t{n}", task=f"s{sitting}.{n}")) for user, sitting, n in taps))
    assert {reply.text[:3] for reply in replies} == {"已记录"}
    assert effects(dispatcher) == [(user, n, letter[n], 1) for user in sorted(people) for n in letter]


async def test_a_number_that_is_not_in_the_set_is_refused(dispatcher: Dispatcher, people: dict[str, int]) -> None:
    user = next(iter(people))
    assert (await dispatcher.handle(said_by(user, "11B", "m1"))).text.startswith("未记录")
    assert (await dispatcher.handle(said_by(user, "0B", "m2"))).text.startswith("未记录")
    assert effects(dispatcher) == []


async def test_a_numbered_answer_is_not_taken_for_the_words_of_the_question_in_hand(dispatcher: Dispatcher, shipped: Library) -> None:
    """A question that is answered in writing is in hand; 第2题 B is said of another one all the same, however it is written."""
    catalog = dispatcher.catalog()
    written = next(name for name in catalog.drawn if shipped.questions[name].kind == "fill")

    def roll(session: Session) -> None:
        person_id = enroll(session, "4001")
        open_set(session, catalog, person_id, "practice", "随机@1", [written, *singles(catalog, 2)], NOW)

    dispatcher.database.write_now(roll)
    assert (await dispatcher.handle(said_by("4001", "第2题 B", "m1"))).text.startswith("已记录")
    assert (await dispatcher.handle(said_by("4001", "3A", "m2"))).text.startswith("已记录")
    assert effects(dispatcher) == [("4001", 2, "B", 1), ("4001", 3, "A", 1)]
    assert (await dispatcher.handle(said_by("4001", "2A", "m3"))).text.startswith("未记录")
    assert (await dispatcher.handle(said_by("4001", f"第1题 {shipped.questions[written].accepted[0]}", "m4"))).text.startswith("已记录。✅")
    assert len(effects(dispatcher)) == 3


@pytest.mark.parametrize("task", ["s{own}.1", "s{other}.1", "s{done}.2", "s999999.1", "s{own}.11", "s{own}.0", "x1.1", "s1", "r999.1"])
async def test_a_tap_on_an_old_or_foreign_card_is_refused_and_changes_nothing(dispatcher: Dispatcher, task: str) -> None:
    """Answered before, another person's, of a finished set, of nothing at all."""
    catalog = dispatcher.catalog()

    def roll(session: Session) -> dict[str, int]:
        person_id, done = with_round(session, catalog, "4001")
        sittings.close_sitting(session, done, "left", NOW)
        own = quiz.start_practice(session, catalog, person_id, "", NOW, random.Random(3)).sitting.id
        return {"own": own, "done": done, "other": with_round(session, catalog, "4002")[1]}

    ids = dispatcher.database.write_now(roll)
    question = rows(dispatcher.database, f"SELECT question FROM sitting_item WHERE sitting_id = {ids['own']} AND n = 1")[0][0]
    choice = right_answer(catalog.library.questions[str(question)])
    assert (await dispatcher.handle(said_by("4001", choice, "m1", task=f"s{ids['own']}.1"))).text.startswith("已记录")
    before = [
        rows(dispatcher.database, f"SELECT * FROM {table} ORDER BY 1, 2") for table in ("answer", "ledger", "sitting", "focus", "notebook_card")
    ]

    reply = await dispatcher.handle(said_by("4001", "A", "m2", task=task.format(**ids)))

    assert not reply.text.startswith("已记录")
    assert "未记录" in reply.text or "失效" in reply.text or "结束" in reply.text
    assert [
        rows(dispatcher.database, f"SELECT * FROM {table} ORDER BY 1, 2") for table in ("answer", "ledger", "sitting", "focus", "notebook_card")
    ] == before


async def test_of_two_taps_on_one_card_the_first_stands(dispatcher: Dispatcher, people: dict[str, int]) -> None:
    """A and at once B, by everybody; whichever was heard first is recorded, and the other is told so."""
    taps = [(user, sitting, letter) for user, sitting in people.items() for letter in "AB"]
    replies = await asyncio.gather(*(dispatcher.handle(said_by(user, letter, f"t{letter}", task=f"s{sitting}.1")) for user, sitting, letter in taps))
    for user in people:
        mine = [(letter, reply) for (who, _, letter), reply in zip(taps, replies, strict=True) if who == user]
        assert sorted(reply.text[:3] for _, reply in mine) == ["已记录", "未记录"]
        kept = next(letter for letter, reply in mine if reply.text.startswith("已记录"))
        assert (user, 1, kept, 1) in effects(dispatcher)
    assert len(effects(dispatcher)) == PEOPLE


async def test_twenty_messages_of_one_person_at_once_equal_some_order(dispatcher: Dispatcher, replica: Dispatcher, people: dict[str, int]) -> None:
    """Ten questions in hand and twenty letters at once, at two replicas: ten stand, ten are refused."""
    users = list(people)[:10]
    replies = await asyncio.gather(*((dispatcher, replica)[n % 2].handle(said_by(user, "ABCD"[n % 4], f"m{n}")) for user in users for n in range(20)))
    assert Counter(reply.text[:3] for reply in replies) == {"已记录": 100, "未记录": 100}
    assert [(user, n, 1) for user, n, _, once in effects(dispatcher) if once == 1] == [(user, n, 1) for user in sorted(users) for n in range(1, 11)]
    assert rows(dispatcher.database, "SELECT COUNT(*) FROM sitting WHERE state = 'done'") == [(10,)]
    assert totals_are_the_ledger(dispatcher)


async def test_a_message_that_was_refused_left_nothing_but_its_reply(dispatcher: Dispatcher, people: dict[str, int]) -> None:
    tables = ("answer", "ledger", "notebook_card", "uncredited", "year_total", "day_total", "audit")
    replies = await asyncio.gather(*(dispatcher.handle(said_by(user, "今天天气真好呀我们去哪里吃饭", "m1")) for user in people))
    assert {reply.text[:3] for reply in replies} == {"未记录"}
    assert [rows(dispatcher.database, f"SELECT COUNT(*) FROM {table}") for table in tables] == [[(0,)]] * len(tables)
    kept = [json.loads(reply)["text"] for (reply,) in rows(dispatcher.database, "SELECT reply FROM inbox")]
    assert sorted(kept) == sorted(reply.text for reply in replies)


@pytest.mark.parametrize("words", ["B", "报表 达标率"])
async def test_a_refused_message_is_refused_alike_after_a_restart_and_by_another_replica(
    dispatcher: Dispatcher, replica: Dispatcher, people: dict[str, int], words: str
) -> None:
    """B is refused because no question is in hand; then one is put, and the same bytes come again."""
    dispatcher.database.write_now(lambda session: enroll(session, "2000"))
    first = (await dispatcher.handle(said_by("2000", words, "m1"))).text
    assert first.startswith("未记录" if words == "B" else "没有看懂")
    asked = (await dispatcher.handle(said_by("2000", "每日", "m2"))).card
    assert asked is not None
    assert asked.head.startswith("第1/5题")
    restarted = Dispatcher(dispatcher.database, dispatcher.catalog, rng=random.Random(7))
    assert [(await other.handle(said_by("2000", words, "m1"))).text for other in (restarted, replica, dispatcher)] == [first] * 3
    assert rows(dispatcher.database, "SELECT COUNT(*) FROM answer") == [(0,)]
    assert (await replica.handle(said_by("2000", "B", "m3"))).text.startswith("已记录"), "a new message is a new answer"


async def test_copies_of_a_refused_message_that_come_together_get_one_reply(
    dispatcher: Dispatcher, replica: Dispatcher, people: dict[str, int]
) -> None:
    said = [said_by(user, "B", "m1", "practice:1:99") for user in people]
    replies = await asyncio.gather(*((dispatcher, replica)[n % 2].handle(message) for message in said for n in range(4)))
    assert {len({reply.text for reply in replies[n : n + 4]}) for n in range(0, len(replies), 4)} == {1}
    assert rows(dispatcher.database, "SELECT COUNT(*) FROM inbox") == [(PEOPLE,)]


async def test_a_retry_of_a_refused_message_is_refused_in_the_same_words_and_answers_nothing(chat: Chat) -> None:
    message = chat.message("B")
    first = await chat.hear(message)
    assert first.startswith("未记录")
    assert "第1/5题" in await chat.say("每日")
    assert await chat.hear(message) == first
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM answer") == [(0,)]


@pytest.mark.parametrize("said", ["纠错 a\0b", "纠错 半个\ud800字", "绑定 a\0b 12345678", "练习 民法典\0", "\0"])
async def test_what_no_database_keeps_is_left_out_of_what_was_said(chat: Chat, said: str) -> None:
    await chat.say("每日")
    await chat.say(right_answer(question_in_hand(chat)))
    assert not (await chat.say(said)).startswith("系统")
    assert not (await Chat(chat.dispatcher, chat.clock, "nobody").say(said)).startswith("系统")


async def test_a_clock_that_stands_still_does_not_hide_a_message(chat: Chat, clock: Clock) -> None:
    """Two different messages in the same microsecond are two."""
    await chat.say("每日")
    ask: QuestionCard | None = chat.last.card
    assert ask is not None
    assert (await chat.say(right_answer(question_in_hand(chat)), after=0)).startswith("已记录")
    assert (await chat.say(right_answer(question_in_hand(chat)), after=0)).startswith("已记录")
