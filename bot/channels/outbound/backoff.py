"""Pauses calls to a platform after a limit, and after several refusals of the same kind (bot/docs/reliability.md O3, O4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bot.channels.base import Clock
from bot.channels.outbound.errors import Kind, PlatformError

ZONE: Final = ZoneInfo("Asia/Shanghai")
REFUSALS_HEARD: dict[Kind, int] = {"transient": 5, "unknown": 5, "permission": 3, "config": 3, "token": 3}
"""How many refusals of one kind in a row lead to a pause. Limits pause at once; refusals of one person or one text never do."""
FIRST_PAUSE: dict[Kind, float] = {"transient": 2.0, "unknown": 2.0, "permission": 60.0, "config": 60.0, "token": 60.0}
LONGEST_PAUSE: dict[Kind, float] = {"transient": 60.0, "unknown": 60.0, "permission": 600.0, "config": 600.0, "token": 600.0}
LIMIT_PAUSES = (60.0, 3600.0)
"""A limit that persists after its minute is taken for the hourly one, and after the hour for the daily one (bot/docs/protocols.md#wecom-limits)."""


@dataclass(slots=True)
class _Pause:
    kind: Kind | None = None
    count: int = 0
    until: datetime | None = None
    error: PlatformError | None = None


class Pauses:
    """The pauses of each (token, path)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pauses: dict[tuple[str, str], _Pause] = {}

    def check(self, key: str, path: str) -> None:
        """Raise the error that caused the pause, with the remaining seconds, while it lasts."""
        pause = self._pauses.get((key, path))
        if pause is None or pause.until is None or pause.error is None:
            return
        seconds = (pause.until - self._clock()).total_seconds()
        if seconds > 0:
            # A call that is not sent is certainly not done, even if the pause began with an unknown outcome.
            kind: Kind = "transient" if pause.error.kind == "unknown" else pause.error.kind
            raise PlatformError(kind, pause.error.code, "paused: " + pause.error.message, retry_after=seconds)

    def record(self, key: str, path: str, error: PlatformError | None) -> None:
        """Record the result of a call; `error.retry_after` is set to the pause if one begins."""
        pause = self._pauses.setdefault((key, path), _Pause())
        if error is None or error.kind in ("recipient", "content", "window"):
            # A call that was running when the limit was reached does not end the pause.
            if pause.until is None or pause.until <= self._clock():
                pause.kind, pause.count, pause.until, pause.error = None, 0, None, None
            return
        pause.count = pause.count + 1 if pause.kind == error.kind else 1
        pause.kind = error.kind
        seconds = self._pause(pause.count, error)
        if seconds is not None:
            error.retry_after = seconds
            pause.until = self._clock() + timedelta(seconds=seconds)
            pause.error = error

    def _pause(self, count: int, error: PlatformError) -> float | None:
        """Seconds of the pause, or None for none."""
        if error.kind == "quota":
            return self._until_tomorrow()
        if error.kind == "rate":
            seconds = error.retry_after or LIMIT_PAUSES[0]
            if seconds < LIMIT_PAUSES[0] or count == 1:
                return seconds
            return max(seconds, LIMIT_PAUSES[1]) if count == 2 else self._until_tomorrow()
        if count < REFUSALS_HEARD[error.kind]:
            return None
        return min(FIRST_PAUSE[error.kind] * 2.0 ** min(count - REFUSALS_HEARD[error.kind], 10), LONGEST_PAUSE[error.kind])

    def _until_tomorrow(self) -> float:
        now = self._clock().astimezone(ZONE)
        tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=5, second=0, microsecond=0)
        return (tomorrow - now).total_seconds()
