"""Tables of the duty list and its planned activities."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, UniqueConstraint

from bot.storage.tables.columns import STRICT, Row, day_column, integer_column, is_day, is_moment, key_column, moment_column, one_of, text_column


class DutyRow(Row):
    """A row of the duty list (普法责任清单): law x office x form x count x deadline, with its liaison."""

    __tablename__ = "duty"
    __table_args__ = (
        CheckConstraint("count >= 1", name="count_is_positive"),
        UniqueConstraint("year", "unit_id", "law", "form"),
        is_day("deadline"),
        is_moment("recorded_at"),
        STRICT,
    )

    id: int | None = key_column()
    year: int = integer_column()
    law: str = text_column()
    unit_id: int = integer_column(foreign_key="unit.id")
    form: str = text_column()
    count: int = integer_column(default=1)
    deadline: date = day_column()
    liaison_id: int | None = integer_column(default=None, foreign_key="person.id")
    clause: str = text_column(default="")
    recorded_at: datetime = moment_column()


class PlannedRow(Row):
    """A planned activity of a duty row; done with a day and a note of its evidence, or cancelled with a reason."""

    __tablename__ = "planned"
    __table_args__ = (
        one_of("state", "planned", "done", "cancelled"),
        CheckConstraint("(state = 'done') = (done_on IS NOT NULL)", name="done_on_a_day"),
        is_day("due_on"),
        is_day("done_on"),
        STRICT,
    )

    id: int | None = key_column()
    duty_id: int = integer_column(foreign_key="duty.id", index=True)
    n: int = integer_column()
    name: str = text_column()
    due_on: date = day_column()
    state: str = text_column(default="planned")
    done_on: date | None = day_column(default=None)
    campaign_id: int | None = integer_column(default=None, foreign_key="campaign.id")
    note: str = text_column(default="")
