"""Replicas are killed and nothing is said twice or forgotten; only what was in a call at that moment stays in doubt.

See bot/docs/reliability.md S1, S7.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from bot.jobs.delivery_worker import CALLS_PER_CHANNEL
from tests.support.kills import push_and_kill, tick_and_kill


async def test_a_delivery_worker_killed_in_the_middle_of_a_push_leaves_in_doubt_what_was_in_a_call_and_nothing_else(engine: Engine) -> None:
    """The full form is 5,000 people: `python -m tests.bench push-kill`."""
    found = await push_and_kill(engine, 400, 150)
    assert (found.missed, found.twice, found.unreached_but_sent) == (0, 0, 0), found
    assert set(found.states) <= {"sent", "unknown"}, found
    assert found.states.get("unknown", 0) <= found.in_flight <= CALLS_PER_CHANNEL, found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
async def test_occurrences_under_three_replicas_of_which_one_is_killed_every_second_come_about_once_each(engine: Engine, tmp_path: Path) -> None:
    """The full form is 1,000 occurrences: `python -m tests.bench occurrences`."""
    found = await tick_and_kill(engine, 240, 10, tmp_path / "said")
    assert found.kills >= 3, found
    assert (found.fired, found.twice, found.missed) == (found.due, 0, 0), found
    assert (found.surplus, found.sent_twice) == (0, 0), found
    assert set(found.unsettled) <= {"unknown"}, found
    assert found.unsettled.get("unknown", 0) <= 20 * found.kills, found
