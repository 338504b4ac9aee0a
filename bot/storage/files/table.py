"""Table files (xlsx or csv) as rows of cells; the type is told by content, and sizes are checked before anything is unpacked.

Services read through `bot.storage.files.sandbox`, which does this work in a child process with limits.
"""

from __future__ import annotations

import csv
import io
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass
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

Cell = int | float | str | bool | time | date | datetime | timedelta

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
    """The cells of a file by row, the first row being row 1 of the file, and what a reader ought to know of the reading."""

    rows: list[list[Cell]]
    notes: tuple[str, ...] = ()


def parse_table(path: Path) -> TableSheet:
    """The cells of an xlsx or csv file; raises `Refusal` with one sentence for anything else, and never looks at the file's name."""
    data = _read_bytes(path)
    if data.startswith(b"PK\x03\x04"):
        return _parse_xlsx(data)
    if data.startswith(_OLE):
        if _ENCRYPTED in data:
            raise Refusal("这个 Excel 文件加了密码，请先取消密码再导入。")
        raise Refusal("这是旧版 Office 文件（.xls 等），请另存为 .xlsx 再导入。")
    for signature, name in _OTHER_SIGNATURES.items():
        if data.startswith(signature):
            raise Refusal(f"这是{name}，不是表格。请用 .xlsx 或 .csv。")
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


def _parse_xlsx(data: bytes) -> TableSheet:
    """Only what was checked is handed on: the members are unpacked once, counted, and packed anew for the reader."""
    try:
        checked = _repack_checked(data)
        with calamine.load_workbook(checked) as book:
            return _read_first_sheet(book)
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


def _repack_checked(data: bytes) -> io.BytesIO:
    packed = io.BytesIO()
    measure = _SheetMeasure()
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        members = outer.infolist()
        _check_members(members)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as inner:
            for member in members:
                if member.is_dir():
                    continue
                content = outer.read(member)
                if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
                    measure.add_part(content)
                inner.writestr(member.filename, content)
    packed.seek(0)
    return packed


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


class _SheetMeasure:
    """How much a reader would have to lay out: it fills the whole area between the cells, and copies a shared string into every cell that names it.

    Counted over all parts, as the reader counts: by `r` where it is given. A part with a DTD is refused.
    """

    def __init__(self) -> None:
        self._rows = self._columns = 1
        self._row = self._column = 0
        self._shared = self._longest = self._length = 0

    def add_part(self, content: bytes) -> None:
        self._row = self._column = 0
        # The reader takes every part for UTF-8, whatever the part says of itself.
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._open
        if b"<si>" in content or b":si>" in content or b"<si " in content:
            parser.CharacterDataHandler = self._text
        parser.Parse(content, True)
        if self._rows * self._columns > MAX_CELLS or self._rows > 5 * MAX_ROWS:
            raise Refusal("表格的范围过大：离正文很远的地方还有内容，请删掉多余的行和列再导入。")
        if self._shared * self._longest > MAX_TEXT_CHARS:
            raise Refusal(f"表格里有一格文字过长（{self._longest} 字），请删掉它再导入。")

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if tag == "row":
            given = attributes.get("r", "")
            self._row = int(given) if given.isascii() and given.isdigit() else self._row + 1
            self._column = 0
        elif tag == "c":
            place = attributes.get("r", "")
            letters = place.rstrip("0123456789")
            self._column = _column_number(letters) if letters else self._column + 1
            self._row = int(place[len(letters) :] or self._row)
            self._shared += attributes.get("t") == "s"
        elif tag in ("v", "is", "f"):
            self._rows = max(self._rows, self._row)
            self._columns = max(self._columns, self._column)
        elif tag == "si":
            self._length = 0

    def _text(self, text: str) -> None:
        self._length += len(text)
        self._longest = max(self._longest, self._length)


def _refuse_doctype(*_: Any) -> None:
    raise Refusal("这个 xlsx 文件里有不该有的 DTD，不予读取。")


def _column_number(letters: str) -> int:
    if len(letters) > 3:
        raise ValueError(letters[:10])
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def column_letters(index: int) -> str:
    """0 -> A, 26 -> AA: how a table program names a column."""
    letters = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _read_first_sheet(book: calamine.CalamineWorkbook) -> TableSheet:
    visible = [
        metadata.name
        for metadata in book.sheets_metadata
        if metadata.visible == calamine.SheetVisibleEnum.Visible and metadata.typ == calamine.SheetTypeEnum.WorkSheet
    ]
    if not visible:
        raise Refusal("这个 xlsx 里没有可见的工作表。")
    sheet = book.get_sheet_by_name(visible[0])
    if sheet.end is not None and sheet.end[0] > MAX_ROWS:
        raise _too_many_rows()
    rows: list[list[Cell]] = list(sheet.to_python(skip_empty_area=False))
    if not any(cell != "" for row in rows for cell in row):
        raise Refusal(f"工作表「{visible[0]}」是空的。")
    others = [name for name in visible[1:] if book.get_sheet_by_name(name).end is not None]
    return TableSheet(rows, (f"只读了第一张工作表「{visible[0]}」，没有读「{'」「'.join(others)}」",) if others else ())
