"""Participants of a contest: their results and final places, and the sets they began and ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.contest.leaderboard import ContestResult, FinishedSet, RankedPlayer, ScoredAnswer
from bot.storage.db.query import Statement
from bot.storage.study import grades
from bot.storage.tables.columns import moment, stamp

_JOIN = Statement(
    """INSERT INTO participation (contest_id, person_id, joined_at, unit_id, strength, points, correct, millis)
       VALUES (:contest_id, :person_id, :at, :unit_id, :strength, 0, 0, 0) ON CONFLICT (contest_id, person_id) DO NOTHING"""
)
_GET = Statement(
    """SELECT joined_at, points, correct, millis, finished_at, place FROM participation WHERE contest_id = :contest_id AND person_id = :person_id"""
)
_CLOSED_CONTESTS = Statement(
    """SELECT c.id FROM participation e JOIN contest c ON c.id = e.contest_id WHERE e.person_id = :person_id AND c.state = 'closed'
       ORDER BY c.closed_at DESC, c.id DESC LIMIT :top"""
)
_SET_RESULT = Statement(
    """UPDATE participation SET points = :points, correct = :correct, millis = :millis, finished_at = :finished_at
       WHERE contest_id = :contest_id AND person_id = :person_id"""
)
_SET_PLACE = Statement("UPDATE participation SET place = :place WHERE contest_id = :contest_id AND person_id = :person_id")
_PLAYERS = Statement(
    """SELECT p.id, p.name, COALESCE(e.points, 0), COALESCE(e.correct, 0), COALESCE(e.millis, 0), e.finished_at, m.team_id, COALESCE(e.strength, 0)
       FROM (SELECT person_id FROM participation WHERE contest_id = :contest_id
             UNION SELECT person_id FROM team_member WHERE contest_id = :contest_id) w
       JOIN person p ON p.id = w.person_id
       LEFT JOIN participation e ON e.contest_id = :contest_id AND e.person_id = p.id
       LEFT JOIN team_member m ON m.contest_id = :contest_id AND m.person_id = p.id ORDER BY p.id"""
)
_FINISHED_A_SET = Statement("SELECT DISTINCT person_id FROM contest_set WHERE contest_id = :contest_id AND whole = 1 ORDER BY person_id")
_TOOK_PART = Statement("SELECT person_id FROM participation WHERE contest_id = :contest_id AND finished_at IS NOT NULL ORDER BY person_id")
_COUNT_JOINED = Statement("SELECT COUNT(*) FROM participation WHERE contest_id = :contest_id")
_ACCURACY = Statement("SELECT COUNT(*), COALESCE(SUM(correct), 0) FROM answer WHERE person_id = :person_id AND recorded_at >= :since")
_UNIT = Statement(
    """SELECT unit_id FROM post WHERE person_id = :person_id AND since <= :day AND (until IS NULL OR until >= :day) ORDER BY id LIMIT 1"""
)
_INSERT_SET = Statement(
    """INSERT INTO contest_set (sitting_id, contest_id, person_id, day, n, whole, points, correct, millis)
       VALUES (:sitting_id, :contest_id, :person_id, :day, :n, 0, 0, 0, 0)"""
)
_SETS = Statement(
    """SELECT sitting_id, day, n, whole, points, correct, millis, over_at FROM contest_set
       WHERE contest_id = :contest_id AND person_id = :person_id ORDER BY day, n"""
)
_END_SET = Statement(
    """UPDATE contest_set SET whole = :whole, points = :points, correct = :correct, millis = :millis, over_at = :at WHERE sitting_id = :sitting_id"""
)
_OPEN_SETS = Statement("SELECT sitting_id, person_id FROM contest_set WHERE contest_id = :contest_id AND over_at IS NULL ORDER BY sitting_id")
_ENDED_SETS = Statement(
    """SELECT person_id, sitting_id FROM contest_set WHERE contest_id = :contest_id AND over_at IS NOT NULL ORDER BY person_id, sitting_id"""
)
_ARRIVALS = Statement("SELECT n, arrived_at FROM answer WHERE sitting_id = :sitting_id")
_OPENING = Statement("SELECT opened_at, size FROM sitting WHERE id = :id")
_ASKED_QUESTIONS = Statement(
    """SELECT DISTINCT i.question FROM contest_set c JOIN sitting_item i ON i.sitting_id = c.sitting_id
       WHERE c.contest_id = :contest_id AND c.person_id = :person_id"""
)
_CLOSE_SITTINGS = Statement(
    """UPDATE sitting SET state = 'left', closed_at = :at, next = size + 1
       WHERE state = 'open' AND id IN (SELECT sitting_id FROM contest_set WHERE contest_id = :contest_id)"""
)
_DROP_FOCUS = Statement(
    """DELETE FROM focus WHERE kind = 'sitting' AND ref IN (
           SELECT c.sitting_id FROM contest_set c JOIN sitting s ON s.id = c.sitting_id WHERE c.contest_id = :contest_id AND s.state = 'open')"""
)
_EXPORT = Statement(
    """SELECT p.staff_no, p.name, COALESCE(u.path, ''), COALESCE(t.name, ''), e.place, e.points, e.correct, e.millis, e.joined_at, e.finished_at
       FROM participation e JOIN person p ON p.id = e.person_id LEFT JOIN unit u ON u.id = e.unit_id
       LEFT JOIN team_member m ON m.contest_id = e.contest_id AND m.person_id = e.person_id LEFT JOIN team t ON t.id = m.team_id
       WHERE e.contest_id = :contest_id ORDER BY e.place IS NULL, e.place, p.staff_no"""
)
STRENGTH_PERIOD = timedelta(days=180)
"""How far back answers count for the accuracy by which leagues are formed."""


@dataclass(frozen=True, slots=True)
class Participant:
    """How somebody stands in a contest; `place` is there once the board is frozen."""

    joined_at: datetime
    result: ContestResult
    place: int | None


@dataclass(frozen=True, slots=True)
class ContestSet:
    """A set that somebody began; its result counts once it is over."""

    sitting_id: int
    day: date
    n: int
    is_whole: bool
    result: ContestResult
    is_over: bool

    @property
    def finished_set(self) -> FinishedSet:
        return FinishedSet(self.day, self.result)


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


# ── Those who take part ──


def join(session: Session, contest_id: int, person_id: int, unit_id: int | None, strength: int, at: datetime) -> bool:
    """True for the call that made somebody a participant; joining again keeps everything (bot/docs/rules.md S19)."""
    values = {"contest_id": contest_id, "person_id": person_id, "unit_id": unit_id, "strength": strength, "at": stamp(at)}
    return _JOIN.run(session, **values) == 1


def get(session: Session, contest_id: int, person_id: int) -> Participant | None:
    row = _GET.one(session, contest_id=contest_id, person_id=person_id)
    return None if row is None else Participant(moment(row[0]), ContestResult(row[1], row[2], row[3], _moment_or_none(row[4])), row[5])


def closed_contests(session: Session, person_id: int, top: int) -> list[int]:
    """The contests that somebody joined and that are closed, newest first."""
    return [row[0] for row in _CLOSED_CONTESTS.all(session, person_id=person_id, top=top)]


def set_result(session: Session, contest_id: int, person_id: int, result: ContestResult) -> None:
    """Store the current result of a participant."""
    _SET_RESULT.run(session, **_result_values(contest_id, person_id, result))


def set_results(session: Session, contest_id: int, results: Iterable[tuple[int, ContestResult]]) -> None:
    """Store many results at once, as (person, result)."""
    _SET_RESULT.many(session, [_result_values(contest_id, person, result) for person, result in results])


def _result_values(contest_id: int, person_id: int, result: ContestResult) -> dict[str, Any]:
    finished = None if result.finished is None else stamp(result.finished)
    values = {"points": result.points, "correct": result.correct, "millis": result.millis, "finished_at": finished}
    return {**values, "contest_id": contest_id, "person_id": person_id}


def set_places(session: Session, contest_id: int, places: Iterable[tuple[int, int]]) -> None:
    """Write the places of a frozen board, as (person, place)."""
    _SET_PLACE.many(session, [{"contest_id": contest_id, "person_id": person, "place": place} for person, place in places])


def list_ranked(session: Session, contest_id: int) -> list[RankedPlayer]:
    """All who joined or are in a team, by id; `took_part` is False while somebody has nothing that counts."""
    return [
        RankedPlayer(row[0], row[1], ContestResult(row[2], row[3], row[4], _moment_or_none(row[5])), row[6], row[5] is not None, row[7])
        for row in _PLAYERS.all(session, contest_id=contest_id)
    ]


def took_part(session: Session, contest_id: int) -> list[int]:
    """Ids of participants with at least one answer that counts."""
    return [row[0] for row in _TOOK_PART.all(session, contest_id=contest_id)]


def finished_a_set(session: Session, contest_id: int) -> list[int]:
    """Ids of participants who finished at least one set of a windowed contest."""
    return [row[0] for row in _FINISHED_A_SET.all(session, contest_id=contest_id)]


def export_rows(session: Session, contest_id: int) -> list[dict[str, Any]]:
    """Everybody who joined, by place: points as people read them, time in milliseconds."""
    keys = ("staff_no", "name", "unit", "team", "place", "points", "correct", "millis", "joined_at", "finished_at")
    rows = [dict(zip(keys, row, strict=True)) for row in _EXPORT.all(session, contest_id=contest_id)]
    return [{**row, "points": row["points"] / 1000} for row in rows]


def count_joined(session: Session, contest_id: int) -> int:
    return int(_COUNT_JOINED.one(session, contest_id=contest_id)[0])


def recent_accuracy(session: Session, person_id: int, now: datetime) -> int:
    """The share of right answers of the last half year, in thousandths."""
    count, right = _ACCURACY.one(session, person_id=person_id, since=stamp(now - STRENGTH_PERIOD))
    return int(right) * 1000 // int(count) if count else 0


def unit_of(session: Session, person_id: int, day: date) -> int | None:
    row = _UNIT.one(session, person_id=person_id, day=day.isoformat())
    return None if row is None else int(row[0])


# ── Sets ──


def begin_set(session: Session, contest_id: int, person_id: int, sitting_id: int, day: date, n: int) -> None:
    """The n-th set of a day; unique in the database, whatever the number of replicas."""
    _INSERT_SET.run(session, sitting_id=sitting_id, contest_id=contest_id, person_id=person_id, day=day.isoformat(), n=n)


def list_sets(session: Session, contest_id: int, person_id: int) -> list[ContestSet]:
    return [
        ContestSet(
            row[0],
            date.fromisoformat(row[1]),
            row[2],
            bool(row[3]),
            ContestResult(row[4], row[5], row[6], _moment_or_none(row[7])),
            row[7] is not None,
        )
        for row in _SETS.all(session, contest_id=contest_id, person_id=person_id)
    ]


def end_set(session: Session, sitting_id: int, result: ContestResult, at: datetime, *, is_whole: bool) -> None:
    values = {"points": result.points, "correct": result.correct, "millis": result.millis, "whole": int(is_whole), "at": stamp(at)}
    _END_SET.run(session, **values, sitting_id=sitting_id)


def open_sets(session: Session, contest_id: int) -> list[tuple[int, int]]:
    """(sitting, person) of sets that are under way."""
    return [(row[0], row[1]) for row in _OPEN_SETS.all(session, contest_id=contest_id)]


def close_open_sets(session: Session, contest_id: int, at: datetime) -> None:
    """Close all open sets unfinished, and release them as current tasks."""
    _DROP_FOCUS.run(session, contest_id=contest_id)
    _CLOSE_SITTINGS.run(session, contest_id=contest_id, at=stamp(at))


def scored_answers(session: Session, sitting_id: int) -> tuple[list[ScoredAnswer], datetime | None, bool]:
    """(answers in the order they came, the arrival of the last, whether all was answered) of a sitting, by the marks that count.

    An answer took from the one before it, or from the opening, until its own arrival; both are moments of the server. A withdrawn
    question counts for nobody, neither mark nor time; one that was credited to all counts also for those who had left it out.
    """
    opened, size = _OPENING.one(session, id=sitting_id)
    arrivals = {row[0]: moment(row[1]) for row in _ARRIVALS.all(session, sitting_id=sitting_id)}
    marks = grades.grades_of_sitting(session, sitting_id)
    previous, answers = moment(opened), []
    for mark in sorted(marks, key=lambda mark: (mark.n not in arrivals, arrivals.get(mark.n, previous), mark.n)):
        arrived_at = arrivals.get(mark.n, previous)
        if mark.counts and (mark.n in arrivals or mark.earned):
            answers.append(ScoredAnswer(mark.earned, mark.earned == 1000, max(0, (arrived_at - previous) // timedelta(milliseconds=1))))
        previous = max(previous, arrived_at)
    return answers, max(arrivals.values(), default=None), len(arrivals) == size


def asked_questions(session: Session, contest_id: int, person_id: int) -> set[str]:
    """The questions that somebody has had in this contest."""
    return {row[0] for row in _ASKED_QUESTIONS.all(session, contest_id=contest_id, person_id=person_id)}


def ended_sets(session: Session, contest_id: int) -> list[tuple[int, int]]:
    """(person, sitting) of every set of a contest that is over."""
    return [(row[0], row[1]) for row in _ENDED_SETS.all(session, contest_id=contest_id)]
