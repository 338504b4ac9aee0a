"""The duty list: read from a file, compared with what is stored, turned into planned activities and draft campaigns, ticked off one by one.

A file has seven columns; every cell is checked, and a wrong one is named by row, column and reason.
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

from bot.domain.activity import FORMS, ONLINE, DutyLine, duty_state, spread_days
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
from bot.storage.activity import PlannedActivity, StoredDuty
from bot.storage.files import cells
from bot.storage.files.sandbox import read_sheet
from bot.storage.files.table import Cell, TableSheet
from bot.storage.people import audience as people_audience
from bot.storage.people import roster
from bot.storage.system import audit

NOTICE_WORKDAYS = 5
"""Working days before a planned activity on which its liaison is reminded."""


@dataclass(frozen=True, slots=True)
class DutyChange:
    """One row against what is kept: "new", "changed" or "same"."""

    line: DutyLine
    unit: str
    liaison_id: int | None
    outcome: str
    previous: StoredDuty | None = None

    def __str__(self) -> str:
        line = self.line
        previous = f"（原为 {self.previous.count} 次，{self.previous.deadline}）" if self.previous is not None and self.outcome == "changed" else ""
        return f"{self.unit}　{line.law}　{line.form} {line.count} 次　{line.deadline}　{line.liaison}{previous}"


@dataclass(frozen=True, slots=True)
class DutyImportPlan:
    """What importing a list would change; rows that the file no longer has are named and stay."""

    year: int
    changes: tuple[DutyChange, ...]
    absent: tuple[StoredDuty, ...]

    def with_outcome(self, outcome: str) -> list[DutyChange]:
        return [change for change in self.changes if change.outcome == outcome]

    def as_json(self) -> dict[str, Any]:
        return {
            "year": self.year,
            "new": [str(item) for item in self.with_outcome("new")],
            "changed": [str(item) for item in self.with_outcome("changed")],
            "same": len(self.with_outcome("same")),
            "absent": [f"{item.unit}　{item.law}　{item.form}" for item in self.absent],
        }

    def as_text(self) -> list[str]:
        new, changed = self.with_outcome("new"), self.with_outcome("changed")
        times = sum(item.line.count for item in self.changes)
        same = len(self.with_outcome("same"))
        lines = [f"{self.year} 年责任清单共 {len(self.changes)} 行、{times} 次：新增 {len(new)}，变更 {len(changed)}，相同 {same}"]
        for label, changes in (("新增", new), ("变更", changed)):
            lines += [f"{label}：", *(f"  {item}" for item in changes)] if changes else []
        if self.absent:
            lines += ["以下各行文件里没有，仍然保留：", *(f"  {item.unit}　{item.law}　{item.form}" for item in self.absent)]
        return lines


def compare_list(session: Session, lines: Sequence[DutyLine], year: int, now: datetime) -> DutyImportPlan:
    """What the list would change; writes nothing. Raises `BadDutyRows` for units and liaisons that nobody knows."""
    stored = {(duty.law, duty.unit, duty.form): duty for duty in activity.duties_of_year(session, year)}
    faults: list[RowFault] = []
    changes: list[DutyChange] = []
    for line in lines:
        try:
            unit = people_audience.unit_path(session, line.unit)
            liaison = _liaison(session, line.liaison, unit, now)
        except Refusal as refusal:
            faults.append(RowFault(line.row, "联络员" if "联络员" in str(refusal) else "责任处室", str(refusal).rstrip("。")))
            continue
        previous = stored.pop((line.law, unit, line.form), None)
        staff_no = "" if liaison is None else liaison[1]
        same = previous is not None and (previous.count, previous.deadline, previous.liaison_no, previous.clause) == (
            line.count,
            line.deadline,
            staff_no,
            line.clause,
        )
        changes.append(
            DutyChange(line, unit, None if liaison is None else liaison[0], "same" if same else "changed" if previous else "new", previous)
        )
    if faults:
        raise BadDutyRows(sorted(faults))
    return DutyImportPlan(year, tuple(changes), tuple(stored.values()))


def _liaison(session: Session, typed: str, unit: str, now: datetime) -> tuple[int, str] | None:
    """(id, staff number) of a liaison by staff number, or by a name that only one person of the office has."""
    if not typed:
        return None
    by_number = people_audience.find_person_id(session, typed)
    if by_number is not None:
        return by_number, typed
    office = people_audience.evaluate(session, UnitIs(unit), day_of(now), now)
    members = people_audience.list_people(session, [*office.people, *(person_id for person_id, _ in office.excluded)])
    matching = [(person_id, staff_no) for person_id, staff_no, name in members if name == typed]
    if len(matching) != 1:
        raise Refusal(f"联络员「{typed[:20]}」在 {unit} {'没有这个人' if not matching else '有重名'}，请写工号")
    return matching[0]


def import_list(session: Session, catalog: Catalog, author: Author, lines: Sequence[DutyLine], year: int, now: datetime) -> DutyImportPlan:
    """Store the list, plan its activities, draft its campaigns; a second time changes nothing. Whole or not at all, audited row by row."""
    plan = compare_list(session, lines, year, now)
    for change in plan.changes:
        if change.outcome == "same":
            continue
        line = change.line
        if change.previous is None:
            unit_id = roster.unit_id_of(session, change.unit)
            duty_id = activity.add_duty(session, year, line.law, unit_id, line.form, line.count, line.deadline, change.liaison_id, line.clause, now)
        else:
            duty_id = change.previous.id
            activity.change_duty(session, duty_id, line.count, line.deadline, change.liaison_id, line.clause)
        _plan_activities(session, catalog, author, change, duty_id, now)
        action = "新增责任清单" if change.previous is None else "变更责任清单"
        audit.record(session, now, author.actor, author.via, action, f"duty:{duty_id}", detail=str(change))
    return plan


def _plan_activities(session: Session, catalog: Catalog, author: Author, change: DutyChange, duty_id: int, now: datetime) -> None:
    """Planned activities, as many as the row asks for, and the drafts that go with those to come."""
    line = change.line
    planned = activity.planned_by_duty(session, line.deadline.year).get(duty_id, [])
    still_open = [activity_row for activity_row in planned if activity_row.state == "planned"]
    live = [activity_row for activity_row in planned if activity_row.state != "cancelled"]
    for activity_row in still_open[::-1][: max(0, len(live) - line.count)]:
        activity.cancel(session, activity_row.id, "清单次数减少")
    still_open = still_open[: max(0, line.count - (len(live) - len(still_open)))]
    first = max(date(line.deadline.year, 1, 1), min(day_of(now), line.deadline))
    missing = line.count - (len(live) - len([activity_row for activity_row in live if activity_row.state == "planned"])) - len(still_open)
    days = spread_days(len(still_open) + max(0, missing), first, line.deadline, catalog.library.calendar)
    for activity_row, day in zip(still_open, days, strict=False):
        activity.reschedule(session, activity_row.id, day)
    last_number = len(planned)
    new_activities: list[tuple[int, str, date]] = []
    for number, day in enumerate(days[len(still_open) :], start=last_number + 1):
        name = f"{line.law} {line.form} 第 {number} 次"
        new_activities.append((activity.add_planned(session, duty_id, number, name, day), name, day))
    _draft_campaigns(session, catalog, author, change, new_activities, now)


def _draft_campaigns(
    session: Session, catalog: Catalog, author: Author, change: DutyChange, new_activities: Sequence[tuple[int, str, date]], now: datetime
) -> None:
    """Online forms become a series for the office; the others a word to the liaison some working days ahead."""
    line, clause = change.line, change.line.clause or f"普法责任清单 {change.line.deadline.year}"
    lessons = tuple(
        lesson.id
        for short in line.law.split("、")
        for lesson in catalog.library.lessons.values()
        if lesson.law == short and lesson.in_force(day_of(now))
    )
    if line.form in ONLINE and lessons and new_activities:
        schedule = Schedule("series", each="weekly", weekdays=(0,), on_holiday="after", last=line.deadline)
        series = CampaignContent("series", title=line.law[:80], lessons=lessons[:200])
        campaign_id = manage.create(
            session, catalog, author, f"{line.law} {line.form}"[:80], series, schedule, UnitIs(change.unit), now, clause=clause
        )
        for planned_id, _, _ in new_activities:
            activity.link_campaign(session, planned_id, campaign_id)
        return
    for planned_id, name, day in new_activities:
        notice_day = _notice_day(catalog, day)
        if notice_day <= day_of(now):
            continue
        audience: Audience = UnitIs(change.unit) if change.liaison_id is None else PeopleAre((_staff_no(session, change.liaison_id),))
        text = (
            f"责任清单：{change.unit}「{name}」计划在 {day.month} 月 {day.day} 日前开展（{clause}）。"
            "办好后请告诉管理员记一笔，附时间、人数和照片或签到。"
        )
        notice = CampaignContent("notice", title="普法责任清单", text=text, receipt=True)
        schedule = Schedule("once", time="09:00", on=notice_day, on_holiday="keep")
        campaign_id = manage.create(session, catalog, author, f"责任清单：{name}"[:80], notice, schedule, audience, now, clause=clause, missed="send")
        activity.link_campaign(session, planned_id, campaign_id)


def _notice_day(catalog: Catalog, day: date) -> date:
    calendar = catalog.library.calendar
    return (
        calendar.workday_before(day, NOTICE_WORKDAYS)
        if calendar.knows((day - timedelta(days=NOTICE_WORKDAYS * 4)).year) and calendar.knows(day.year)
        else day
    )


def _staff_no(session: Session, person_id: int) -> str:
    person = people_audience.get_person(session, person_id)
    if person is None:
        raise AssertionError(person_id)
    return person[1]


# ── Ticking off ──


def mark_done(session: Session, author: Author, planned_id: int, done_on: date, note: str, now: datetime) -> PlannedActivity:
    """An activity took place: it counts once, with a day and a note of its evidence. Raises `Refusal` for a second tick or a day to come."""
    planned = activity.get_planned(session, planned_id)
    if planned is None:
        raise Refusal(f"没有编号为 {planned_id} 的计划活动。")
    if done_on > day_of(now):
        raise Refusal(f"{done_on} 还没有到，不能记为已办。")
    if not note.strip():
        raise Refusal("请写明依据（时间、地点、人数，或签到、照片在哪里）。")
    if not activity.mark_done(session, planned_id, done_on, note.strip()[:500]):
        raise Refusal(f"「{planned.name}」{'已经记过，不重复计' if planned.state == 'done' else '已经取消'}。")
    audit.record(session, now, author.actor, author.via, "责任清单已办", f"planned:{planned_id}", detail=f"{done_on}；{note.strip()}")
    return planned


def cancel(session: Session, author: Author, planned_id: int, reason: str, now: datetime) -> PlannedActivity:
    """An activity will not take place; it does not count. Raises `Refusal` without a reason."""
    planned = activity.get_planned(session, planned_id)
    if planned is None or not reason.strip():
        raise Refusal(f"没有编号为 {planned_id} 的计划活动，或没有写原因。")
    if not activity.cancel(session, planned_id, reason.strip()[:500]):
        raise Refusal(f"「{planned.name}」已经办过或已经取消。")
    audit.record(session, now, author.actor, author.via, "责任清单取消", f"planned:{planned_id}", detail=reason.strip())
    return planned


def duty_progress(duty: StoredDuty, activities: Sequence[PlannedActivity], today: date) -> tuple[int, str]:
    """(done, state) of a row on a day."""
    done_count = sum(planned.done_on is not None and planned.done_on <= today for planned in activities)
    return done_count, duty_state(done_count, duty.count, duty.deadline, today)


COLUMNS = ("法律", "责任处室", "形式", "次数", "期限", "联络员", "依据")
REQUIRED_COLUMNS = COLUMNS[:5]
COLUMN_ALIASES = {
    "法律法规": "法律",
    "法律名称": "法律",
    "责任单位": "责任处室",
    "处室": "责任处室",
    "宣传形式": "形式",
    "完成期限": "期限",
    "截止日期": "期限",
    "条款": "依据",
}
MAX_COUNT = 60
_HEADER_WITHIN = 10
_MONTH = re.compile(r"(?:(\d{4})[年-])?(\d{1,2})月?(?:底|末|前|月底)?")
_DEADLINE_WORDS = {
    "年底": (12, 31), "全年": (12, 31), "上半年": (6, 30), "下半年": (12, 31),
    "一季度": (3, 31), "二季度": (6, 30), "三季度": (9, 30), "四季度": (12, 31),
}  # fmt: skip


class BadDutyRows(Refusal):
    """The file was readable, but these cells are not right; nothing of it may be used."""

    def __init__(self, faults: list[RowFault]) -> None:
        self.faults = faults
        super().__init__("\n".join([f"责任清单有 {len(faults)} 处不对，什么都没有改动：", *map(str, faults[:MAX_FAULTS])]))


def read_duty_list(path: Path, year: int, library: Library, new_forms: frozenset[str] = frozenset()) -> tuple[tuple[DutyLine, ...], tuple[str, ...]]:
    """The rows of a file and what a reader ought to know. Raises `Refusal`, and `BadDutyRows` when single cells are wrong."""
    sheet = read_sheet(path)
    lines, notes = parse_duty_list(sheet, year, library, new_forms)
    return lines, (*sheet.notes, *notes)


def parse_duty_list(
    sheet: TableSheet, year: int, library: Library, new_forms: frozenset[str] = frozenset()
) -> tuple[tuple[DutyLine, ...], tuple[str, ...]]:
    header_row, positions = _find_header(sheet.rows)
    faults: list[RowFault] = []
    lines: list[DutyLine] = []
    notes: list[str] = []
    first_rows: dict[tuple[str, str, str], int] = {}
    for number, row in enumerate(sheet.rows[header_row + 1 :], start=header_row + 2):
        if not any(not isinstance(cell, str) or cell.strip() for cell in row):
            continue
        line = _DutyRowParser(number, row, positions, year, library, new_forms, faults, notes).line()
        if line is None:
            continue
        key = (line.law, line.unit, line.form)
        if key in first_rows:
            faults.append(RowFault(number, "法律", f"与第 {first_rows[key]} 行相同（同一处室、同一部法、同一形式只写一行，次数写在一起）"))
        first_rows.setdefault(key, number)
        lines.append(line)
    if faults:
        raise BadDutyRows(sorted(faults)[:MAX_FAULTS])
    if not lines:
        raise Refusal("责任清单里没有任何一行。")
    return tuple(lines), tuple(dict.fromkeys(notes))


def _find_header(rows: list[list[Cell]]) -> tuple[int, dict[str, int]]:
    for index, row in enumerate(rows[:_HEADER_WITHIN]):
        names = [COLUMN_ALIASES.get(_text(cell), _text(cell)) for cell in row]
        if all(name in names for name in REQUIRED_COLUMNS):
            return index, {name: names.index(name) for name in COLUMNS if name in names}
    raise Refusal(f"没有找到表头：前 {_HEADER_WITHIN} 行里要有 {'、'.join(REQUIRED_COLUMNS)} 这几列（联络员、依据可以没有）。")


def _text(cell: Cell) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", str(cell))).strip()


class _DutyRowParser:
    """One row being read."""

    def __init__(
        self,
        number: int,
        row: list[Cell],
        positions: dict[str, int],
        year: int,
        library: Library,
        new_forms: frozenset[str],
        faults: list[RowFault],
        notes: list[str],
    ) -> None:
        self.number, self.row, self.places, self.year, self.library = number, row, positions, year, library
        self.new_forms, self.faults, self.notes = new_forms, faults, notes

    def _cell(self, column: str) -> Cell:
        position = self.places.get(column)
        return self.row[position] if position is not None and position < len(self.row) else ""

    def _bad(self, column: str, reason: str) -> None:
        self.faults.append(RowFault(self.number, column, reason))

    def line(self) -> DutyLine | None:
        faults_before = len(self.faults)
        unit, clause = _text(self._cell("责任处室")).strip("/"), _text(self._cell("依据"))
        if not unit:
            self._bad("责任处室", "没有填")
        if len(clause) > 200:
            self._bad("依据", "超过 200 个字")
        law, form, count, deadline = self._law(), self._form(), self._count(), self._deadline()
        if len(self.faults) > faults_before or deadline is None:
            return None
        return DutyLine(self.number, law, unit, form, count, deadline, _text(self._cell("联络员")), clause)

    def _law(self) -> str:
        typed = _text(self._cell("法律"))
        names = [part.strip() for part in re.split(r"[、;\n]", re.sub(r"》\s*《", "》、《", typed)) if part.strip()]
        if not names:
            self._bad("法律", "没有填")
        laws = []
        for name in names:
            law, misnomer = self.library.resolve_law(name), self.library.misnomer(name)
            if misnomer is not None:
                self._bad("法律", f"「{name[:30]}」名称不对，应为《{misnomer.title}》")
            elif law is None:
                if len(name) > 80:
                    self._bad("法律", "名称超过 80 个字")
                self.notes.append(f"法律登记册里没有「{name[:40]}」，按原样记下，请核对名称。")
            laws.append(law.short if law is not None else name.strip("《》"))
        return "、".join(laws)

    def _form(self) -> str:
        form = _text(self._cell("形式"))
        if form not in FORMS and form not in self.new_forms:
            near = difflib.get_close_matches(form, FORMS, n=1, cutoff=0.4)
            hint = f"，是不是「{near[0]}」？" if near else "。"
            self._bad("形式", f"没有「{form[:20]}」这种形式{hint}已有：{'、'.join(FORMS)}；确要新增，请加 --form {form[:20] or '名称'}")
        return form

    def _count(self) -> int:
        typed = _text(self._cell("次数")).removesuffix("次")
        if not typed.isascii() or not typed.isdigit() or not 1 <= int(typed) <= MAX_COUNT:
            self._bad("次数", f"应为 1 到 {MAX_COUNT} 的整数")
            return 0
        return int(typed)

    def _deadline(self) -> date | None:
        cell = self._cell("期限")
        day: date | None = None
        if isinstance(cell, date):
            day = cell.date() if isinstance(cell, datetime) else cell
        else:
            typed = _text(cell)
            short = typed.removeprefix(f"{self.year}年").removesuffix("前").strip()
            parsed = _MONTH.fullmatch(typed)
            if short in _DEADLINE_WORDS:
                day = date(self.year, *_DEADLINE_WORDS[short])
            elif parsed is not None and 1 <= int(parsed[2]) <= 12:
                day = last_day_of_month(int(parsed[1] or self.year), int(parsed[2]))
            else:
                try:
                    day = cells.parse_day(typed.removesuffix("前"))
                except cells.BadCell as error:
                    self._bad("期限", str(error))
                    return None
        if day is None:
            self._bad("期限", "没有填")
        elif day.year != self.year:
            self._bad("期限", f"{day} 不在 {self.year} 年；别的年份请用 --year")
            return None
        return day
