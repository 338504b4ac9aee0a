"""Batched pushes: receivers of the same message share a call, and each gets a receipt of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import TypeVar

from bot.channels.outbound.errors import Kind, PlatformError
from bot.domain.message import OutboundMessage, SendReceipt

T = TypeVar("T")

RETRY_SECONDS: dict[Kind, float] = {"rate": 60.0, "quota": 3600.0, "transient": 30.0, "token": 60.0, "config": 600.0, "permission": 600.0}
"""Kinds of error after which nobody got the message and it may be sent again, in so many seconds where the platform does not say."""

CONCURRENT_CALLS = 8
"""Calls at a time: enough to hide a platform's latency, few enough for WeCom's limit on concurrency (45033)."""
STOPPING_KINDS: frozenset[Kind] = frozenset(("token", "config", "permission"))
"""The fault is ours or of our settings, and would fail the next parcel too."""


def sent_receipt(platform_id: str = "") -> SendReceipt:
    return SendReceipt("sent", platform_id=platform_id)


def failed_receipt(error: str) -> SendReceipt:
    return SendReceipt("failed", error=error)


def error_receipt(wrong: PlatformError) -> SendReceipt:
    """The receipt of everybody in a call that was refused as a whole."""
    if wrong.kind == "unknown":
        return SendReceipt("unknown", error=str(wrong))
    if wrong.kind in RETRY_SECONDS:
        return SendReceipt("later", error=str(wrong), retry_after=wrong.retry_after or RETRY_SECONDS[wrong.kind], stop=wrong.kind in STOPPING_KINDS)
    return failed_receipt(str(wrong))


def halts_batch(receipt: SendReceipt) -> bool:
    """True when the refusal concerns the whole app and not this receiver."""
    return receipt.outcome == "later" and (receipt.stop or receipt.error.startswith(("rate ", "quota ")))


def group_places(batch: Sequence[OutboundMessage], key: Callable[[OutboundMessage], Hashable], limit: int) -> Iterator[list[int]]:
    """Places in the batch with the same `key`, in groups of at most `limit` and with nobody twice in a group; in the order of the batch."""
    groups: dict[Hashable, list[int]] = {}
    for place, parcel in enumerate(batch):
        groups.setdefault(key(parcel), []).append(place)
    for places in groups.values():
        yield from _split_places(places, batch, limit)


SendGroup = Callable[[list[OutboundMessage]], Awaitable[Sequence[SendReceipt]]]
"""Sends one group of parcels with the same content; returns a receipt for each and raises nothing."""


async def push_in_groups(
    batch: Sequence[OutboundMessage], key: Callable[[OutboundMessage], Hashable], limit: int, send_group: SendGroup, at_once: int = CONCURRENT_CALLS
) -> list[SendReceipt]:
    """`Channel.push` by groups, `at_once` of them at a time; receipts in the order of the batch.

    Once a receipt halts the batch, groups that have not begun get the same receipt without a call.
    """
    semaphore = asyncio.Semaphore(at_once)
    receipts: dict[int, SendReceipt] = {}
    halted: SendReceipt | None = None

    async def send_places(places: list[int]) -> None:
        nonlocal halted
        async with semaphore:
            group = [halted for _ in places] if halted is not None else await send_group([batch[place] for place in places])
            receipts.update(zip(places, group, strict=True))
            halted = halted or (group[0] if all(halts_batch(receipt) for receipt in group) else None)

    await asyncio.gather(*(send_places(places) for places in group_places(batch, key, limit)))
    return [receipts[place] for place in range(len(batch))]


def _split_places(places: list[int], batch: Sequence[OutboundMessage], limit: int) -> Iterator[list[int]]:
    while places:
        place_by_user: dict[str, int] = {}
        for place in places:
            if len(place_by_user) < limit:
                place_by_user.setdefault(batch[place].to.user.lower(), place)
        yield list(place_by_user.values())
        chosen_places = set(place_by_user.values())
        places = [place for place in places if place not in chosen_places]


def batch_serial(marks: Iterable[str]) -> str:
    """An idempotency key of a call, the same when the same parcels are sent again together."""
    return sha256("\n".join(sorted(marks)).encode()).hexdigest()[:24]


def parse_ids(listed: object, separator: str = "|") -> frozenset[str]:
    """Ids in an answer, from a text or a list; in lower case, as the platforms return them (bot/docs/protocols.md#wecom-send)."""
    ids = listed.split(separator) if isinstance(listed, str) else [str(identifier) for identifier in listed] if isinstance(listed, list) else []
    return frozenset(identifier.strip().lower() for identifier in ids if identifier.strip())


async def recall_each(platform_ids: Sequence[str], recall: Callable[[str], Awaitable[None]]) -> list[SendReceipt]:
    """`RecallingChannel.recall` for a platform that recalls one message a call; `recall` raises `PlatformError`."""
    receipts: list[SendReceipt] = []
    for platform_id in platform_ids:
        try:
            if not platform_id:
                raise PlatformError("content", "no-id", "nothing is known that could be taken back")
            await recall(platform_id)
        except PlatformError as wrong:
            receipts.append(error_receipt(wrong))
        else:
            receipts.append(sent_receipt(platform_id))
    return receipts
