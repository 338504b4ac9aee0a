"""The hall: one message in, one transaction, one reply out. Decide, commit, then speak."""

from __future__ import annotations

import random
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import structlog
from sqlmodel import Session

from bot.commands import registry, router
from bot.commands.help import GREETINGS, STRANGER, welcome
from bot.commands.router import Command, Context
from bot.commands.study import quiz
from bot.domain.message import NOTHING, Address, Incoming, Refusal, Reply
from bot.domain.times import day_of
from bot.services.library.catalog import Catalog
from bot.storage.db.database import Database
from bot.storage.db.writer import Busy
from bot.storage.people import accounts
from bot.storage.system import audit, inbox

log = structlog.get_logger()

BUSY = Reply("系统繁忙，未记录，请稍后再发一次。")
BROKEN = Reply("系统出了点问题，这条消息未记录，请稍后再试。")
NOT_TEXT = Reply("目前只看得懂文字和按钮，请用文字回复。发送「帮助」看看能做什么。")

REFUSED_KEPT = 10_000
"""How many refused messages are known again; together with the platforms' retries, seconds apart, far more than are under way."""
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
"""What no database keeps as text: NUL and half characters."""

Note = Callable[[str, str, float], None]


class Dispatcher:
    """Hands each message to its command inside one transaction, and keeps the reply with the message.

    A refused message leaves no row. Its reply is remembered for a while all the same, so that a retry is refused in the same words, and is not
    taken for the answer to a question that was put in the meantime. `pages` is where our own pages stand, once somebody has said so.
    """

    def __init__(self, database: Database, catalog: Callable[[], Catalog], *, rng: random.Random | None = None, note: Note | None = None) -> None:
        self.database = database
        self.catalog = catalog
        self.rng = rng or random.SystemRandom()
        self.note = note or (lambda what, channel, value: None)
        self.pages = ""
        self._refused: OrderedDict[tuple[Address, str], Reply] = OrderedDict()

    async def handle(self, incoming: Incoming) -> Reply:
        """The reply, already committed; a message heard before gets the reply it got then. Never raises for what a message says."""
        channel = incoming.sender.channel
        began = time.perf_counter()
        if (said := self._refused.get((incoming.sender, incoming.message_id))) is not None:
            return said
        if _UNKEEPABLE.search(incoming.text):
            incoming = replace(incoming, text=_UNKEEPABLE.sub("", incoming.text))
        found = registry.find(incoming.text) if incoming.kind in ("text", "voice", "tap") and not incoming.task else None
        try:
            if found is not None and found[0].reads:
                reply = await self._look_up(incoming, *found)
            else:
                reply = await self.database.write(lambda session: self._attend(session, incoming), of=incoming.sender)
            self.note("answered", channel, 1)
        except Refusal as refusal:
            self.note("refusal", channel, 1)
            reply = self._refusal(incoming, refusal)
        except Busy as busy:
            log.warning("shed", channel=channel, reason=str(busy))
            self.note("shed", channel, 1)
            reply = BUSY
        except Exception:
            log.exception("message failed", channel=channel, message_id=incoming.message_id)
            self.note("failed", channel, 1)
            reply = BROKEN
        self.note("handle_seconds", channel, time.perf_counter() - began)
        return reply

    def _refusal(self, incoming: Incoming, refusal: Refusal) -> Reply:
        """The refusal in words: of several copies that were under way together, those of the first."""
        reply = self._refused.setdefault((incoming.sender, incoming.message_id), Reply(str(refusal), buttons=refusal.buttons))
        if len(self._refused) > REFUSED_KEPT:
            self._refused.popitem(last=False)
        return reply

    def _context(self, session: Session, incoming: Incoming) -> Context:
        learner = accounts.learner_at(session, incoming.sender, day_of(incoming.arrived).isoformat())
        return Context(session, incoming, self.catalog(), incoming.arrived, self.rng, learner, pages=self.pages)

    def _attend(self, session: Session, incoming: Incoming) -> Reply:
        ctx = self._context(session, incoming)
        if ctx.learner is None:
            return self._meet(ctx)
        if (said := inbox.stored_reply(session, incoming)) is not None:
            return said
        reply = respond(ctx)
        inbox.store_reply(session, incoming, ctx.learner.id, reply)
        return reply

    def _meet(self, ctx: Context) -> Reply:
        """Somebody who is not on the roll, or not bound yet: only binding and the help; nothing is kept but a count."""
        incoming = ctx.incoming
        if incoming.kind == "unfollow":
            return NOTHING
        found = registry.find(incoming.text) if incoming.kind in ("text", "voice") else None
        if found is None or found[0].role is not None:
            inbox.count(ctx.session, "stranger", ctx.today)
            return STRANGER
        accounts.lock_stranger(ctx.session, incoming.sender)
        if (said := inbox.stored_reply(ctx.session, incoming)) is not None:
            return said
        reply = found[0].do(ctx, found[1])
        bound = accounts.learner_at(ctx.session, incoming.sender, ctx.today.isoformat())
        if bound is not None:
            inbox.store_reply(ctx.session, incoming, bound.id, reply)
        return reply

    async def _look_up(self, incoming: Incoming, command: Command, argument: str) -> Reply:
        """A command that only reads takes its time on the read connection; the reply (and what the audit is to know) is written after."""

        def read(session: Session) -> tuple[Context, Reply] | None:
            ctx = self._context(session, incoming)
            if ctx.learner is None or inbox.stored_reply(session, incoming) is not None or not command.is_for(ctx.learner):
                return None
            return ctx, command.do(ctx, argument)

        looked = await self.database.read(read)
        if looked is None:
            return await self.database.write(lambda session: self._attend(session, incoming), of=incoming.sender)
        ctx, reply = looked

        def keep(session: Session) -> Reply:
            if (said := inbox.stored_reply(session, incoming)) is not None:
                return said
            inbox.store_reply(session, incoming, ctx.me.id, reply)
            if ctx.audited is not None:
                audit.record(session, ctx.now, ctx.me.staff_no, incoming.sender.channel, *ctx.audited)
            return reply

        return await self.database.write(keep, of=incoming.sender)


def respond(ctx: Context) -> Reply:
    """What a bound person is told: events are greeted, taps go to their task, words to their command, the rest to the open question."""
    incoming = ctx.incoming
    match incoming.kind:
        case "unfollow" | "enter":
            return NOTHING
        case "follow":
            return welcome(ctx)
        case "other":
            return NOT_TEXT
    if incoming.task:
        return quiz.tapped(ctx, incoming.task, incoming.text)
    if not incoming.text.strip():
        return NOT_TEXT
    if router.tidy(incoming.text).rstrip("!。~").lower() in GREETINGS:
        return welcome(ctx)
    found = registry.find(incoming.text, strict=True)
    if found is None and (found := registry.find(incoming.text)) is not None and quiz.hears_free_text(ctx):
        found = None
    if found is not None and found[0].is_for(ctx.learner):
        return found[0].do(ctx, found[1])
    if found is not None:
        log.info("not allowed", command=found[0].name, staff_no=ctx.me.staff_no)
        audit.record(ctx.session, ctx.now, ctx.me.staff_no, incoming.sender.channel, f"命令 {found[0].name}", "", outcome="refused")
        return router.unknown(ctx, incoming.text)
    return quiz.typed(ctx, incoming.text) or router.unknown(ctx, incoming.text)
