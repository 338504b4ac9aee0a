"""Reports as plain text: lines that fit a phone, columns that stand straight in a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice, takewhile
from typing import BinaryIO

from bot.domain.hours.policy import hours_text
from bot.domain.reports import Cell, Column, Part, Row, Table, plain_text

EMPTY_CELL = "—"
PHONE_BYTES = 1_800
"""WeCom cuts a text at 2,048 bytes (bot/docs/protocols.md#wecom-send); what follows the report needs room too."""
PHONE_COLUMNS = 36
"""Half-width characters a line of figures takes at most. A bubble on a 375-pixel screen holds 22 full-width ones, but digits and the dot
between figures are wider there than half of one, and a number must not stand on the line below its label."""
PHONE_ROWS = 100
"""More rows than a phone is ever shown: what their units share is looked for among no more."""
TOTAL_ROWS = ("", "合计")
"""Rows that name no unit."""


def cell_text(cell: Cell, column: Column) -> str:
    """One cell as people read it."""
    if cell is None:
        return EMPTY_CELL
    if isinstance(cell, str):
        return plain_text(cell)
    if column.kind == "percent":
        return f"{cell:.1f}%"
    return hours_text(cell) if isinstance(cell, Decimal) else str(cell)


def display_width(words: str) -> int:
    """Columns of a terminal: a Chinese character takes two, a combining mark none."""
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in words)


# ── A phone ──


def phone(table: Table, room: int = PHONE_BYTES) -> str:
    """The report in a chat: the first text columns of a row as its head, the rest below; rows that do not fit are counted, not cut."""
    head = [f"📋 {plain_text(table.title)}", f"{table.year} 年度 · 截至 {table.as_of.isoformat()}", ""]
    seal = f"封存 第 {table.head.seq} 号 {table.head.hash[:16]}" if table.head else "流水未封存"
    foot = ["", *(plain_text(note) for note in table.notes), f"规则 {table.rules}", seal]
    left = room - len("\n".join(head + foot).encode())
    body: list[str] = []
    for part in sorted(table.parts, key=lambda part: not part.leads):
        lines = _part_lines(part, left, titled=len(table.parts) > 1)
        body += lines
        left -= _byte_size(lines)
    return "\n".join([*head, *body, *foot])


def _byte_size(lines: list[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _part_lines(part: Part, left: int, *, titled: bool) -> list[str]:
    lines = [f"【{part.title}】"] if titled else []
    if not part.rows:
        return [*lines, "（没有）"]
    left -= _byte_size(lines)
    shared = _shared_path(part)
    if shared:
        lines.append(f"（以下都在 {shared}）")
        left -= _byte_size(lines[-1:])
    for n, whole in enumerate(part.rows):
        row = _shorten_units(part.columns, whole, shared)
        block, rest = _row_lines(part.columns, row), f"…还有 {len(part.rows) - n} 行，请管理员用 report 命令导出 xlsx。"
        if _byte_size(block) + (_byte_size([rest]) if n + 1 < len(part.rows) else 0) > left:
            return [*lines, rest]
        lines += block
        left -= _byte_size(block)
    return lines


def _shared_path(part: Part) -> str:
    """The units that stand above all rows alike, `某局/一处`; empty when there are none, or a single row."""
    place = next((n for n, column in enumerate(part.columns) if column.key == "unit"), None)
    if place is None:
        return ""
    chains = {tuple(path.split("/")) for row in islice(part.rows, PHONE_ROWS) for path in str(row[place] or "").split("、") if path not in TOTAL_ROWS}
    if len(chains) < 2:
        return ""
    levels = zip(*(chain[:-1] or chain for chain in chains), strict=False)
    return "/".join(names[0] for names in takewhile(lambda names: len(set(names)) == 1, levels))


def _shorten_units(columns: tuple[Column, ...], row: Row, shared: str) -> Row:
    """The row with its unit told from below what is shared; the shared unit itself keeps its name."""
    if not shared:
        return row
    top = f"{shared}/"
    return tuple(
        "、".join(path.removeprefix(top) if path != shared else path.rpartition("/")[2] for path in cell.split("、"))
        if column.key == "unit" and isinstance(cell, str)
        else cell
        for column, cell in zip(columns, row, strict=True)
    )


def _row_lines(columns: tuple[Column, ...], row: Row) -> list[str]:
    visible = [(column, cell) for column, cell in zip(columns, row, strict=True) if column.phone == "always" or (column.phone == "if any" and cell)]
    # A row that opens with its number is known by it: 12 年度学法考试.
    numbered = 1 if visible and visible[0][0].kind != "text" and len(visible) > 1 and visible[1][0].kind == "text" else 0
    heads = [*visible[:numbered], *takewhile(lambda pair: pair[0].kind == "text", visible[numbered:])]
    figures = [f"{column.title} {cell_text(cell, column)}" for column, cell in visible[len(heads) :] if cell != ""]
    lines = ["· " + " ".join(cell_text(cell, column) for column, cell in heads if cell)]
    for figure in figures:
        if len(lines) > 1 and display_width(lines[-1]) + display_width(figure) + 3 <= PHONE_COLUMNS:
            lines[-1] += f" · {figure}"
        else:
            lines.append(f"  {figure}")
    return lines


# ── A terminal ──


def write(table: Table, out: BinaryIO) -> None:
    """The whole report with aligned columns, UTF-8."""
    for line in _lines(table):
        out.write(f"{line}\n".encode())


def _lines(table: Table) -> Iterator[str]:
    yield plain_text(table.title)
    yield from table.basis
    for part in table.parts:
        yield ""
        if len(table.parts) > 1:
            yield f"【{part.title}】"
        yield from _aligned_lines(part)
    if table.notes or table.terms:
        yield ""
        yield from (plain_text(note) for note in (*table.notes, *table.terms))


def _aligned_lines(part: Part) -> Iterator[str]:
    cells = [[column.title for column in part.columns]]
    cells += [[cell_text(cell, column) for cell, column in zip(row, part.columns, strict=True)] for row in part.rows]
    widths = [max(display_width(row[n]) for row in cells) for n in range(len(part.columns))]
    for row in cells:
        padded = [_pad(text, widths[n], left=part.columns[n].kind == "text") for n, text in enumerate(row)]
        yield "  ".join(padded).rstrip()


def _pad(text: str, to: int, *, left: bool) -> str:
    gap = " " * (to - display_width(text))
    return text + gap if left else gap + text
