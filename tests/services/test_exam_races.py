"""Exams under what lines and thumbs do: shuffled, doubled, late, racing the clock; hundreds of seeded rounds.

See bot/docs/reliability.md D6–D10, D15.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.commands.tasks import card_code
from bot.dispatch import Dispatcher
from bot.domain.exam.paper import to_file_letters
from bot.domain.message import Address, Incoming, Refusal
from bot.services.exam import answers, finish, manage, paper_view
from bot.services.exam import attempt as exam_attempt
from bot.storage.db.database import Database
from bot.storage.exam import attempts
from tests.conftest import NOW, enroll
from tests.support.exams import ADMIN, ExamHarness, message

END = NOW + timedelta(minutes=30)
PEOPLE = 150
ITEMS = 10


@dataclass
class Sitter:
    """Somebody who is at the exam: person, sitting, and the letters that each item shows."""

    staff_no: str
    person_id: int
    sitting_id: int
    letters: dict[int, tuple[str, ...]]


@pytest.fixture
def hall(dispatcher: Dispatcher) -> ExamHarness:
    # Twelve hundred answers at once on a busy machine: what is asked here is which of them stands, not how many are turned away in time.
    dispatcher.database._patience = 60.0
    return ExamHarness(dispatcher)


@pytest.fixture
def sitters(hall: ExamHarness) -> list[Sitter]:
    """A hundred and fifty people with ten items each, all begun at nine; a grace of three seconds."""
    names = [f"{1001 + n}" for n in range(PEOPLE)]
    ids = hall.run(lambda session: [enroll(session, one) for one in names])
    exam_id = hall.publish("单选 7×2、判断 3×1；30 分钟；及格 60%", grace_seconds=3)
    rng = random.Random(1)

    def begin(session: Session) -> list[Sitter]:
        found = []
        for name, person_id in zip(names, ids, strict=True):
            sitting_id = exam_attempt.begin(session, hall.catalog, person_id, exam_id, NOW, rng).status.sitting_id
            paper = paper_view.shown_paper(session, hall.catalog, sitting_id)
            found.append(Sitter(name, person_id, sitting_id, {one.n: tuple(said for said, _ in one.options) for one in paper}))
        return found

    made: list[Sitter] = hall.run(begin)
    return made


async def answered(hall: ExamHarness, one: Sitter, n: int, choice: str, arrived: datetime, now: datetime | None = None) -> str:
    """The answer through the database, as a message of this person; 已记录 or the reason why not."""
    incoming = message(arrived, one.staff_no)
    try:
        await hall.dispatcher.database.write(
            lambda session: answers.record_exam_answer(session, hall.catalog, one.person_id, one.sitting_id, n, choice, incoming, now or arrived),
            of=incoming.sender,
        )
    except Refusal as refusal:
        return str(refusal)
    return "已记录"


def recorded(hall: ExamHarness) -> dict[tuple[int, int], str]:
    """(sitting, place) -> choice as its person saw it."""

    def read(session: Session) -> dict[tuple[int, int], str]:
        rows = session.execute(
            text("SELECT a.sitting_id, a.n, a.choice, i.shuffle FROM answer a JOIN sitting_item i ON i.sitting_id = a.sitting_id AND i.n = a.n")
        )
        # The letters of the file, put back through the shuffle of this very paper.
        seen = {letter: letter for letter in "ABCDEFGH"}
        return {
            (row[0], row[1]): next((letter for letter in seen if to_file_letters(letter, row[3]) == row[2]), row[2]) if row[3] else row[2]
            for row in rows
        }

    return hall.dispatcher.database.read_now(read)


async def test_answers_in_any_order_never_land_on_another_item(hall: ExamHarness, sitters: list[Sitter]) -> None:
    """bot/docs/reliability.md D6."""
    rng = random.Random(6)
    said: dict[tuple[int, int], str] = {}
    calls = []
    for one in sitters:
        for n, letters in one.letters.items():
            said[one.sitting_id, n] = rng.choice(letters)
            calls.append((rng.random() * 3, one, n))
    calls.sort(key=lambda call: call[0])
    replies = await asyncio.gather(*(answered(hall, one, n, said[one.sitting_id, n], NOW + timedelta(seconds=after)) for after, one, n in calls))
    assert Counter(replies) == {"已记录": PEOPLE * ITEMS}
    assert recorded(hall) == said


async def test_of_two_taps_the_first_stands_whichever_it_was(hall: ExamHarness, sitters: list[Sitter]) -> None:
    """A double tap, and A then B within fifty milliseconds."""
    rng = random.Random(8)
    said: dict[tuple[int, int], str] = {}
    calls = []
    for one in sitters:
        for n in rng.sample(sorted(one.letters), 4):
            first = rng.choice(one.letters[n])
            second = rng.choice([first, *one.letters[n]])
            said[one.sitting_id, n] = first
            at = NOW + timedelta(seconds=rng.random())
            calls += [(one, n, first, at), (one, n, second, at + timedelta(milliseconds=50 * rng.random()))]
    replies = await asyncio.gather(*(answered(hall, *call) for call in calls))
    assert Counter(reply == "已记录" for reply in replies) == {True: PEOPLE * 4, False: PEOPLE * 4}
    assert all("以第一次为准" in reply for reply in replies if reply != "已记录")
    assert recorded(hall) == said


async def test_arrival_at_the_edge_decides_whatever_the_queue_and_the_clock_do(hall: ExamHarness, sitters: list[Sitter]) -> None:
    """From one second before the end to one after it, in the grace and past it, while the clock closes papers in between."""
    rng = random.Random(9)
    last = END + timedelta(seconds=3)
    expected: dict[tuple[int, int], bool] = {}
    calls = []
    for one in sitters:
        for n in rng.sample(sorted(one.letters), 3):
            arrived = last + timedelta(microseconds=rng.choice((-1_000_000, -1, 0, 1, 1_000_000, rng.randrange(-1_000_000, 1_000_000))))
            expected[one.sitting_id, n] = arrived <= last
            calls.append((one, n, rng.choice(one.letters[n]), arrived, arrived + timedelta(seconds=4 * rng.random())))

    async def tick() -> None:
        for seconds in range(3, 14, 2):
            await hall.dispatcher.database.write(partial(finish.close_due, catalog=hall.catalog, now=END + timedelta(seconds=seconds)))

    rng.shuffle(calls)
    replies, _ = await asyncio.gather(asyncio.gather(*(answered(hall, *call) for call in calls)), tick())
    got = {(one.sitting_id, n): reply == "已记录" for (one, n, *_), reply in zip(calls, replies, strict=True)}
    assert got == expected
    assert set(recorded(hall)) == {place for place, counts in expected.items() if counts}
    while hall.tick(END + timedelta(seconds=20)):
        pass

    def results(session: Session) -> list[tuple[int, int]]:
        query = """SELECT t.score, (SELECT COALESCE(SUM(i.points * a.earned / 1000), 0) FROM answer a JOIN sitting_item i
                   ON i.sitting_id = a.sitting_id AND i.n = a.n WHERE a.sitting_id = t.sitting_id) FROM attempt t WHERE t.state = 'closed'"""
        return [(int(row[0]), int(row[1])) for row in session.execute(text(query))]

    closed = hall.dispatcher.database.read_now(results)
    assert len(closed) == PEOPLE
    assert all(score == earned for score, earned in closed), "what was recorded in time is in the result"


async def test_a_copy_of_a_message_first_heard_in_time_counts_and_a_first_copy_after_the_end_does_not(
    hall: ExamHarness, sitters: list[Sitter]
) -> None:
    """Through the dispatcher, with the ids that platforms give: the retry gets the reply of the first copy, word for word."""
    rng = random.Random(99)
    last = END + timedelta(seconds=3)
    for one in sitters:
        n = rng.choice(sorted(one.letters))
        choice = rng.choice(one.letters[n])
        in_time, late = last - timedelta(seconds=rng.random()), last + timedelta(seconds=0.001 + rng.random())

        def tap(arrived: datetime, one: Sitter = one, n: int = n, choice: str = choice) -> Incoming:
            return Incoming(Address("local", "test", one.staff_no), choice, f"m{one.staff_no}", arrived, "tap", card_code("exam", one.sitting_id, n))

        first_was_heard = rng.random() < 0.5
        if first_was_heard:
            first = await hall.dispatcher.handle(tap(in_time))
            assert first.text.startswith(f"已记录：第 {n} 题 {choice}")
            assert await hall.dispatcher.handle(tap(late)) == first
        else:
            refused = await hall.dispatcher.handle(tap(late))
            assert refused.text.startswith("未记录")
        stands = hall.dispatcher.database.read_now(partial(attempts.item, sitting_id=one.sitting_id, n=n))
        assert stands is not None
        assert (stands.choice is not None) is first_was_heard


async def test_silence_and_an_own_word_that_races_the_clock_end_it_once_with_what_was_saved(
    hall: ExamHarness, sitters: list[Sitter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """bot/docs/reliability.md D10."""
    rng = random.Random(10)
    heard: Counter[int] = Counter()
    monkeypatch.setattr(finish, "ON_CLOSED", [lambda session, catalog, exam, attempt, now: heard.update([attempt.sitting_id])])
    silent, racing = sitters[: PEOPLE // 2], sitters[PEOPLE // 2 :]
    keys = {one.sitting_id: hall.keys(one.sitting_id) for one in sitters}
    saved = {one.sitting_id: rng.randrange(0, ITEMS + 1) for one in sitters}
    for one in sitters:
        for n in range(1, saved[one.sitting_id] + 1):
            assert await answered(hall, one, n, keys[one.sitting_id][n - 1][0], NOW + timedelta(minutes=1)) == "已记录"
    over = END + timedelta(seconds=9)

    async def hand_in(one: Sitter) -> str:
        incoming = message(END + timedelta(seconds=2 * rng.random()), one.staff_no)
        try:
            await hall.dispatcher.database.write(
                lambda session: answers.hand_in(session, hall.catalog, one.person_id, one.sitting_id, incoming, over), of=incoming.sender
            )
        except Refusal as refusal:
            return str(refusal)
        return "交卷"

    async def tick() -> None:
        for _ in range(5):
            await hall.dispatcher.database.write(lambda session: finish.close_due(session, hall.catalog, over))

    both = [hand_in(one) for one in racing]
    both.insert(rng.randrange(len(both)), tick())  # type: ignore[arg-type]
    await asyncio.gather(*both, tick())
    while hall.tick(over):
        pass
    for one in sitters:
        attempt = hall.attempt(one.sitting_id)
        assert (attempt.state, heard[one.sitting_id]) == ("closed", 1)
        assert attempt.score == sum((2000, 1000)[n > 7] for n in range(1, saved[one.sitting_id] + 1))
        assert attempt.closed_at is not None
        assert attempt.closed_at - (attempt.deadline + timedelta(seconds=3)) <= timedelta(seconds=10)
    assert {hall.attempt(one.sitting_id).closed_by for one in silent} == {"clock"}


async def test_twenty_messages_at_once_come_out_as_if_they_had_come_one_by_one(hall: ExamHarness, sitters: list[Sitter]) -> None:
    """Answers, doubles and the word to hand in, all in the same moment: what was told to be recorded is, nothing else, and it counts."""
    rng = random.Random(15)
    for one in sitters[:30]:
        keys = hall.keys(one.sitting_id)
        places = [rng.randrange(1, ITEMS + 1) for _ in range(19)]
        said = [(f"{n}{keys[n - 1][0]}", n) for n in places]
        said.insert(rng.randrange(5, 20), ("确认交卷", 0))
        messages = [message(NOW + timedelta(minutes=1), one.staff_no, words) for words, _ in said]
        replies = await asyncio.gather(*(hall.dispatcher.handle(one_message) for one_message in messages))
        kept = [n for (_, n), reply in zip(said, replies, strict=True) if n and reply.text.startswith("已记录：第")]
        refused = [reply.text for (_, n), reply in zip(said, replies, strict=True) if n and not reply.text.startswith("已记录")]
        assert all(text.startswith("未记录") for text in refused)
        assert len(set(kept)) == len(kept)
        attempt = hall.attempt(one.sitting_id)
        assert (attempt.state, attempt.closed_by) == ("closed", "self")
        assert attempt.score == sum((2000, 1000)[n > 7] for n in kept)
        assert sorted(kept) == sorted(n for sitting_id, n in recorded(hall) if sitting_id == one.sitting_id)


async def test_old_cards_of_other_attempts_other_people_and_cancelled_exams_change_nothing(hall: ExamHarness, dispatcher: Dispatcher) -> None:
    """bot/docs/reliability.md D7."""
    rng = random.Random(7)
    ids = {name: int(hall.run(lambda session, name=name: enroll(session, name))) for name in ("1001", "1002")}
    exam_id = hall.publish("判断 5×1；30 分钟；及格 60%", attempts=3, name="三次")
    first = hall.begin(ids["1001"], exam_id).status.sitting_id
    hall.hand_in(ids["1001"], first)
    now = hall.begin(ids["1001"], exam_id, NOW + timedelta(minutes=1)).status.sitting_id
    other = hall.begin(ids["1002"], exam_id).status.sitting_id
    called_off = hall.publish("判断 5×1；30 分钟；及格 60%", name="取消的")
    hall.hand_in(ids["1002"], other)
    gone = hall.begin(ids["1002"], called_off).status.sitting_id
    hall.run(lambda session: manage.cancel(session, hall.catalog, ADMIN, called_off, "泄题", NOW + timedelta(minutes=1)))
    for _ in range(100):
        staff_no, sitting_id = rng.choice((("1001", first), ("1001", other), ("1002", now), ("1002", gone), ("1001", 999)))
        n = rng.randrange(1, 8)
        tap = Incoming(
            Address("local", "test", staff_no), rng.choice("对错"), f"old{rng.random()}", NOW + timedelta(minutes=2), "tap",
            card_code("exam", sitting_id, n),
        )  # fmt: skip
        assert (await dispatcher.handle(tap)).text.startswith("未记录")
    assert recorded(hall) == {}
    assert (hall.attempt(first).state, hall.attempt(now).state, hall.attempt(gone).state) == ("closed", "open", "closed")


async def test_two_replicas_that_knock_at_once_end_each_paper_once(
    hall: ExamHarness, sitters: list[Sitter], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: Counter[str] = Counter()
    monkeypatch.setattr(finish, "ON_CLOSED", [lambda session, catalog, exam, attempt, now: heard.update([f"closed {attempt.sitting_id}"])])
    monkeypatch.setattr(finish, "ON_ANNOUNCED", [lambda session, catalog, exam, attempt, now: heard.update([f"told {attempt.sitting_id}"])])
    desks = [Database(engine), Database(engine)]
    for moment in (END + timedelta(seconds=9), NOW + timedelta(hours=2, seconds=9)):
        for _ in range(4):
            work = partial(finish.close_due, catalog=hall.catalog, now=moment)
            await asyncio.gather(*(asyncio.to_thread(database.write_now, work) for database in desks))
    assert heard == Counter(f"{what} {one.sitting_id}" for what in ("closed", "told") for one in sitters)
