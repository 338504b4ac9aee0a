"""Campaigns, their occurrences and the deliveries that these queue; unique rows decide that a due time comes about once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Subquery, case, cast, func, literal, select
from sqlmodel import Session

from bot.domain.campaign import content as campaign_content
from bot.domain.campaign.campaign import Campaign
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule, schedule_from_json, schedule_json
from bot.domain.people import audience as people_audience
from bot.domain.people.audience import Audience
from bot.domain.times import day_of
from bot.storage.db.query import Query, Statement, bind, insert, table
from bot.storage.people import audience as audience_rows
from bot.storage.tables.columns import MomentType, moment, stamp
from bot.storage.tables.delivery import DeliveryRow

_deliveries = table(DeliveryRow)

_COLUMNS = "id, name, content, rhythm, audience, delivery, missed, clause, state, version, created_by, changed_at, planned_until"
_ADD = Statement(
    """INSERT INTO campaign (name, kind, content, rhythm, audience, delivery, missed, clause, state, version, created_by, created_at, changed_at)
       VALUES (:name, :kind, :content, :rhythm, :audience, :delivery, :missed, :clause, :state, 1, :by, :at, :at) RETURNING id"""
)
_GET = Statement(f"SELECT {_COLUMNS} FROM campaign WHERE id = :id")  # noqa: S608
_LOCK = Statement("SELECT id FROM campaign WHERE id = :id FOR UPDATE SKIP LOCKED")
_HOLD = Statement("SELECT id FROM campaign WHERE id = :id FOR UPDATE")
_ALL = Statement(f"SELECT {_COLUMNS} FROM campaign WHERE created_by <> 'system' ORDER BY id DESC")  # noqa: S608
_DUE = Statement("SELECT id FROM campaign WHERE state = 'running' AND planned_until <= :now ORDER BY id")
_CHANGE = Statement(
    """UPDATE campaign SET name = :name, kind = :kind, content = :content, rhythm = :rhythm, audience = :audience, delivery = :delivery,
       missed = :missed, clause = :clause, version = version + 1, changed_at = :at WHERE id = :id"""
)
_STATE = Statement("UPDATE campaign SET state = :state, changed_at = :at WHERE id = :id AND state = :was")
_PLANNED = Statement("UPDATE campaign SET planned_until = :until WHERE id = :id")
_OCCUR = Statement(
    """INSERT INTO occurrence (campaign_id, due, fired_at, state, part, content, invited, excluded, note)
       VALUES (:campaign_id, :due, :at, :state, :part, :content, 0, 0, :note)
       ON CONFLICT (campaign_id, due) DO NOTHING RETURNING id"""
)
_COUNTED = Statement("UPDATE occurrence SET invited = :invited, excluded = :excluded, note = :note WHERE id = :id")
_OCCURRENCE = Statement(
    """SELECT o.id, o.campaign_id, o.due, o.state, o.part, o.content, o.invited, o.excluded, o.note, c.name
       FROM occurrence o JOIN campaign c ON c.id = o.campaign_id WHERE o.id = :id"""
)
_LATEST = Statement("SELECT id, due, state, part, invited, excluded, note FROM occurrence WHERE campaign_id = :id ORDER BY due DESC LIMIT :n")
_VOID = Statement("UPDATE occurrence SET state = 'void', note = :note WHERE id = :id AND state = 'fired'")
_PART = Statement("SELECT COALESCE(MAX(part), 0) FROM occurrence WHERE campaign_id = :id AND state <> 'missed'")
_QUEUED_TO = Statement("SELECT COUNT(*), MAX(person_id) FROM delivery WHERE occurrence_id = :id AND person_id > :after")
_COUNTS = Statement("SELECT invited, excluded FROM occurrence WHERE id = :id")
_PROGRESS = Statement("UPDATE occurrence SET queued_after = :after WHERE id = :id")
_UNFINISHED = Statement(
    """SELECT o.id, o.campaign_id, o.queued_after, o.fired_at, o.note FROM occurrence o JOIN campaign c ON c.id = o.campaign_id
       WHERE o.queued_after IS NOT NULL AND c.state <> 'paused' ORDER BY o.id"""
)
_INVITED = Statement("SELECT SUM(CASE WHEN state = 'queued' THEN 1 ELSE 0 END), COUNT(*) FROM delivery WHERE occurrence_id = :id")
_SKIP = Statement("UPDATE delivery SET state = 'skipped', error = :why WHERE campaign_id = :id AND state = 'queued'")
_SKIP_ONE = Statement("UPDATE delivery SET state = 'skipped', error = :why WHERE occurrence_id = :id AND state = 'queued'")
_SENT = Statement("SELECT id, channel, platform_id FROM delivery WHERE occurrence_id = :id AND state IN ('sent', 'sending', 'unknown') ORDER BY id")
_REACHED = Statement(
    "SELECT DISTINCT person_id FROM delivery WHERE occurrence_id = :id AND state IN ('sent', 'sending', 'unknown') ORDER BY person_id"
)
_OPEN = Statement("SELECT COUNT(*) FROM delivery WHERE campaign_id = :id AND state IN ('queued', 'sending')")


def _json_text(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _campaign(row: Any) -> Campaign:
    return Campaign(
        id=row[0],
        name=row[1],
        content=campaign_content.content_from_json(json.loads(row[2])),
        schedule=schedule_from_json(json.loads(row[3])),
        audience=people_audience.audience_from_json(json.loads(row[4])),
        delivery=json.loads(row[5]),
        missed=row[6],
        clause=row[7],
        state=row[8],
        version=row[9],
        created_by=row[10],
        changed_at=moment(row[11]),
        planned_until=None if row[12] is None else moment(row[12]),
    )


def _values(
    name: str, content: CampaignContent, schedule: Schedule, audience: Audience, delivery: dict[str, Any], missed: str, clause: str
) -> dict[str, Any]:
    return {
        "name": name,
        "kind": content.kind,
        "content": _json_text(campaign_content.content_json(content)),
        "rhythm": _json_text(schedule_json(schedule)),
        "audience": _json_text(people_audience.audience_json(audience)),
        "delivery": _json_text(delivery),
        "missed": missed,
        "clause": clause,
    }


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
    values = _values(name, content, schedule, audience, delivery or {}, missed, clause)
    return int(_ADD.one(session, **values, state=state, by=by, at=stamp(at))[0])


def get(session: Session, campaign_id: int) -> Campaign | None:
    row = _GET.one(session, id=campaign_id)
    return None if row is None else _campaign(row)


def get_locked(session: Session, campaign_id: int) -> Campaign | None:
    """A campaign that nobody else changes until this transaction ends."""
    if not _is_sqlite(session):
        _HOLD.one(session, id=campaign_id)
    return get(session, campaign_id)


def lock_if_free(session: Session, campaign_id: int) -> Campaign | None:
    """As `get_locked`, but None when another replica has it locked."""
    if not _is_sqlite(session) and _LOCK.one(session, id=campaign_id) is None:
        return None
    return get(session, campaign_id)


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def all_campaigns(session: Session) -> list[Campaign]:
    """All campaigns that somebody planned, newest first."""
    return [_campaign(row) for row in _ALL.all(session)]


def due_ids(session: Session, now: datetime) -> list[int]:
    """Running campaigns whose due times have to be looked at."""
    return [row[0] for row in _DUE.all(session, now=stamp(now))]


def change(session: Session, campaign: Campaign, at: datetime) -> None:
    """Write a campaign's fields as its next version."""
    values = _values(campaign.name, campaign.content, campaign.schedule, campaign.audience, dict(campaign.delivery), campaign.missed, campaign.clause)
    _CHANGE.run(session, **values, id=campaign.id, at=stamp(at))


def set_state(session: Session, campaign_id: int, was: str, state: str, at: datetime) -> bool:
    """True for the one caller that brought it from one state to the other."""
    return _STATE.run(session, id=campaign_id, was=was, state=state, at=stamp(at)) == 1


def set_planned_until(session: Session, campaign_id: int, until: datetime | None) -> None:
    """The moment from which on due times will be looked at; None for never."""
    _PLANNED.run(session, id=campaign_id, until=None if until is None else stamp(until))


# ── Occurrences ──


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
    text = "" if content is None else _json_text(campaign_content.content_json(content))
    row = _OCCUR.one(session, campaign_id=campaign_id, due=stamp(due), at=stamp(at), state=state, part=part, content=text, note=note)
    return None if row is None else int(row[0])


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
    added, last_person = _QUEUED_TO.one(session, id=occurrence_id, after=after)
    is_complete = added < PIECE
    if is_complete:
        invited, total = _INVITED.one(session, id=occurrence_id)
        _PROGRESS.run(session, id=occurrence_id, after=None)
    else:
        _PROGRESS.run(session, id=occurrence_id, after=last_person)
        if after:
            # Everybody was counted with the first piece: counting takes longer than queueing one.
            return (*_COUNTS.one(session, id=occurrence_id), is_complete)
        invited, total = _count_selected(selected).one(session, **values)
    invited, excluded = int(invited or 0), int(total) - int(invited or 0)
    _COUNTED.run(session, id=occurrence_id, invited=invited, excluded=excluded, note=note if invited else "没有可发的人")
    return invited, excluded, is_complete


@dataclass(frozen=True, slots=True)
class UnfinishedOccurrence:
    """An occurrence whose deliveries are queued up to the person `queued_after`."""

    id: int
    campaign_id: int
    queued_after: int
    fired_at: datetime
    note: str


def unfinished_occurrences(session: Session) -> list[UnfinishedOccurrence]:
    """What is still to be queued, oldest first, of campaigns that are not paused."""
    return [UnfinishedOccurrence(row[0], row[1], row[2], moment(row[3]), row[4]) for row in _UNFINISHED.all(session)]


def finish_queueing(session: Session, occurrence_id: int) -> None:
    """Nobody else gets a delivery of this occurrence."""
    _PROGRESS.run(session, id=occurrence_id, after=None)


class DueOccurrence:
    """One time that a campaign fell due, as its row stands."""

    __slots__ = ("campaign_id", "content", "due", "excluded", "id", "invited", "name", "note", "part", "state")

    def __init__(self, row: Any) -> None:
        self.id: int = row[0]
        self.campaign_id: int = row[1]
        self.due = moment(row[2])
        self.state: str = row[3]
        self.part: int = row[4]
        self.content = campaign_content.content_from_json(json.loads(row[5])) if row[5] else None
        self.invited: int = row[6]
        self.excluded: int = row[7]
        self.note: str = row[8]
        self.name: str = row[9]


def set_invited(session: Session, occurrence_id: int, invited: int) -> None:
    """How many deliveries an occurrence has that is not queued for an audience."""
    _COUNTED.run(session, id=occurrence_id, invited=invited, excluded=0, note="")


def occurrence(session: Session, occurrence_id: int) -> DueOccurrence | None:
    row = _OCCURRENCE.one(session, id=occurrence_id)
    return None if row is None else DueOccurrence(row)


def latest_occurrences(session: Session, campaign_id: int, limit: int = 5) -> list[DueOccurrence]:
    """The last times a campaign fell due, newest first."""
    occurrences = (occurrence(session, row[0]) for row in _LATEST.all(session, id=campaign_id, n=limit))
    return [due for due in occurrences if due is not None]


def last_part(session: Session, campaign_id: int) -> int:
    """How far a series has come."""
    return int(_PART.one(session, id=campaign_id)[0])


def void_occurrence(session: Session, occurrence_id: int, note: str) -> bool:
    return _VOID.run(session, id=occurrence_id, note=note) == 1


# ── Deliveries ──


def skip_queued(session: Session, campaign_id: int, reason: str) -> int:
    """Nothing that still waits of a campaign is sent any more; how many."""
    return _SKIP.run(session, id=campaign_id, why=reason)


def skip_occurrence(session: Session, occurrence_id: int, reason: str) -> int:
    return _SKIP_ONE.run(session, id=occurrence_id, why=reason)


def sent_deliveries(session: Session, occurrence_id: int) -> list[tuple[int, str, str]]:
    """(delivery, channel, the platform's id) of what went out or may have gone out."""
    return [tuple(row) for row in _SENT.all(session, id=occurrence_id)]


def reached_people(session: Session, occurrence_id: int) -> list[int]:
    """Who got it, or may have."""
    return [row[0] for row in _REACHED.all(session, id=occurrence_id)]


def count_open_deliveries(session: Session, campaign_id: int) -> int:
    return int(_OPEN.one(session, id=campaign_id)[0])
