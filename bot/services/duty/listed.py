"""The duty list as a file gives it: seven columns, every cell judged; a bad row names row, column and reason."""

from __future__ import annotations

import difflib
import re
import unicodedata
from datetime import date, datetime
from pathlib import Path

from bot.domain.calendar import last_of_month
from bot.domain.duty import FORMS, Line
from bot.domain.library import Library
from bot.domain.message import Refusal
from bot.services.roster import cells
from bot.services.roster.listed import MOST_FAULTS, Fault
from bot.storage.limited import read_sheet
from bot.storage.sheet import Cell, Sheet

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


class BadRows(Refusal):
    """The file was readable, but these cells are not right; nothing of it may be used."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join([f"责任清单有 {len(faults)} 处不对，什么都没有改动：", *map(str, faults[:MOST_FAULTS])]))


def read_list(path: Path, year: int, library: Library, new_forms: frozenset[str] = frozenset()) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    """The rows of a file and what a reader ought to know. Raises `Refusal`, and `BadRows` when single cells are wrong."""
    sheet = read_sheet(path)
    lines, notes = lines_of(sheet, year, library, new_forms)
    return lines, (*sheet.notes, *notes)


def lines_of(sheet: Sheet, year: int, library: Library, new_forms: frozenset[str] = frozenset()) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    at, places = _header(sheet.rows)
    faults: list[Fault] = []
    found: list[Line] = []
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
            faults.append(Fault(number, "法律", f"与第 {seen[key]} 行相同（同一处室、同一部法、同一形式只写一行，次数写在一起）"))
        seen.setdefault(key, number)
        found.append(line)
    if faults:
        raise BadRows(sorted(faults)[:MOST_FAULTS])
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
        faults: list[Fault],
        notes: list[str],
    ) -> None:
        self.number, self.row, self.places, self.year, self.library = number, row, places, year, library
        self.new_forms, self.faults, self.notes = new_forms, faults, notes

    def _cell(self, column: str) -> Cell:
        place = self.places.get(column)
        return self.row[place] if place is not None and place < len(self.row) else ""

    def _bad(self, column: str, reason: str) -> None:
        self.faults.append(Fault(self.number, column, reason))

    def line(self) -> Line | None:
        before = len(self.faults)
        unit, clause = _text(self._cell("责任处室")).strip("/"), _text(self._cell("依据"))
        if not unit:
            self._bad("责任处室", "没有填")
        if len(clause) > 200:
            self._bad("依据", "超过 200 个字")
        law, form, count, deadline = self._law(), self._form(), self._count(), self._deadline()
        if len(self.faults) > before or deadline is None:
            return None
        return Line(self.number, law, unit, form, count, deadline, _text(self._cell("联络员")), clause)

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
                day = last_of_month(int(found[1] or self.year), int(found[2]))
            else:
                try:
                    day = cells.day(said.removesuffix("前"))
                except cells.Bad as bad:
                    self._bad("期限", str(bad))
                    return None
        if day is None:
            self._bad("期限", "没有填")
        elif day.year != self.year:
            self._bad("期限", f"{day} 不在 {self.year} 年；别的年份请用 --year")
            return None
        return day
