"""Contests with their questions, teams and those who took part; matches of two or four.

An answer in a contest is a row of `answer` like any other, in a sitting of kind contest, live or match whose scope is the id here; what stands in
these tables beside it can be made again from the answers.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel

from bot.storage.tables.base import KEYED, STRICT, at, day, flag, is_day, is_flag, is_moment, key, number, one_of, words

CONTEST_FORMS = ("windowed", "live", "onsite")
CONTEST_STATES = ("draft", "open", "closed", "cancelled")
DUEL_STATES = ("calling", "running", "over", "off")
PLAYER_STATES = ("invited", "ready", "playing", "done", "declined")
NEWS = ("invited", "begun", "off", "over")
_AT_IT = text("state IN ('ready', 'playing')")
_OWED = text("owed IS NOT NULL")


class Contest(SQLModel, table=True):
    """One contest. `rules`, `source` and `audience` are values of the domain in JSON; `version` counts the changes of the plan.

    `board` is the whole board as it was frozen in the transaction that closed it (JSON), empty before. A windowed contest has both its moments; a
    live or on-site one is opened and closed by its host.
    """

    __tablename__ = "contest"
    __table_args__ = (
        one_of("form", *CONTEST_FORMS),
        one_of("state", *CONTEST_STATES),
        CheckConstraint("length(name) BETWEEN 1 AND 80", name="name_fits"),
        CheckConstraint("version >= 1", name="versions_count_from_one"),
        CheckConstraint("form <> 'windowed' OR (opens_at IS NOT NULL AND closes_at IS NOT NULL)", name="a_window_has_two_ends"),
        CheckConstraint("closes_at > opens_at", name="closes_after_it_opens"),
        CheckConstraint("(state IN ('closed', 'cancelled')) = (closed_at IS NOT NULL)", name="closed_when_over"),
        CheckConstraint("(state = 'closed') = (board <> '')", name="frozen_when_closed"),
        is_moment("opens_at"),
        is_moment("closes_at"),
        is_moment("created_at"),
        is_moment("changed_at"),
        is_moment("closed_at"),
        Index("contest_in_state", "state", "closes_at"),
        STRICT,
    )

    id: int | None = key()
    name: str = words()
    form: str = words()
    state: str = words(default="draft")
    version: int = number(default=1)
    rules: str = words()
    source: str = words(default="{}")
    audience: str = words()
    clause: str = words(default="")
    opens_at: datetime | None = at(default=None)
    closes_at: datetime | None = at(default=None)
    created_by: str = words()
    created_at: datetime = at()
    changed_at: datetime = at()
    closed_at: datetime | None = at(default=None)
    board: str = words(default="")


class ContestItem(SQLModel, table=True):
    """The n-th question of a contest in which all are asked the same (live, on site), with its worth in thousandths and the round it belongs to."""

    __tablename__ = "contest_item"
    __table_args__ = (
        CheckConstraint("n >= 1", name="items_count_from_one"),
        CheckConstraint("points >= 0", name="points_are_not_negative"),
        CheckConstraint("length(part) <= 40", name="part_fits"),
        KEYED,
    )

    contest_id: int = number(primary_key=True, foreign_key="contest.id")
    n: int = number(primary_key=True)
    question: str = words()
    version_id: int = number(foreign_key="question_version.id")
    points: int = number(default=1000)
    part: str = words(default="")


class Team(SQLModel, table=True):
    """A team of one contest; of a unit where teams are made by unit. It is never dissolved: who drops out stays a member (S19)."""

    __tablename__ = "team"
    __table_args__ = (
        CheckConstraint("length(name) BETWEEN 1 AND 400", name="name_fits"),
        UniqueConstraint("contest_id", "name"),
        STRICT,
    )

    id: int | None = key()
    contest_id: int = number(foreign_key="contest.id")
    name: str = words()
    unit_id: int | None = number(default=None, foreign_key="unit.id")


class TeamMember(SQLModel, table=True):
    """Who is in which team: one team a person and contest. Whoever is here counts in a mean over all, taking part or not."""

    __tablename__ = "team_member"
    __table_args__ = (Index("team_member_of_team", "team_id"), KEYED)

    contest_id: int = number(primary_key=True, foreign_key="contest.id")
    person_id: int = number(primary_key=True, foreign_key="person.id")
    team_id: int = number(foreign_key="team.id")


class Participation(SQLModel, table=True):
    """Somebody who joined a contest, and how they stand: points in thousandths (an on-site round may take some away), time in milliseconds.

    `finished_at` is the moment of the last thing that counts, empty for who has done nothing yet; `strength` the share of right answers in
    thousandths before the contest (groups among equals); `unit_id` where they worked when they joined; `place` is written when the board freezes.
    """

    __tablename__ = "participation"
    __table_args__ = (
        CheckConstraint("correct >= 0 AND millis >= 0", name="counts_are_not_negative"),
        CheckConstraint("strength BETWEEN 0 AND 1000", name="strength_is_a_share"),
        CheckConstraint("place >= 1", name="places_count_from_one"),
        is_moment("joined_at"),
        is_moment("finished_at"),
        Index("participation_of_person", "person_id"),
        KEYED,
    )

    contest_id: int = number(primary_key=True, foreign_key="contest.id")
    person_id: int = number(primary_key=True, foreign_key="person.id")
    joined_at: datetime = at()
    unit_id: int | None = number(default=None, foreign_key="unit.id")
    strength: int = number(default=0)
    points: int = number(default=0)
    correct: int = number(default=0)
    millis: int = number(default=0)
    finished_at: datetime | None = at(default=None)
    place: int | None = number(default=None)


class ContestSet(SQLModel, table=True):
    """The n-th set that somebody began on a day of a windowed contest, and what it came to once it was over; `whole` when all was answered."""

    __tablename__ = "contest_set"
    __table_args__ = (
        UniqueConstraint("contest_id", "person_id", "day", "n"),
        CheckConstraint("n >= 1", name="sets_count_from_one"),
        CheckConstraint("correct >= 0 AND millis >= 0", name="counts_are_not_negative"),
        is_flag("whole"),
        is_day("day"),
        is_moment("over_at"),
        STRICT,
    )

    sitting_id: int = number(primary_key=True, foreign_key="sitting.id")
    contest_id: int = number(foreign_key="contest.id")
    person_id: int = number(foreign_key="person.id")
    day: date = day()
    n: int = number()
    whole: bool = flag(default=False)
    points: int = number(default=0)
    correct: int = number(default=0)
    millis: int = number(default=0)
    over_at: datetime | None = at(default=None)


class Duel(SQLModel, table=True):
    """A match: called by somebody, running once all are there. `until` is the moment at which the call, then the match, ends by itself."""

    __tablename__ = "duel"
    __table_args__ = (
        one_of("state", *DUEL_STATES),
        CheckConstraint("size BETWEEN 2 AND 4", name="two_to_four_play"),
        CheckConstraint("(state IN ('over', 'off')) = (over_at IS NOT NULL)", name="over_when_it_ended"),
        CheckConstraint("state NOT IN ('running', 'over') OR started_at IS NOT NULL", name="started_when_it_runs"),
        is_flag("invited"),
        is_moment("made_at"),
        is_moment("until"),
        is_moment("started_at"),
        is_moment("over_at"),
        Index("duel_in_state", "state", "until"),
        STRICT,
    )

    id: int | None = key()
    size: int = number()
    invited: bool = flag(default=False)
    state: str = words(default="calling")
    made_by: int = number(foreign_key="person.id")
    made_at: datetime = at()
    until: datetime = at()
    started_at: datetime | None = at(default=None)
    over_at: datetime | None = at(default=None)


class DuelPlayer(SQLModel, table=True):
    """One of a match: at one match at a time, whatever the number of replicas. `owed` is the news this person has not been told yet."""

    __tablename__ = "duel_player"
    __table_args__ = (
        one_of("state", *PLAYER_STATES),
        one_of("owed", *NEWS),
        CheckConstraint("(place IS NULL) = (points IS NULL)", name="points_with_a_place"),
        CheckConstraint("place BETWEEN 1 AND 4", name="place_is_one_of_four"),
        CheckConstraint("correct >= 0 AND millis >= 0", name="counts_are_not_negative"),
        Index("duel_player_at_one", "person_id", unique=True, sqlite_where=_AT_IT, postgresql_where=_AT_IT),
        Index("duel_player_owed", "duel_id", "person_id", sqlite_where=_OWED, postgresql_where=_OWED),
        KEYED,
    )

    duel_id: int = number(primary_key=True, foreign_key="duel.id")
    person_id: int = number(primary_key=True, foreign_key="person.id")
    state: str = words()
    sitting_id: int | None = number(default=None, foreign_key="sitting.id")
    correct: int = number(default=0)
    millis: int = number(default=0)
    place: int | None = number(default=None)
    points: int | None = number(default=None)
    owed: str | None = words(default=None)
