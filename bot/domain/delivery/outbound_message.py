"""A message that is pushed to one person through a channel, and the receipt that says what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeVar

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


@dataclass(frozen=True, slots=True)
class ReadyMessage:
    """A message that may be sent now, to somebody who last spoke on that channel at `last_heard`.

    `beyond_window`: the channel reaches people who have not spoken lately.
    """

    message: OutboundMessage
    last_heard: datetime | None
    beyond_window: bool


M = TypeVar("M", bound=ReadyMessage)


@dataclass(frozen=True, slots=True)
class MessageGroup(Generic[M]):
    """What goes into one call: the same reply on one channel."""

    channel: str
    ready: tuple[M, ...]


def group_messages(ready: Iterable[M], sizes: Mapping[str, int]) -> dict[str, list[MessageGroup[M]]]:
    """By channel, in the order given; each group at most what the channel takes in one call (`sizes`)."""
    by_reply: dict[tuple[str, Reply], list[M]] = {}
    for each in ready:
        by_reply.setdefault((each.message.to.channel, each.message.reply), []).append(each)
    by_channel: dict[str, list[MessageGroup[M]]] = {}
    for (channel, _), same_reply in by_reply.items():
        size = sizes.get(channel, 1)
        by_channel.setdefault(channel, []).extend(
            MessageGroup(channel, tuple(same_reply[start : start + size])) for start in range(0, len(same_reply), size)
        )
    return by_channel
