"""The naive handler that the budget compares with: wechatpy's codec, a SQLModel session for each request, objects for each row.

With aiosqlite at hand the session is SQLModel's asynchronous one, as such bots are usually written; without it the same statements run in a
plain session in a thread for each request, which is kinder to it. The rules are those of the product as far as an answer needs them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from sqlalchemy import Engine, create_engine, event
from sqlmodel import Session, col, select
from wechatpy.enterprise import create_reply, parse_message
from wechatpy.enterprise.crypto import WeChatCrypto

from bot.domain.times import day_of
from bot.storage.tables.hours import DayTotalRow, EntryRow, YearTotalRow
from bot.storage.tables.library import QuestionVersionRow
from bot.storage.tables.people import AccountRow, PersonRow
from bot.storage.tables.study import AnswerRow, FocusRow, NotebookCardRow, SittingItemRow, SittingRow
from bot.storage.tables.system import InboxRow
from tests.bench.load import AES_KEY, AGENT, CORP, PATH, TOKEN

ITEM_SECONDS = 67


def has_aiosqlite() -> bool:
    return importlib.util.find_spec("aiosqlite") is not None


def attend(session: Session, user: str, content: str, message_id: str) -> str:
    """One answer, row by row; commits."""
    now = datetime.now(UTC)
    today = day_of(now)
    account = session.exec(select(AccountRow).where(AccountRow.channel == "wecom", AccountRow.user == user)).one()
    person = session.get_one(PersonRow, account.person_id)
    assert person.id is not None
    heard = session.get(InboxRow, ("wecom", AGENT, user, message_id))
    if heard is not None:
        return heard.reply
    focus = session.get_one(FocusRow, person.id)
    sitting = session.get_one(SittingRow, focus.ref)
    item = session.get_one(SittingItemRow, (sitting.id, sitting.next))
    version = session.get_one(QuestionVersionRow, item.version_id)
    question = json.loads(version.body)
    choice = content.strip().upper()
    correct = choice == question["key"]
    assert sitting.id is not None
    session.add(
        AnswerRow(
            person_id=person.id, sitting_id=sitting.id, n=item.n, question=item.question, version_id=item.version_id, choice=choice,
            correct=correct, earned=1000 if correct else 0, channel="wecom", message_id=message_id, arrived_at=now, recorded_at=now,
        )
    )  # fmt: skip
    if not correct:
        card = session.get(NotebookCardRow, (person.id, item.question))
        if card is None:
            session.add(
                NotebookCardRow(
                    person_id=person.id, question=item.question, entered_at=now, state=1, step=0, stability=0.212, difficulty=6.4133, due_at=now,
                    reviewed_at=now,
                )
            )  # fmt: skip
    source = f"{today.year}:{item.question}"
    if (
        session.exec(select(EntryRow).where(EntryRow.person_id == person.id, EntryRow.source_kind == "item", EntryRow.source_id == source)).first()
        is None
    ):
        session.add(
            EntryRow(
                person_id=person.id, category="practice", credit_seconds=ITEM_SECONDS, day=today, law=question["law"], source_kind="item",
                source_id=source, rule="D3", rule_version=1, recorded_at=now, recorded_by="system",
            )
        )  # fmt: skip
        year = session.get(YearTotalRow, (person.id, today.year, "practice")) or YearTotalRow(
            person_id=person.id, year=today.year, category="practice"
        )
        year.seconds, year.items = year.seconds + ITEM_SECONDS, year.items + 1
        day = session.get(DayTotalRow, (person.id, today, "practice")) or DayTotalRow(person_id=person.id, day=today, category="practice")
        day.seconds += ITEM_SECONDS
        session.add_all((year, day))
    ahead = session.exec(
        select(SittingItemRow).where(SittingItemRow.sitting_id == sitting.id, SittingItemRow.n > item.n).order_by(col(SittingItemRow.n)).limit(1)
    ).first()
    text = f"已记录。{'✅ 回答正确' if correct else '❌ 回答错误'}。\n解析：{question['explanation']}\n"
    if ahead is not None:
        sitting.next = ahead.n
        following = json.loads(session.get_one(QuestionVersionRow, ahead.version_id).body)
        text += f"\n第{ahead.n}/{sitting.size}题 {following['stem']}\n" + "\n".join(f"{letter}. {said}" for letter, said in following["options"])
    session.add(sitting)
    session.add(InboxRow(channel="wecom", app=AGENT, sender=user, message_id=message_id, person_id=person.id, arrived_at=now, reply=text))
    session.commit()
    return text


def _dress(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=60000"):
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _sessions(path: Path) -> Callable[[str, str, str], Awaitable[str]]:
    if has_aiosqlite():
        from sqlalchemy.ext.asyncio import create_async_engine
        from sqlmodel.ext.asyncio.session import AsyncSession

        engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"isolation_level": None}, pool_timeout=60)
        _listen(engine.sync_engine)

        async def by_async(user: str, content: str, message_id: str) -> str:
            async with AsyncSession(engine) as session:
                return await session.run_sync(lambda plain: attend(cast(Session, plain), user, content, message_id))

        return by_async

    plain = create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None, "check_same_thread": False}, pool_timeout=60)
    _listen(plain)

    async def by_thread(user: str, content: str, message_id: str) -> str:
        def work() -> str:
            with Session(plain) as session:
                return attend(session, user, content, message_id)

        return await asyncio.to_thread(work)

    return by_thread


def _listen(engine: Engine) -> None:
    event.listen(engine, "connect", _dress)
    event.listen(engine, "begin", _begin)


def application(path: Path) -> web.Application:
    crypto = WeChatCrypto(TOKEN, AES_KEY, CORP)
    attended = _sessions(path)

    async def receive(request: web.Request) -> web.Response:
        query = request.query
        inner = crypto.decrypt_message(await request.text(), query["msg_signature"], query["timestamp"], query["nonce"])
        message = parse_message(inner)
        text = await attended(message.source.lower(), message.content, str(message.id))
        reply = create_reply(text, message).render()
        return web.Response(text=crypto.encrypt_message(reply, query["nonce"], query["timestamp"]), content_type="application/xml")

    app = web.Application()
    app.router.add_post(PATH, receive)
    return app
