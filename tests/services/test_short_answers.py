"""Short answers are marked by a person: who may, when, and what follows for an exam."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.message import Refusal
from bot.services.exam import finish
from bot.services.grading.short_answers import confirm
from bot.storage import certificate
from bot.storage.exam import attempts
from bot.storage.grading import short_answers
from bot.storage.hours import ledger
from bot.storage.tables.people import RoleRow
from tests.conftest import NOW, enroll
from tests.support.exams import ExamHarness

END = NOW + timedelta(hours=3)


@pytest.fixture
def hall(dispatcher: Dispatcher) -> ExamHarness:
    return ExamHarness(dispatcher)


def waiting(hall: ExamHarness, by: int) -> list[int]:
    return [row[0] for row in hall.run(lambda session: short_answers.list_ungraded(session, by, END.date()))]


def marked(hall: ExamHarness, by: int, answer_id: int, earned: int = 1000) -> None:
    hall.run(lambda session: confirm(session, hall.catalog, answer_id, earned, "对", (by, "9001"), "local", END))


def sat(hall: ExamHarness) -> tuple[int, int, int]:
    """(person, exam, sitting) of somebody who answered one short question, worth everything, and handed it in."""
    person = hall.run(lambda session: enroll(session, "1001"))
    exam_id = hall.publish("简答 1×100；30 分钟；及格 60%")
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    hall.answer(person, sitting_id, 1, "我认为应当依法办理", NOW + timedelta(minutes=1))
    return person, exam_id, sitting_id


def test_an_exams_short_answer_is_marked_after_the_exam_and_its_pass_earns_then(hall: ExamHarness) -> None:
    person, exam_id, sitting_id = sat(hall)
    admin = hall.run(lambda session: enroll(session, "9001", roles=("admin",)))
    (answer_id,) = hall.run(lambda session: session.execute(text("SELECT id FROM answer")).one())
    assert waiting(hall, admin) == [], "its key points stand beside it, and the exam can still be sat"
    with pytest.raises(Refusal, match="考试结束后确认"):
        marked(hall, admin, answer_id)

    hall.run(lambda session: finish.close_due(session, hall.catalog, END))
    assert hall.run(lambda session: attempts.get(session, sitting_id)).passed is None
    assert waiting(hall, admin) == [answer_id]
    marked(hall, admin, answer_id)
    done = hall.run(lambda session: attempts.get(session, sitting_id))
    assert (done.passed, done.score) == (True, 100_000)
    assert hall.run(lambda session: ledger.year_seconds(session, person, 2026))["exam"] == 2 * 2700
    assert hall.run(lambda session: certificate.latest(session, person, ("exam", str(exam_id)))).state == "valid"
    assert hall.run(lambda session: session.execute(text("SELECT actor, target FROM audit WHERE action = '确认简答'")).one()) == (
        "9001",
        f"answer:{answer_id}",
    )
    with pytest.raises(Refusal, match="已经确认过"):
        marked(hall, admin, answer_id, 0)
    assert waiting(hall, admin) == []


def test_a_unit_administrator_marks_the_people_of_that_unit_only(hall: ExamHarness) -> None:
    sat(hall)
    hall.run(lambda session: finish.close_due(session, hall.catalog, END))

    def of(unit: str, staff_no: str) -> int:
        def work(session: Session) -> int:
            made = enroll(session, staff_no, unit=unit)
            unit_id = session.execute(text("SELECT id FROM unit WHERE path = :path"), {"path": unit}).scalar_one()
            session.add(RoleRow(person_id=made, role="admin", unit_id=unit_id))
            session.flush()
            return made

        made = hall.run(work)
        assert isinstance(made, int)
        return made

    (answer_id,) = hall.run(lambda session: session.execute(text("SELECT id FROM answer")).one())
    assert waiting(hall, of("某局/办公室", "9001")) == [answer_id]
    assert waiting(hall, of("某局", "9002")) == [answer_id]
    stranger = of("某局/办公", "9003")
    assert waiting(hall, stranger) == []
    with pytest.raises(Refusal, match="没有编号"):
        marked(hall, stranger, answer_id)


def test_nobody_sees_or_marks_an_answer_of_their_own(hall: ExamHarness) -> None:
    person, _, _ = sat(hall)
    hall.run(lambda session: finish.close_due(session, hall.catalog, END))

    def promote(session: Session) -> None:
        session.add(RoleRow(person_id=person, role="admin"))
        session.flush()

    hall.run(promote)
    (answer_id,) = hall.run(lambda session: session.execute(text("SELECT id FROM answer")).one())
    assert waiting(hall, person) == []
    with pytest.raises(Refusal, match="不能确认自己的作答"):
        marked(hall, person, answer_id)
