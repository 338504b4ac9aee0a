"""WeCom, in small: it pushes what its people say and tap, and refuses what the real one refuses (bot/docs/protocols.md#wecom)."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import ClientSession, web

from tests.support.platforms.envelopes import Answered, Query, Sealer, cdata, post
from tests.support.platforms.faults import Faults
from tests.support.platforms.plain import Time

CORP, AGENT = "ww1234567890abcdef", "1000002"
SECRET = "canary-corpsecret-5512"
TASK_ID = re.compile(r"[0-9A-Za-z_@-]{1,128}")


def refusal(code: int, text: str) -> dict[str, Any]:
    return {"errcode": code, "errmsg": text}


class WeComPlatform:
    """The API side collects what is sent; the callback side pushes to `url` and opens what it is answered."""

    def __init__(self, clock: Time) -> None:
        self.clock = clock
        self.sealer = Sealer(CORP, AGENT)
        self.sent: list[dict[str, Any]] = []
        self.updated: list[dict[str, Any]] = []
        self.fault: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda message: None
        self.members = {"zhangsan", "lisi"}
        self.unlicensed: set[str] = set()
        self.recalled: list[str] = []
        self.trusts_us = True
        self.faults = Faults()
        self.token = "wecom-token"
        self.tokens = 0
        self.token_given = threading.Event()
        self.seconds = 0.0
        self.departments: list[dict[str, Any]] = []
        self.users: dict[int, list[dict[str, Any]]] = {}
        self.url = ""
        self.session: ClientSession | None = None
        self._ids = 1000
        self._tasks: Counter[str] = Counter()
        self._arrived = asyncio.Event()

    def attach(self, app: web.Application) -> None:
        app.router.add_post("/cgi-bin/message/recall", self._recall)
        app.router.add_get("/cgi-bin/department/list", self._departments)
        app.router.add_get("/cgi-bin/user/list", self._users)
        app.router.add_get("/cgi-bin/gettoken", self._token)
        app.router.add_get("/cgi-bin/agent/get", self._agent)
        app.router.add_post("/cgi-bin/message/send", self._send)
        app.router.add_post("/cgi-bin/message/update_template_card", self._update)

    async def _token(self, request: web.Request) -> web.Response:
        self.tokens += 1
        self.token_given.set()
        if request.query.get("corpid") != CORP or request.query.get("corpsecret") != SECRET:
            return web.json_response(refusal(40001, "invalid credential"))
        return web.json_response({"errcode": 0, "errmsg": "ok", "access_token": self.token, "expires_in": 7200})

    async def _agent(self, request: web.Request) -> web.Response:
        wrong = self._unknown(request)
        if not self.trusts_us:
            wrong = refusal(
                60020, "not allow to access from your ip, hint: [1733], from ip: 203.0.113.9, more info at https://open.work.weixin.qq.com"
            )
        if request.query.get("agentid") != AGENT:
            wrong = wrong or refusal(40056, "invalid agentid")
        return web.json_response(wrong or {"errcode": 0, "errmsg": "ok", "agentid": int(AGENT), "name": "学法"})

    async def _send(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.seconds)
        message = await request.json()
        wrong = self._unknown(request)
        wrong = wrong or self.fault(message) or self._judged(message)
        if wrong is None:
            self.sent.append(message)
        self._arrived.set()
        if wrong is None and not self._reached(message):
            self.sent.pop()
            wrong = refusal(81013, "user & party & tag all invalid")
        told = {"errcode": 0, "errmsg": "ok", "msgid": f"msg-{len(self.sent)}", "invaliduser": self._strangers(message)}
        told["unlicenseduser"] = "|".join(user for user in message["touser"].split("|") if user in self.unlicensed)
        if message["msgtype"] == "template_card":
            told["response_code"] = f"code-{len(self.sent)}"
        return web.json_response(wrong or told)

    def _reached(self, message: dict[str, Any]) -> list[str]:
        return [user for user in message["touser"].split("|") if user.lower() in self.members]

    def _unknown(self, request: web.Request) -> dict[str, Any] | None:
        return None if request.query.get("access_token") == self.token else refusal(42001, "access_token expired")

    async def _recall(self, request: web.Request) -> web.Response:
        wrong = self._unknown(request)
        if wrong is None:
            self.recalled.append((await request.json())["msgid"])
        return web.json_response(wrong or {"errcode": 0, "errmsg": "ok"})

    async def _departments(self, request: web.Request) -> web.Response:
        wrong = self._unknown(request)
        return web.json_response(wrong or {"errcode": 0, "errmsg": "ok", "department": self.departments})

    async def _users(self, request: web.Request) -> web.Response:
        wrong = self._unknown(request)
        return web.json_response(wrong or {"errcode": 0, "errmsg": "ok", "userlist": self.users.get(int(request.query["department_id"]), [])})

    async def _update(self, request: web.Request) -> web.Response:
        self.updated.append(await request.json())
        self._arrived.set()
        return web.json_response({"errcode": 0, "errmsg": "ok", "invaliduser": []})

    def _strangers(self, message: dict[str, Any]) -> str:
        return "|".join(user.lower() for user in message["touser"].split("|") if user.lower() not in self.members | self.unlicensed)

    def _judged(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if message["agentid"] != int(AGENT):
            return refusal(40056, "invalid agentid")
        if len(message["touser"].split("|")) > 1000:
            return refusal(40058, "touser exceeds 1000")
        if message["msgtype"] in ("text", "markdown"):
            said = message[message["msgtype"]]["content"]
            return None if 0 < len(said.encode()) <= 2048 else refusal(45002, "content size out of limit")
        if message["msgtype"] == "textcard":
            linked = message["textcard"]
            whole = all(0 < len(linked[name].encode()) <= most for name, most in (("title", 128), ("description", 512), ("url", 2048)))
            return None if whole and len(linked["btntxt"]) <= 4 else refusal(42044, "textcard")
        card = message["template_card"]
        buttons = card.get("button_list", [])
        keys = [button["key"] for button in buttons] + [action["key"] for action in card.get("action_menu", {}).get("action_list", [])]
        ticks = card.get("checkbox", {}).get("option_list", [])
        faults = (
            not TASK_ID.fullmatch(card.get("task_id", "")) or self._tasks[card["task_id"]] > 0,
            len(buttons) > 6 or len(set(keys)) != len(keys) or any(not 0 < len(key.encode()) <= 1024 for key in keys),
            any(not 0 < len(button["text"]) <= 10 for button in buttons),
            len(card.get("action_menu", {}).get("action_list", [])) > 3,
            not 0 < len(card["main_title"]["title"]) <= 36 or len(card["main_title"].get("desc", "")) > 44,
            len(card.get("sub_title_text", "")) > 160,
            len(card.get("horizontal_content_list", [])) > 6,
            any(len(row["keyname"]) > 5 or len(row["value"]) > 30 for row in card.get("horizontal_content_list", [])),
            len(ticks) > 20 or any(len(tick["text"]) > 17 or not tick["id"] for tick in ticks),
            card["card_type"] == "vote_interaction" and not (ticks and card.get("submit_button")),
            card["card_type"] == "button_interaction" and not buttons,
        )
        if any(faults):
            return refusal(42014, f"card fault {faults.index(True)}")
        self._tasks[card["task_id"]] += 1
        return None

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until the bot has sent what `true` looks for."""
        async with asyncio.timeout(60):
            while not true():
                self._arrived.clear()
                await self._arrived.wait()

    @property
    def cards(self) -> list[dict[str, Any]]:
        return [message["template_card"] for message in self.sent if message["msgtype"] == "template_card"]

    @property
    def texts(self) -> list[str]:
        return [message["text"]["content"] for message in self.sent if message["msgtype"] == "text"]

    # What people do.

    def text(self, text: str, user: str = "ZhangSan", message_id: str = "") -> str:
        self._ids += 1
        said = text.replace("]]>", "]]]]><![CDATA[>")
        return self.message("text", cdata(Content=said) + f"<MsgId>{message_id or self._ids}</MsgId>", user)

    def message(self, kind: str, rest: str, user: str = "ZhangSan") -> str:
        made = int(self.clock().timestamp())
        head = cdata(ToUserName=CORP, FromUserName=user) + f"<CreateTime>{made}</CreateTime>" + cdata(MsgType=kind)
        return f"<xml>{head}{rest}<AgentID>{AGENT}</AgentID></xml>"

    def event(self, event: str, key: str = "", rest: str = "", user: str = "ZhangSan") -> str:
        return self.message("event", cdata(Event=event, EventKey=key) + rest, user)

    def tap(self, card: dict[str, Any], key: str, user: str = "ZhangSan", ticked: tuple[str, ...] = (), event: str = "template_card_event") -> str:
        ids = "".join(f"<OptionId><![CDATA[{one}]]></OptionId>" for one in ticked)
        chosen = f"<SelectedItem>{cdata(QuestionKey='answer')}<OptionIds>{ids}</OptionIds></SelectedItem>" if ticked else ""
        rest = cdata(TaskId=card["task_id"], CardType=card["card_type"], ResponseCode="code-1") + f"<SelectedItems>{chosen}</SelectedItems>"
        return self.event(event, key, rest, user)

    async def push(self, inner: str) -> Answered:
        return await self.deliver(*self.sealer.seal(inner, self.clock().timestamp()))

    async def deliver(self, query: Query | list[tuple[str, str]], body: str | bytes, headers: dict[str, str] | None = None) -> Answered:
        assert self.session is not None
        return await post(self.session, self.url, query, body, self.sealer, headers)

    async def say(self, text: str, user: str = "ZhangSan") -> Answered:
        return await self.push(self.text(text, user))
