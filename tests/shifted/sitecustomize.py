"""The calendar of a test run, moved: every Python process that finds this folder on its path reads the wall clock so many seconds off.

Only the wall clock moves (`time.time`, `datetime.now` and what stands on them): waiting goes by the monotonic clock. The classes stay what they are,
so nothing that holds a moment, pickles it or asks for its type can tell. Read by the interpreter itself at its start; `python -m tests.shifted`
sets the variable.
"""

from __future__ import annotations

import ctypes
import gc
import os
import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

VARIABLE = "TESTS_CLOCK_SHIFT"


def move(seconds: float) -> None:
    """Move the wall clock of this process."""
    real = {name: getattr(time, name) for name in ("time", "time_ns", "localtime", "gmtime")}
    real_now = datetime.now
    by, by_ns = timedelta(seconds=seconds), round(seconds * 1e9)

    def moved(tz: tzinfo | None = None) -> datetime:
        return (real_now(UTC) + by).astimezone(tz) if tz is not None else real_now() + by

    time.time = lambda: real["time"]() + seconds
    time.time_ns = lambda: real["time_ns"]() + by_ns
    time.localtime = lambda at=None: real["localtime"](time.time() if at is None else at)
    time.gmtime = lambda at=None: real["gmtime"](time.time() if at is None else at)
    # `date.today` and `datetime.today` ask `time.time` themselves; `now` does not, and its type takes no new attribute, but its dictionary does.
    attributes: dict[str, Any] = gc.get_referents(datetime.__dict__)[0]
    attributes["now"] = staticmethod(moved)
    attributes["utcnow"] = staticmethod(lambda: moved(UTC).replace(tzinfo=None))
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))


if VARIABLE in os.environ:
    move(float(os.environ[VARIABLE]))
