"""Sittings as rows: their items, the recorded answers with their scores, the daily sets, and the reports on questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Integer, and_, exists, func, select, update
from sqlmodel import Session

from bot.domain.message import Refusal
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.grading import ReportRow
from bot.storage.tables.people import PersonRow
from bot.storage.tables.study import AnswerRow, SittingItemRow, SittingRow

_answers, _items, _people, _reports, _sittings = (table(row) for row in (AnswerRow, SittingItemRow, PersonRow, ReportRow, SittingRow))

REPORT_LENGTH = 500
"""Characters that one report holds (the table checks it)."""


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


_SELECT = select(*columns(_sittings, OpenSitting))
_OF_KIND = and_(_sittings.c.person_id == bind("person_id"), _sittings.c.kind == bind("kind"))
_SITTING = Query(_SELECT.where(_sittings.c.id == bind("id")), gives=OpenSitting)
_LAST_SITTING = Query(
    _SELECT.where(_OF_KIND, _sittings.c.scope == bind("scope")).order_by(_sittings.c.id.desc()).limit(1),
    gives=OpenSitting,
)
_OPEN_SITTING = Query(
    insert(_sittings).values(binds("person_id", "kind", "scope", "size", "opened_at") | {"next": 1, "state": "open"}).returning(_sittings.c.id),
    gives=int,
)
_ADD_ITEM = Query(insert(_items).values(binds("sitting_id", "n", "question", "version_id", "points") | {"shuffle": ""}))
_OPEN_OF_KIND = Query(select(_sittings.c.id).where(_OF_KIND, _sittings.c.state == "open"), gives=int)
_OPENED_BEFORE = Query(
    select(_sittings.c.id).where(
        _sittings.c.person_id == bind("person_id"),
        _sittings.c.kind.in_(bind("kinds")),
        _sittings.c.state == "open",
        _sittings.c.opened_at < bind("before"),
    ),
    gives=int,
)
_OF_SITTING = _answers.c.sitting_id == bind("sitting_id")
_ARRIVALS = Query(select(_answers.c.n, _answers.c.arrived_at).where(_OF_SITTING), gives=tuple[int, datetime])
_SELECT_ITEM = select(*columns(_items, SittingItem))
_ITEM = Query(_SELECT_ITEM.where(_items.c.sitting_id == bind("sitting_id"), _items.c.n == bind("n")), gives=SittingItem)
_UNANSWERED = ~exists(select(_answers.c.id).where(_answers.c.sitting_id == _items.c.sitting_id, _answers.c.n == _items.c.n))
_NEXT_ITEM = Query(
    _SELECT_ITEM.where(_items.c.sitting_id == bind("sitting_id"), _items.c.n >= bind("after"), _items.c.n != bind("but"), _UNANSWERED)
    .order_by(_items.c.n)
    .limit(1),
    gives=SittingItem,
)
_CURRENT_ITEM = Query(
    select(*columns(_sittings, OpenSitting), *columns(_items, SittingItem))
    .join_from(_sittings, _items, and_(_items.c.sitting_id == _sittings.c.id, _items.c.n >= _sittings.c.next))
    .where(_sittings.c.id == bind("id"), _UNANSWERED)
    .order_by(_items.c.n)
    .limit(2),
    gives=(OpenSitting, SittingItem),
)
_SET_NEXT = Query(update(_sittings).values(next=bind("n")).where(_sittings.c.id == bind("id")))
_CLOSE = Query(
    update(_sittings)
    .values(binds("state", "closed_at") | {"next": _sittings.c.size + 1})
    .where(_sittings.c.id == bind("id"), _sittings.c.state == "open")
)
_RECORDED_ANSWER = Query(
    select(_answers.c.id, _answers.c.choice, _answers.c.correct).where(_OF_SITTING, _answers.c.n == bind("n")), gives=tuple[int, str, bool]
)
_SCORE = Query(
    select(
        func.count().label("answered"),
        func.coalesce(func.sum(_answers.c.correct, type_=Integer()), 0).label("right"),
        func.coalesce(func.sum(_answers.c.earned), 0).label("earned"),
        func.coalesce(func.sum(_answers.c.provisional, type_=Integer()), 0).label("provisional"),
    ).where(_OF_SITTING),
    gives=Score,
)
_KNOWN_QUESTIONS = Query(
    select(_answers.c.question, func.max(_answers.c.id)).where(_answers.c.person_id == bind("person_id")).group_by(_answers.c.question),
    gives=tuple[str, int],
)
_runs = (
    select(func.sum(_answers.c.correct, type_=Integer()).label("run"))
    .join_from(_sittings, _answers, _answers.c.sitting_id == _sittings.c.id)
    .where(_OF_KIND, _sittings.c.id != bind("but"))
    .group_by(_sittings.c.id)
    .subquery("runs")
)
_BEST_RUN = Query(select(func.coalesce(func.max(_runs.c.run), 0)), gives=int)
_LAST_ANSWER = Query(
    select(_answers.c.id, _answers.c.sitting_id, _answers.c.n, _answers.c.question, _answers.c.version_id, _answers.c.choice)
    .where(_answers.c.person_id == bind("person_id"))
    # "+ 0": a person's answers are sorted; walking everybody's back from the newest is what PostgreSQL would try otherwise.
    .order_by((_answers.c.id + 0).desc())
    .limit(1),
    gives=tuple[int, int, int, str, int, str],
)
_FINISHED_DAILY_SETS = Query(
    select(_sittings.c.scope, _sittings.c.closed_at)
    .where(_sittings.c.person_id == bind("person_id"), _sittings.c.kind == "daily", _sittings.c.scope >= bind("since"), _sittings.c.state == "done")
    .order_by(_sittings.c.scope),
    gives=tuple[str, datetime],
)
_ADD_REPORT = Query(
    insert(_reports).values(binds("person_id", "version_id", "answer_id", "said", "reported_at") | {"answered": ""}).returning(_reports.c.id),
    gives=int,
)
_OPEN_REPORT = Query(
    select(_reports.c.id, _reports.c.said).where(
        _reports.c.person_id == bind("person_id"), _reports.c.version_id == bind("version_id"), _reports.c.answered_at.is_(None)
    ),
    gives=tuple[int, str],
)
_ADD_TO_REPORT = Query(update(_reports).values(said=bind("said")).where(_reports.c.id == bind("id")))
_OPEN_REPORTS = Query(
    select(
        _reports.c.id,
        _people.c.name,
        _people.c.staff_no,
        _reports.c.version_id,
        func.coalesce(_answers.c.choice, ""),
        _reports.c.said,
        _reports.c.reported_at,
    )
    .join_from(_reports, _people, _people.c.id == _reports.c.person_id)
    .outerjoin(_answers, _answers.c.id == _reports.c.answer_id)
    .where(_reports.c.answered_at.is_(None))
    .order_by(_reports.c.id)
    .limit(bind("top")),
    gives=tuple[int, str, str, int, str, str, datetime],
)
_REPORT_BY_ID = Query(select(_reports.c.person_id, _reports.c.version_id).where(_reports.c.id == bind("id")), gives=tuple[int, int])
_ANSWER_REPORT = Query(
    update(_reports).values(binds("answered_by", "answered_at", "answered")).where(_reports.c.id == bind("id"), _reports.c.answered_at.is_(None))
)
_REPORTS_OF_PERSON = Query(
    select(_reports.c.id, _reports.c.version_id, _reports.c.said, _reports.c.answered, _reports.c.seen_at)
    .where(_reports.c.person_id == bind("person_id"))
    .order_by(_reports.c.id.desc())
    .limit(bind("top")),
    gives=tuple[int, int, str, str, datetime | None],
)
_UNSEEN = and_(_reports.c.person_id == bind("person_id"), _reports.c.answered_at.is_not(None), _reports.c.seen_at.is_(None))
_UNSEEN_ANSWERS = Query(
    select(_reports.c.id, _reports.c.version_id, _reports.c.answered).where(_UNSEEN).order_by(_reports.c.id), gives=tuple[int, int, str]
)
_MARK_ANSWER_SEEN = Query(update(_reports).values(seen_at=bind("now")).where(_reports.c.id == bind("id")))
_MARK_ANSWERS_SEEN = Query(update(_reports).values(seen_at=bind("now")).where(_UNSEEN))


def sitting(session: Session, sitting_id: int) -> OpenSitting | None:
    return _SITTING.first(session, id=sitting_id)


def last_sitting(session: Session, person_id: int, kind: str, scope: str) -> OpenSitting | None:
    return _LAST_SITTING.first(session, person_id=person_id, kind=kind, scope=scope)


def open_sitting(
    session: Session, person_id: int, kind: str, scope: str, items: Sequence[tuple[str, int]], at: datetime, worth: Mapping[str, int] | None = None
) -> int:
    """A new sitting over (question, version row) pairs, in their order; its id. `worth` is what each question counts, in thousandths of a point."""
    sitting_id = _OPEN_SITTING.one(session, person_id=person_id, kind=kind, scope=scope, size=len(items), opened_at=at)
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
    return _OPEN_OF_KIND.all(session, person_id=person_id, kind=kind)


def open_sittings_from_before(session: Session, person_id: int, kinds: Sequence[str], before: datetime) -> list[int]:
    """The open sittings of some kinds that were opened before a moment."""
    return _OPENED_BEFORE.all(session, person_id=person_id, kinds=kinds, before=before)


def answer_arrivals(session: Session, sitting_id: int) -> dict[int, datetime]:
    """When the answer to each place arrived."""
    return dict(_ARRIVALS.all(session, sitting_id=sitting_id))


def item(session: Session, sitting_id: int, n: int) -> SittingItem | None:
    return _ITEM.first(session, sitting_id=sitting_id, n=n)


def next_item(session: Session, sitting_id: int, after: int, but: int = 0) -> SittingItem | None:
    """The first unanswered item from a place on, wrapping around, one place left out; None when there is no other."""
    following = _NEXT_ITEM.first(session, sitting_id=sitting_id, after=after, but=but)
    return following if following is not None or after <= 1 else _NEXT_ITEM.first(session, sitting_id=sitting_id, after=1, but=but)


def current_item(session: Session, sitting_id: int) -> tuple[OpenSitting, SittingItem, SittingItem | None] | None:
    """A sitting, its question in hand and, where it stands behind that, the one that follows; None when all are answered.

    One statement for nearly every answer; only who left questions out takes three.
    """
    rows = _CURRENT_ITEM.all(session, id=sitting_id)
    if rows:
        return (*rows[0], rows[1][1] if len(rows) > 1 else None)
    open_sitting = sitting(session, sitting_id)
    left_out = next_item(session, sitting_id, 1) if open_sitting else None
    return None if open_sitting is None or left_out is None else (open_sitting, left_out, None)


def set_next_item(session: Session, sitting_id: int, n: int) -> None:
    _SET_NEXT.run(session, id=sitting_id, n=n)


def close_sitting(session: Session, sitting_id: int, state: str, at: datetime) -> bool:
    """True for the one call that closed it."""
    return _CLOSE.run(session, id=sitting_id, state=state, closed_at=at) == 1


def recorded_answer(session: Session, sitting_id: int, n: int) -> tuple[int, str, bool] | None:
    """(id, choice, correct) of the answer that stands at a place."""
    return _RECORDED_ANSWER.first(session, sitting_id=sitting_id, n=n)


def score(session: Session, sitting_id: int) -> Score:
    return _SCORE.one(session, sitting_id=sitting_id)


def known_questions(session: Session, person_id: int) -> dict[str, int]:
    """Every question a person has answered, with the id of the last answer (the greater, the later)."""
    return dict(_KNOWN_QUESTIONS.all(session, person_id=person_id))


def best_run(session: Session, person_id: int, kind: str, but: int = 0) -> int:
    """The most right answers in one sitting of a kind, one sitting left out; 0 when there is none."""
    return _BEST_RUN.one(session, person_id=person_id, kind=kind, but=but)


def last_answer(session: Session, person_id: int) -> tuple[int, int, int, str, int, str] | None:
    """(id, sitting, place, question, version row, choice) of what a person answered last."""
    return _LAST_ANSWER.first(session, person_id=person_id)


def add_report(session: Session, person_id: int, version_id: int, answer_id: int | None, text: str, reported_at: datetime) -> int:
    """The id of the report; one that is still open about the same version is not doubled: what is new in the words is added to it.

    Raises `Refusal` when the report has no room for them.
    """
    open_report = _OPEN_REPORT.first(session, person_id=person_id, version_id=version_id)
    lines = open_report[1].split("\n") if open_report is not None and open_report[1] else []
    merged = "\n".join([*lines, *([text] if text and text not in lines else [])])
    if len(merged) > REPORT_LENGTH:
        raise Refusal(f"未记录：一道题的报告最多 {REPORT_LENGTH} 字{'，连同您先前写的' if lines else ''}超出了，请写短一些再发。")
    if open_report is not None:
        _ADD_TO_REPORT.run(session, id=open_report[0], said=merged)
        return open_report[0]
    return _ADD_REPORT.one(session, person_id=person_id, version_id=version_id, answer_id=answer_id, said=text, reported_at=reported_at)


def open_reports(session: Session, top: int = 5) -> list[tuple[int, str, str, int, str, str, datetime]]:
    """(id, name, staff_no, version row, the reporter's choice, what was said, when) of what waits for an administrator."""
    return _OPEN_REPORTS.all(session, top=top)


def answer_report(session: Session, report_id: int, by: int, text: str, answered_at: datetime) -> tuple[int, int] | None:
    """(reporter, version row) of the report now answered; None when there is none open with that number."""
    report = _REPORT_BY_ID.first(session, id=report_id)
    if report is None or _ANSWER_REPORT.run(session, id=report_id, answered_by=by, answered=text, answered_at=answered_at) == 0:
        return None
    return report


def reports_of_person(session: Session, person_id: int, top: int = 5) -> list[tuple[int, int, str, str, datetime | None]]:
    return _REPORTS_OF_PERSON.all(session, person_id=person_id, top=top)


def take_unseen_answers(session: Session, person_id: int, at: datetime) -> list[tuple[int, int, str]]:
    """(report, version row, answer) of what was answered and not yet told; telling happens with this call."""
    unseen = _UNSEEN_ANSWERS.all(session, person_id=person_id)
    if unseen:
        _MARK_ANSWERS_SEEN.run(session, person_id=person_id, now=at)
    return unseen


def mark_answer_seen(session: Session, report_id: int, at: datetime) -> None:
    """The answer to a report goes to its reporter in a message of its own."""
    _MARK_ANSWER_SEEN.run(session, id=report_id, now=at)


def finished_daily_sets(session: Session, person_id: int, since: date) -> list[tuple[date, datetime]]:
    """(the day whose set it is, when it was finished) of the sets since a day."""
    return [
        (date.fromisoformat(day), finished_at) for day, finished_at in _FINISHED_DAILY_SETS.all(session, person_id=person_id, since=since.isoformat())
    ]
