"""Reports in every output format: `FORMATS` names the writers; JSON and CSV for programs are written here."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from typing import Any, BinaryIO

from bot.domain.reports import Cell, Column, Part, Table, plain_text
from bot.services.reports import text as reports_text
from bot.services.reports import xlsx

BOM = "\ufeff"
_FORMULA = "=+-@"


def _json_number(cell: Cell) -> str | int | float | None:
    return float(cell) if isinstance(cell, Decimal) else cell


def _part_json(part: Part) -> dict[str, Any]:
    keys = [column.key for column in part.columns]
    return {
        "columns": [{"key": column.key, "title": column.title, "kind": column.kind} for column in part.columns],
        "rows": [dict(zip(keys, map(_json_number, row), strict=True)) for row in part.rows],
    }


def as_json(table: Table) -> dict[str, Any]:
    """The main part at the top, further parts under `more`; percentages as 66.7, hours as numbers, nothing rounded again."""
    head = None if table.head is None else {"seq": table.head.seq, "hash": table.head.hash, "algorithm": table.head.algorithm}
    return {
        "report": table.name,
        "title": table.title,
        "as_of": table.as_of.isoformat(),
        "year": table.year,
        "rules": table.rules,
        "head": head,
        **_part_json(table.parts[0]),
        "more": [{"title": part.title, **_part_json(part)} for part in table.parts[1:]],
        "notes": [*table.notes, *table.terms],
    }


def write_json(table: Table, out: BinaryIO) -> None:
    out.write(json.dumps(as_json(table), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")


def formula_safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula: one that begins like one, full-width forms included, gets an apostrophe in front."""
    plain = plain_text(text)
    first = unicodedata.normalize("NFKC", plain.lstrip()[:1])
    return f"'{plain}" if first[:1] and first[0] in _FORMULA else plain


def _cell_text(cell: Cell, column: Column) -> str:
    if cell is None:
        return ""
    return formula_safe(cell) if isinstance(cell, str) else f"{cell:f}" if isinstance(cell, Decimal) else str(cell)


def write_csv(table: Table, out: BinaryIO) -> None:
    """UTF-8 with a BOM, CRLF. The first line is the header of the main part; its rows follow, then further parts and the basis after empty lines."""
    wrapped = io.TextIOWrapper(out, "utf-8", errors="backslashreplace", newline="", write_through=True)
    wrapped.write(BOM)
    writer = csv.writer(wrapped)
    for n, part in enumerate(table.parts):
        if n:
            writer.writerows([[], [part.title]])
        writer.writerow([column.title for column in part.columns])
        for row in part.rows:
            writer.writerow([_cell_text(cell, column) for cell, column in zip(row, part.columns, strict=True)])
    writer.writerow([])
    for line in (table.title, *table.basis, *table.notes, *table.terms):
        writer.writerow([formula_safe(line)])
    wrapped.detach()


ReportWriter = Callable[[Table, BinaryIO], None]

FORMATS: dict[str, ReportWriter] = {"text": reports_text.write, "json": write_json, "csv": write_csv, "xlsx": xlsx.write}
"""What a report can be written as."""
BINARY = frozenset({"xlsx"})

phone = reports_text.phone
