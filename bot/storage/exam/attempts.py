"""Rows of attempts and their papers, and the queries that drawing a paper and hiding its right answers need."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Integer, Text, and_, case, cast, exists, func, literal, or_, select, update
from sqlmodel import Session

from bot.domain.exam.exam import Attempt, Exam
from bot.storage.db.engine import is_sqlite_session
from bot.storage.db.query import Query, bind, binds, columns, cross_join, given, insert, table
from bot.storage.tables.columns import FlagType
from bot.storage.tables.exam import AttemptRow, ExamRow
from bot.storage.tables.people import PersonRow
from bot.storage.tables.study import AnswerRow, SittingItemRow, SittingRow

_ATTEMPT, _EXAM, _ITEM, _ANSWER, _SITTING, _PERSON = (table(row) for row in (AttemptRow, ExamRow, SittingItemRow, AnswerRow, SittingRow, PersonRow))


@dataclass(frozen=True, slots=True)
class PaperItem:
    """The n-th item of a paper: version, worth in thousandths of a point, order of options, and the choice recorded in letters of the file."""

    n: int
    question: str
    version_id: int
    points: int
    shuffle: str
    choice: str | None


@dataclass(frozen=True, slots=True)
class OpenExamAttempt:
    """An attempt at an exam that others can still take."""

    name: str
    closes_at: datetime
    is_open: bool
    deadline: datetime
    grace_seconds: int


# ── One attempt ──

_SELECT = select(*columns(_ATTEMPT, Attempt))
_BEGIN = Query(insert(_ATTEMPT).values(binds("sitting_id", "exam_id", "person_id", "n", "started_at", "deadline", "difficulty") | {"state": "open"}))
_GET = Query(_SELECT.where(_ATTEMPT.c.sitting_id == bind("id")), gives=Attempt)
_HOLD = Query(_SELECT.where(_ATTEMPT.c.sitting_id == bind("id")).with_for_update(), gives=Attempt)
_OF_PERSON_AT_EXAM = Query(
    _SELECT.where(_ATTEMPT.c.exam_id == bind("exam_id"), _ATTEMPT.c.person_id == bind("person_id")).order_by(_ATTEMPT.c.n), gives=Attempt
)
_OF_PERSON = _SELECT.where(_ATTEMPT.c.person_id == bind("person_id")).order_by(_ATTEMPT.c.started_at.desc())
_OPEN = Query(_OF_PERSON.where(_ATTEMPT.c.state == "open"), gives=Attempt)
_LATEST = Query(_OF_PERSON.limit(1), gives=Attempt)
_CLOSE = (
    update(_ATTEMPT)
    .where(_ATTEMPT.c.sitting_id == bind("id"), _ATTEMPT.c.state == "open")
    .values(state="closed", closed_at=bind("now"), closed_by=bind("by"))
)
_CLOSE_NOW, _CLOSE_OVERDUE = Query(_CLOSE), Query(_CLOSE.where(_ATTEMPT.c.deadline <= bind("until")))
_SET_RESULT = Query(
    update(_ATTEMPT).where(_ATTEMPT.c.sitting_id == bind("id"), _ATTEMPT.c.state == "closed").values(score=bind("score"), passed=bind("passed"))
)
_OF_EXAM = Query(_SELECT.where(_ATTEMPT.c.exam_id == bind("exam_id")).order_by(_ATTEMPT.c.sitting_id), gives=Attempt)
_UNANNOUNCED = Query(
    _SELECT.select_from(cross_join(_EXAM, _ATTEMPT))
    .where(
        _ATTEMPT.c.exam_id == _EXAM.c.id,
        _ATTEMPT.c.state == "closed",
        _ATTEMPT.c.told_at.is_(None),
        _EXAM.c.frozen_at.is_(None),
        or_(_EXAM.c.state == "released", and_(_EXAM.c.state == "closed", _EXAM.c.results != "after_release")),
    )
    .order_by(_ATTEMPT.c.sitting_id)
    .limit(bind("n")),
    gives=Attempt,
)
_MARK_ANNOUNCED = Query(update(_ATTEMPT).where(_ATTEMPT.c.sitting_id == bind("id"), _ATTEMPT.c.told_at.is_(None)).values(told_at=bind("now")))
_OVERDUE = Query(
    _SELECT.add_columns(_EXAM.c.grace_seconds)
    .join_from(_ATTEMPT, _EXAM, _EXAM.c.id == _ATTEMPT.c.exam_id)
    .where(_ATTEMPT.c.state == "open", _ATTEMPT.c.deadline <= bind("until"))
    .order_by(_ATTEMPT.c.deadline)
    .limit(bind("n")),
    gives=(Attempt, int),
)
_LOCK_PEOPLE = Query(select(_PERSON.c.id).where(_PERSON.c.id.in_(bind("ids"))).order_by(_PERSON.c.id).with_for_update(skip_locked=True), gives=int)


_ADD_SITTING = Query(
    insert(_SITTING)
    .values(binds("person_id", "scope", "size") | {"kind": "exam", "next": 1, "state": "open", "opened_at": bind("now")})
    .returning(_SITTING.c.id),
    gives=int,
)
_ADD_ITEM = Query(insert(_ITEM).values(binds("sitting_id", "n", "question", "version_id", "points", "shuffle")))


def begin(
    session: Session, exam: Exam, person_id: int, n: int, items: Sequence[Mapping[str, Any]], deadline: datetime, difficulty: int, at: datetime
) -> int:
    """A sitting with its paper and the attempt; `items` hold question, version_id, points, shuffle in their order. The sitting's id."""
    sitting_id = _ADD_SITTING.one(session, person_id=person_id, scope=str(exam.id), size=len(items), now=at)
    _ADD_ITEM.many(session, [{"sitting_id": sitting_id, "n": place, **item} for place, item in enumerate(items, 1)])
    _BEGIN.run(session, sitting_id=sitting_id, exam_id=exam.id, person_id=person_id, n=n, started_at=at, deadline=deadline, difficulty=difficulty)
    return sitting_id


def get(session: Session, sitting_id: int, *, hold: bool = False) -> Attempt | None:
    """An attempt; with `hold` nobody else records in it, closes or settles it until this transaction ends."""
    return (_HOLD if hold else _GET).first(session, id=sitting_id)


def of_person_at_exam(session: Session, exam_id: int, person_id: int) -> list[Attempt]:
    """A person's attempts at an exam, in their order."""
    return _OF_PERSON_AT_EXAM.all(session, exam_id=exam_id, person_id=person_id)


def open_attempts(session: Session, person_id: int) -> list[Attempt]:
    """A person's open attempts, newest first."""
    return _OPEN.all(session, person_id=person_id)


def latest(session: Session, person_id: int) -> Attempt | None:
    """The attempt that a person began last; None when there is none."""
    return _LATEST.first(session, person_id=person_id)


def close(session: Session, sitting_id: int, by: str, at: datetime, until: datetime | None = None) -> bool:
    """True for the one call that closed the attempt; with `until` only where its deadline is not later by now."""
    if until is None:
        return _CLOSE_NOW.run(session, id=sitting_id, by=by, now=at) == 1
    return _CLOSE_OVERDUE.run(session, id=sitting_id, by=by, now=at, until=until) == 1


def set_result(session: Session, sitting_id: int, score: int, passed: bool | None) -> None:
    """The result of a closed attempt."""
    _SET_RESULT.run(session, id=sitting_id, score=score, passed=passed)


def of_exam(session: Session, exam_id: int) -> list[Attempt]:
    """Everybody's attempts at an exam, in the order in which they began."""
    return _OF_EXAM.all(session, exam_id=exam_id)


def unannounced(session: Session, n: int) -> list[Attempt]:
    """At most `n` closed attempts whose results and keys may be told by the rule of their exam and were not announced yet."""
    return _UNANNOUNCED.all(session, n=n)


def mark_announced(session: Session, sitting_id: int, at: datetime) -> bool:
    """True for the one call that marked the results as told."""
    return _MARK_ANNOUNCED.run(session, id=sitting_id, now=at) == 1


def overdue(session: Session, until: datetime, n: int) -> list[tuple[Attempt, int]]:
    """(attempt, grace in seconds) of what has its deadline behind it at a moment, longest ago first."""
    return _OVERDUE.all(session, until=until, n=n)


def lock_people(session: Session, people: Collection[int]) -> set[int]:
    """Lock people's rows and return the ids that were free: on PostgreSQL, those whose own message is being served are skipped."""
    if is_sqlite_session(session):
        return set(people)
    return set(_LOCK_PEOPLE.all(session, ids=sorted(people)))


# ── Its paper ──

_PAPER = select(*columns(_ITEM, PaperItem, choice=_ANSWER.c.choice)).join_from(
    _ITEM, _ANSWER, and_(_ANSWER.c.sitting_id == _ITEM.c.sitting_id, _ANSWER.c.n == _ITEM.c.n), isouter=True
)
_OF_PAPER = _ITEM.c.sitting_id == bind("id")
_ITEMS = Query(_PAPER.where(_OF_PAPER).order_by(_ITEM.c.n), gives=PaperItem)
_ITEM_AT = Query(_PAPER.where(_OF_PAPER, _ITEM.c.n == bind("n")), gives=PaperItem)
_UNANSWERED = Query(
    select(_ITEM.c.n)
    .where(_OF_PAPER, ~exists(select(_ANSWER.c.id).where(_ANSWER.c.sitting_id == _ITEM.c.sitting_id, _ANSWER.c.n == _ITEM.c.n)))
    .order_by(_ITEM.c.n),
    gives=int,
)
_ANSWER_BY_MESSAGE = Query(
    select(_ANSWER.c.id).where(
        _ANSWER.c.sitting_id == bind("id"), _ANSWER.c.n == bind("n"), _ANSWER.c.channel == bind("channel"), _ANSWER.c.message_id == bind("message_id")
    ),
    gives=int,
)


class PaperPlace(NamedTuple):
    """A place of a person's paper; None for the one in hand."""

    person_id: int
    sitting_id: int
    n: int | None


@dataclass(slots=True)
class PaperState:
    """How far a paper is: its size, the place in hand, and the places that are answered, as a text."""

    size: int
    next: int
    answered: str | None


_PLACES = given("places", person_id=Integer, sitting_id=Integer, n=Integer, k=Integer)
_EARLIER = _ANSWER.alias("earlier")
_ANSWERED = select(func.aggregate_strings(cast(_EARLIER.c.n, Text), ",")).where(_EARLIER.c.sitting_id == _SITTING.c.id).scalar_subquery()
# In the order of the ids, in which everybody takes the locks.
_HOLD_PLACES = Query(
    select(
        _PLACES.c.k,
        *columns(_ATTEMPT, Attempt),
        *columns(_SITTING, PaperState, answered=_ANSWERED),
        *columns(_ITEM, PaperItem, choice=_ANSWER.c.choice),
    )
    .select_from(_PLACES)
    .join(_ATTEMPT, and_(_ATTEMPT.c.sitting_id == _PLACES.c.sitting_id, _ATTEMPT.c.person_id == _PLACES.c.person_id))
    .join(_SITTING, _SITTING.c.id == _ATTEMPT.c.sitting_id)
    .join(_ITEM, and_(_ITEM.c.sitting_id == _ATTEMPT.c.sitting_id, _ITEM.c.n == func.coalesce(_PLACES.c.n, _SITTING.c.next)))
    .outerjoin(_ANSWER, and_(_ANSWER.c.sitting_id == _ITEM.c.sitting_id, _ANSWER.c.n == _ITEM.c.n))
    .order_by(_ATTEMPT.c.sitting_id)
    .with_for_update(of=_ATTEMPT),
    gives=(int, Attempt, PaperState, PaperItem),
)
_ITEMS_AT = Query(
    select(_ITEM.c.sitting_id, *columns(_ITEM, PaperItem, choice=_ANSWER.c.choice))
    .select_from(_PLACES)
    .join(_ITEM, and_(_ITEM.c.sitting_id == _PLACES.c.sitting_id, _ITEM.c.n == _PLACES.c.n))
    .outerjoin(_ANSWER, and_(_ANSWER.c.sitting_id == _ITEM.c.sitting_id, _ANSWER.c.n == _ITEM.c.n)),
    gives=(int, PaperItem),
)


def hold_places(session: Session, places: Sequence[PaperPlace]) -> list[tuple[Attempt, PaperState, PaperItem] | None]:
    """Places with their attempts, in their order; None for a paper that is not the person's, or a place that it does not have.

    Nobody else records in the attempts, closes or settles them until this transaction ends.
    """
    held: list[tuple[Attempt, PaperState, PaperItem] | None] = [None] * len(places)
    for k, attempt, state, item in _HOLD_PLACES.all(session, places=[(*place, k) for k, place in enumerate(places)]):
        held[k] = attempt, state, item
    return held


def items_at(session: Session, places: Sequence[tuple[int, int]]) -> dict[int, PaperItem]:
    """The items at places (sitting, n), one of each sitting, by sitting."""
    return dict(_ITEMS_AT.all(session, places=[(0, sitting_id, n, k) for k, (sitting_id, n) in enumerate(places)]))


def items(session: Session, sitting_id: int) -> list[PaperItem]:
    """A paper in its order."""
    return _ITEMS.all(session, id=sitting_id)


def item(session: Session, sitting_id: int, n: int) -> PaperItem | None:
    return _ITEM_AT.first(session, id=sitting_id, n=n)


def unanswered(session: Session, sitting_id: int) -> list[int]:
    """The places without a recorded answer."""
    return _UNANSWERED.all(session, id=sitting_id)


def answer_by_message(session: Session, sitting_id: int, n: int, channel: str, message_id: str) -> int | None:
    """The answer at a place, if it came with this very message."""
    return _ANSWER_BY_MESSAGE.first(session, id=sitting_id, n=n, channel=channel, message_id=message_id)


# ── What drawing has to know ──

_LAST_PAPERS = (
    select(_ATTEMPT.c.sitting_id).where(_ATTEMPT.c.person_id == bind("person_id")).order_by(_ATTEMPT.c.started_at.desc()).limit(bind("papers"))
)
_RECENT_QUESTIONS = Query(select(_ITEM.c.question).where(_ITEM.c.sitting_id.in_(_LAST_PAPERS)), gives=str)
# Both begin with the few attempts; by itself SQLite would begin with everything that was ever asked or answered.
_QUESTION_USES = Query(
    select(_ITEM.c.question, func.count())
    .select_from(cross_join(_ATTEMPT, _ITEM))
    .where(_ITEM.c.sitting_id == _ATTEMPT.c.sitting_id)
    .group_by(_ITEM.c.question),
    gives=tuple[str, int],
)
_FIRST_ANSWER_COUNTS = Query(
    select(_ANSWER.c.version_id, func.count(), func.sum(_ANSWER.c.correct, type_=Integer()))
    .select_from(cross_join(_ATTEMPT, _ANSWER))
    .where(_ANSWER.c.sitting_id == _ATTEMPT.c.sitting_id, _ATTEMPT.c.n == 1, _ATTEMPT.c.state == "closed", _ANSWER.c.provisional == 0)
    .group_by(_ANSWER.c.version_id),
    gives=tuple[int, int, int],
)


def recent_questions(session: Session, person_id: int, papers: int) -> frozenset[str]:
    """The questions of a person's last papers."""
    return frozenset(_RECENT_QUESTIONS.all(session, person_id=person_id, papers=papers)) if papers else frozenset()


def question_uses(session: Session) -> dict[str, int]:
    """In how many papers each question was."""
    return dict(_QUESTION_USES.all(session))


def first_answer_counts(session: Session) -> dict[int, tuple[int, int]]:
    """(answered, right) of each version in first attempts at exams."""
    return {version_id: (answered, right) for version_id, answered, right in _FIRST_ANSWER_COUNTS.all(session)}


# ── Keys that may not be told ──

_AT_PUBLISHED = (
    select()
    .join_from(_ATTEMPT, _EXAM, _EXAM.c.id == _ATTEMPT.c.exam_id)
    .where(_ATTEMPT.c.person_id == bind("person_id"), _EXAM.c.state == "published")
)
_HIDDEN_QUESTIONS = Query(_AT_PUBLISHED.add_columns(_ITEM.c.question).join(_ITEM, _ITEM.c.sitting_id == _ATTEMPT.c.sitting_id).distinct(), gives=str)
_PEOPLE_IN_EXAMS = Query(select(_ATTEMPT.c.person_id).where(_ATTEMPT.c.state == "open", _ATTEMPT.c.deadline > bind("since")), gives=int)
_AT_OPEN_EXAMS = Query(
    _AT_PUBLISHED.add_columns(
        *columns(
            _EXAM,
            OpenExamAttempt,
            deadline=_ATTEMPT.c.deadline,
            is_open=case((_ATTEMPT.c.state == "open", literal(True, FlagType)), else_=literal(False, FlagType)),
        )
    ),
    gives=OpenExamAttempt,
)


def hidden_questions(session: Session, person_id: int) -> frozenset[str]:
    """The questions of a person's papers of exams that others may still sit."""
    return frozenset(_HIDDEN_QUESTIONS.all(session, person_id=person_id))


def people_in_exams(session: Session, since: datetime) -> frozenset[int]:
    """The ids of people whose open attempt had time left at a moment."""
    return frozenset(_PEOPLE_IN_EXAMS.all(session, since=since))


def attempts_at_open_exams(session: Session, person_id: int) -> list[OpenExamAttempt]:
    """A person's attempts at published exams; nearly always none."""
    return _AT_OPEN_EXAMS.all(session, person_id=person_id)
