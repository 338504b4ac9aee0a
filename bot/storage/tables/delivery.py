"""Tables of deliveries, of who was notified of what, of what was used of the platforms' limits, and of votes in polls."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint

from bot.storage.tables.campaign import _QUEUED, _SENDING, DELIVERY_STATES
from bot.storage.tables.columns import STRICT, Row, integer_column, is_moment, key_column, moment_column, one_of, text_column


class DeliveryRow(Row):
    """One message of an occurrence to one person. `unknown` may have arrived and is never sent again by itself."""

    __tablename__ = "delivery"
    __table_args__ = (
        one_of("state", *DELIVERY_STATES),
        CheckConstraint("tries >= 0", name="tries_count_up"),
        CheckConstraint("(state = 'sending') = (lease_until IS NOT NULL)", name="a_lease_while_sending"),
        UniqueConstraint("occurrence_id", "person_id"),
        is_moment("created_at"),
        is_moment("not_before"),
        is_moment("lease_until"),
        is_moment("sent_at"),
        is_moment("read_at"),
        Index("delivery_queued", "not_before", sqlite_where=_QUEUED),
        Index("delivery_sending", "lease_until", sqlite_where=_SENDING),
        Index("delivery_of_person", "person_id", "state"),
        STRICT,
    )

    id: int | None = key_column()
    campaign_id: int = integer_column(foreign_key="campaign.id")
    occurrence_id: int = integer_column(foreign_key="occurrence.id")
    person_id: int = integer_column(foreign_key="person.id")
    state: str = text_column(default="queued")
    channel: str = text_column(default="")
    tries: int = integer_column(default=0)
    created_at: datetime = moment_column()
    not_before: datetime = moment_column()
    lease_until: datetime | None = moment_column(default=None)
    holder: str = text_column(default="")
    sent_at: datetime | None = moment_column(default=None)
    read_at: datetime | None = moment_column(default=None)
    platform_id: str = text_column(default="")
    error: str = text_column(default="")


class NotificationRow(Row):
    """Somebody was notified of a matter, by the delivery of an occurrence: nobody hears of it twice."""

    __tablename__ = "notification"
    __table_args__ = (
        CheckConstraint("length(once) BETWEEN 1 AND 200", name="once_fits"),
        UniqueConstraint("once", "person_id"),
        is_moment("notified_at"),
        Index("notification_of_occurrence", "occurrence_id"),
        STRICT,
    )

    id: int | None = key_column()
    once: str = text_column()
    person_id: int = integer_column(foreign_key="person.id")
    occurrence_id: int = integer_column(foreign_key="occurrence.id")
    notified_at: datetime = moment_column()


class BudgetRow(Row):
    """What was used of a platform's limit in one window, shared by all replicas."""

    __tablename__ = "budget"
    __table_args__ = (CheckConstraint("used >= 0", name="used_counts_up"), is_moment("began"), STRICT)

    name: str = text_column(primary_key=True)
    began: datetime = moment_column(primary_key=True)
    used: int = integer_column(default=0)


class VoteRow(Row):
    """One answer to a poll; the first stands."""

    __tablename__ = "vote"
    __table_args__ = (is_moment("voted_at"), STRICT)

    occurrence_id: int = integer_column(foreign_key="occurrence.id", primary_key=True)
    person_id: int = integer_column(foreign_key="person.id", primary_key=True)
    choice: str = text_column()
    voted_at: datetime = moment_column()
