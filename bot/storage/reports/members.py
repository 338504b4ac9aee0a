"""名单: the people of a unit and the units below it, each with hours by category, quota and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sqlmodel import Session

from bot.domain.hours import CATEGORY_LABELS, Quotas, shown_hours
from bot.domain.report import Ask, Cell, Column, Part, Row, Scope, Table
from bot.storage.reports.base import QUARTERS, hours_of, narrowed, office_of, quotas_of, report, seconds_of, table, values_of
from bot.storage.stream import stream

COLUMNS = (
    Column("staff_no", "工号"),
    Column("name", "姓名"),
    Column("unit", "单位"),
    Column("tier", "层级"),
    *(Column(category, label, "hours", minor=True) for category, label in CATEGORY_LABELS.items()),
    Column("total", "合计", "hours"),
    Column("need", "应达", "hours"),
    Column("missing", "差额", "hours"),
    Column("missing_collective", "集体学法差额", "hours", minor=True),
    Column("reached", "达标"),
)
_COLLECTIVE = list(CATEGORY_LABELS).index("collective")


@report("名单", about="单位")
def members(session: Session, scope: Scope, ask: Ask) -> Table:
    """一个单位(含下级)的人员名单:各类学时、合计、应达、差额、是否达标。"""
    need = quotas_of(ask)
    scope, called = narrowed(session, scope, ask.about)
    rows = [row for _, row in sorted(_rows(session, scope, ask, need), key=lambda pair: pair[0])]
    notes = ["差额=应达-合计;集体学法差额=集体学法下限-已有集体学法;两项都为 0 即达标。", f"共 {len(rows)} 人。"]
    return table(session, ask, "名单", f"学时名单({called})", Part("人员", COLUMNS, rows), notes=notes)


def _rows(session: Session, scope: Scope, ask: Ask, need: Quotas) -> Iterator[tuple[tuple[list[str], str], Row]]:
    """Each person once, with the key to sort by: the first unit as the tree has it, then the staff number."""
    tiers: dict[str, tuple[Decimal | None, Decimal]] = {}
    before: Any = None
    paths: list[str] = []
    for row in stream(session, _text(ask, scope), values_of(ask)):
        if before is not None and before[0] != row[0]:
            yield _made(before, paths, need, tiers)
            paths = []
        paths.append(row[4])
        before = row
    if before is not None:
        yield _made(before, paths, need, tiers)


def _made(row: Any, paths: list[str], need: Quotas, tiers: dict[str, tuple[Decimal | None, Decimal]]) -> tuple[tuple[list[str], str], Row]:
    _, staff_no, name, tier, _, *seconds = row
    if tier not in tiers:
        tiers[tier] = (need.need(tier), need.floor(tier))
    wanted, floor = tiers[tier]
    of_each = [hours_of(int(shown_hours(int(one), need.seconds_per_hour) * QUARTERS)) if one else _NOUGHT for one in seconds]
    total = hours_of(int(sum(of_each, _NOUGHT) * QUARTERS))
    standing: tuple[Cell, ...] = (None, None, None, "无应达")
    if wanted is not None:
        missing, short = max(_NOUGHT, wanted - total), max(_NOUGHT, floor - of_each[_COLLECTIVE])
        standing = (wanted, missing, short, "否" if missing or short else "是")
    if len(paths) > 1:
        paths.sort(key=lambda path: path.split("/"))
    shown = paths[0] if len(paths) == 1 else "、".join(paths)
    return (paths[0].split("/"), staff_no), (staff_no, name, shown, tier, *of_each, total, *standing)


_NOUGHT = hours_of(0)


def _text(ask: Ask, scope: Scope) -> str:
    """(person, staff_no, name, tier, path of a unit, seconds of each category), a row for each unit a person is in, one person's together."""
    sums = ", ".join(f"SUM(CASE WHEN category = '{one}' THEN seconds ELSE 0 END) AS {one}" for one in CATEGORY_LABELS)
    names = ", ".join(f"t.{one}" for one in CATEGORY_LABELS)
    return f"""WITH RECURSIVE {office_of(scope)},
        hours AS (SELECT person_id, {sums} FROM ({seconds_of(ask, scope)}) s GROUP BY person_id)
        SELECT p.id, p.staff_no, p.name, p.tier, u.path, {names}
        FROM office o JOIN person p ON p.id = o.person_id JOIN unit u ON u.id = o.unit_id LEFT JOIN hours t ON t.person_id = o.person_id
        ORDER BY p.id"""  # noqa: S608
