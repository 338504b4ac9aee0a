"""What every channel is, and what each is handed by app.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from aiohttp import web

from bot.domain.delivery.parcel import OutboundMessage, SendReceipt
from bot.domain.message import Address, Handle, Reply

Clock = Callable[[], datetime]
"""Aware UTC now; the only way a channel learns the time."""

Note = Callable[[str, str, float], None]
"""(what happened, channel, value): one count or one measurement for /metrics; see `web/metrics.py` for the names."""


class Channel(Protocol):
    """Hears and says. A webhook adds routes, a stream adds a cleanup context; both in `attach`."""

    name: str

    def attach(self, app: web.Application, handle: Handle) -> None: ...

    async def send(self, to: Address, reply: Reply) -> None:
        """Say something unasked; raises `outbound.PlatformError` when the platform refuses."""
        ...

    async def push(self, batch: Sequence[OutboundMessage]) -> Sequence[SendReceipt]:
        """Say many things unasked: one receipt for each parcel, in the order of the batch. Refusals are receipts; nothing is raised for them.

        Who gets the same thing goes into one call where the platform joins people; `batches` holds what the channels share for it.
        """
        ...


@runtime_checkable
class RecallingChannel(Protocol):
    """A channel whose platform can take back what was sent."""

    async def recall(self, platform_ids: Sequence[str]) -> Sequence[SendReceipt]:
        """`sent` for each that was taken back, otherwise what stood in the way; in the order asked."""
        ...


class Spending(Protocol):
    """What is said without having been reserved: late answers, further pieces, cards beside an answer. What is pushed was reserved before."""

    def may(self, user: str) -> bool:
        """Whether there is room for something that could as well be left out; looks and does not count."""
        ...

    async def spend(self, user: str, *, calls: int = 1, messages: int = 1, granted: bool = False) -> None:
        """Count what is said next, once its turn has come; never asks the database. `user` is empty where a call concerns nobody.

        `granted`: the day's and the month's share of it was taken before, only its turn is waited for.
        """
        ...


class _UncountedSpending:
    """For tests and tools that count nothing."""

    def may(self, user: str) -> bool:
        return True

    async def spend(self, user: str, *, calls: int = 1, messages: int = 1, granted: bool = False) -> None:
        return None


FREE: Spending = _UncountedSpending()


@dataclass(frozen=True, slots=True)
class Token:
    """A platform's access token and the moment it dies (aware UTC)."""

    value: str
    expires_at: datetime


class TokenStore(Protocol):
    """One row shared by all replicas; the value is encrypted at rest by the storage that implements this."""

    async def read(self, key: str) -> Token | None: ...

    async def lease(self, key: str, holder: str, seconds: float) -> bool:
        """True for the one who may fetch now; a lease that is not given back ends by itself."""
        ...

    async def save(self, key: str, holder: str, token: Token) -> None:
        """Keep the token and end the lease."""
        ...


def ignore_note(event: str, channel: str, value: float) -> None:
    """A `Note` for tests and tools that count nothing."""
