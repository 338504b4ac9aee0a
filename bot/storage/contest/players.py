"""Who takes part in a contest: participants with their results and places, their teams, and the sets they began and ended; a team stays for good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Integer, Text, and_, delete, func, or_, select, type_coerce, union, update
from sqlmodel import Session

from bot.domain.contest.leaderboard import ContestResult, FinishedSet, RankedPlayer, ScoredAnswer
from bot.storage.db.query import Query, bind, binds, insert, replacing, table
from bot.storage.study import grades
from bot.storage.tables.contest import ContestRow, ContestSetRow, ParticipationRow, TeamMemberRow, TeamRow
from bot.storage.tables.people import PersonRow, PostRow, UnitRow
from bot.storage.tables.study import AnswerRow, FocusRow, SittingItemRow, SittingRow

_contests, _participants, _sets, _teams, _members = (table(row) for row in (ContestRow, ParticipationRow, ContestSetRow, TeamRow, TeamMemberRow))
_people, _posts, _units = table(PersonRow), table(PostRow), table(UnitRow)
_answers, _sittings, _items, _focus = table(AnswerRow), table(SittingRow), table(SittingItemRow), table(FocusRow)

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


class Team(NamedTuple):
    """A team of a contest."""

    id: int
    name: str


class TeamMember(NamedTuple):
    """Somebody in a team."""

    team: str
    person_id: int
    staff_no: str
    name: str


class PersonUnit(NamedTuple):
    """A unit by its path from the root."""

    id: int
    path: str


class StartedSet(NamedTuple):
    """The sitting of a set and whose it is."""

    sitting_id: int
    person_id: int


# ── Those who take part ──

_CONTEST = _participants.c.contest_id == bind("contest_id")
_THIS = and_(_CONTEST, _participants.c.person_id == bind("person_id"))
_RESULT = (_participants.c.points, _participants.c.correct, _participants.c.millis, _participants.c.finished_at.label("finished"))
_JOIN = Query(
    insert(_participants)
    .values(binds("contest_id", "person_id", "joined_at", "unit_id", "strength") | {"points": 0, "correct": 0, "millis": 0})
    .on_conflict_do_nothing(index_elements=["contest_id", "person_id"])
)
_GET = Query(select(_participants.c.joined_at, _participants.c.place, *_RESULT).where(_THIS), gives=(datetime, int, ContestResult))
_CLOSED_CONTESTS = Query(
    select(_contests.c.id)
    .join_from(_participants, _contests, _contests.c.id == _participants.c.contest_id)
    .where(_participants.c.person_id == bind("person_id"), _contests.c.state == "closed")
    .order_by(_contests.c.closed_at.desc(), _contests.c.id.desc())
    .limit(bind("top")),
    gives=int,
)
_SET_RESULT = Query(update(_participants).where(_THIS).values(binds("points", "correct", "millis", "finished_at")))
_SET_PLACE = Query(update(_participants).where(_THIS).values(binds("place")))
_EVERYBODY = union(
    select(_participants.c.person_id).where(_CONTEST), select(_members.c.person_id).where(_members.c.contest_id == bind("contest_id"))
).subquery("everybody")
_RANKED = Query(
    select(
        _people.c.id,
        _people.c.name,
        _members.c.team_id,
        func.coalesce(_participants.c.strength, 0).label("strength"),
        func.coalesce(_participants.c.points, 0).label("points"),
        func.coalesce(_participants.c.correct, 0).label("correct"),
        func.coalesce(_participants.c.millis, 0).label("millis"),
        _participants.c.finished_at.label("finished"),
    )
    .select_from(_EVERYBODY)
    .join(_people, _people.c.id == _EVERYBODY.c.person_id)
    .outerjoin(_participants, and_(_CONTEST, _participants.c.person_id == _people.c.id))
    .outerjoin(_members, and_(_members.c.contest_id == bind("contest_id"), _members.c.person_id == _people.c.id))
    .order_by(_people.c.id),
    gives=(int, str, int, int, ContestResult),
)
_FINISHED_A_SET = Query(
    select(_sets.c.person_id).distinct().where(_sets.c.contest_id == bind("contest_id"), _sets.c.whole == 1).order_by(_sets.c.person_id), gives=int
)
_TOOK_PART = Query(
    select(_participants.c.person_id).where(_CONTEST, _participants.c.finished_at.is_not(None)).order_by(_participants.c.person_id), gives=int
)
_COUNT_JOINED = Query(select(func.count()).select_from(_participants).where(_CONTEST), gives=int)
_ACCURACY = Query(
    select(func.count(), func.coalesce(func.sum(type_coerce(_answers.c.correct, Integer)), 0)).where(
        _answers.c.person_id == bind("person_id"), _answers.c.recorded_at >= bind("since")
    ),
    gives=tuple[int, int],
)
_ON_DUTY = and_(_posts.c.since <= bind("day"), or_(_posts.c.until.is_(None), _posts.c.until >= bind("day")))
_UNIT = Query(select(_posts.c.unit_id).where(_posts.c.person_id == bind("person_id"), _ON_DUTY).order_by(_posts.c.id).limit(1), gives=int)
_EXPORT = Query(
    select(
        _people.c.staff_no,
        _people.c.name,
        func.coalesce(_units.c.path, "").label("unit"),
        func.coalesce(_teams.c.name, "").label("team"),
        _participants.c.place,
        _participants.c.points,
        _participants.c.correct,
        _participants.c.millis,
        type_coerce(_participants.c.joined_at, Text()).label("joined_at"),
        type_coerce(_participants.c.finished_at, Text()).label("finished_at"),
    )
    .join_from(_participants, _people, _people.c.id == _participants.c.person_id)
    .outerjoin(_units, _units.c.id == _participants.c.unit_id)
    .outerjoin(_members, and_(_members.c.contest_id == _participants.c.contest_id, _members.c.person_id == _participants.c.person_id))
    .outerjoin(_teams, _teams.c.id == _members.c.team_id)
    .where(_CONTEST)
    .order_by(_participants.c.place.is_(None), _participants.c.place, _people.c.staff_no),
    gives=dict,
)


def join(session: Session, contest_id: int, person_id: int, unit_id: int | None, strength: int, at: datetime) -> bool:
    """True for the call that made somebody a participant; joining again keeps everything (bot/docs/rules.md S19)."""
    return _JOIN.run(session, contest_id=contest_id, person_id=person_id, unit_id=unit_id, strength=strength, joined_at=at) == 1


def get(session: Session, contest_id: int, person_id: int) -> Participant | None:
    row = _GET.first(session, contest_id=contest_id, person_id=person_id)
    if row is None:
        return None
    joined_at, place, result = row
    return Participant(joined_at, result, place)


def closed_contests(session: Session, person_id: int, top: int) -> list[int]:
    """The contests that somebody joined and that are closed, newest first."""
    return _CLOSED_CONTESTS.all(session, person_id=person_id, top=top)


def set_result(session: Session, contest_id: int, person_id: int, result: ContestResult) -> None:
    """Store the current result of a participant."""
    _SET_RESULT.run(session, contest_id=contest_id, person_id=person_id, **_result_values(result))


def set_results(session: Session, contest_id: int, results: Iterable[tuple[int, ContestResult]]) -> None:
    """Store many results at once, as (person, result)."""
    _SET_RESULT.many(session, [{"contest_id": contest_id, "person_id": person, **_result_values(result)} for person, result in results])


def _result_values(result: ContestResult) -> dict[str, Any]:
    return {"points": result.points, "correct": result.correct, "millis": result.millis, "finished_at": result.finished}


def set_places(session: Session, contest_id: int, places: Iterable[tuple[int, int]]) -> None:
    """Write the places of a frozen board, as (person, place)."""
    _SET_PLACE.many(session, [{"contest_id": contest_id, "person_id": person, "place": place} for person, place in places])


def list_ranked(session: Session, contest_id: int) -> list[RankedPlayer]:
    """All who joined or are in a team, by id; `took_part` is False while somebody has nothing that counts."""
    return [
        RankedPlayer(person_id, name, result, team_id, result.finished is not None, strength)
        for person_id, name, team_id, strength, result in _RANKED.all(session, contest_id=contest_id)
    ]


def took_part(session: Session, contest_id: int) -> list[int]:
    """Ids of participants with at least one answer that counts."""
    return _TOOK_PART.all(session, contest_id=contest_id)


def finished_a_set(session: Session, contest_id: int) -> list[int]:
    """Ids of participants who finished at least one set of a windowed contest."""
    return _FINISHED_A_SET.all(session, contest_id=contest_id)


def export_rows(session: Session, contest_id: int) -> list[dict[str, Any]]:
    """Everybody who joined, by place: points as people read them, time in milliseconds, moments as the rows hold them."""
    return [{**row, "points": row["points"] / 1000} for row in _EXPORT.all(session, contest_id=contest_id)]


def count_joined(session: Session, contest_id: int) -> int:
    return _COUNT_JOINED.one(session, contest_id=contest_id)


def recent_accuracy(session: Session, person_id: int, now: datetime) -> int:
    """The share of right answers of the last half year, in thousandths."""
    answered, right = _ACCURACY.one(session, person_id=person_id, since=now - STRENGTH_PERIOD)
    return int(right) * 1000 // answered if answered else 0


def unit_of(session: Session, person_id: int, day: date) -> int | None:
    """The unit of somebody's first post on a day."""
    return _UNIT.first(session, person_id=person_id, day=day)


# ── Teams ──

_MEMBER = insert(_members).values(binds("contest_id", "person_id", "team_id"))
_MEMBER_KEY = ["contest_id", "person_id"]
_ADD_TEAM = Query(insert(_teams).values(binds("contest_id", "name", "unit_id")).on_conflict_do_nothing(index_elements=["contest_id", "name"]))
_TEAM = Query(select(_teams.c.id).where(_teams.c.contest_id == bind("contest_id"), _teams.c.name == bind("name")), gives=int)
_TEAM_NAMES = Query(select(_teams.c.id, _teams.c.name).where(_teams.c.contest_id == bind("contest_id")).order_by(_teams.c.name), gives=Team)
_ADD_MEMBER = Query(_MEMBER.on_conflict_do_nothing(index_elements=_MEMBER_KEY))
_MOVE_MEMBER = Query(replacing(_MEMBER, _MEMBER_KEY, "team_id"))
_TEAM_OF = Query(
    select(_teams.c.id, _teams.c.name)
    .join_from(_members, _teams, _teams.c.id == _members.c.team_id)
    .where(_members.c.contest_id == bind("contest_id"), _members.c.person_id == bind("person_id")),
    gives=Team,
)
_MEMBERS = Query(
    select(_teams.c.name, _people.c.id, _people.c.staff_no, _people.c.name)
    .select_from(_members)
    .join(_teams, _teams.c.id == _members.c.team_id)
    .join(_people, _people.c.id == _members.c.person_id)
    .where(_members.c.contest_id == bind("contest_id"))
    .order_by(_teams.c.name, _people.c.staff_no),
    gives=TeamMember,
)
_UNIT_PATH = Query(select(_units.c.path).where(_units.c.id == bind("id")), gives=str)
_UNITS_BY_PERSON = Query(
    select(_posts.c.person_id, _units.c.id, _units.c.path)
    .join_from(_posts, _units, _units.c.id == _posts.c.unit_id)
    .where(_ON_DUTY)
    .order_by(_posts.c.id),
    gives=tuple[int, int, str],
)


def get_or_create_team(session: Session, contest_id: int, name: str, unit_id: int | None = None) -> int:
    """The team of that name, made when there is none."""
    _ADD_TEAM.run(session, contest_id=contest_id, name=name, unit_id=unit_id)
    return _TEAM.one(session, contest_id=contest_id, name=name)


def add_members(session: Session, contest_id: int, team_id: int, people: Iterable[int]) -> None:
    """Make people members; who is in a team already stays there."""
    _ADD_MEMBER.many(session, [{"contest_id": contest_id, "person_id": person, "team_id": team_id} for person in people])


def move_member(session: Session, contest_id: int, team_id: int, person_id: int) -> None:
    """Make somebody a member of this team, out of whatever other."""
    _MOVE_MEMBER.run(session, contest_id=contest_id, person_id=person_id, team_id=team_id)


def team_names(session: Session, contest_id: int) -> dict[int, str]:
    """The teams by id."""
    return dict(_TEAM_NAMES.all(session, contest_id=contest_id))


def team_of(session: Session, contest_id: int, person_id: int) -> Team | None:
    """Somebody's team."""
    return _TEAM_OF.first(session, contest_id=contest_id, person_id=person_id)


def list_members(session: Session, contest_id: int) -> list[TeamMember]:
    """The members of all teams."""
    return _MEMBERS.all(session, contest_id=contest_id)


def unit_path(session: Session, unit_id: int | None) -> str | None:
    return None if unit_id is None else _UNIT_PATH.first(session, id=unit_id)


def units_by_person(session: Session, day: date) -> dict[int, PersonUnit]:
    """The unit of everybody's first post on a day: people in two posts play for one unit."""
    units: dict[int, PersonUnit] = {}
    for person_id, unit_id, path in _UNITS_BY_PERSON.all(session, day=day):
        units.setdefault(person_id, PersonUnit(unit_id, path))
    return units


# ── Sets ──

_OF_CONTEST = _sets.c.contest_id == bind("contest_id")
_OF_PERSON = and_(_OF_CONTEST, _sets.c.person_id == bind("person_id"))
_BEGIN_SET = Query(
    insert(_sets).values(binds("sitting_id", "contest_id", "person_id", "day", "n") | {"whole": 0, "points": 0, "correct": 0, "millis": 0})
)
_SETS = Query(
    select(
        _sets.c.sitting_id, _sets.c.day, _sets.c.n, _sets.c.whole, _sets.c.points, _sets.c.correct, _sets.c.millis, _sets.c.over_at.label("finished")
    )
    .where(_OF_PERSON)
    .order_by(_sets.c.day, _sets.c.n),
    gives=(int, date, int, bool, ContestResult),
)
_END_SET = Query(update(_sets).where(_sets.c.sitting_id == bind("sitting_id")).values(binds("whole", "points", "correct", "millis", "over_at")))
_STARTED = select(_sets.c.sitting_id, _sets.c.person_id).where(_OF_CONTEST)
_OPEN_SETS = Query(_STARTED.where(_sets.c.over_at.is_(None)).order_by(_sets.c.sitting_id), gives=StartedSet)
_ENDED_SETS = Query(_STARTED.where(_sets.c.over_at.is_not(None)).order_by(_sets.c.person_id, _sets.c.sitting_id), gives=StartedSet)
_ARRIVALS = Query(select(_answers.c.n, _answers.c.arrived_at).where(_answers.c.sitting_id == bind("sitting_id")), gives=tuple[int, datetime])
_OPENING = Query(select(_sittings.c.opened_at, _sittings.c.size).where(_sittings.c.id == bind("id")), gives=tuple[datetime, int])
_ASKED_QUESTIONS = Query(
    select(_items.c.question).distinct().join_from(_sets, _items, _items.c.sitting_id == _sets.c.sitting_id).where(_OF_PERSON), gives=str
)
_CLOSE_SITTINGS = Query(
    update(_sittings)
    .where(_sittings.c.state == "open", _sittings.c.id.in_(select(_sets.c.sitting_id).where(_OF_CONTEST)))
    .values(state="left", closed_at=bind("now"), next=_sittings.c.size + 1)
)
_DROP_FOCUS = Query(
    delete(_focus).where(
        _focus.c.kind == "sitting",
        _focus.c.ref.in_(
            select(_sets.c.sitting_id)
            .join_from(_sets, _sittings, _sittings.c.id == _sets.c.sitting_id)
            .where(_OF_CONTEST, _sittings.c.state == "open")
        ),
    )
)


def begin_set(session: Session, contest_id: int, person_id: int, sitting_id: int, day: date, n: int) -> None:
    """The n-th set of a day; unique in the database, whatever the number of replicas."""
    _BEGIN_SET.run(session, sitting_id=sitting_id, contest_id=contest_id, person_id=person_id, day=day, n=n)


def list_sets(session: Session, contest_id: int, person_id: int) -> list[ContestSet]:
    return [
        ContestSet(sitting_id, day, n, is_whole, result, result.finished is not None)
        for sitting_id, day, n, is_whole, result in _SETS.all(session, contest_id=contest_id, person_id=person_id)
    ]


def end_set(session: Session, sitting_id: int, result: ContestResult, at: datetime, *, is_whole: bool) -> None:
    _END_SET.run(session, points=result.points, correct=result.correct, millis=result.millis, whole=is_whole, over_at=at, sitting_id=sitting_id)


def open_sets(session: Session, contest_id: int) -> list[StartedSet]:
    """The sets that are under way."""
    return _OPEN_SETS.all(session, contest_id=contest_id)


def ended_sets(session: Session, contest_id: int) -> list[StartedSet]:
    """The sets of a contest that are over, by person."""
    return _ENDED_SETS.all(session, contest_id=contest_id)


def close_open_sets(session: Session, contest_id: int, at: datetime) -> None:
    """Close all open sets unfinished, and release them as current tasks."""
    _DROP_FOCUS.run(session, contest_id=contest_id)
    _CLOSE_SITTINGS.run(session, contest_id=contest_id, now=at)


def asked_questions(session: Session, contest_id: int, person_id: int) -> set[str]:
    """The questions that somebody has had in this contest."""
    return set(_ASKED_QUESTIONS.all(session, contest_id=contest_id, person_id=person_id))


def scored_answers(session: Session, sitting_id: int) -> tuple[list[ScoredAnswer], datetime | None, bool]:
    """(answers in the order they came, the arrival of the last, whether all was answered) of a sitting, by the marks that count.

    An answer took from the one before it, or from the opening, until its own arrival; both are moments of the server. A withdrawn
    question counts for nobody, neither mark nor time; one that was credited to all counts also for those who had left it out.
    """
    opened, size = _OPENING.one(session, id=sitting_id)
    arrivals = dict(_ARRIVALS.all(session, sitting_id=sitting_id))
    marks = grades.grades_of_sitting(session, sitting_id)
    previous, answers = opened, []
    for mark in sorted(marks, key=lambda mark: (mark.n not in arrivals, arrivals.get(mark.n, previous), mark.n)):
        arrived_at = arrivals.get(mark.n, previous)
        if mark.counts and (mark.n in arrivals or mark.earned):
            answers.append(ScoredAnswer(mark.earned, mark.earned == 1000, max(0, (arrived_at - previous) // timedelta(milliseconds=1))))
        previous = max(previous, arrived_at)
    return answers, max(arrivals.values(), default=None), len(arrivals) == size
