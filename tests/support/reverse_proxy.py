"""A reverse proxy on the loopback that gives the service a path of its own, as an agency's one domain does; it takes the path off, or leaves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

_OF_ONE_LINE = ("Connection", "Transfer-Encoding", "Keep-Alive", "Upgrade", "Content-Length", "Content-Encoding")


@dataclass
class ReverseProxy:
    """`target` is asked for what stands under `path`; everything else that a browser asks for is in `strays`."""

    path: str
    takes_off: bool
    target: str = ""
    url: str = ""
    strays: list[str] = field(default_factory=list)
    upgrades: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path != self.path and not request.path.startswith(f"{self.path}/"):
            self.strays.append(request.path)
            return web.Response(status=404, text="另一个系统")
        wanted = request.raw_path.removeprefix(self.path) if self.takes_off else request.raw_path
        headers = {name: value for name, value in request.headers.items() if name not in ("Connection", "Upgrade", "Host", "Accept-Encoding")}
        headers |= {"Host": request.host, "X-Forwarded-For": request.remote or ""}
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._upgrade(request, session, wanted, headers)
            body = await request.read()
            async with session.request(request.method, f"{self.target}{wanted}", headers=headers, data=body or None, allow_redirects=False) as got:
                response = web.StreamResponse(status=got.status)
                for name, value in got.headers.items():
                    if name not in _OF_ONE_LINE:
                        response.headers.add(name, value)
                await response.prepare(request)
                async for piece in got.content.iter_any():
                    await response.write(piece)
                return response

    async def _upgrade(self, request: web.Request, session: aiohttp.ClientSession, wanted: str, headers: dict[str, str]) -> web.StreamResponse:
        self.upgrades += 1
        kept = {name: value for name, value in headers.items() if not name.lower().startswith("sec-websocket")}
        browser = web.WebSocketResponse()
        await browser.prepare(request)
        async with session.ws_connect(f"{self.target}{wanted}", headers=kept) as service:

            async def pass_on(source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse, sink: web.WebSocketResponse) -> None:
                async for message in source:
                    if message.type is WSMsgType.TEXT:
                        await sink.send_str(message.data)
                await sink.close()

            await asyncio.gather(pass_on(browser, service), pass_on(service, browser))  # type: ignore[arg-type]
        return browser


@asynccontextmanager
async def reverse_proxy(path: str, *, takes_off: bool) -> AsyncIterator[ReverseProxy]:
    proxy = ReverseProxy(path, takes_off)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.answer)
    async with TestServer(app) as server:
        proxy.url = f"{str(server.make_url('')).rstrip('/')}{path}"
        yield proxy
