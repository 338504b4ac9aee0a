"""Short answers that wait for a person's grade: which of them an administrator may grade, and the confirmed grade."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from bot.storage.db.query import Statement
from bot.storage.tables.columns import stamp

_MAY_GRADE = """a.provisional = 1 AND a.person_id <> :by
    AND NOT EXISTS (SELECT 1 FROM attempt t JOIN exam e ON e.id = t.exam_id WHERE t.sitting_id = a.sitting_id AND e.state = 'published')
    AND a.question NOT IN (SELECT i.question FROM attempt t JOIN exam e ON e.id = t.exam_id JOIN sitting_item i ON i.sitting_id = t.sitting_id
                           WHERE t.person_id = :by AND e.state = 'published')
    AND (EXISTS (SELECT 1 FROM role r WHERE r.person_id = :by AND r.role = 'admin' AND r.unit_id IS NULL)
         OR EXISTS (SELECT 1 FROM role r JOIN unit top ON top.id = r.unit_id JOIN post o ON o.person_id = a.person_id JOIN unit u ON u.id = o.unit_id
                    WHERE r.person_id = :by AND r.role = 'admin' AND o.since <= :day AND (o.until IS NULL OR o.until >= :day)
                      AND (u.path = top.path OR substr(u.path, 1, length(top.path) + 1) = top.path || '/')))"""
"""Said of `answer a`: nobody grades an answer of their own, of people they do not look after, of an exam that can still be sat, or of an item of
their own paper, for the key stands beside the answer."""
_WAITING = Statement(
    f"""SELECT a.id, p.name, p.staff_no, a.version_id, a.choice, a.earned FROM answer a JOIN person p ON p.id = a.person_id
        WHERE {_MAY_GRADE} AND NOT EXISTS (SELECT 1 FROM confirmation c WHERE c.answer_id = a.id) ORDER BY a.id LIMIT :top"""  # noqa: S608
)
_FIND_GRADABLE = Statement(f"SELECT a.person_id, a.sitting_id, a.question FROM answer a WHERE a.id = :id AND {_MAY_GRADE}")  # noqa: S608
_AUTHOR = Statement("SELECT person_id FROM answer WHERE id = :id AND provisional = 1")
_CONFIRM = Statement(
    """INSERT INTO confirmation (answer_id, earned, confirmed_by, confirmed_at) VALUES (:answer_id, :earned, :by, :at)
       ON CONFLICT (answer_id) DO NOTHING"""
)


@dataclass(frozen=True, slots=True)
class WaitingAnswer:
    """A short answer that somebody may grade: whose, in which sitting, to which question."""

    person_id: int
    sitting_id: int
    question: str


def list_ungraded(session: Session, by: int, day: date, top: int = 5) -> list[tuple[int, str, str, int, str, int]]:
    """(answer, name, staff_no, version row, text, thousandths) of what waits for a grade by this administrator, oldest first."""
    return [tuple(row) for row in _WAITING.all(session, by=by, day=day.isoformat(), top=top)]


def find_gradable(session: Session, answer_id: int, by: int, day: date) -> WaitingAnswer | None:
    """The answer, when this administrator may grade it."""
    row = _FIND_GRADABLE.one(session, id=answer_id, by=by, day=day.isoformat())
    return None if row is None else WaitingAnswer(*row)


def is_own_answer(session: Session, answer_id: int, by: int) -> bool:
    row = _AUTHOR.one(session, id=answer_id)
    return row is not None and row[0] == by


def confirm(session: Session, answer_id: int, earned: int, by: int, now: datetime) -> bool:
    """True for the one call that confirmed it; `earned` in thousandths of the item."""
    return _CONFIRM.run(session, answer_id=answer_id, earned=earned, by=by, at=stamp(now)) == 1
