"""Measures what the suite runs through: `python3 deploy/measure_coverage.py [--keep|--report] [PYTEST ARGUMENT …]`.

Prints a table of the floors of bot/ and the files with the most lines that nothing ran. --keep adds to what an earlier run measured, for a suite
that is run in portions; --report runs nothing and prints the tables of what was measured before. The configuration is in pyproject.toml.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _suite
import _venv

KEEP = "--keep"
REPORT = "--report"
LONGEST_GAPS = 15


@dataclass
class Counts:
    """Lines and branches, and how many of them were run."""

    lines: int = 0
    lines_run: int = 0
    branches: int = 0
    branches_run: int = 0

    def add(self, summary: dict[str, Any]) -> None:
        self.lines += summary["num_statements"]
        self.lines_run += summary["covered_lines"]
        self.branches += summary["num_branches"]
        self.branches_run += summary["covered_branches"]

    def row(self, name: str) -> str:
        shares = (share(self.lines_run, self.lines), share(self.branches_run, self.branches))
        both = share(self.lines_run + self.branches_run, self.lines + self.branches)
        return f"| {name} | {self.lines} | {shares[0]} | {self.branches} | {shares[1]} | {both} |"


def share(run: int, whole: int) -> str:
    """Rounded down: a hundred says that nothing is left."""
    return f"{run * 1000 // whole / 10:.1f}%" if whole else "—"


def floor(path: str) -> str:
    """The part of bot/ that a file belongs to: its package, or the module itself."""
    return Path(path).parts[1].removesuffix(".py")


def tables(files: dict[str, Any]) -> Iterable[str]:
    """Two Markdown tables, from the files of coverage's JSON report."""
    floors: dict[str, Counts] = defaultdict(Counts)
    whole = Counts()
    for path, found in files.items():
        floors[floor(path)].add(found["summary"])
        whole.add(found["summary"])
    yield "| floor | lines | run | branches | taken | together |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, counts in sorted(floors.items()):
        # An empty __init__.py has nothing to run.
        if counts.lines:
            yield counts.row(name)
    yield whole.row("whole")
    yield ""
    yield "| file | lines not run | branches not taken | together |"
    yield "| --- | ---: | ---: | ---: |"
    gaps = [(path, found["summary"]) for path, found in files.items() if found["summary"]["missing_lines"] or found["summary"]["missing_branches"]]
    gaps.sort(key=lambda gap: (-gap[1]["missing_lines"], -gap[1]["missing_branches"], gap[0]))
    for path, summary in gaps[:LONGEST_GAPS]:
        counts = Counts()
        counts.add(summary)
        both = share(counts.lines_run + counts.branches_run, counts.lines + counts.branches)
        yield f"| `{path}` | {summary['missing_lines']} | {summary['missing_branches']} | {both} |"


def main(arguments: list[str]) -> int:
    python = str(_venv.ready("dev"))
    options = [word for word in arguments if word in (KEEP, REPORT)]
    pytest = [word for word in arguments if word not in options]

    def coverage(*words: str) -> int:
        return subprocess.call([python, "-m", "coverage", *words], cwd=_venv.ROOT, env=_suite.environment())

    status = 0
    if REPORT not in options:
        if KEEP not in options:
            coverage("erase")
        status = coverage("run", "-m", "pytest", *(pytest or _suite.SIDE_BY_SIDE))
        # --append: what was combined before stays beside what has been measured now.
        if wrong := coverage("combine", "--quiet", *(["--append"] if KEEP in options else [])):
            return status or wrong
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "coverage.json"
        if wrong := coverage("json", "--quiet", "-o", str(made)):
            return status or wrong
        files = json.loads(made.read_text(encoding="utf-8"))["files"]
    print("\n".join(tables(files)))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
