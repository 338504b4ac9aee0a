"""Tables of contests, duels and live contests.

An answer in a contest is an ordinary row of `answer`, in a sitting of kind contest, live or match whose scope is the id here; the results in
these tables can be recomputed from the answers.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text

from bot.storage.tables.columns import (
    KEYED,
    STRICT,
    Row,
    day_column,
    flag_column,
    integer_column,
    is_day,
    is_flag,
    is_moment,
    key_column,
    moment_column,
    one_of,
    text_column,
)

CONTEST_FORMS = ("windowed", "live", "onsite")
CONTEST_STATES = ("draft", "open", "closed", "cancelled")
DUEL_STATES = ("calling", "running", "over", "off")
PLAYER_STATES = ("invited", "ready", "playing", "done", "declined")
NEWS = ("invited", "begun", "off", "over")
_IS_ACTIVE = text("state IN ('ready', 'playing')")
_HAS_PENDING_NEWS = text("owed IS NOT NULL")


class ContestRow(Row):
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

    id: int | None = key_column()
    name: str = text_column()
    form: str = text_column()
    state: str = text_column(default="draft")
    version: int = integer_column(default=1)
    rules: str = text_column()
    source: str = text_column(default="{}")
    audience: str = text_column()
    clause: str = text_column(default="")
    opens_at: datetime | None = moment_column(default=None)
    closes_at: datetime | None = moment_column(default=None)
    created_by: str = text_column()
    created_at: datetime = moment_column()
    changed_at: datetime = moment_column()
    closed_at: datetime | None = moment_column(default=None)
    board: str = text_column(default="")


class ContestItemRow(Row):
    """The n-th question of a contest in which all are asked the same (live, on site), with its worth in thousandths and the round it belongs to."""

    __tablename__ = "contest_item"
    __table_args__ = (
        CheckConstraint("n >= 1", name="items_count_from_one"),
        CheckConstraint("points >= 0", name="points_are_not_negative"),
        CheckConstraint("length(part) <= 40", name="part_fits"),
        KEYED,
    )

    contest_id: int = integer_column(primary_key=True, foreign_key="contest.id")
    n: int = integer_column(primary_key=True)
    question: str = text_column()
    version_id: int = integer_column(foreign_key="question_version.id")
    points: int = integer_column(default=1000)
    part: str = text_column(default="")


class TeamRow(Row):
    """A team of one contest; of a unit where teams are made by unit. It is never dissolved: who drops out stays a member (bot/docs/rules.md S19)."""

    __tablename__ = "team"
    __table_args__ = (
        CheckConstraint("length(name) BETWEEN 1 AND 400", name="name_fits"),
        UniqueConstraint("contest_id", "name"),
        STRICT,
    )

    id: int | None = key_column()
    contest_id: int = integer_column(foreign_key="contest.id")
    name: str = text_column()
    unit_id: int | None = integer_column(default=None, foreign_key="unit.id")


class TeamMemberRow(Row):
    """Who is in which team: one team a person and contest. Whoever is here counts in a mean over all, taking part or not."""

    __tablename__ = "team_member"
    __table_args__ = (Index("team_member_of_team", "team_id"), KEYED)

    contest_id: int = integer_column(primary_key=True, foreign_key="contest.id")
    person_id: int = integer_column(primary_key=True, foreign_key="person.id")
    team_id: int = integer_column(foreign_key="team.id")


class ParticipationRow(Row):
    """A participant of a contest and their result: points in thousandths (an on-site round may take some away), time in milliseconds.

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

    contest_id: int = integer_column(primary_key=True, foreign_key="contest.id")
    person_id: int = integer_column(primary_key=True, foreign_key="person.id")
    joined_at: datetime = moment_column()
    unit_id: int | None = integer_column(default=None, foreign_key="unit.id")
    strength: int = integer_column(default=0)
    points: int = integer_column(default=0)
    correct: int = integer_column(default=0)
    millis: int = integer_column(default=0)
    finished_at: datetime | None = moment_column(default=None)
    place: int | None = integer_column(default=None)


class ContestSetRow(Row):
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

    sitting_id: int = integer_column(primary_key=True, foreign_key="sitting.id")
    contest_id: int = integer_column(foreign_key="contest.id")
    person_id: int = integer_column(foreign_key="person.id")
    day: date = day_column()
    n: int = integer_column()
    whole: bool = flag_column(default=False)
    points: int = integer_column(default=0)
    correct: int = integer_column(default=0)
    millis: int = integer_column(default=0)
    over_at: datetime | None = moment_column(default=None)


class DuelRow(Row):
    """A match: opened by one player, running once all are there. `until` is the moment at which the invitation, then the match, expires."""

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

    id: int | None = key_column()
    size: int = integer_column()
    invited: bool = flag_column(default=False)
    state: str = text_column(default="calling")
    made_by: int = integer_column(foreign_key="person.id")
    made_at: datetime = moment_column()
    until: datetime = moment_column()
    started_at: datetime | None = moment_column(default=None)
    over_at: datetime | None = moment_column(default=None)


class DuelPlayerRow(Row):
    """A player of a match; a unique index allows one active match a person. `owed` is the kind of news not sent to this player yet."""

    __tablename__ = "duel_player"
    __table_args__ = (
        one_of("state", *PLAYER_STATES),
        one_of("owed", *NEWS),
        CheckConstraint("(place IS NULL) = (points IS NULL)", name="points_with_a_place"),
        CheckConstraint("place BETWEEN 1 AND 4", name="place_is_one_of_four"),
        CheckConstraint("correct >= 0 AND millis >= 0", name="counts_are_not_negative"),
        Index("duel_player_at_one", "person_id", unique=True, sqlite_where=_IS_ACTIVE),
        Index("duel_player_owed", "duel_id", "person_id", sqlite_where=_HAS_PENDING_NEWS),
        KEYED,
    )

    duel_id: int = integer_column(primary_key=True, foreign_key="duel.id")
    person_id: int = integer_column(primary_key=True, foreign_key="person.id")
    state: str = text_column()
    sitting_id: int | None = integer_column(default=None, foreign_key="sitting.id")
    correct: int = integer_column(default=0)
    millis: int = integer_column(default=0)
    place: int | None = integer_column(default=None)
    points: int | None = integer_column(default=None)
    owed: str | None = text_column(default=None)


PHASES = ("lobby", "reading", "open", "closed", "board", "finished")
ROUNDS = ("all", "required", "buzzer", "risk", "tie")
CALLS = ("ask", "told", "end")


class LiveRow(Row):
    """The state of a live contest: one row that all replicas, screens and consoles look at; `version` counts every change of it.

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
        CheckConstraint("phase = 'lobby' OR phase = 'board' OR phase = 'finished' OR phase = 'closed' OR item >= 1", name="an_item_in_hand"),
        is_moment("host_at"),
        is_moment("opened_at"),
        is_moment("changed_at"),
        Index("live_in_phase", "phase"),
        STRICT,
    )

    contest_id: int = integer_column(primary_key=True, foreign_key="contest.id")
    code: str = text_column(unique=True)
    secret: str = text_column()
    phase: str = text_column(default="lobby")
    item: int = integer_column(default=0)
    paused: bool = flag_column(default=False)
    version: int = integer_column(default=1)
    host_id: int | None = integer_column(default=None, foreign_key="person.id")
    host_at: datetime | None = moment_column(default=None)
    scheme: str = text_column(default="")
    opened_at: datetime = moment_column()
    changed_at: datetime = moment_column()


class LiveItemRow(Row):
    """A question that was started: its round, its clock and whether it was voided.

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

    contest_id: int = integer_column(primary_key=True, foreign_key="live.contest_id")
    n: int = integer_column(primary_key=True)
    round: str = text_column(default="all")
    seconds: int = integer_column(default=0)
    team_id: int | None = integer_column(default=None, foreign_key="team.id")
    holder_id: int | None = integer_column(default=None, foreign_key="team.id")
    stake: int = integer_column(default=0)
    opened_at: datetime = moment_column()
    buzz_at: datetime | None = moment_column(default=None)
    ends_at: datetime | None = moment_column(default=None)
    closed_at: datetime | None = moment_column(default=None)
    pauses: str = text_column(default="[]")
    void: str = text_column(default="")


class LiveBuzzRow(Row):
    """A team pressed, once a question: by arrival at the edge, of the same microsecond by this row's id. `fault` is a false start."""

    __tablename__ = "live_buzz"
    __table_args__ = (
        is_flag("fault"),
        is_moment("arrived_at"),
        UniqueConstraint("contest_id", "n", "team_id"),
        STRICT,
    )

    id: int | None = key_column()
    contest_id: int = integer_column(foreign_key="live.contest_id")
    n: int = integer_column()
    team_id: int = integer_column(foreign_key="team.id")
    person_id: int = integer_column(foreign_key="person.id")
    arrived_at: datetime = moment_column()
    fault: bool = flag_column(default=False)


class LiveDecisionRow(Row):
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

    id: int | None = key_column()
    contest_id: int = integer_column(foreign_key="live.contest_id")
    decided_at: datetime = moment_column()
    actor: str = text_column()
    act: str = text_column()
    n: int = integer_column(default=0)
    team_id: int | None = integer_column(default=None, foreign_key="team.id")
    person_id: int | None = integer_column(default=None, foreign_key="person.id")
    points: int = integer_column(default=0)
    why: str = text_column(default="")


class LiveCallRow(Row):
    """A broadcast to all phones; the row is the claim of the one replica that makes it. Who was missed catches up with 继续."""

    __tablename__ = "live_call"
    __table_args__ = (
        one_of("what", *CALLS),
        CheckConstraint("people >= 0 AND sent >= 0 AND failed >= 0", name="counts_are_not_negative"),
        is_moment("began_at"),
        is_moment("ended_at"),
        KEYED,
    )

    contest_id: int = integer_column(primary_key=True, foreign_key="live.contest_id")
    n: int = integer_column(primary_key=True)
    what: str = text_column(primary_key=True)
    holder: str = text_column()
    began_at: datetime = moment_column()
    ended_at: datetime | None = moment_column(default=None)
    people: int = integer_column(default=0)
    sent: int = integer_column(default=0)
    failed: int = integer_column(default=0)
