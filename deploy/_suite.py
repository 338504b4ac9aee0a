"""How the suite is started, whoever starts it: deploy/test.py and deploy/measure_coverage.py."""

from __future__ import annotations

import os

# A worker a core, each with files and a PostgreSQL of its own; more than a few would only wait for the disk.
SIDE_BY_SIDE = ["-n", str(min(8, os.cpu_count() or 1)), "--dist", "loadfile"]


def environment() -> dict[str, str]:
    """The suite decides its settings itself; those of the operator's shell are not its business."""
    return {key: value for key, value in os.environ.items() if not key.startswith("BOT_") or key.startswith("BOT_TEST_")}
