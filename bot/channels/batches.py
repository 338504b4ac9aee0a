"""Pushing in batches: who gets the same thing goes into one call, and what came back is told for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import TypeVar

from bot.channels.base import Parcel, Receipt
from bot.channels.outbound import Kind, PlatformError

T = TypeVar("T")

LATER: dict[Kind, float] = {"rate": 60.0, "quota": 3600.0, "transient": 30.0, "token": 60.0, "config": 600.0, "permission": 600.0}
"""Nobody got it and it may go another time, in so many seconds where the platform does not say."""

STOP: frozenset[Kind] = frozenset(("token", "config", "permission"))
"""The fault is ours or our setup's, and would be the next parcel's too."""


def sent(platform_id: str = "") -> Receipt:
    return Receipt("sent", platform_id=platform_id)


def failed(error: str) -> Receipt:
    return Receipt("failed", error=error)


def receipt_of(wrong: PlatformError) -> Receipt:
    """What a refusal of the whole call means for each who was in it."""
    if wrong.kind == "unknown":
        return Receipt("unknown", error=str(wrong))
    if wrong.kind in LATER:
        return Receipt("later", error=str(wrong), retry_after=wrong.retry_after or LATER[wrong.kind], stop=wrong.kind in STOP)
    return failed(str(wrong))


def grouped(batch: Sequence[Parcel], what: Callable[[Parcel], Hashable], most: int) -> Iterator[list[int]]:
    """Places in the batch that get the same, at most so many at a time and nobody twice in one; in the order of the batch."""
    groups: dict[Hashable, list[int]] = {}
    for place, parcel in enumerate(batch):
        groups.setdefault(what(parcel), []).append(place)
    for places in groups.values():
        yield from _once_each(places, batch, most)


def _once_each(places: list[int], batch: Sequence[Parcel], most: int) -> Iterator[list[int]]:
    while places:
        taken: dict[str, int] = {}
        for place in places:
            if len(taken) < most:
                taken.setdefault(batch[place].to.user.lower(), place)
        yield list(taken.values())
        chosen = set(taken.values())
        places = [place for place in places if place not in chosen]


def serial_of(marks: Iterable[str]) -> str:
    """One short word for a call, the same when the same people's parcels are tried again together."""
    return sha256("\n".join(sorted(marks)).encode()).hexdigest()[:24]


def ids_in(listed: object, separator: str = "|") -> frozenset[str]:
    """Ids that an answer names, in one text or in a list; in lower case, since the platforms return them so (protocols.md B4)."""
    found = listed.split(separator) if isinstance(listed, str) else [str(one) for one in listed] if isinstance(listed, list) else []
    return frozenset(one.strip().lower() for one in found if one.strip())


async def taken_back(platform_ids: Sequence[str], take: Callable[[str], Awaitable[None]]) -> list[Receipt]:
    """`Recalls.recall` for a platform that takes back one call at a time; `take` raises `PlatformError`."""
    found: list[Receipt] = []
    for one in platform_ids:
        try:
            if not one:
                raise PlatformError("content", "no-id", "nothing is known that could be taken back")
            await take(one)
        except PlatformError as wrong:
            found.append(receipt_of(wrong))
        else:
            found.append(sent(one))
    return found
