"""The protocols of a channel, and the types of what it is built with (bot/app/channels.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from bot.domain.delivery.outbound_message import OutboundMessage, SendReceipt
from bot.domain.message import Address, IncomingHandler, Reply

if TYPE_CHECKING:
    from aiohttp import web

Clock = Callable[[], datetime]
"""Aware UTC now; the only way a channel learns the time."""

Note = Callable[[str, str, float], None]
"""(event, channel, value): one count or one measurement for /metrics; bot/web/metrics.py declares the names."""


class Channel(Protocol):
    """Receives messages and sends replies. A webhook adds routes, a stream adds a cleanup context, both in `attach`."""

    name: str

    def attach(self, app: web.Application, handle: IncomingHandler) -> None: ...

    async def send(self, to: Address, reply: Reply) -> None:
        """Send a message unprompted; raises `PlatformError` when the platform refuses."""
        ...

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        """Send many messages unprompted: one receipt for each parcel, in the order of the batch. Refusals are receipts; nothing is raised for them.

        Receivers of the same message share a call where the platform allows it (bot/channels/batch_push.py).
        """
        ...


@runtime_checkable
class RecallingChannel(Protocol):
    """A channel whose platform can recall messages."""

    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]:
        """A receipt for each id, in order: `sent` for a recalled message, otherwise what prevented it."""
        ...


class Quota(Protocol):
    """The platform's limits for what was not taken before: late answers, further parts, cards beside an answer. Pushes have taken theirs."""

    def look(self, user: str) -> bool:
        """Whether there is room for an optional message; takes nothing."""
        ...

    async def take(self, user: str, *, calls: int = 1, messages: int = 1, granted: bool = False) -> None:
        """Wait for the rate limit and count the next call; never asks the database. `user` is empty where a call concerns nobody.

        `granted`: the daily and monthly quota was taken before; only the rate limit is waited for.
        """
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A platform's access token and the moment it expires (aware UTC)."""

    value: str
    expires_at: datetime


class TokenStore(Protocol):
    """Tokens shared by all replicas; implemented by bot/storage/system/tokens.py, which encrypts the values."""

    async def read(self, key: str) -> Token | None: ...

    async def lease(self, key: str, holder: str, seconds: float) -> bool:
        """True for the one holder who may fetch now; a lease that is not given back ends after `seconds`."""
        ...

    async def save(self, key: str, holder: str, token: Token) -> None:
        """Store the token and end the lease."""
        ...


def ignore_note(event: str, channel: str, value: float) -> None:
    """A `Note` for tests and tools that count nothing."""
