"""The dispatcher: takes one message from a channel to its command, in one transaction, and gives back the committed reply."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from sqlmodel import Session

from bot.commands import registry, router, tasks
from bot.commands.actions import CONFIRM
from bot.commands.help import GREETINGS, STRANGER_REPLY, welcome
from bot.commands.router import Context
from bot.commands.study import lessons, quiz
from bot.domain.message import NO_REPLY, Address, Incoming, Refusal, Reply
from bot.domain.text import wording
from bot.domain.times import day_of
from bot.logs import get_logger, pseudonym
from bot.services.library.catalog import Catalog
from bot.storage.db.commits import Busy, InDoubt
from bot.storage.db.database import Database
from bot.storage.people import accounts
from bot.storage.system import audit, inbox

log = get_logger(__name__)

BUSY_REPLY = Reply("系统繁忙，未记录，请稍后再发一次。")
IN_DOUBT_REPLY = Reply("系统繁忙，这条消息是否已记录暂时确认不了。请过几分钟发送「继续」，看看停在哪一题，再决定要不要重发。")
BROKEN_REPLY = Reply("系统出了点问题，这条消息未记录，请稍后再试。")
IN_GROUP_REPLY = Reply("未记录：群里别人也看得到，学习、答题、考试、学时和查询都请在和我的单聊里发送。")
HURRIED_REPLY = Reply("未记录：您发得太快了，请过一会儿再发。")
NOT_TEXT_REPLY = Reply("目前只看得懂文字和按钮，请用文字回复。发送「帮助」看看能做什么。")
CONSENTS = frozenset({"确认", "确定", "是", "是的", "好", "好的", "嗯", "可以", "对的", "没问题", "ok", "yes", "y"})
"""What people answer to a question whether they mean it."""
CONSENT_TIME = timedelta(minutes=10)
"""How long such a question stands."""
SAID_IN_GROUPS = frozenset(("帮助",))
"""Commands whose answer concerns nobody, so that others may read it."""
PACE_SECONDS = 60.0
MOST_PACED = 20_000
"""Of how many people the last minute is remembered."""
MAX_REMEMBERED_REFUSALS = 10_000
"""How many refused messages of people who are not bound are known again; far more than platforms retry, seconds apart."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""What no database keeps as text: NUL and half characters."""

Note = Callable[[str, str, float], None]


class PersonalPace:
    """How many messages each person may send in a minute, on whatever channel; copies of a message that was let in are let in again."""

    def __init__(self, a_minute: int) -> None:
        self._most = a_minute
        self._heard: OrderedDict[Address, OrderedDict[str, float]] = OrderedDict()

    def admits(self, sender: Address, message_id: str, now: float) -> bool:
        """`now` in seconds, of any clock that only goes forward."""
        heard = self._heard.get(sender)
        if heard is None:
            heard = self._heard[sender] = OrderedDict()
            if len(self._heard) > MOST_PACED:
                self._heard.popitem(last=False)
        self._heard.move_to_end(sender)
        while heard and next(iter(heard.values())) <= now - PACE_SECONDS:
            heard.popitem(last=False)
        if message_id not in heard:
            if len(heard) >= self._most:
                return False
            heard[message_id] = now
        return True


class Dispatcher:
    """Hands each message to its command inside one transaction, and keeps the reply with the message.

    The reply of a refused message is kept with it as well, and nothing else of it, so that the same message is refused in the same words by
    every replica and after a restart, and is not taken for the answer to a question that was put in the meantime (decision 0008). Of somebody
    who is not bound there is no row to keep it in: it is remembered in memory. `pages` is where our own pages stand, once somebody has said so.
    """

    def __init__(
        self, database: Database, catalog: Callable[[], Catalog], *, rng: random.Random | None = None, note: Note | None = None, a_minute: int = 0
    ) -> None:
        """`a_minute` bounds what one person may send (0: no bound)."""
        self.database = database
        self.catalog = catalog
        self.rng = rng or random.SystemRandom()
        self.note = note or (lambda what, channel, value: None)
        self.pages = ""
        self._pace = PersonalPace(a_minute) if a_minute else None
        self._refused: OrderedDict[tuple[Address, str], Reply] = OrderedDict()

    def handle(self, incoming: Incoming) -> asyncio.Future[Reply]:
        """The reply, already committed; a message heard before gets the reply it got then. Never raises for what a message says.

        A future and no coroutine, so that whoever waits for many of them needs no task for each.
        """
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Reply] = loop.create_future()
        started = time.perf_counter()
        if (known_reply := self._refused.get((incoming.sender, incoming.message_id))) is not None:
            reply.set_result(known_reply)
            return reply
        if self._pace is not None and not self._pace.admits(incoming.sender, incoming.message_id, loop.time()):
            self.note("hurried", incoming.sender.channel, 1)
            reply.set_result(HURRIED_REPLY)
            return reply
        if _UNSTORABLE.search(incoming.text):
            incoming = replace(incoming, text=_UNSTORABLE.sub("", incoming.text))
        named = registry.find(incoming.text) if incoming.kind in ("text", "voice", "tap") and not incoming.task else None
        if incoming.in_group and (named is None or named.command.name not in SAID_IN_GROUPS):
            self.note("refusal", incoming.sender.channel, 1)
            reply.set_result(IN_GROUP_REPLY)
            return reply
        decided: asyncio.Future[Reply]
        if named is not None and named.command.read_only:
            decided = loop.create_task(self._look_up(incoming))
        else:
            together = self._answer_together if named is None and _may_be_answer(incoming) else None
            work = partial(self._attend, incoming=incoming)
            keep_refusal = partial(self._keep_refusal, incoming=incoming)
            decided = self.database.submit(work, of=incoming.sender, together=together, item=incoming, on_error=keep_refusal)
        decided.add_done_callback(partial(self._settle, incoming, started, reply))
        return reply

    def _settle(self, incoming: Incoming, started: float, settled: asyncio.Future[Reply], decided: asyncio.Future[Reply]) -> None:
        """What the person is told, once the database has decided."""
        channel = incoming.sender.channel
        if decided.cancelled():
            settled.cancel()
            return
        try:
            reply = decided.result()
            self.note("answered", channel, 1)
        except Refusal as refusal:
            self.note("refusal", channel, 1)
            reply = _refused(refusal)
        except InDoubt as doubt:
            log.error("in doubt", channel=channel, message_id=incoming.message_id, reason=str(doubt))
            self.note("shed", channel, 1)
            reply = IN_DOUBT_REPLY
        except Busy as busy:
            log.warning("shed", channel=channel, reason=str(busy))
            self.note("shed", channel, 1)
            reply = BUSY_REPLY
        except Exception:
            log.exception("message failed", channel=channel, message_id=incoming.message_id)
            self.note("failed", channel, 1)
            reply = BROKEN_REPLY
        self.note("handle_seconds", channel, time.perf_counter() - started)
        if not settled.done():
            settled.set_result(reply)

    def _keep_refusal(self, session: Session, wrong: Exception, incoming: Incoming) -> None:
        """Keep the reply of a refused message; what failed otherwise is not decided, and may be sent again."""
        if not isinstance(wrong, Refusal) or inbox.stored_reply(session, incoming) is not None:
            return
        if wrong.audited is not None:
            actor, action, target, detail = wrong.audited
            audit.record(session, incoming.arrived, actor, incoming.sender.channel, action, target, outcome="refused", detail=detail)
        learner = accounts.find_learner(session, incoming.sender, day_of(incoming.arrived))
        if learner is not None:
            inbox.store_reply(session, incoming, learner.id, _refused(wrong))
            return
        self._refused.setdefault((incoming.sender, incoming.message_id), _refused(wrong))
        if len(self._refused) > MAX_REMEMBERED_REFUSALS:
            self._refused.popitem(last=False)

    def _context(self, session: Session, incoming: Incoming) -> Context:
        learner = accounts.find_learner(session, incoming.sender, day_of(incoming.arrived))
        return Context(session, incoming, self.catalog(), incoming.arrived, self.rng, learner, pages=self.pages)

    def _attend(self, session: Session, incoming: Incoming) -> Reply:
        ctx = self._context(session, incoming)
        if ctx.learner is None:
            return self._meet(ctx)
        if (known_reply := inbox.stored_reply(session, incoming)) is not None:
            return known_reply
        try:
            reply = respond(ctx)
        except Refusal as refusal:
            # What was written is rolled back; `_keep_refusal` writes the line of the audit after that.
            refusal.audited = _refused_power(ctx, refusal)
            raise
        if (refused := ctx.refused_power) is not None:
            audit.record(session, ctx.now, ctx.me.staff_no, incoming.sender.channel, *refused, outcome="refused")
        inbox.store_reply(session, incoming, ctx.learner.id, reply)
        return reply

    def _answer_together(self, session: Session, messages: Sequence[Incoming]) -> list[Reply | None]:
        """Answers of a batch to what is in hand, with one statement a table; None for what has to be attended to by itself."""
        answered = tasks.answer_together(session, self.catalog(), messages)
        replies = [(incoming, *answer) for incoming, answer in zip(messages, answered, strict=True) if answer is not None]
        inbox.store_replies(session, replies)
        return [None if answer is None else answer[1] for answer in answered]

    def _meet(self, ctx: Context) -> Reply:
        """Somebody who is not on the roll, or not bound yet: only binding and the help; nothing is kept but a count."""
        incoming = ctx.incoming
        if incoming.kind == "unfollow":
            return NO_REPLY
        named = registry.find(incoming.text) if incoming.kind in ("text", "voice") else None
        if named is None or named.command.role is not None:
            inbox.count(ctx.session, "stranger", ctx.today)
            return STRANGER_REPLY
        accounts.lock_unbound_account(ctx.session, incoming.sender)
        if (known_reply := inbox.stored_reply(ctx.session, incoming)) is not None:
            return known_reply
        reply = named.command.handler(ctx, named.argument)
        bound = accounts.find_learner(ctx.session, incoming.sender, ctx.today)
        if bound is not None:
            inbox.store_reply(ctx.session, incoming, bound.id, reply)
        return reply

    async def _look_up(self, incoming: Incoming) -> Reply:
        """A command that only reads takes its time on the read connection; the reply (and what the audit is to know) is written after."""

        def read(session: Session) -> tuple[Context, Reply] | None:
            ctx = self._context(session, incoming)
            if ctx.learner is None or inbox.stored_reply(session, incoming) is not None:
                return None
            heard = quiz.hear(ctx)
            if heard is None or not heard.command.read_only or not heard.command.is_for(ctx.learner):
                return None
            try:
                return ctx, heard.command.handler(ctx, heard.argument)
            except Refusal as refusal:
                refusal.audited = _refused_power(ctx, refusal)
                raise

        try:
            outcome = await self.database.read(read)
        except Refusal as refusal:
            await self.database.write(partial(self._keep_refusal, wrong=refusal, incoming=incoming), of=incoming.sender)
            raise
        if outcome is None:
            attend, keep_refusal = partial(self._attend, incoming=incoming), partial(self._keep_refusal, incoming=incoming)
            return await self.database.submit(attend, of=incoming.sender, on_error=keep_refusal)
        ctx, reply = outcome

        def keep(session: Session) -> Reply:
            if (known_reply := inbox.stored_reply(session, incoming)) is not None:
                return known_reply
            inbox.store_reply(session, incoming, ctx.me.id, reply)
            if ctx.refused_power is not None:
                audit.record(session, ctx.now, ctx.me.staff_no, incoming.sender.channel, *ctx.refused_power, outcome="refused")
            if ctx.audit_entry is not None:
                audit.record(session, ctx.now, ctx.me.staff_no, incoming.sender.channel, *ctx.audit_entry)
            return reply

        return await self.database.write(keep, of=incoming.sender)


def _refused(refusal: Refusal) -> Reply:
    return Reply(str(refusal), buttons=refusal.buttons)


def _may_be_answer(incoming: Incoming) -> bool:
    """Whether a message that names no command may answer what is in hand, by `respond`."""
    if incoming.kind not in ("text", "voice", "tap"):
        return False
    return bool(incoming.task) or (bool(incoming.text.strip()) and incoming.text not in CONSENTS and not _is_greeting(incoming.text))


def _refused_power(ctx: Context, refusal: Refusal) -> tuple[str, str, str, str] | None:
    """Actor, action, target and reason, where what was refused is a word of power or a look at others; None for what everybody may try."""
    if ctx.refused_power is not None:
        return (ctx.me.staff_no, *ctx.refused_power, "")
    named = registry.find(ctx.incoming.text)
    if named is None or named[0].role is None or ctx.learner is None:
        return None
    return ctx.me.staff_no, f"命令 {named[0].name}", named[1][:80], str(refusal)[:200]


def _is_greeting(text: str) -> bool:
    return router.normalize(text).rstrip("!。~").lower() in GREETINGS


def _consented_words(ctx: Context) -> str:
    """What 确认 stands for: the button that asked for it under the last reply, where that is lately and asked for one thing. Empty otherwise."""
    if wording.trim(router.normalize(ctx.incoming.text)).lower() not in CONSENTS:
        return ""
    last_reply = inbox.last_reply(ctx.session, ctx.incoming.sender, ctx.now - CONSENT_TIME)
    asked = [button.say for button in last_reply.buttons if CONFIRM[0] in button.say] if last_reply is not None else []
    return asked[0] if len(asked) == 1 else ""


def respond(ctx: Context) -> Reply:
    """What a bound person is told: events are greeted, taps go to their task, words to their command, the rest to the open question."""
    match ctx.incoming.kind:
        case "unfollow" | "enter":
            return NO_REPLY
        case "follow":
            return welcome(ctx)
        case "other":
            return NOT_TEXT_REPLY
    if ctx.incoming.task:
        return quiz.handle_tap(ctx, ctx.incoming.task, ctx.incoming.text)
    if not ctx.incoming.text.strip():
        return NOT_TEXT_REPLY
    if _is_greeting(ctx.incoming.text):
        return welcome(ctx)
    if words := _consented_words(ctx):
        ctx.incoming = replace(ctx.incoming, text=words)
    heard = quiz.hear(ctx)
    if heard is not None and not heard.firm and (opened := lessons.open_by_title(ctx)) is not None:
        return opened
    if heard is not None and heard.command.is_for(ctx.learner):
        return heard.command.handler(ctx, heard.argument)
    if heard is not None:
        log.info("not allowed", command=heard.command.name, person=pseudonym(ctx.incoming.sender))
        ctx.refused_power = (f"命令 {heard.command.name}", heard.argument[:80])
    return quiz.handle_typed(ctx, ctx.incoming.text) or lessons.open_by_title(ctx) or router.unknown_command(ctx, ctx.incoming.text)
