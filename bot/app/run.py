"""The running service: the web application with channels, jobs and pages, its start, and its shutdown in order."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from aiohttp import web
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from bot import logs
from bot.app.build import App
from bot.app.channels import LABELS, build_channels, secret_of
from bot.channels.base import Token
from bot.channels.callback import CALLBACKS, Callback, CallbackRoute
from bot.channels.connection import CallbackConnections
from bot.channels.local import Persona
from bot.channels.outbound.client import Outbound
from bot.commands.tasks import card_code
from bot.domain.message import Incoming, IncomingHandler, Refusal, Reply
from bot.jobs import delivery_worker, reply_quota, schedule
from bot.logs import get_logger
from bot.services.certificate.pdf import CertificatePrinter
from bot.settings import parse_networks
from bot.storage.db.commits import Busy, DatabaseLost
from bot.storage.db.engine import driver_errors
from bot.storage.delivery import queue
from bot.storage.migrations import migrate
from bot.storage.system import backups
from bot.storage.system.tokens import SealedTokens
from bot.web import health, middleware
from bot.web.certificates import CertificatePages
from bot.web.contest.live_pages import ConsolePage, LiveFeed, ScreenPage
from bot.web.exam import ExamPage
from bot.web.sessions import WebSessions
from bot.web.templates import Templates

log = get_logger(__name__)

BACKLOG = 4096
REQUEST_SHUTDOWN_SECONDS = 4.0
"""Seconds that running requests have after the signal, then the channels' tasks, then the writers: together less than ten."""
CHANNEL_SHUTDOWN_SECONDS = 6.0
WRITER_SHUTDOWN_SECONDS = 2.5
BACKUP_OVERDUE = timedelta(days=2)
BACKUP_LOOK_EVERY = timedelta(hours=6)
FILE_LOOK_EVERY = timedelta(seconds=1)
WRITE_CHECK_EVERY, WRITE_CHECK_SECONDS = 1.0, 2.0
"""How often /readyz tries to write at the most, and how long it may take: less than the whole check (bot/web/health.py)."""

Announce = Callable[[str], None]


def with_log_context(handle: IncomingHandler) -> IncomingHandler:
    """The handler, with the message in the context of every log line: what goes on later runs in the context in which it was begun."""

    def handle_traced(incoming: Incoming) -> asyncio.Future[Reply]:
        before = logs.MESSAGE.set(incoming)
        try:
            return asyncio.ensure_future(handle(incoming))
        finally:
            logs.MESSAGE.reset(before)

    return handle_traced


def answer_numbered(route: CallbackRoute, callback: Callback) -> None:
    """Answer a callback that came past the middleware, with the number of its request in the context of every log line."""
    before = logs.REQUEST.set(middleware.next_request())
    try:
        route.answer(callback)
    finally:
        logs.REQUEST.reset(before)


def build_web_app(app: App, personas: Sequence[Persona] = ()) -> tuple[web.Application, list[str]]:
    """The whole web application, and the names of the channels that are on."""
    web_app = web.Application(middlewares=[middleware.protect], client_max_size=middleware.LARGEST_BODY)
    web_app.on_response_prepare.append(middleware.add_headers)
    web_app[middleware.TRUSTED_PROXIES] = parse_networks(app.settings.trusted_proxies)
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    tokens = SealedTokens(app.database, lambda key: secret_of(app.settings, key), Token, app.clock)
    outbound = Outbound(tokens=tokens, clock=app.clock, note=app.metrics.note, holder=holder, secrets=app.settings.secrets())

    async def outbound_context(_: web.Application) -> AsyncIterator[None]:
        await outbound.start()
        yield
        await outbound.close()

    async def delivery_context(_: web.Application) -> AsyncIterator[None]:
        walking = asyncio.create_task(worker.run())
        yield
        await worker.stop()
        await walking

    async def quota_context(_: web.Application) -> AsyncIterator[None]:
        await app.reply_quota.flush()
        yield
        await app.reply_quota.flush()

    async def schedule_context(_: web.Application) -> AsyncIterator[None]:
        ticking = schedule.build_scheduler(
            app.database,
            app.clock,
            app.metrics.collect,
            *_scheduled_jobs(app, worker.wake),
        )
        ticking.start()
        yield
        ticking.shutdown(wait=False)

    # Ended in the opposite order: the schedule first, then the delivery worker, then the channels; their last messages still go out and are counted.
    web_app.cleanup_ctx.append(outbound_context)
    web_app.cleanup_ctx.append(quota_context)
    channels = build_channels(app, outbound, tokens, holder, personas)
    for channel in channels:
        channel.attach(web_app, with_log_context(app.dispatcher.handle))
    worker = delivery_worker.DeliveryWorker(
        app.database,
        lambda: app.catalog,
        channels,
        clock=app.clock,
        holder=holder,
        note=app.metrics.note,
        limits=app.catalog.limits,
        beyond_window=[channel.name for channel in channels if getattr(channel, "beyond_window", False)],
    )
    web_app.cleanup_ctx.append(delivery_context)
    web_app.cleanup_ctx.append(schedule_context)
    attach_pages(web_app, app, with_log_context(app.dispatcher.handle))
    health.attach(web_app, _readiness_check(app))
    if app.settings.metrics_listen:
        web_app.cleanup_ctx.append(partial(_metrics_context, app))
    else:
        app.metrics.attach(web_app)
    return web_app, [channel.name for channel in channels]


async def _metrics_context(app: App, _: web.Application) -> AsyncIterator[None]:
    """/metrics on an address of its own, for who may see it."""
    metrics_app = web.Application()
    app.metrics.attach(metrics_app)
    runner = web.AppRunner(metrics_app, access_log=None)
    await runner.setup()
    host, _colon, port = app.settings.metrics_listen.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except OSError as wrong:
        await runner.cleanup()
        raise Refusal(
            f"不能在 BOT_METRICS_LISTEN={app.settings.metrics_listen} 上监听（{os.strerror(wrong.errno or 0)}），请换一个地址或端口。"
        ) from wrong
    yield
    await runner.cleanup()


def _scheduled_jobs(app: App, wake: Callable[[], None]) -> tuple[schedule.ScheduledJob, ...]:
    """What runs on a schedule; `wake` tells the delivery worker that deliveries are due."""

    async def campaigns() -> None:
        if await schedule.run_campaigns(app.database, app.catalog, app.clock()):
            wake()

    async def reminders() -> None:
        if await schedule.run_reminders(app.database, app.catalog, app.clock()):
            wake()

    async def contests() -> None:
        if await schedule.run_contests(app.database, app.catalog, app.clock()):
            wake()

    async def exams() -> None:
        await schedule.run_exams(app.database, app.catalog, app.clock())

    async def forecasts() -> None:
        await schedule.run_forecasts(app.database, app.catalog, app.clock())

    return (
        schedule.ScheduledJob("campaigns", schedule.CAMPAIGNS_EVERY, campaigns),
        schedule.ScheduledJob("quota", reply_quota.FLUSH_EVERY, app.reply_quota.flush),
        schedule.ScheduledJob("reminders", schedule.REMIND_EVERY, reminders),
        schedule.ScheduledJob("contests", schedule.CONTESTS_EVERY, contests),
        schedule.ScheduledJob("exams", schedule.EXAMS_EVERY, exams),
        schedule.ScheduledJob("forecasts", schedule.FORECASTS_EVERY, forecasts),
        schedule.ScheduledJob("outbox", schedule.MEASURE_EVERY, partial(_measure_outbox, app)),
        schedule.ScheduledJob("database file", FILE_LOOK_EVERY, partial(_watch_database_file, app)),
        schedule.ScheduledJob("backup", BACKUP_LOOK_EVERY, partial(_log_backup_age, app)),
    )


async def _log_backup_age(app: App) -> None:
    """Log how old the last backup is: a warning when it is older than `BACKUP_OVERDUE`, or when there is none."""
    try:
        latest = await app.database.read(backups.latest)
    except driver_errors(Busy, DBAPIError) as wrong:
        log.warning("backups not looked at", reason=type(wrong).__name__)
        return
    if latest is None:
        log.warning("no backup was ever taken of this database")
        return
    age = app.clock() - latest.taken_at
    (log.warning if age > BACKUP_OVERDUE else log.info)("last backup", taken_at=latest.taken_at.isoformat(), hours=age // timedelta(hours=1))


async def _measure_outbox(app: App) -> None:
    """Measure the deliveries that wait and that are being sent, for /metrics."""
    try:
        queued, oldest, sending = await app.database.read(queue.queue_depth)
    except driver_errors(Busy, DBAPIError) as wrong:
        log.warning("outbox not measured", reason=type(wrong).__name__)
        return
    overdue = 0.0 if oldest is None else max(0.0, (app.clock() - oldest).total_seconds())
    app.metrics.set_outbox(queued, sending, overdue)


def touch(session: Session) -> None:
    """Write without changing anything: what only begins a transaction would not notice a full disk."""
    session.execute(text("UPDATE alembic_version SET version_num = version_num"))


async def _watch_database_file(app: App) -> None:
    """Notice at once that the database's file was moved, though nobody says anything: the check writes the log and the alarm."""
    try:
        app.database.file.check()
    except DatabaseLost:
        app.metrics.collect()


def _readiness_check(app: App) -> health.Check:
    def look(session: Session) -> health.Readiness:
        if session.execute(text("SELECT version_num FROM alembic_version")).scalar() != migrate.HEAD:
            return health.Readiness("schema", None)
        latest = backups.latest(session)
        return health.Readiness("", None if latest is None else latest.taken_at)

    last: tuple[float, health.Readiness] | None = None

    async def check() -> health.Readiness:
        nonlocal last
        # Not on the reader threads: two long reports must not make a replica look dead.
        readiness = await asyncio.to_thread(app.database.read_now, look)
        if readiness.problem:
            return readiness
        # Whoever asks again and again costs one commit a second.
        if last is None or time.monotonic() - last[0] > WRITE_CHECK_EVERY:
            last = time.monotonic(), await _with_write(readiness)
        return replace(last[1], last_backup=readiness.last_backup)

    async def _with_write(readiness: health.Readiness) -> health.Readiness:
        try:
            async with asyncio.timeout(WRITE_CHECK_SECONDS):
                await app.database.write(touch)
        except DatabaseLost:
            raise
        except driver_errors(Busy, TimeoutError, DBAPIError) as wrong:
            log.warning("not ready", error=type(wrong).__name__, reason="nothing can be written")
            return replace(readiness, problem="write")
        return readiness

    return check


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed (the extra `fast`), None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def serve(app: App, stop: asyncio.Event, announce: Announce, personas: Sequence[Persona] = ()) -> bool:
    """Serve until `stop` is set; True when all work was finished in time. Raises `Refusal` when the address cannot be listened on."""
    settings, dispatcher = app.settings, app.dispatcher
    web_app, enabled = build_web_app(app, personas)
    runner = web.AppRunner(web_app, handle_signals=False, shutdown_timeout=REQUEST_SHUTDOWN_SECONDS)
    connections: CallbackConnections | None = None
    app.database.start()
    try:
        await runner.setup()
        assert runner.server is not None
        routes: dict[str, CallbackRoute] = web_app.get(CALLBACKS, {})
        middleware.serve_under(runner.server, settings.base_path)
        connections = CallbackConnections(
            routes | {f"{settings.base_path}{path}": route for path, route in routes.items()},
            middleware.connection_factory(runner.server, asyncio.get_running_loop()),
            idle_seconds=middleware.WHOLE_REQUEST_SECONDS,
            answer=answer_numbered,
        )
        listener = await _open_listener(settings.host, settings.port, connections)
        port = listener.sockets[0].getsockname()[1]
        if not dispatcher.pages and "local" in enabled:
            dispatcher.pages = _base_url(settings.host, port)
        disabled = [name for name in LABELS if name not in enabled]
        # What stands now stays for good (a collection finds two hundred objects in 0.1 s): it is not looked over again and again while people answer.
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        log.info("serving", host=settings.host, port=port, channels=enabled, off=disabled, loop=loop)
        _announce_start(announce, settings.host, port, enabled, disabled)
        await _log_backup_age(app)
        await stop.wait()
        log.info("stopping", waiting=app.database.depth)
        listener.close()
    finally:
        in_time = await _shut_down(app, runner, connections)
    log.info("stopped", in_time=in_time)
    return in_time


def _base_url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _announce_start(announce: Announce, host: str, port: int, enabled: Sequence[str], disabled: Sequence[str]) -> None:
    address = _base_url(host, port)
    announce(f"学法机器人已启动：{address}{'/chat' if 'local' in enabled else ''}")
    announce(f"已开启的通道：{'、'.join(LABELS[name] for name in enabled) or '无'}；未开启：{'、'.join(LABELS[name] for name in disabled) or '无'}")
    if not enabled:
        announce("现在没有人能和机器人说话：请填好至少一个通道的设置（各项见 README）再启动，或运行 serve --demo 看演示。")


async def _open_listener(host: str, port: int, make_connection: Callable[[], asyncio.Protocol]) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(make_connection, host, port, backlog=BACKLOG)
    except OSError as wrong:
        if wrong.errno == errno.EADDRINUSE:
            raise Refusal(
                f"端口 {port} 已被占用：请先停掉占用它的程序，或用 BOT_LISTEN 换一个端口，例如 BOT_LISTEN=127.0.0.1:{port % 65535 + 1}。"
            ) from wrong
        if wrong.errno == errno.EACCES:
            raise Refusal(f"没有权限监听端口 {port}：请换一个 1024 以上的端口（BOT_LISTEN）。") from wrong
        raise Refusal(f"不能在 {host}:{port} 上监听（{os.strerror(wrong.errno) if wrong.errno else wrong}），请检查 BOT_LISTEN。") from wrong


async def _shut_down(app: App, runner: web.AppRunner, connections: CallbackConnections | None) -> bool:
    """Finish the running requests, then the channels' tasks, then the writers' queue; True when all of it was in time."""
    in_time = True
    try:
        async with asyncio.timeout(CHANNEL_SHUTDOWN_SECONDS):
            if connections is not None:
                await connections.shut_down(REQUEST_SHUTDOWN_SECONDS)
            await runner.cleanup()
    except TimeoutError:
        log.warning("channels left unfinished")
        in_time = False
    stopping = threading.Thread(target=app.database.stop, args=(WRITER_SHUTDOWN_SECONDS,), daemon=True)
    stopping.start()
    await asyncio.to_thread(stopping.join, WRITER_SHUTDOWN_SECONDS + 0.5)
    if stopping.is_alive():
        log.warning("writers left unfinished")
        in_time = False
    return in_time


def attach_pages(web_app: web.Application, app: App, handle: IncomingHandler) -> WebSessions:
    """Add the web pages and the files they share; `handle` answers the messages that a page sends."""
    pages = Templates(app.settings.base_path)
    pages.attach(web_app)
    CertificatePages(app.database, app.clock, pages, CertificatePrinter(app.settings.web.font), lambda: app.dispatcher.pages).attach(web_app)
    sessions = WebSessions(app.database, app.clock, pages, app.settings.public_url)
    ExamPage(sessions, app.database, lambda: app.catalog, handle, partial(card_code, "exam"), app.clock).attach(web_app)
    feed = LiveFeed(app.database, lambda: app.catalog, app.clock, app.settings.limits.streams_an_address)
    feed.attach(web_app)
    ScreenPage(app.database, feed, pages, lambda: app.dispatcher.pages, chat=app.settings.web.local_chat).attach(web_app)
    ConsolePage(app.database, lambda: app.catalog, app.clock, feed, sessions, pages).attach(web_app)
    return sessions
