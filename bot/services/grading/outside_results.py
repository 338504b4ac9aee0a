"""Import of exam results from other platforms: each row is matched to one person or listed with its reason, and credited once.

Columns are found by the titles that platforms use, rows are judged one by one, and importing a file again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from bot.domain.campaign.campaign import Author
from bot.domain.hours.policy import HoursPolicy
from bot.domain.message import Refusal
from bot.domain.text.numbers import points_text
from bot.domain.times import day_of
from bot.services.hours import credit
from bot.storage.files import cells
from bot.storage.files.table import Cell, TableSheet, is_filled
from bot.storage.files.table_reader import TableColumn, TableLayout, TableRow, name_column, read_rows, staff_no_column, unit_column
from bot.storage.grading import outside_results
from bot.storage.grading.outside_results import OutsideExam, RosterPerson
from bot.storage.people import roster
from bot.storage.system import audit


@dataclass(frozen=True, slots=True)
class TargetExam:
    """Which exam a file is about: points in thousandths; `exam` is the exam here whose results these are, None for one held elsewhere only."""

    name: str
    held_on: date
    pass_line: int
    total: int
    exam: int | None = None


@dataclass(frozen=True, slots=True)
class MatchedResult:
    """A row that means one person; `is_new` is false when this very result was kept before, `credits` whether it earns hours."""

    row: int
    person: RosterPerson
    score: int
    passed: bool
    is_new: bool
    credits: bool


@dataclass(frozen=True, slots=True)
class OutsideConflict:
    """A row that nobody may decide by guessing."""

    row: int
    staff_no: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutsideImportPlan:
    """What a file comes to: every row is matched or in conflict."""

    target: TargetExam
    matched: tuple[MatchedResult, ...]
    conflicts: tuple[OutsideConflict, ...]
    notes: tuple[str, ...] = ()

    @property
    def fresh(self) -> list[MatchedResult]:
        return [result for result in self.matched if result.is_new]

    def as_json(self) -> dict[str, Any]:
        return {
            "exam": self.target.name,
            "held_on": self.target.held_on.isoformat(),
            "pass_line": self.target.pass_line / 1000,
            "total": self.target.total / 1000,
            "matched": [
                {
                    "row": result.row,
                    "staff_no": result.person.staff_no,
                    "score": result.score / 1000,
                    "passed": result.passed,
                    "new": result.is_new,
                    "credited": result.credits,
                }
                for result in self.matched
            ],
            "conflicts": [
                {"row": conflict.row, "staff_no": conflict.staff_no, "name": conflict.name, "reason": conflict.reason} for conflict in self.conflicts
            ],
            "notes": list(self.notes),
        }

    def as_text(self) -> list[str]:
        fresh = self.fresh
        line, total = points_text(self.target.pass_line), points_text(self.target.total)
        lines = [
            f"「{self.target.name}」{self.target.held_on}，满分 {total}，合格线 {line}",
            f"共 {len(self.matched) + len(self.conflicts)} 行：对上 {len(self.matched)} 人"
            f"（新增 {len(fresh)}，以前导入过 {len(self.matched) - len(fresh)}），冲突 {len(self.conflicts)} 行",
            f"新增的 {len(fresh)} 人中合格 {sum(result.passed for result in fresh)} 人，计学时 {sum(result.credits for result in fresh)} 人"
            "（同一场考试已计过的不重复计）",
        ]
        if self.conflicts:
            lines.append("冲突（没有写入，请在表里改好后重新导入）：")
            lines += [f"  第 {conflict.row} 行 {conflict.staff_no or '无工号'} {conflict.name}：{conflict.reason}" for conflict in self.conflicts]
        return [*self.notes, *lines]


def source_of(target: TargetExam, known_exam: OutsideExam | None) -> str | None:
    """What the ledger calls the exam; None while the exam has no row yet, and so nobody has earned by it."""
    if target.exam is not None:
        return str(target.exam)
    return None if known_exam is None else f"outside:{known_exam.id}"


def plan_import(session: Session, results: OutsideResults, target: TargetExam, now: datetime) -> OutsideImportPlan:
    """What a file would change; writes nothing. Raises `Refusal` where the exam is known by other figures, or still to come."""
    known_exam = _known_exam(session, target)
    if target.held_on > day_of(now):
        raise Refusal(f"「{target.name}」的日期 {target.held_on} 还没有到。")
    earlier_scores = {} if known_exam is None else outside_results.scores_of(session, known_exam.id)
    roster_index = _RosterIndex(outside_results.roster_on(session, target.held_on))
    matches = [(line, roster_index.match(line, target.held_on)) for line in results.lines]
    rows: dict[int, list[int]] = {}
    for line, person in matches:
        if isinstance(person, RosterPerson):
            rows.setdefault(person.id, []).append(line.row)
    source = source_of(target, known_exam)
    matched: list[MatchedResult] = []
    conflicts: list[OutsideConflict] = []
    for line, person in matches:
        reason = person if isinstance(person, str) else _row_conflict(line, rows[person.id], person, target, earlier_scores.get(person.id))
        if isinstance(person, str) or reason or line.wrong or line.score is None:
            conflicts.append(OutsideConflict(line.row, line.staff_no, line.name, "；".join(filter(None, [*line.wrong, reason]))))
            continue
        passed, is_new = line.score >= target.pass_line, person.id not in earlier_scores
        credits = passed and is_new and (source is None or not credit.exam_seconds(session, person.id, source))
        matched.append(MatchedResult(line.row, person, line.score, passed, is_new, credits))
    return OutsideImportPlan(target, tuple(matched), tuple(conflicts), results.notes)


def _row_conflict(line: OutsideLine, rows: Sequence[int], person: RosterPerson, target: TargetExam, earlier_score: int | None) -> str:
    """What speaks against taking a row for a person; empty when nothing does."""
    if len(rows) > 1:
        others = "、".join(str(row) for row in rows if row != line.row)
        return f"与第 {others} 行是同一个人（工号 {person.staff_no}），一人只能有一行"
    if line.score is None:
        return ""
    if line.score > target.total:
        return f"成绩 {points_text(line.score)} 超过满分 {points_text(target.total)}"
    if earlier_score is not None and earlier_score != line.score:
        return f"以前导入的成绩是 {points_text(earlier_score)}，这次是 {points_text(line.score)}，没有改动"
    return ""


def _known_exam(session: Session, target: TargetExam) -> OutsideExam | None:
    known_exam = outside_results.find_by_name(session, target.name) if target.exam is None else outside_results.find_by_exam(session, target.exam)
    if known_exam is not None and (known_exam.held_on, known_exam.pass_line, known_exam.total) != (target.held_on, target.pass_line, target.total):
        raise Refusal(
            f"「{known_exam.name}」以前导入时记的是 {known_exam.held_on}、满分 {points_text(known_exam.total)}、"
            f"合格线 {points_text(known_exam.pass_line)}，与这次写的不同。"
            "如果是另一场考试，请用另一个名称。"
        )
    if known_exam is None and target.exam is not None and (other := outside_results.find_by_name(session, target.name)) is not None:
        raise Refusal(f"「{other.name}」已作为另一场外部考试导入过，不能再记到编号 {target.exam} 的考试上。")
    return known_exam


def import_results(
    session: Session, policy: HoursPolicy, results: OutsideResults, target: TargetExam, author: Author, file: str, now: datetime
) -> OutsideImportPlan:
    """Keep the results that are matched and credit who passed (rule D4), once; rows in conflict stay out. A second time changes nothing.

    Worked out anew in the caller's transaction, so that what changed since the dry run counts.
    """
    roster.lock_roster(session)
    plan = plan_import(session, results, target, now)
    if not plan.fresh:
        return plan
    known_exam = _known_exam(session, target)
    outside_id = (
        known_exam.id
        if known_exam is not None
        else outside_results.add_exam(session, target.name, target.held_on, target.pass_line, target.total, target.exam, author.actor, now)
    )
    source = str(target.exam) if target.exam is not None else f"outside:{outside_id}"
    credited = 0
    for result in plan.fresh:
        outside_results.add_result(session, outside_id, result.person.id, result.score, result.passed, (file[:200], result.row), author.actor, now)
        if result.passed and credit.earn_exam(session, policy, result.person.id, source, target.held_on, now, by=author.actor) is not None:
            credited += 1
    passed = sum(result.passed for result in plan.fresh)
    detail = f"{target.name}；{file}；新增 {len(plan.fresh)} 人，合格 {passed}，计学时 {credited}，冲突 {len(plan.conflicts)}"
    audit.record(session, now, author.actor, author.via, "导入外部成绩", f"outside:{outside_id}", detail=detail)
    return plan


class _RosterIndex:
    """Everybody, to be found by number, or by name within a unit."""

    def __init__(self, people: Iterable[RosterPerson]) -> None:
        self.by_number: dict[str, RosterPerson] = {}
        self.by_name: dict[str, list[RosterPerson]] = {}
        for person in people:
            self.by_number[person.staff_no.casefold()] = person
            self.by_name.setdefault(person.name, []).append(person)

    def match(self, line: OutsideLine, day: date) -> RosterPerson | str:
        """The one person that a row means, or why there is none: empty where the cells that would say it are wrong."""
        if not line.names_somebody:
            return "" if line.wrong else "没有工号，也没有姓名"
        if line.staff_no:
            person = self.by_number.get(line.staff_no.casefold())
            if person is None:
                return f"花名册里没有工号 {line.staff_no}"
            if line.name and line.name != person.name:
                return f"工号 {line.staff_no} 在花名册里是 {person.name}，表里写的是 {line.name}"
            return person if person.units else f"{person.name} 在 {day} 不在职"
        if not line.unit:
            return "没有工号也没有单位，不能只按姓名认人"
        namesakes = [person for person in self.by_name.get(line.name, []) if person.units]
        in_unit = [person for person in namesakes if any(_names_unit(unit, line.unit) for unit in person.units)]
        if len(in_unit) == 1:
            return in_unit[0]
        if in_unit:
            return f"{line.unit} 有 {len(in_unit)} 个 {line.name}（工号 {'、'.join(person.staff_no for person in in_unit)}），请填工号"
        elsewhere = "；花名册里别的单位有同名的人，请核对" if namesakes else ""
        return f"{line.unit} 没有 {line.name} 这个人{elsewhere}"


def _names_unit(path: str, unit: str) -> bool:
    """Whether a unit's path is the one that a file calls by its path, or by the end of it, or lies below it."""
    parts, wanted = path.split("/"), unit.split("/")
    return any(parts[start : start + len(wanted)] == wanted for start in range(len(parts) - len(wanted) + 1))


def _parse_score(cell: Cell) -> int:
    if not is_filled(cell):
        raise cells.BadCell("没有填（缺考的请删去这一行）")
    return cells.parse_points(cell)


def _or_empty(parse: Callable[[Cell], str]) -> Callable[[Cell], str]:
    return lambda cell: parse(cell) if is_filled(cell) else ""


LAYOUT = TableLayout(
    "成绩表",
    (
        staff_no_column(required=False, judge=_or_empty(cells.parse_staff_no)),
        name_column(required=False, judge=_or_empty(cells.parse_name)),
        unit_column(required=False, judge=_or_empty(cells.parse_unit)),
        TableColumn("成绩", _parse_score, ("分数", "得分", "考试成绩", "总分", "最终成绩", "考试得分", "最高分"), required=True),
    ),
    either=("工号", "姓名"),
)


@dataclass(frozen=True, slots=True)
class OutsideLine:
    """A row as the file gives it (counted as the table program counts): the score in thousandths of a point, and what is wrong with its cells."""

    row: int
    staff_no: str = ""
    name: str = ""
    unit: str = ""
    score: int | None = None
    wrong: tuple[str, ...] = ()

    @property
    def names_somebody(self) -> bool:
        return bool(self.staff_no or self.name) and not any(reason.startswith(("「工号」", "「姓名」")) for reason in self.wrong)


@dataclass(frozen=True, slots=True)
class OutsideResults:
    """All rows of a file, and what a reader ought to know of the reading."""

    lines: tuple[OutsideLine, ...]
    notes: tuple[str, ...] = ()


def read_results(sheet: TableSheet) -> OutsideResults:
    """The rows of a table. Raises `Refusal` for what is no table of results; a bad cell spoils its own row only."""
    reading = read_rows(sheet, LAYOUT)
    return OutsideResults(tuple(map(_outside_line, reading.rows)), reading.notes)


def _outside_line(row: TableRow) -> OutsideLine:
    wrong = tuple(f"「{fault.column}」{fault.reason}" for fault in row.faults)
    return OutsideLine(row.number, row.get("工号", ""), row.get("姓名", ""), row.get("单位", ""), row.get("成绩"), wrong)
