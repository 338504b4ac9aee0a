"""Answers messages and card taps, for the Stream and the HTTP mode alike: once for each message, taps within two seconds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any, Literal

from bot.channels.base import Clock, Note
from bot.channels.dingtalk import cards
from bot.channels.dingtalk.incoming import NAME, CardTap, RobotMessage
from bot.channels.dingtalk.reply import ReplySender
from bot.channels.outbound.errors import PlatformError
from bot.domain.message import Address, Incoming, IncomingHandler, Reply
from bot.logs import get_logger

log = get_logger(__name__)

TAP_SECONDS = 1.5
"""The platform waits 2 s for the answer to a tap."""
DRAIN_SECONDS = 8.0
REMEMBERED = 10_000
SUBMIT_LABEL = "提交"

Way = Literal["passive", "active"]


class AnswerFlow:
    """Hands checked messages to the dispatcher and sends the replies; holds every task that outlives its connection."""

    def __init__(self, *, handle: IncomingHandler, sender: ReplySender, app: str, clock: Clock, note: Note) -> None:
        self._handle = handle
        self._sender = sender
        self._app = app
        self._clock = clock
        self._note = note
        self._choices = cards.Choices()
        self._answered: OrderedDict[tuple[str, str], Way] = OrderedDict()
        self._tasks: set[asyncio.Task[Any]] = set()

    def decide(self, incoming: Incoming) -> asyncio.Task[Reply]:
        """The dispatcher's reply in a task of its own, which no connection and no time-out cancels."""
        self._note("heard", NAME, 1)
        loop = asyncio.get_running_loop()
        started = loop.time()
        task = loop.create_task(_decide(self._handle, incoming), name="dingtalk decision")
        task.add_done_callback(lambda _: self._note("reply_seconds", NAME, loop.time() - started))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def answer(self, message: RobotMessage, deciding: asyncio.Task[Reply]) -> None:
        """Send the reply actively when it is ready, unless this process has sent it."""
        await asyncio.wait({deciding})
        self._sender.remember(message)
        reply = reply_of(deciding)
        if reply and self.claim(message.incoming, "active") is None:
            await self._send(self._sender.answer(message, reply), message.incoming)

    def late(self, message: RobotMessage, deciding: asyncio.Task[Reply]) -> None:
        """The platform's deadline has passed: send the reply actively, and leave a later copy of the message unanswered."""
        self._note("late", NAME, 1)
        if self.claim(message.incoming, "active") is None:
            self.spawn(self._answer_late(message, deciding))

    def passive(self, message: RobotMessage, deciding: asyncio.Task[Reply]) -> dict[str, Any]:
        """The body of the HTTP response; further messages are sent actively. A copy gets the same body, since the first may have been lost."""
        self._sender.remember(message)
        reply = reply_of(deciding)
        messages = self._sender.passive(message, reply) if reply else []
        if not messages:
            return {}
        claimed = self.claim(message.incoming, "passive")
        if claimed == "active":
            return {}
        if claimed is None:
            self.spawn(self._send(self._sender.answer(message, reply, sent=1), message.incoming))
        return messages[0]

    async def answer_tap(self, tap: CardTap, message_id: str) -> dict[str, Any]:
        """The update of the card that answers a tap; empty where nothing changes or a late reply updates the card afterwards."""
        track = cards.read_track(tap.track)
        if track is None:
            self.refuse("track")
            return {}
        person = tap.staff_id.lower()
        text, task = tap.choice, track.task
        if text.startswith(cards.COMMAND):
            text, task = text.removeprefix(cards.COMMAND), ""
        elif text == cards.SUBMIT:
            text = self._choices.chosen(tap.track, person, tap.chosen)
            if not text:
                return cards.private_update(result=cards.FIRST_CHOICE)
        elif track.several:
            return self._toggle_choice(tap, person)
        incoming = Incoming(Address(NAME, self._app, person), text, message_id, self._clock(), "tap", task)
        deciding = self.decide(incoming)
        await asyncio.wait({deciding}, timeout=TAP_SECONDS)
        command = tap.choice.startswith(cards.COMMAND)
        if not deciding.done():
            self._note("late", NAME, 1)
            self.spawn(self._answer_tap_late(tap, incoming, deciding, command=command))
            return {}
        reply = reply_of(deciding)
        self._send_follow_up(tap, incoming, reply if command else cards.remaining_reply(reply))
        return {} if command or not (reply or reply.done) else cards.private_update(**cards.answered_variables(reply))

    def claim(self, incoming: Incoming, way: Way) -> Way | None:
        """How this process has answered the message already; None for the first caller, who answers it now."""
        key = (incoming.sender.user, incoming.message_id)
        if key in self._answered:
            return self._answered[key]
        self._answered[key] = way
        while len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        return None

    def refuse(self, reason: str) -> None:
        self._note("refused", NAME, 1)
        log.info("callback refused", channel=NAME, reason=reason)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """At the stop: wait for running tasks, at most 8 seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DRAIN_SECONDS
        while self._tasks and (remaining := deadline - loop.time()) > 0:
            await asyncio.wait(tuple(self._tasks), timeout=remaining)
        for task in tuple(self._tasks):
            task.cancel()

    def _toggle_choice(self, tap: CardTap, person: str) -> dict[str, Any]:
        if len(tap.choice) != 1:
            self.refuse("letter")
            return {}
        chosen = self._choices.toggle(tap.track, person, tap.choice, tap.chosen)
        return cards.private_update(chosen=chosen, result=f"已选 {chosen}，点“{SUBMIT_LABEL}”作答。" if chosen else cards.FIRST_CHOICE)

    async def _answer_late(self, message: RobotMessage, deciding: asyncio.Task[Reply]) -> None:
        await asyncio.wait({deciding})
        self._sender.remember(message)
        if reply := reply_of(deciding):
            await self._send(self._sender.answer(message, reply), message.incoming)

    async def _answer_tap_late(self, tap: CardTap, incoming: Incoming, deciding: asyncio.Task[Reply], *, command: bool) -> None:
        await asyncio.wait({deciding})
        reply = reply_of(deciding)
        if not command and (reply or reply.done):
            try:
                await self._sender.update_card(tap.track, tap.staff_id, cards.answered_variables(reply))
            except PlatformError as wrong:
                log.warning("card not updated, message instead", code=wrong.code)
            else:
                reply = cards.remaining_reply(reply)
        self._send_follow_up(tap, incoming, reply)

    def _send_follow_up(self, tap: CardTap, incoming: Incoming, reply: Reply) -> None:
        if (reply or reply.buttons) and self.claim(incoming, "active") is None:
            self.spawn(self._send(self._sender.follow_up(incoming.sender.user, tap.staff_id, reply), incoming))

    async def _send(self, sending: Coroutine[Any, Any, None], incoming: Incoming) -> None:
        try:
            await sending
        except Exception as wrong:
            self._note("send_failed", NAME, 1)
            if not isinstance(wrong, PlatformError):
                log.exception("reply not sent")
                return
            log.warning("reply not sent", kind=wrong.kind, code=wrong.code)
            if wrong.kind != "unknown":
                # Let another copy of the message be answered.
                self._answered.pop((incoming.sender.user, incoming.message_id), None)


def reply_of(deciding: asyncio.Task[Reply]) -> Reply:
    """The reply, or nothing where `handle` itself failed; the failure is logged with its trace."""
    if deciding.cancelled():
        return Reply()
    wrong = deciding.exception()
    if wrong is not None:
        log.error("message failed", error=type(wrong).__name__, exc_info=wrong)
        return Reply()
    return deciding.result()


async def _decide(handle: IncomingHandler, incoming: Incoming) -> Reply:
    return await handle(incoming)
