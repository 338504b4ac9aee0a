"""One reader for every table that people bring: titles and judges of its columns are declared, and all that is wrong is said at once.

A layout names the columns. `read_table` fetches the cells of a file (in the child process), `read_rows` judges them: what the cell itself says, and
what it means here (`meaning`: is there such a person, such a unit), so that nobody corrects a file twice. Nothing here writes anything.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.domain.message import Refusal
from bot.storage.files import cells, sandbox
from bot.storage.files.table import HEADER_WITHIN, Cell, Header, SpoiledCell, TableSheet, fold_title, is_filled

MAX_FAULTS = 1_000
_MAX_NAMED = 10
_ALIKE = 0.5
_TOTALS = re.compile(
    r"(?:合计|总计|小计|共计|总人数|人数合计|合计人数)(?::?共?\d*[人名条行项次个]?)|(?:共|合计|总计|总共|合计共)计?:?\d+[人名条行项次个].*"
)
_FOOTERS = re.compile(r"(?:制表|填表|填报|审核|审批|复核|统计|经办|负责)(?:人|单位|日期|时间|部门)?:.*|(?:说明|注|备注|填表说明)\d*:.*")


@dataclass(frozen=True, slots=True, order=True)
class RowFault:
    """A row from 1 on, as the table program counts; the column's name; a Chinese reason."""

    row: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"第 {self.row} 行「{self.column}」：{self.reason}"


class BadTableRows(Refusal):
    """A table was readable, but these cells are not right; nothing of it may be used."""

    def __init__(self, title: str, faults: Iterable[RowFault]) -> None:
        self.faults = sorted(set(faults))[:MAX_FAULTS]
        some = f"（只列出前 {MAX_FAULTS} 处）" if len(self.faults) >= MAX_FAULTS else ""
        super().__init__("\n".join([f"{title}有 {len(self.faults)} 处不对{some}，什么都没有改动：", *map(str, self.faults)]))


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: what it is called here, what else files call it, how one cell of it is judged, and whether a table must have it.

    `judge` gives the value of a cell or raises `cells.BadCell`.
    """

    name: str
    judge: Callable[[Cell], Any]
    aliases: tuple[str, ...] = ()
    required: bool = False

    @property
    def titles(self) -> frozenset[str]:
        return frozenset((self.name, *self.aliases))


@dataclass(frozen=True, slots=True)
class TableLayout:
    """A kind of table: what people call it, what one row of it is, its columns, and those of which it needs at least one."""

    title: str
    columns: tuple[TableColumn, ...]
    either: tuple[str, ...] = ()
    each: str = "一行"

    @property
    def header(self) -> Header:
        """The titles by which a sheet is known to be such a table."""
        required = [column.titles for column in self.columns if column.required]
        either = [column.titles for column in self.columns if column.name in self.either]
        return [*required, *([frozenset().union(*either)] if either else [])]

    @property
    def columns_text(self) -> str:
        """The columns as a refusal names them."""
        required = "、".join(column.name for column in self.columns if column.required)
        either = f"；{'、'.join(self.either)} 至少要有一列" if self.either else ""
        optional = "、".join(column.name for column in self.columns if not column.required and column.name not in self.either)
        return f"要有的列：{required}{either}" + (f"；可以没有的：{optional}" if optional else "")


STAFF_NO_TITLES = ("员工编号", "员工号", "员工工号", "职工号", "职工编号", "职工工号", "人员编号", "人员工号", "干部编号", "编号")
NAME_TITLES = ("名字", "人员姓名", "员工姓名", "职工姓名", "考生姓名", "学员姓名", "学员")
UNIT_TITLES = (
    "部门", "所在单位", "所属单位", "工作单位", "单位名称", "所在部门", "所属部门", "部门名称", "处室", "所在处室", "科室", "组织", "单位/部门",
    "责任单位", "责任处室", "责任部门",
)  # fmt: skip


def staff_no_column(*, required: bool = True, judge: Callable[[Cell], Any] = cells.parse_staff_no) -> TableColumn:
    return TableColumn("工号", judge, STAFF_NO_TITLES, required)


def name_column(*, required: bool = True, judge: Callable[[Cell], Any] = cells.parse_name) -> TableColumn:
    return TableColumn("姓名", judge, NAME_TITLES, required)


def unit_column(name: str = "单位", *, required: bool = True, judge: Callable[[Cell], Any] = cells.parse_unit) -> TableColumn:
    return TableColumn(name, judge, tuple(title for title in ("单位", *UNIT_TITLES) if title != name), required)


@dataclass(slots=True)
class TableRow:
    """One row: the values of the cells that are right by column, and what is wrong with the others. A column that the file lacks has no value."""

    number: int
    values: dict[str, Any] = field(default_factory=dict)
    faults: list[RowFault] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.faults

    def get(self, column: str, otherwise: Any = None) -> Any:
        return self.values.get(column, otherwise)

    def add_fault(self, column: str, reason: str) -> None:
        self.faults.append(RowFault(self.number, column, reason))


@dataclass(frozen=True, slots=True)
class TableReading:
    """A table as it was judged: its rows in order, the columns it had, and what a reader ought to know."""

    layout: TableLayout
    rows: tuple[TableRow, ...]
    columns: frozenset[str]
    notes: tuple[str, ...]

    @property
    def faults(self) -> list[RowFault]:
        return [fault for row in self.rows for fault in row.faults]

    @property
    def whole_rows(self) -> Iterator[TableRow]:
        return (row for row in self.rows if row.is_whole)

    def require_faultless(self, further: Iterable[RowFault] = ()) -> None:
        """Raises `BadTableRows` with every fault at once, those of the cells and those that were found since."""
        faults = [*self.faults, *further]
        if faults:
            raise BadTableRows(self.layout.title, faults)


def read_table(path: Path, layout: TableLayout, sheet: str = "") -> TableSheet:
    """The cells of a file, of the sheet that is named or fits. Needs nothing but the file. Raises `Refusal`."""
    return sandbox.read_sheet(path, sheet, layout.header)


def read_rows(sheet: TableSheet, layout: TableLayout, meaning: Mapping[str, Callable[[Any], Any]] | None = None) -> TableReading:
    """Every row judged. `meaning` says by column what a right cell stands for here; it raises `BadCell` or `Refusal` for what does not exist.

    Raises `Refusal` for a table without its header or without a row.
    """
    header_index, places, unused = _find_header(sheet.rows, layout)
    titles = [fold_title(cell) for cell in sheet.rows[header_index]]
    skipped = [(number, row) for number, row in enumerate(sheet.rows[:header_index], start=1) if any(map(is_filled, row))]
    rows: list[TableRow] = []
    fault_count = 0
    for number, row in enumerate(sheet.rows[header_index + 1 :], start=header_index + 2):
        if not any(map(is_filled, row)):
            continue
        if _is_no_entry(row, titles):
            skipped.append((number, row))
            continue
        rows.append(_judge_row(number, row, layout, places, meaning or {}))
        fault_count += len(rows[-1].faults)
        if fault_count >= MAX_FAULTS:
            break
    if not rows:
        raise Refusal(f"{layout.title}里除了表头没有{layout.each}。")
    notes = [
        *sheet.notes,
        *([f"不是{layout.title}的内容，没有读：{_named_rows(skipped)}"] if skipped else []),
        *([f"没有用到的列：{'、'.join(unused)}"] if unused else []),
        *_hidden_notes(sheet, rows, {place: name for name, place in places.items()}),
    ]
    return TableReading(layout, tuple(rows), frozenset(places), tuple(notes))


def _judge_row(
    number: int, row: Sequence[Cell], layout: TableLayout, places: Mapping[str, int], meaning: Mapping[str, Callable[[Any], Any]]
) -> TableRow:
    judged = TableRow(number)
    for column in layout.columns:
        place = places.get(column.name)
        if place is None:
            continue
        cell: Cell = row[place] if place < len(row) else ""
        try:
            if isinstance(cell, SpoiledCell):
                raise cells.BadCell(cell.reason)
            value = column.judge(cell)
            judged.values[column.name] = meaning[column.name](value) if column.name in meaning else value
        except (cells.BadCell, Refusal) as bad:
            judged.add_fault(column.name, str(bad).rstrip("。"))
    return judged


def _find_header(rows: Sequence[Sequence[Cell]], layout: TableLayout) -> tuple[int, dict[str, int], list[str]]:
    """Where the header stands, which column is where, and the columns that are not used."""
    candidates = [(index, [fold_title(cell) for cell in row]) for index, row in enumerate(rows[:HEADER_WITHIN]) if any(map(is_filled, row))]
    if not candidates:
        raise Refusal(f"没有找到表头：前 {HEADER_WITHIN} 行是空的。{layout.columns_text}。")
    # The first of those that name the most columns.
    index, titles = max(candidates, key=lambda candidate: (sum(bool(column.titles & set(candidate[1])) for column in layout.columns), -candidate[0]))
    places: dict[str, int] = {}
    doubled: list[tuple[str, list[str]]] = []
    for column in layout.columns:
        # Its own name goes before what others call it: 单位 and 部门 may both be there.
        matches = [place for place, title in enumerate(titles) if title == column.name]
        matches = matches or [place for place, title in enumerate(titles) if title in column.aliases]
        if len(matches) > 1:
            doubled.append((column.name, [titles[place] for place in matches]))
        elif matches:
            places[column.name] = matches[0]
    if doubled:
        which = "；".join(f"「{name}」有两列：{'、'.join(names)}" for name, names in doubled)
        raise Refusal(f"表头（第 {index + 1} 行）里有重复的列：{'、'.join(name for name, _ in doubled)}。{which}。请只留要用的一列。")
    missing = [column.name for column in layout.columns if column.required and column.name not in places]
    if layout.either and not places.keys() & set(layout.either):
        missing.append("或".join(layout.either))
    if missing:
        seen = "、".join(title[:20] for title in titles if title)
        raise Refusal(f"没有找到表头：最像的是第 {index + 1} 行，缺少列：{'、'.join(missing)}；那里看到的是：{seen[:200]}。{layout.columns_text}。")
    return index, places, _unused_columns(rows[index + 1 :], titles, places, layout)


def _unused_columns(body: Sequence[Sequence[Cell]], titles: Sequence[str], places: Mapping[str, int], layout: TableLayout) -> list[str]:
    with_content = {place for row in body for place, cell in enumerate(row) if is_filled(cell)}
    wanted = [column.name for column in layout.columns if column.name not in places]
    unused = []
    for place in sorted({*with_content, *(place for place, title in enumerate(titles) if title)} - set(places.values())):
        title = titles[place] if place < len(titles) else ""
        near = difflib.get_close_matches(title, wanted, n=1, cutoff=_ALIKE) if title else []
        unused.append(f"「{title[:20]}」（是不是「{near[0]}」？）" if near else title[:20] or f"{column_letters(place)} 列（没有列名）")
    return unused


def _is_no_entry(row: Sequence[Cell], titles: Sequence[str]) -> bool:
    """Whether a row below the header is a total, a signature, a note, or the header over again."""
    folded = [_folded(cell) for cell in row]
    first = next(text for text in folded if text)
    if _TOTALS.fullmatch(first):
        return True
    if _FOOTERS.fullmatch(first) and sum(map(bool, folded)) < len([title for title in titles if title]):
        return True
    return [fold_title(cell) for cell in row if is_filled(cell)] == [title for title in titles if title]


def _folded(cell: Cell) -> str:
    text = cell if isinstance(cell, str) else "" if not is_filled(cell) else "·"
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def _named_rows(rows: Sequence[tuple[int, Sequence[Cell]]]) -> str:
    named = [f"第 {number} 行「{next(str(cell).strip() for cell in row if is_filled(cell))[:20]}」" for number, row in rows[:_MAX_NAMED]]
    return "、".join(named) + (f" 等 {len(rows)} 行" if len(rows) > _MAX_NAMED else "")


def _hidden_notes(sheet: TableSheet, rows: Sequence[TableRow], names: Mapping[int, str]) -> list[str]:
    """What stands in hidden rows and columns is read like the rest; whoever does not see it is told."""
    notes = []
    if hidden := sorted({row.number for row in rows} & set(sheet.hidden_rows)):
        some = "、".join(map(str, hidden[:_MAX_NAMED])) + (f" 等 {len(hidden)}" if len(hidden) > _MAX_NAMED else "")
        notes.append(f"第 {some} 行是隐藏的（或被筛选掉了），也读了")
    if columns := [f"{names[place]}（{column_letters(place)} 列）" for place in sheet.hidden_columns if place in names]:
        notes.append(f"{'、'.join(columns)}是隐藏的，也读了")
    return notes


def column_letters(index: int) -> str:
    """0 -> A, 26 -> AA: how a table program names a column."""
    letters = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
