"""The duty list: read from a file, compared with what is stored, turned into planned activities and draft campaigns, ticked off one by one.

A file has seven columns; every cell is checked, what it says and what it means here, and each wrong one is named by row, column and reason.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.activity import FORM_NAMES, FORMS, ONLINE, DutyLine, duty_state, spread_days
from bot.domain.calendar import last_day_of_month
from bot.domain.campaign.campaign import Author
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule
from bot.domain.library.library import Library
from bot.domain.message import Refusal
from bot.domain.people.audience import Audience, PeopleAre, UnitIs
from bot.domain.text.numbers import find_whole
from bot.domain.times import day_of
from bot.services.campaign import manage
from bot.services.library.catalog import Catalog
from bot.storage import activity
from bot.storage.activity import PlannedActivity, StoredDuty
from bot.storage.files import cells
from bot.storage.files.table import Cell, TableSheet
from bot.storage.files.table_reader import BadTableRows, RowFault, TableColumn, TableLayout, read_rows, unit_column
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
    """What the list would change; writes nothing. Raises `BadTableRows` for liaisons that nobody knows."""
    stored = {(duty.law, duty.unit, duty.form): duty for duty in activity.duties_of_year(session, year)}
    faults: list[RowFault] = []
    changes: list[DutyChange] = []
    for line in lines:
        try:
            liaison = _liaison(session, line.liaison, line.unit, now)
        except Refusal as refusal:
            faults.append(RowFault(line.row, "联络员", str(refusal)))
            continue
        previous = stored.pop((line.law, line.unit, line.form), None)
        staff_no = "" if liaison is None else liaison[1]
        same = previous is not None and (previous.count, previous.deadline, previous.liaison_no, previous.clause) == (
            line.count,
            line.deadline,
            staff_no,
            line.clause,
        )
        outcome = "same" if same else "changed" if previous else "new"
        changes.append(DutyChange(line, line.unit, None if liaison is None else liaison[0], outcome, previous))
    if faults:
        raise BadTableRows(TITLE, faults)
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


TITLE = "责任清单"
MAX_COUNT = 60
_MONTH = re.compile(r"(?:(\d{4})[年-])?(\d{1,2})月?(?:底|末|前|月底)?")
_DEADLINE_WORDS = {
    "年底": (12, 31), "全年": (12, 31), "上半年": (6, 30), "下半年": (12, 31),
    "一季度": (3, 31), "二季度": (6, 30), "三季度": (9, 30), "四季度": (12, 31),
}  # fmt: skip


def layout(year: int, library: Library, new_forms: frozenset[str] = frozenset()) -> TableLayout:
    """The list of a year: its laws are the library's, its forms the known ones and those that are newly allowed."""
    return TableLayout(
        TITLE,
        (
            TableColumn("法律", lambda cell: _parse_laws(cell, library), ("法律法规", "法律名称", "普法内容", "法律法规名称"), required=True),
            unit_column("责任处室", judge=lambda cell: cells.parse_unit(cell.strip(" /／") if isinstance(cell, str) else cell)),
            TableColumn("形式", lambda cell: _parse_form(cell, new_forms), ("宣传形式", "普法形式", "活动形式", "普法方式"), required=True),
            TableColumn("次数", _parse_count, ("场次", "活动次数"), required=True),
            TableColumn("期限", lambda cell: _parse_deadline(cell, year), ("完成期限", "完成时限", "完成时间", "截止日期"), required=True),
            TableColumn("联络员", cells.parse_text, ("联系人", "联络人")),
            TableColumn("依据", _parse_clause, ("条款", "依据条款")),
        ),
    )


def read_duty_list(
    session: Session, sheet: TableSheet, asked: TableLayout, library: Library, now: datetime
) -> tuple[tuple[DutyLine, ...], tuple[str, ...]]:
    """The rows of a table and what a reader ought to know.

    Raises `Refusal`, and `BadTableRows` with all that is wrong: cells, units and liaisons that nobody knows, rows that are there twice.
    """
    reading = read_rows(sheet, asked, {"责任处室": lambda unit: people_audience.unit_path(session, unit)})
    lines: list[DutyLine] = []
    first_rows: dict[tuple[str, str, str], int] = {}
    for row in reading.rows:
        if "责任处室" in row.values:
            try:
                _liaison(session, row.get("联络员", ""), row.get("责任处室"), now)
            except Refusal as refusal:
                row.add_fault("联络员", str(refusal))
        key = (row.get("法律", ""), row.get("责任处室", ""), row.get("形式", ""))
        if all(key) and first_rows.setdefault(key, row.number) != row.number:
            row.add_fault("法律", f"与第 {first_rows[key]} 行相同（同一处室、同一部法、同一形式只写一行，次数写在一起）")
        if row.is_whole:
            lines.append(DutyLine(row.number, *key, row.get("次数"), row.get("期限"), row.get("联络员", ""), row.get("依据", "")))
    reading.require_faultless()
    unknown = dict.fromkeys(law for line in lines for law in line.law.split("、") if library.resolve_law(law) is None)
    return tuple(lines), (*reading.notes, *(f"法律登记册里没有「{law[:40]}」，按原样记下，请核对名称。" for law in unknown))


def _parse_laws(cell: Cell, library: Library) -> str:
    typed = cells.parse_text(cell)
    names = [part.strip() for part in re.split("[、;]", re.sub(r"》\s*《", "》、《", typed)) if part.strip()]
    if not names:
        raise cells.BadCell("没有填")
    laws, faults = [], []
    for name in names:
        law, misnomer = library.resolve_law(name), library.misnomer(name)
        if misnomer is not None:
            faults.append(f"「{name[:30]}」名称不对，应为《{misnomer.title}》")
        elif law is None and len(name) > 80:
            faults.append("名称超过 80 个字")
        laws.append(law.short if law is not None else name.strip("《》"))
    if faults:
        raise cells.BadCell("；".join(faults))
    return "、".join(laws)


def _parse_form(cell: Cell, new_forms: frozenset[str]) -> str:
    form = cells.parse_text(cell)
    if form not in new_forms:
        form = FORM_NAMES.get(form, form)
    if form not in FORMS and form not in new_forms:
        near = difflib.get_close_matches(form, FORMS, n=1, cutoff=0.4)
        hint = f"，是不是「{near[0]}」？" if near else "。"
        raise cells.BadCell(f"没有「{form[:20]}」这种形式{hint}已有：{'、'.join(FORMS)}；确要新增，请加 --form {form[:20] or '名称'}")
    return form


def _parse_count(cell: Cell) -> int:
    count = find_whole(cells.parse_text(cell), "次", "场")
    if count is None or not 1 <= count <= MAX_COUNT:
        raise cells.BadCell(f"应为 1 到 {MAX_COUNT} 的整数")
    return count


def _parse_clause(cell: Cell) -> str:
    clause = cells.parse_text(cell)
    if len(clause) > 200:
        raise cells.BadCell("超过 200 个字")
    return clause


def _parse_deadline(cell: Cell, year: int) -> date:
    day: date | None
    typed = cells.parse_text(cell) if isinstance(cell, str | int | float) else ""
    short = typed.removeprefix(f"{year}年").removesuffix("前").strip()
    parsed = _MONTH.fullmatch(typed)
    if short in _DEADLINE_WORDS:
        day = date(year, *_DEADLINE_WORDS[short])
    elif parsed is not None and 1 <= int(parsed[2]) <= 12:
        day = last_day_of_month(int(parsed[1] or year), int(parsed[2]))
    else:
        # A day without a year is one of the list's.
        day = cells.parse_day(typed.removesuffix("前") if isinstance(cell, str) else cell, date(year, 1, 1))
    if day is None:
        raise cells.BadCell("没有填")
    if day.year != year:
        raise cells.BadCell(f"{day} 不在 {year} 年；别的年份请用 --year")
    return day
