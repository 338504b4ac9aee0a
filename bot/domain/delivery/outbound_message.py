"""A message that is pushed to one person through a channel, and the receipt that says what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.domain.message import Address, Reply

Outcome = Literal["sent", "failed", "unknown", "later"]
"""sent: the platform took it. failed: this one will never arrive. unknown: it may have arrived, nobody sends it again. later: surely not sent."""


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A reply for one person. `mark` names the delivery; the same mark is the same message, however often it is tried."""

    to: Address
    reply: Reply
    mark: str


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """What became of a message. `error` is the platform's word, scrubbed; `retry_after` in seconds, for `later`.

    `stop` asks that nothing more goes out on this channel until `retry_after` is over, and that somebody is told: the token, a right or the
    configuration is at fault, and every further message would fail like it.
    """

    outcome: Outcome
    error: str = ""
    platform_id: str = ""
    retry_after: float | None = None
    stop: bool = False
