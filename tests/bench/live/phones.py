"""The phones: each joins, waits for its card, taps it, in copies as the platform makes them; one in ten drops the line and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field

from bot.channels.render import encode_key
from tests.bench.live.hall import WeCom, user_of
from tests.bench.load import opened, posted, tap, text
from tests.support.platforms.envelopes import Sealer

DROPPING = 10
"""One in so many."""
SPREAD = 5.0
"""Seconds over which thousands tap once they have read."""
TRIES = 8
LATER = (0.02, 0.3)
"""Seconds after which a copy follows: sooner than the platform's five, so that copies meet each other on the way."""


@dataclass(slots=True)
class Line:
    """One kept connection to a replica."""

    port: int
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def post(self, request: bytes) -> bytes:
        """The whole answer to a request; a line that the service has let go of meanwhile is opened again, as the platform does."""
        for fresh in (False, True):
            if fresh or self.writer is None or self.writer.is_closing():
                await self.close()
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            assert self.reader is not None
            try:
                self.writer.write(request)
                head = await self.reader.readuntil(b"\r\n\r\n")
                length_start = head.index(b"Content-Length: ") + 16
                return head + await self.reader.readexactly(int(head[length_start : head.index(b"\r\n", length_start)]))
            except (asyncio.IncompleteReadError, ConnectionError):
                await self.close()
        raise ConnectionError("the service does not answer")

    async def drop(self, request: bytes) -> None:
        """Send, and be gone before an answer can come."""
        if self.writer is None or self.writer.is_closing():
            await self.close()
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(request)
        await self.writer.drain()
        await self.close()

    async def close(self) -> None:
        if self.writer is not None:
            writer, self.writer = self.writer, None
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@dataclass(slots=True)
class Phone:
    """One person's phone. `promised` are the questions for which it has read 已记录; `slowest` the longest it waited
    for a reply; `shed` how often it was told 系统繁忙, `late` how often the reply came as a message of its own."""

    number: int
    lines: list[Line]
    sealer: Sealer
    rng: random.Random
    spread: float = SPREAD
    ids: int = 0
    promised: set[int] = field(default_factory=set)
    slowest: float = 0.0
    shed: int = 0
    late: int = 0
    oddities: list[str] = field(default_factory=list)

    @property
    def user(self) -> str:
        return user_of(self.number)

    @property
    def home(self) -> Line:
        return self.lines[self.number % len(self.lines)]

    def _sealed(self, inner: str) -> bytes:
        self.ids += 1
        return posted(self.sealer, inner, f"{self.number:06d}{self.ids:04d}")

    async def say(self, words: str) -> str:
        inner = text(self.user, words, f"{self.number:06d}{self.ids + 1:04d}")
        return opened(self.sealer, await self._timed(self.home, self._sealed(inner)))

    async def _timed(self, line: Line, request: bytes) -> bytes:
        sent = time.perf_counter()
        answer = await line.post(request)
        self.slowest = max(self.slowest, time.perf_counter() - sent)
        return answer

    async def join(self, code: str) -> None:
        said = await self.say(f"竞赛 {code}")
        if "已进入" not in said:
            raise RuntimeError(f"{self.user}: {said[:200]}")

    async def answer(self, platform: WeCom, contest: int, n: int, choice: str) -> None:
        """Tap the card of a question some time after it came, and again where one is told that nothing was recorded."""
        await asyncio.sleep(self.rng.uniform(0.1, max(0.2, self.spread)))
        card = platform.cards[f"{n}:{self.user}"]["task_id"]
        if self.number % DROPPING == 0:
            # The line goes in the middle of a tap: come back and ask where one is, as a person does who does not know.
            await self.home.drop(self._sealed(self._tap(card, contest, n, choice)))
            await asyncio.sleep(self.rng.uniform(1.0, 2.0))
            await self.say("继续")
        for _ in range(TRIES):
            said = await self._told(platform, n, await self._tapped(self._tap(card, contest, n, choice)))
            if f"已记录：第 {n} 题" in said or f"第 {n} 题您已经答过（{choice}）" in said:
                self.promised.add(n)
                return
            if "系统繁忙" not in said:
                break
            self.shed += 1
            await asyncio.sleep(self.rng.uniform(1.0, 2.0))
        self.oddities.append(said[:200])

    def _tap(self, card: str, contest: int, n: int, choice: str) -> str:
        return tap(self.user, card, encode_key(f"l{contest}.{n}", choice), int(time.time()))

    async def _tapped(self, inner: str) -> str:
        """What comes back to a tap and its copies: all say the same, or nothing where the reply will come later."""
        copies = [self._copy(inner, at) for at in range(1, self.rng.randint(1, 4))]
        first, *rest = await asyncio.gather(self._timed(self.home, self._sealed(inner)), *copies)
        said = [opened(self.sealer, one) for one in (first, *rest)]
        return next((one for one in said if "已记录" in one), said[0])

    async def _copy(self, inner: str, at: int) -> bytes:
        """The same event again, sealed anew, perhaps to the other replica."""
        await asyncio.sleep(self.rng.uniform(*LATER) * at)
        line = Line(self.rng.choice(self.lines).port)
        try:
            return await line.post(self._sealed(inner))
        finally:
            await line.close()

    async def _told(self, platform: WeCom, n: int, said: str) -> str:
        """The reply, also where it missed the platform's deadline and is sent actively."""
        if said != "success":
            return said
        self.late += 1
        # What is said of an earlier question may still be on its way.
        while f"第 {n} 题" not in (said := await platform.told(self.user)) and "系统繁忙" not in said:
            continue
        return said

    async def close(self) -> None:
        for line in self.lines:
            await line.close()
