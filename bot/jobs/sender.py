"""As much of a channel as the jobs need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from bot.domain.parcel import Parcel, Receipt


class Sender(Protocol):
    name: str

    async def push(self, batch: Sequence[Parcel]) -> Sequence[Receipt]: ...


@runtime_checkable
class TakesBack(Protocol):
    async def recall(self, platform_ids: Sequence[str]) -> Sequence[Receipt]: ...
