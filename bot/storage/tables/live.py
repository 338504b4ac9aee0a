"""Live contests: where each stands, when its questions were open, who pressed, what was decided, what was called out to the phones."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import SQLModel

from bot.storage.tables.base import KEYED, STRICT, at, flag, is_flag, is_moment, key, number, one_of, words

PHASES = ("lobby", "reading", "open", "closed", "board", "finished")
ROUNDS = ("all", "required", "buzzer", "risk", "tie")
CALLS = ("ask", "told", "end")


class Live(SQLModel, table=True):
    """Where a live contest stands: one row that all replicas, screens and consoles look at; `version` counts every change of it.

    `code` is what people type to join, `secret` what the screen's address adds so that it may show names. `host_id` holds the console. `scheme`
    are the rules of the stage (JSON), empty without one.
    """

    __tablename__ = "live"
    __table_args__ = (
        one_of("phase", *PHASES),
        is_flag("paused"),
        CheckConstraint("length(code) = 6", name="code_has_six_digits"),
        CheckConstraint("length(secret) = 12", name="secret_fits"),
        CheckConstraint("item >= 0", name="items_count_up"),
        CheckConstraint("version >= 1", name="versions_count_from_one"),
        CheckConstraint("(host_id IS NULL) = (host_at IS NULL)", name="a_host_since_when"),
        CheckConstraint("phase IN ('lobby', 'board', 'finished', 'closed') OR item >= 1", name="an_item_in_hand"),
        is_moment("host_at"),
        is_moment("opened_at"),
        is_moment("changed_at"),
        Index("live_in_phase", "phase"),
        STRICT,
    )

    contest_id: int = number(primary_key=True, foreign_key="contest.id")
    code: str = words(unique=True)
    secret: str = words()
    phase: str = words(default="lobby")
    item: int = number(default=0)
    paused: bool = flag(default=False)
    version: int = number(default=1)
    host_id: int | None = number(default=None, foreign_key="person.id")
    host_at: datetime | None = at(default=None)
    scheme: str = words(default="")
    opened_at: datetime = at()
    changed_at: datetime = at()


class LiveItem(SQLModel, table=True):
    """A question that came on: its round, its clock and what became of it.

    `pauses` is a JSON list of [from, to]; `void` the reason why it does not count, empty if it does.

    `buzz_at` is when the buzzers were opened. `team_id` is whose question it is (必答, 风险); `holder_id` who pressed first and answers; `stake` in
    thousandths. `ends_at` is empty where only the host ends it.
    """

    __tablename__ = "live_item"
    __table_args__ = (
        one_of("round", *ROUNDS),
        CheckConstraint("n >= 1", name="items_count_from_one"),
        CheckConstraint("seconds >= 0", name="seconds_are_not_negative"),
        CheckConstraint("stake >= 0", name="stake_is_not_negative"),
        CheckConstraint("length(void) <= 200", name="void_fits"),
        is_moment("opened_at"),
        is_moment("buzz_at"),
        is_moment("ends_at"),
        is_moment("closed_at"),
        KEYED,
    )

    contest_id: int = number(primary_key=True, foreign_key="live.contest_id")
    n: int = number(primary_key=True)
    round: str = words(default="all")
    seconds: int = number(default=0)
    team_id: int | None = number(default=None, foreign_key="team.id")
    holder_id: int | None = number(default=None, foreign_key="team.id")
    stake: int = number(default=0)
    opened_at: datetime = at()
    buzz_at: datetime | None = at(default=None)
    ends_at: datetime | None = at(default=None)
    closed_at: datetime | None = at(default=None)
    pauses: str = words(default="[]")
    void: str = words(default="")


class LiveBuzz(SQLModel, table=True):
    """A team pressed, once a question: by arrival at the edge, of the same microsecond by this row's id. `fault` is a false start."""

    __tablename__ = "live_buzz"
    __table_args__ = (
        is_flag("fault"),
        is_moment("arrived_at"),
        UniqueConstraint("contest_id", "n", "team_id"),
        STRICT,
    )

    id: int | None = key()
    contest_id: int = number(foreign_key="live.contest_id")
    n: int = number()
    team_id: int = number(foreign_key="team.id")
    person_id: int = number(foreign_key="person.id")
    arrived_at: datetime = at()
    fault: bool = flag(default=False)


class LiveDecision(SQLModel, table=True):
    """What was decided in a contest: when, by whom, what and why; `points` in thousandths go to the team or person. Never changed, never deleted."""

    __tablename__ = "live_decision"
    __table_args__ = (
        CheckConstraint("length(act) BETWEEN 1 AND 20", name="act_fits"),
        CheckConstraint("length(why) <= 200", name="why_fits"),
        CheckConstraint("points = 0 OR (team_id IS NULL) <> (person_id IS NULL)", name="points_go_to_one"),
        is_moment("decided_at"),
        Index("live_decision_of_contest", "contest_id", "id"),
        STRICT,
    )

    id: int | None = key()
    contest_id: int = number(foreign_key="live.contest_id")
    decided_at: datetime = at()
    actor: str = words()
    act: str = words()
    n: int = number(default=0)
    team_id: int | None = number(default=None, foreign_key="team.id")
    person_id: int | None = number(default=None, foreign_key="person.id")
    points: int = number(default=0)
    why: str = words(default="")


class LiveCall(SQLModel, table=True):
    """Something called out to everybody's phone, by one replica: the row is the claim to do it. Whom it missed says 继续."""

    __tablename__ = "live_call"
    __table_args__ = (
        one_of("what", *CALLS),
        CheckConstraint("people >= 0 AND sent >= 0 AND failed >= 0", name="counts_are_not_negative"),
        is_moment("began_at"),
        is_moment("ended_at"),
        KEYED,
    )

    contest_id: int = number(primary_key=True, foreign_key="live.contest_id")
    n: int = number(primary_key=True)
    what: str = words(primary_key=True)
    holder: str = words()
    began_at: datetime = at()
    ended_at: datetime | None = at(default=None)
    people: int = number(default=0)
    sent: int = number(default=0)
    failed: int = number(default=0)
