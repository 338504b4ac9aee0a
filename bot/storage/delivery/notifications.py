"""Who has been notified of what: one row a person and matter, which decides that nobody hears of it twice, whatever the number of replicas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import literal, select
from sqlmodel import Session

from bot.storage import campaign
from bot.storage.db.query import Query, bind, binds, insert, table
from bot.storage.tables.campaign import OccurrenceRow
from bot.storage.tables.delivery import DeliveryRow, NotificationRow

_deliveries, _notifications, _occurrences = table(DeliveryRow), table(NotificationRow), table(OccurrenceRow)

_NOTIFIED = Query(select(_notifications.c.person_id).where(_notifications.c.once == bind("once")), gives=int)
_ADD = Query(insert(_notifications).values(binds("once", "person_id", "occurrence_id", "notified_at")).on_conflict_do_nothing())
_QUEUE = Query(
    insert(_deliveries).from_select(
        ["campaign_id", "occurrence_id", "person_id", "state", "channel", "tries", "created_at", "not_before", "holder", "platform_id", "error"],
        select(
            _occurrences.c.campaign_id,
            _notifications.c.occurrence_id,
            _notifications.c.person_id,
            literal("queued"),
            literal(""),
            literal(0),
            _notifications.c.notified_at,
            _notifications.c.notified_at,
            literal(""),
            literal(""),
            literal(""),
        )
        .join_from(_notifications, _occurrences, _occurrences.c.id == _notifications.c.occurrence_id)
        .where(_notifications.c.occurrence_id == bind("occurrence_id"))
        .order_by(_notifications.c.person_id),
        include_defaults=False,
    )
)


def notified_people(session: Session, once: str) -> set[int]:
    """Who has been notified of a matter."""
    return set(_NOTIFIED.all(session, once=once))


def add(session: Session, campaign_id: int, people: Sequence[int], once: str, now: datetime) -> int | None:
    """One occurrence with a delivery for each of the people who had no notification of the matter before; how many.

    None for a second call of the same campaign at the same moment.
    """
    occurrence_id = campaign.add_occurrence(session, campaign_id, now, now)
    if occurrence_id is None:
        return None
    _ADD.many(session, [{"once": once, "person_id": person_id, "occurrence_id": occurrence_id, "notified_at": now} for person_id in people])
    queued = _QUEUE.run(session, occurrence_id=occurrence_id)
    campaign.set_invited(session, occurrence_id, queued)
    return queued
