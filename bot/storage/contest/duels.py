"""The tables `duel` and `duel_player`: matches, their players, and the news that players have not been sent yet.

Every change locks the match row first, so that any number of replicas may work on it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlmodel import Session

from bot.domain.contest.leaderboard import ContestResult
from bot.storage.db.query import Query, Statement, bind, columns, table
from bot.storage.tables.columns import moment, stamp
from bot.storage.tables.contest import DuelRow

QUEUE_LOCK = 7_235_016
"""PostgreSQL's advisory lock under which the queue of waiting players is searched: two who come at once find each other."""

_LOCK_QUEUE = Statement("SELECT pg_advisory_xact_lock(:n)")
_INSERT = Statement(
    """INSERT INTO duel (size, invited, state, made_by, made_at, until) VALUES (:size, :invited, 'calling', :by, :at, :until) RETURNING id"""
)
_LOCK = Statement("SELECT id FROM duel WHERE id = :id FOR UPDATE")
_FIND_WAITING = Statement(
    """SELECT id FROM duel WHERE state = 'calling' AND invited = 0 AND size = :size AND until > :now
       AND NOT EXISTS (SELECT 1 FROM duel_player p WHERE p.duel_id = duel.id AND p.person_id = :person_id) ORDER BY id LIMIT 1"""
)
_START = Statement("UPDATE duel SET state = 'running', started_at = :at, until = :until WHERE id = :id AND state = 'calling'")
_END = Statement("UPDATE duel SET state = :state, over_at = :at WHERE id = :id AND state IN ('calling', 'running')")
_DUE = Statement("SELECT id FROM duel WHERE (state = 'calling' AND until <= :now) OR (state = 'running' AND until <= :before) ORDER BY id")
_COUNT_INVITATIONS = Statement("SELECT COUNT(*) FROM duel WHERE made_by = :person_id AND invited = 1 AND made_at >= :since")
_JOIN = Statement(
    """INSERT INTO duel_player (duel_id, person_id, state, correct, millis, owed) VALUES (:duel_id, :person_id, :state, 0, 0, :owed)
       ON CONFLICT (duel_id, person_id) DO UPDATE SET state = excluded.state, owed = excluded.owed"""
)
_PLAYERS = Statement(
    """SELECT p.person_id, n.name, p.state, p.sitting_id, p.correct, p.millis, p.place, p.points, p.owed
       FROM duel_player p JOIN person n ON n.id = p.person_id WHERE p.duel_id = :duel_id ORDER BY p.person_id"""
)
_ACTIVE_DUEL = Statement("SELECT duel_id FROM duel_player WHERE person_id = :person_id AND state IN ('ready', 'playing')")
_UNSTARTED_DUEL = Statement(
    """SELECT d.id FROM duel_player p JOIN duel d ON d.id = p.duel_id
       WHERE p.person_id = :person_id AND p.state IN ('ready', 'playing') AND p.sitting_id IS NULL AND d.state = 'running'"""
)
_INVITATIONS = Statement(
    """SELECT d.id FROM duel_player p JOIN duel d ON d.id = p.duel_id
       WHERE p.person_id = :person_id AND p.state = 'invited' AND d.state = 'calling' AND d.until > :now ORDER BY d.id DESC"""
)
_SET_STATE = Statement("UPDATE duel_player SET state = :state WHERE duel_id = :duel_id AND person_id = :person_id")
_SET_SITTING = Statement("UPDATE duel_player SET state = 'playing', sitting_id = :sitting_id WHERE duel_id = :duel_id AND person_id = :person_id")
_SET_RESULT = Statement(
    "UPDATE duel_player SET state = 'done', correct = :correct, millis = :millis WHERE duel_id = :duel_id AND person_id = :person_id"
)
_SET_PLACE = Statement("UPDATE duel_player SET place = :place, points = :points WHERE duel_id = :duel_id AND person_id = :person_id")
_SET_PENDING_NEWS = Statement("UPDATE duel_player SET owed = :owed WHERE duel_id = :duel_id AND person_id = :person_id AND state <> 'declined'")
_CLAIM_NEWS = Statement("UPDATE duel_player SET owed = NULL WHERE duel_id = :duel_id AND person_id = :person_id AND owed = :owed")
_PENDING_NEWS = Statement("SELECT duel_id, person_id, owed FROM duel_player WHERE owed IS NOT NULL ORDER BY duel_id, person_id LIMIT :top")
_ITEMS = Statement(
    """SELECT i.question, i.version_id FROM sitting_item i
       WHERE i.sitting_id = (SELECT MIN(p.sitting_id) FROM duel_player p WHERE p.duel_id = :duel_id) ORDER BY i.n"""
)
_PLAYED_DUELS = Statement(
    """SELECT d.over_at, p.place, p.points FROM duel_player p JOIN duel d ON d.id = p.duel_id
       WHERE p.person_id = :person_id AND d.state = 'over' AND d.over_at >= :since AND p.place IS NOT NULL ORDER BY d.over_at, d.id"""
)
_CLOSE_SITTING = Statement("UPDATE sitting SET state = 'left', closed_at = :at, next = size + 1 WHERE id = :id AND state = 'open'")
_DROP_FOCUS = Statement("DELETE FROM focus WHERE kind = 'match' AND ref = :sitting_id")
_FIND_STAFF = Statement(
    """SELECT id, staff_no FROM person WHERE (staff_no = :said OR name = :said) AND (left_on IS NULL OR left_on >= :day)
       AND (joined_on IS NULL OR joined_on <= :day) ORDER BY id"""
)


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


_duels = table(DuelRow)
_OF_IDS = Query(select(*columns(_duels, Duel, is_invited=_duels.c.invited)).where(_duels.c.id.in_(bind("ids"))), gives=Duel)


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def lock_queue(session: Session) -> None:
    """Lock the waiting queue until this transaction ends; SQLite's one writer needs no lock."""
    if not _is_sqlite(session):
        _LOCK_QUEUE.one(session, n=QUEUE_LOCK)


def add(session: Session, size: int, by: int, at: datetime, until: datetime, *, invited: bool) -> int:
    return int(_INSERT.one(session, size=size, invited=int(invited), by=by, at=stamp(at), until=stamp(until))[0])


def get(session: Session, duel_id: int) -> Duel | None:
    return next(iter(get_all(session, [duel_id])), None)


def get_all(session: Session, duel_ids: Collection[int]) -> list[Duel]:
    """The matches of these numbers."""
    return _OF_IDS.all(session, ids=duel_ids)


def lock(session: Session, duel_id: int) -> Duel | None:
    """A match whose row is locked until this transaction ends."""
    if not _is_sqlite(session):
        _LOCK.one(session, id=duel_id)
    return get(session, duel_id)


def find_waiting(session: Session, size: int, person_id: int, now: datetime) -> int | None:
    """The oldest waiting match of a size that somebody else opened."""
    row = _FIND_WAITING.one(session, size=size, person_id=person_id, now=stamp(now))
    return None if row is None else int(row[0])


def start(session: Session, duel_id: int, at: datetime, until: datetime) -> bool:
    return _START.run(session, id=duel_id, at=stamp(at), until=stamp(until)) == 1


def end(session: Session, duel_id: int, state: str, at: datetime) -> bool:
    """True for the one caller that ended it, "over" or "off"."""
    return _END.run(session, id=duel_id, state=state, at=stamp(at)) == 1


def due_duels(session: Session, now: datetime, before: datetime) -> list[int]:
    """Calls that nobody has answered by `now`, and matches whose time was up at `before`."""
    return [row[0] for row in _DUE.all(session, now=stamp(now), before=stamp(before))]


def count_invitations(session: Session, person_id: int, since: datetime) -> int:
    return int(_COUNT_INVITATIONS.one(session, person_id=person_id, since=stamp(since))[0])


# ── Players ──


def join(session: Session, duel_id: int, person_id: int, state: str, owed: str | None = None) -> None:
    """Add a player, invited or ready. A person has one match at a time: the database refuses a second."""
    _JOIN.run(session, duel_id=duel_id, person_id=person_id, state=state, owed=owed)


def players(session: Session, duel_id: int) -> list[DuelPlayer]:
    return [DuelPlayer(*row) for row in _PLAYERS.all(session, duel_id=duel_id)]


def active_duel(session: Session, person_id: int) -> int | None:
    """The id of the match that a person waits for or plays."""
    row = _ACTIVE_DUEL.one(session, person_id=person_id)
    return None if row is None else int(row[0])


def unstarted_duel(session: Session, person_id: int) -> int | None:
    """The id of a running match whose first question this player has not been shown."""
    row = _UNSTARTED_DUEL.one(session, person_id=person_id)
    return None if row is None else int(row[0])


def open_invitations(session: Session, person_id: int, now: datetime) -> list[int]:
    """The ids of open invitations to a person, newest first."""
    return [row[0] for row in _INVITATIONS.all(session, person_id=person_id, now=stamp(now))]


def set_state(session: Session, duel_id: int, person_id: int, state: str) -> None:
    _SET_STATE.run(session, duel_id=duel_id, person_id=person_id, state=state)


def set_sitting(session: Session, duel_id: int, person_id: int, sitting_id: int) -> None:
    """The player's own sitting with the questions of the match."""
    _SET_SITTING.run(session, duel_id=duel_id, person_id=person_id, sitting_id=sitting_id)


def set_result(session: Session, duel_id: int, person_id: int, result: ContestResult) -> None:
    _SET_RESULT.run(session, duel_id=duel_id, person_id=person_id, correct=result.correct, millis=result.millis)


def set_place(session: Session, duel_id: int, person_id: int, at: int, points: int) -> None:
    _SET_PLACE.run(session, duel_id=duel_id, person_id=person_id, place=at, points=points)


def set_pending_news(session: Session, duel_id: int, person_id: int, news: str) -> None:
    """Mark news as waiting to be sent to this player."""
    _SET_PENDING_NEWS.run(session, duel_id=duel_id, person_id=person_id, owed=news)


def claim_pending_news(session: Session, duel_id: int, person_id: int, news: str) -> bool:
    """True for the one caller that sends it."""
    return _CLAIM_NEWS.run(session, duel_id=duel_id, person_id=person_id, owed=news) == 1


def pending_news(session: Session, top: int = 200) -> list[tuple[int, int, str]]:
    """(match, person, news) of all news waiting to be sent."""
    return [(row[0], row[1], row[2]) for row in _PENDING_NEWS.all(session, top=top)]


def drawn_items(session: Session, duel_id: int) -> list[tuple[str, int]]:
    """(question, version) in their order: the same for all; none before the first has been put."""
    return [(row[0], row[1]) for row in _ITEMS.all(session, duel_id=duel_id)]


def close_sitting(session: Session, sitting_id: int, at: datetime) -> None:
    """Close a sitting unfinished, and release it as the player's current task."""
    _DROP_FOCUS.run(session, sitting_id=sitting_id)
    _CLOSE_SITTING.run(session, id=sitting_id, at=stamp(at))


def played_duels(session: Session, person_id: int, since: datetime) -> list[tuple[datetime, int, int]]:
    """(end, place, match points) of the matches a person has played since a moment, oldest first."""
    return [(moment(row[0]), row[1], row[2]) for row in _PLAYED_DUELS.all(session, person_id=person_id, since=stamp(since))]


def find_staff(session: Session, staff_no_or_name: str, day: date) -> list[int]:
    """Ids of staff in office on a day with this staff number; by name where nobody has such a number."""
    rows = _FIND_STAFF.all(session, said=staff_no_or_name, day=day.isoformat())
    return [row[0] for row in rows if row[1] == staff_no_or_name] or [row[0] for row in rows]
