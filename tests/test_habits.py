"""The habits of the project are kept: versions, the record of changes, the commands of the Makefile, the checks before a commit, coverage."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
LONGEST_ENTRY = 120
RELEASE = re.compile(r"## (\d+)\.(\d+)\.(\d+)（(\d{4}-\d\d-\d\d)）")


def lines(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


# Versions and what changed.


def releases() -> list[tuple[tuple[int, int, int], date]]:
    heads = [line for line in lines("CHANGELOG.md") if line.startswith("## ")]
    found = [RELEASE.fullmatch(head) for head in heads]
    assert all(found), heads
    return [((int(one[1]), int(one[2]), int(one[3])), date.fromisoformat(one[4])) for one in found if one]


def test_the_newest_section_of_the_changelog_is_the_version_of_the_package() -> None:
    version = tomllib.loads("\n".join(lines("pyproject.toml")))["project"]["version"]
    assert ".".join(map(str, releases()[0][0])) == version


def test_releases_are_listed_from_the_newest_to_the_oldest() -> None:
    found = releases()
    assert len(found) >= 2
    assert found == sorted(found, reverse=True)
    assert len({version for version, _ in found}) == len(found)


def test_an_entry_of_the_changelog_is_one_short_line() -> None:
    entries = [line for line in lines("CHANGELOG.md") if line and not line.startswith("#")]
    assert [line for line in entries if len(line) > LONGEST_ENTRY] == []
    # What stands between the head of a section and its first item may be a sentence; nothing is carried over to a second line.
    assert [line for line in entries if line.startswith(" ")] == []


# The commands.


def test_every_command_of_the_makefile_says_what_it_does_and_starts_a_script_that_exists() -> None:
    made = (ROOT / "deploy" / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", made, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(re.findall(r"^([a-z]+):[^#\n]*## \S", made, re.MULTILINE))
    scripts = re.findall(r"deploy/\w+\.py", made)
    assert len(scripts) >= 5
    assert [script for script in scripts if not (ROOT / script).is_file()] == []


# Before a commit.


def test_the_checks_before_a_commit_are_the_locked_tools_and_fetch_nothing() -> None:
    configured = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repo["repo"] for repo in configured["repos"]} == {"local"}
    hooks = [hook for repo in configured["repos"] for hook in repo["hooks"]]
    assert {hook["id"] for hook in hooks} >= {
        "ruff-check",
        "ruff-format",
        "detect-private-key",
        "check-added-large-files",
        "check-yaml",
        "check-toml",
    }
    assert {hook["language"] for hook in hooks} == {"system"}
    assert [hook["id"] for hook in hooks if "additional_dependencies" in hook or not hook["entry"].startswith(".venv/bin/")] == []


def test_the_tools_of_the_checks_are_installed_from_the_lock() -> None:
    configured = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    tools = {hook["entry"].split()[0].removeprefix(".venv/bin/") for repo in configured["repos"] for hook in repo["hooks"]}
    assert sorted(tool for tool in tools if not (Path(sys.executable).parent / tool).is_file()) == []


# Coverage.


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "deploy"))
    return importlib.import_module("measure_coverage")


def measured(statements: int, covered: int, branches: int = 0, taken: int = 0) -> dict[str, Any]:
    return {
        "summary": {
            "num_statements": statements,
            "covered_lines": covered,
            "missing_lines": statements - covered,
            "num_branches": branches,
            "covered_branches": taken,
            "missing_branches": branches - taken,
        }
    }


def test_coverage_is_added_up_by_floor_and_the_largest_gaps_come_first(measuring: Any) -> None:
    files = {
        "bot/domain/hours/entry_hash.py": measured(10, 10),
        "bot/storage/db/database.py": measured(100, 90, 20, 15),
        "bot/storage/hours/seals.py": measured(50, 49, 10, 10),
        "bot/web/__init__.py": measured(0, 0),
        "bot/logs.py": measured(3, 2),
    }
    assert list(measuring.tables(files)) == [
        "| floor | lines | run | branches | taken | together |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| domain | 10 | 100.0% | 0 | — | 100.0% |",
        "| logs | 3 | 66.6% | 0 | — | 66.6% |",
        "| storage | 150 | 92.6% | 30 | 83.3% | 91.1% |",
        "| whole | 163 | 92.6% | 30 | 83.3% | 91.1% |",
        "",
        "| file | lines not run | branches not taken | together |",
        "| --- | ---: | ---: | ---: |",
        "| `bot/storage/db/database.py` | 10 | 5 | 87.5% |",
        "| `bot/logs.py` | 1 | 0 | 66.6% |",
        "| `bot/storage/hours/seals.py` | 1 | 0 | 98.3% |",
    ]


def test_the_page_on_coverage_has_a_figure_for_every_floor() -> None:
    floors = {path.stem for path in (ROOT / "bot").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()} - {"__init__"}
    rows = {found[1] for line in lines("bot/docs/coverage.md") if (found := re.match(r"\| (\w+) \| \d+ \| [\d.]+% \|", line))}
    assert floors - rows == set()
