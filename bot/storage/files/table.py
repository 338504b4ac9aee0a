"""Table files (xlsx or csv) as rows of cells; the type is told by content, and sizes are checked before anything is unpacked.

Of an xlsx more is read than its values: which rows and columns are hidden, which numbers are shown with zeros in front (`00000` shows 00121, and
that is what was meant), and which formulas stand there without a value. Services read through `bot.storage.files.sandbox`, which does this work in
a child process with limits.
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.parsers import expat

import python_calamine as calamine

from bot.domain.message import Refusal

MAX_BYTES = 20_000_000
MAX_ROWS = 200_000
MAX_CELLS = 4_000_000
MAX_TEXT_CHARS = 20_000_000
MAX_MEMBERS = 1_000

HEADER_WITHIN = 10
"""How many rows from the top a header may stand: titles and notes above it are common."""

Header = Sequence[frozenset[str]]
"""What a header must have: of each group one title, folded by `fold_title`."""


@dataclass(frozen=True, slots=True)
class SpoiledCell:
    """A cell that shows something and holds no value that could be used, with the reason in Chinese."""

    reason: str


Cell = int | float | str | bool | time | date | datetime | timedelta | SpoiledCell

UNCOMPUTED = SpoiledCell("这一格是公式，文件里没有存它算出的值，请用表格软件打开后保存一次，或“粘贴为值”")
FAILED = SpoiledCell("这一格的公式算不出值（显示为 # 开头的错误），请改好，或“粘贴为值”")

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OTHER_SIGNATURES = {
    b"%PDF": "PDF",
    b"\x89PNG": "图片",
    b"\xff\xd8\xff": "图片",
    b"Rar!": "RAR 压缩包",
    b"7z\xbc\xaf": "7z 压缩包",
    b"\x1f\x8b": "gzip 压缩包",
}
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_OFFICE_PART = re.compile(rb"PK\x03\x04.{26}(xl|word|ppt)/", re.DOTALL)
_OFFICE_KINDS = {b"xl": "xlsx 文件", b"word": "Word 文档", b"ppt": "PowerPoint 文稿"}
_MARKUP = ("<html", "<!doctype", "<?xml", "<table")


@dataclass(frozen=True, slots=True)
class TableSheet:
    """The cells of a file by row, the first row being row 1 of the file, and what a reader ought to know of the reading.

    Hidden rows are counted from 1, hidden columns from 0, as `rows` has them.
    """

    rows: list[list[Cell]]
    notes: tuple[str, ...] = ()
    hidden_rows: tuple[int, ...] = ()
    hidden_columns: tuple[int, ...] = ()


def fold_title(cell: Cell) -> str:
    """A column's title as titles are compared: narrow letters, no spaces, no star for "required", nothing in brackets."""
    return re.sub(r"\s+|[(\[].*?[)\]]", "", unicodedata.normalize("NFKC", str(cell) if isinstance(cell, str) else "")).strip("*:")


def is_filled(cell: Cell) -> bool:
    """Whether a cell shows anything."""
    return not isinstance(cell, str) or bool(cell.strip())


def has_header(rows: Sequence[Sequence[Cell]], header: Header) -> bool:
    """Whether one of the first rows has every title that a table must have."""
    for row in rows[:HEADER_WITHIN]:
        titles = {fold_title(cell) for cell in row}
        if all(group & titles for group in header):
            return True
    return False


def parse_table(path: Path, sheet: str = "", header: Header = ()) -> TableSheet:
    """The cells of an xlsx or csv file; raises `Refusal` with one sentence for anything else, and never looks at the file's name.

    Of several sheets the one that `sheet` names (or counts, from 1), else the first that has the header, else the first with anything in it.
    """
    data = _read_bytes(path)
    if data.startswith(b"PK\x03\x04"):
        return _parse_xlsx(data, sheet.strip(), header)
    if data.startswith(_OLE):
        if _ENCRYPTED in data:
            raise Refusal("这个 Excel 文件加了密码，请先取消密码再导入。")
        raise Refusal("这是旧版 Office 文件（.xls 等），请另存为 .xlsx 再导入。")
    for signature, name in _OTHER_SIGNATURES.items():
        if data.startswith(signature):
            raise Refusal(f"这是{name}，不是表格。请用 .xlsx 或 .csv。")
    if sheet.strip():
        raise Refusal("这是文本文件，只有一张表，不用写 --sheet。")
    return TableSheet(_parse_csv(_decode_text(data)))


def _read_bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise Refusal(f"找不到文件 {path}，或它不是普通文件。")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refusal(f"文件 {path} 读不了：{error.strerror or type(error).__name__}。") from None
    if len(data) > MAX_BYTES:
        raise Refusal(f"文件超过 {MAX_BYTES // 1_000_000} MB，请检查是不是选错了文件。")
    if not data.strip():
        raise Refusal("文件是空的。")
    return data


def _decode_text(data: bytes) -> str:
    """UTF-8 (with or without its mark) or GBK, strictly; text that is neither is refused by line."""
    if data.startswith(_UTF16_MARKS):
        raise Refusal("这个文本文件是 UTF-16 编码，请另存为“CSV UTF-8”再导入。")
    if b"\0" in data:
        raise Refusal("这不是 xlsx，也不是文本文件。请用 .xlsx 或 .csv。")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as as_utf8:
        try:
            # The national standard's superset: the rare characters of names stand in it.
            text = data.decode("gb18030")
        except UnicodeDecodeError as as_gbk:
            line = data.count(b"\n", 0, max(as_utf8.start, as_gbk.start)) + 1
            raise Refusal(f"第 {line} 行的文字既不是 UTF-8 也不是 GBK 编码，请另存为“CSV UTF-8”再导入。") from None
    if text.lstrip()[:20].lower().startswith(_MARKUP):
        raise Refusal("这是网页或 XML（有的系统导出的“xls”其实是网页），请另存为 .xlsx 再导入。")
    return text


def _parse_csv(text: str) -> list[list[Cell]]:
    head = next((line for line in text.splitlines() if line.strip()), "")
    # The commonest of the three separators in the first line; the comma when there is none.
    separator = max(",\t;", key=head.count)
    rows: list[list[Cell]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            rows.append(list(row))
            if len(rows) > MAX_ROWS + 1:
                raise _too_many_rows()
    except csv.Error:
        raise Refusal(f"第 {reader.line_num} 行的引号不成对，或有一格过长，请用表格软件重新另存为 CSV。") from None
    return rows


def _too_many_rows() -> Refusal:
    return Refusal(f"超过 {MAX_ROWS:,} 行，请拆成几个文件，或检查是不是选错了文件。")


def _parse_xlsx(data: bytes, sheet: str, header: Header) -> TableSheet:
    """Only what was checked is handed on: the members are unpacked once, counted, and packed anew for the reader."""
    try:
        checked, parts = _repack_checked(data)
        with calamine.load_workbook(checked) as book:
            return _read_sheet(book, parts, sheet, header)
    except calamine.PasswordError:
        raise Refusal("这个 Excel 文件加了密码，请先取消密码再导入。") from None
    except (calamine.CalamineError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, expat.ExpatError, ValueError, OSError):
        kind = _likely_kind(data)
        advice = "请用表格软件打开后重新另存一次" if kind == "xlsx 文件" else "也不是 xlsx 表格，请用 .xlsx 或 .csv"
        raise Refusal(f"这个 {kind}已损坏，{advice}。") from None


def _likely_kind(data: bytes) -> str:
    """What a file that cannot be unpacked was meant to be, by the first part whose name tells."""
    match = _OFFICE_PART.search(data)
    return _OFFICE_KINDS[match[1]] if match else "zip 压缩包"


def _repack_checked(data: bytes) -> tuple[io.BytesIO, _WorkbookParts]:
    packed = io.BytesIO()
    parts = _WorkbookParts()
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        members = outer.infolist()
        _check_members(members)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as inner:
            # The formats come before the cells that have them.
            for member in sorted(members, key=lambda member: member.filename != _STYLES):
                if member.is_dir():
                    continue
                content = outer.read(member)
                if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
                    parts.add_part(member.filename, content)
                inner.writestr(member.filename, content)
    packed.seek(0)
    return packed, parts


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_BYTES:
        raise Refusal(f"文件解开后超过 {MAX_BYTES // 1_000_000} MB（或部件过多），不予读取。")
    if any(member.flag_bits & 1 for member in members):
        raise Refusal("这个文件加了密码，请先取消密码再导入。")
    if any(name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") for name in names) or any(
        stat.S_ISLNK(member.external_attr >> 16) for member in members
    ):
        raise Refusal("这个文件里有指向外面的路径，不予读取。")
    if "xl/workbook.xml" not in names:
        kind = "Word 文档" if any(name.startswith("word/") for name in names) else "压缩包或别的文件"
        raise Refusal(f"这是{kind}，不是 xlsx 表格。请用 .xlsx 或 .csv。")
    if len(set(names)) != len(names):
        raise Refusal("这个 xlsx 文件里有重名的部件，不予读取。")
    if any(name.lower().endswith(("vbaproject.bin", ".exe", ".dll")) for name in names):
        raise Refusal("这个文件带宏，请另存为不带宏的 .xlsx 再导入。")


_STYLES, _WORKBOOK, _RELATIONS = "xl/styles.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
_ZEROS = re.compile(r"0{2,40}")


@dataclass(slots=True)
class _SheetFacts:
    """What the library does not tell of a sheet; cells by (row, column), both from 0. `zeros`: by column and digits shown the rows, first to last."""

    hidden_rows: list[int] = field(default_factory=list)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    zeros: dict[tuple[int, int], list[list[int]]] = field(default_factory=dict)
    spoiled: dict[tuple[int, int], SpoiledCell] = field(default_factory=dict)


class _WorkbookParts:
    """The parts of a workbook, gone through once before the library reads them.

    Measured is how much a reader would have to lay out: it fills the whole area between the cells, and copies a shared string into every cell that
    names it. Counted over all parts, as the reader counts: by `r` where it is given. A part with a DTD is refused.
    """

    def __init__(self) -> None:
        self._rows = self._columns = 1
        self._row = self._column = 0
        self._shared = self._longest = self._length = 0
        self._part = ""
        self._facts: dict[str, _SheetFacts] = {}
        self._sheet = _SheetFacts()
        self._targets: dict[str, str] = {}
        self._relations: dict[str, str] = {}
        self._zeros_of_format: dict[str, int] = {}
        self._zeros_of_style: dict[str, int] = {}
        self._styles = 0
        self._in_styles = False
        self._cell_type = ""
        self._is_formula = self._has_value = False

    def facts_of(self, name: str) -> _SheetFacts:
        """Of a sheet by its name."""
        target = self._relations.get(self._targets.get(name, ""), "")
        return self._facts.get(posixpath.normpath(target.lstrip("/") if target.startswith("/") else f"xl/{target}"), _SheetFacts())

    def add_part(self, name: str, content: bytes) -> None:
        self._row = self._column = 0
        self._part, self._sheet, self._in_styles = name, _SheetFacts(), False
        # The reader takes every part for UTF-8, whatever the part says of itself.
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._open
        if b"<si>" in content or b":si>" in content or b"<si " in content:
            parser.CharacterDataHandler = self._text
        if b"<f" in content or b":f" in content or name == _STYLES:
            parser.EndElementHandler = self._close
        if parser.EndElementHandler is not None and parser.CharacterDataHandler is None:
            parser.CharacterDataHandler = self._value
        parser.Parse(content, True)
        if self._row:
            self._facts[posixpath.normpath(name)] = self._sheet
        if self._rows * self._columns > MAX_CELLS or self._rows > 5 * MAX_ROWS:
            raise Refusal("表格的范围过大：离正文很远的地方还有内容，请删掉多余的行和列再导入。")
        if self._shared * self._longest > MAX_TEXT_CHARS:
            raise Refusal(f"表格里有一格文字过长（{self._longest} 字），请删掉它再导入。")

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if tag == "c":
            self._open_cell(attributes)
        elif tag == "row":
            given = attributes.get("r", "")
            self._row = int(given) if given.isascii() and given.isdigit() else self._row + 1
            self._column = 0
            if attributes.get("hidden") in ("1", "true"):
                self._sheet.hidden_rows.append(self._row)
        elif tag in ("v", "is", "f"):
            self._rows = max(self._rows, self._row)
            self._columns = max(self._columns, self._column)
            self._is_formula = self._is_formula or tag == "f"
            self._has_value = self._has_value or tag == "is"
        elif tag == "si":
            self._length = 0
        else:
            self._open_other(tag, attributes)

    def _open_cell(self, attributes: dict[str, str]) -> None:
        place = attributes.get("r", "")
        letters = place.rstrip("0123456789")
        self._column = _column_number(letters) if letters else self._column + 1
        self._row = int(place[len(letters) :] or self._row)
        self._cell_type = attributes.get("t", "n")
        self._is_formula = self._has_value = False
        self._shared += self._cell_type == "s"
        style = attributes.get("s", "")
        if self._cell_type == "e":
            self._sheet.spoiled[self._row - 1, self._column - 1] = FAILED
        elif self._cell_type == "n" and (zeros := self._zeros_of_style.get(style, 0)):
            spans = self._sheet.zeros.setdefault((self._column - 1, zeros), [])
            if spans and spans[-1][1] == self._row - 2:
                spans[-1][1] = self._row - 1
            else:
                spans.append([self._row - 1, self._row - 1])

    def _open_other(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "col" and attributes.get("hidden") in ("1", "true"):
            self._sheet.hidden_columns.append((int(attributes.get("min", "1")) - 1, int(attributes.get("max", "1"))))
        elif self._part == _WORKBOOK and tag == "sheet":
            relation = next((value for key, value in attributes.items() if key.rpartition(":")[2] == "id"), "")
            self._targets[attributes.get("name", "")] = relation
        elif self._part == _RELATIONS and tag == "Relationship":
            self._relations[attributes.get("Id", "")] = attributes.get("Target", "")
        elif self._part == _STYLES:
            if tag == "numFmt":
                self._zeros_of_format[attributes.get("numFmtId", "")] = _zeros_shown(attributes.get("formatCode", ""))
            elif tag == "cellXfs":
                self._in_styles = True
            elif tag == "xf" and self._in_styles:
                if zeros := self._zeros_of_format.get(attributes.get("numFmtId", ""), 0):
                    self._zeros_of_style[str(self._styles)] = zeros
                self._styles += 1

    def _close(self, name: str) -> None:
        tag = name.rpartition(":")[2]
        if tag == "c" and self._is_formula and not self._has_value and self._cell_type not in ("str", "e"):
            self._sheet.spoiled[self._row - 1, self._column - 1] = UNCOMPUTED
        elif tag == "f":
            # What was seen so far was the formula itself.
            self._has_value = False
        elif tag == "cellXfs":
            self._in_styles = False

    def _text(self, text: str) -> None:
        self._length += len(text)
        self._longest = max(self._longest, self._length)

    def _value(self, text: str) -> None:
        self._has_value = self._has_value or bool(text.strip())


def _zeros_shown(form: str) -> int:
    """How many digits a number format shows at the least (`00000`, also with a locale in front or further sections); 0 where it does not pad."""
    shown = re.sub(r"\[[^\]]*\]", "", form.partition(";")[0]).strip()
    return len(shown) if _ZEROS.fullmatch(shown) else 0


def _refuse_doctype(*_: Any) -> None:
    raise Refusal("这个 xlsx 文件里有不该有的 DTD，不予读取。")


def _column_number(letters: str) -> int:
    if len(letters) > 3:
        raise ValueError(letters[:10])
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def _read_sheet(book: calamine.CalamineWorkbook, parts: _WorkbookParts, wanted: str, header: Header) -> TableSheet:
    metadata = [sheet for sheet in book.sheets_metadata if sheet.typ == calamine.SheetTypeEnum.WorkSheet]
    visible = [sheet.name for sheet in metadata if sheet.visible == calamine.SheetVisibleEnum.Visible]
    if not visible:
        raise Refusal("这个 xlsx 里没有可见的工作表。")
    name = _sheet_named(wanted, [sheet.name for sheet in metadata], visible) if wanted else ""
    fitting: list[str] = []
    filled: list[str] = []
    if len(visible) > 1:
        for candidate in visible:
            sheet = book.get_sheet_by_name(candidate)
            if sheet.end is not None:
                filled.append(candidate)
                if header and has_header(sheet.to_python(skip_empty_area=False, nrows=HEADER_WITHIN), header):
                    fitting.append(candidate)
    name = name or next(iter([*fitting, *filled]), visible[0])
    sheet = book.get_sheet_by_name(name)
    if sheet.end is not None and sheet.end[0] > MAX_ROWS:
        raise _too_many_rows()
    facts = parts.facts_of(name)
    rows: list[list[Cell]] = [list(row) for row in sheet.to_python(skip_empty_area=False)]
    _restore(rows, facts)
    if not any(cell != "" for row in rows for cell in row):
        raise Refusal(f"工作表「{name}」是空的。")
    columns = {column for first, beyond in facts.hidden_columns for column in range(first, min(beyond, max(map(len, rows))))}
    return TableSheet(
        rows,
        _sheet_notes(name, [other for other in filled if other != name], [other for other in fitting if other != name]),
        tuple(sorted(set(facts.hidden_rows))),
        tuple(sorted(columns)),
    )


def _sheet_named(wanted: str, names: Sequence[str], visible: Sequence[str]) -> str:
    """A sheet by its name, or by its place among those that are seen."""
    if wanted in names:
        return wanted
    place = unicodedata.normalize("NFKC", wanted)
    if place.isascii() and place.isdigit() and len(place) < 5 and 1 <= int(place) <= len(visible):
        return visible[int(place) - 1]
    raise Refusal(f"没有「{wanted[:40]}」这张工作表，--sheet 可写名称或 1 到 {len(visible)} 的序号：{_quoted(visible)}。")


def _sheet_notes(name: str, others: Sequence[str], fitting: Sequence[str]) -> tuple[str, ...]:
    if fitting:
        rest = [other for other in others if other not in fitting]
        also = f"；没有读{_quoted(rest)}" if rest else ""
        return (f"只读了工作表「{name}」，没有读{_quoted(fitting)}（表头也合适，要读它请加 --sheet 名称或序号）{also}",)
    return (f"只读了工作表「{name}」，没有读{_quoted(others)}",) if others else ()


def _quoted(names: Iterable[str]) -> str:
    return "".join(f"「{name}」" for name in names)


def _restore(rows: list[list[Cell]], facts: _SheetFacts) -> None:
    """Put back what the library leaves out: zeros in front of a number, and cells that hold no value."""
    for (column, zeros), spans in facts.zeros.items():
        for first, last in spans:
            for row in rows[first : last + 1]:
                cell = row[column] if column < len(row) else ""
                if isinstance(cell, int | float) and not isinstance(cell, bool) and cell >= 0 and cell == int(cell) and cell < 10**15:
                    row[column] = str(int(cell)).zfill(zeros)
    for (place, column), spoiled in facts.spoiled.items():
        rows.extend([] for _ in range(place + 1 - len(rows)))
        rows[place].extend("" for _ in range(column + 1 - len(rows[place])))
        rows[place][column] = spoiled
