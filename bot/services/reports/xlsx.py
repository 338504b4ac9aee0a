"""Reports as xlsx: text is always text, numbers are always numbers, and the same report is the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime, time
from itertools import chain, islice
from typing import Any, BinaryIO

from bot.domain.reports import Part, Row, Table, plain_text
from bot.services.reports.text import cell_text, display_width

NUMBER_FORMATS = {"text": "@", "int": "0", "hours": "0.00", "percent": "0.0%", "figure": "0.00"}
HEADER_ROW = 2
MEASURED_ROWS = 300
MIN_WIDTH, MAX_WIDTH = 8, 84
"""Two paths of units side by side fit into the widest column."""
CELL_LIMIT = 32_000


def write(table: Table, out: BinaryIO) -> None:
    """One sheet a part, rows written as they come and kept in no memory; a sheet 说明 says by which day, rules and seal."""
    buffer = io.BytesIO()
    import xlsxwriter

    book = xlsxwriter.Workbook(
        buffer,
        {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "nan_inf_to_errors": False},
    )
    # xlsx keeps the moment of its making; the day of the report makes two copies equal.
    book.set_properties({"title": plain_text(table.title), "author": "学法机器人", "created": datetime.combine(table.as_of, time())})
    styles = _styles(book)
    for part in table.parts:
        _write_part(book, table, part, styles)
    _write_notes(book, table, styles)
    book.close()
    out.write(buffer.getbuffer())


def _styles(book: Any) -> dict[str, Any]:
    lined = {"border": 1, "border_color": "#BFBFBF", "font_name": "宋体", "font_size": 11, "valign": "vcenter"}
    styles = {
        kind: book.add_format({**lined, "num_format": form, "align": "left" if kind == "text" else "right", "indent": int(kind == "text")})
        for kind, form in NUMBER_FORMATS.items()
    }
    styles["header"] = book.add_format({**lined, "bold": True, "bg_color": "#DDEBF7", "align": "center", "text_wrap": True})
    styles["title"] = book.add_format({"bold": True, "font_name": "宋体", "font_size": 14})
    styles["small"] = book.add_format({"font_name": "宋体", "font_size": 9, "font_color": "#595959"})
    styles["wrapped"] = book.add_format({"font_name": "宋体", "font_size": 11, "text_wrap": True, "valign": "top", "num_format": "@"})
    return styles


def _write_part(book: Any, table: Table, part: Part, styles: dict[str, Any]) -> None:
    sheet = book.add_worksheet(part.title)
    rows = iter(part.rows)
    first = list(islice(rows, MEASURED_ROWS))
    for n, columns_wide in enumerate(_column_widths(part, first)):
        sheet.set_column(n, n, columns_wide)
    sheet.freeze_panes(HEADER_ROW + 1, 0)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(HEADER_ROW)
    sheet.set_footer("&L" + f"{table.year} 年度 截至 {table.as_of.isoformat()}" + "&R第 &P 页，共 &N 页")
    sheet.write_string(0, 0, _sheet_text(table.title), styles["title"])
    sheet.write_string(1, 0, _sheet_text("；".join(table.basis)), styles["small"])
    for n, column in enumerate(part.columns):
        sheet.write_string(HEADER_ROW, n, column.title, styles["header"])
    kinds = [(column.kind, styles[column.kind]) for column in part.columns]
    for place, row in enumerate(chain(first, rows), HEADER_ROW + 1):
        for n, cell in enumerate(row):
            kind, style = kinds[n]
            if cell is None:
                sheet.write_blank(place, n, None, style)
            elif isinstance(cell, str):
                sheet.write_string(place, n, _sheet_text(cell), style)
            else:
                sheet.write_number(place, n, float(cell) / 100 if kind == "percent" else float(cell), style)
    sheet.autofilter(HEADER_ROW, 0, HEADER_ROW + len(part.rows), len(part.columns) - 1)


def _write_notes(book: Any, table: Table, styles: dict[str, Any]) -> None:
    sheet = book.add_worksheet("说明")
    sheet.set_column(0, 0, 112)
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.write_string(0, 0, _sheet_text(table.title), styles["title"])
    for n, line in enumerate((*table.basis, *table.notes, *table.terms), 1):
        sheet.write_string(n, 0, _sheet_text(line), styles["wrapped"])


def _sheet_text(words: str) -> str:
    return plain_text(words)[:CELL_LIMIT]


def _column_widths(part: Part, rows: Sequence[Row]) -> list[float]:
    """Wide enough for the title and for what the first rows hold."""
    widths = [display_width(column.title) + 4 for column in part.columns]
    for row in rows:
        for n, cell in enumerate(row):
            widths[n] = max(widths[n], display_width(cell_text(cell, part.columns[n])) + 3)
    return [min(max(columns_wide, MIN_WIDTH), MAX_WIDTH) for columns_wide in widths]
