"""Answers, buzzer presses and host decisions of a live contest: the rows from which its scores are computed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Integer, Text, and_, case, delete, func, literal, or_, select, type_coerce, update
from sqlmodel import Session

from bot.domain.contest.live_rules import Buzz
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.study.grades import REGRADE, is_newest_regrade_of
from bot.storage.tables.columns import MomentType
from bot.storage.tables.contest import ContestItemRow, LiveBuzzRow, LiveDecisionRow, LiveItemRow, ParticipationRow, TeamMemberRow, TeamRow
from bot.storage.tables.people import PersonRow
from bot.storage.tables.study import AnswerRow, FocusRow, SittingItemRow, SittingRow

_planned, _participants, _members, _teams = (table(row) for row in (ContestItemRow, ParticipationRow, TeamMemberRow, TeamRow))
_live_items, _buzzes, _decisions = table(LiveItemRow), table(LiveBuzzRow), table(LiveDecisionRow)
_answers, _sittings, _items, _focus = (table(row) for row in (AnswerRow, SittingRow, SittingItemRow, FocusRow))
_people = table(PersonRow)


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """A recorded answer of somebody who takes part, by the mark that counts: `earned` in thousandths of the question."""

    person_id: int
    n: int
    earned: int
    arrived: datetime


class ChoiceCount(NamedTuple):
    """How many chose something, and how many of them were right."""

    choice: str
    people: int
    right: int


class TeamAnswer(NamedTuple):
    """What a member of a team answered."""

    choice: str
    is_right: bool


_OPEN_SITTING = Query(
    insert(_sittings)
    .from_select(
        ["person_id", "kind", "scope", "size", "next", "state", "opened_at"],
        select(
            bind("person_id", Integer), literal("live"), bind("scope", Text), func.count(), literal(1), literal("open"), bind("now", MomentType)
        ).where(_planned.c.contest_id == bind("contest_id")),
        include_defaults=False,
    )
    .returning(_sittings.c.id),
    gives=int,
)
_COPY_ITEMS = Query(
    insert(_items).from_select(
        ["sitting_id", "n", "question", "version_id", "points"],
        select(bind("sitting_id", Integer), _planned.c.n, _planned.c.question, _planned.c.version_id, _planned.c.points).where(
            _planned.c.contest_id == bind("contest_id")
        ),
        include_defaults=False,
    )
)
_OF_CONTEST = and_(_sittings.c.kind == "live", _sittings.c.scope == bind("scope"))
_CLOSE_SITTINGS = Query(
    update(_sittings).where(_OF_CONTEST, _sittings.c.state == "open").values(state="done", closed_at=bind("now"), next=_sittings.c.size + 1)
)
_DROP_FOCUS = Query(delete(_focus).where(_focus.c.kind == "live", _focus.c.ref.in_(select(_sittings.c.id).where(_OF_CONTEST))))
_SITTING_OF_PARTICIPANT = and_(_sittings.c.person_id == _participants.c.person_id, _OF_CONTEST)
_ANSWER_TO_ITEM = and_(_answers.c.sitting_id == _sittings.c.id, _answers.c.n == bind("n"))
_TO_ITEM = _participants.join(_sittings, _SITTING_OF_PARTICIPANT).join(_answers, _ANSWER_TO_ITEM)
_COUNT_ANSWERED = Query(select(func.count()).select_from(_TO_ITEM).where(_participants.c.contest_id == bind("id")), gives=int)
_CHOICE_COUNTS = Query(
    select(_answers.c.choice, func.count(), func.sum(type_coerce(_answers.c.correct, Integer)))
    .select_from(_TO_ITEM)
    .where(_participants.c.contest_id == bind("id"))
    .group_by(_answers.c.choice)
    .order_by(_answers.c.choice),
    gives=ChoiceCount,
)
_SELECT_ANSWERS = (
    select(
        _participants.c.person_id,
        _answers.c.n,
        func.coalesce(REGRADE.c.earned, _answers.c.earned).label("earned"),
        _answers.c.arrived_at.label("arrived"),
    )
    .select_from(_participants)
    .join(_sittings, _SITTING_OF_PARTICIPANT)
    .join(_answers, _answers.c.sitting_id == _sittings.c.id)
    .outerjoin(REGRADE, is_newest_regrade_of(_answers))
    .where(_participants.c.contest_id == bind("id"), func.coalesce(REGRADE.c.counts, 1) == 1)
)
_ANSWERS = Query(_SELECT_ANSWERS.order_by(_participants.c.person_id, _answers.c.n), gives=GivenAnswer)
_OWN_ANSWERS = Query(_SELECT_ANSWERS.where(_participants.c.person_id == bind("person_id")).order_by(_answers.c.n), gives=GivenAnswer)
_TEAM_ANSWERS = Query(
    select(_answers.c.choice, _answers.c.correct)
    .select_from(_members)
    .join(_sittings, and_(_sittings.c.person_id == _members.c.person_id, _OF_CONTEST))
    .join(_answers, _ANSWER_TO_ITEM)
    .where(_members.c.contest_id == bind("id"), _members.c.team_id == bind("team_id"))
    .order_by(_answers.c.arrived_at, _answers.c.id),
    gives=TeamAnswer,
)


def open_sitting(session: Session, contest_id: int, person_id: int, at: datetime) -> int:
    """The sitting in which this person answers, over the whole programme; its id."""
    sitting_id = _OPEN_SITTING.one(session, person_id=person_id, scope=str(contest_id), contest_id=contest_id, now=at)
    _COPY_ITEMS.run(session, sitting_id=sitting_id, contest_id=contest_id)
    return sitting_id


def close_sittings(session: Session, contest_id: int, at: datetime) -> None:
    """Close everybody's sitting, and release it as their current task."""
    _DROP_FOCUS.run(session, scope=str(contest_id))
    _CLOSE_SITTINGS.run(session, scope=str(contest_id), now=at)


def count_answered(session: Session, contest_id: int, n: int) -> int:
    """How many have answered a question."""
    return _COUNT_ANSWERED.one(session, id=contest_id, scope=str(contest_id), n=n)


def choice_counts(session: Session, contest_id: int, n: int) -> list[ChoiceCount]:
    """Who chose what at a question, in numbers."""
    return _CHOICE_COUNTS.all(session, id=contest_id, scope=str(contest_id), n=n)


def answers(session: Session, contest_id: int, person_id: int | None = None) -> list[GivenAnswer]:
    """Every answer that counts (of one person), by person and question."""
    if person_id is None:
        return _ANSWERS.all(session, id=contest_id, scope=str(contest_id))
    return _OWN_ANSWERS.all(session, id=contest_id, scope=str(contest_id), person_id=person_id)


def team_answers(session: Session, contest_id: int, n: int, team_id: int) -> list[TeamAnswer]:
    """What a team's members answered, in the order of their arrival."""
    return _TEAM_ANSWERS.all(session, id=contest_id, scope=str(contest_id), n=n, team_id=team_id)


# ── The stage ──


@dataclass(frozen=True, slots=True)
class PressedBuzzer:
    """A team's press with the names that are shown."""

    id: int
    team_id: int
    is_false_start: bool
    team: str
    person: str
    arrived: datetime

    @property
    def buzz(self) -> Buzz:
        return Buzz(self.id, self.team_id, round(self.arrived.timestamp() * 1_000_000))


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


class TeamPoints(NamedTuple):
    """What was decided for a team: thousandths of a point, and how many sudden deaths it won."""

    points: int
    won: int


_ADD_BUZZ = Query(
    insert(_buzzes)
    .values(binds("contest_id", "n", "team_id", "person_id", "arrived_at", "fault"))
    .on_conflict_do_nothing(index_elements=["contest_id", "n", "team_id"])
)
_BUZZES = Query(
    select(*columns(_buzzes, PressedBuzzer, is_false_start=_buzzes.c.fault, team=_teams.c.name, person=_people.c.name, arrived=_buzzes.c.arrived_at))
    .select_from(_buzzes)
    .join(_teams, _teams.c.id == _buzzes.c.team_id)
    .join(_people, _people.c.id == _buzzes.c.person_id)
    .where(_buzzes.c.contest_id == bind("id"), _buzzes.c.n == bind("n"))
    .order_by(_buzzes.c.arrived_at, _buzzes.c.id),
    gives=PressedBuzzer,
)
_COUNT_FALSE_STARTS = Query(
    select(func.count()).where(_buzzes.c.contest_id == bind("id"), _buzzes.c.team_id == bind("team_id"), _buzzes.c.fault == 1), gives=int
)
_DECIDED = _decisions.c.contest_id == bind("id")
_ADD_DECISION = Query(insert(_decisions).values(binds("contest_id", "decided_at", "actor", "act", "n", "team_id", "person_id", "points", "why")))
_DECISIONS = Query(
    select(*columns(_decisions, LiveDecision, at=_decisions.c.decided_at, target_name=func.coalesce(_teams.c.name, _people.c.name, "")))
    .select_from(_decisions)
    .outerjoin(_teams, _teams.c.id == _decisions.c.team_id)
    .outerjoin(_people, _people.c.id == _decisions.c.person_id)
    .where(_DECIDED)
    .order_by(_decisions.c.id.desc())
    .limit(bind("top")),
    gives=LiveDecision,
)
_TEAM_POINTS = Query(
    select(_decisions.c.team_id, func.sum(_decisions.c.points), func.sum(case((_decisions.c.act == "加赛", 1), else_=0)))
    .select_from(_decisions)
    .outerjoin(_live_items, and_(_live_items.c.contest_id == _decisions.c.contest_id, _live_items.c.n == _decisions.c.n))
    .where(
        _DECIDED,
        _decisions.c.team_id.is_not(None),
        or_(_decisions.c.n == 0, _decisions.c.act.in_(["改分", "犯规"]), _live_items.c.void == ""),
    )
    .group_by(_decisions.c.team_id),
    gives=tuple[int, int, int],
)
_PERSON_POINTS = Query(
    select(_decisions.c.person_id, func.sum(_decisions.c.points))
    .where(_DECIDED, _decisions.c.person_id.is_not(None))
    .group_by(_decisions.c.person_id),
    gives=tuple[int, int],
)
_JUDGED_ITEM = and_(_DECIDED, _decisions.c.n == bind("n"), _decisions.c.act == "判分")
_COUNT_JUDGED = Query(select(func.count()).where(_JUDGED_ITEM, _decisions.c.team_id == bind("team_id")), gives=int)
_EXCLUDED_TEAMS = Query(select(_decisions.c.team_id).where(_JUDGED_ITEM, _decisions.c.points <= 0, _decisions.c.team_id.is_not(None)), gives=int)


def add_buzz(session: Session, contest_id: int, n: int, team_id: int, person_id: int, arrived: datetime, *, fault: bool) -> bool:
    """Record a press; False when the team has pressed at this question before."""
    return _ADD_BUZZ.run(session, contest_id=contest_id, n=n, team_id=team_id, person_id=person_id, arrived_at=arrived, fault=fault) == 1


def buzzes(session: Session, contest_id: int, n: int) -> list[PressedBuzzer]:
    """Who pressed at a question, by arrival."""
    return _BUZZES.all(session, id=contest_id, n=n)


def count_false_starts(session: Session, contest_id: int, team_id: int) -> int:
    """How many false starts a team has made in the whole contest."""
    return _COUNT_FALSE_STARTS.one(session, id=contest_id, team_id=team_id)


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
    _ADD_DECISION.run(
        session, contest_id=contest_id, decided_at=at, actor=actor, act=act, n=n, team_id=team_id, person_id=person_id, points=points, why=why
    )


def decisions(session: Session, contest_id: int, top: int = 1000) -> list[LiveDecision]:
    """The log, newest first."""
    return _DECISIONS.all(session, id=contest_id, top=top)


def team_points(session: Session, contest_id: int) -> dict[int, TeamPoints]:
    """What was decided for each team. What was judged on a void question does not count; a penalty does."""
    return {team_id: TeamPoints(points, won) for team_id, points, won in _TEAM_POINTS.all(session, id=contest_id)}


def person_points(session: Session, contest_id: int) -> dict[int, int]:
    """What was decided for single people, in thousandths."""
    return dict(_PERSON_POINTS.all(session, id=contest_id))


def is_judged(session: Session, contest_id: int, n: int, team_id: int) -> bool:
    return _COUNT_JUDGED.one(session, id=contest_id, n=n, team_id=team_id) > 0


def excluded_teams(session: Session, contest_id: int, n: int) -> frozenset[int]:
    """Teams that answered a question and were not right."""
    return frozenset(_EXCLUDED_TEAMS.all(session, id=contest_id, n=n))
