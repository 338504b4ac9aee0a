"""A database with the demo bureau in it, made once and copied for every test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ROOT, environment


@pytest.fixture(scope="session")
def _seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "bot.db"
    subprocess.run(
        [sys.executable, "-m", "bot", "chat", "--demo"], env=environment(path), cwd=ROOT, stdin=subprocess.DEVNULL, check=True, timeout=300
    )
    return path


@pytest.fixture
def demo(_seeded: Path, tmp_path: Path) -> Path:
    """A copy that the test may do with as it likes."""
    path = tmp_path / "bot.db"
    path.write_bytes(_seeded.read_bytes())
    return path
