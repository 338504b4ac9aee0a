"""The lessons a person reads, with their pages, and what waits to be taken up again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_READING = Statement("SELECT id, person_id, lesson, digest, page, state FROM reading WHERE id = :id")
_OPEN_READINGS = Statement("SELECT id, lesson FROM reading WHERE person_id = :person_id AND state IN ('open', 'asking') ORDER BY opened_at DESC")
_OPEN_SITTINGS = Statement(
    """SELECT id, kind, scope, size, (SELECT COUNT(*) FROM answer a WHERE a.sitting_id = sitting.id)
       FROM sitting WHERE person_id = :person_id AND state = 'open' ORDER BY opened_at DESC"""
)
_NEW_READING = Statement(
    """INSERT INTO reading (person_id, lesson, digest, page, state, opened_at) VALUES (:person_id, :lesson, :digest, 1, 'open', :at)
       RETURNING id"""
)
_SET_PAGE = Statement("UPDATE reading SET page = :page, state = :state WHERE id = :id")
_RESTART = Statement("UPDATE reading SET page = 1, state = 'open', digest = :digest WHERE id = :id")
_VOID_CREDIT = Statement("UPDATE page_view SET credited = 0, reason = :reason WHERE reading_id = :id AND credited > 0")
_CLOSE = Statement("UPDATE reading SET state = :state, closed_at = :at WHERE id = :id AND state IN ('open', 'asking')")
_FINISHED_LESSONS = Statement(
    "SELECT DISTINCT lesson FROM reading WHERE person_id = :person_id AND state = 'done' AND closed_at >= :since AND closed_at < :until"
)
_COUNT_FINISHED = Statement("SELECT lesson, COUNT(DISTINCT person_id) FROM reading WHERE state = 'done' AND closed_at >= :since GROUP BY lesson")
_LAST_READING = Statement(
    "SELECT id, lesson, state FROM reading WHERE person_id = :person_id ORDER BY COALESCE(closed_at, opened_at) DESC, id DESC LIMIT 1"
)
_SEND_PAGE = Statement("INSERT INTO page_view (reading_id, page, sent_at, reason) VALUES (:reading_id, :page, :at, '')")
_PAGE_ON_SCREEN = Statement("SELECT id, page, sent_at FROM page_view WHERE reading_id = :reading_id AND asked_at IS NULL ORDER BY id DESC LIMIT 1")
_END_PAGE = Statement("UPDATE page_view SET asked_at = :at, seen = :seen, credited = :credited, reason = :reason WHERE id = :id")
_PAGES_READ = Statement(
    """SELECT page, COALESCE(seen, 0), COALESCE(credited, 0), reason FROM page_view
       WHERE reading_id = :reading_id AND asked_at IS NOT NULL ORDER BY id"""
)


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


def reading(session: Session, reading_id: int) -> OpenReading | None:
    row = _READING.one(session, id=reading_id)
    return None if row is None else OpenReading(*row)


def open_readings(session: Session, person_id: int) -> list[tuple[int, str]]:
    """(id, lesson) of what is being read, newest first."""
    return [(row[0], row[1]) for row in _OPEN_READINGS.all(session, person_id=person_id)]


def open_sittings(session: Session, person_id: int) -> list[tuple[int, str, str, int, int]]:
    """(id, kind, scope, size, answered) of what is being answered, newest first."""
    return [tuple(row) for row in _OPEN_SITTINGS.all(session, person_id=person_id)]


def open_reading(session: Session, person_id: int, lesson: str, digest: str, at: datetime) -> int:
    return int(_NEW_READING.one(session, person_id=person_id, lesson=lesson, digest=digest, at=stamp(at))[0])


def set_page(session: Session, reading_id: int, page: int, state: str = "open") -> None:
    _SET_PAGE.run(session, id=reading_id, page=page, state=state)


def restart_reading(session: Session, reading_id: int, digest: str, reason: str) -> None:
    """Back to the first page, because the lesson changed since; the pages read before count no more, with the reason."""
    _VOID_CREDIT.run(session, id=reading_id, reason=reason)
    _RESTART.run(session, id=reading_id, digest=digest)


def close_reading(session: Session, reading_id: int, state: str, at: datetime) -> bool:
    """True for the one call that closed it."""
    return _CLOSE.run(session, id=reading_id, state=state, at=stamp(at)) == 1


def finished_lessons(session: Session, person_id: int, since: datetime, until: datetime) -> set[str]:
    return {row[0] for row in _FINISHED_LESSONS.all(session, person_id=person_id, since=stamp(since), until=stamp(until))}


def last_reading(session: Session, person_id: int) -> tuple[int, str, str] | None:
    """(id, lesson, state) of what was read last."""
    row = _LAST_READING.one(session, person_id=person_id)
    return None if row is None else (row[0], row[1], row[2])


def send_page(session: Session, reading_id: int, page: int, at: datetime) -> None:
    """The clock of a page starts when the page is sent."""
    _SEND_PAGE.run(session, reading_id=reading_id, page=page, at=stamp(at))


def page_on_screen(session: Session, reading_id: int) -> PageOnScreen | None:
    """The page whose clock is running."""
    row = _PAGE_ON_SCREEN.one(session, reading_id=reading_id)
    return None if row is None else PageOnScreen(row[0], row[1], moment(row[2]))


def end_page(session: Session, view_id: int, at: datetime, seen: int, credited: int, reason: str) -> None:
    _END_PAGE.run(session, id=view_id, at=stamp(at), seen=seen, credited=credited, reason=reason)


def pages_read(session: Session, reading_id: int) -> list[PageRead]:
    return [PageRead(*row) for row in _PAGES_READ.all(session, reading_id=reading_id)]


def count_finished(session: Session, since: datetime) -> dict[str, int]:
    """How many people have finished each lesson since a moment."""
    return {row[0]: int(row[1]) for row in _COUNT_FINISHED.all(session, since=stamp(since))}
