"""What a campaign to everybody costs before a platform is called: `python -m tests.bench deliveries`.

Queued in pieces, claimed, planned, begun and settled for 100,000 people with an account on WeCom each, of whom every second one has written within a
week, and a quarter have chosen hours of their own. CPU of the one thread that does it, and its longest transaction; no platform, no loop.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from sqlalchemy import text
from sqlmodel import Session

from bot.domain.campaign.campaign import Campaign
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule
from bot.domain.delivery.outbound_message import group_messages
from bot.domain.delivery.platform_limits import LIMITS, batch_sizes
from bot.domain.people.audience import All
from bot.services.delivery import plan, send
from bot.services.delivery.plan import OpenChannels
from bot.storage import campaign
from bot.storage.db.database import Database
from bot.storage.db.engine import open_engine
from bot.storage.db.query import Query
from bot.storage.delivery import completion, queue, quota, recipients
from bot.storage.migrations import migrate

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
HOLDER, CLAIM, LEASE, CALLS = "bench", 1_000, 60.0, 8
GOAL_SECONDS, GOAL_TRANSACTION = 10.0, 0.1
STAGES = ("queue", "claim", "plan", "begin", "settle")

T = TypeVar("T")


@dataclass
class Cost:
    """CPU seconds by stage, and the longest transaction of each, in wall and in CPU seconds."""

    people: int
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    longest: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    sent: int = 0

    @property
    def total(self) -> float:
        return sum(self.cpu.values())

    @property
    def good(self) -> bool:
        in_time = self.cpu["claim"] + self.cpu["plan"] <= GOAL_SECONDS * self.people / 100_000
        return self.sent == self.people and in_time and max(self.longest.values()) <= GOAL_TRANSACTION

    def __str__(self) -> str:
        lines = [f"{self.people} deliveries, {self.sent} sent: {self.total:.2f} s CPU"]
        for stage in STAGES:
            each = self.cpu[stage] / self.people * 1e6
            lines.append(f"  {stage:<8}{self.cpu[stage]:7.2f} s, {each:5.1f} us each; longest transaction {self.longest[stage] * 1000:.0f} ms")
        return "\n".join([*lines, "goal: claim and plan 10 s for 100,000, no transaction over 100 ms (CPU)"])


class _Timed:
    def __init__(self, database: Database, cost: Cost) -> None:
        self.database, self.cost = database, cost

    def write(self, stage: str, work: Callable[[Session], T]) -> T:
        return self._timed(stage, self.database.write_now, work)

    def read(self, stage: str, work: Callable[[Session], T]) -> T:
        return self._timed(stage, self.database.read_now, work)

    def _timed(self, stage: str, run: Callable[[Callable[[Session], T]], T], work: Callable[[Session], T]) -> T:
        began = time.thread_time()
        try:
            return run(work)
        finally:
            took = time.thread_time() - began
            self.cost.cpu[stage] += took
            self.cost.longest[stage] = max(self.cost.longest[stage], took)


def _fill(session: Session, people: int) -> None:
    """People, accounts, what they said, what they chose; by statements that make all rows at once."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {people})"

    def run(statement: str) -> None:
        session.execute(text(statement.replace(":at", "'2026-03-01T01:00:00.000000Z'")))

    run("INSERT INTO unit (name, path) VALUES ('某局', '某局')")
    run(f"INSERT INTO person (staff_no, name, tier, recorded_at) {numbers} SELECT 'p' || i, '员' || i, '公务员', :at FROM n")
    run(f"INSERT INTO post (person_id, unit_id, since) {numbers} SELECT i, 1, '2026-01-01' FROM n")
    run(f"""INSERT INTO account (channel, "user", person_id, bound_at, bound_by) {numbers} SELECT 'wecom', 'p' || i, i, :at, 'bench' FROM n""")
    run(
        f"""INSERT INTO inbox (channel, app, sender, message_id, person_id, arrived_at, reply)
            {numbers} SELECT 'wecom', '1000002', 'p' || i, 'm' || i, i, :at, '{{}}' FROM n WHERE i % 2 = 0"""
    )
    run(
        f"""INSERT INTO preference (person_id, push_at, quiet_from, quiet_to, digest, channel)
            {numbers} SELECT i, '08:30', '22:00', '07:00', 1, '' FROM n WHERE i % 4 = 0"""
    )


def measure(place: Path, people: int = 100_000) -> Cost:
    """Queue, claim, plan, begin and settle one campaign of the daily set for so many people."""
    url = f"sqlite:///{place / 'deliveries.db'}"
    database, cost = Database(open_engine(url)), Cost(people)
    migrate.migrate(database.engine)
    database.write_now(lambda session: _fill(session, people))
    # A service has compiled its statements long before.
    for module in (campaign, completion, queue, quota, recipients):
        for queries in vars(module).values():
            for query in queries.values() if isinstance(queries, dict) else [queries]:
                if isinstance(query, Query):
                    query.for_sqlite()
    timed = _Timed(database, cost)
    content = CampaignContent("daily")

    def start(session: Session) -> tuple[Campaign, int]:
        schedule = Schedule("once", time="09:00", on=NOW.date(), on_holiday="keep")
        campaign_id = campaign.add(session, "每日一练", content, schedule, All(), by="1001", at=NOW, state="running")
        found, occurrence = campaign.get(session, campaign_id), campaign.add_occurrence(session, campaign_id, NOW, NOW, content=content)
        assert found is not None
        assert occurrence is not None
        return found, occurrence

    planned, occurrence_id = database.write_now(start)
    after, complete = 0, False
    while not complete:
        queue_piece: Callable[[Session], tuple[int, int, bool]] = lambda session, after=after: campaign.queue_deliveries(  # type: ignore[misc]  # noqa: E731
            session, planned.id, occurrence_id, All(), NOW, after=after
        )
        *_, complete = timed.write("queue", queue_piece)
        after = next((unfinished.queued_after for unfinished in database.read_now(campaign.unfinished_occurrences)), after)
    catalog: Any = SimpleNamespace(library=SimpleNamespace(lessons={}))
    channels, sizes, now = OpenChannels(("wecom",)), batch_sizes(LIMITS), NOW
    while True:
        moment = now
        claimed = timed.write("claim", lambda session, at=moment: queue.claim(session, HOLDER, at, CLAIM, 10.0))  # type: ignore[misc]
        if not claimed:
            return cost
        planned_now = timed.read("plan", lambda session, some=claimed, at=moment: plan.plan_deliveries(session, catalog, some, at, channels))  # type: ignore[misc]
        waiting = group_messages(planned_now.ready, sizes)["wecom"]
        while waiting:
            begun = timed.write("begin", lambda session, some=waiting[:CALLS], at=now: send.begin(session, some, HOLDER, at, LEASE))  # type: ignore[misc]
            for group in begun.groups:
                results = [queue.SendResult(each.queued.id, "sent", platform_id="m") for each in group.ready]
                timed.write("settle", lambda session, g=group, r=results, at=now: send.settle(session, g, r, HOLDER, at))  # type: ignore[misc]
                cost.sent += len(results)
            waiting = [*begun.remaining, *waiting[CALLS:]]
            now = begun.wait_until or now
        now += timedelta(seconds=1)
