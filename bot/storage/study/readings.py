"""The lessons a person reads, with their pages, and what waits to be taken up again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import distinct, func, select, update
from sqlmodel import Session

from bot.storage.db.query import Query, bind, binds, insert, table
from bot.storage.tables.study import AnswerRow, PageViewRow, ReadingRow, SittingRow

_answers, _page_views, _readings, _sittings = table(AnswerRow), table(PageViewRow), table(ReadingRow), table(SittingRow)
_UNDER_WAY = _readings.c.state.in_(["open", "asking"])


@dataclass(frozen=True, slots=True)
class OpenReading:
    """A reading as its row stands; `page` counts from one."""

    id: int
    person_id: int
    lesson: str
    digest: str
    page: int
    state: str


@dataclass(frozen=True, slots=True)
class PageOnScreen:
    """A page that was sent and not yet followed by the next."""

    id: int
    page: int
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class PageRead:
    """A page as it was read, in seconds, with the reason when not all of it was credited."""

    page: int
    seen: int
    credited: int
    reason: str


_READING = Query(
    select(_readings.c.id, _readings.c.person_id, _readings.c.lesson, _readings.c.digest, _readings.c.page, _readings.c.state).where(
        _readings.c.id == bind("id")
    ),
    gives=OpenReading,
)
_OPEN_READINGS = Query(
    select(_readings.c.id, _readings.c.lesson).where(_readings.c.person_id == bind("person_id"), _UNDER_WAY).order_by(_readings.c.opened_at.desc()),
    gives=tuple[int, str],
)
_OPEN_SITTINGS = Query(
    select(
        _sittings.c.id,
        _sittings.c.kind,
        _sittings.c.scope,
        _sittings.c.size,
        select(func.count()).where(_answers.c.sitting_id == _sittings.c.id).scalar_subquery(),
    )
    .where(_sittings.c.person_id == bind("person_id"), _sittings.c.state == "open")
    .order_by(_sittings.c.opened_at.desc()),
    gives=tuple[int, str, str, int, int],
)
_NEW_READING = Query(
    insert(_readings).values(binds("person_id", "lesson", "digest", "opened_at") | {"page": 1, "state": "open"}).returning(_readings.c.id), gives=int
)
_SET_PAGE = Query(update(_readings).values(binds("page", "state")).where(_readings.c.id == bind("id")))
_RESTART = Query(update(_readings).values(page=1, state="open", digest=bind("digest")).where(_readings.c.id == bind("id")))
_VOID_CREDIT = Query(
    update(_page_views).values(credited=0, reason=bind("reason")).where(_page_views.c.reading_id == bind("id"), _page_views.c.credited > 0)
)
_CLOSE = Query(update(_readings).values(binds("state", "closed_at")).where(_readings.c.id == bind("id"), _UNDER_WAY))
_FINISHED_LESSONS = Query(
    select(_readings.c.lesson)
    .distinct()
    .where(
        _readings.c.person_id == bind("person_id"),
        _readings.c.state == "done",
        _readings.c.closed_at >= bind("since"),
        _readings.c.closed_at < bind("until"),
    ),
    gives=str,
)
_COUNT_FINISHED = Query(
    select(_readings.c.lesson, func.count(distinct(_readings.c.person_id)))
    .where(_readings.c.state == "done", _readings.c.closed_at >= bind("since"))
    .group_by(_readings.c.lesson),
    gives=tuple[str, int],
)
_LAST_READING = Query(
    select(_readings.c.id, _readings.c.lesson, _readings.c.state)
    .where(_readings.c.person_id == bind("person_id"))
    .order_by(func.coalesce(_readings.c.closed_at, _readings.c.opened_at).desc(), _readings.c.id.desc())
    .limit(1),
    gives=tuple[int, str, str],
)
_SEND_PAGE = Query(insert(_page_views).values(binds("reading_id", "page", "sent_at") | {"reason": ""}))
_PAGE_ON_SCREEN = Query(
    select(_page_views.c.id, _page_views.c.page, _page_views.c.sent_at)
    .where(_page_views.c.reading_id == bind("reading_id"), _page_views.c.asked_at.is_(None))
    .order_by(_page_views.c.id.desc())
    .limit(1),
    gives=PageOnScreen,
)
_END_PAGE = Query(update(_page_views).values(binds("asked_at", "seen", "credited", "reason")).where(_page_views.c.id == bind("id")))
_PAGES_READ = Query(
    select(
        _page_views.c.page,
        func.coalesce(_page_views.c.seen, 0).label("seen"),
        func.coalesce(_page_views.c.credited, 0).label("credited"),
        _page_views.c.reason,
    )
    .where(_page_views.c.reading_id == bind("reading_id"), _page_views.c.asked_at.is_not(None))
    .order_by(_page_views.c.id),
    gives=PageRead,
)


def reading(session: Session, reading_id: int) -> OpenReading | None:
    return _READING.first(session, id=reading_id)


def open_readings(session: Session, person_id: int) -> list[tuple[int, str]]:
    """(id, lesson) of what is being read, newest first."""
    return _OPEN_READINGS.all(session, person_id=person_id)


def open_sittings(session: Session, person_id: int) -> list[tuple[int, str, str, int, int]]:
    """(id, kind, scope, size, answered) of what is being answered, newest first."""
    return _OPEN_SITTINGS.all(session, person_id=person_id)


def open_reading(session: Session, person_id: int, lesson: str, digest: str, at: datetime) -> int:
    return _NEW_READING.one(session, person_id=person_id, lesson=lesson, digest=digest, opened_at=at)


def set_page(session: Session, reading_id: int, page: int, state: str = "open") -> None:
    _SET_PAGE.run(session, id=reading_id, page=page, state=state)


def restart_reading(session: Session, reading_id: int, digest: str, reason: str) -> None:
    """Back to the first page, because the lesson changed since; the pages read before count no more, with the reason."""
    _VOID_CREDIT.run(session, id=reading_id, reason=reason)
    _RESTART.run(session, id=reading_id, digest=digest)


def close_reading(session: Session, reading_id: int, state: str, at: datetime) -> bool:
    """True for the one call that closed it."""
    return _CLOSE.run(session, id=reading_id, state=state, closed_at=at) == 1


def finished_lessons(session: Session, person_id: int, since: datetime, until: datetime) -> set[str]:
    return set(_FINISHED_LESSONS.all(session, person_id=person_id, since=since, until=until))


def last_reading(session: Session, person_id: int) -> tuple[int, str, str] | None:
    """(id, lesson, state) of what was read last."""
    return _LAST_READING.first(session, person_id=person_id)


def send_page(session: Session, reading_id: int, page: int, at: datetime) -> None:
    """The clock of a page starts when the page is sent."""
    _SEND_PAGE.run(session, reading_id=reading_id, page=page, sent_at=at)


def page_on_screen(session: Session, reading_id: int) -> PageOnScreen | None:
    """The page whose clock is running."""
    return _PAGE_ON_SCREEN.first(session, reading_id=reading_id)


def end_page(session: Session, view_id: int, at: datetime, seen: int, credited: int, reason: str) -> None:
    _END_PAGE.run(session, id=view_id, asked_at=at, seen=seen, credited=credited, reason=reason)


def pages_read(session: Session, reading_id: int) -> list[PageRead]:
    return _PAGES_READ.all(session, reading_id=reading_id)


def count_finished(session: Session, since: datetime) -> dict[str, int]:
    """How many people have finished each lesson since a moment."""
    return dict(_COUNT_FINISHED.all(session, since=since))
