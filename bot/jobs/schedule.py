"""The clock knocks: what is done again and again while the service runs. The clock keeps nothing; the database knows what is due.

Contests and matches by the clock: ended within seconds by whichever replica looks first, and what the players are to be told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.domain.campaign.campaign import FiredCampaign
from bot.services.campaign import fire
from bot.services.contest import duel, duel_notifications, leaderboard
from bot.services.delivery import reminders
from bot.services.exam import finish, question_pool
from bot.services.library.catalog import Catalog
from bot.storage.contest import duels
from bot.storage.db.database import Database
from bot.storage.db.writer import Busy
from bot.storage.delivery import quota
from bot.storage.system import inbox, links

log = structlog.get_logger(__name__)

FORGET_EVERY = timedelta(hours=6)
MEASURE_EVERY = timedelta(seconds=15)
LINKS_KEPT = timedelta(days=1)
FIRST = timedelta(minutes=1)
"""How long after the start the house is swept for the first time: a service that is restarted every night is swept too."""

CAMPAIGNS_EVERY = timedelta(seconds=1)
REMIND_EVERY = timedelta(seconds=30)
EXAMS_EVERY = timedelta(seconds=2)
"""Together with what is left for messages that arrived in time (SETTLE in bot/domain/exam/exam.py), an exam ends within ten seconds of its end."""
SPREAD = 0.2
"""Seconds by which a tick may come late, so that replicas do not all knock at once; no due time ever contains it."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """One more thing done again and again; `work` looks after its own faults."""

    name: str
    every: timedelta
    work: Callable[[], Awaitable[None]]


def ticker(database: Database, clock: Clock, measure: Callable[[], None], *more: ScheduledJob) -> AsyncIOScheduler:
    """A scheduler, not started, with the fixed jobs of the house: none keeps state, none runs beside itself, a late knock still counts once."""

    async def forget() -> None:
        await sweep(database, clock())

    made = AsyncIOScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
    made.add_job(forget, IntervalTrigger(seconds=int(FORGET_EVERY.total_seconds()), start_date=clock() + FIRST, timezone="UTC"), id="forget")
    made.add_job(measure, IntervalTrigger(seconds=int(MEASURE_EVERY.total_seconds()), timezone="UTC"), id="measure")
    for job in more:
        made.add_job(job.work, IntervalTrigger(seconds=job.every.total_seconds(), timezone="UTC", jitter=SPREAD), id=job.name)
    return made


async def run_campaigns(database: Database, catalog: Catalog, now: datetime) -> list[FiredCampaign]:
    """Bring about what is due, in one transaction; nothing when the database is busy: the next tick finds it due as well."""
    try:
        return await database.write(lambda session: fire.fire_due(session, catalog, catalog.library.calendar, now), of="campaigns")
    except Busy as busy:
        log.warning("campaigns not looked at", reason=str(busy))
    except Exception:
        log.exception("campaigns failed")
    return []


async def remind(database: Database, catalog: Catalog, now: datetime) -> int:
    """Owe what the house itself has to say today: reminders, digests; how many. Whatever fails is looked at again at the next tick."""
    try:
        return await database.write(lambda session: reminders.tick(session, catalog, now), of="reminders")
    except Busy as busy:
        log.warning("reminders not looked at", reason=str(busy))
    except Exception:
        log.exception("reminders failed")
    return 0


async def invigilate(database: Database, catalog: Catalog, now: datetime) -> finish.ClosedAttempt:
    """End what is over, tell what may be told, and have papers ready before everybody begins. Goes on while all pushes are paused.

    A full turn is followed by another at once, so that five thousand papers do not end two hundred every two seconds.
    """
    whole = finish.ClosedAttempt()
    try:
        await database.read(lambda session: question_pool.prepare_ahead(session, catalog, now))
        while done := await database.write(lambda session: finish.close_due(session, catalog, now), of="exams"):
            whole = finish.ClosedAttempt(whole.attempts + done.attempts, whole.exams + done.exams, whole.told + done.told)
    except Busy as busy:
        log.warning("exams not looked at", reason=str(busy))
    except Exception:
        log.exception("exams failed")
    return whole


async def sweep(database: Database, now: datetime) -> int:
    """Forget messages that no platform sends again, budgets that no window looks at, links that open nothing; how many messages.

    A busy database waits its turn.
    """
    try:
        gone = await database.write(lambda session: inbox.forget(session, now))
        await database.write(lambda session: quota.forget(session, now))
        await database.write(lambda session: links.forget(session, now - LINKS_KEPT))
    except Busy as busy:
        log.warning("inbox not swept", reason=str(busy))
        return 0
    log.info("inbox swept", gone=gone)
    return gone


CONTESTS_EVERY = timedelta(seconds=1)


async def run_contests(database: Database, catalog: Catalog, now: datetime) -> bool:
    """End what is due and owe everybody their news; True when the courier has something to carry."""
    ended = await _looked(lambda: end_contests(database, catalog, now))
    told = await _looked(lambda: run_duels(database, now))
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


async def end_contests(database: Database, catalog: Catalog, now: datetime) -> int:
    """Close the contests that are due, in one transaction; how many."""
    return len(await database.write(lambda session: leaderboard.close_due(session, catalog, now), of="contests"))


async def run_duels(database: Database, now: datetime) -> int:
    """End matches that are due, then owe their players the news; how many were told."""
    await database.write(lambda session: duel.end_due(session, now), of="duels")
    told = 0
    for duel_id, person_id, news in await database.read(duels.pending_news):
        # Of the person: their row is locked first, as when they speak themselves.
        told += await database.write(partial(duel_notifications.queue_news, duel_id=duel_id, person_id=person_id, news=news, now=now), of=person_id)
    return told
