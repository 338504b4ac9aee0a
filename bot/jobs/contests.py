"""Contests that end by the clock: closed within seconds, by whichever replica looks first."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from bot.services import contest
from bot.services.shelf import Shelf
from bot.storage.db import Busy, Desk

log = structlog.get_logger(__name__)

CONTESTS_EVERY = timedelta(seconds=1)


async def end_contests(desk: Desk, shelf: Shelf, now: datetime) -> list[int]:
    """Close what is due, in one transaction; nothing when the database is busy: the next tick finds it due as well."""
    try:
        return await desk.write(lambda session: contest.close_due(session, shelf, now), of="contests")
    except Busy as busy:
        log.warning("contests not looked at", reason=str(busy))
    except Exception:
        log.exception("contests failed")
    return []
