"""The delivery rule of a campaign, the priority of each kind of content, and the hours in which nobody is disturbed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from bot.domain.people.person import Preference
from bot.domain.times import SHANGHAI

PRIORITY: Mapping[str, int] = {"invitation": 0, "notice": 2, "lesson": 2, "series": 2, "poll": 2, "reminder": 2, "daily": 3, "digest": 4}
"""Live before exam (1) before what is due today before the daily set before review: the lower goes first."""
URGENT_PRIORITY = 1
"""From this rank on down nothing waits for an open task: a contest does not."""
ACTIVE_FOR = timedelta(minutes=10)
"""How long after somebody's last word they are still in the middle of what they have open."""
BUSY_DELAY = timedelta(minutes=5)
"""How long a push that met an open task waits before it looks again."""


@dataclass(frozen=True, slots=True)
class DeliveryRule:
    """A campaign's `delivery`: channels in order where the campaign names them, fallback to the next one, whether quiet hours hold.

    `trial`: a test send to oneself, which comes whatever was done already.
    """

    channels: tuple[str, ...] = ()
    fallback: bool = True
    quiet: bool = True
    trial: bool = False


def delivery_rule_from_json(stored: Mapping[str, Any]) -> DeliveryRule:
    """The rule of a row; what is not said is as usual."""
    return DeliveryRule(
        tuple(stored.get("channels", ())), bool(stored.get("fallback", True)), bool(stored.get("quiet", True)), bool(stored.get("trial", False))
    )


def quiet_hours_end(now: datetime, preference: Preference) -> datetime | None:
    """The end of somebody's quiet hours when `now` lies in them, else None."""
    local = now.astimezone(SHANGHAI)
    if not preference.is_quiet(local.strftime("%H:%M")):
        return None
    ends = time.fromisoformat(preference.quiet[1])
    return datetime.combine(local.date() + timedelta(days=1 if local.time() >= ends else 0), ends, SHANGHAI)


def chosen_hour(now: datetime, push_at: str) -> datetime | None:
    """The hour of today that a person chose, while it is still to come."""
    local = now.astimezone(SHANGHAI)
    chosen = datetime.combine(local.date(), time.fromisoformat(push_at), SHANGHAI)
    return chosen if local < chosen else None
