"""Prometheus metrics of the service, served at /metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 10.0)
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 4.0)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200)

Measure = Callable[["Metrics"], None]


class Metrics:
    """The registry. Channels and the dispatcher are handed `note`; an unknown name raises KeyError instead of opening a new series."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._counters = {
            "heard": self._counter("bot_messages_heard", "Messages taken from a channel, verified"),
            "answered": self._counter("bot_answers", "Messages answered after their commit"),
            "refusal": self._counter("bot_refusals", "Messages answered with a reason why nothing was done"),
            "refused": self._counter("bot_callbacks_refused", "Callbacks turned away: forged, stale, oversized, malformed"),
            "stale": self._counter("bot_callbacks_stale", "Of these, from another hour: when nothing else comes, this host's clock is wrong"),
            "shed": self._counter("bot_shed", "Messages answered with 系统繁忙: nothing was recorded"),
            "failed": self._counter("bot_failures", "Messages that ended in an error of ours"),
            "late": self._counter("bot_late_replies", "Replies that missed the platform's deadline and were sent actively"),
            "outbound_error": self._counter("bot_outbound_errors", "Calls to a platform that failed"),
        }
        self._histograms = {
            "reply_seconds": self._histogram("bot_reply_seconds", "From a message's arrival to its reply, by channel", SECONDS),
            "handle_seconds": self._histogram("bot_handle_seconds", "From the hall's door to the committed reply, by channel", SECONDS),
        }
        self._deliveries = Gauge("bot_deliveries", "Messages sent unasked, by state, since the start", ("channel", "state"), registry=self.registry)
        self._states = {"sent": "sent", "send_failed": "failed", "send_unknown": "unknown", "send_later": "later", "send_stopped": "stopped"}
        self._owed = Gauge("bot_deliveries_owed", "Deliveries in the database that have not ended, by state", ("state",), registry=self.registry)
        self._overdue = Gauge("bot_deliveries_overdue_seconds", "How long the oldest delivery has been due and not sent", registry=self.registry)
        self.queue_depth = Gauge("bot_queue_depth", "Messages that wait for the writer", registry=self.registry)
        self.commit_size = Histogram("bot_commit_size", "Messages in one commit", buckets=SIZES, registry=self.registry)
        self.commit_seconds = Histogram("bot_commit_seconds", "Length of one commit, work included", buckets=COMMIT_SECONDS, registry=self.registry)
        self.commit_failures = Gauge("bot_commit_failures", "Commits that failed as a whole since the start", registry=self.registry)
        self.channel_on = Gauge("bot_channel_on", "1 for a channel that is on", ("channel",), registry=self.registry)
        self._measures: list[Measure] = []
        self._recorders: dict[tuple[str, str], Callable[[float], None]] = {}

    def _counter(self, name: str, description: str) -> Counter:
        return Counter(name, description, ("channel",), registry=self.registry)

    def _histogram(self, name: str, description: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, description, ("channel",), buckets=buckets, registry=self.registry)

    def note(self, event: str, channel: str, value: float) -> None:
        """Count or observe an event (bot/channels/base.py, `Note`). KeyError for an undeclared name."""
        record = self._recorders.get((event, channel))
        if record is None:
            record = self._recorders[event, channel] = self._series(event, channel)
        record(value)

    def _series(self, event: str, channel: str) -> Callable[[float], None]:
        """The function that records in a series; `note` caches it, since a lookup by labels takes longer than the count itself."""
        if (state := self._states.get(event)) is not None:
            return self._deliveries.labels(channel, state).inc
        if (counter := self._counters.get(event)) is not None:
            return counter.labels(channel).inc
        return self._histograms[event].labels(channel).observe

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
