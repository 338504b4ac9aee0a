"""Reports rendered: one function a format, from a `Table` to text or bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from bot.domain.reports import Table
from bot.services.reports import data, text, xlsx

Write = Callable[[Table, BinaryIO], None]

FORMATS: dict[str, Write] = {"text": text.write, "json": data.write_json, "csv": data.write_csv, "xlsx": xlsx.write}
"""What a report can be written as."""
BINARY = frozenset({"xlsx"})

phone = text.phone
