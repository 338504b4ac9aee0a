"""The notebook of mistakes with FSRS's card of each question, and the day for which somebody reviews."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel

from bot.storage.tables.base import KEYED, STRICT, at, day, is_day, is_moment, number, real, words


class NotebookCard(SQLModel, table=True):
    """A question that a person answered wrong once. It leaves the list after enough right answers in a row; its card stays, and falls due."""

    __tablename__ = "notebook_card"
    __table_args__ = (
        CheckConstraint("right_in_a_row >= 0", name="right_counts_up"),
        CheckConstraint("state IN (1, 2, 3)", name="one_of_fsrs_states"),
        CheckConstraint("(state = 2) = (step IS NULL) AND (step IS NULL OR step >= 0)", name="steps_while_learning"),
        CheckConstraint("stability > 0", name="stability_is_positive"),
        CheckConstraint("difficulty BETWEEN 1 AND 10", name="difficulty_is_in_range"),
        is_moment("entered_at"),
        is_moment("left_at"),
        is_moment("due_at"),
        is_moment("reviewed_at"),
        KEYED,
    )

    person_id: int = number(primary_key=True, foreign_key="person.id")
    question: str = words(primary_key=True)
    entered_at: datetime = at()
    right_in_a_row: int = number(default=0)
    left_at: datetime | None = at(default=None)
    state: int = number()
    step: int | None = number(default=None)
    stability: float = real()
    difficulty: float = real()
    due_at: datetime = at()
    reviewed_at: datetime = at()


class ExamGoal(SQLModel, table=True):
    """What a person set for their reviews: the day that counts, minutes a day until then, the percentage to be right on the day."""

    __tablename__ = "exam_goal"
    __table_args__ = (
        CheckConstraint("minutes BETWEEN 1 AND 60", name="minutes_of_a_day"),
        CheckConstraint("target BETWEEN 50 AND 99", name="target_is_a_percentage"),
        is_day("day"),
        STRICT,
    )

    person_id: int = number(primary_key=True, foreign_key="person.id")
    day: date | None = day(default=None)
    minutes: int = number()
    target: int = number()
