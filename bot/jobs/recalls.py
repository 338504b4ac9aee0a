"""What was recalled after it went out is taken back by the channels that can, and said of those that cannot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlmodel import Session

from bot.domain.parcel import Receipt
from bot.jobs.sender import Sender, TakesBack
from bot.services import delivery
from bot.storage import outcomes

log = structlog.get_logger(__name__)

Write = Callable[[Callable[[Session], Any]], Awaitable[Any]]


async def take_back(senders: Mapping[str, Sender], write: Write, now: datetime) -> None:
    """Whatever went out in occurrences that are void by now; each delivery is asked for once, by one replica."""
    back: list[tuple[int, str, str]] = await write(lambda session: outcomes.take_back(session, now))
    for channel in sorted({one[1] for one in back}):
        ids = {ident: platform_id for ident, on, platform_id in back if on == channel}
        receipts = await _asked(senders.get(channel), channel, ids)
        counted = await write(lambda session, came=receipts: delivery.recalled(session, came))  # type: ignore[misc]
        log.info("recalled", channel=channel, asked=len(ids), outcomes=dict(counted))


async def _asked(sender: Sender | None, channel: str, ids: Mapping[int, str]) -> dict[int, Receipt]:
    """Once for each call that went out: many deliveries may share its id."""
    wanted = sorted({platform_id for platform_id in ids.values() if platform_id})
    came: dict[str, Receipt] = {}
    if isinstance(sender, TakesBack) and wanted:
        try:
            came = dict(zip(wanted, await sender.recall(wanted), strict=True))
        except Exception as wrong:
            log.exception("recall failed", channel=channel, count=len(wanted))
            came = dict.fromkeys(wanted, Receipt("unknown", type(wrong).__name__))
    return {ident: came.get(platform_id, Receipt("failed", delivery.NO_RECALL)) for ident, platform_id in ids.items()}
