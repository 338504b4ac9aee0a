"""Report 名单: the people of a unit and the units below it, each with hours by category, quota and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from sqlmodel import Session

from bot.domain.hours.policy import CATEGORY_LABELS, YearQuotas, shown_hours
from bot.domain.reports import Cell, Column, Part, ReportQuery, Row, Scope, Table
from bot.storage.db.query import stream
from bot.storage.reports.scope import (
    QUARTERS_PER_HOUR,
    bind_values,
    hours_of_quarters,
    make_table,
    narrow_scope,
    office_sql,
    quotas_for,
    report,
    seconds_sql,
    units_in,
)

COLUMNS = (
    Column("staff_no", "工号"),
    Column("name", "姓名"),
    Column("unit", "单位"),
    Column("tier", "层级"),
    *(Column(category, label, "hours", phone="never") for category, label in CATEGORY_LABELS.items()),
    Column("total", "合计", "hours"),
    Column("need", "应达", "hours"),
    Column("missing", "差额", "hours"),
    Column("missing_collective", "集体学法差额", "hours", phone="if any"),
    Column("reached", "达标"),
)
_COLLECTIVE_INDEX = list(CATEGORY_LABELS).index("collective")


_ZERO_HOURS = hours_of_quarters(0)


@report("名单", about="单位")
def members(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """一个单位（含下级）的人员名单：各类学时、合计、应达、差额、是否达标。"""
    need = quotas_for(ask)
    scope, scope_name = narrow_scope(session, scope, ask.about)
    rows = MemberRows(session, scope, ask, need)
    terms = ["差额=应达-合计；集体学法差额=集体学法下限-已有集体学法；两项都为 0 即达标。"]
    return make_table(session, ask, "名单", f"学时名单（{scope_name}）", Part("人员", COLUMNS, rows), notes=[f"共 {len(rows)} 人。"], terms=terms)


class MemberRows:
    """The rows, each person once, in the order of the tree and then of the roll; read while they are gone through, inside the transaction."""

    def __init__(self, session: Session, scope: Scope, ask: ReportQuery, need: YearQuotas) -> None:
        self.session, self.scope, self.ask, self.need = session, scope, ask, need
        self.paths = [unit.path for unit in units_in(session, scope).values()]
        self.places = {unit: place for place, unit in enumerate(units_in(session, scope))}
        self.values = bind_values(ask)
        self.office = f"WITH RECURSIVE {office_sql(scope)}"
        (self.size,) = next(stream(session, f"{self.office} SELECT COUNT(DISTINCT person_id) FROM office", self.values))  # noqa: S608

    def __len__(self) -> int:
        return int(self.size)

    def __iter__(self) -> Iterator[Row]:
        if not self.places:
            return
        several = self._several()
        standings: dict[str, tuple[Decimal | None, Decimal]] = {}
        for person_id, staff_no, name, tier, place, *seconds in stream(self.session, self._text(), self.values):
            if tier not in standings:
                standings[tier] = (self.need.need(tier), self.need.floor(tier))
            units = self.paths[place] if person_id not in several else "、".join(self.paths[place] for place in sorted(several[person_id]))
            yield (staff_no, name, units, tier, *self._hours(seconds, *standings[tier]))

    def _hours(self, seconds: list[int | None], wanted: Decimal | None, floor: Decimal) -> tuple[Cell, ...]:
        per_hour = self.need.seconds_per_hour
        quarters = [int(shown_hours(seconds_each, per_hour) * QUARTERS_PER_HOUR) if seconds_each else 0 for seconds_each in seconds]
        hours_each = [hours_of_quarters(count) for count in quarters]
        total = hours_of_quarters(sum(quarters))
        if wanted is None:
            return (*hours_each, total, None, None, None, "无应达")
        missing, short = max(_ZERO_HOURS, wanted - total), max(_ZERO_HOURS, floor - hours_each[_COLLECTIVE_INDEX])
        return (*hours_each, total, wanted, missing, short, "否" if missing or short else "是")

    def _several(self) -> dict[int, list[int]]:
        """The places of those who are in more than one unit."""
        text = f"""{self.office} SELECT person_id, unit_id FROM office
                   WHERE person_id IN (SELECT person_id FROM office GROUP BY person_id HAVING COUNT(*) > 1)"""  # noqa: S608
        places_of_person: dict[int, list[int]] = {}
        for person_id, unit_id in stream(self.session, text, self.values):
            places_of_person.setdefault(person_id, []).append(self.places[unit_id])
        return places_of_person

    def _text(self) -> str:
        """(person, staff_no, name, tier, place of the first unit, seconds of each category)."""
        sums = ", ".join(
            f"CAST(SUM(CASE WHEN category = '{category}' THEN seconds ELSE 0 END) AS BIGINT) AS {category}" for category in CATEGORY_LABELS
        )
        names = ", ".join(f"t.{category}" for category in CATEGORY_LABELS)
        places = ", ".join(f"({int(unit)}, {place})" for unit, place in self.places.items())
        return f"""{self.office},
            places(unit_id, place) AS (VALUES {places}),
            first AS (SELECT o.person_id, MIN(n.place) AS place FROM office o JOIN places n ON n.unit_id = o.unit_id GROUP BY o.person_id),
            hours AS (SELECT person_id, {sums} FROM ({seconds_sql(self.ask, self.scope)}) s GROUP BY person_id)
            SELECT p.id, p.staff_no, p.name, p.tier, f.place, {names}
            FROM first f JOIN person p ON p.id = f.person_id LEFT JOIN hours t ON t.person_id = f.person_id
            ORDER BY f.place, p.id"""  # noqa: S608
