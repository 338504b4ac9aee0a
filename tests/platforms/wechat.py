"""The WeChat platform of Official Accounts, in small (protocols.md A)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import ClientSession, web

from tests.platforms.faults import Faults
from tests.platforms.plain import Time
from tests.platforms.sealed import Answered, Query, Sealer, cdata, post

APP, ACCOUNT = "wxb11529c136998cb6", "gh_0123456789ab"
SECRET = "canary-appsecret-7731"
FOLLOWER = "oABCD-1234_efghIJKLmnopQRstu"


class WeChatPlatform:
    """The API side collects customer-service messages; the callback side pushes to `url` and opens what it is answered."""

    def __init__(self, clock: Time) -> None:
        self.clock = clock
        self.sealer = Sealer(APP)
        self.sent: list[dict[str, Any]] = []
        self.fault: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda message: None
        self.faults = Faults()
        self.url = ""
        self.session: ClientSession | None = None
        self._ids = 23456789012345600
        self._arrived = asyncio.Event()

    def attach(self, app: web.Application) -> None:
        app.router.add_post("/cgi-bin/stable_token", self._token)
        app.router.add_post("/cgi-bin/message/custom/send", self._send)

    async def _token(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked.get("appid") != APP or asked.get("secret") != SECRET:
            return web.json_response({"errcode": 40125, "errmsg": "invalid appsecret"})
        return web.json_response({"access_token": "wechat-token", "expires_in": 7200})

    async def _send(self, request: web.Request) -> web.Response:
        message = await request.json()
        wrong = self.fault(message)
        if request.query.get("access_token") != "wechat-token":
            wrong = {"errcode": 40001, "errmsg": "invalid credential"}
        if message["msgtype"] == "text" and len(message["text"]["content"].encode()) > 2048:
            wrong = {"errcode": 45002, "errmsg": "content size out of limit"}
        if wrong is None:
            self.sent.append(message)
        self._arrived.set()
        return web.json_response(wrong or {"errcode": 0, "errmsg": "ok"})

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until the bot has sent what `true` looks for."""
        async with asyncio.timeout(10):
            while not true():
                self._arrived.clear()
                await self._arrived.wait()

    def text(self, text: str, menu_item: str = "", message_id: str = "") -> str:
        self._ids += 1
        tapped = cdata(bizmsgmenuid=menu_item) if menu_item else ""
        return self.message("text", cdata(Content=text) + f"<MsgId>{message_id or self._ids}</MsgId>{tapped}")

    def message(self, kind: str, rest: str, user: str = FOLLOWER) -> str:
        made = int(self.clock().timestamp())
        return f"<xml>{cdata(ToUserName=ACCOUNT, FromUserName=user)}<CreateTime>{made}</CreateTime>{cdata(MsgType=kind)}{rest}</xml>"

    def event(self, event: str, key: str = "", user: str = FOLLOWER) -> str:
        return self.message("event", cdata(Event=event, EventKey=key), user)

    def query(self, query: Query) -> Query:
        """The query as the platform fills it beside a sealed body: both signatures, the sender, the mode."""
        plain = self.sealer.sign(query["timestamp"], query["nonce"])
        return {"signature": plain, "openid": FOLLOWER, "encrypt_type": "aes", **query}

    async def push(self, inner: str) -> Answered:
        query, body = self.sealer.seal(inner, self.clock().timestamp())
        return await self.deliver(self.query(query), body)

    async def deliver(self, query: Query | list[tuple[str, str]], body: str | bytes, headers: dict[str, str] | None = None) -> Answered:
        assert self.session is not None
        return await post(self.session, self.url, query, body, self.sealer, headers)

    async def say(self, text: str) -> Answered:
        return await self.push(self.text(text))
