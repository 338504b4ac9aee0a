"""People with queued deliveries: rows as a campaign that fell due leaves them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from bot.domain.campaign import content as campaign_content
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule, schedule_json
from bot.domain.people import audience
from bot.domain.people.audience import All
from bot.storage.db.database import Database
from bot.storage.tables.campaign import CampaignRow, OccurrenceRow
from bot.storage.tables.delivery import DeliveryRow
from bot.storage.tables.people import AccountRow, PersonRow, PostRow, UnitRow
from tests.conftest import NOW

SCHEDULE = json.dumps(schedule_json(Schedule("once", time="09:00", on=NOW.date(), on_holiday="keep")))
EVERYBODY = json.dumps(audience.audience_json(All()))
NOTICE = CampaignContent("notice", text="请大家学习宪法")


def add_people(session: Session, count: int, channels: Sequence[str] = ("wecom",), prefix: str = "p") -> list[int]:
    """So many people in one office, each with an account on each channel under their staff number; their ids."""
    unit = UnitRow(name="办公室", path=f"某局{prefix}")
    session.add(unit)
    session.flush()
    people = [PersonRow(staff_no=f"{prefix}{n:04}", name=f"员{prefix}{n:04}", tier="公务员", recorded_at=NOW) for n in range(count)]
    session.add_all(people)
    session.flush()
    for person in people:
        assert person.id is not None
        assert unit.id is not None
        session.add(PostRow(person_id=person.id, unit_id=unit.id, since=NOW.date()))
        session.add_all(AccountRow(channel=channel, user=person.staff_no, person_id=person.id, bound_at=NOW, bound_by="test") for channel in channels)
    session.flush()
    return [person.id for person in people if person.id is not None]


def queue_campaign(
    session: Session,
    people: Iterable[int],
    *,
    content: CampaignContent = NOTICE,
    rule: Mapping[str, Any] | None = None,
    now: datetime = NOW,
    name: str = "周一推送",
    state: str = "running",
) -> int:
    """One campaign that fell due at `now`, queued for everybody; its id."""
    content_text = json.dumps(campaign_content.content_json(content), ensure_ascii=False)
    campaign = CampaignRow(
        name=name, kind=content.kind, content=content_text, rhythm=SCHEDULE, audience=EVERYBODY, delivery=json.dumps(rule or {}), state=state,
        created_by="1001", created_at=now, changed_at=now,
    )  # fmt: skip
    session.add(campaign)
    session.flush()
    assert campaign.id is not None
    add_occurrence(session, campaign.id, people, now=now)
    return campaign.id


def add_occurrence(session: Session, campaign_id: int, people: Iterable[int], *, now: datetime = NOW, after: float = 0) -> int:
    """The campaign falls due (once more); the occurrence's id."""
    due_at = now + timedelta(seconds=after)
    occurrence = OccurrenceRow(campaign_id=campaign_id, due=due_at, fired_at=due_at)
    session.add(occurrence)
    session.flush()
    assert occurrence.id is not None
    session.add_all(
        DeliveryRow(campaign_id=campaign_id, occurrence_id=occurrence.id, person_id=person_id, created_at=due_at, not_before=due_at)
        for person_id in people
    )
    session.flush()
    return occurrence.id


def states(database: Database) -> Counter[str]:
    """All deliveries by state."""
    rows = database.read_now(lambda session: session.execute(text("SELECT state, COUNT(*) FROM delivery GROUP BY state")).all())
    return Counter({row[0]: row[1] for row in rows})


def rows(database: Database, columns: str = "id, state, channel, tries, error") -> list[Any]:
    return list(database.read_now(lambda session: session.execute(text(f"SELECT {columns} FROM delivery ORDER BY id")).all()))


def run_sql(database: Database, statement: str, **values: Any) -> None:
    """Any SQL statement, for what no function of the storage offers."""
    database.write_now(lambda session: session.execute(text(statement), values))
