"""The jobs that run again and again while the service runs: campaigns, reminders, exams, contests, forecasts, cleaning.

The database knows what is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.domain.calendar import UnknownYear
from bot.domain.campaign.campaign import FiredCampaign
from bot.domain.reports import ReportQuery
from bot.domain.times import day_of
from bot.logs import get_logger
from bot.services.campaign import fire
from bot.services.contest import closing, duel
from bot.services.delivery import reminders
from bot.services.exam import finish, question_pool
from bot.services.hours.forecast import report_query
from bot.services.library.catalog import Catalog
from bot.storage.contest import duels
from bot.storage.db.commits import Busy
from bot.storage.db.database import Database
from bot.storage.db.engine import database_away
from bot.storage.delivery import quota
from bot.storage.reports import forecast
from bot.storage.system import inbox, links

log = get_logger(__name__)

SWEEP_EVERY = timedelta(hours=6)
MEASURE_EVERY = timedelta(seconds=15)
LINKS_KEPT = timedelta(days=1)
FIRST_SWEEP_AFTER = timedelta(minutes=1)
"""How long after the start old rows are deleted for the first time: a service that is restarted every night deletes them too."""

CAMPAIGNS_EVERY = timedelta(seconds=1)
REMIND_EVERY = timedelta(seconds=30)
EXAMS_EVERY = timedelta(seconds=2)
"""Together with what is left for messages that arrived in time (SETTLE in bot/domain/exam/exam.py), an exam ends within ten seconds of its end."""
JITTER_SECONDS = 0.2
"""Seconds by which a tick may come late, so that replicas do not all look at once; no due time ever contains it."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """One more thing done again and again; `work` looks after its own faults."""

    name: str
    every: timedelta
    work: Callable[[], Awaitable[None]]


def reason_of(away: BaseException) -> str:
    """Why the database could not be asked, in one line."""
    return f"{type(away).__name__}: {str(getattr(away, 'orig', away)).partition(chr(10))[0][:120]}"


def ending_quietly(job: ScheduledJob) -> Callable[[], Awaitable[None]]:
    """The job's work: taken away by the stop of the service it is over, and no error."""

    async def work() -> None:
        try:
            await job.work()
        except asyncio.CancelledError:
            log.info("job ended by the stop", job=job.name)
        except database_away(Busy) as away:
            log.warning("job waits for the database", job=job.name, reason=reason_of(away))

    return work


def build_scheduler(database: Database, clock: Clock, measure: Callable[[], None], *more: ScheduledJob) -> AsyncIOScheduler:
    """A scheduler, not started, with the fixed jobs: none keeps state, none runs beside itself, a late tick still counts once."""

    async def forget() -> None:
        await sweep(database, clock())

    forgetting = ending_quietly(ScheduledJob("forget", SWEEP_EVERY, forget))

    scheduler = AsyncIOScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
    scheduler.add_job(
        forgetting, IntervalTrigger(seconds=int(SWEEP_EVERY.total_seconds()), start_date=clock() + FIRST_SWEEP_AFTER, timezone="UTC"), id="forget"
    )
    scheduler.add_job(measure, IntervalTrigger(seconds=int(MEASURE_EVERY.total_seconds()), timezone="UTC"), id="measure")
    for job in more:
        scheduler.add_job(ending_quietly(job), IntervalTrigger(seconds=job.every.total_seconds(), timezone="UTC", jitter=JITTER_SECONDS), id=job.name)
    return scheduler


async def run_campaigns(database: Database, catalog: Catalog, now: datetime) -> list[FiredCampaign]:
    """Bring about what is due; nothing when the database is busy: the next tick finds it due as well.

    Each piece of a large campaign is a transaction of its own, so that answers are written in between.
    """
    fired: list[FiredCampaign] = []
    try:
        while True:
            brought_about = await database.write(lambda session: fire.fire_due(session, catalog, catalog.library.calendar, now), of="campaigns")
            fired += brought_about
            if all(fired_campaign.is_complete for fired_campaign in brought_about):
                break
    except database_away(Busy) as away:
        log.warning("campaigns not looked at", reason=reason_of(away))
    except Exception:
        log.exception("campaigns failed")
    return fired


async def run_reminders(database: Database, catalog: Catalog, now: datetime) -> int:
    """Queue the reminders and digests of today; how many. Whatever fails is looked at again at the next tick."""
    try:
        return await database.write(lambda session: reminders.queue_due(session, catalog, now), of="reminders")
    except database_away(Busy) as away:
        log.warning("reminders not looked at", reason=reason_of(away))
    except Exception:
        log.exception("reminders failed")
    return 0


async def run_exams(database: Database, catalog: Catalog, now: datetime) -> finish.CloseSummary:
    """End what is over, tell what may be told, and have papers ready before everybody begins. Goes on while all pushes are paused.

    A full turn is followed by another at once, so that five thousand papers do not end two hundred every two seconds.
    """
    total = finish.CloseSummary()
    try:
        await database.read(lambda session: question_pool.prepare_ahead(session, catalog, now))
        while closed := await database.write(lambda session: finish.close_due(session, catalog, now), of="exams"):
            total = finish.CloseSummary(total.attempts + closed.attempts, total.exams + closed.exams, total.told + closed.told)
    except database_away(Busy) as away:
        log.warning("exams not looked at", reason=reason_of(away))
    except Exception:
        log.exception("exams failed")
    return total


async def sweep(database: Database, now: datetime) -> int:
    """Forget messages that no platform sends again, quotas that no window looks at, links that open nothing; how many messages.

    A busy database waits its turn.
    """
    try:
        forgotten = await database.write(lambda session: inbox.forget(session, now))
        await database.write(lambda session: quota.forget(session, now))
        await database.write(lambda session: links.forget(session, now - LINKS_KEPT))
    except database_away(Busy) as away:
        log.warning("inbox not swept", reason=reason_of(away))
        return 0
    log.info("inbox swept", gone=forgotten)
    return forgotten


CONTESTS_EVERY = timedelta(seconds=1)


async def run_contests(database: Database, catalog: Catalog, now: datetime) -> bool:
    """End what is due and queue the news for the players; True when the delivery worker has something to send."""
    ended = await _guarded(lambda: end_contests(database, catalog, now))
    notified = await _guarded(lambda: run_duels(database, now))
    return bool(ended or notified)


async def _guarded(work: Callable[[], Awaitable[int]]) -> int:
    """What fails, or meets a busy database, is found due at the next tick as well."""
    try:
        return await work()
    except database_away(Busy) as away:
        log.warning("contests not looked at", reason=reason_of(away))
    except Exception:
        log.exception("contests failed")
    return 0


async def end_contests(database: Database, catalog: Catalog, now: datetime) -> int:
    """Close the contests that are due, in one transaction; how many."""
    return len(await database.write(lambda session: closing.close_due(session, catalog, now), of="contests"))


async def run_duels(database: Database, now: datetime) -> int:
    """End matches that are due, then queue the news for their players; how many were notified."""
    await database.write(lambda session: duel.end_due(session, now), of="duels")
    notified = 0
    for duel_id, person_id, news in await database.read(duels.pending_news):
        # Of the person: their row is locked first, as when they speak themselves.
        notified += await database.write(partial(duel.queue_news, duel_id=duel_id, person_id=person_id, news=news, now=now), of=person_id)
    return notified


FORECASTS_EVERY = timedelta(minutes=5)
"""How soon the forecasts of those who learned something are made anew; until then whoever reads them makes those."""
FORECASTS_AT_ONCE = 500
FORECAST_PAUSE_SECONDS = 0.05
"""Between two turns of so many people, some 100 ms of work each: everybody's forecasts, made anew after midnight, come in beside the answers."""


async def run_forecasts(database: Database, catalog: Catalog, now: datetime) -> int:
    """Keep the forecasts that do not hold any more; of how many people. What fails, or meets a busy database, is seen again at the next tick."""
    try:
        return await _keep_forecasts(database, report_query(catalog, day_of(now)), now)
    except UnknownYear:
        return 0
    except database_away(Busy) as away:
        log.warning("forecasts not kept", reason=reason_of(away))
    except Exception:
        log.exception("forecasts failed")
    return 0


async def _keep_forecasts(database: Database, ask: ReportQuery, now: datetime) -> int:
    basis, people, entry_id = await database.read(partial(forecast.to_keep, ask=ask))
    for place in range(0, len(people), FORECASTS_AT_ONCE):
        some = people[place : place + FORECASTS_AT_ONCE]
        forecasts = await database.read(partial(forecast.make, ask=ask, ids=some))
        await database.write(partial(forecast.keep, basis=basis, forecasts=forecasts), of="forecasts")
        await asyncio.sleep(FORECAST_PAUSE_SECONDS)
    # Only now: a reader trusts that whoever has earned nothing since this entry has a forecast that knows all of theirs.
    await database.write(partial(forecast.keep_run, basis=basis, entry_id=entry_id, now=now), of="forecasts")
    return len(people)
