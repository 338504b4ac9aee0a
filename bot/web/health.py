"""Health endpoints: /healthz says that the process runs, /readyz that it can work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

CHECK_SECONDS = 3.0
"""Seconds the readiness check may take."""

Check = Callable[[], Awaitable[str]]
"""Returns an empty text when the service is ready, else the cause in a few words; an exception counts as not ready."""


def attach(app: web.Application, check: Check) -> None:
    async def alive(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                wrong = await check()
        except Exception as failed:
            log.warning("not ready", error=type(failed).__name__)
            wrong = "database"
        return web.json_response({"status": wrong or "ok"}, status=503 if wrong else 200)

    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
