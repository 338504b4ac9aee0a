"""What others do with the same message, from their own packages (dependency group `peers`): echoes without a database, and a naive handler with one.

WeRoBot has no aiohttp, so it stands on waitress as its documentation shows; NoneBot2 serves on FastAPI, behind an adapter of our own; both with
encryption. The naive handler is how such bots are usually written: wechatpy's codec, an asynchronous SQLModel session a request, an object a row.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, cast

from aiohttp import web

from tests.bench.load import AES_KEY, AGENT, CORP, PATH, TOKEN

ECHO = "已记录。✅ 回答正确。解析：根据《中华人民共和国民法典》第一千二百六十条。"
PACKAGES: dict[str, tuple[str, ...]] = {
    "wechatpy": ("wechatpy",),
    "werobot": ("werobot", "waitress"),
    "nonebot": ("nonebot", "fastapi", "uvicorn"),
    "naive": ("aiosqlite", "greenlet"),
}
NAMES = {
    "wechatpy": "wechatpy in aiohttp, echo only",
    "werobot": "WeRoBot on waitress, echo only",
    "nonebot": "NoneBot2 on FastAPI, echo only",
    "naive": "naive handler, async SQLModel session on aiosqlite",
}
INSTALL = "python -m pip install --group peers"


def missing(kind: str) -> list[str]:
    """The packages that a peer needs and that are not installed."""
    return [package for package in PACKAGES.get(kind, ()) if importlib.util.find_spec(package) is None]


def posted_to(receive: Callable[[web.Request], Awaitable[web.Response]]) -> web.Application:
    app = web.Application()
    app.router.add_post(PATH, receive)
    return app


# ── Echoes ──


def wechatpy() -> web.Application:
    return posted_to(_wechatpy_door(lambda *_: _echo()))


async def _echo() -> str:
    return ECHO


def _wechatpy_door(answer: Callable[[str, str, str], Awaitable[str]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """wechatpy as its documentation shows it; `answer` gets user, words and message id."""
    from wechatpy.enterprise import create_reply, parse_message
    from wechatpy.enterprise.crypto import WeChatCrypto

    crypto = WeChatCrypto(TOKEN, AES_KEY, CORP)

    async def receive(request: web.Request) -> web.Response:
        query = request.query
        inner = crypto.decrypt_message(await request.text(), query["msg_signature"], query["timestamp"], query["nonce"])
        message = parse_message(inner)
        reply = create_reply(await answer(message.source.lower(), message.content, str(message.id)), message).render()
        return web.Response(text=crypto.encrypt_message(reply, query["nonce"], query["timestamp"]), content_type="application/xml")

    return receive


def werobot(ready: Callable[[], None]) -> None:
    """Runs until the process is ended. Its messages are those of an official account: the query is signed once more."""
    import waitress
    from werobot import WeRoBot

    robot = WeRoBot(token=TOKEN, encoding_aes_key=AES_KEY, app_id=CORP, enable_session=False)
    robot.use_encryption = True
    robot.add_handler(lambda _: ECHO)
    server = waitress.create_server(
        robot.wsgi, host="127.0.0.1", port=0, backlog=8192, connection_limit=20_000, asyncore_use_poll=True, clear_untrusted_proxy_headers=False
    )
    ready()
    print(server.effective_port, flush=True)
    server.run()


def nonebot(port: int, ready: Callable[[], None]) -> None:
    """Runs until the process is ended."""
    import nonebot
    from nonebot import on_message
    from nonebot.adapters import Adapter, Bot, Event, Message, MessageSegment
    from nonebot.drivers import URL, HTTPServerSetup, Request, Response
    from nonebot.message import handle_event
    from wechatpy.enterprise import create_reply, parse_message
    from wechatpy.enterprise.crypto import WeChatCrypto

    crypto = WeChatCrypto(TOKEN, AES_KEY, CORP)

    class EchoSegment(MessageSegment["EchoMessage"]):
        @classmethod
        def get_message_class(cls) -> type[EchoMessage]:
            return EchoMessage

        def __str__(self) -> str:
            return str(self.data["text"])

        def is_text(self) -> bool:
            return True

    class EchoMessage(Message[EchoSegment]):
        @classmethod
        def get_segment_class(cls) -> type[EchoSegment]:
            return EchoSegment

        @staticmethod
        def _construct(msg: str) -> Any:
            yield EchoSegment("text", {"text": msg})

    class EchoEvent(Event):
        user: str
        words: str
        reply: str = ""

        def get_type(self) -> str:
            return "message"

        def get_event_name(self) -> str:
            return "message"

        def get_event_description(self) -> str:
            return self.words

        def get_message(self) -> EchoMessage:
            return EchoMessage(self.words)

        def get_user_id(self) -> str:
            return self.user

        def get_session_id(self) -> str:
            return self.user

        def is_tome(self) -> bool:
            return True

    class EchoBot(Bot):
        async def send(self, event: Any, message: Any, **_: Any) -> None:
            event.reply = str(message)

    class EchoAdapter(Adapter):
        def __init__(self, driver: Any, **options: Any) -> None:
            super().__init__(driver, **options)
            self.setup_http_server(HTTPServerSetup(URL(PATH), "POST", "echo", self.receive))
            self.bot = EchoBot(self, CORP)

            @driver.on_startup
            async def connect() -> None:
                self.bot_connect(self.bot)
                ready()
                print(port, flush=True)

        @classmethod
        def get_name(cls) -> str:
            return "echo"

        async def _call_api(self, bot: Any, api: str, **data: Any) -> None:
            return None

        async def receive(self, request: Request) -> Response:
            query = request.url.query
            inner = crypto.decrypt_message(request.content, query["msg_signature"], query["timestamp"], query["nonce"])
            message = parse_message(inner)
            event = EchoEvent(user=message.source, words=message.content)
            await handle_event(self.bot, event)
            reply = create_reply(event.reply, message).render()
            return Response(
                200, headers={"Content-Type": "application/xml"}, content=crypto.encrypt_message(reply, query["nonce"], query["timestamp"])
            )

    nonebot.init(driver="~fastapi", host="127.0.0.1", port=port, log_level="ERROR")
    nonebot.get_driver().register_adapter(EchoAdapter)
    echo = on_message()

    @echo.handle()
    async def answer(bot: Bot, event: Event) -> None:
        await bot.send(event, ECHO)

    nonebot.run(log_level="error", access_log=False, backlog=8192)


# ── The naive handler ──

ITEM_SECONDS = 67


def naive(url: str) -> web.Application:
    """With the rules of the product as far as an answer needs them."""
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlmodel.ext.asyncio.session import AsyncSession

    def dress(connection: Any, _: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=60000"):
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

    engine = create_async_engine(url.replace("sqlite://", "sqlite+aiosqlite://"), connect_args={"isolation_level": None}, pool_timeout=60)
    event.listen(engine.sync_engine, "connect", dress)
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))

    async def answer(user: str, words: str, message_id: str) -> str:
        async with AsyncSession(engine) as session:
            return cast(str, await session.run_sync(lambda plain: _record(plain, user, words, message_id)))

    return posted_to(_wechatpy_door(answer))


def _record(session: Any, user: str, content: str, message_id: str) -> str:
    """One answer, row by row; commits."""
    from sqlmodel import col, select

    from bot.domain.times import day_of
    from bot.storage.tables import hours, library, people, study, system

    Account, Person, Inbox = people.AccountRow.model, people.PersonRow.model, system.InboxRow.model
    Focus, Sitting, SittingItem, Card = study.FocusRow.model, study.SittingRow.model, study.SittingItemRow.model, study.NotebookCardRow.model
    Version, Entry, YearTotal, DayTotal = library.QuestionVersionRow.model, hours.EntryRow.model, hours.YearTotalRow.model, hours.DayTotalRow.model
    now = datetime.now(UTC)
    today = day_of(now)
    account = session.exec(select(Account).where(Account.channel == "wecom", Account.user == user)).one()
    person = session.get_one(Person, account.person_id)
    assert person.id is not None
    heard = session.get(Inbox, ("wecom", AGENT, user, message_id))
    if heard is not None:
        return str(heard.reply)
    focus = session.get_one(Focus, person.id)
    sitting = session.get_one(Sitting, focus.ref)
    item = session.get_one(SittingItem, (sitting.id, sitting.next))
    version = session.get_one(Version, item.version_id)
    question = json.loads(version.body)
    choice = content.strip().upper()
    correct = choice == question["key"]
    assert sitting.id is not None
    session.add(
        study.AnswerRow(
            person_id=person.id, sitting_id=sitting.id, n=item.n, question=item.question, version_id=item.version_id, choice=choice,
            correct=correct, earned=1000 if correct else 0, channel="wecom", message_id=message_id, arrived_at=now, recorded_at=now,
        )
    )  # fmt: skip
    if not correct:
        card = session.get(Card, (person.id, item.question))
        if card is None:
            session.add(
                Card(
                    person_id=person.id, question=item.question, entered_at=now, state=1, step=0, stability=0.212, difficulty=6.4133, due_at=now,
                    reviewed_at=now,
                )
            )  # fmt: skip
    source = f"{today.year}:{item.question}"
    if session.exec(select(Entry).where(Entry.person_id == person.id, Entry.source_kind == "item", Entry.source_id == source)).first() is None:
        session.add(
            Entry(
                person_id=person.id, category="practice", credit_seconds=ITEM_SECONDS, day=today, law=question["law"], source_kind="item",
                source_id=source, rule="D3", rule_version=1, recorded_at=now, recorded_by="system",
            )
        )  # fmt: skip
        year = session.get(YearTotal, (person.id, today.year, "practice")) or YearTotal(person_id=person.id, year=today.year, category="practice")
        year.seconds, year.items = year.seconds + ITEM_SECONDS, year.items + 1
        day = session.get(DayTotal, (person.id, today, "practice")) or DayTotal(person_id=person.id, day=today, category="practice")
        day.seconds += ITEM_SECONDS
        session.add_all((year, day))
    ahead = session.exec(
        select(SittingItem).where(SittingItem.sitting_id == sitting.id, SittingItem.n > item.n).order_by(col(SittingItem.n)).limit(1)
    ).first()
    text = f"已记录。{'✅ 回答正确' if correct else '❌ 回答错误'}。\n解析：{question['explanation']}\n"
    if ahead is not None:
        sitting.next = ahead.n
        following = json.loads(session.get_one(Version, ahead.version_id).body)
        text += f"\n第{ahead.n}/{sitting.size}题 {following['stem']}\n" + "\n".join(f"{letter}. {said}" for letter, said in following["options"])
    session.add(sitting)
    session.add(Inbox(channel="wecom", app=AGENT, sender=user, message_id=message_id, person_id=person.id, arrived_at=now, reply=text))
    session.commit()
    return text
