"""The calendar of a test run can be moved, and what goes by the real date and hour comes to the same at any of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.shifted import __main__
from tests.shifted.sitecustomize import VARIABLE

DAY = 86_400
CHEAP = ("tests/flows/test_live.py", "tests/jobs/test_schedule.py")
SAID = """
import datetime, json, pickle, time
now = datetime.datetime.now(datetime.UTC)
assert pickle.loads(pickle.dumps(now)) == now and type(now) is datetime.datetime
print(json.dumps([now.isoformat(), time.time(), datetime.datetime.now(now.tzinfo).isoformat(), datetime.date.today().isoformat()]))
"""


def test_every_clock_of_a_moved_process_shows_the_same_other_day() -> None:
    environ = {**os.environ, "PYTHONPATH": str(__main__.HERE), VARIABLE: str(400 * DAY)}
    done = subprocess.run([sys.executable, "-c", SAID], env=environ, capture_output=True, text=True, check=True)
    now, seconds, again, today = json.loads(done.stdout)
    for shown in (datetime.fromisoformat(now), datetime.fromtimestamp(seconds, UTC), datetime.fromisoformat(again)):
        assert timedelta(days=399) < shown - datetime.now(UTC) < timedelta(days=401)
    assert date.fromisoformat(today) - datetime.now().date() >= timedelta(days=399)  # noqa: DTZ005 - the machine's own day


@pytest.mark.timeout(900)
@pytest.mark.parametrize("moment", ["2026-12-31 23:50", "2028-02-29 03:00"])
def test_the_house_that_goes_by_the_real_clock_serves_alike(moment: str) -> None:
    assert __main__.at(moment, [*CHEAP, "-k", "not postgres"]) == 0
