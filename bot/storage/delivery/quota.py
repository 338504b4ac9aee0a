"""What was used of the platforms' limits: rows that all replicas share, so that together they stay within the share the service allows itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.delivery.platform_limits import PlatformLimit, Window
from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

LOCK = 7_235_002
"""PostgreSQL's advisory lock of all quotas: one lock, so that two replicas never wait for each other crosswise."""
KEPT_FOR = timedelta(days=70)

_LOCK = Statement("SELECT pg_advisory_xact_lock(:n)")
_USED = Statement("SELECT COALESCE(SUM(used), 0) FROM budget WHERE name = :name AND began >= :since")
_TAKE = Statement(
    """INSERT INTO budget (name, began, used) VALUES (:name, :began, :n)
       ON CONFLICT (name, began) DO UPDATE SET used = budget.used + excluded.used"""
)
_FORGET = Statement("DELETE FROM budget WHERE began < :before")
_FORGET_SHORT = Statement("DELETE FROM budget WHERE began < :before AND name NOT LIKE '%/month'")
_AT = Statement("SELECT used FROM budget WHERE name = :name AND began = :began")
_ROWS = "SELECT name, began, used FROM budget WHERE began >= :since AND name IN ({names})"


class Quota:
    """The quotas as one transaction sees them: `look` what is left, `take` of it, `close` writes what was taken. Nobody else takes meanwhile."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._used: dict[tuple[str, str], int] = {}
        self._taken: dict[tuple[str, str], int] = {}
        if session.get_bind().dialect.name != "sqlite":
            _LOCK.one(session, n=LOCK)

    def load(self, names: Sequence[str], window: Window, now: datetime) -> None:
        """Read many rows at once, before one looks at each."""
        since = stamp(window.since(now))
        for name in names:
            self._used.setdefault((name, since), 0)
        for name, _, used in _rows(self._session, names, since):
            self._used[name, since] += used

    def look(self, name: str, usable: int, window: Window, now: datetime) -> int:
        since = stamp(window.since(now))
        used = self._used.get((name, since))
        if used is None:
            used = self._used[name, since] = int(_USED.one(self._session, name=name, since=since)[0])
        return max(0, usable - used)

    def take(self, name: str, window: Window, amount: int, now: datetime) -> None:
        since, began = stamp(window.since(now)), stamp(window.start(now))
        self._used[name, since] = self._used.get((name, since), 0) + amount
        self._taken[name, began] = self._taken.get((name, began), 0) + amount

    def close(self) -> None:
        _TAKE.many(self._session, [{"name": name, "began": began, "n": amount} for (name, began), amount in sorted(self._taken.items()) if amount])
        self._taken.clear()


def take(session: Session, allowances: Sequence[tuple[str, int, Window]], wanted: int, now: datetime) -> int:
    """How many of `wanted` are granted: as many as fit under every allowance, given as (row, at most, window). They count as used from now on."""
    quota = Quota(session)
    granted = min([wanted, *(quota.look(name, usable, window, now) for name, usable, window in allowances)])
    for name, _, window in allowances:
        quota.take(name, window, granted, now)
    quota.close()
    return granted


def _rows(session: Session, names: Sequence[str], since: str) -> Iterator[tuple[str, str, int]]:
    for start in range(0, len(names), 500):
        values = {f"n{n}": name for n, name in enumerate(names[start : start + 500])}
        text = _ROWS.format(names=", ".join(f":{parameter}" for parameter in values))
        yield from ((row[0], row[1], int(row[2])) for row in Statement(text).all(session, since=since, **values))


def used_by_part(session: Session, windows: Mapping[str, Window], now: datetime) -> Iterator[tuple[str, datetime, int]]:
    """What was used in each part of the windows that lie around `now`, by name: (name, when the part began, how much)."""
    by_since: dict[str, list[str]] = {}
    for name, window in windows.items():
        by_since.setdefault(stamp(window.since(now)), []).append(name)
    for since, names in by_since.items():
        yield from ((name, moment(began), used) for name, began, used in _rows(session, names, since))


def remaining(session: Session, limits: Iterable[PlatformLimit], accounts: dict[str, int], now: datetime) -> dict[str, int]:
    """What is left of each limit that is not a person's, by its key; reads only."""
    remaining: dict[str, int] = {}
    for limit in limits:
        if not limit.per_person:
            used = _USED.one(session, name=limit.key(), since=stamp(limit.window.since(now)))[0]
            remaining[limit.key()] = max(0, limit.usable(accounts.get(limit.channel, 0)) - int(used))
    return remaining


def forget(session: Session, now: datetime) -> int:
    """Drop what no window looks at any more."""
    return _FORGET.run(session, before=stamp(now - KEPT_FOR)) + _FORGET_SHORT.run(session, before=stamp(now - timedelta(days=3)))


def wechat_row_name(user: str) -> str:
    """The name of the row that counts WeChat's messages since a person's own, which `began` names."""
    return f"wechat/person/window/{user}"


def look_since_heard(session: Session, user: str, heard: datetime) -> int:
    """How many messages went to a person since they spoke."""
    row = _AT.one(session, name=wechat_row_name(user), began=stamp(heard))
    return 0 if row is None else int(row[0])


def take_since_heard(session: Session, user: str, heard: datetime, messages: int) -> None:
    """Count `messages` more."""
    _TAKE.run(session, name=wechat_row_name(user), began=stamp(heard), n=messages)


def give_back_since_heard(session: Session, user: str, heard: datetime, messages: int) -> None:
    """Count `messages` less: they were surely not sent."""
    take_since_heard(session, user, heard, -messages)
