"""The tables `live`, `live_item` and `live_call`: the state of live contests, the clocks of their questions, and claimed broadcasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Integer, Text, and_, cast, func, literal, or_, select, type_coerce, update
from sqlmodel import Session

from bot.domain.contest import live_rules
from bot.domain.contest.contest import ContestRules, rules_from_json, rules_json
from bot.domain.contest.live_rules import AnswerWindow, ContestCourse, Pauses, Phase, Round, StageScheme
from bot.domain.message import Refusal
from bot.storage.db.query import Query, bind, binds, columns, given, insert, table
from bot.storage.tables.columns import JsonType, moment, stamp
from bot.storage.tables.contest import ContestItemRow, ContestRow, LiveCallRow, LiveDecisionRow, LiveItemRow, LiveRow, ParticipationRow, TeamMemberRow
from bot.storage.tables.people import PersonRow
from bot.storage.tables.study import AnswerRow, SittingRow

_live, _live_items, _calls, _decisions = (table(row) for row in (LiveRow, LiveItemRow, LiveCallRow, LiveDecisionRow))
_contests, _planned, _participants, _members = (table(row) for row in (ContestRow, ContestItemRow, ParticipationRow, TeamMemberRow))
_answers, _sittings, _people = table(AnswerRow), table(SittingRow), table(PersonRow)

JUST_FINISHED = timedelta(minutes=1)


def _pauses_json(pauses: Pauses) -> list[list[str | None]]:
    return [[stamp(since), None if until is None else stamp(until)] for since, until in pauses]


def _pauses_from_json(pauses: list[list[str]]) -> Pauses:
    return tuple((moment(since), moment(until) if until else None) for since, until in pauses)


class _SchemeType(JsonType):
    """The rules of the stage as JSON; of a contest without a stage the row's text is empty."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(live_rules.scheme_json, live_rules.scheme_from_json, frozen=True)

    def process_bind_param(self, value: StageScheme | None, dialect: Any) -> str:
        return super().process_bind_param(value, dialect) or ""

    def process_result_value(self, value: str | None, dialect: Any) -> Any:
        return super().process_result_value(value or None, dialect)


_RULES, _PAUSES, _SCHEME = JsonType(rules_json, rules_from_json, frozen=True), JsonType(_pauses_json, _pauses_from_json), _SchemeType()


# ── The contest ──


@dataclass(frozen=True, slots=True)
class LiveState:
    """A live contest as its row stands; `secret` is what the screen's address adds, `items` how many questions the programme has.

    `version` counts what screens have to draw, `decided` is the last line of the log: whoever has seen it knows all that was done.
    """

    id: int
    name: str
    form: str
    state: str
    rules: ContestRules
    code: str
    secret: str
    phase: Phase
    item: int
    paused: bool
    version: int
    host_id: int | None
    host: str
    scheme: StageScheme | None
    items: int
    opened_at: datetime
    decided: int

    @property
    def course(self) -> ContestCourse:
        return ContestCourse(self.phase, self.item, self.paused)


_SELECT_LIVE = (
    select(
        *columns(
            _live,
            LiveState,
            id=_live.c.contest_id,
            name=_contests.c.name,
            form=_contests.c.form,
            state=_contests.c.state,
            rules=type_coerce(_contests.c.rules, _RULES),
            host=func.coalesce(_people.c.name, ""),
            scheme=type_coerce(_live.c.scheme, _SCHEME),
            items=select(func.count()).where(_planned.c.contest_id == _live.c.contest_id).scalar_subquery(),
            decided=func.coalesce(select(func.max(_decisions.c.id)).where(_decisions.c.contest_id == _live.c.contest_id).scalar_subquery(), 0),
        )
    )
    .select_from(_live)
    .join(_contests, _contests.c.id == _live.c.contest_id)
    .outerjoin(_people, _people.c.id == _live.c.host_id)
)
_THIS = _live.c.contest_id == bind("id")
_IS_RUNNING = or_(_live.c.phase != "finished", _live.c.changed_at >= bind("since"))
_BY_ID = Query(_SELECT_LIVE.where(_THIS), gives=LiveState)
_BY_CODE = Query(_SELECT_LIVE.where(_live.c.code == bind("code")), gives=LiveState)
_LIST_RUNNING = Query(_SELECT_LIVE.where(_IS_RUNNING).order_by(_live.c.contest_id), gives=LiveState)
_OPENED = Query(select(_live.c.contest_id), gives=int)
_OPEN_LOBBY = Query(
    insert(_live)
    .values(
        binds("contest_id", "code", "secret")
        | {"phase": "lobby", "item": 0, "paused": 0, "version": 1, "opened_at": bind("now"), "changed_at": bind("now")}
        | {"scheme": bind("scheme", _SCHEME)}
    )
    .on_conflict_do_nothing()
)
_CHANGED = {"version": _live.c.version + 1, "changed_at": bind("now")}
_SET_COURSE = Query(update(_live).where(_THIS, _live.c.version == bind("seen")).values(binds("phase", "item", "paused") | _CHANGED))
_BUMP_VERSION = Query(update(_live).where(_THIS).values(_CHANGED))
_SET_HOST = Query(update(_live).where(_THIS).values(binds("host_id") | {"host_at": bind("now")} | _CHANGED))
_LOCK = Query(select(_live.c.contest_id).where(_THIS).with_for_update(), gives=int)
_LAST_CHANGE = Query(select(func.max(_live.c.changed_at)).where(_IS_RUNNING), gives=datetime)


def get(session: Session, contest_id: int) -> LiveState | None:
    return _BY_ID.first(session, id=contest_id)


def lock(session: Session, contest_id: int) -> LiveState | None:
    """A live contest whose row is locked until this transaction ends."""
    # Two statements: what stands in the other tables is to be read once the lock is held.
    return None if _LOCK.first(session, id=contest_id) is None else get(session, contest_id)


def get_by_code(session: Session, code: str) -> LiveState | None:
    """The live contest with this join code."""
    return _BY_CODE.first(session, code=code)


def list_running(session: Session, now: datetime) -> list[LiveState]:
    """Live contests that are not finished, or finished less than a minute ago, by id."""
    return _LIST_RUNNING.all(session, since=now - JUST_FINISHED)


def opened_ids(session: Session) -> set[int]:
    """The contests whose room has been opened, finished or not."""
    return set(_OPENED.all(session))


def last_change(session: Session, now: datetime) -> datetime | None:
    """When a live contest that is unfinished, or just finished, last changed; None while there is none. One indexed look, for polling."""
    return _LAST_CHANGE.first(session, since=now - JUST_FINISHED)


def open_lobby(session: Session, contest_id: int, code: str, secret: str, scheme: StageScheme | None, at: datetime) -> bool:
    """Open the live contest in its lobby; False when it is open already, or the code is taken."""
    return _OPEN_LOBBY.run(session, contest_id=contest_id, code=code, secret=secret, scheme=scheme, now=at) == 1


def set_course(session: Session, current: LiveState, course: ContestCourse, at: datetime) -> None:
    """The next state, unless the row has changed since `current` was read. Raises `Refusal` then, so that one press is one step."""
    if _SET_COURSE.run(session, id=current.id, seen=current.version, phase=course.phase, item=course.item, paused=course.paused, now=at) != 1:
        raise Refusal("刚才已经有人操作过了，请看最新的状态再点一次。")


def bump_version(session: Session, contest_id: int, at: datetime) -> None:
    """Tell screens that something they show has changed beside the state itself."""
    _BUMP_VERSION.run(session, id=contest_id, now=at)


def set_host(session: Session, contest_id: int, host_id: int, at: datetime) -> None:
    _SET_HOST.run(session, id=contest_id, host_id=host_id, now=at)


# ── Questions ──


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
    opened_at: datetime
    buzz_at: datetime | None
    ends_at: datetime | None
    closed_at: datetime | None
    pauses: Pauses
    void: str
    question: str
    version_id: int
    points: int
    part: str
    window: AnswerWindow = field(init=False)
    """When it takes answers; where there are buzzers, from their opening."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", AnswerWindow(self.buzz_at or self.opened_at, self.ends_at, self.closed_at, self.pauses))


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


_SELECT_ITEM = (
    select(
        *columns(
            _live_items,
            LiveItem,
            pauses=type_coerce(_live_items.c.pauses, _PAUSES),
            question=_planned.c.question,
            version_id=_planned.c.version_id,
            points=_planned.c.points,
            part=_planned.c.part,
        )
    )
    .join_from(_live_items, _planned, and_(_planned.c.contest_id == _live_items.c.contest_id, _planned.c.n == _live_items.c.n))
    .where(_live_items.c.contest_id == bind("id"))
)
_THIS_ITEM = and_(_live_items.c.contest_id == bind("id"), _live_items.c.n == bind("n"))
_ITEM = Query(_SELECT_ITEM.where(_live_items.c.n == bind("n")), gives=LiveItem)
_STARTED_ITEMS = Query(_SELECT_ITEM.order_by(_live_items.c.n), gives=LiveItem)
_ADD_ITEM = Query(
    insert(_live_items).values(
        binds("contest_id", "n", "round", "seconds", "team_id", "stake", "opened_at", "ends_at") | {"pauses": "[]", "void": ""},
    )
)
_SET_CLOCK = Query(update(_live_items).where(_THIS_ITEM).values(binds("buzz_at", "ends_at", "closed_at") | {"pauses": bind("pauses", _PAUSES)}))
_SET_HOLDER = Query(update(_live_items).where(_THIS_ITEM, _live_items.c.closed_at.is_(None)).values(binds("holder_id", "ends_at")))
_VOID = Query(update(_live_items).where(_THIS_ITEM).values(void=bind("why")))
_places = given("places", person_id=Integer, sitting_id=Integer, n=Integer, k=Integer)
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


def get_item(session: Session, contest_id: int, n: int) -> LiveItem | None:
    """A question that has been started; None before."""
    return _ITEM.first(session, id=contest_id, n=n)


def list_items(session: Session, contest_id: int) -> list[LiveItem]:
    """All questions that have been started, in order."""
    return _STARTED_ITEMS.all(session, id=contest_id)


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


def add_item(
    session: Session, contest_id: int, n: int, kind: Round, seconds: int, at: datetime, ends_at: datetime | None, team_id: int | None, stake: int
) -> None:
    """Start a question; a question starts only once."""
    _ADD_ITEM.run(session, contest_id=contest_id, n=n, round=kind, seconds=seconds, opened_at=at, ends_at=ends_at, team_id=team_id, stake=stake)


def set_clock(session: Session, item: LiveItem, window: AnswerWindow, buzz_at: datetime | None = None) -> None:
    _SET_CLOCK.run(
        session,
        id=item.contest_id,
        n=item.n,
        buzz_at=buzz_at or item.buzz_at,
        ends_at=window.ends_at,
        closed_at=window.closed_at,
        pauses=window.pauses,
    )


def set_holder(session: Session, item: LiveItem, team_id: int | None, ends_at: datetime | None) -> None:
    """Set the team that answers now (None: no team), and its deadline."""
    _SET_HOLDER.run(session, id=item.contest_id, n=item.n, holder_id=team_id, ends_at=ends_at)


def void_item(session: Session, item: LiveItem, why: str) -> None:
    _VOID.run(session, id=item.contest_id, n=item.n, why=why)


# ── Broadcasts ──


@dataclass(frozen=True, slots=True)
class LastCall:
    """The last broadcast to all phones and how it went; `ended_at` is None while it is made."""

    n: int
    what: str
    began_at: datetime
    ended_at: datetime | None
    people: int
    sent: int
    failed: int


_THIS_CALL = and_(_calls.c.contest_id == bind("id"), _calls.c.n == bind("n"), _calls.c.what == bind("what"))
_IS_CALL_CLAIMED = Query(select(literal(1)).where(_THIS_CALL), gives=int)
_CLAIM_CALL = Query(
    insert(_calls).values(binds("contest_id", "n", "what", "holder", "began_at") | {"people": 0, "sent": 0, "failed": 0}).on_conflict_do_nothing()
)
_FINISH_CALL = Query(update(_calls).where(_THIS_CALL).values(binds("ended_at", "people", "sent", "failed")))
_LAST_CALL = Query(
    select(*columns(_calls, LastCall)).where(_calls.c.contest_id == bind("id")).order_by(_calls.c.began_at.desc()).limit(1), gives=LastCall
)
_PARTICIPANTS = Query(
    select(_participants.c.person_id).where(_participants.c.contest_id == bind("id")).order_by(_participants.c.person_id), gives=int
)
_TEAM_MEMBERS = Query(
    select(_members.c.person_id).where(_members.c.contest_id == bind("id"), _members.c.team_id == bind("team_id")).order_by(_members.c.person_id),
    gives=int,
)


def is_call_claimed(session: Session, contest_id: int, n: int, what: str) -> bool:
    return _IS_CALL_CLAIMED.first(session, id=contest_id, n=n, what=what) is not None


def claim_call(session: Session, contest_id: int, n: int, what: str, holder: str, at: datetime) -> bool:
    """True for the one replica that makes this call."""
    return _CLAIM_CALL.run(session, contest_id=contest_id, n=n, what=what, holder=holder, began_at=at) == 1


def finish_call(session: Session, contest_id: int, n: int, what: str, at: datetime, people: int, sent: int, failed: int) -> None:
    _FINISH_CALL.run(session, id=contest_id, n=n, what=what, ended_at=at, people=people, sent=sent, failed=failed)


def last_call(session: Session, contest_id: int) -> LastCall | None:
    """The last broadcast of a contest."""
    return _LAST_CALL.first(session, id=contest_id)


def call_recipients(session: Session, contest_id: int, team_id: int | None = None) -> list[int]:
    """Everybody who takes part, or the members of one team."""
    return _PARTICIPANTS.all(session, id=contest_id) if team_id is None else _TEAM_MEMBERS.all(session, id=contest_id, team_id=team_id)
