"""Run tests at other dates and hours, and beside a busy machine: `python -m tests.shifted [--at "2026-12-31 23:50"]… [--busy N] [PYTEST ARGUMENTS]`.

Without `--at` at each of the moments below, in Shanghai's time; without arguments the tests whose app uses the real clock. The same result is
expected at every moment. `--busy 2` lets two processes beside the tests do nothing as fast as they can.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from bot.domain.times import SHANGHAI
from tests.shifted.sitecustomize import VARIABLE

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MOMENTS = (
    "2026-11-30 10:00",
    "2026-12-01 09:00",
    "2026-12-05 10:00",  # a Saturday
    "2026-12-31 23:50",
    "2027-01-01 09:00",
    "2027-02-28 03:00",
    "2027-06-15 12:00",
    "2028-02-29 12:00",
)
REAL = (
    "tests/jobs/test_killed.py",
    "tests/flows/test_live.py",
    "tests/jobs/test_schedule.py",
    "tests/test_crash.py",
    "tests/test_exam_crash.py",
    "tests/web",
)
"""The tests that look at the real clock: an app in this process without a clock of its own, or a process that the test starts."""


def at(moment: str, arguments: list[str]) -> int:
    """Run pytest when the wall clock begins to show `moment`; its status."""
    shift = datetime.fromisoformat(moment).replace(tzinfo=SHANGHAI).timestamp() - time.time()
    path = os.pathsep.join([str(HERE), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path, VARIABLE: str(shift)}, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.shifted", description="Run tests at other dates and hours.")
    parser.add_argument("--at", action="append", metavar="MOMENT", help="YYYY-MM-DD HH:MM, Shanghai; may come more than once")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="so many busy processes beside the tests")
    chosen, arguments = parser.parse_known_args()
    status = {}
    with ExitStack() as stack:
        for _ in range(chosen.busy):
            busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(busy.kill)
        for moment in chosen.at or MOMENTS:
            print(f"── {moment}", flush=True)  # noqa: T201
            status[moment] = at(moment, arguments or list(REAL))
    for moment, ended in status.items():
        print(f"{moment}  {'passed' if ended == 0 else f'NOT passed (pytest ended with {ended})'}")  # noqa: T201
    return int(any(status.values()))


if __name__ == "__main__":
    sys.exit(main())
