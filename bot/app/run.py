"""The service: a web application around the house, its start and its end in good order.

Our own pages: those behind their door, and the one that everybody may see.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import structlog
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from bot import logs
from bot.app.build import App
from bot.app.channels import LABELS, channels_on, secret_of
from bot.channels.base import Token
from bot.channels.local import Persona
from bot.channels.outbound.client import Outbound
from bot.commands.tasks import card_code
from bot.domain.message import Incoming, IncomingHandler, Refusal, Reply
from bot.jobs import delivery_worker, live_broadcaster, quota_meter, schedule
from bot.services.certificate.pdf import CertificatePrinter
from bot.storage.db.engine import DRIVER_ERRORS
from bot.storage.db.writer import Busy
from bot.storage.delivery import queue
from bot.storage.migrations import migrate
from bot.storage.system.tokens import SealedTokens
from bot.web import health, middleware
from bot.web.certificates import CertificatePages
from bot.web.contest.console import ConsolePage
from bot.web.contest.live_feed import LiveFeed
from bot.web.contest.screen import ScreenPage
from bot.web.exam import ExamPage
from bot.web.sessions import WebSessions
from bot.web.templates import Templates

log = structlog.get_logger(__name__)

BACKLOG = 4096
REQUESTS_END = 4.0
"""Seconds that requests in hand have after the signal; then the channels' own tasks, then the writers: together less than ten."""
CHANNELS_END = 6.0
WRITERS_END = 2.5

Announce = Callable[[str], None]


def traced(handle: IncomingHandler) -> IncomingHandler:
    """The hall, with every line of the log told which message it is about."""

    async def heard(incoming: Incoming) -> Reply:
        before = logs.MESSAGE.set(incoming)
        try:
            return await handle(incoming)
        finally:
            logs.MESSAGE.reset(before)

    return heard


def application(house: App, personas: Sequence[Persona] = ()) -> tuple[web.Application, list[str]]:
    """The whole web application, and the names of the channels that are on."""
    app = web.Application(middlewares=[middleware.protect], client_max_size=middleware.LARGEST_BODY)
    app.on_response_prepare.append(middleware.dress)
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    tokens = SealedTokens(house.database, lambda key: secret_of(house.settings, key), Token, house.clock)
    outbound = Outbound(tokens=tokens, clock=house.clock, note=house.metrics.note, holder=holder, secrets=house.settings.secrets())

    async def post_office(_: web.Application) -> AsyncIterator[None]:
        await outbound.start()
        yield
        await outbound.close()

    async def post_round(_: web.Application) -> AsyncIterator[None]:
        walking = asyncio.create_task(courier.run())
        yield
        await courier.stop()
        await walking

    async def heralded(_: web.Application) -> AsyncIterator[None]:
        watching = asyncio.create_task(herald.run())
        yield
        await herald.stop()
        await watching

    async def accounts(_: web.Application) -> AsyncIterator[None]:
        await house.meter.flush()
        yield
        await house.meter.flush()

    async def clockwork(_: web.Application) -> AsyncIterator[None]:
        ticking = schedule.build_scheduler(
            house.database,
            house.clock,
            house.metrics.collect,
            *_rounds(house, courier.wake),
        )
        ticking.start()
        yield
        ticking.shutdown(wait=False)

    # Ended in the opposite order: the clock first, then the courier, then the channels; what they say last still goes out and is counted.
    app.cleanup_ctx.append(post_office)
    app.cleanup_ctx.append(accounts)
    on = channels_on(house, outbound, tokens, holder, personas)
    for channel in on:
        channel.attach(app, traced(house.dispatcher.handle))
    courier = delivery_worker.DeliveryWorker(
        house.database,
        lambda: house.catalog,
        on,
        clock=house.clock,
        holder=holder,
        note=house.metrics.note,
        limits=house.catalog.limits,
        beyond_window=[channel.name for channel in on if getattr(channel, "beyond_window", False)],
    )
    herald = live_broadcaster.LiveBroadcaster(
        house.database,
        lambda: house.catalog,
        on,
        clock=house.clock,
        holder=holder,
        note=house.metrics.note,
        limits=house.catalog.limits,
        beyond_window=[channel.name for channel in on if getattr(channel, "beyond_window", False)],
    )
    app.cleanup_ctx.append(post_round)
    app.cleanup_ctx.append(heralded)
    app.cleanup_ctx.append(clockwork)
    attach(app, house, traced(house.dispatcher.handle))
    health.attach(app, _readiness(house))
    house.metrics.attach(app)
    return app, [channel.name for channel in on]


def _rounds(house: App, wake: Callable[[], None]) -> tuple[schedule.ScheduledJob, ...]:
    """What the clock does again and again; `wake` tells the courier that something is owed."""

    async def campaigns() -> None:
        if await schedule.run_campaigns(house.database, house.catalog, house.clock()):
            wake()

    async def reminders() -> None:
        if await schedule.run_reminders(house.database, house.catalog, house.clock()):
            wake()

    async def contests() -> None:
        if await schedule.run_contests(house.database, house.catalog, house.clock()):
            wake()

    async def exams() -> None:
        await schedule.run_exams(house.database, house.catalog, house.clock())

    return (
        schedule.ScheduledJob("campaigns", schedule.CAMPAIGNS_EVERY, campaigns),
        schedule.ScheduledJob("meter", quota_meter.FLUSH_EVERY, house.meter.flush),
        schedule.ScheduledJob("reminders", schedule.REMIND_EVERY, reminders),
        schedule.ScheduledJob("contests", schedule.CONTESTS_EVERY, contests),
        schedule.ScheduledJob("exams", schedule.EXAMS_EVERY, exams),
        schedule.ScheduledJob("outbox", schedule.MEASURE_EVERY, partial(_measure_outbox, house)),
    )


async def _measure_outbox(house: App) -> None:
    """What waits and what is under way, for /metrics."""
    try:
        queued, oldest, sending = await house.database.read(queue.queue_depth)
    except (Busy, *DRIVER_ERRORS, DBAPIError) as wrong:
        log.warning("outbox not measured", reason=type(wrong).__name__)
        return
    overdue = 0.0 if oldest is None else max(0.0, (house.clock() - oldest).total_seconds())
    house.metrics.outbox(queued, sending, overdue)


def _readiness(house: App) -> health.Check:
    head = migrate.head()

    def look(session: Session) -> str:
        found = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return "" if found == head else "schema"

    async def check() -> str:
        # Not on the readers: two long reports must not make a replica look dead.
        return await asyncio.to_thread(house.database.read_now, look)

    return check


async def serve(house: App, stop: asyncio.Event, announce: Announce, personas: Sequence[Persona] = ()) -> bool:
    """Serve until `stop` is set; True when everything in hand was finished in time. Raises `Refusal` when the address cannot be had."""
    settings, dispatcher = house.settings, house.dispatcher
    app, on = application(house, personas)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=REQUESTS_END)
    house.database.start()
    try:
        await runner.setup()
        assert runner.server is not None
        door = await _listen(settings.host, settings.port, middleware.connections(runner.server, asyncio.get_running_loop()))
        port = door.sockets[0].getsockname()[1]
        if not dispatcher.pages and "local" in on:
            dispatcher.pages = _address(settings.host, port)
        off = [name for name in LABELS if name not in on]
        # What was loaded stays for good: the collector need not look through the library again and again while people answer.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        log.info("serving", host=settings.host, port=port, channels=on, off=off)
        _say(announce, settings.host, port, on, off)
        await stop.wait()
        log.info("stopping", waiting=house.database.depth)
        door.close()
    finally:
        in_time = await _end(house, runner)
    log.info("stopped", in_time=in_time)
    return in_time


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _say(announce: Announce, host: str, port: int, on: Sequence[str], off: Sequence[str]) -> None:
    address = _address(host, port)
    announce(f"学法机器人已启动：{address}{'/chat' if 'local' in on else ''}")
    announce(f"已开启的通道：{'、'.join(LABELS[name] for name in on) or '无'}；未开启：{'、'.join(LABELS[name] for name in off) or '无'}")
    if not on:
        announce("现在没有人能和机器人说话：请填好至少一个通道的设置（各项见 README）再启动，或运行 serve --demo 看演示。")


async def _listen(host: str, port: int, connection: Callable[[], asyncio.Protocol]) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(connection, host, port, backlog=BACKLOG)
    except OSError as wrong:
        if wrong.errno == errno.EADDRINUSE:
            raise Refusal(
                f"端口 {port} 已被占用：请先停掉占用它的程序，或用 BOT_LISTEN 换一个端口，例如 BOT_LISTEN=127.0.0.1:{port % 65535 + 1}。"
            ) from wrong
        if wrong.errno == errno.EACCES:
            raise Refusal(f"没有权限监听端口 {port}：请换一个 1024 以上的端口（BOT_LISTEN）。") from wrong
        raise Refusal(f"不能在 {host}:{port} 上监听（{os.strerror(wrong.errno) if wrong.errno else wrong}），请检查 BOT_LISTEN。") from wrong


async def _end(house: App, runner: web.AppRunner) -> bool:
    """Requests in hand, then the channels' tasks, then what waits for the writers."""
    in_time = True
    try:
        async with asyncio.timeout(CHANNELS_END):
            await runner.cleanup()
    except TimeoutError:
        log.warning("channels left unfinished")
        in_time = False
    ending = threading.Thread(target=house.database.stop, args=(WRITERS_END,), daemon=True)
    ending.start()
    await asyncio.to_thread(ending.join, WRITERS_END + 0.5)
    if ending.is_alive():
        log.warning("desk left unfinished")
        in_time = False
    return in_time


def attach(app: web.Application, house: App, handle: IncomingHandler) -> WebSessions:
    """Add the pages, each under its path, and the files they share. `handle` is the hall, for what people say on a page."""
    pages = Templates()
    pages.attach(app)
    CertificatePages(house.database, house.clock, pages, CertificatePrinter(house.settings.web.font), lambda: house.dispatcher.pages).attach(app)
    door = WebSessions(house.database, house.clock, pages, house.settings.public_url)
    ExamPage(door, house.database, lambda: house.catalog, handle, partial(card_code, "exam"), house.clock).attach(app)
    feed = LiveFeed(house.database, lambda: house.catalog, house.clock)
    feed.attach(app)
    ScreenPage(house.database, feed, pages, lambda: house.dispatcher.pages, chat=house.settings.web.local_chat).attach(app)
    ConsolePage(house.database, lambda: house.catalog, house.clock, feed, door, pages).attach(app)
    return door
