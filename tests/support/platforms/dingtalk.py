"""钉钉 on the loopback: the Stream gateway, the session webhooks, the robot's messages and the cards, with faults by script."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from tests.support.platforms.dingtalk_old import OldApi
from tests.support.platforms.faults import PATIENT, Faults

CLIENT_ID = "dingapp"
SECRET = "ding-canary-secret-4711"
ROBOT = "/v1.0/im/bot/messages/get"
CARDS = "/v1.0/card/instances/callback"
OLD_TOKEN = "canary-old-token"
GROUP_TOKEN, GROUP_SECRET = "canary-group-token-5", "SEC-canary-group-secret-6"
FAR = 4_000_000_000_000

Json = dict[str, Any]

Script = Callable[[Json], Awaitable[web.StreamResponse | None]]


@dataclass
class Connection:
    """One websocket that a client opened, and what came up on it."""

    socket: web.WebSocketResponse
    ticket: str
    acks: list[Json] = field(default_factory=list)


@dataclass
class FakeDingTalk(OldApi):
    """What was asked of the platform, and how it shall answer; `scripts` takes the path of a call."""

    url: str = ""
    opens: list[Json] = field(default_factory=list)
    open_headers: list[dict[str, str]] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    live: list[Connection] = field(default_factory=list)
    webhooks: list[Json] = field(default_factory=list)
    robots: list[Json] = field(default_factory=list)
    cards: list[Json] = field(default_factory=list)
    updates: list[Json] = field(default_factory=list)
    registered: list[Json] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)
    tickets: set[str] = field(default_factory=set)
    open_status: list[int] = field(default_factory=list)
    pongs: bool = True
    greet: bool = True
    faults: Faults = field(default_factory=Faults)
    throttled: set[str] = field(default_factory=set)
    filtered: set[str] = field(default_factory=set)
    groups: list[Json] = field(default_factory=list)
    customs: list[Json] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    serial: count[int] = field(default_factory=count)

    async def until(self, met: Callable[[], bool], seconds: float = PATIENT) -> None:
        """Wait until something has happened here."""
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(met), seconds)

    async def push(self, frame: Json | str, to: Connection | None = None) -> None:
        """Send a frame down one connection, the newest where none is named."""
        target = to or self.live[-1]
        await target.socket.send_str(frame if isinstance(frame, str) else json.dumps(frame, ensure_ascii=False))

    @staticmethod
    def cut(connection: Connection) -> None:
        """The line breaks: no close frame, nothing."""
        request = connection.socket._req
        assert request is not None
        assert request.transport is not None
        request.transport.abort()

    async def ack(self, message_id: str, seconds: float = PATIENT) -> Json:
        """The acknowledgement of a frame, with its data unpacked."""
        await self.until(lambda: bool(self.acks(message_id)), seconds)
        return self.acks(message_id)[0]

    def acks(self, message_id: str) -> list[Json]:
        return [ack for connection in self.connections for ack in connection.acks if ack["headers"]["messageId"] == message_id]

    def said(self) -> list[str]:
        """Every text that reached a person, by whatever way, cards apart."""
        found = []
        for message in self.webhooks:
            found.append(message["text"]["content"] if message["msgtype"] == "text" else message["actionCard"]["text"])
        for message in self.robots:
            param = json.loads(message["msgParam"])
            found.append(param.get("content", param.get("text", "")))
        return found

    def robot_frame(self, text: str = "A", *, staff: str | None = "Staff01", msg_id: str = "", **over: Any) -> Json:
        """A robot message as bot/docs/protocols.md#dingtalk-messages has it."""
        number = next(self.serial)
        data = {
            "msgId": msg_id or f"msg{number}",
            "conversationType": "1",
            "conversationId": "cid1",
            "senderStaffId": staff,
            "senderId": "$:encrypted",
            "senderNick": "张三",
            "senderCorpId": "corp",
            "chatbotCorpId": "corp",
            "robotCode": CLIENT_ID,
            "createAt": 1_700_000_000_000,
            "sessionWebhook": f"{self.url}/robot/sendBySession?session=canary-session-{number}",
            "sessionWebhookExpiredTime": FAR,
            "msgtype": "text",
            "text": {"content": text},
            **over,
        }
        return self.frame(ROBOT, {key: value for key, value in data.items() if value is not None}, f"frame{number}")

    def tap_frame(self, track: str, choice: str, *, staff: str = "Staff01", chosen: str | None = None) -> Json:
        """A tap on a card as bot/docs/protocols.md#dingtalk-cards has it."""
        number = next(self.serial)
        return self.frame(CARDS, tap(track, choice, staff=staff, chosen=chosen), f"frame{number}")

    def taking_back(self, what: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def route(request: web.Request) -> web.StreamResponse:
            body = await request.json()
            self.recalls.append((what, body))
            keys = body["processQueryKeys"]
            return web.json_response(
                {"successResult": [key for key in keys if key != "old"], "failedResult": {key: "EXPIRED" for key in keys if key == "old"}}
            )

        return route

    async def custom(self, request: web.Request) -> web.StreamResponse:
        """A custom group robot: signed, twenty a minute."""
        made = request.query.get("timestamp", "")
        right = base64.b64encode(hmac.new(GROUP_SECRET.encode(), f"{made}\n{GROUP_SECRET}".encode(), hashlib.sha256).digest()).decode()
        if request.query.get("access_token") != GROUP_TOKEN or request.query.get("sign") != right:
            return web.json_response({"errcode": 310000, "errmsg": "sign not match"})
        if len(self.customs) >= 20:
            return web.json_response({"errcode": 130101, "errmsg": "send too fast"})
        self.customs.append(await request.json())
        return web.json_response({"errcode": 0, "errmsg": "ok"})

    @staticmethod
    def frame(topic: str, data: Json | str, message_id: str, kind: str = "CALLBACK") -> Json:
        headers = {
            "appId": "app",
            "connectionId": "c",
            "contentType": "application/json",
            "messageId": message_id,
            "time": "1700000000000",
            "topic": topic,
        }
        return {
            "specVersion": "1.0",
            "type": kind,
            "headers": headers,
            "data": data if isinstance(data, str) else json.dumps(data, ensure_ascii=False),
        }

    def robot_lists(self, body: Json) -> Json:
        """Whom the robot did not reach: 200 does not mean that all were sent; too many are refused outright."""
        users = body["userIds"]
        listed = (("invalidStaffIdList", self.invalid), ("flowControlledStaffIdList", self.throttled), ("filteredStaffIdList", self.filtered))
        return {"processQueryKey": f"k{len(self.robots)}", **{name: [one for one in users if one in whom] for name, whom in listed}}

    def guarded(self, answer: Callable[[Json], Json]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A call of the old API: its own token in the query, HTTP 200 whatever happens."""

        async def route(request: web.Request) -> web.StreamResponse:
            if request.query.get("access_token") != OLD_TOKEN:
                return web.json_response({"errcode": 88, "sub_code": "40014", "sub_msg": "不合法的access_token"})
            return web.json_response(answer(await request.json()))

        return route

    # --- the server's side

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def open(self, request: web.Request) -> web.StreamResponse:
        self.opens.append(await request.json())
        self.open_headers.append(dict(request.headers))
        await self._tell()
        status = self.open_status.pop(0) if self.open_status else 200
        if status != 200:
            return web.json_response({"code": "unauthorized" if status == 401 else "system.error", "message": "no"}, status=status)
        ticket = f"canary-ticket+{next(self.serial)}/="
        self.tickets.add(ticket)
        return web.json_response({"endpoint": self.url.replace("http", "ws", 1) + "/connect", "ticket": ticket})

    async def connect(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query["ticket"]
        if ticket not in self.tickets:
            return web.Response(status=401)
        self.tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=self.pongs)
        await socket.prepare(request)
        connection = Connection(socket, ticket)
        if self.greet:
            await socket.send_str(json.dumps(self.frame("CONNECTED", "{}", "hello", "SYSTEM")))
        self.connections.append(connection)
        self.live.append(connection)
        await self._tell()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    ack = json.loads(message.data)
                    ack["data"] = json.loads(ack["data"])
                    connection.acks.append(ack)
                    await self._tell()
        finally:
            self.live.remove(connection)
            await self._tell()
        return socket

    def recording(self, kept: list[Json], answer: Callable[[Json], Json]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def route(request: web.Request) -> web.StreamResponse:
            body = await request.json()
            script = self.scripts.get(request.path)
            scripted = await script(body) if script is not None else None
            if scripted is not None:
                return scripted
            kept.append(body)
            await self._tell()
            return web.json_response(answer(body))

        return route


def tap(track: str, choice: str, *, staff: str = "Staff01", chosen: str | None = None) -> Json:
    params = {"choice": choice, **({} if chosen is None else {"chosen": chosen})}
    content = json.dumps({"cardPrivateData": {"actionIds": ["button"], "params": params}})
    return {
        "type": "actionCallback",
        "outTrackId": track,
        "corpId": "corp",
        "userId": staff,
        "userIdType": 1,
        "spaceType": "im",
        "spaceId": "s",
        "extension": "{}",
        "content": content,
        "value": content,
    }


async def _token(request: web.Request) -> web.StreamResponse:
    return web.json_response({"accessToken": "canary-access-token", "expireIn": 7200})


async def _old_token(request: web.Request) -> web.StreamResponse:
    if (request.query.get("appkey"), request.query.get("appsecret")) != (CLIENT_ID, SECRET):
        return web.json_response({"errcode": 40089, "errmsg": "不合法的corpid或corpsecret"})
    return web.json_response({"errcode": 0, "access_token": OLD_TOKEN, "expires_in": 7200})


@asynccontextmanager
async def dingtalk() -> AsyncIterator[FakeDingTalk]:
    """The platform, running."""
    fake = FakeDingTalk()
    app = web.Application(middlewares=[fake.faults.middleware])
    for path, answer in fake.old_calls().items():
        app.router.add_route("*", path, fake.guarded(answer))
    app.router.add_post("/v1.0/gateway/connections/open", fake.open)
    app.router.add_get("/connect", fake.connect)
    app.router.add_post("/v1.0/oauth2/accessToken", _token)
    app.router.add_get("/gettoken", _old_token)
    app.router.add_post("/v1.0/robot/groupMessages/send", fake.recording(fake.groups, lambda _: {"processQueryKey": "g1"}))
    app.router.add_post("/v1.0/robot/otoMessages/batchRecall", fake.taking_back("robot"))
    app.router.add_post("/v1.0/robot/groupMessages/recall", fake.taking_back("group"))
    app.router.add_post("/robot/send", fake.custom)
    app.router.add_post("/robot/sendBySession", fake.recording(fake.webhooks, lambda _: {"errcode": 0, "errmsg": "ok"}))
    app.router.add_post("/v1.0/robot/oToMessages/batchSend", fake.recording(fake.robots, fake.robot_lists))
    delivered = {"deliverResults": [{"spaceType": "IM_ROBOT", "success": True}]}
    app.router.add_post("/v1.0/card/instances/createAndDeliver", fake.recording(fake.cards, lambda _: {"success": True, "result": delivered}))
    app.router.add_put("/v1.0/card/instances", fake.recording(fake.updates, lambda _: {"success": True, "result": True}))
    app.router.add_post("/v1.0/card/callbacks/register", fake.recording(fake.registered, lambda _: {"success": True}))
    async with TestServer(app) as server:
        fake.url = str(server.make_url("")).rstrip("/")
        try:
            yield fake
        finally:
            for connection in tuple(fake.live):
                await connection.socket.close()
