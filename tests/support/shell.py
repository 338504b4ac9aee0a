"""`python -m bot …` in this process, as the tests of the command line type it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from bot.cli.main import main
from bot.storage.db.database import Database
from tests.support.agency import Agency


@dataclass
class Shell:
    """`python -m bot …` in this process."""

    database: Database
    run: Callable[..., tuple[int, str, str]]

    def __call__(self, *words: str) -> str:
        status, out, err = self.run(*words)
        assert status == 0, err
        return out

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))

    def count(self, table: str) -> int:
        return int(self.database.read_now(lambda session: session.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one()))


@dataclass
class ReportShell:
    """`python -m bot …` in this process: its status, standard output and standard error."""

    agency: Agency
    capture: pytest.CaptureFixture[bytes]
    patch: pytest.MonkeyPatch

    def bytes(self, *words: str) -> tuple[int, bytes, str]:
        self.patch.setattr(sys, "argv", ["bot", *words])
        self.capture.readouterr()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = self.capture.readouterr()
        return status, out, err.decode()

    def __call__(self, *words: str) -> tuple[int, str, str]:
        status, out, err = self.bytes(*words)
        return status, out.decode(), err

    def json(self, *words: str) -> Any:
        status, out, err = self(*words)
        assert status == 0, err
        return json.loads(out)
