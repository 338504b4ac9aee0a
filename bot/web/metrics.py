"""Prometheus metrics of the service, served at /metrics.

What every message counts is kept in plain numbers and turned into Prometheus's series when somebody scrapes them: its own counters take a lock and
several calls for each event.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 10.0)
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 4.0)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200)

COUNTERS = {
    "heard": ("bot_messages_heard", "Messages taken from a channel, verified"),
    "answered": ("bot_answers", "Messages answered after their commit"),
    "refusal": ("bot_refusals", "Messages answered with a reason why nothing was done"),
    "refused": ("bot_callbacks_refused", "Callbacks turned away: forged, stale, oversized, malformed"),
    "stale": ("bot_callbacks_stale", "Of these, from another hour: when nothing else comes, this host's clock is wrong"),
    "former_key": ("bot_callbacks_former_key", "Callbacks accepted by the old token, key or secret while both are taken"),
    "hurried": ("bot_hurried", "Messages of people who sent more in a minute than one may: nothing was recorded"),
    "shed": ("bot_shed", "Messages answered with 系统繁忙: nothing was recorded"),
    "failed": ("bot_failures", "Messages that ended in an error of ours"),
    "late": ("bot_late_replies", "Replies that missed the platform's deadline and were sent actively"),
    "outbound_error": ("bot_outbound_errors", "Calls to a platform that failed"),
}
HISTOGRAMS = {
    "reply_seconds": ("bot_reply_seconds", "From a message's arrival to its reply, by channel"),
    "handle_seconds": ("bot_handle_seconds", "From the hall's door to the committed reply, by channel"),
}
DELIVERIES = ("bot_deliveries", "Messages sent unasked, by state, since the start")
DELIVERY_STATES = {"sent": "sent", "send_failed": "failed", "send_unknown": "unknown", "send_later": "later", "send_stopped": "stopped"}

Measure = Callable[["Metrics"], None]


@dataclass(slots=True)
class Tally:
    """One series of an event: how often it was, or how much of it, and for a histogram the count of each bucket."""

    total: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    since: float = field(default_factory=time.time)


class Metrics:
    """The registry. Channels and the dispatcher are handed `note`; an unknown name raises KeyError instead of opening a new series."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._tallies: dict[str, dict[str, Tally]] = {event: {} for event in (*COUNTERS, *HISTOGRAMS, *DELIVERY_STATES)}
        self.registry.register(_EventCollector(self._tallies))
        self._owed = Gauge("bot_deliveries_owed", "Deliveries in the database that have not ended, by state", ("state",), registry=self.registry)
        self._overdue = Gauge("bot_deliveries_overdue_seconds", "How long the oldest delivery has been due and not sent", registry=self.registry)
        self.queue_depth = Gauge("bot_queue_depth", "Messages that wait for the writer", registry=self.registry)
        self.commit_size = Histogram("bot_commit_size", "Messages in one commit", buckets=SIZES, registry=self.registry)
        self.commit_seconds = Histogram("bot_commit_seconds", "Length of one commit, work included", buckets=COMMIT_SECONDS, registry=self.registry)
        self.commit_failures = Gauge("bot_commit_failures", "Commits that failed as a whole since the start", registry=self.registry)
        self.database_lost = Gauge("bot_database_lost", "1 while the database's file is not the one that was opened", registry=self.registry)
        self.channel_on = Gauge("bot_channel_on", "1 for a channel that is on", ("channel",), registry=self.registry)
        self._measures: list[Measure] = []

    def note(self, event: str, channel: str, value: float) -> None:
        """Count or observe an event (bot/channels/base.py, `Note`), from the loop's thread. KeyError for an undeclared name."""
        tallies = self._tallies[event]
        tally = tallies.get(channel)
        if tally is None:
            tally = tallies[channel] = Tally()
        tally.total += value
        if event in HISTOGRAMS:
            tally.buckets[bisect_left(SECONDS, value)] += 1

    def set_outbox(self, queued: int, sending: int, overdue: float) -> None:
        """Set the number of queued and sending deliveries, and for how many seconds the oldest has been due."""
        self._owed.labels("queued").set(queued)
        self._owed.labels("sending").set(sending)
        self._overdue.set(overdue)

    def add_measure(self, measure: Measure) -> None:
        """Register a function that updates metrics before each scrape."""
        self._measures.append(measure)

    def collect(self) -> None:
        """Run the registered measures."""
        for measure in self._measures:
            measure(self)

    def render(self) -> bytes:
        self.collect()
        return generate_latest(self.registry)

    def attach(self, app: web.Application) -> None:
        async def show(request: web.Request) -> web.Response:
            return web.Response(body=self.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

        app.router.add_get("/metrics", show)


class _EventCollector:
    """The events that were noted, as Prometheus's series."""

    def __init__(self, tallies: dict[str, dict[str, Tally]]) -> None:
        self._tallies = tallies

    def describe(self) -> Iterator[Metric]:
        """The names, which exist before anything was counted."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        for event, (name, description) in COUNTERS.items():
            counter = CounterMetricFamily(name, description, labels=("channel",))
            for channel, tally in self._tallies[event].items():
                counter.add_metric((channel,), tally.total, created=tally.since)
            yield counter
        bounds = (*map(floatToGoString, SECONDS), "+Inf")
        for event, (name, description) in HISTOGRAMS.items():
            histogram = HistogramMetricFamily(name, description, labels=("channel",))
            for channel, tally in self._tallies[event].items():
                histogram.add_metric((channel,), list(zip(bounds, accumulate(tally.buckets), strict=True)), tally.total)
                histogram.add_sample(f"{name}_created", {"channel": channel}, tally.since)
            yield histogram
        deliveries = GaugeMetricFamily(*DELIVERIES, labels=("channel", "state"))
        for event, state in DELIVERY_STATES.items():
            for channel, tally in self._tallies[event].items():
                deliveries.add_metric((channel, state), tally.total)
        yield deliveries
