"""Contests and matches by the clock: ended within seconds by whichever replica looks first, and what the players are to be told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from bot.services import contest, duel
from bot.services.shelf import Shelf
from bot.storage import duel as duels
from bot.storage.db import Busy, Desk

log = structlog.get_logger(__name__)

CONTESTS_EVERY = timedelta(seconds=1)


async def run_contests(desk: Desk, shelf: Shelf, now: datetime) -> bool:
    """End what is due and owe everybody their news; True when the courier has something to carry."""
    ended = await _looked(lambda: end_contests(desk, shelf, now))
    told = await _looked(lambda: run_duels(desk, now))
    return bool(ended or told)


async def _looked(work: Callable[[], Awaitable[int]]) -> int:
    """What fails, or meets a busy database, is found due at the next tick as well."""
    try:
        return await work()
    except Busy as busy:
        log.warning("contests not looked at", reason=str(busy))
    except Exception:
        log.exception("contests failed")
    return 0


async def end_contests(desk: Desk, shelf: Shelf, now: datetime) -> int:
    """Close the contests that are due, in one transaction; how many."""
    return len(await desk.write(lambda session: contest.close_due(session, shelf, now), of="contests"))


async def run_duels(desk: Desk, now: datetime) -> int:
    """End matches that are due, then owe their players the news; how many were told."""
    await desk.write(lambda session: duel.expire(session, now), of="duels")
    told = 0
    for duel_id, person_id, news in await desk.read(duels.owed):
        # Of the person: their row is locked first, as when they speak themselves.
        told += await desk.write(partial(duel.tell, duel_id=duel_id, person_id=person_id, news=news, now=now), of=person_id)
    return told
