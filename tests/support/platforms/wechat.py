"""The WeChat platform of Official Accounts, in small (bot/docs/protocols.md#wechat)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientSession, web

from tests.support.platforms.envelopes import Answered, Query, Sealer, cdata, post
from tests.support.platforms.faults import Faults
from tests.support.platforms.plain import Time

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
        self.token = "wechat-token"
        self.noticed: list[dict[str, Any]] = []
        self.subscribed: list[dict[str, Any]] = []
        self.drafts: list[dict[str, Any]] = []
        self.masses: list[dict[str, Any]] = []
        self.deleted: list[dict[str, Any]] = []
        self.previews: list[dict[str, Any]] = []
        self.articles: list[dict[str, Any]] = []
        self.quiet: set[str] = set()
        self.url = ""
        self.session: ClientSession | None = None
        self._ids = 23456789012345600
        self._arrived = asyncio.Event()

    def attach(self, app: web.Application) -> None:
        app.router.add_post("/cgi-bin/stable_token", self._token)
        app.router.add_post("/cgi-bin/message/custom/send", self._send)
        app.router.add_post("/cgi-bin/message/template/send", self._kept(self.noticed, self._template))
        app.router.add_post("/cgi-bin/message/subscribe/bizsend", self._kept(self.subscribed, lambda body: None))
        app.router.add_post("/cgi-bin/draft/add", self._kept(self.drafts, lambda body: None, media_id="media-1"))
        app.router.add_post("/cgi-bin/message/mass/sendall", self._kept(self.masses, self._mass, msg_id=34182))
        app.router.add_post("/cgi-bin/message/mass/delete", self._kept(self.deleted, lambda body: None))
        app.router.add_post("/cgi-bin/message/mass/preview", self._kept(self.previews, lambda body: None))
        app.router.add_post("/datacube/getarticletotal", self._readers)

    async def _token(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked.get("appid") != APP or asked.get("secret") != SECRET:
            return web.json_response({"errcode": 40125, "errmsg": "invalid appsecret"})
        return web.json_response({"access_token": self.token, "expires_in": 7200})

    async def _send(self, request: web.Request) -> web.Response:
        message = await request.json()
        wrong = self.fault(message)
        if message["touser"] in self.quiet:
            wrong = {"errcode": 45015, "errmsg": "response out of time limit"}
        if request.query.get("access_token") != self.token:
            wrong = {"errcode": 42001, "errmsg": "access_token expired"}
        if message["msgtype"] == "text" and len(message["text"]["content"].encode()) > 2048:
            wrong = {"errcode": 45002, "errmsg": "content size out of limit"}
        if wrong is None:
            self.sent.append(message)
        self._arrived.set()
        return web.json_response(wrong or {"errcode": 0, "errmsg": "ok"})

    def _kept(
        self, kept: list[dict[str, Any]], judge: Callable[[dict[str, Any]], dict[str, Any] | None], **told: Any
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def route(request: web.Request) -> web.Response:
            body = await request.json()
            wrong = {"errcode": 42001, "errmsg": "access_token expired"} if request.query.get("access_token") != self.token else judge(body)
            if wrong is None:
                kept.append(body)
            self._arrived.set()
            return web.json_response(wrong or {"errcode": 0, "errmsg": "ok", "msgid": 200000 + len(kept), **told})

        return route

    def _template(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """47003 names the keyword that holds too much, as the real one does."""
        for field, one in body["data"].items():
            if field.startswith("thing") and not 0 < len(one["value"]) <= 20:
                return {"errcode": 47003, "errmsg": f"argument invalid! data.{field}.value invalid"}
        return None

    def _mass(self, body: dict[str, Any]) -> dict[str, Any] | None:
        known = {one["clientmsgid"] for one in self.masses}
        return {"errcode": 45065, "errmsg": "clientmsgid exist", "msg_id": 34182} if body["clientmsgid"] in known else None

    async def _readers(self, request: web.Request) -> web.Response:
        asked = await request.json()
        return web.json_response({"list": [one for one in self.articles if asked["begin_date"] <= one["ref_date"] <= asked["end_date"]]})

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until the bot has sent what `true` looks for."""
        async with asyncio.timeout(60):
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
