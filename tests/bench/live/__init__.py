"""A live contest with thousands of phones over the real channel paths: `python -m tests.bench live`.

The phones are WeCom's: every word and tap is sealed and signed as the platform does it, comes in one to four copies, and to either replica. One in
ten drops the line in the middle of a tap and comes back. What is held against the database: every answer that was planned is there once, and the
places on the frozen board are those that a reference works out from the plan.
"""

from __future__ import annotations

import os

from bot.domain.delivery.platform_limits import LIMITS, PEOPLE_PER_CALL
from tests.bench.live.play import Played, play

PHONES, FEW = 2_000, 100
QUESTIONS = 5


def report(*, quick: bool) -> bool:
    """Print every form of it, with the time that other platforms' own limits ask for; True when all counts that have to be nought are."""
    people, questions = (FEW, 2) if quick else (PHONES, QUESTIONS)
    good = True
    print(f"{os.cpu_count()} cores; what else runs on them before: {os.getloadavg()[0]:.1f}", flush=True)
    for more in ({}, {"budget": False, "speed": 50}, {"replicas": 2, "where": "postgres"}):
        run: Played = play(people, questions, **more)
        print(run, flush=True)
        good = good and run.good
    print("\n".join(_elsewhere(people)))
    return good


def _elsewhere(people: int) -> list[str]:
    """One question to so many on the other channels: the calls it takes, and the least time that the quotas allow for them."""
    lines = ["What the platforms' own limits ask for, of which the service uses 80 %:"]
    for channel in ("wecom", "dingtalk", "zwding", "wechat"):
        calls = -(-people // PEOPLE_PER_CALL[channel])
        seconds, by = 0.0, "no limit of calls in a moment"
        for limit in LIMITS:
            moment = getattr(limit.window, "seconds", None)
            if limit.channel == channel and moment is not None and not limit.per_person:
                needed = (limit.usage(people, 1) - limit.usable()) / limit.usable() * moment
                if needed > seconds:
                    seconds, by = needed, f"{limit.allowed} a {moment:g} s ({limit.page})"
        lines.append(f"  {channel}: {calls} calls for {people:,} people, at least {max(0.0, seconds):.1f} s; {by}")
    return lines
