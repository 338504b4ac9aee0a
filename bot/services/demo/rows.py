"""The rows of the demo's past, gathered first and written in bulk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, col, select

from bot.domain.memory import Mistake
from bot.domain.times import day_of
from bot.storage import memory
from bot.storage.tables import Answer, DayTotal, Entry, PageView, Reading, Sitting, SittingItem, YearTotal


@dataclass
class Rows:
    """What is to be written, table by table; sittings and readings are named by what makes them unique until they have their ids."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    sittings: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    readings: list[dict[str, Any]] = field(default_factory=list)
    views: list[tuple[tuple[int, str, datetime], dict[str, Any]]] = field(default_factory=list)
    notebook: dict[tuple[int, str], Mistake] = field(default_factory=dict)
    items: Counter[tuple[int, int, str]] = field(default_factory=Counter)


def keep(session: Session, rows: Rows) -> None:
    """Write everything, in the order of time."""
    rows.entries.sort(key=lambda one: one["recorded_at"])
    rows.sittings.sort(key=lambda one: one["closed_at"])
    rows.answers.sort(key=lambda one: one["recorded_at"])
    rows.readings.sort(key=lambda one: one["closed_at"])
    _insert(session, Sitting, rows.sittings)
    sets = {
        (row[1], row[2]): row[0] for row in session.exec(select(Sitting.id, Sitting.person_id, Sitting.scope).where(col(Sitting.kind) == "daily"))
    }
    for one in rows.answers:
        one["sitting_id"] = sets[one["person_id"], day_of(one["recorded_at"]).isoformat()]
    _insert(
        session,
        SittingItem,
        [{"sitting_id": one["sitting_id"], "n": one["n"], "question": one["question"], "version_id": one["version_id"]} for one in rows.answers],
    )
    _insert(session, Answer, rows.answers)
    for (person_id, _), entry in rows.notebook.items():
        memory.keep(session, person_id, entry)
    _insert(session, Reading, rows.readings)
    ways = {(row[1], row[2], row[3]): row[0] for row in session.exec(select(Reading.id, Reading.person_id, Reading.lesson, Reading.opened_at))}
    _insert(session, PageView, [{"reading_id": ways[way], **view} for way, view in rows.views])
    _insert(session, Entry, rows.entries)
    _keep_totals(session, rows)


def _insert(session: Session, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(insert(table), rows)


def _keep_totals(session: Session, rows: Rows) -> None:
    """The running totals, added up from the very entries."""
    years: Counter[tuple[int, int, str]] = Counter()
    items: Counter[tuple[int, int, str]] = Counter()
    days: Counter[tuple[int, date, str]] = Counter()
    for one in rows.entries:
        key = (one["person_id"], one["day"].year, one["category"])
        years[key] += one["credit_seconds"]
        items[key] += one["source_kind"] == "item"
        days[one["person_id"], one["day"], one["category"]] += one["credit_seconds"]
    _insert(
        session,
        YearTotal,
        [
            {"person_id": who, "year": year, "category": what, "seconds": seconds, "items": items[who, year, what]}
            for (who, year, what), seconds in years.items()
        ],
    )
    _insert(session, DayTotal, [{"person_id": who, "day": day, "category": what, "seconds": seconds} for (who, day, what), seconds in days.items()])
