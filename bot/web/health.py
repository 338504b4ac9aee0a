"""Health endpoints: /healthz says that the process runs, /readyz that it can work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from bot.logs import get_logger
from bot.storage.db.commits import DatabaseLost

log = get_logger(__name__)

CHECK_SECONDS = 3.0
"""Seconds the readiness check may take."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Why the service cannot work, in a few words (empty: it can), and when its database was last backed up (None: never)."""

    problem: str
    last_backup: datetime | None


Check = Callable[[], Awaitable[Readiness]]
"""An exception counts as not ready."""


def attach(app: web.Application, check: Check) -> None:
    async def alive(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                readiness = await check()
        except DatabaseLost:
            return web.json_response({"status": "database_moved"}, status=503)
        except Exception as failed:
            log.warning("not ready", error=type(failed).__name__)
            return web.json_response({"status": "database"}, status=503)
        last_backup = None if readiness.last_backup is None else readiness.last_backup.isoformat(timespec="seconds")
        status = {"status": readiness.problem or "ok", "last_backup": last_backup}
        return web.json_response(status, status=503 if readiness.problem else 200)

    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
