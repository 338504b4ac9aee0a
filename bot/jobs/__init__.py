"""The clock knocks: what is done again and again while the service runs. The clock keeps nothing; the database knows what is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.storage import inbox
from bot.storage.db import Busy, Desk

log = structlog.get_logger(__name__)

FORGET_EVERY = timedelta(hours=6)
MEASURE_EVERY = timedelta(seconds=15)
FIRST = timedelta(minutes=1)
"""How long after the start the house is swept for the first time: a service that is restarted every night is swept too."""

Clock = Callable[[], datetime]


def ticker(desk: Desk, clock: Clock, measure: Callable[[], None]) -> AsyncIOScheduler:
    """A scheduler, not started, with the fixed jobs of the house: none keeps state, none runs beside itself, a late knock still counts once."""

    async def forget() -> None:
        await sweep(desk, clock())

    made = AsyncIOScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
    made.add_job(forget, IntervalTrigger(seconds=int(FORGET_EVERY.total_seconds()), start_date=clock() + FIRST, timezone="UTC"), id="forget")
    made.add_job(measure, IntervalTrigger(seconds=int(MEASURE_EVERY.total_seconds()), timezone="UTC"), id="measure")
    return made


async def sweep(desk: Desk, now: datetime) -> int:
    """Forget messages that no platform sends again; how many. A busy database is swept the next time."""
    try:
        gone = await desk.write(lambda session: inbox.forget(session, now))
    except Busy as busy:
        log.warning("inbox not swept", reason=str(busy))
        return 0
    log.info("inbox swept", gone=gone)
    return gone
