"""The tables `duel` and `duel_player`: matches, their players, and the news that players have not been sent yet.

Every change locks the match row first, so that any number of replicas may work on it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import and_, delete, exists, func, or_, select, update
from sqlmodel import Session

from bot.domain.contest.leaderboard import ContestResult
from bot.storage.db.engine import is_sqlite_session
from bot.storage.db.query import Query, bind, binds, columns, insert, replacing, table
from bot.storage.tables.contest import DuelPlayerRow, DuelRow
from bot.storage.tables.people import PersonRow
from bot.storage.tables.study import FocusRow, SittingItemRow, SittingRow

_duels, _players, _people = table(DuelRow), table(DuelPlayerRow), table(PersonRow)
_sittings, _items, _focus = table(SittingRow), table(SittingItemRow), table(FocusRow)

QUEUE_LOCK = 7_235_016
"""PostgreSQL's advisory lock under which the queue of waiting players is searched: two who come at once find each other."""


@dataclass(frozen=True, slots=True)
class Duel:
    """A match as its row stands; `until` is when the invitation, then the match, expires."""

    id: int
    size: int
    is_invited: bool
    state: str
    made_by: int
    made_at: datetime
    until: datetime
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class DuelPlayer:
    """A player of a match; place and points are set once it is over. `pending_news` is the kind of news not sent yet."""

    id: int
    name: str
    state: str
    sitting_id: int | None
    correct: int
    millis: int
    place: int | None
    points: int | None
    pending_news: str | None

    @property
    def is_in(self) -> bool:
        return self.state in ("ready", "playing", "done")


class PendingNews(NamedTuple):
    """A kind of news that a player of a match has not been sent yet."""

    duel_id: int
    person_id: int
    news: str


class PlayedDuel(NamedTuple):
    """A match that somebody has played: when it ended, their place and their match points."""

    ended_at: datetime
    place: int
    points: int


_LOCK_QUEUE = Query(select(func.pg_advisory_xact_lock(QUEUE_LOCK)))
_ADD = Query(insert(_duels).values(binds("size", "invited", "made_by", "made_at", "until") | {"state": "calling"}).returning(_duels.c.id), gives=int)
_SELECT = select(*columns(_duels, Duel, is_invited=_duels.c.invited))
_THIS = _duels.c.id == bind("id")
_OF_IDS = Query(_SELECT.where(_duels.c.id.in_(bind("ids"))), gives=Duel)
_LOCK = Query(_SELECT.where(_THIS).with_for_update(), gives=Duel)
_FIND_WAITING = Query(
    select(_duels.c.id)
    .where(
        _duels.c.state == "calling",
        _duels.c.invited == 0,
        _duels.c.size == bind("size"),
        _duels.c.until > bind("now"),
        ~exists(select(_players.c.duel_id).where(_players.c.duel_id == _duels.c.id, _players.c.person_id == bind("person_id"))),
    )
    .order_by(_duels.c.id)
    .limit(1),
    gives=int,
)
_START = Query(update(_duels).where(_THIS, _duels.c.state == "calling").values(binds("started_at", "until") | {"state": "running"}))
_END = Query(update(_duels).where(_THIS, _duels.c.state.in_(["calling", "running"])).values(binds("state", "over_at")))
_DUE = Query(
    select(_duels.c.id)
    .where(or_(and_(_duels.c.state == "calling", _duels.c.until <= bind("now")), and_(_duels.c.state == "running", _duels.c.until <= bind("before"))))
    .order_by(_duels.c.id),
    gives=int,
)
_COUNT_INVITATIONS = Query(
    select(func.count()).where(_duels.c.made_by == bind("person_id"), _duels.c.invited == 1, _duels.c.made_at >= bind("since")),
    gives=int,
)


def lock_queue(session: Session) -> None:
    """Lock the waiting queue until this transaction ends; SQLite's one writer needs no lock."""
    if not is_sqlite_session(session):
        _LOCK_QUEUE.one(session)


def add(session: Session, size: int, by: int, at: datetime, until: datetime, *, invited: bool) -> int:
    return _ADD.one(session, size=size, invited=invited, made_by=by, made_at=at, until=until)


def get(session: Session, duel_id: int) -> Duel | None:
    return next(iter(get_all(session, [duel_id])), None)


def get_all(session: Session, duel_ids: Collection[int]) -> list[Duel]:
    """The matches of these numbers."""
    return _OF_IDS.all(session, ids=duel_ids)


def lock(session: Session, duel_id: int) -> Duel | None:
    """A match whose row is locked until this transaction ends."""
    return _LOCK.first(session, id=duel_id)


def find_waiting(session: Session, size: int, person_id: int, now: datetime) -> int | None:
    """The oldest waiting match of a size that somebody else opened."""
    return _FIND_WAITING.first(session, size=size, person_id=person_id, now=now)


def start(session: Session, duel_id: int, at: datetime, until: datetime) -> bool:
    return _START.run(session, id=duel_id, started_at=at, until=until) == 1


def end(session: Session, duel_id: int, state: str, at: datetime) -> bool:
    """True for the one caller that ended it, "over" or "off"."""
    return _END.run(session, id=duel_id, state=state, over_at=at) == 1


def due_duels(session: Session, now: datetime, before: datetime) -> list[int]:
    """Calls that nobody has answered by `now`, and matches whose time was up at `before`."""
    return _DUE.all(session, now=now, before=before)


def count_invitations(session: Session, person_id: int, since: datetime) -> int:
    return _COUNT_INVITATIONS.one(session, person_id=person_id, since=since)


# ── Players ──

_PLAYER = and_(_players.c.duel_id == bind("duel_id"), _players.c.person_id == bind("person_id"))
_IS_ACTIVE = _players.c.state.in_(["ready", "playing"])
_WITH_DUEL = select(_duels.c.id).join_from(_players, _duels, _duels.c.id == _players.c.duel_id).where(_players.c.person_id == bind("person_id"))
_JOIN = Query(
    replacing(
        insert(_players).values(binds("duel_id", "person_id", "state", "owed") | {"correct": 0, "millis": 0}),
        ["duel_id", "person_id"],
        "state",
        "owed",
    )
)
_PLAYERS = Query(
    select(*columns(_players, DuelPlayer, id=_players.c.person_id, name=_people.c.name, pending_news=_players.c.owed))
    .join_from(_players, _people, _people.c.id == _players.c.person_id)
    .where(_players.c.duel_id == bind("duel_id"))
    .order_by(_players.c.person_id),
    gives=DuelPlayer,
)
_ACTIVE_DUEL = Query(select(_players.c.duel_id).where(_players.c.person_id == bind("person_id"), _IS_ACTIVE), gives=int)
_UNSTARTED_DUEL = Query(_WITH_DUEL.where(_IS_ACTIVE, _players.c.sitting_id.is_(None), _duels.c.state == "running"), gives=int)
_INVITATIONS = Query(
    _WITH_DUEL.where(_players.c.state == "invited", _duels.c.state == "calling", _duels.c.until > bind("now")).order_by(_duels.c.id.desc()), gives=int
)
_SET_STATE = Query(update(_players).where(_PLAYER).values(binds("state")))
_SET_SITTING = Query(update(_players).where(_PLAYER).values(binds("sitting_id") | {"state": "playing"}))
_SET_RESULT = Query(update(_players).where(_PLAYER).values(binds("correct", "millis") | {"state": "done"}))
_SET_PLACE = Query(update(_players).where(_PLAYER).values(binds("place", "points")))
_SET_PENDING_NEWS = Query(update(_players).where(_PLAYER, _players.c.state != "declined").values(owed=bind("news")))
_CLAIM_NEWS = Query(update(_players).where(_PLAYER, _players.c.owed == bind("news")).values(owed=None))
_PENDING_NEWS = Query(
    select(_players.c.duel_id, _players.c.person_id, _players.c.owed)
    .where(_players.c.owed.is_not(None))
    .order_by(_players.c.duel_id, _players.c.person_id)
    .limit(bind("top")),
    gives=PendingNews,
)
_DRAWN_ITEMS = Query(
    select(_items.c.question, _items.c.version_id)
    .where(_items.c.sitting_id == select(func.min(_players.c.sitting_id)).where(_players.c.duel_id == bind("duel_id")).scalar_subquery())
    .order_by(_items.c.n),
    gives=tuple[str, int],
)
_PLAYED_DUELS = Query(
    select(_duels.c.over_at, _players.c.place, _players.c.points)
    .join_from(_players, _duels, _duels.c.id == _players.c.duel_id)
    .where(_players.c.person_id == bind("person_id"), _duels.c.state == "over", _duels.c.over_at >= bind("since"), _players.c.place.is_not(None))
    .order_by(_duels.c.over_at, _duels.c.id),
    gives=PlayedDuel,
)
_CLOSE_SITTING = Query(
    update(_sittings)
    .where(_sittings.c.id == bind("id"), _sittings.c.state == "open")
    .values(state="left", closed_at=bind("now"), next=_sittings.c.size + 1)
)
_DROP_FOCUS = Query(delete(_focus).where(_focus.c.kind == "match", _focus.c.ref == bind("sitting_id")))
_FIND_STAFF = Query(
    select(_people.c.id, _people.c.staff_no)
    .where(
        or_(_people.c.staff_no == bind("wanted"), _people.c.name == bind("wanted")),
        or_(_people.c.left_on.is_(None), _people.c.left_on >= bind("day")),
        or_(_people.c.joined_on.is_(None), _people.c.joined_on <= bind("day")),
    )
    .order_by(_people.c.id),
    gives=tuple[int, str],
)


def join(session: Session, duel_id: int, person_id: int, state: str, owed: str | None = None) -> None:
    """Add a player, invited or ready. A person has one match at a time: the database refuses a second."""
    _JOIN.run(session, duel_id=duel_id, person_id=person_id, state=state, owed=owed)


def players(session: Session, duel_id: int) -> list[DuelPlayer]:
    return _PLAYERS.all(session, duel_id=duel_id)


def active_duel(session: Session, person_id: int) -> int | None:
    """The id of the match that a person waits for or plays."""
    return _ACTIVE_DUEL.first(session, person_id=person_id)


def unstarted_duel(session: Session, person_id: int) -> int | None:
    """The id of a running match whose first question this player has not been shown."""
    return _UNSTARTED_DUEL.first(session, person_id=person_id)


def open_invitations(session: Session, person_id: int, now: datetime) -> list[int]:
    """The ids of open invitations to a person, newest first."""
    return _INVITATIONS.all(session, person_id=person_id, now=now)


def set_state(session: Session, duel_id: int, person_id: int, state: str) -> None:
    _SET_STATE.run(session, duel_id=duel_id, person_id=person_id, state=state)


def set_sitting(session: Session, duel_id: int, person_id: int, sitting_id: int) -> None:
    """The player's own sitting with the questions of the match."""
    _SET_SITTING.run(session, duel_id=duel_id, person_id=person_id, sitting_id=sitting_id)


def set_result(session: Session, duel_id: int, person_id: int, result: ContestResult) -> None:
    _SET_RESULT.run(session, duel_id=duel_id, person_id=person_id, correct=result.correct, millis=result.millis)


def set_place(session: Session, duel_id: int, person_id: int, place: int, points: int) -> None:
    _SET_PLACE.run(session, duel_id=duel_id, person_id=person_id, place=place, points=points)


def set_pending_news(session: Session, duel_id: int, person_id: int, news: str) -> None:
    """Mark news as waiting to be sent to this player."""
    _SET_PENDING_NEWS.run(session, duel_id=duel_id, person_id=person_id, news=news)


def claim_pending_news(session: Session, duel_id: int, person_id: int, news: str) -> bool:
    """True for the one caller that sends it."""
    return _CLAIM_NEWS.run(session, duel_id=duel_id, person_id=person_id, news=news) == 1


def pending_news(session: Session, top: int = 200) -> list[PendingNews]:
    """All news waiting to be sent."""
    return _PENDING_NEWS.all(session, top=top)


def drawn_items(session: Session, duel_id: int) -> list[tuple[str, int]]:
    """(question, version) in their order: the same for all; none before the first has been put."""
    return _DRAWN_ITEMS.all(session, duel_id=duel_id)


def close_sitting(session: Session, sitting_id: int, at: datetime) -> None:
    """Close a sitting unfinished, and release it as the player's current task."""
    _DROP_FOCUS.run(session, sitting_id=sitting_id)
    _CLOSE_SITTING.run(session, id=sitting_id, now=at)


def played_duels(session: Session, person_id: int, since: datetime) -> list[PlayedDuel]:
    """The matches that a person has played since a moment, oldest first."""
    return _PLAYED_DUELS.all(session, person_id=person_id, since=since)


def find_staff(session: Session, staff_no_or_name: str, day: date) -> list[int]:
    """Ids of staff in office on a day with this staff number; by name where nobody has such a number."""
    people = _FIND_STAFF.all(session, wanted=staff_no_or_name, day=day)
    return [person_id for person_id, staff_no in people if staff_no == staff_no_or_name] or [person_id for person_id, _ in people]
