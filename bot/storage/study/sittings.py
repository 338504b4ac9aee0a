"""Sittings as rows: their items, the recorded answers with their scores, the daily sets, and the reports on questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from bot.domain.message import Refusal
from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_SITTING = Statement("SELECT id, person_id, kind, scope, size, next, state FROM sitting WHERE id = :id")
_LAST_SITTING = Statement(
    """SELECT id, person_id, kind, scope, size, next, state FROM sitting
       WHERE person_id = :person_id AND kind = :kind AND scope = :scope ORDER BY id DESC LIMIT 1"""
)
_OPEN_SITTING = Statement(
    """INSERT INTO sitting (person_id, kind, scope, size, next, state, opened_at)
       VALUES (:person_id, :kind, :scope, :size, 1, 'open', :at) RETURNING id"""
)
_ADD_ITEM = Statement(
    "INSERT INTO sitting_item (sitting_id, n, question, version_id, points) VALUES (:sitting_id, :n, :question, :version_id, :points)"
)
_OPEN_OF_KIND = Statement("SELECT id FROM sitting WHERE person_id = :person_id AND kind = :kind AND state = 'open'")
_ARRIVALS = Statement("SELECT n, arrived_at FROM answer WHERE sitting_id = :sitting_id")
_ITEM = Statement("SELECT question, version_id FROM sitting_item WHERE sitting_id = :sitting_id AND n = :n")
_NEXT_ITEM = Statement(
    """SELECT i.n, i.question, i.version_id FROM sitting_item i
       WHERE i.sitting_id = :sitting_id AND i.n >= :after AND i.n <> :but
         AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.sitting_id = i.sitting_id AND a.n = i.n)
       ORDER BY i.n LIMIT 1"""
)
_CURRENT_ITEM = Statement(
    """SELECT s.id, s.person_id, s.kind, s.scope, s.size, s.next, s.state, i.n, i.question, i.version_id
       FROM sitting s JOIN sitting_item i ON i.sitting_id = s.id AND i.n >= s.next
       WHERE s.id = :id AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.sitting_id = i.sitting_id AND a.n = i.n) ORDER BY i.n LIMIT 2"""
)
_SET_NEXT = Statement("UPDATE sitting SET next = :n WHERE id = :id")
_CLOSE = Statement("UPDATE sitting SET state = :state, closed_at = :at, next = size + 1 WHERE id = :id AND state = 'open'")
_RECORDED_ANSWER = Statement("SELECT id, choice, correct, earned, provisional FROM answer WHERE sitting_id = :sitting_id AND n = :n")
_SCORE = Statement(
    "SELECT COUNT(*), COALESCE(SUM(correct), 0), COALESCE(SUM(earned), 0), COALESCE(SUM(provisional), 0) FROM answer WHERE sitting_id = :sitting_id"
)
_KNOWN_QUESTIONS = Statement("SELECT question, COUNT(*), MAX(id) FROM answer WHERE person_id = :person_id GROUP BY question")
_BEST_RUN = Statement(
    """SELECT COALESCE(MAX(run), 0) FROM (SELECT SUM(a.correct) AS run FROM sitting s JOIN answer a ON a.sitting_id = s.id
       WHERE s.person_id = :person_id AND s.kind = :kind AND s.id <> :but GROUP BY s.id) runs"""
)
_LAST_ANSWER = Statement("SELECT id, sitting_id, n, question, version_id, choice FROM answer WHERE person_id = :person_id ORDER BY id DESC LIMIT 1")
REPORT_LENGTH = 500
"""Characters that one report holds (the table checks it)."""
_ADD_REPORT = Statement(
    """INSERT INTO report (person_id, version_id, answer_id, said, reported_at, answered) VALUES (:person_id, :version_id, :answer_id, :said, :at, '')
       RETURNING id"""
)
_OPEN_REPORT = Statement("SELECT id, said FROM report WHERE person_id = :person_id AND version_id = :version_id AND answered_at IS NULL")
_ADD_TO_REPORT = Statement("UPDATE report SET said = :said WHERE id = :id")
_OPEN_REPORTS = Statement(
    """SELECT r.id, p.name, p.staff_no, r.version_id, COALESCE(a.choice, ''), r.said, r.reported_at
       FROM report r JOIN person p ON p.id = r.person_id LEFT JOIN answer a ON a.id = r.answer_id
       WHERE r.answered_at IS NULL ORDER BY r.id LIMIT :top"""
)
_REPORT_BY_ID = Statement("SELECT person_id, version_id, answered FROM report WHERE id = :id")
_ANSWER_REPORT = Statement("UPDATE report SET answered_by = :by, answered_at = :at, answered = :text WHERE id = :id AND answered_at IS NULL")
_REPORTS_OF_PERSON = Statement("SELECT id, version_id, said, answered, seen_at FROM report WHERE person_id = :person_id ORDER BY id DESC LIMIT :top")
_UNSEEN_ANSWERS = Statement(
    "SELECT id, version_id, answered FROM report WHERE person_id = :person_id AND answered_at IS NOT NULL AND seen_at IS NULL ORDER BY id"
)
_MARK_ANSWERS_SEEN = Statement("UPDATE report SET seen_at = :at WHERE person_id = :person_id AND answered_at IS NOT NULL AND seen_at IS NULL")


@dataclass(frozen=True, slots=True)
class OpenSitting:
    """A sitting as its row stands; `next` is the item in hand, counting from one."""

    id: int
    person_id: int
    kind: str
    scope: str
    size: int
    next: int
    state: str


@dataclass(frozen=True, slots=True)
class SittingItem:
    n: int
    question: str
    version_id: int


@dataclass(frozen=True, slots=True)
class Score:
    """How a sitting stands: answered, right, thousandths earned, how many wait for a person."""

    answered: int
    right: int
    earned: int
    provisional: int


def sitting(session: Session, sitting_id: int) -> OpenSitting | None:
    row = _SITTING.one(session, id=sitting_id)
    return None if row is None else OpenSitting(*row)


def last_sitting(session: Session, person_id: int, kind: str, scope: str) -> OpenSitting | None:
    row = _LAST_SITTING.one(session, person_id=person_id, kind=kind, scope=scope)
    return None if row is None else OpenSitting(*row)


def open_sitting(
    session: Session, person_id: int, kind: str, scope: str, items: Sequence[tuple[str, int]], at: datetime, worth: Mapping[str, int] | None = None
) -> int:
    """A new sitting over (question, version row) pairs, in their order; its id. `worth` is what each question counts, in thousandths of a point."""
    sitting_id = int(_OPEN_SITTING.one(session, person_id=person_id, kind=kind, scope=scope, size=len(items), at=stamp(at))[0])
    _ADD_ITEM.many(
        session,
        [
            {"sitting_id": sitting_id, "n": n, "question": question, "version_id": version_id, "points": (worth or {}).get(question, 0)}
            for n, (question, version_id) in enumerate(items, 1)
        ],
    )
    return sitting_id


def open_sittings_of_kind(session: Session, person_id: int, kind: str) -> list[int]:
    """The open sittings of a kind."""
    return [row[0] for row in _OPEN_OF_KIND.all(session, person_id=person_id, kind=kind)]


def answer_arrivals(session: Session, sitting_id: int) -> dict[int, datetime]:
    """When the answer to each place arrived."""
    return {row[0]: moment(row[1]) for row in _ARRIVALS.all(session, sitting_id=sitting_id)}


def item(session: Session, sitting_id: int, n: int) -> SittingItem | None:
    row = _ITEM.one(session, sitting_id=sitting_id, n=n)
    return None if row is None else SittingItem(n, row[0], row[1])


def next_item(session: Session, sitting_id: int, after: int, but: int = 0) -> SittingItem | None:
    """The first unanswered item from a place on, wrapping around, one place left out; None when there is no other."""
    row = _NEXT_ITEM.one(session, sitting_id=sitting_id, after=after, but=but)
    if row is None and after > 1:
        row = _NEXT_ITEM.one(session, sitting_id=sitting_id, after=1, but=but)
    return None if row is None else SittingItem(*row)


def current_item(session: Session, sitting_id: int) -> tuple[OpenSitting, SittingItem, SittingItem | None] | None:
    """A sitting, its question in hand and, where it stands behind that, the one that follows; None when all are answered.

    One statement for nearly every answer; only who left questions out takes three.
    """
    rows = _CURRENT_ITEM.all(session, id=sitting_id)
    if rows:
        return OpenSitting(*rows[0][:7]), SittingItem(*rows[0][7:]), SittingItem(*rows[1][7:]) if len(rows) > 1 else None
    open_sitting = sitting(session, sitting_id)
    left_out = next_item(session, sitting_id, 1) if open_sitting else None
    return None if open_sitting is None or left_out is None else (open_sitting, left_out, None)


def set_next_item(session: Session, sitting_id: int, n: int) -> None:
    _SET_NEXT.run(session, id=sitting_id, n=n)


def close_sitting(session: Session, sitting_id: int, state: str, at: datetime) -> bool:
    """True for the one call that closed it."""
    return _CLOSE.run(session, id=sitting_id, state=state, at=stamp(at)) == 1


def recorded_answer(session: Session, sitting_id: int, n: int) -> tuple[int, str, bool] | None:
    """(id, choice, correct) of the answer that stands at a place."""
    row = _RECORDED_ANSWER.one(session, sitting_id=sitting_id, n=n)
    return None if row is None else (row[0], row[1], bool(row[2]))


def score(session: Session, sitting_id: int) -> Score:
    return Score(*(int(value) for value in _SCORE.one(session, sitting_id=sitting_id)))


def known_questions(session: Session, person_id: int) -> dict[str, int]:
    """Every question a person has answered, with the id of the last answer (the greater, the later)."""
    return {row[0]: row[2] for row in _KNOWN_QUESTIONS.all(session, person_id=person_id)}


def best_run(session: Session, person_id: int, kind: str, but: int = 0) -> int:
    """The most right answers in one sitting of a kind, one sitting left out; 0 when there is none."""
    return int(_BEST_RUN.one(session, person_id=person_id, kind=kind, but=but)[0])


def last_answer(session: Session, person_id: int) -> tuple[int, int, int, str, int, str] | None:
    """(id, sitting, place, question, version row, choice) of what a person answered last."""
    row = _LAST_ANSWER.one(session, person_id=person_id)
    return None if row is None else tuple(row)


def add_report(session: Session, person_id: int, version_id: int, answer_id: int | None, text: str, reported_at: datetime) -> int:
    """The id of the report; one that is still open about the same version is not doubled: what is new in the words is added to it.

    Raises `Refusal` when the report has no room for them.
    """
    open_report = _OPEN_REPORT.one(session, person_id=person_id, version_id=version_id)
    lines = open_report[1].split("\n") if open_report is not None and open_report[1] else []
    merged = "\n".join([*lines, *([text] if text and text not in lines else [])])
    if len(merged) > REPORT_LENGTH:
        raise Refusal(f"未记录：一道题的报告最多 {REPORT_LENGTH} 字{'，连同您先前写的' if lines else ''}超出了，请写短一些再发。")
    if open_report is not None:
        _ADD_TO_REPORT.run(session, id=open_report[0], said=merged)
        return int(open_report[0])
    return int(_ADD_REPORT.one(session, person_id=person_id, version_id=version_id, answer_id=answer_id, said=text, at=stamp(reported_at))[0])


def open_reports(session: Session, top: int = 5) -> list[tuple[int, str, str, int, str, str, str]]:
    """(id, name, staff_no, version row, the reporter's choice, what was said, when) of what waits for an administrator."""
    return [tuple(row) for row in _OPEN_REPORTS.all(session, top=top)]


def answer_report(session: Session, report_id: int, by: int, text: str, answered_at: datetime) -> tuple[int, int] | None:
    """(reporter, version row) of the report now answered; None when there is none open with that number."""
    row = _REPORT_BY_ID.one(session, id=report_id)
    if row is None or _ANSWER_REPORT.run(session, id=report_id, by=by, text=text, at=stamp(answered_at)) == 0:
        return None
    return row[0], row[1]


def reports_of_person(session: Session, person_id: int, top: int = 5) -> list[tuple[int, int, str, str, str | None]]:
    return [tuple(row) for row in _REPORTS_OF_PERSON.all(session, person_id=person_id, top=top)]


def take_unseen_answers(session: Session, person_id: int, at: datetime) -> list[tuple[int, int, str]]:
    """(report, version row, answer) of what was answered and not yet told; telling happens with this call."""
    rows = [tuple(row) for row in _UNSEEN_ANSWERS.all(session, person_id=person_id)]
    if rows:
        _MARK_ANSWERS_SEEN.run(session, person_id=person_id, at=stamp(at))
    return rows


_FINISHED_DAILY_SETS = Statement(
    """SELECT scope, closed_at FROM sitting
       WHERE person_id = :person_id AND kind = 'daily' AND scope >= :since AND state = 'done' ORDER BY scope"""
)


def finished_daily_sets(session: Session, person_id: int, since: date) -> list[tuple[date, datetime]]:
    """(the day whose set it is, when it was finished) of the sets since a day."""
    return [(date.fromisoformat(row[0]), moment(row[1])) for row in _FINISHED_DAILY_SETS.all(session, person_id=person_id, since=since.isoformat())]
