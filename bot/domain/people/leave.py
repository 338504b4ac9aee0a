"""连续学法: how many working days in a row somebody finished the daily set; duty, leave and one bad day are forgiven (features.md S20)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Absence:
    """Days of leave or secondment, both included; without a last day it goes on."""

    since: date
    until: date | None = None

    def __contains__(self, day: date) -> bool:
        return self.since <= day and (self.until is None or day <= self.until)
