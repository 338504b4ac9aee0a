"""Campaigns, when they fell due, what was sent to whom and how that ended; what the sending may cost; leave and tags that steer it."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel

from bot.storage.tables.base import STRICT, at, day, flag, is_day, is_flag, is_moment, key, number, one_of, words

KINDS = ("lesson", "daily", "series", "notice", "poll", "reminder", "invitation", "digest")
CAMPAIGN_STATES = ("draft", "running", "paused", "stopped", "done")
DELIVERY_STATES = ("queued", "sending", "sent", "failed", "unknown", "skipped")
_QUEUED = text("state = 'queued'")
_SENDING = text("state = 'sending'")


class Campaign(SQLModel, table=True):
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

    id: int | None = key()
    name: str = words()
    kind: str = words()
    content: str = words()
    rhythm: str = words()
    audience: str = words()
    delivery: str = words(default="{}")
    missed: str = words(default="send")
    clause: str = words(default="")
    state: str = words(default="draft")
    version: int = number(default=1)
    created_by: str = words()
    created_at: datetime = at()
    changed_at: datetime = at()
    planned_until: datetime | None = at(default=None)


class Occurrence(SQLModel, table=True):
    """A campaign fell due: one row a (campaign, due), whoever believed that it was time (reliability.md S1)."""

    __tablename__ = "occurrence"
    __table_args__ = (
        one_of("state", "fired", "missed", "void"),
        UniqueConstraint("campaign_id", "due"),
        is_moment("due"),
        is_moment("fired_at"),
        STRICT,
    )

    id: int | None = key()
    campaign_id: int = number(foreign_key="campaign.id")
    due: datetime = at()
    fired_at: datetime = at()
    state: str = words(default="fired")
    part: int = number(default=0)
    content: str = words(default="")
    invited: int = number(default=0)
    excluded: int = number(default=0)
    note: str = words(default="")


class Delivery(SQLModel, table=True):
    """One thing owed to one person. `unknown` may have arrived and is never sent again by itself."""

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
        Index("delivery_queued", "not_before", sqlite_where=_QUEUED, postgresql_where=_QUEUED),
        Index("delivery_sending", "lease_until", sqlite_where=_SENDING, postgresql_where=_SENDING),
        Index("delivery_of_person", "person_id", "state"),
        STRICT,
    )

    id: int | None = key()
    campaign_id: int = number(foreign_key="campaign.id")
    occurrence_id: int = number(foreign_key="occurrence.id")
    person_id: int = number(foreign_key="person.id")
    state: str = words(default="queued")
    channel: str = words(default="")
    tries: int = number(default=0)
    created_at: datetime = at()
    not_before: datetime = at()
    lease_until: datetime | None = at(default=None)
    holder: str = words(default="")
    sent_at: datetime | None = at(default=None)
    read_at: datetime | None = at(default=None)
    platform_id: str = words(default="")
    error: str = words(default="")


class Budget(SQLModel, table=True):
    """What was used of a platform's limit in one window, shared by all replicas."""

    __tablename__ = "budget"
    __table_args__ = (CheckConstraint("used >= 0", name="used_counts_up"), is_moment("began"), STRICT)

    name: str = words(primary_key=True)
    began: datetime = at(primary_key=True)
    used: int = number(default=0)


class Absence(SQLModel, table=True):
    """Leave or secondment, both days included: nothing is sent, no day of the streak is lost."""

    __tablename__ = "absence"
    __table_args__ = (
        one_of("kind", "leave", "secondment"),
        CheckConstraint("until IS NULL OR until >= since", name="ends_after_it_begins"),
        is_day("since"),
        is_day("until"),
        is_moment("recorded_at"),
        STRICT,
    )

    id: int | None = key()
    person_id: int = number(foreign_key="person.id", index=True)
    kind: str = words()
    since: date = day()
    until: date | None = day(default=None)
    recorded_by: str = words()
    recorded_at: datetime = at()


class Tag(SQLModel, table=True):
    """A word that an audience can be chosen by."""

    __tablename__ = "tag"
    __table_args__ = (CheckConstraint("length(tag) BETWEEN 1 AND 40", name="tag_fits"), STRICT)

    person_id: int = number(foreign_key="person.id", primary_key=True)
    tag: str = words(primary_key=True)


class Preference(SQLModel, table=True):
    """What a person chose in 设置: the hour of the push and the quiet hours as 08:30, the digest, the channel that comes first."""

    __tablename__ = "preference"
    __table_args__ = (
        CheckConstraint("push_at IS NULL OR push_at LIKE '__:__'", name="push_at_is_a_time"),
        CheckConstraint("quiet_from IS NULL OR quiet_from LIKE '__:__'", name="quiet_from_is_a_time"),
        CheckConstraint("quiet_to IS NULL OR quiet_to LIKE '__:__'", name="quiet_to_is_a_time"),
        is_flag("digest"),
        STRICT,
    )

    person_id: int = number(foreign_key="person.id", primary_key=True)
    push_at: str | None = words(default=None)
    quiet_from: str | None = words(default=None)
    quiet_to: str | None = words(default=None)
    digest: bool = flag(default=True)
    channel: str = words(default="")


class Vote(SQLModel, table=True):
    """One answer to a poll; the first stands."""

    __tablename__ = "vote"
    __table_args__ = (is_moment("voted_at"), STRICT)

    occurrence_id: int = number(foreign_key="occurrence.id", primary_key=True)
    person_id: int = number(foreign_key="person.id", primary_key=True)
    choice: str = words()
    voted_at: datetime = at()


class Switch(SQLModel, table=True):
    """Something an administrator turned for everybody, such as the pause of all pushes in an emergency."""

    __tablename__ = "switch"
    __table_args__ = (is_flag("is_on"), is_moment("turned_at"), STRICT)

    name: str = words(primary_key=True)
    is_on: bool = flag(default=False)
    turned_by: str = words()
    turned_at: datetime = at()
    reason: str = words(default="")


class Duty(SQLModel, table=True):
    """A row of the duty list (普法责任清单): law x office x form x count x deadline, with its liaison."""

    __tablename__ = "duty"
    __table_args__ = (
        CheckConstraint("count >= 1", name="count_is_positive"),
        UniqueConstraint("year", "unit_id", "law", "form"),
        is_day("deadline"),
        is_moment("recorded_at"),
        STRICT,
    )

    id: int | None = key()
    year: int = number()
    law: str = words()
    unit_id: int = number(foreign_key="unit.id")
    form: str = words()
    count: int = number(default=1)
    deadline: date = day()
    liaison_id: int | None = number(default=None, foreign_key="person.id")
    clause: str = words(default="")
    recorded_at: datetime = at()


class Planned(SQLModel, table=True):
    """A planned activity of a duty row; done with a day and a note of its evidence, or cancelled with a reason."""

    __tablename__ = "planned"
    __table_args__ = (
        one_of("state", "planned", "done", "cancelled"),
        CheckConstraint("(state = 'done') = (done_on IS NOT NULL)", name="done_on_a_day"),
        is_day("due_on"),
        is_day("done_on"),
        STRICT,
    )

    id: int | None = key()
    duty_id: int = number(foreign_key="duty.id", index=True)
    n: int = number()
    name: str = words()
    due_on: date = day()
    state: str = words(default="planned")
    done_on: date | None = day(default=None)
    campaign_id: int | None = number(default=None, foreign_key="campaign.id")
    note: str = words(default="")
