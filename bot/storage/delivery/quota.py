"""What was used of the platforms' limits: rows that all replicas share, so that together they stay within the share the service allows itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlmodel import Session

from bot.domain.delivery.platform_limits import PlatformLimit, Window
from bot.storage.db.query import Query, Statement, bind, binds, insert, table
from bot.storage.tables.delivery import BudgetRow

LOCK = 7_235_002
"""PostgreSQL's advisory lock of all quotas: one lock, so that two replicas never wait for each other crosswise."""
KEPT_FOR = timedelta(days=70)
SHORT_KEPT_FOR = timedelta(days=3)

_budget = table(BudgetRow)
# A function of PostgreSQL alone, which no table has to do with.
_LOCK = Statement("SELECT pg_advisory_xact_lock(:n)")
_USED = Query(select(func.coalesce(func.sum(_budget.c.used), 0)).where(_budget.c.name == bind("name"), _budget.c.began >= bind("since")), gives=int)
_PARTS = Query(
    select(_budget.c.name, _budget.c.began, _budget.c.used).where(_budget.c.name.in_(bind("names")), _budget.c.began >= bind("since")),
    gives=tuple[str, datetime, int],
)
_ADDED = insert(_budget).values(binds("name", "began", "used"))
_TAKE = Query(_ADDED.on_conflict_do_update(index_elements=["name", "began"], set_={"used": _budget.c.used + _ADDED.excluded.used}))
_GIVE_BACK = Query(
    update(_budget)
    .where(_budget.c.name == bind("of"), _budget.c.began == bind("at"), _budget.c.used >= bind("amount"))
    .values(used=_budget.c.used - bind("amount"))
)
_FORGET = Query(delete(_budget).where(_budget.c.began < bind("before")))
_FORGET_SHORT = Query(delete(_budget).where(_budget.c.began < bind("before"), _budget.c.name.not_like("%/month")))


class QuotaRows:
    """The quotas as one transaction sees them: `look` what is left, `take` of it, `close` writes what was taken. Nobody else takes meanwhile."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._used: dict[datetime, dict[str, int]] = {}
        """What is known to be used since a moment, by name."""
        self._taken: dict[datetime, dict[str, int]] = {}
        """What was taken here of the part that began then, by name."""
        if session.get_bind().dialect.name != "sqlite":
            _LOCK.one(session, n=LOCK)

    def look(self, name: str, usable: int, window: Window, now: datetime) -> int:
        """How much of `usable` is left; looking takes nothing."""
        return self.look_each([name], usable, window, now)[0]

    def look_each(self, names: Sequence[str], usable: int, window: Window, now: datetime) -> list[int]:
        """How much of `usable` is left in each of many rows, which are read at once."""
        used_since = self._used.setdefault(window.since(now), {})
        if unknown := [name for name in names if name not in used_since]:
            used_since.update(dict.fromkeys(unknown, 0))
            for name, _, used in _PARTS.all(self._session, names=unknown, since=window.since(now)):
                used_since[name] += used
        return [usable - used_since[name] if used_since[name] < usable else 0 for name in names]

    def take(self, name: str, window: Window, amount: int, now: datetime) -> None:
        """So much more is used, whether or not there was room for it."""
        self.take_each([name], window, amount, now)

    def take_each(self, names: Iterable[str], window: Window, amount: int, now: datetime) -> None:
        """So much more is used in each of many rows."""
        used, taken = self._used.get(window.since(now), {}), self._taken.setdefault(window.start(now), {})
        for name in names:
            taken[name] = taken.get(name, 0) + amount
            if name in used:
                used[name] += amount

    def close(self) -> None:
        taken = sorted((name, began, amount) for began, names in self._taken.items() for name, amount in names.items() if amount)
        _TAKE.many(self._session, [{"name": name, "began": began, "used": amount} for name, began, amount in taken])
        self._taken.clear()


def take(session: Session, allowances: Collection[tuple[str, int, Window]], wanted: int, now: datetime) -> int:
    """How many of `wanted` are granted: as many as fit under every allowance, given as (row, at most, window). They count as used from now on."""
    rows = QuotaRows(session)
    granted = min([wanted, *(rows.look(name, usable, window, now) for name, usable, window in allowances)])
    for name, _, window in allowances:
        rows.take(name, window, granted, now)
    rows.close()
    return granted


def give_back(session: Session, name: str, window: Window, amount: int, now: datetime) -> None:
    """So much of what was taken in the part of the window around `now` was not used after all."""
    _GIVE_BACK.run(session, of=name, at=window.start(now), amount=amount)


def look(session: Session, name: str, window: Window, now: datetime) -> int:
    """How much is used in a window; reads only."""
    return _USED.one(session, name=name, since=window.since(now))


def remaining(session: Session, limits: Iterable[PlatformLimit], accounts: Mapping[str, int], now: datetime) -> dict[str, int]:
    """What is left of each limit that is not a person's, by its key; reads only."""
    return {
        limit.key(): max(0, limit.usable(accounts.get(limit.channel, 0)) - look(session, limit.key(), limit.window, now))
        for limit in limits
        if not limit.per_person
    }


def used_by_part(session: Session, windows: Mapping[str, Window], now: datetime) -> Iterator[tuple[str, datetime, int]]:
    """What was used in each part of the windows that lie around `now`, by name: (name, when the part began, how much)."""
    by_since: dict[datetime, list[str]] = {}
    for name, window in windows.items():
        by_since.setdefault(window.since(now), []).append(name)
    for since, names in by_since.items():
        yield from _PARTS.all(session, names=names, since=since)


def forget(session: Session, now: datetime) -> int:
    """Drop what no window looks at any more."""
    return _FORGET.run(session, before=now - KEPT_FOR) + _FORGET_SHORT.run(session, before=now - SHORT_KEPT_FOR)
