"""Campaigns, their occurrences and the deliveries that these queue; unique rows decide that a due time comes about once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Subquery, case, cast, func, literal, select, type_coerce, update
from sqlmodel import Session

from bot.domain.campaign import content as campaign_content
from bot.domain.campaign.campaign import Campaign
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule, schedule_from_json, schedule_json
from bot.domain.people import audience as people_audience
from bot.domain.people.audience import Audience
from bot.domain.times import day_of
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.people import audience as audience_rows
from bot.storage.tables.campaign import CampaignRow, OccurrenceRow
from bot.storage.tables.columns import JsonType, MomentType
from bot.storage.tables.delivery import DeliveryRow

_CONTENT = JsonType(campaign_content.content_json, campaign_content.content_from_json)
_SCHEDULE = JsonType(schedule_json, schedule_from_json)
_AUDIENCE = JsonType(people_audience.audience_json, people_audience.audience_from_json)
_RULE = JsonType(dict, dict)

_campaigns, _deliveries, _occurrences = table(CampaignRow), table(DeliveryRow), table(OccurrenceRow)
_THIS = _campaigns.c.id == bind("campaign_id")
_FIELDS = {
    **binds("name", "kind", "missed", "clause"),
    "content": bind("content", _CONTENT),
    "rhythm": bind("schedule", _SCHEDULE),
    "audience": bind("audience", _AUDIENCE),
    "delivery": bind("delivery", _RULE),
}
_SELECT = select(
    *columns(
        _campaigns,
        Campaign,
        content=type_coerce(_campaigns.c.content, _CONTENT),
        schedule=type_coerce(_campaigns.c.rhythm, _SCHEDULE),
        audience=type_coerce(_campaigns.c.audience, _AUDIENCE),
        delivery=type_coerce(_campaigns.c.delivery, _RULE),
    )
)
_ADD = Query(
    insert(_campaigns)
    .values(_FIELDS | binds("state", "created_by", "created_at") | {"version": 1, "changed_at": bind("created_at")})
    .returning(_campaigns.c.id),
    gives=int,
)
_GET = Query(_SELECT.where(_THIS), gives=Campaign)
_HOLD = Query(_SELECT.where(_THIS).with_for_update(), gives=Campaign)
_LOCK_IF_FREE = Query(_SELECT.where(_THIS).with_for_update(skip_locked=True), gives=Campaign)
_ALL = Query(_SELECT.where(_campaigns.c.created_by != "system").order_by(_campaigns.c.id.desc()), gives=Campaign)
_DUE = Query(
    select(_campaigns.c.id).where(_campaigns.c.state == "running", _campaigns.c.planned_until <= bind("now")).order_by(_campaigns.c.id), gives=int
)
_CHANGE = Query(update(_campaigns).where(_THIS).values(_FIELDS | {"version": _campaigns.c.version + 1, "changed_at": bind("at")}))
_STATE = Query(update(_campaigns).where(_THIS, _campaigns.c.state == bind("was")).values(state=bind("becomes"), changed_at=bind("at")))
_PLANNED = Query(update(_campaigns).where(_THIS).values(planned_until=bind("until")))


# ── Campaigns ──


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
    return _ADD.one(
        session,
        name=name,
        kind=content.kind,
        content=content,
        schedule=schedule,
        audience=audience,
        delivery=delivery or {},
        missed=missed,
        clause=clause,
        state=state,
        created_by=by,
        created_at=at,
    )


def get(session: Session, campaign_id: int) -> Campaign | None:
    return _GET.first(session, campaign_id=campaign_id)


def get_locked(session: Session, campaign_id: int) -> Campaign | None:
    """A campaign that nobody else changes until this transaction ends."""
    return _HOLD.first(session, campaign_id=campaign_id)


def lock_if_free(session: Session, campaign_id: int) -> Campaign | None:
    """As `get_locked`, but None when another replica has it locked."""
    return _LOCK_IF_FREE.first(session, campaign_id=campaign_id)


def all_campaigns(session: Session) -> list[Campaign]:
    """All campaigns that somebody planned, newest first."""
    return _ALL.all(session)


def due_ids(session: Session, now: datetime) -> list[int]:
    """Running campaigns whose due times have to be looked at."""
    return _DUE.all(session, now=now)


def change(session: Session, campaign: Campaign, at: datetime) -> None:
    """Write a campaign's fields as its next version."""
    _CHANGE.run(
        session,
        campaign_id=campaign.id,
        name=campaign.name,
        kind=campaign.kind,
        content=campaign.content,
        schedule=campaign.schedule,
        audience=campaign.audience,
        delivery=campaign.delivery,
        missed=campaign.missed,
        clause=campaign.clause,
        at=at,
    )


def set_state(session: Session, campaign_id: int, was: str, state: str, at: datetime) -> bool:
    """True for the one caller that brought it from one state to the other."""
    return _STATE.run(session, campaign_id=campaign_id, was=was, becomes=state, at=at) == 1


def set_planned_until(session: Session, campaign_id: int, until: datetime | None) -> None:
    """The moment from which on due times will be looked at; None for never."""
    _PLANNED.run(session, campaign_id=campaign_id, until=until)


# ── Occurrences ──


@dataclass(frozen=True, slots=True)
class DueOccurrence:
    """One time that a campaign fell due; `name` is the campaign's, `content` that of a series' part."""

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


_THIS_OCCURRENCE = _occurrences.c.id == bind("occurrence_id")
_OF_OCCURRENCE = _deliveries.c.occurrence_id == bind("occurrence_id")
_SELECT_OCCURRENCE = select(
    *columns(_occurrences, DueOccurrence, content=type_coerce(func.nullif(_occurrences.c.content, ""), _CONTENT), name=_campaigns.c.name)
).join(_campaigns, _campaigns.c.id == _occurrences.c.campaign_id)
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
_COUNTED = Query(update(_occurrences).where(_THIS_OCCURRENCE).values(invited=bind("people"), excluded=bind("left_out"), note=bind("said")))
_OCCURRENCE = Query(_SELECT_OCCURRENCE.where(_THIS_OCCURRENCE), gives=DueOccurrence)
_LATEST = Query(
    _SELECT_OCCURRENCE.where(_occurrences.c.campaign_id == bind("campaign_id")).order_by(_occurrences.c.due.desc()).limit(bind("limit", Integer)),
    gives=DueOccurrence,
)
_VOID = Query(update(_occurrences).where(_THIS_OCCURRENCE, _occurrences.c.state == "fired").values(state="void", note=bind("said")))
_PART = Query(
    select(func.coalesce(func.max(_occurrences.c.part), 0)).where(
        _occurrences.c.campaign_id == bind("campaign_id"), _occurrences.c.state != "missed"
    ),
    gives=int,
)
_QUEUED_TO = Query(
    select(func.count(), func.max(_deliveries.c.person_id)).where(_OF_OCCURRENCE, _deliveries.c.person_id > bind("after")),
    gives=tuple[int, int | None],
)
_COUNTS = Query(select(_occurrences.c.invited, _occurrences.c.excluded).where(_THIS_OCCURRENCE), gives=tuple[int, int])
_PROGRESS = Query(update(_occurrences).where(_THIS_OCCURRENCE).values(queued_after=bind("after")))
_UNFINISHED = Query(
    select(*columns(_occurrences, UnfinishedOccurrence))
    .join(_campaigns, _campaigns.c.id == _occurrences.c.campaign_id)
    .where(_occurrences.c.queued_after.is_not(None), _campaigns.c.state != "paused")
    .order_by(_occurrences.c.id),
    gives=UnfinishedOccurrence,
)
_INVITED = Query(
    select(func.coalesce(func.sum(case((_deliveries.c.state == "queued", 1), else_=0)), 0), func.count()).where(_OF_OCCURRENCE),
    gives=tuple[int, int],
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
    values = {"campaign_id": campaign_id, "due": due, "fired_at": at, "state": state, "part": part, "content": content, "note": note}
    return _OCCUR.first(session, **values)


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
    piece = {"campaign_id": campaign_id, "occurrence_id": occurrence_id, "made": now, "after": after, "piece": PIECE}
    _queue_selected(selected).run(session, **values, **piece)
    added, last_person = _QUEUED_TO.one(session, occurrence_id=occurrence_id, after=after)
    is_complete = added < PIECE
    if is_complete:
        invited, total = _INVITED.one(session, occurrence_id=occurrence_id)
        _PROGRESS.run(session, occurrence_id=occurrence_id, after=None)
    else:
        _PROGRESS.run(session, occurrence_id=occurrence_id, after=last_person)
        if after:
            # Everybody was counted with the first piece: counting takes longer than queueing one.
            return (*_COUNTS.one(session, occurrence_id=occurrence_id), is_complete)
        invited, total = _count_selected(selected).one(session, **values)
    excluded = total - invited
    _COUNTED.run(session, occurrence_id=occurrence_id, people=invited, left_out=excluded, said=note if invited else "没有可发的人")
    return invited, excluded, is_complete


def unfinished_occurrences(session: Session) -> list[UnfinishedOccurrence]:
    """What is still to be queued, oldest first, of campaigns that are not paused."""
    return _UNFINISHED.all(session)


def finish_queueing(session: Session, occurrence_id: int) -> None:
    """Nobody else gets a delivery of this occurrence."""
    _PROGRESS.run(session, occurrence_id=occurrence_id, after=None)


def set_invited(session: Session, occurrence_id: int, invited: int) -> None:
    """How many deliveries an occurrence has that is not queued for an audience."""
    _COUNTED.run(session, occurrence_id=occurrence_id, people=invited, left_out=0, said="")


def occurrence(session: Session, occurrence_id: int) -> DueOccurrence | None:
    return _OCCURRENCE.first(session, occurrence_id=occurrence_id)


def latest_occurrences(session: Session, campaign_id: int, limit: int = 5) -> list[DueOccurrence]:
    """The last times a campaign fell due, newest first."""
    return _LATEST.all(session, campaign_id=campaign_id, limit=limit)


def last_part(session: Session, campaign_id: int) -> int:
    """How far a series has come."""
    return _PART.one(session, campaign_id=campaign_id)


def void_occurrence(session: Session, occurrence_id: int, note: str) -> bool:
    return _VOID.run(session, occurrence_id=occurrence_id, said=note) == 1


# ── Deliveries ──

_OUT = _deliveries.c.state.in_(("sent", "sending", "unknown"))
_SKIP = Query(
    update(_deliveries).where(_deliveries.c.campaign_id == bind("of"), _deliveries.c.state == "queued").values(state="skipped", error=bind("reason"))
)
_SKIP_ONE = Query(update(_deliveries).where(_OF_OCCURRENCE, _deliveries.c.state == "queued").values(state="skipped", error=bind("reason")))
_SENT = Query(
    select(_deliveries.c.id, _deliveries.c.channel, _deliveries.c.platform_id).where(_OF_OCCURRENCE, _OUT).order_by(_deliveries.c.id),
    gives=tuple[int, str, str],
)
_REACHED = Query(select(_deliveries.c.person_id).distinct().where(_OF_OCCURRENCE, _OUT).order_by(_deliveries.c.person_id), gives=int)
_OPEN = Query(
    select(func.count()).select_from(_deliveries).where(_deliveries.c.campaign_id == bind("of"), _deliveries.c.state.in_(("queued", "sending"))),
    gives=int,
)


def skip_queued(session: Session, campaign_id: int, reason: str) -> int:
    """Nothing that still waits of a campaign is sent any more; how many."""
    return _SKIP.run(session, of=campaign_id, reason=reason)


def skip_occurrence(session: Session, occurrence_id: int, reason: str) -> int:
    return _SKIP_ONE.run(session, occurrence_id=occurrence_id, reason=reason)


def sent_deliveries(session: Session, occurrence_id: int) -> list[tuple[int, str, str]]:
    """(delivery, channel, the platform's id) of what went out or may have gone out."""
    return _SENT.all(session, occurrence_id=occurrence_id)


def reached_people(session: Session, occurrence_id: int) -> list[int]:
    """Who got it, or may have."""
    return _REACHED.all(session, occurrence_id=occurrence_id)


def count_open_deliveries(session: Session, campaign_id: int) -> int:
    return _OPEN.one(session, of=campaign_id)
