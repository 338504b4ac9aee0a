"""Packs for law days, as their files say them: what an agency sends around a day of the year (bot/docs/rules.md A25)."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.calendar import OnHoliday


@dataclass(frozen=True, slots=True)
class PackItem:
    """One message of a pack, `day` working days after its law day (before it when negative), at HH:MM.

    What it sends is said in plain values; bot/domain/campaign/pack.py makes the content of a campaign of them.
    """

    name: str
    day: int
    time: str
    kind: str
    text: str = ""
    options: tuple[str, ...] = ()
    receipt: bool = False
    lesson: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class LawDayPack:
    """Everything for one law day; `on_holiday` says where the day itself goes when nobody works on it."""

    name: str
    law_day: str
    on_holiday: OnHoliday
    about: str
    clause: str
    items: tuple[PackItem, ...]
