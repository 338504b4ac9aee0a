"""What a rhythm is: when a campaign falls due, as a value and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time
from typing import Any, Literal

from bot.domain.calendar import OnHoliday
from bot.domain.times import SHANGHAI

Kind = Literal[
    "once", "workdays", "weekly", "monthly_day", "monthly_last_workday", "monthly_nth_weekday", "quarterly", "yearly_date", "law_day", "series"
]
KINDS: tuple[Kind, ...] = (
    "once", "workdays", "weekly", "monthly_day", "monthly_last_workday", "monthly_nth_weekday", "quarterly", "yearly_date", "law_day", "series",
)  # fmt: skip

LAW_DAYS: Mapping[str, tuple[int, int]] = {
    "消费者权益日": (3, 15),
    "国家安全教育日": (4, 15),
    "知识产权日": (4, 26),
    "建党纪念日": (7, 1),
    "世界标准日": (10, 14),
    "消防宣传日": (11, 9),
    "交通安全日": (12, 2),
    "国家宪法日": (12, 4),
}
"""Days of the year that law education is tied to, by month and day."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When something falls due.

    `time` is HH:MM in Asia/Shanghai. `weekdays` count from Monday = 0; `day` is a day of the month (the last one where a month is shorter);
    `nth` is 1 to 5, or -1 for the last; `month` is 1 to 12, in a quarter 1 to 3. `on_holiday` says what becomes of a day that is not worked.
    `first` and `last` bound the days, both included; `skip_dates` are left out whether they name the day itself or the day it was moved to.
    A series goes by the rhythm named in `each`, one part at a time. Raises ValueError for what makes no sense.
    """

    kind: Kind
    time: str = "09:00"
    weekdays: tuple[int, ...] = ()
    day: int = 0
    nth: int = 0
    month: int = 0
    on: date | None = None
    law_day: str = ""
    on_holiday: OnHoliday = "skip"
    skip_dates: tuple[date, ...] = ()
    first: date | None = None
    last: date | None = None
    each: Kind | Literal[""] = ""

    def __post_init__(self) -> None:
        time.fromisoformat(self.time)
        if len(self.time) != 5 or self.kind not in KINDS or self.on_holiday not in ("skip", "before", "after", "keep"):
            raise ValueError(f"not a rhythm: {self.kind} {self.time} {self.on_holiday}")
        kind = self.each if self.kind == "series" else self.kind
        if (self.each and self.kind != "series") or kind not in KINDS or kind == "series" or not _SOUND.get(kind, _always)(self):
            raise ValueError(f"not a rhythm: {self}")


def _always(_: Rhythm) -> bool:
    return True


_SOUND: Mapping[str, Callable[[Rhythm], bool]] = {
    "once": lambda r: r.on is not None,
    "weekly": lambda r: bool(r.weekdays) and all(0 <= one <= 6 for one in r.weekdays),
    "monthly_day": lambda r: 1 <= r.day <= 31,
    "monthly_nth_weekday": lambda r: (1 <= r.nth <= 5 or r.nth == -1) and len(r.weekdays) == 1 and 0 <= r.weekdays[0] <= 6,
    "quarterly": lambda r: 1 <= r.month <= 3 and 1 <= r.day <= 31,
    "yearly_date": lambda r: 1 <= r.month <= 12 and 1 <= r.day <= 31,
    "law_day": lambda r: r.law_day in LAW_DAYS,
}


def to_json(rhythm: Rhythm) -> dict[str, Any]:
    """Only what was said; `from_json` gives an equal rhythm."""
    plain = Rhythm("workdays")
    found: dict[str, Any] = {"kind": rhythm.kind, "time": rhythm.time}
    for key, value in asdict(rhythm).items():
        if key not in found and value != getattr(plain, key):
            found[key] = [_text(one) for one in value] if isinstance(value, tuple) else _text(value)
    return found


def from_json(kept: Mapping[str, Any]) -> Rhythm:
    """The rhythm of a row. Raises ValueError or TypeError for what is none."""
    given = dict(kept)
    for key in ("on", "first", "last"):
        if given.get(key) is not None:
            given[key] = date.fromisoformat(given[key])
    given["skip_dates"] = tuple(date.fromisoformat(one) for one in given.get("skip_dates", ()))
    given["weekdays"] = tuple(given.get("weekdays", ()))
    return Rhythm(**given)


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def without(rhythm: Rhythm, day: date) -> Rhythm:
    """The rhythm with one more day left out."""
    return replace(rhythm, skip_dates=tuple(sorted({*rhythm.skip_dates, day})))


def unrolled(rhythm: Rhythm) -> Rhythm:
    """A series' rhythm as that of something that is not told in parts."""
    return replace(rhythm, kind=rhythm.each or rhythm.kind, each="")


def at_once(now: datetime) -> Rhythm:
    """Once, in the minute that `now` lies in, whatever the calendar says of the day."""
    local = now.astimezone(SHANGHAI)
    return Rhythm("once", time=local.strftime("%H:%M"), on=local.date(), on_holiday="keep")
