"""The duty list: compared with what is kept, compiled into planned activities and drafts of campaigns, ticked off one by one.

The duty list as a file gives it: seven columns, every cell judged; a bad row names row, column and reason.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session

from bot.domain.activity import FORMS, ONLINE, DutyLine, spread, state_of
from bot.domain.calendar import last_day_of_month
from bot.domain.campaign.campaign import Author
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule
from bot.domain.library.library import Library
from bot.domain.message import Refusal
from bot.domain.people.audience import Audience, PeopleAre, UnitIs
from bot.domain.times import day_of
from bot.services.campaign import manage
from bot.services.library.catalog import Catalog
from bot.services.people.roster_file import MAX_FAULTS, RowFault
from bot.storage import activity
from bot.storage.activity import KeptDuty, PlannedActivity
from bot.storage.files import cells
from bot.storage.files.sandbox import read_sheet
from bot.storage.files.table import Cell, TableSheet
from bot.storage.people import audience as people_audience
from bot.storage.system import audit

AHEAD = 5
"""Working days before a planned activity on which its liaison is reminded."""


@dataclass(frozen=True, slots=True)
class DutyChange:
    """One row against what is kept: "new", "changed" or "same"."""

    line: DutyLine
    unit: str
    liaison_id: int | None
    outcome: str
    kept: KeptDuty | None = None

    def __str__(self) -> str:
        one = self.line
        was = f"（原为 {self.kept.count} 次，{self.kept.deadline}）" if self.kept is not None and self.outcome == "changed" else ""
        return f"{self.unit}　{one.law}　{one.form} {one.count} 次　{one.deadline}　{one.liaison}{was}"


@dataclass(frozen=True, slots=True)
class DutyImportPlan:
    """What importing a list would change; rows that the file no longer has are named and stay."""

    year: int
    changes: tuple[DutyChange, ...]
    absent: tuple[KeptDuty, ...]

    def of(self, outcome: str) -> list[DutyChange]:
        return [one for one in self.changes if one.outcome == outcome]

    def as_json(self) -> dict[str, Any]:
        return {
            "year": self.year,
            "new": [str(one) for one in self.of("new")],
            "changed": [str(one) for one in self.of("changed")],
            "same": len(self.of("same")),
            "absent": [f"{one.unit}　{one.law}　{one.form}" for one in self.absent],
        }

    def as_text(self) -> list[str]:
        new, changed = self.of("new"), self.of("changed")
        times = sum(one.line.count for one in self.changes)
        lines = [f"{self.year} 年责任清单共 {len(self.changes)} 行、{times} 次：新增 {len(new)}，变更 {len(changed)}，相同 {len(self.of('same'))}"]
        for label, found in (("新增", new), ("变更", changed)):
            lines += [f"{label}：", *(f"  {one}" for one in found)] if found else []
        if self.absent:
            lines += ["以下各行文件里没有，仍然保留：", *(f"  {one.unit}　{one.law}　{one.form}" for one in self.absent)]
        return lines


def compare(session: Session, lines: Sequence[DutyLine], year: int, now: datetime) -> DutyImportPlan:
    """What the list would change; writes nothing. Raises `BadRows` for units and liaisons that nobody knows."""
    kept = {(one.law, one.unit, one.form): one for one in activity.of_year(session, year)}
    faults: list[RowFault] = []
    changes: list[DutyChange] = []
    for line in lines:
        try:
            unit = people_audience.unit_path(session, line.unit)
            liaison = _liaison(session, line.liaison, unit, now)
        except Refusal as no:
            faults.append(RowFault(line.row, "联络员" if "联络员" in str(no) else "责任处室", str(no).rstrip("。")))
            continue
        had = kept.pop((line.law, unit, line.form), None)
        number = "" if liaison is None else liaison[1]
        same = had is not None and (had.count, had.deadline, had.liaison_no, had.clause) == (line.count, line.deadline, number, line.clause)
        changes.append(DutyChange(line, unit, None if liaison is None else liaison[0], "same" if same else "changed" if had else "new", had))
    if faults:
        raise BadDutyRows(sorted(faults))
    return DutyImportPlan(year, tuple(changes), tuple(kept.values()))


def _liaison(session: Session, said: str, unit: str, now: datetime) -> tuple[int, str] | None:
    """(id, staff number) of a liaison by staff number, or by a name that only one person of the office has."""
    if not said:
        return None
    by_number = people_audience.find_person_id(session, said)
    if by_number is not None:
        return by_number, said
    found = people_audience.evaluate(session, UnitIs(unit), day_of(now), now)
    members = people_audience.list_people(session, [*found.people, *(who for who, _ in found.excluded)])
    fitting = [(who, staff_no) for who, staff_no, name in members if name == said]
    if len(fitting) != 1:
        raise Refusal(f"联络员「{said[:20]}」在 {unit} {'没有这个人' if not fitting else '有重名'}，请写工号")
    return fitting[0]


def apply(session: Session, catalog: Catalog, author: Author, lines: Sequence[DutyLine], year: int, now: datetime) -> DutyImportPlan:
    """Keep the list, plan its activities, draft its campaigns; a second time changes nothing. Whole or not at all, audited row by row."""
    plan = compare(session, lines, year, now)
    for one in plan.changes:
        if one.outcome == "same":
            continue
        line = one.line
        if one.kept is None:
            unit_id = activity.unit_id(session, one.unit)
            duty_id = activity.add(session, year, line.law, unit_id, line.form, line.count, line.deadline, one.liaison_id, line.clause, now)
        else:
            duty_id = one.kept.id
            activity.change(session, duty_id, line.count, line.deadline, one.liaison_id, line.clause)
        _compile(session, catalog, author, one, duty_id, now)
        action = "新增责任清单" if one.kept is None else "变更责任清单"
        audit.record(session, now, author.actor, author.via, action, f"duty:{duty_id}", detail=str(one))
    return plan


def _compile(session: Session, catalog: Catalog, author: Author, change: DutyChange, duty_id: int, now: datetime) -> None:
    """Planned activities, as many as the row asks for, and the drafts that go with those to come."""
    line = change.line
    had = activity.planned(session, line.deadline.year).get(duty_id, [])
    open_ones = [one for one in had if one.state == "planned"]
    live = [one for one in had if one.state != "cancelled"]
    for one in open_ones[::-1][: max(0, len(live) - line.count)]:
        activity.cancel(session, one.id, "清单次数减少")
    open_ones = open_ones[: max(0, line.count - (len(live) - len(open_ones)))]
    first = max(date(line.deadline.year, 1, 1), min(day_of(now), line.deadline))
    missing = line.count - (len(live) - len([one for one in live if one.state == "planned"])) - len(open_ones)
    days = spread(len(open_ones) + max(0, missing), first, line.deadline, catalog.library.calendar)
    for one, day in zip(open_ones, days, strict=False):
        activity.move(session, one.id, day)
    numbered = len(had)
    fresh: list[tuple[int, str, date]] = []
    for n, day in enumerate(days[len(open_ones) :], start=numbered + 1):
        name = f"{line.law} {line.form} 第 {n} 次"
        fresh.append((activity.plan(session, duty_id, n, name, day), name, day))
    _draft(session, catalog, author, change, fresh, now)


def _draft(session: Session, catalog: Catalog, author: Author, change: DutyChange, fresh: Sequence[tuple[int, str, date]], now: datetime) -> None:
    """Online forms become a series for the office; the others a word to the liaison some working days ahead."""
    line, clause = change.line, change.line.clause or f"普法责任清单 {change.line.deadline.year}"
    lessons = tuple(
        lesson.id
        for short in line.law.split("、")
        for lesson in catalog.library.lessons.values()
        if lesson.law == short and lesson.in_force(day_of(now))
    )
    if line.form in ONLINE and lessons and fresh:
        rhythm = Schedule("series", each="weekly", weekdays=(0,), on_holiday="after", last=line.deadline)
        series = CampaignContent("series", title=line.law[:80], lessons=lessons[:200])
        made = manage.create(session, catalog, author, f"{line.law} {line.form}"[:80], series, rhythm, UnitIs(change.unit), now, clause=clause)
        for planned_id, _, _ in fresh:
            activity.link(session, planned_id, made)
        return
    for planned_id, name, day in fresh:
        on = _ahead(catalog, day)
        if on <= day_of(now):
            continue
        audience: Audience = UnitIs(change.unit) if change.liaison_id is None else PeopleAre((_number(session, change.liaison_id),))
        text = (
            f"责任清单：{change.unit}「{name}」计划在 {day.month} 月 {day.day} 日前开展（{clause}）。"
            "办好后请告诉管理员记一笔，附时间、人数和照片或签到。"
        )
        notice = CampaignContent("notice", title="普法责任清单", text=text, receipt=True)
        rhythm = Schedule("once", time="09:00", on=on, on_holiday="keep")
        made = manage.create(session, catalog, author, f"责任清单：{name}"[:80], notice, rhythm, audience, now, clause=clause, missed="send")
        activity.link(session, planned_id, made)


def _ahead(catalog: Catalog, day: date) -> date:
    calendar = catalog.library.calendar
    return calendar.workday_before(day, AHEAD) if calendar.knows((day - timedelta(days=AHEAD * 4)).year) and calendar.knows(day.year) else day


def _number(session: Session, person_id: int) -> str:
    found = people_audience.get_person(session, person_id)
    if found is None:
        raise AssertionError(person_id)
    return found[1]


# ── Ticking off ──


def done(session: Session, author: Author, planned_id: int, on: date, note: str, now: datetime) -> PlannedActivity:
    """An activity took place: it counts once, with a day and a note of its evidence. Raises `Refusal` for a second tick or a day to come."""
    found = activity.activity(session, planned_id)
    if found is None:
        raise Refusal(f"没有编号为 {planned_id} 的计划活动。")
    if on > day_of(now):
        raise Refusal(f"{on} 还没有到，不能记为已办。")
    if not note.strip():
        raise Refusal("请写明依据（时间、地点、人数，或签到、照片在哪里）。")
    if not activity.done(session, planned_id, on, note.strip()[:500]):
        raise Refusal(f"「{found.name}」{'已经记过，不重复计' if found.state == 'done' else '已经取消'}。")
    audit.record(session, now, author.actor, author.via, "责任清单已办", f"planned:{planned_id}", detail=f"{on}；{note.strip()}")
    return found


def cancel(session: Session, author: Author, planned_id: int, reason: str, now: datetime) -> PlannedActivity:
    """An activity will not take place; it does not count. Raises `Refusal` without a reason."""
    found = activity.activity(session, planned_id)
    if found is None or not reason.strip():
        raise Refusal(f"没有编号为 {planned_id} 的计划活动，或没有写原因。")
    if not activity.cancel(session, planned_id, reason.strip()[:500]):
        raise Refusal(f"「{found.name}」已经办过或已经取消。")
    audit.record(session, now, author.actor, author.via, "责任清单取消", f"planned:{planned_id}", detail=reason.strip())
    return found


def state(one: KeptDuty, activities: Sequence[PlannedActivity], on: date) -> tuple[int, str]:
    """(done, state) of a row on a day."""
    ticked = sum(each.done_on is not None and each.done_on <= on for each in activities)
    return ticked, state_of(ticked, one.count, one.deadline, on)


COLUMNS = ("法律", "责任处室", "形式", "次数", "期限", "联络员", "依据")
NEEDED = COLUMNS[:5]
ALIASES = {
    "法律法规": "法律",
    "法律名称": "法律",
    "责任单位": "责任处室",
    "处室": "责任处室",
    "宣传形式": "形式",
    "完成期限": "期限",
    "截止日期": "期限",
    "条款": "依据",
}
MOST_TIMES = 60
_HEADER_WITHIN = 10
_MONTH = re.compile(r"(?:(\d{4})[年-])?(\d{1,2})月?(?:底|末|前|月底)?")
_SAID = {
    "年底": (12, 31), "全年": (12, 31), "上半年": (6, 30), "下半年": (12, 31),
    "一季度": (3, 31), "二季度": (6, 30), "三季度": (9, 30), "四季度": (12, 31),
}  # fmt: skip


class BadDutyRows(Refusal):
    """The file was readable, but these cells are not right; nothing of it may be used."""

    def __init__(self, faults: list[RowFault]) -> None:
        self.faults = faults
        super().__init__("\n".join([f"责任清单有 {len(faults)} 处不对，什么都没有改动：", *map(str, faults[:MAX_FAULTS])]))


def read_list(path: Path, year: int, library: Library, new_forms: frozenset[str] = frozenset()) -> tuple[tuple[DutyLine, ...], tuple[str, ...]]:
    """The rows of a file and what a reader ought to know. Raises `Refusal`, and `BadRows` when single cells are wrong."""
    sheet = read_sheet(path)
    lines, notes = lines_of(sheet, year, library, new_forms)
    return lines, (*sheet.notes, *notes)


def lines_of(sheet: TableSheet, year: int, library: Library, new_forms: frozenset[str] = frozenset()) -> tuple[tuple[DutyLine, ...], tuple[str, ...]]:
    at, places = _header(sheet.rows)
    faults: list[RowFault] = []
    found: list[DutyLine] = []
    notes: list[str] = []
    seen: dict[tuple[str, str, str], int] = {}
    for number, row in enumerate(sheet.rows[at + 1 :], start=at + 2):
        if not any(not isinstance(cell, str) or cell.strip() for cell in row):
            continue
        line = _Row(number, row, places, year, library, new_forms, faults, notes).line()
        if line is None:
            continue
        key = (line.law, line.unit, line.form)
        if key in seen:
            faults.append(RowFault(number, "法律", f"与第 {seen[key]} 行相同（同一处室、同一部法、同一形式只写一行，次数写在一起）"))
        seen.setdefault(key, number)
        found.append(line)
    if faults:
        raise BadDutyRows(sorted(faults)[:MAX_FAULTS])
    if not found:
        raise Refusal("责任清单里没有任何一行。")
    return tuple(found), tuple(dict.fromkeys(notes))


def _header(rows: list[list[Cell]]) -> tuple[int, dict[str, int]]:
    for at, row in enumerate(rows[:_HEADER_WITHIN]):
        names = [ALIASES.get(_text(cell), _text(cell)) for cell in row]
        if all(name in names for name in NEEDED):
            return at, {name: names.index(name) for name in COLUMNS if name in names}
    raise Refusal(f"没有找到表头：前 {_HEADER_WITHIN} 行里要有 {'、'.join(NEEDED)} 这几列（联络员、依据可以没有）。")


def _text(cell: Cell) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", str(cell))).strip()


class _Row:
    """One row being read."""

    def __init__(
        self,
        number: int,
        row: list[Cell],
        places: dict[str, int],
        year: int,
        library: Library,
        new_forms: frozenset[str],
        faults: list[RowFault],
        notes: list[str],
    ) -> None:
        self.number, self.row, self.places, self.year, self.library = number, row, places, year, library
        self.new_forms, self.faults, self.notes = new_forms, faults, notes

    def _cell(self, column: str) -> Cell:
        place = self.places.get(column)
        return self.row[place] if place is not None and place < len(self.row) else ""

    def _bad(self, column: str, reason: str) -> None:
        self.faults.append(RowFault(self.number, column, reason))

    def line(self) -> DutyLine | None:
        before = len(self.faults)
        unit, clause = _text(self._cell("责任处室")).strip("/"), _text(self._cell("依据"))
        if not unit:
            self._bad("责任处室", "没有填")
        if len(clause) > 200:
            self._bad("依据", "超过 200 个字")
        law, form, count, deadline = self._law(), self._form(), self._count(), self._deadline()
        if len(self.faults) > before or deadline is None:
            return None
        return DutyLine(self.number, law, unit, form, count, deadline, _text(self._cell("联络员")), clause)

    def _law(self) -> str:
        said = _text(self._cell("法律"))
        names = [one.strip() for one in re.split(r"[、;\n]", re.sub(r"》\s*《", "》、《", said)) if one.strip()]
        if not names:
            self._bad("法律", "没有填")
        found = []
        for name in names:
            law, wrong = self.library.resolve_law(name), self.library.misnomer(name)
            if wrong is not None:
                self._bad("法律", f"「{name[:30]}」名称不对，应为《{wrong.title}》")
            elif law is None:
                if len(name) > 80:
                    self._bad("法律", "名称超过 80 个字")
                self.notes.append(f"法律登记册里没有「{name[:40]}」，按原样记下，请核对名称。")
            found.append(law.short if law is not None else name.strip("《》"))
        return "、".join(found)

    def _form(self) -> str:
        form = _text(self._cell("形式"))
        if form not in FORMS and form not in self.new_forms:
            near = difflib.get_close_matches(form, FORMS, n=1, cutoff=0.4)
            hint = f"，是不是「{near[0]}」？" if near else "。"
            self._bad("形式", f"没有「{form[:20]}」这种形式{hint}已有：{'、'.join(FORMS)}；确要新增，请加 --form {form[:20] or '名称'}")
        return form

    def _count(self) -> int:
        said = _text(self._cell("次数")).removesuffix("次")
        if not said.isascii() or not said.isdigit() or not 1 <= int(said) <= MOST_TIMES:
            self._bad("次数", f"应为 1 到 {MOST_TIMES} 的整数")
            return 0
        return int(said)

    def _deadline(self) -> date | None:
        cell = self._cell("期限")
        day: date | None = None
        if isinstance(cell, date):
            day = cell.date() if isinstance(cell, datetime) else cell
        else:
            said = _text(cell)
            short = said.removeprefix(f"{self.year}年").removesuffix("前").strip()
            found = _MONTH.fullmatch(said)
            if short in _SAID:
                day = date(self.year, *_SAID[short])
            elif found is not None and 1 <= int(found[2]) <= 12:
                day = last_day_of_month(int(found[1] or self.year), int(found[2]))
            else:
                try:
                    day = cells.parse_day(said.removesuffix("前"))
                except cells.BadCell as bad:
                    self._bad("期限", str(bad))
                    return None
        if day is None:
            self._bad("期限", "没有填")
        elif day.year != self.year:
            self._bad("期限", f"{day} 不在 {self.year} 年；别的年份请用 --year")
            return None
        return day
