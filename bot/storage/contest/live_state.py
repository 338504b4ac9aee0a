"""The tables `live`, `live_item` and `live_call`: the state of live contests, the clocks of their questions, and claimed broadcasts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Integer, Text, and_, cast, func, select
from sqlmodel import Session

from bot.domain.contest import stage_rounds
from bot.domain.contest.live_state import AnswerWindow, ContestCourse, Phase
from bot.domain.contest.stage_rounds import Round, StageScheme
from bot.domain.message import Refusal
from bot.storage.db.query import Query, Statement, columns, given, table
from bot.storage.tables.columns import moment, stamp
from bot.storage.tables.contest import LiveRow, TeamMemberRow
from bot.storage.tables.study import AnswerRow, SittingRow

_SELECT_LIVE = """SELECT l.contest_id, c.name, c.form, c.state, c.rules, l.code, l.secret, l.phase, l.item, l.paused, l.version, l.host_id,
        COALESCE(p.name, ''), l.scheme, (SELECT COUNT(*) FROM contest_item i WHERE i.contest_id = l.contest_id), l.opened_at,
        COALESCE((SELECT MAX(d.id) FROM live_decision d WHERE d.contest_id = l.contest_id), 0)
    FROM live l JOIN contest c ON c.id = l.contest_id LEFT JOIN person p ON p.id = l.host_id WHERE """
_BY_ID = Statement(_SELECT_LIVE + "l.contest_id = :id")
_BY_CODE = Statement(_SELECT_LIVE + "l.code = :code")
_LIST_RUNNING = Statement(_SELECT_LIVE + "(l.phase <> 'finished' OR l.changed_at >= :since) ORDER BY l.contest_id")
_INSERT = Statement(
    """INSERT INTO live (contest_id, code, secret, phase, item, paused, version, scheme, opened_at, changed_at)
       VALUES (:contest_id, :code, :secret, 'lobby', 0, 0, 1, :scheme, :at, :at) ON CONFLICT DO NOTHING"""
)
_SET_COURSE = Statement(
    """UPDATE live SET phase = :phase, item = :item, paused = :paused, version = version + 1, changed_at = :at
       WHERE contest_id = :id AND version = :version"""
)
_BUMP_VERSION = Statement("UPDATE live SET version = version + 1, changed_at = :at WHERE contest_id = :id")
_SET_HOST = Statement("UPDATE live SET host_id = :host_id, host_at = :at, version = version + 1, changed_at = :at WHERE contest_id = :id")
_LOCK = Statement("SELECT contest_id FROM live WHERE contest_id = :id FOR UPDATE")
_LAST_CHANGE = Statement("SELECT MAX(changed_at) FROM live WHERE phase <> 'finished' OR changed_at >= :since")
_ITEM_COLUMNS = """i.contest_id, i.n, i.round, i.seconds, i.team_id, i.holder_id, i.stake, i.opened_at, i.buzz_at, i.ends_at, i.closed_at, i.pauses,
        i.void, c.question, c.version_id, c.points, c.part"""
_SELECT_ITEM = f"SELECT {_ITEM_COLUMNS} FROM live_item i JOIN contest_item c ON c.contest_id = i.contest_id AND c.n = i.n WHERE i.contest_id = :id"  # noqa: S608
_ONE_ITEM = Statement(_SELECT_ITEM + " AND i.n = :n")
_ITEMS = Statement(_SELECT_ITEM + " ORDER BY i.n")
_PROGRAMME = Statement("SELECT n, question, version_id, points, part FROM contest_item WHERE contest_id = :id ORDER BY n")
_INSERT_ITEM = Statement(
    """INSERT INTO live_item (contest_id, n, round, seconds, team_id, stake, opened_at, ends_at, pauses, void)
       VALUES (:id, :n, :round, :seconds, :team_id, :stake, :at, :ends_at, '[]', '')"""
)
_SET_CLOCK = Statement(
    """UPDATE live_item SET buzz_at = :buzz_at, ends_at = :ends_at, closed_at = :closed_at, pauses = :pauses WHERE contest_id = :id AND n = :n"""
)
_SET_HOLDER = Statement("UPDATE live_item SET holder_id = :holder_id, ends_at = :ends_at WHERE contest_id = :id AND n = :n AND closed_at IS NULL")
_VOID = Statement("UPDATE live_item SET void = :void WHERE contest_id = :id AND n = :n")


JUST_FINISHED = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LiveState:
    """A live contest as its row stands; `secret` is what the screen's address adds, `items` how many questions the programme has.

    `version` counts what screens have to draw, `decided` is the last line of the log: whoever has seen it knows all that was done.
    """

    id: int
    name: str
    form: str
    state: str
    rules: str
    code: str
    secret: str
    course: ContestCourse
    version: int
    host_id: int | None
    host: str
    scheme: StageScheme | None
    items: int
    opened_at: datetime
    decided: int


@dataclass(frozen=True, slots=True)
class LiveItem:
    """A question that was started, with its clock; points and stake in thousandths."""

    contest_id: int
    n: int
    round: Round
    seconds: int
    team_id: int | None
    holder_id: int | None
    stake: int
    window: AnswerWindow
    buzz_at: datetime | None
    void: str
    question: str
    version_id: int
    points: int
    part: str


@dataclass(slots=True)
class SeatAtItem:
    """A participant and a question: the contest's course, the earlier answer (None: none), the team (None: none)."""

    contest_id: int
    item_n: int
    phase: Phase
    course_item: int
    paused: bool
    choice: str | None
    team_id: int | None


@dataclass(slots=True)
class AnswerContext:
    """What decides whether an answer is accepted: who answers in which sitting, the question, the contest's course, the earlier answer."""

    person_id: int
    sitting_id: int
    item: LiveItem
    course: ContestCourse
    choice: str
    team_id: int | None


class LivePlace(NamedTuple):
    """A question of the contest in whose sitting a person answers; None for the current one."""

    person_id: int
    sitting_id: int
    n: int | None


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """A question of the programme."""

    n: int
    question: str
    version_id: int
    points: int
    part: str


def _live_of_row(row: Any) -> LiveState:
    course = ContestCourse(row[7], row[8], bool(row[9]))
    scheme = stage_rounds.scheme_from_json(json.loads(row[13])) if row[13] else None
    contest_id, name, form, state, rules, code, secret = row[:7]
    version, host_id, host, _, items, opened_at, decided = row[10:]
    opened = moment(opened_at)
    return LiveState(contest_id, name, form, state, rules, code, secret, course, version, host_id, host, scheme, int(items), opened, decided)


def get(session: Session, contest_id: int) -> LiveState | None:
    row = _BY_ID.one(session, id=contest_id)
    return None if row is None else _live_of_row(row)


def lock(session: Session, contest_id: int) -> LiveState | None:
    """A live contest whose row is locked until this transaction ends."""
    if session.get_bind().dialect.name != "sqlite":
        _LOCK.one(session, id=contest_id)
    return get(session, contest_id)


def get_by_code(session: Session, code: str) -> LiveState | None:
    """The live contest with this join code."""
    row = _BY_CODE.one(session, code=code)
    return None if row is None else _live_of_row(row)


def list_running(session: Session, now: datetime) -> list[LiveState]:
    """Live contests that are not finished, or finished less than a minute ago, by id."""
    return [_live_of_row(row) for row in _LIST_RUNNING.all(session, since=stamp(now - JUST_FINISHED))]


def last_change(session: Session, now: datetime) -> datetime | None:
    """When a live contest that is unfinished, or just finished, last changed; None while there is none. One indexed look, for polling."""
    row = _LAST_CHANGE.one(session, since=stamp(now - JUST_FINISHED))
    return None if row is None or row[0] is None else moment(row[0])


def open_lobby(session: Session, contest_id: int, code: str, secret: str, scheme: StageScheme | None, at: datetime) -> bool:
    """Open the live contest in its lobby; False when it is open already, or the code is taken."""
    scheme_text = "" if scheme is None else json.dumps(stage_rounds.scheme_json(scheme), ensure_ascii=False)
    return _INSERT.run(session, contest_id=contest_id, code=code, secret=secret, scheme=scheme_text, at=stamp(at)) == 1


def set_course(session: Session, current: LiveState, course: ContestCourse, at: datetime) -> None:
    """The next state, unless the row has changed since `current` was read. Raises `Refusal` then, so that one press is one step."""
    moved_rows = _SET_COURSE.run(
        session, id=current.id, version=current.version, phase=course.phase, item=course.item, paused=int(course.paused), at=stamp(at)
    )
    if moved_rows != 1:
        raise Refusal("刚才已经有人操作过了，请看最新的状态再点一次。")


def bump_version(session: Session, contest_id: int, at: datetime) -> None:
    """Tell screens that something they show has changed beside the state itself."""
    _BUMP_VERSION.run(session, id=contest_id, at=stamp(at))


def set_host(session: Session, contest_id: int, host_id: int, at: datetime) -> None:
    _SET_HOST.run(session, id=contest_id, host_id=host_id, at=stamp(at))


# ── Questions ──


def _item_of_row(row: Any) -> LiveItem:
    pauses = tuple((moment(since), moment(until) if until else None) for since, until in json.loads(row[11]))
    window = AnswerWindow(moment(row[8] or row[7]), moment(row[9]) if row[9] else None, moment(row[10]) if row[10] else None, pauses)
    buzz_at = moment(row[8]) if row[8] else None
    contest_id, n, kind, seconds, team_id, holder_id, stake = row[:7]
    void, question, version_id, points, part = row[12:17]
    return LiveItem(contest_id, n, kind, seconds, team_id, holder_id, stake, window, buzz_at, void, question, version_id, points, part)


def get_item(session: Session, contest_id: int, n: int) -> LiveItem | None:
    """A question that has been started; None before."""
    row = _ONE_ITEM.one(session, id=contest_id, n=n)
    return None if row is None else _item_of_row(row)


_places = given("places", person_id=Integer, sitting_id=Integer, n=Integer, k=Integer)
_answers, _live, _members, _sittings = table(AnswerRow), table(LiveRow), table(TeamMemberRow), table(SittingRow)
_asked_n = func.coalesce(_places.c.n, _live.c.item)
_SEATS = Query(
    select(
        _places.c.k,
        *columns(_live, SeatAtItem, item_n=_asked_n, course_item=_live.c.item, choice=_answers.c.choice, team_id=_members.c.team_id),
    )
    .select_from(_places)
    .join(_sittings, and_(_sittings.c.id == _places.c.sitting_id, _sittings.c.person_id == _places.c.person_id, _sittings.c.kind == "live"))
    .join(_live, cast(_live.c.contest_id, Text) == _sittings.c.scope)
    .outerjoin(_answers, and_(_answers.c.sitting_id == _sittings.c.id, _answers.c.n == _asked_n))
    .outerjoin(_members, and_(_members.c.contest_id == _live.c.contest_id, _members.c.person_id == _sittings.c.person_id)),
    gives=(int, SeatAtItem),
)


def answer_contexts(session: Session, places: Sequence[LivePlace]) -> list[AnswerContext | None]:
    """Everything that decides whether answers are taken, in one statement and one a question: two thousand ask at once.

    None for a question that was never started, and for a sitting that is not this person's.
    """
    contexts: list[AnswerContext | None] = [None] * len(places)
    items: dict[tuple[int, int], LiveItem | None] = {}
    for k, seat in _SEATS.all(session, places=[(*place, k) for k, place in enumerate(places)]):
        question = (seat.contest_id, seat.item_n)
        if question not in items:
            items[question] = get_item(session, *question)
        item = items[question]
        if item is not None:
            course = ContestCourse(seat.phase, seat.course_item, seat.paused)
            contexts[k] = AnswerContext(places[k].person_id, places[k].sitting_id, item, course, seat.choice or "", seat.team_id)
    return contexts


def list_items(session: Session, contest_id: int) -> list[LiveItem]:
    """All questions that have been started, in order."""
    return [_item_of_row(row) for row in _ITEMS.all(session, id=contest_id)]


def list_programme(session: Session, contest_id: int) -> list[PlannedItem]:
    return [PlannedItem(*row) for row in _PROGRAMME.all(session, id=contest_id)]


def add_item(
    session: Session, contest_id: int, n: int, kind: Round, seconds: int, at: datetime, ends_at: datetime | None, team_id: int | None, stake: int
) -> None:
    """Start a question; a question starts only once."""
    _INSERT_ITEM.run(
        session, id=contest_id, n=n, round=kind, seconds=seconds, at=stamp(at), ends_at=_stamp_or_none(ends_at), team_id=team_id, stake=stake
    )


def set_clock(session: Session, item: LiveItem, window: AnswerWindow, buzz_at: datetime | None = None) -> None:
    pauses = json.dumps([[stamp(since), _stamp_or_none(until)] for since, until in window.pauses])
    _SET_CLOCK.run(
        session,
        id=item.contest_id,
        n=item.n,
        buzz_at=_stamp_or_none(buzz_at or item.buzz_at),
        ends_at=_stamp_or_none(window.ends_at),
        closed_at=_stamp_or_none(window.closed_at),
        pauses=pauses,
    )


def set_holder(session: Session, item: LiveItem, team_id: int | None, ends_at: datetime | None) -> None:
    """Set the team that answers now (None: no team), and its deadline."""
    _SET_HOLDER.run(session, id=item.contest_id, n=item.n, holder_id=team_id, ends_at=_stamp_or_none(ends_at))


def void_item(session: Session, item: LiveItem, why: str) -> None:
    _VOID.run(session, id=item.contest_id, n=item.n, void=why)


def _stamp_or_none(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)


_IS_CALL_CLAIMED = Statement("SELECT 1 FROM live_call WHERE contest_id = :id AND n = :n AND what = :what")
_CLAIM_CALL = Statement(
    """INSERT INTO live_call (contest_id, n, what, holder, began_at, people, sent, failed) VALUES (:id, :n, :what, :holder, :at, 0, 0, 0)
       ON CONFLICT DO NOTHING"""
)
_FINISH_CALL = Statement(
    """UPDATE live_call SET ended_at = :at, people = :people, sent = :sent, failed = :failed WHERE contest_id = :id AND n = :n AND what = :what"""
)
_LAST_CALL = Statement(
    "SELECT n, what, began_at, ended_at, people, sent, failed FROM live_call WHERE contest_id = :id ORDER BY began_at DESC LIMIT 1"
)
_PARTICIPANTS = Statement("SELECT person_id FROM participation WHERE contest_id = :id ORDER BY person_id")
_TEAM_MEMBERS = Statement("SELECT person_id FROM team_member WHERE contest_id = :id AND team_id = :team_id ORDER BY person_id")


def is_call_claimed(session: Session, contest_id: int, n: int, what: str) -> bool:
    return _IS_CALL_CLAIMED.one(session, id=contest_id, n=n, what=what) is not None


def claim_call(session: Session, contest_id: int, n: int, what: str, holder: str, at: datetime) -> bool:
    """True for the one replica that makes this call."""
    return _CLAIM_CALL.run(session, id=contest_id, n=n, what=what, holder=holder, at=stamp(at)) == 1


def finish_call(session: Session, contest_id: int, n: int, what: str, at: datetime, people: int, sent: int, failed: int) -> None:
    _FINISH_CALL.run(session, id=contest_id, n=n, what=what, at=stamp(at), people=people, sent=sent, failed=failed)


def last_call(session: Session, contest_id: int) -> dict[str, Any] | None:
    """The last call of a contest as a page shows it; milliseconds from its beginning to its end."""
    row = _LAST_CALL.one(session, id=contest_id)
    if row is None:
        return None
    elapsed = None if row[3] is None else round((moment(row[3]) - moment(row[2])).total_seconds() * 1000)
    return {"n": row[0], "what": row[1], "took": elapsed, "people": row[4], "sent": row[5], "failed": row[6]}


def call_recipients(session: Session, contest_id: int, team_id: int | None = None) -> list[int]:
    """Everybody who takes part, or the members of one team."""
    if team_id is not None:
        return [row[0] for row in _TEAM_MEMBERS.all(session, id=contest_id, team_id=team_id)]
    return [row[0] for row in _PARTICIPANTS.all(session, id=contest_id)]
