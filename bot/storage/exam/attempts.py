"""Rows of attempts and their papers, and the queries that drawing a paper and hiding its right answers need."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.domain.exam.exam import Attempt, Exam
from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_TRIED = "sitting_id, exam_id, person_id, n, started_at, deadline, state, closed_at, closed_by, score, passed, difficulty"
_BEGIN = Statement(
    """INSERT INTO attempt (sitting_id, exam_id, person_id, n, started_at, deadline, state, difficulty)
       VALUES (:sitting_id, :exam_id, :person_id, :n, :started_at, :deadline, 'open', :difficulty)"""
)
_ATTEMPT = Statement(f"SELECT {_TRIED} FROM attempt WHERE sitting_id = :id")  # noqa: S608
_ATTEMPTS = Statement(f"SELECT {_TRIED} FROM attempt WHERE exam_id = :exam_id AND person_id = :person_id ORDER BY n")  # noqa: S608
_RUNNING = Statement(f"SELECT {_TRIED} FROM attempt WHERE person_id = :person_id AND state = 'open' ORDER BY started_at DESC")  # noqa: S608
_HELD = Statement(f"SELECT {_TRIED} FROM attempt WHERE sitting_id = :id FOR UPDATE")  # noqa: S608
_LAST = Statement(f"SELECT {_TRIED} FROM attempt WHERE person_id = :person_id ORDER BY started_at DESC LIMIT 1")  # noqa: S608
_END = Statement(
    """UPDATE attempt SET state = 'closed', closed_at = :at, closed_by = :by WHERE sitting_id = :id AND state = 'open' AND deadline <= :until"""
)
_EVER = "9"
"""Later than any moment as text."""
_MARK = Statement("UPDATE attempt SET score = :score, passed = :passed WHERE sitting_id = :id AND state = 'closed'")
_DUE = Statement(
    f"""SELECT {", ".join(f"a.{column.strip()}" for column in _TRIED.split(","))}, e.grace_seconds FROM attempt a JOIN exam e ON e.id = a.exam_id
        WHERE a.state = 'open' AND a.deadline <= :until ORDER BY a.deadline LIMIT :n"""  # noqa: S608
)
_LOCK = Statement("SELECT id FROM person WHERE id = ANY(:ids) ORDER BY id FOR UPDATE SKIP LOCKED")
_UNTOLD = Statement(
    f"""SELECT {", ".join(f"a.{column.strip()}" for column in _TRIED.split(","))} FROM exam e CROSS JOIN attempt a
        WHERE a.exam_id = e.id AND a.state = 'closed' AND a.told_at IS NULL AND e.frozen_at IS NULL
          AND (e.state = 'released' OR (e.state = 'closed' AND e.results <> 'after_release')) ORDER BY a.sitting_id LIMIT :n"""  # noqa: S608
)
_TOLD = Statement("UPDATE attempt SET told_at = :at WHERE sitting_id = :id AND told_at IS NULL")
_OF_EXAM = Statement(f"SELECT {_TRIED} FROM attempt WHERE exam_id = :exam_id ORDER BY sitting_id")  # noqa: S608
_ITEMS = Statement(
    """SELECT i.n, i.question, i.version_id, i.points, i.shuffle, a.choice FROM sitting_item i
       LEFT JOIN answer a ON a.sitting_id = i.sitting_id AND a.n = i.n WHERE i.sitting_id = :id ORDER BY i.n"""
)
_ITEM = Statement(
    """SELECT i.n, i.question, i.version_id, i.points, i.shuffle, a.choice FROM sitting_item i
       LEFT JOIN answer a ON a.sitting_id = i.sitting_id AND a.n = i.n WHERE i.sitting_id = :id AND i.n = :n"""
)
_UNANSWERED = Statement(
    """SELECT i.n FROM sitting_item i WHERE i.sitting_id = :id AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.sitting_id = i.sitting_id AND a.n = i.n)
       ORDER BY i.n"""
)
_BY_MESSAGE = Statement("SELECT id FROM answer WHERE sitting_id = :id AND n = :n AND channel = :channel AND message_id = :message_id")
_ITEM_IN = Statement(
    """INSERT INTO sitting_item (sitting_id, n, question, version_id, points, shuffle)
       VALUES (:sitting_id, :n, :question, :version_id, :points, :shuffle)"""
)
_ITEMS_IN = Statement(
    """INSERT INTO sitting_item (sitting_id, n, question, version_id, points, shuffle)
       SELECT CAST(:sitting_id AS integer), * FROM unnest(CAST(:n AS integer[]), CAST(:question AS text[]), CAST(:version_id AS integer[]),
                                                          CAST(:points AS integer[]), CAST(:shuffle AS text[]))"""
)
"""The same for a whole paper in one statement, as PostgreSQL has it; SQLite is as quick with one a row."""
_SITTING = Statement(
    """INSERT INTO sitting (person_id, kind, scope, size, next, state, opened_at) VALUES (:person_id, :kind, :scope, :size, 1, 'open', :at)
       RETURNING id"""
)
_SEEN = Statement(
    """SELECT i.question FROM sitting_item i WHERE i.sitting_id IN
       (SELECT sitting_id FROM attempt WHERE person_id = :person_id ORDER BY started_at DESC LIMIT :n)"""
)
# CROSS JOIN: SQLite then begins with the few attempts; by itself it would begin with everything that was ever asked or answered.
_USES = Statement("SELECT i.question, COUNT(*) FROM attempt t CROSS JOIN sitting_item i WHERE i.sitting_id = t.sitting_id GROUP BY i.question")
_FIRST_ANSWERS = Statement(
    """SELECT a.version_id, COUNT(*), SUM(a.correct) FROM attempt t CROSS JOIN answer a
       WHERE a.sitting_id = t.sitting_id AND t.n = 1 AND t.state = 'closed' AND a.provisional = 0 GROUP BY a.version_id"""
)
_HIDDEN = Statement(
    """SELECT DISTINCT i.question FROM attempt t JOIN exam e ON e.id = t.exam_id JOIN sitting_item i ON i.sitting_id = t.sitting_id
       WHERE t.person_id = :person_id AND e.state = 'published'"""
)
_AT_IT = Statement("SELECT person_id FROM attempt WHERE state = 'open' AND deadline > :since")
_WATCHED = Statement(
    """SELECT e.name, e.closes_at, t.state, t.deadline, e.grace_seconds FROM attempt t JOIN exam e ON e.id = t.exam_id
       WHERE t.person_id = :person_id AND e.state = 'published'"""
)


def _optional_moment(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


def _attempt(row: Any) -> Attempt:
    return Attempt(
        row[0], row[1], row[2], row[3], moment(row[4]), moment(row[5]), row[6], _optional_moment(row[7]), row[8], row[9],
        None if row[10] is None else bool(row[10]), row[11],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PaperItem:
    """The n-th item of a paper: version, worth in thousandths of a point, order of options, and the choice recorded in letters of the file."""

    n: int
    question: str
    version_id: int
    points: int
    shuffle: str
    choice: str | None


def begin(
    session: Session, exam: Exam, person_id: int, n: int, items: Sequence[Mapping[str, Any]], deadline: datetime, difficulty: int, at: datetime
) -> int:
    """A sitting with its paper and the attempt; `items` hold question, version_id, points, shuffle in their order. The sitting's id."""
    sitting_id = int(_SITTING.one(session, person_id=person_id, kind="exam", scope=str(exam.id), size=len(items), at=stamp(at))[0])
    numbered = [{"n": place, **item} for place, item in enumerate(items, 1)]
    if session.get_bind().dialect.name == "sqlite":
        _ITEM_IN.many(session, [{"sitting_id": sitting_id, **placed} for placed in numbered])
    else:
        _ITEMS_IN.run(session, sitting_id=sitting_id, **{name: [placed[name] for placed in numbered] for name in numbered[0]})
    _BEGIN.run(
        session, sitting_id=sitting_id, exam_id=exam.id, person_id=person_id, n=n, started_at=stamp(at), deadline=stamp(deadline),
        difficulty=difficulty,
    )  # fmt: skip
    return sitting_id


def get(session: Session, sitting_id: int, *, hold: bool = False) -> Attempt | None:
    """An attempt; with `hold` nobody else records in it, closes or settles it until this transaction ends."""
    locked = hold and session.get_bind().dialect.name != "sqlite"
    row = (_HELD if locked else _ATTEMPT).one(session, id=sitting_id)
    return None if row is None else _attempt(row)


def of_person_at_exam(session: Session, exam_id: int, person_id: int) -> list[Attempt]:
    """A person's attempts at an exam, in their order."""
    return [_attempt(row) for row in _ATTEMPTS.all(session, exam_id=exam_id, person_id=person_id)]


def open_attempts(session: Session, person_id: int) -> list[Attempt]:
    """A person's open attempts, newest first."""
    return [_attempt(row) for row in _RUNNING.all(session, person_id=person_id)]


def latest(session: Session, person_id: int) -> Attempt | None:
    """The attempt that a person began last; None when there is none."""
    row = _LAST.one(session, person_id=person_id)
    return None if row is None else _attempt(row)


def close(session: Session, sitting_id: int, by: str, at: datetime, until: datetime | None = None) -> bool:
    """True for the one call that closed the attempt; with `until` only where its deadline is not later by now."""
    return _END.run(session, id=sitting_id, by=by, at=stamp(at), until=_EVER if until is None else stamp(until)) == 1


def set_result(session: Session, sitting_id: int, score: int, passed: bool | None) -> None:
    """The result of a closed attempt."""
    _MARK.run(session, id=sitting_id, score=score, passed=None if passed is None else int(passed))


def of_exam(session: Session, exam_id: int) -> list[Attempt]:
    """Everybody's attempts at an exam, in the order in which they began."""
    return [_attempt(row) for row in _OF_EXAM.all(session, exam_id=exam_id)]


def unannounced(session: Session, n: int) -> list[Attempt]:
    """At most `n` closed attempts whose results and keys may be told by the rule of their exam and were not announced yet."""
    return [_attempt(row) for row in _UNTOLD.all(session, n=n)]


def mark_announced(session: Session, sitting_id: int, at: datetime) -> bool:
    """True for the one call that marked the results as told."""
    return _TOLD.run(session, id=sitting_id, at=stamp(at)) == 1


def overdue(session: Session, until: datetime, n: int) -> list[tuple[Attempt, int]]:
    """(attempt, grace in seconds) of what has its deadline behind it at a moment, longest ago first."""
    return [(_attempt(row[:12]), row[12]) for row in _DUE.all(session, until=stamp(until), n=n)]


def lock_people(session: Session, people: Collection[int]) -> set[int]:
    """Lock people's rows and return the ids that were free: on PostgreSQL, those whose own message is being served are skipped."""
    if session.get_bind().dialect.name == "sqlite":
        return set(people)
    return {row[0] for row in _LOCK.all(session, ids=sorted(people))}


def items(session: Session, sitting_id: int) -> list[PaperItem]:
    """A paper in its order."""
    return [PaperItem(*row) for row in _ITEMS.all(session, id=sitting_id)]


def item(session: Session, sitting_id: int, n: int) -> PaperItem | None:
    row = _ITEM.one(session, id=sitting_id, n=n)
    return None if row is None else PaperItem(*row)


def unanswered(session: Session, sitting_id: int) -> list[int]:
    """The places without a recorded answer."""
    return [row[0] for row in _UNANSWERED.all(session, id=sitting_id)]


def answer_by_message(session: Session, sitting_id: int, n: int, channel: str, message_id: str) -> int | None:
    """The answer at a place, if it came with this very message."""
    row = _BY_MESSAGE.one(session, id=sitting_id, n=n, channel=channel, message_id=message_id)
    return None if row is None else int(row[0])


# ── What drawing has to know ──


def recent_questions(session: Session, person_id: int, papers: int) -> frozenset[str]:
    """The questions of a person's last papers."""
    return frozenset(row[0] for row in _SEEN.all(session, person_id=person_id, n=papers)) if papers else frozenset()


def question_uses(session: Session) -> dict[str, int]:
    """In how many papers each question was."""
    return {row[0]: int(row[1]) for row in _USES.all(session)}


def first_answer_counts(session: Session) -> dict[int, tuple[int, int]]:
    """(answered, right) of each version in first attempts at exams."""
    return {row[0]: (int(row[1]), int(row[2] or 0)) for row in _FIRST_ANSWERS.all(session)}


# ── Keys that may not be told ──


def hidden_questions(session: Session, person_id: int) -> frozenset[str]:
    """The questions of a person's papers of exams that others may still sit."""
    return frozenset(row[0] for row in _HIDDEN.all(session, person_id=person_id))


@dataclass(frozen=True, slots=True)
class OpenExamAttempt:
    """An attempt at an exam that others can still take."""

    name: str
    closes_at: datetime
    is_open: bool
    deadline: datetime
    grace_seconds: int


def people_in_exams(session: Session, since: datetime) -> frozenset[int]:
    """The ids of people whose open attempt had time left at a moment."""
    return frozenset(row[0] for row in _AT_IT.all(session, since=stamp(since)))


def attempts_at_open_exams(session: Session, person_id: int) -> list[OpenExamAttempt]:
    """A person's attempts at published exams; nearly always none."""
    rows = _WATCHED.all(session, person_id=person_id)
    return [OpenExamAttempt(row[0], moment(row[1]), row[2] == "open", moment(row[3]), row[4]) for row in rows]
