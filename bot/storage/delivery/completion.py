"""Whether somebody has done what was asked of them: the one answer for reminders, nudges, and what is still to be sent.

One cut-off for all: what counts is what somebody did on the day (Shanghai) on which it fell due, or after. Two kinds look further back, since they
are done once and not each time: a lesson counts from 1 January of that year, an exam or a contest whenever it was taken. A poll and a notice are
answered by themselves, so that nothing before them can count.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

from sqlalchemy import and_, exists, or_, select
from sqlmodel import Session

from bot.domain.campaign.content import CampaignContent
from bot.domain.contest.contest import contest_of_target
from bot.domain.delivery.reminders import ReminderTask
from bot.domain.exam.exam import exam_of_target
from bot.domain.times import start_of
from bot.storage.db.query import Query, bind, table
from bot.storage.tables.contest import ParticipationRow
from bot.storage.tables.delivery import DeliveryRow, VoteRow
from bot.storage.tables.exam import AttemptRow
from bot.storage.tables.people import AbsenceRow, PersonRow
from bot.storage.tables.study import ReadingRow, SittingRow

_absences, _attempts, _deliveries, _people = table(AbsenceRow), table(AttemptRow), table(DeliveryRow), table(PersonRow)
_participations, _readings, _sittings, _votes = table(ParticipationRow), table(ReadingRow), table(SittingRow), table(VoteRow)

_DONE = {
    "lesson": exists().where(
        _readings.c.person_id == _deliveries.c.person_id,
        _readings.c.lesson == bind("lesson"),
        _readings.c.state == "done",
        _readings.c.closed_at >= bind("year"),
    ),
    "poll": exists().where(_votes.c.occurrence_id == _deliveries.c.occurrence_id, _votes.c.person_id == _deliveries.c.person_id),
    "notice": _deliveries.c.read_at.is_not(None),
    "exam": exists().where(_attempts.c.person_id == _deliveries.c.person_id, _attempts.c.exam_id == bind("exam")),
    "contest": exists().where(
        _participations.c.person_id == _deliveries.c.person_id,
        _participations.c.contest_id == bind("contest"),
        _participations.c.finished_at.is_not(None),
    ),
    "daily": exists().where(
        _sittings.c.person_id == _deliveries.c.person_id,
        _sittings.c.kind == "daily",
        _sittings.c.scope >= bind("day"),
        _sittings.c.state == "done",
    ),
}
"""By the rows that show it."""
_AWAY = exists().where(
    _absences.c.person_id == _deliveries.c.person_id,
    _absences.c.since <= bind("today"),
    or_(_absences.c.until.is_(None), _absences.c.until >= bind("today")),
)
_ADDRESSED = (
    select(_deliveries.c.person_id)
    .join(_people, _people.c.id == _deliveries.c.person_id)
    .where(
        and_(_deliveries.c.occurrence_id == bind("occurrence"), _deliveries.c.state != "skipped"),
        or_(_people.c.left_on.is_(None), _people.c.left_on >= bind("today")),
        ~_AWAY,
    )
    .order_by(_deliveries.c.person_id)
)
_OPEN = {shown: Query(_ADDRESSED.where(~done), gives=int) for shown, done in _DONE.items()}
_OPEN_AMONG = {shown: Query(_ADDRESSED.where(~done, _deliveries.c.person_id.in_(bind("people"))), gives=int) for shown, done in _DONE.items()}
_DONE_OF = {
    shown: Query(
        select(_deliveries.c.id).where(_deliveries.c.id.in_(bind("ids")), _deliveries.c.occurrence_id == bind("occurrence"), done), gives=int
    )
    for shown, done in _DONE.items()
}


def shown_by(content: CampaignContent) -> str | None:
    """By which rows it is seen that somebody did it; None when by none."""
    match content.kind:
        case "lesson" | "series":
            return "lesson"
        case "poll":
            return "poll"
        case "notice":
            return "notice" if content.receipt else None
        case "daily":
            return "daily"
        case "invitation" if content.target == "每日":
            return "daily"
        case "invitation" if exam_of_target(content.target) is not None:
            return "exam"
        case "invitation" if contest_of_target(content.target) is not None:
            return "contest"
    return None


def _values(shown: str, content: CampaignContent, fired_on: date) -> dict[str, Any]:
    """What the condition compares with."""
    match shown:
        case "lesson":
            return {"lesson": content.lesson, "year": start_of(date(fired_on.year, 1, 1))}
        case "exam":
            return {"exam": exam_of_target(content.target)}
        case "contest":
            return {"contest": contest_of_target(content.target)}
        case "daily":
            return {"day": fired_on.isoformat()}
    return {}


def open_people(session: Session, task: ReminderTask, today: date, among: Collection[int] | None = None) -> list[int]:
    """To whom it was addressed and who has not done it, without those who are away or have left."""
    shown = shown_by(task.content)
    if shown is None:
        raise ValueError(f"nobody can be seen to do {task.content.kind}")
    values = {"occurrence": task.occurrence_id, "today": today, **_values(shown, task.content, task.fired_on)}
    if among is None:
        return _OPEN[shown].all(session, **values)
    return _OPEN_AMONG[shown].all(session, people=sorted(among), **values)


def done_deliveries(session: Session, occurrence_id: int, content: CampaignContent, fired_on: date, delivery_ids: Collection[int]) -> list[int]:
    """Those deliveries of an occurrence whose people have done it."""
    shown = shown_by(content)
    if shown is None:
        return []
    return _DONE_OF[shown].all(session, ids=sorted(delivery_ids), occurrence=occurrence_id, **_values(shown, content, fired_on))
