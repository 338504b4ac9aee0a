"""Tables of campaigns and their occurrences."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text

from bot.storage.tables.columns import STRICT, Row, integer_column, is_moment, key_column, moment_column, one_of, text_column

KINDS = ("lesson", "daily", "series", "notice", "poll", "reminder", "invitation", "digest")
CAMPAIGN_STATES = ("draft", "running", "paused", "stopped", "done")
DELIVERY_STATES = ("queued", "sending", "sent", "failed", "unknown", "skipped")
_QUEUED = text("state = 'queued'")
_SENDING = text("state = 'sending'")
_UNFINISHED = text("queued_after IS NOT NULL")


class CampaignRow(Row):
    """What is sent, when, to whom and by which clause; the JSON columns hold values of the domain (content, rhythm, audience, delivery rule)."""

    __tablename__ = "campaign"
    __table_args__ = (
        one_of("kind", *KINDS),
        one_of("state", *CAMPAIGN_STATES),
        one_of("missed", "send", "mark"),
        CheckConstraint("length(name) BETWEEN 1 AND 80", name="name_fits"),
        is_moment("created_at"),
        is_moment("changed_at"),
        is_moment("planned_until"),
        STRICT,
    )

    id: int | None = key_column()
    name: str = text_column()
    kind: str = text_column()
    content: str = text_column()
    rhythm: str = text_column()
    audience: str = text_column()
    delivery: str = text_column(default="{}")
    missed: str = text_column(default="send")
    clause: str = text_column(default="")
    state: str = text_column(default="draft")
    version: int = integer_column(default=1)
    created_by: str = text_column()
    created_at: datetime = moment_column()
    changed_at: datetime = moment_column()
    planned_until: datetime | None = moment_column(default=None)


class OccurrenceRow(Row):
    """A campaign fell due: one row a (campaign, due), whoever believed that it was time (bot/docs/reliability.md S1).

    `queued_after` is the last person for whom a delivery was queued while the rest still is to be; empty once everybody has theirs.
    """

    __tablename__ = "occurrence"
    __table_args__ = (
        one_of("state", "fired", "missed", "void"),
        UniqueConstraint("campaign_id", "due"),
        is_moment("due"),
        is_moment("fired_at"),
        Index("occurrence_unfinished", "id", sqlite_where=_UNFINISHED),
        STRICT,
    )

    id: int | None = key_column()
    campaign_id: int = integer_column(foreign_key="campaign.id")
    due: datetime = moment_column()
    fired_at: datetime = moment_column()
    state: str = text_column(default="fired")
    part: int = integer_column(default=0)
    content: str = text_column(default="")
    invited: int = integer_column(default=0)
    excluded: int = integer_column(default=0)
    note: str = text_column(default="")
    queued_after: int | None = integer_column(default=None)
