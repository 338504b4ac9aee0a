"""Campaigns, their occurrences and the deliveries that these queue; unique rows decide that a due time comes about once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Subquery, case, cast, func, literal, select, type_coerce, update
from sqlmodel import Session

from bot.domain.campaign.campaign import SYSTEM, Campaign
from bot.domain.campaign.content import CampaignContent, content_from_json, content_json
from bot.domain.campaign.schedule import Schedule, schedule_from_json, schedule_json
from bot.domain.people.audience import Audience, audience_from_json, audience_json
from bot.domain.times import day_of
from bot.storage.db.engine import is_sqlite_session
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.people import audience as audience_rows
from bot.storage.tables.campaign import CampaignRow, OccurrenceRow
from bot.storage.tables.columns import JsonType, MomentType
from bot.storage.tables.delivery import DeliveryRow

_campaigns, _deliveries, _occurrences = table(CampaignRow), table(DeliveryRow), table(OccurrenceRow)
_CONTENT = JsonType(content_json, content_from_json)
_JSON = {
    "content": _CONTENT,
    "rhythm": JsonType(schedule_json, schedule_from_json),
    "audience": JsonType(audience_json, audience_from_json),
    "delivery": JsonType(dict, dict),
}
"""What the JSON columns of a campaign hold."""


# ── Campaigns ──

_PLAN = binds("name", "kind", "missed", "clause") | {name: bind(name, kind) for name, kind in _JSON.items()}
_stored = {name: type_coerce(_campaigns.c[name], kind) for name, kind in _JSON.items()}
_SELECT = select(
    *columns(
        _campaigns,
        Campaign,
        content=_stored["content"],
        schedule=_stored["rhythm"],
        audience=_stored["audience"],
        delivery=_stored["delivery"],
    )
)
_IS_ONE = _campaigns.c.id == bind("id")
_ADD = Query(
    insert(_campaigns)
    .values(_PLAN | binds("state", "created_by") | {"version": 1, "created_at": bind("now"), "changed_at": bind("now")})
    .returning(_campaigns.c.id),
    gives=int,
)
_GET = Query(_SELECT.where(_IS_ONE), gives=Campaign)
_LOCK = Query(select(_campaigns.c.id).where(_IS_ONE).with_for_update(skip_locked=True), gives=int)
_HOLD = Query(select(_campaigns.c.id).where(_IS_ONE).with_for_update(), gives=int)
_ALL = Query(_SELECT.where(_campaigns.c.created_by != SYSTEM).order_by(_campaigns.c.id.desc()), gives=Campaign)
_DUE = Query(
    select(_campaigns.c.id).where(_campaigns.c.state == "running", _campaigns.c.planned_until <= bind("now")).order_by(_campaigns.c.id),
    gives=int,
)
_CHANGE = Query(update(_campaigns).values(_PLAN | {"version": _campaigns.c.version + 1, "changed_at": bind("now")}).where(_IS_ONE))
_SET_STATE = Query(update(_campaigns).values(binds("state") | {"changed_at": bind("now")}).where(_IS_ONE, _campaigns.c.state == bind("was")))
_SET_PLANNED = Query(update(_campaigns).values(binds("planned_until")).where(_IS_ONE))


def _plan(
    name: str, content: CampaignContent, schedule: Schedule, audience: Audience, delivery: dict[str, Any], missed: str, clause: str
) -> dict[str, Any]:
    return {
        "name": name,
        "kind": content.kind,
        "content": content,
        "rhythm": schedule,
        "audience": audience,
        "delivery": delivery,
        "missed": missed,
        "clause": clause,
    }


def add(
    session: Session,
    name: str,
    content: CampaignContent,
    schedule: Schedule,
    audience: Audience,
    *,
    by: str,
    at: datetime,
    missed: str = "send",
    clause: str = "",
    delivery: dict[str, Any] | None = None,
    state: str = "draft",
) -> int:
    plan = _plan(name, content, schedule, audience, delivery or {}, missed, clause)
    return _ADD.one(session, **plan, state=state, created_by=by, now=at)


def get(session: Session, campaign_id: int) -> Campaign | None:
    return _GET.first(session, id=campaign_id)


def get_locked(session: Session, campaign_id: int) -> Campaign | None:
    """A campaign that nobody else changes until this transaction ends."""
    if not is_sqlite_session(session):
        _HOLD.first(session, id=campaign_id)
    return get(session, campaign_id)


def lock_if_free(session: Session, campaign_id: int) -> Campaign | None:
    """As `get_locked`, but None when another replica has it locked."""
    if not is_sqlite_session(session) and _LOCK.first(session, id=campaign_id) is None:
        return None
    return get(session, campaign_id)


def all_campaigns(session: Session) -> list[Campaign]:
    """All campaigns that somebody planned, newest first."""
    return _ALL.all(session)


def due_ids(session: Session, now: datetime) -> list[int]:
    """Running campaigns whose due times have to be looked at."""
    return _DUE.all(session, now=now)


def change(session: Session, campaign: Campaign, at: datetime) -> None:
    """Write a campaign's fields as its next version."""
    plan = _plan(campaign.name, campaign.content, campaign.schedule, campaign.audience, dict(campaign.delivery), campaign.missed, campaign.clause)
    _CHANGE.run(session, **plan, id=campaign.id, now=at)


def set_state(session: Session, campaign_id: int, was: str, state: str, at: datetime) -> bool:
    """True for the one caller that brought it from one state to the other."""
    return _SET_STATE.run(session, id=campaign_id, was=was, state=state, now=at) == 1


def set_planned_until(session: Session, campaign_id: int, until: datetime | None) -> None:
    """The moment from which on due times will be looked at; None for never."""
    _SET_PLANNED.run(session, id=campaign_id, planned_until=until)


# ── Occurrences ──


@dataclass(frozen=True, slots=True)
class DueOccurrence:
    """One time that a campaign fell due, as its row stands."""

    id: int
    campaign_id: int
    due: datetime
    state: str
    part: int
    content: CampaignContent | None
    invited: int
    excluded: int
    note: str
    name: str


@dataclass(frozen=True, slots=True)
class UnfinishedOccurrence:
    """An occurrence whose deliveries are queued up to the person `queued_after`."""

    id: int
    campaign_id: int
    queued_after: int
    fired_at: datetime
    note: str


_IS_OCCURRENCE = _occurrences.c.id == bind("id")
_OCCUR = Query(
    insert(_occurrences)
    .values(
        binds("campaign_id", "due", "fired_at", "state", "part", "note")
        | {"content": func.coalesce(bind("content", _CONTENT), ""), "invited": 0, "excluded": 0}
    )
    .on_conflict_do_nothing(index_elements=["campaign_id", "due"])
    .returning(_occurrences.c.id),
    gives=int,
)
_SELECT_OCCURRENCE = select(
    *columns(_occurrences, DueOccurrence, content=type_coerce(func.nullif(_occurrences.c.content, ""), _CONTENT), name=_campaigns.c.name)
).join_from(_occurrences, _campaigns, _campaigns.c.id == _occurrences.c.campaign_id)
_OCCURRENCE = Query(_SELECT_OCCURRENCE.where(_IS_OCCURRENCE), gives=DueOccurrence)
_LATEST = Query(
    _SELECT_OCCURRENCE.where(_occurrences.c.campaign_id == bind("campaign_id")).order_by(_occurrences.c.due.desc()).limit(bind("top")),
    gives=DueOccurrence,
)
_LAST_PART = Query(
    select(func.coalesce(func.max(_occurrences.c.part), 0)).where(
        _occurrences.c.campaign_id == bind("campaign_id"), _occurrences.c.state != "missed"
    ),
    gives=int,
)
_VOID = Query(update(_occurrences).values(binds("note") | {"state": "void"}).where(_IS_OCCURRENCE, _occurrences.c.state == "fired"))
_SET_COUNTS = Query(update(_occurrences).values(binds("invited", "excluded", "note")).where(_IS_OCCURRENCE))
_COUNTS = Query(select(_occurrences.c.invited, _occurrences.c.excluded).where(_IS_OCCURRENCE), gives=tuple[int, int])
_SET_PROGRESS = Query(update(_occurrences).values(binds("queued_after")).where(_IS_OCCURRENCE))
_UNFINISHED = Query(
    select(*columns(_occurrences, UnfinishedOccurrence))
    .join_from(_occurrences, _campaigns, _campaigns.c.id == _occurrences.c.campaign_id)
    .where(_occurrences.c.queued_after.is_not(None), _campaigns.c.state != "paused")
    .order_by(_occurrences.c.id),
    gives=UnfinishedOccurrence,
)


def add_occurrence(
    session: Session,
    campaign_id: int,
    due: datetime,
    at: datetime,
    *,
    state: str = "fired",
    part: int = 0,
    content: CampaignContent | None = None,
    note: str = "",
) -> int | None:
    """The id for the one caller who wrote the occurrence; None for everybody after."""
    return _OCCUR.first(session, campaign_id=campaign_id, due=due, fired_at=at, state=state, part=part, content=content, note=note)


def occurrence(session: Session, occurrence_id: int) -> DueOccurrence | None:
    return _OCCURRENCE.first(session, id=occurrence_id)


def latest_occurrences(session: Session, campaign_id: int, limit: int = 5) -> list[DueOccurrence]:
    """The last times a campaign fell due, newest first."""
    return _LATEST.all(session, campaign_id=campaign_id, top=limit)


def last_part(session: Session, campaign_id: int) -> int:
    """How far a series has come."""
    return _LAST_PART.one(session, campaign_id=campaign_id)


def void_occurrence(session: Session, occurrence_id: int, note: str) -> bool:
    return _VOID.run(session, id=occurrence_id, note=note) == 1


def set_invited(session: Session, occurrence_id: int, invited: int) -> None:
    """How many deliveries an occurrence has that is not queued for an audience."""
    _SET_COUNTS.run(session, id=occurrence_id, invited=invited, excluded=0, note="")


def unfinished_occurrences(session: Session) -> list[UnfinishedOccurrence]:
    """What is still to be queued, oldest first, of campaigns that are not paused."""
    return _UNFINISHED.all(session)


def finish_queueing(session: Session, occurrence_id: int) -> None:
    """Nobody else gets a delivery of this occurrence."""
    _SET_PROGRESS.run(session, id=occurrence_id, queued_after=None)


# ── Deliveries ──

_OF_OCCURRENCE = _deliveries.c.occurrence_id == bind("occurrence_id")
_OF_CAMPAIGN = _deliveries.c.campaign_id == bind("campaign_id")
_MAY_HAVE_ARRIVED = _deliveries.c.state.in_(["sent", "sending", "unknown"])
_QUEUED_TO = Query(
    select(func.count(), func.max(_deliveries.c.person_id)).where(_OF_OCCURRENCE, _deliveries.c.person_id > bind("after")),
    gives=tuple[int, int | None],
)
_INVITED = Query(select(func.count(case((_deliveries.c.state == "queued", 1))), func.count()).where(_OF_OCCURRENCE), gives=tuple[int, int])
_SKIP_QUEUED = update(_deliveries).values(binds("error") | {"state": "skipped"}).where(_deliveries.c.state == "queued")
_SKIP = Query(_SKIP_QUEUED.where(_OF_CAMPAIGN))
_SKIP_OCCURRENCE = Query(_SKIP_QUEUED.where(_OF_OCCURRENCE))
_SENT = Query(
    select(_deliveries.c.id, _deliveries.c.channel, _deliveries.c.platform_id).where(_OF_OCCURRENCE, _MAY_HAVE_ARRIVED).order_by(_deliveries.c.id),
    gives=tuple[int, str, str],
)
_REACHED = Query(select(_deliveries.c.person_id).distinct().where(_OF_OCCURRENCE, _MAY_HAVE_ARRIVED).order_by(_deliveries.c.person_id), gives=int)
_OPEN = Query(select(func.count()).where(_OF_CAMPAIGN, _deliveries.c.state.in_(["queued", "sending"])), gives=int)


def _queue_selected(selected: Subquery) -> Query[tuple[Any, ...]]:
    """A delivery for each of the next people selected; skipped from the beginning where there is a reason."""
    made = bind("made", MomentType)
    values: dict[str, ColumnElement[Any]] = {
        "campaign_id": cast(bind("campaign_id"), Integer),
        "occurrence_id": cast(bind("occurrence_id"), Integer),
        "person_id": selected.c.id,
        "state": case((selected.c.reason == "", "queued"), else_="skipped"),
        "channel": literal(""),
        "tries": literal(0),
        "created_at": made,
        "not_before": made,
        "holder": literal(""),
        "platform_id": literal(""),
        "error": selected.c.reason,
    }
    people = select(*values.values()).where(selected.c.id > bind("after")).order_by(selected.c.id).limit(bind("piece", Integer))
    return Query(insert(_deliveries).from_select(list(values), people, include_defaults=False))


def _count_selected(selected: Subquery) -> Query[tuple[int, int]]:
    """How many are invited, of how many."""
    return Query(select(func.count(case((selected.c.reason == "", 1))), func.count()).select_from(selected), gives=tuple[int, int])


PIECE = 2_000
"""Deliveries that are queued in one transaction: about 30 ms, after which answers are written."""


def queue_deliveries(
    session: Session, campaign_id: int, occurrence_id: int, audience: Audience, now: datetime, note: str = "", *, after: int = 0
) -> tuple[int, int, bool]:
    """Queue the next piece of an occurrence for its audience of the day: (queued, left out with the reason in `error`, whether all is queued).

    `after` is the last person who has a delivery already. The counts are those of everybody.
    """
    selection, values = audience_rows.selection(session, audience, day_of(now), now)
    selected = selection.subquery("selected")
    moments = {"campaign_id": campaign_id, "occurrence_id": occurrence_id, "made": now, "after": after, "piece": PIECE}
    _queue_selected(selected).run(session, **values, **moments)
    added, last_person = _QUEUED_TO.one(session, occurrence_id=occurrence_id, after=after)
    is_complete = added < PIECE
    _SET_PROGRESS.run(session, id=occurrence_id, queued_after=None if is_complete else last_person)
    if is_complete:
        invited, total = _INVITED.one(session, occurrence_id=occurrence_id)
    elif after:
        # Everybody was counted with the first piece: counting takes longer than queueing one.
        return (*_COUNTS.one(session, id=occurrence_id), is_complete)
    else:
        invited, total = _count_selected(selected).one(session, **values)
    excluded = total - invited
    _SET_COUNTS.run(session, id=occurrence_id, invited=invited, excluded=excluded, note=note if invited else "没有可发的人")
    return invited, excluded, is_complete


def skip_queued(session: Session, campaign_id: int, reason: str) -> int:
    """Nothing that still waits of a campaign is sent any more; how many."""
    return _SKIP.run(session, campaign_id=campaign_id, error=reason)


def skip_occurrence(session: Session, occurrence_id: int, reason: str) -> int:
    return _SKIP_OCCURRENCE.run(session, occurrence_id=occurrence_id, error=reason)


def sent_deliveries(session: Session, occurrence_id: int) -> list[tuple[int, str, str]]:
    """(delivery, channel, the platform's id) of what went out or may have gone out."""
    return _SENT.all(session, occurrence_id=occurrence_id)


def reached_people(session: Session, occurrence_id: int) -> list[int]:
    """Who got it, or may have."""
    return _REACHED.all(session, occurrence_id=occurrence_id)


def count_open_deliveries(session: Session, campaign_id: int) -> int:
    return _OPEN.one(session, campaign_id=campaign_id)
