"""What an exam says of its questions, and how it was answered: first tries, cells of few people hidden, evidence that costs nobody a point."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.grading.correction import Amendment
from bot.domain.message import Address, Incoming, Refusal
from bot.domain.reports import ReportQuery, Scope, Table
from bot.domain.times import day_of
from bot.services.exam import answers
from bot.services.grading import corrections
from bot.services.grading.corrections import WantedCorrection
from bot.services.reports.formats import phone
from bot.storage.exam import attempts as exam_attempts
from bot.storage.reports.registry import REPORTS
from tests.conftest import NOW, enroll
from tests.support.exams import ADMIN, SECOND, ExamHarness
from tests.support.rows import put

AFTER = NOW + timedelta(hours=3)


class Room:
    """A dispatcher over which exams of fixed questions are sat; choices are given in the letters of the file."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.hall = ExamHarness(dispatcher)
        catalog = dispatcher.catalog()
        self.questions = [
            one for one in catalog.library.questions.values() if one.kind == "single" and one.id in catalog.drawn and len(one.options) == 4
        ]

    def people(self, n: int, unit: str = "某局/办公室", first: int = 1001) -> list[int]:
        def work(session: Session) -> list[int]:
            return [enroll(session, str(first + one), unit=unit) for one in range(n)]

        found: list[int] = self.hall.run(work)
        return found

    def publish(self, size: int, attempts: int = 1) -> int:
        fixed = "、".join(f"{one.id}×2" for one in self.questions[:size])
        return self.hall.publish(f"固定 {fixed}；60 分钟；及格 60%", attempts=attempts)

    def letter(self, n: int, right: bool, wrong: int = 0) -> str:
        """A choice at the n-th question: the key, or its first, second or third wrong option."""
        question = self.questions[n]
        return question.key if right else [one for one in question.letters if one != question.key][wrong]

    def sit(self, person: int, exam: int, chosen: list[str], seconds: float = 30, channels: str = "", at: Any = NOW) -> int:
        """Answer every question in the order of the paper with what was chosen at it, so many seconds apart."""
        sitting = int(self.hall.begin(person, exam, at, random.Random(person)).status.sitting_id)
        ids = [one.id for one in self.questions]

        def work(session: Session) -> None:
            from bot.domain.exam.paper import to_shown_letters

            for placed in exam_attempts.items(session, sitting):
                choice = to_shown_letters(chosen[ids.index(placed.question)], placed.shuffle)
                came = at + timedelta(seconds=seconds * placed.n)
                channel = {"w": "wecom", "d": "dingtalk"}[channels[placed.n - 1]] if channels else "local"
                incoming = Incoming(Address(channel, "test", str(person)), choice, f"{sitting}.{placed.n}", came)
                answers.record_exam_answer(session, self.hall.catalog, person, sitting, placed.n, choice, incoming, came)

        self.hall.run(work)
        self.hall.hand_in(person, sitting, at + timedelta(minutes=50))
        return sitting

    def look(self, name: str, exam: int | str, scope: Scope | None = None) -> Table:
        day = day_of(AFTER)
        ask = ReportQuery(day.year, day, day, self.hall.catalog.policy, str(exam))
        return self.hall.dispatcher.database.read_now(lambda session: REPORTS[name].run(session, scope or Scope(), ask).in_memory())


@pytest.fixture
def room(dispatcher: Dispatcher) -> Room:
    return Room(dispatcher)


def cells(table: Table, part: int, *keys: str) -> list[tuple[Any, ...]]:
    columns = [column.key for column in table.parts[part].columns]
    return [tuple(row[columns.index(key)] for key in keys) for row in table.parts[part].rows]


def test_every_question_has_its_figures_and_the_doubtful_come_first(room: Room) -> None:
    """Twenty people: the first question is got right by the weaker half, three others by the stronger, one by every second person, one by all."""
    people, exam = room.people(20), room.publish(6)
    for n, person in enumerate(people):
        strong = n < 10
        right = [not strong, strong, True, n % 2 == 0, strong, strong]
        room.sit(person, exam, [room.letter(place, one, wrong=n % 3) for place, one in enumerate(right)])
    room.hall.tick(AFTER)

    found = room.look("题目分析", exam)

    by_name = {row[0]: row[1:] for row in cells(found, 0, "question", "n", "facility", "rest", "seconds", "flags")}
    first, second, third = (by_name[room.questions[n].id] for n in range(3))
    assert (first[0], float(first[1]), first[3]) == (20, 50.0, 30)
    assert float(first[2]) < -0.5
    assert "区分度为负，先核对标准答案" in first[4]
    assert (float(second[1]), float(second[2]) > 0.5, second[4]) == (50.0, True, "")
    assert (float(third[1]), third[2]) == (100.0, None)
    assert "偏易" in third[4]
    assert cells(found, 0, "question")[0] == (room.questions[0].id,)
    assert f"请查看 1 题：{room.questions[0].id}。" in found.notes
    shares = {row[1:3]: row[3:] for row in cells(found, 2, "question", "option", "is_key", "share", "upper") if row[0] == room.questions[2].id}
    assert [float(row[0]) for key, row in shares.items() if key[1]] == [100.0]
    assert "首次参考 20 人" in found.notes[0]
    assert "KR-20" in found.notes[0]
    assert "题余相关" in "".join(found.terms)
    assert len(phone(found).encode()) <= 2048
    assert phone(found).index("【整卷】") < phone(found).index("【题目】") < phone(found).index(f"· {room.questions[0].id} 区分度为负")


def test_what_shows_keys_is_not_shown_while_anybody_can_sit_the_exam(room: Room) -> None:
    people, exam = room.people(6), room.publish(3)
    for person in people:
        room.sit(person, exam, [room.letter(n, True) for n in range(3)])

    with pytest.raises(Refusal, match="还没有结束"):
        room.look("题目分析", exam)

    room.hall.tick(AFTER)
    assert len(room.look("题目分析", exam).parts[0].rows) == 3


def test_cells_of_fewer_than_five_people_are_hidden(room: Room) -> None:
    people, exam = room.people(4), room.publish(3)
    for person in people:
        room.sit(person, exam, [room.letter(n, True) for n in range(3)])
    room.hall.tick(AFTER)

    found = room.look("题目分析", exam)

    assert cells(found, 0, "n", "facility", "rest", "tails", "seconds", "blank", "flags") == [(4, None, None, None, None, None, "")] * 3
    assert cells(found, 2, "question") == []
    assert found.notes[0] == "首次参考 4 人，不足 5 人，不作统计。"


def test_a_second_try_does_not_count_and_neither_does_what_was_taken_out(room: Room) -> None:
    people, exam = room.people(6), room.publish(3, attempts=2)
    for person in people:
        room.sit(person, exam, [room.letter(n, False) for n in range(3)])
        room.sit(person, exam, [room.letter(n, True) for n in range(3)], at=NOW + timedelta(minutes=55))
    room.hall.tick(AFTER)
    assert {float(row[0]) for row in cells(room.look("题目分析", exam), 0, "facility")} == {0.0}

    def void(session: Session) -> None:
        wanted = WantedCorrection("exam", exam, room.questions[0].id, Amendment("void"), "题干有歧义")
        made = corrections.propose(session, room.hall.catalog, ADMIN, wanted, AFTER)
        corrections.apply(session, room.hall.catalog, SECOND, made.id, AFTER)

    room.hall.run(void)
    found = room.look("题目分析", exam)
    assert room.questions[0].id not in [row[0] for row in cells(found, 0, "question")]
    assert "已作废 1 题。" in found.notes


def test_a_supervisor_sees_figures_of_the_own_unit_only(room: Room) -> None:
    exam = room.publish(3)
    for person in room.people(5):
        room.sit(person, exam, [room.letter(n, True) for n in range(3)])
    for person in room.people(7, "某局/财务处", 2001):
        room.sit(person, exam, [room.letter(n, False) for n in range(3)])
    room.hall.tick(AFTER)
    root = room.hall.run(lambda session: session.connection().exec_driver_sql("SELECT id FROM unit WHERE path = '某局/办公室'").scalar())

    assert set(cells(room.look("题目分析", exam, Scope((root,))), 0, "n")) == {(5,)}
    assert set(cells(room.look("题目分析", "年度学法考试"), 0, "n")) == {(12,)}


@pytest.mark.parametrize("about", ["99", "没有这场", "0"])
def test_an_exam_that_is_not_there_is_refused(room: Room, about: str) -> None:
    for name in ("题目分析", "考试线索"):
        with pytest.raises(Refusal, match="没有这场考试"):
            room.look(name, about)


# ── Evidence ──


def test_fifty_answers_in_one_second_and_two_channels_are_shown_and_cost_nobody_a_point(room: Room) -> None:
    calm, quick, two = room.people(3)
    exam = room.publish(50)
    right = [room.letter(n, True) for n in range(50)]
    room.sit(calm, exam, right, seconds=40)
    fast = room.sit(quick, exam, right, seconds=0.02)
    room.sit(two, exam, right, seconds=40, channels="w" * 20 + "d" * 30)
    room.hall.tick(AFTER)

    found = room.look("考试线索", exam)

    rows = cells(found, 0, "staff_no", "answers", "hasty", "burst", "turns", "channels")
    assert rows == [("1002", 50, 50, 50, 0, ""), ("1003", 50, 0, 0, 1, "钉钉 30 题、企业微信 20 题")]
    assert float(str(cells(found, 0, "burst_seconds")[0][0])) < 1
    assert room.hall.attempt(fast).score == 100_000
    assert room.hall.attempt(fast).passed is True
    assert "不是结论" in found.notes[0]
    assert "申诉" in found.notes[0]


def test_a_paper_that_was_opened_in_two_browsers_is_shown(room: Room) -> None:
    one, two = room.people(2)
    exam = room.publish(10)
    for person in (one, two):
        room.sit(person, exam, [room.letter(n, True) for n in range(10)], seconds=60)
    room.hall.tick(AFTER)
    stamp, later = "2026-03-02T01:00:00.000000Z", "2026-03-02T09:00:00.000000Z"

    def open_(session: Session) -> None:
        for n, person in enumerate((one, two, two), 1):
            link = {"id": n, "hash": str(n) * 64, "purpose": "exam", "ref": str(exam), "person_id": person, "channel": "wecom", "user": "u"}
            put(session.connection(), "link", {**link, "made_at": stamp, "expires_at": later, "used_at": stamp})
            visit = {"link_id": n, "hash": str(n) * 64, "began_at": stamp, "seen_at": stamp, "expires_at": later}
            put(session.connection(), "visit", visit)

    room.hall.run(open_)

    assert cells(room.look("考试线索", exam), 0, "staff_no", "browsers") == [("1002", 2)]


def test_two_with_the_same_wrong_answers_are_named_and_others_are_not(room: Room) -> None:
    people, exam = room.people(14), room.publish(30)
    rng = random.Random(5)
    papers = [[room.letter(n, rng.random() < 0.55, rng.randrange(3)) for n in range(30)] for _ in people]
    papers[13] = list(papers[4])
    for person, chosen in zip(people, papers, strict=True):
        room.sit(person, exam, chosen, seconds=60)
    room.hall.tick(AFTER)

    found = room.look("考试线索", exam)

    pairs = cells(found, 1, "first", "second", "both_wrong", "same")
    assert [row[:2] for row in pairs] == [("1005", "1014")]
    assert pairs[0][2] == pairs[0][3]
    assert float(str(cells(found, 1, "rarity")[0][0])) < 0.01
    root = room.hall.run(lambda session: enroll(session, "7001", unit="别处")) and Scope(
        (room.hall.run(lambda session: session.connection().exec_driver_sql("SELECT id FROM unit WHERE path = '别处'").scalar()),)
    )
    assert cells(room.look("考试线索", exam, root), 1, "first") == [], "nobody of another unit is named"
