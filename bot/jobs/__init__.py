"""The clock knocks: what is done again and again while the service runs. The clock keeps nothing; the database knows what is due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.domain.campaign import Fired
from bot.jobs.contests import CONTESTS_EVERY, run_contests
from bot.jobs.courier import Courier
from bot.jobs.herald import Herald
from bot.jobs.meter import EVERY as COUNT_EVERY
from bot.jobs.meter import Meter
from bot.services import campaign, exam, reminders
from bot.services.shelf import Shelf
from bot.storage import budget, inbox, links
from bot.storage.db import Busy, Desk

__all__ = [
    "CONTESTS_EVERY",
    "COUNT_EVERY",
    "Courier",
    "Herald",
    "Job",
    "Meter",
    "invigilate",
    "remind",
    "run_campaigns",
    "run_contests",
    "sweep",
    "ticker",
]

log = structlog.get_logger(__name__)

FORGET_EVERY = timedelta(hours=6)
MEASURE_EVERY = timedelta(seconds=15)
LINKS_KEPT = timedelta(days=1)
FIRST = timedelta(minutes=1)
"""How long after the start the house is swept for the first time: a service that is restarted every night is swept too."""

CAMPAIGNS_EVERY = timedelta(seconds=1)
REMIND_EVERY = timedelta(seconds=30)
EXAMS_EVERY = timedelta(seconds=2)
"""Together with what is left for messages that arrived in time (domain/exam.py, SETTLE), an exam ends within ten seconds of its end (D10)."""
SPREAD = 0.2
"""Seconds by which a tick may come late, so that replicas do not all knock at once; no due time ever contains it."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Job:
    """One more thing done again and again; `work` looks after its own faults."""

    name: str
    every: timedelta
    work: Callable[[], Awaitable[None]]


def ticker(desk: Desk, clock: Clock, measure: Callable[[], None], *more: Job) -> AsyncIOScheduler:
    """A scheduler, not started, with the fixed jobs of the house: none keeps state, none runs beside itself, a late knock still counts once."""

    async def forget() -> None:
        await sweep(desk, clock())

    made = AsyncIOScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
    made.add_job(forget, IntervalTrigger(seconds=int(FORGET_EVERY.total_seconds()), start_date=clock() + FIRST, timezone="UTC"), id="forget")
    made.add_job(measure, IntervalTrigger(seconds=int(MEASURE_EVERY.total_seconds()), timezone="UTC"), id="measure")
    for job in more:
        made.add_job(job.work, IntervalTrigger(seconds=job.every.total_seconds(), timezone="UTC", jitter=SPREAD), id=job.name)
    return made


async def run_campaigns(desk: Desk, shelf: Shelf, now: datetime) -> list[Fired]:
    """Bring about what is due, in one transaction; nothing when the database is busy: the next tick finds it due as well."""
    try:
        return await desk.write(lambda session: campaign.fire_due(session, shelf, shelf.library.calendar, now), of="campaigns")
    except Busy as busy:
        log.warning("campaigns not looked at", reason=str(busy))
    except Exception:
        log.exception("campaigns failed")
    return []


async def remind(desk: Desk, shelf: Shelf, now: datetime) -> int:
    """Owe what the house itself has to say today: reminders, digests; how many. Whatever fails is looked at again at the next tick."""
    try:
        return await desk.write(lambda session: reminders.tick(session, shelf, now), of="reminders")
    except Busy as busy:
        log.warning("reminders not looked at", reason=str(busy))
    except Exception:
        log.exception("reminders failed")
    return 0


async def invigilate(desk: Desk, shelf: Shelf, now: datetime) -> exam.Closed:
    """End what is over, tell what may be told, and have papers ready before everybody begins. Goes on while all pushes are paused.

    A full turn is followed by another at once, so that five thousand papers do not end two hundred every two seconds.
    """
    whole = exam.Closed()
    try:
        await desk.read(lambda session: exam.prepare_ahead(session, shelf, now))
        while done := await desk.write(lambda session: exam.close_due(session, shelf, now), of="exams"):
            whole = exam.Closed(whole.attempts + done.attempts, whole.exams + done.exams, whole.told + done.told)
    except Busy as busy:
        log.warning("exams not looked at", reason=str(busy))
    except Exception:
        log.exception("exams failed")
    return whole


async def sweep(desk: Desk, now: datetime) -> int:
    """Forget messages that no platform sends again, budgets that no window looks at, links that open nothing; how many messages.

    A busy database waits its turn.
    """
    try:
        gone = await desk.write(lambda session: inbox.forget(session, now))
        await desk.write(lambda session: budget.forget(session, now))
        await desk.write(lambda session: links.forget(session, now - LINKS_KEPT))
    except Busy as busy:
        log.warning("inbox not swept", reason=str(busy))
        return 0
    log.info("inbox swept", gone=gone)
    return gone
