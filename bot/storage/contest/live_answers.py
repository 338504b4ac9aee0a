"""Answers, buzzer presses and host decisions of a live contest: the rows from which its scores are computed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.contest.stage_rounds import Buzz
from bot.storage.db.query import Statement
from bot.storage.study import grades
from bot.storage.tables.columns import moment, stamp

_COPY_ITEMS = Statement(
    """INSERT INTO sitting_item (sitting_id, n, question, version_id, points)
       SELECT :sitting_id, n, question, version_id, points FROM contest_item WHERE contest_id = :contest_id"""
)
_OPEN_SITTING = Statement(
    """INSERT INTO sitting (person_id, kind, scope, size, next, state, opened_at)
       SELECT :person_id, 'live', :scope, COUNT(*), 1, 'open', :at FROM contest_item WHERE contest_id = :contest_id RETURNING id"""
)
_CLOSE_SITTINGS = Statement(
    "UPDATE sitting SET state = 'done', closed_at = :at, next = size + 1 WHERE kind = 'live' AND scope = :scope AND state = 'open'"
)
_DROP_FOCUS = Statement("DELETE FROM focus WHERE kind = 'live' AND ref IN (SELECT id FROM sitting WHERE kind = 'live' AND scope = :scope)")
_COUNT_ANSWERED = Statement(
    """SELECT COUNT(*) FROM participation p JOIN sitting s ON s.person_id = p.person_id AND s.kind = 'live' AND s.scope = :scope
       JOIN answer a ON a.sitting_id = s.id AND a.n = :n WHERE p.contest_id = :id"""
)
_CHOICE_COUNTS = Statement(
    """SELECT a.choice, COUNT(*), SUM(a.correct) FROM participation p
       JOIN sitting s ON s.person_id = p.person_id AND s.kind = 'live' AND s.scope = :scope
       JOIN answer a ON a.sitting_id = s.id AND a.n = :n WHERE p.contest_id = :id GROUP BY a.choice ORDER BY a.choice"""
)
_SELECT_ANSWERS = f"""SELECT p.person_id, a.n, COALESCE(m.earned, a.earned), a.arrived_at FROM participation p
       JOIN sitting s ON s.person_id = p.person_id AND s.kind = 'live' AND s.scope = :scope
       JOIN answer a ON a.sitting_id = s.id LEFT JOIN remark m ON m.sitting_id = a.sitting_id AND m.n = a.n AND {grades.IS_NEWEST_REMARK}
       WHERE p.contest_id = :id AND COALESCE(m.counts, 1) = 1"""  # noqa: S608
_ANSWERS = Statement(f"{_SELECT_ANSWERS} ORDER BY p.person_id, a.n")
_OWN_ANSWERS = Statement(f"{_SELECT_ANSWERS} AND p.person_id = :person_id ORDER BY a.n")
_TEAM_ANSWERS = Statement(
    """SELECT a.choice, a.correct FROM team_member m JOIN sitting s ON s.person_id = m.person_id AND s.kind = 'live' AND s.scope = :scope
       JOIN answer a ON a.sitting_id = s.id AND a.n = :n WHERE m.contest_id = :id AND m.team_id = :team_id ORDER BY a.arrived_at, a.id"""
)
_INSERT_BUZZ = Statement(
    """INSERT INTO live_buzz (contest_id, n, team_id, person_id, arrived_at, fault) VALUES (:id, :n, :team_id, :person_id, :at, :fault)
       ON CONFLICT (contest_id, n, team_id) DO NOTHING"""
)
_BUZZES = Statement(
    """SELECT b.id, b.team_id, b.arrived_at, b.fault, t.name, p.name FROM live_buzz b JOIN team t ON t.id = b.team_id
       JOIN person p ON p.id = b.person_id WHERE b.contest_id = :id AND b.n = :n ORDER BY b.arrived_at, b.id"""
)
_COUNT_FALSE_STARTS = Statement("SELECT COUNT(*) FROM live_buzz WHERE contest_id = :id AND team_id = :team_id AND fault = 1")
_INSERT_DECISION = Statement(
    """INSERT INTO live_decision (contest_id, decided_at, actor, act, n, team_id, person_id, points, why)
       VALUES (:id, :at, :actor, :act, :n, :team_id, :person_id, :points, :why)"""
)
_DECISIONS = Statement(
    """SELECT d.decided_at, d.actor, d.act, d.n, d.team_id, COALESCE(t.name, p.name, ''), d.points, d.why FROM live_decision d
       LEFT JOIN team t ON t.id = d.team_id LEFT JOIN person p ON p.id = d.person_id WHERE d.contest_id = :id ORDER BY d.id DESC LIMIT :top"""
)
_TEAM_POINTS = Statement(
    """SELECT d.team_id, SUM(d.points), SUM(CASE WHEN d.act = '加赛' THEN 1 ELSE 0 END) FROM live_decision d
       LEFT JOIN live_item i ON i.contest_id = d.contest_id AND i.n = d.n
       WHERE d.contest_id = :id AND d.team_id IS NOT NULL AND (d.n = 0 OR d.act IN ('改分', '犯规') OR i.void = '') GROUP BY d.team_id"""
)
_PERSON_POINTS = Statement("SELECT person_id, SUM(points) FROM live_decision WHERE contest_id = :id AND person_id IS NOT NULL GROUP BY person_id")
_JUDGED = Statement("SELECT COUNT(*) FROM live_decision WHERE contest_id = :id AND n = :n AND team_id = :team_id AND act = '判分'")
_EXCLUDED_TEAMS = Statement(
    "SELECT team_id FROM live_decision WHERE contest_id = :id AND n = :n AND act = '判分' AND points <= 0 AND team_id IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """A recorded answer of somebody who takes part, by the mark that counts: `earned` in thousandths of the question."""

    person_id: int
    n: int
    earned: int
    arrived: datetime


@dataclass(frozen=True, slots=True)
class PressedBuzzer:
    """A team's press with the names that are shown."""

    buzz: Buzz
    is_false_start: bool
    team: str
    person: str
    arrived: datetime


@dataclass(frozen=True, slots=True)
class LiveDecision:
    """A line of the log; points in thousandths."""

    at: datetime
    actor: str
    act: str
    n: int
    team_id: int | None
    target_name: str
    points: int
    why: str


def open_sitting(session: Session, contest_id: int, person_id: int, at: datetime) -> int:
    """The sitting in which this person answers, over the whole programme; its id."""
    sitting_id = int(_OPEN_SITTING.one(session, person_id=person_id, scope=str(contest_id), contest_id=contest_id, at=stamp(at))[0])
    _COPY_ITEMS.run(session, sitting_id=sitting_id, contest_id=contest_id)
    return sitting_id


def close_sittings(session: Session, contest_id: int, at: datetime) -> None:
    """Close everybody's sitting, and release it as their current task."""
    _DROP_FOCUS.run(session, scope=str(contest_id))
    _CLOSE_SITTINGS.run(session, scope=str(contest_id), at=stamp(at))


def count_answered(session: Session, contest_id: int, n: int) -> int:
    """How many have answered a question."""
    return int(_COUNT_ANSWERED.one(session, id=contest_id, scope=str(contest_id), n=n)[0])


def choice_counts(session: Session, contest_id: int, n: int) -> list[tuple[str, int, int]]:
    """(choice, how many chose it, how many of them were right) of a question."""
    return [(row[0], int(row[1]), int(row[2])) for row in _CHOICE_COUNTS.all(session, id=contest_id, scope=str(contest_id), n=n)]


def answers(session: Session, contest_id: int, person_id: int | None = None) -> list[GivenAnswer]:
    """Every answer that counts (of one person), by person and question."""
    values = {"id": contest_id, "scope": str(contest_id)}
    rows = _ANSWERS.all(session, **values) if person_id is None else _OWN_ANSWERS.all(session, **values, person_id=person_id)
    return [GivenAnswer(row[0], row[1], row[2], moment(row[3])) for row in rows]


def team_answers(session: Session, contest_id: int, n: int, team_id: int) -> list[tuple[str, bool]]:
    """(choice, right) of a team's members, in the order of their arrival."""
    return [(row[0], bool(row[1])) for row in _TEAM_ANSWERS.all(session, id=contest_id, scope=str(contest_id), n=n, team_id=team_id)]


# ── The stage ──


def add_buzz(session: Session, contest_id: int, n: int, team_id: int, person_id: int, arrived: datetime, *, fault: bool) -> bool:
    """Record a press; False when the team has pressed at this question before."""
    return _INSERT_BUZZ.run(session, id=contest_id, n=n, team_id=team_id, person_id=person_id, at=stamp(arrived), fault=int(fault)) == 1


def buzzes(session: Session, contest_id: int, n: int) -> list[PressedBuzzer]:
    """Who pressed at a question, by arrival."""
    presses = []
    for row in _BUZZES.all(session, id=contest_id, n=n):
        arrived = moment(row[2])
        presses.append(PressedBuzzer(Buzz(row[0], row[1], round(arrived.timestamp() * 1_000_000)), bool(row[3]), row[4], row[5], arrived))
    return presses


def count_false_starts(session: Session, contest_id: int, team_id: int) -> int:
    """How many false starts a team has made in the whole contest."""
    return int(_COUNT_FALSE_STARTS.one(session, id=contest_id, team_id=team_id)[0])


def add_decision(
    session: Session,
    contest_id: int,
    actor: str,
    act: str,
    at: datetime,
    *,
    n: int = 0,
    team_id: int | None = None,
    person_id: int | None = None,
    points: int = 0,
    why: str = "",
) -> None:
    """One line of the log. `actor` is a staff number or "system"; points in thousandths."""
    _INSERT_DECISION.run(
        session, id=contest_id, at=stamp(at), actor=actor, act=act, n=n, team_id=team_id, person_id=person_id, points=points, why=why
    )


def decisions(session: Session, contest_id: int, top: int = 1000) -> list[LiveDecision]:
    """The log, newest first."""
    return [LiveDecision(moment(row[0]), *row[1:]) for row in _DECISIONS.all(session, id=contest_id, top=top)]


def team_points(session: Session, contest_id: int) -> dict[int, tuple[int, int]]:
    """What was decided for each team: (thousandths, sudden deaths won). What was judged on a void question does not count; a penalty does."""
    return {row[0]: (int(row[1]), int(row[2])) for row in _TEAM_POINTS.all(session, id=contest_id)}


def person_points(session: Session, contest_id: int) -> dict[int, int]:
    return {row[0]: int(row[1]) for row in _PERSON_POINTS.all(session, id=contest_id)}


def is_judged(session: Session, contest_id: int, n: int, team_id: int) -> bool:
    return bool(_JUDGED.one(session, id=contest_id, n=n, team_id=team_id)[0])


def excluded_teams(session: Session, contest_id: int, n: int) -> frozenset[int]:
    """Teams that answered a question and were not right."""
    return frozenset(row[0] for row in _EXCLUDED_TEAMS.all(session, id=contest_id, n=n))
