"""Table files are read in a child process with little memory, little time and no secrets, so a hostile file ends the child and not the service.

A reader written in another language may abort where Python would raise (an xlsx that announces a hundred billion strings does that), so limits
inside one process are not enough (bot/docs/reliability.md W1).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from bot.domain.message import Refusal
from bot.storage.files.table import Cell, Header, SpoiledCell, TableSheet, parse_table

MEMORY_BYTES = 256 * 1024 * 1024
CPU_SECONDS = 10
TIMEOUT_SECONDS = 60.0

_UNREADABLE = "这个表格文件读不了：它已损坏，或读取它用尽了给定的内存和时间。请用表格软件打开后重新另存一次，仍不行就拆小。"
_DECODERS: dict[str, Any] = {"datetime": datetime.fromisoformat, "date": date.fromisoformat, "time": time.fromisoformat, "SpoiledCell": SpoiledCell}


def read_sheet(path: Path, sheet: str = "", header: Header = ()) -> TableSheet:
    """`table.parse_table` in a child process. Blocks up to a minute, so an async caller hands it to a thread; raises `Refusal` with one sentence."""
    package = Path(__file__).resolve().parents[3]
    wanted = json.dumps({"path": str(path.absolute()), "sheet": sheet, "header": [sorted(group) for group in header]})
    try:
        process = subprocess.run(  # noqa: S603 (our own interpreter and module)
            [sys.executable, "-m", "bot.storage.files.sandbox", wanted],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            env={"PYTHONPATH": str(package), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except subprocess.TimeoutExpired:
        raise Refusal(_UNREADABLE) from None
    if process.returncode != 0:
        raise Refusal(_UNREADABLE)
    lines = iter(process.stdout.splitlines())
    head = json.loads(next(lines))
    if "refused" in head:
        raise Refusal(str(head["refused"]))
    rows = [[_decode_cell(cell) for cell in json.loads(line)] for line in lines]
    return TableSheet(rows, tuple(head["notes"]), tuple(head["hidden_rows"]), tuple(head["hidden_columns"]))


def _decode_cell(encoded: Any) -> Cell:
    if not isinstance(encoded, list):
        return encoded  # type: ignore[no-any-return]
    kind, value = encoded
    return timedelta(seconds=value) if kind == "timedelta" else _DECODERS[kind](value)


def _encode_cell(cell: Cell) -> Any:
    if isinstance(cell, timedelta):
        return ["timedelta", cell.total_seconds()]
    if isinstance(cell, SpoiledCell):
        return ["SpoiledCell", cell.reason]
    return [type(cell).__name__, cell.isoformat()] if isinstance(cell, date | time) else cell


def _limit_resources() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _output_lines(wanted: dict[str, Any]) -> Iterator[str]:
    """What the child says: one JSON line of notes or of the refusal, then one line a row."""
    try:
        sheet = parse_table(Path(wanted["path"]), wanted["sheet"], [frozenset(group) for group in wanted["header"]])
    except Refusal as refusal:
        yield json.dumps({"refused": str(refusal)})
        return
    yield json.dumps({"notes": sheet.notes, "hidden_rows": sheet.hidden_rows, "hidden_columns": sheet.hidden_columns})
    for row in sheet.rows:
        yield json.dumps([_encode_cell(cell) for cell in row])


if __name__ == "__main__":
    _limit_resources()
    for line in _output_lines(json.loads(sys.argv[1])):
        sys.stdout.write(line + "\n")
