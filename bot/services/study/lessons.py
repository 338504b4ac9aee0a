"""Reading a lesson: pages timed by the clock of the server, closing questions, then the credited time into the ledger."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.hours.policy import PageCredit, page_credit
from bot.domain.library.library import Lesson, expected_reading_seconds, fold_name
from bot.domain.message import Option, Refusal
from bot.domain.study.sitting import TaskClaim
from bot.domain.times import SHANGHAI, day_of
from bot.services.hours import credit as hours_credit
from bot.services.hours.credit import EarnedCredit
from bot.services.library.catalog import Catalog
from bot.services.study import current_task, quiz
from bot.storage.study import current_task as study_current_task
from bot.storage.study import readings, sittings
from bot.storage.study.readings import OpenReading, PageRead

_LISTED_LENGTH = re.compile(r"[（(]\s*\d{1,3}\s*分钟\s*[)）]$")
CHANGED = "课程内容已更新，从头重读，此前不计"
WITHDRAWN = "课程已经下架，没有学完，不计"


@dataclass(frozen=True, slots=True)
class SentPage:
    """A page as it is sent; `credit` is what the page before it came to."""

    reading: OpenReading
    lesson: Lesson
    number: int
    credit: PageCredit | None = None
    paused: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True)
class FinishedLesson:
    """A lesson that is done: seconds seen, credited and refused, and the rule."""

    lesson: Lesson
    pages: Sequence[PageRead]
    earned: EarnedCredit


def year_bounds(now: datetime) -> tuple[datetime, datetime]:
    """The year a moment lies in, in Asia/Shanghai, as [since, until) (rule D14)."""
    year = day_of(now).year
    return datetime(year, 1, 1, tzinfo=SHANGHAI), datetime(year + 1, 1, 1, tzinfo=SHANGHAI)


def done_this_year(session: Session, person_id: int, now: datetime) -> set[str]:
    return readings.finished_lessons(session, person_id, *year_bounds(now))


def find_lessons(catalog: Catalog, name: str, tier: str, now: datetime) -> list[Lesson]:
    """The lessons that a name stands for: an id, a title or a part of it, a law or a law set; in the order of the syllabus.

    Names are compared as `fold_name` folds them; what a line of our list has beside the title (· 课名（4 分钟）) may stand there too.
    """
    lessons = catalog.library.lessons_for(tier, day_of(now))
    if not name:
        return list(lessons)
    if exact := [lesson for lesson in lessons if lesson.id == name.lower()]:
        return exact
    if (titled := lesson_of_title(catalog, name, tier, now)) is not None:
        return [titled]
    law_set = catalog.library.resolve_set(name)
    law = catalog.library.resolve_law(name)
    laws = law_set.laws if law_set else (law.short,) if law else ()
    part = fold_name(name)
    return [lesson for lesson in lessons if (lesson.law in laws if laws else part and part in fold_name(lesson.title))]


def lesson_of_title(catalog: Catalog, text: str, tier: str, now: datetime) -> Lesson | None:
    """The lesson whose whole title a text is, with or without the length that our list adds."""
    titles = {fold_name(text), fold_name(_LISTED_LENGTH.sub("", text.strip()))}
    return next((lesson for lesson in catalog.library.lessons_for(tier, day_of(now)) if fold_name(lesson.title) in titles), None)


def start(session: Session, catalog: Catalog, person_id: int, lesson: Lesson, now: datetime) -> SentPage:
    """Begin a lesson, or take it up where it was left. One lesson at a time: what is in hand is put down first."""
    reading_ref = next((ref for ref, name in readings.open_readings(session, person_id) if name == lesson.id), None)
    if reading_ref is not None:
        return _resume_reading(session, catalog, person_id, _require_open_reading(session, reading_ref), lesson, now)
    paused = current_task.pause(session, catalog, person_id, now, TaskClaim.STUDY)
    reading_id = readings.open_reading(session, person_id, lesson.id, lesson.digest, now)
    study_current_task.set_focus(session, person_id, "reading", reading_id, now)
    readings.send_page(session, reading_id, 1, now)
    return SentPage(OpenReading(reading_id, person_id, lesson.id, lesson.digest, 1, "open"), lesson, 1, paused=paused)


def resume(session: Session, catalog: Catalog, person_id: int, reading_id: int, now: datetime) -> SentPage | None:
    """The page where a reading was left, with its clock starting anew; from the first page when the lesson changed since.

    None when the lesson was withdrawn: the reading is closed then, and what was read of it is kept as not credited.
    """
    reading = _require_open_reading(session, reading_id)
    lesson = catalog.library.lessons.get(reading.lesson)
    if lesson is None:
        _close_withdrawn(session, catalog, reading, now)
        return None
    return _resume_reading(session, catalog, person_id, reading, lesson, now)


def close_if_uncredited(session: Session, sitting_id: int, now: datetime) -> bool:
    """Whether closing questions were put away, with their reading, because no page of it was credited: the lesson is read anew instead."""
    sitting = sittings.sitting(session, sitting_id)
    if sitting is None or any(page.credited for page in readings.pages_read(session, int(sitting.scope))):
        return False
    sittings.close_sitting(session, sitting_id, "left", now)
    readings.close_reading(session, int(sitting.scope), "left", now)
    return True


def _require_open_reading(session: Session, reading_id: int) -> OpenReading:
    reading = readings.reading(session, reading_id)
    if reading is None or reading.state != "open":
        raise Refusal("这一课已经读完了。发送「学习」继续下一课。")
    return reading


def _close_withdrawn(session: Session, catalog: Catalog, reading: OpenReading, now: datetime) -> None:
    # Not by a refusal: that would undo the closing, and whoever has such a lesson in hand could never put it down.
    seconds = sum(page.credited for page in readings.pages_read(session, reading.id))
    hours_credit.refuse_lesson(session, catalog.policy, reading.person_id, reading.lesson, seconds, WITHDRAWN, day_of(now), now)
    readings.close_reading(session, reading.id, "left", now)
    if study_current_task.focus(session, reading.person_id) == ("reading", reading.id):
        study_current_task.drop_focus(session, reading.person_id)


def _resume_reading(session: Session, catalog: Catalog, person_id: int, reading: OpenReading, lesson: Lesson, now: datetime) -> SentPage:
    reading_id = reading.id
    paused = current_task.take_up(session, catalog, person_id, "reading", reading_id, TaskClaim.STUDY, now)
    changed = lesson.digest != reading.digest
    page = 1 if changed else reading.page
    if changed:
        readings.restart_reading(session, reading_id, lesson.digest, CHANGED)
    view = readings.page_on_screen(session, reading_id)
    if view is None or changed:
        if view is not None:
            readings.end_page(session, view.id, now, max(0, int((now - view.sent_at).total_seconds())), 0, CHANGED)
        readings.send_page(session, reading_id, page, now)
    return SentPage(OpenReading(reading_id, person_id, lesson.id, lesson.digest, page, "open"), lesson, page, paused=paused, changed=changed)


def turn_page(
    session: Session, catalog: Catalog, person_id: int, reading_id: int, now: datetime
) -> SentPage | quiz.AskedQuestion | FinishedLesson | None:
    """The next page: the one before is credited by the server's clock. After the last come the closing questions, or the end.

    None as of `resume`.
    """
    reading = readings.reading(session, reading_id)
    lesson = catalog.library.lessons.get(reading.lesson) if reading else None
    if reading is None or reading.state != "open" or lesson is None or lesson.digest != reading.digest:
        return resume(session, catalog, person_id, reading_id, now)
    credit = _close_page(session, catalog, reading, lesson, now)
    if reading.page < len(lesson.pages):
        readings.set_page(session, reading_id, reading.page + 1)
        readings.send_page(session, reading_id, reading.page + 1, now)
        next_reading = OpenReading(reading_id, person_id, lesson.id, lesson.digest, reading.page + 1, "open")
        return SentPage(next_reading, lesson, reading.page + 1, credit)
    questions = [name for name in lesson.questions if name in catalog.drawn]
    if not questions:
        return finish(session, catalog, person_id, reading_id, now)
    readings.set_page(session, reading_id, reading.page, "asking")
    return quiz.ask_closing_questions(session, catalog, person_id, reading_id, questions, now)


def go_to_page(session: Session, catalog: Catalog, person_id: int, reading_id: int, number: int | None, now: datetime) -> SentPage | None:
    """A page that was read before, or the one before the present (no number), to be read again for its time. None as of `resume`.

    Possible until the lesson is finished: closing questions that were asked wait, and come again after the last page.
    """
    reading = readings.reading(session, reading_id)
    lesson = catalog.library.lessons.get(reading.lesson) if reading else None
    if reading is None or reading.state not in ("open", "asking"):
        raise Refusal("这一课已经学完，学时已经计入。发送「学习」学下一课。")
    if lesson is None or lesson.digest != reading.digest:
        return resume(session, catalog, person_id, reading_id, now)
    asking = reading.state == "asking"
    reached = len(lesson.pages) if asking else max([reading.page, *(page.page for page in readings.pages_read(session, reading_id))])
    wanted = number or (len(lesson.pages) if asking else reading.page - 1)
    if wanted < 1:
        raise Refusal("这就是第一页。")
    if wanted > reached:
        raise Refusal(f"还没有读到第 {wanted} 页，请按顺序往下翻。", (Option("下一页", "下一页"),))
    if asking:
        paused = current_task.take_up(session, catalog, person_id, "reading", reading_id, TaskClaim.STUDY, now)
        credit = None
    else:
        paused, credit = "", _close_page(session, catalog, reading, lesson, now)
    readings.set_page(session, reading_id, wanted)
    readings.send_page(session, reading_id, wanted, now)
    return SentPage(OpenReading(reading_id, person_id, lesson.id, lesson.digest, wanted, "open"), lesson, wanted, credit, paused)


def skimmed_pages(session: Session, reading_id: int) -> list[int]:
    """The pages that were turned so fast that they are credited nothing, and may be read again."""
    credited: dict[int, int] = {}
    for page in readings.pages_read(session, reading_id):
        credited[page.page] = credited.get(page.page, 0) + page.credited
    return sorted(number for number, seconds in credited.items() if not seconds)


def _close_page(session: Session, catalog: Catalog, reading: OpenReading, lesson: Lesson, now: datetime) -> PageCredit:
    view = readings.page_on_screen(session, reading.id)
    if view is None:
        return PageCredit(0, 0)
    seen = max(0, int((now - view.sent_at) / timedelta(seconds=1)))
    expected = expected_reading_seconds(lesson.pages[reading.page - 1], catalog.chars_a_minute)
    already = sum(page.credited for page in readings.pages_read(session, reading.id) if page.page == reading.page)
    credit = page_credit(seen, expected, catalog.policy.at("D2", day_of(now)), already)
    readings.end_page(session, view.id, now, credit.seen, credit.credited, credit.reason)
    return credit


def finish(session: Session, catalog: Catalog, person_id: int, reading_id: int, now: datetime) -> FinishedLesson | None:
    """The lesson is done: what its pages were credited goes into the ledger, as far as the caps allow. None as of `resume`."""
    reading = readings.reading(session, reading_id)
    if reading is None:
        raise Refusal("没有这一课的阅读记录。")
    lesson = catalog.library.lessons.get(reading.lesson)
    if lesson is None:
        _close_withdrawn(session, catalog, reading, now)
        return None
    readings.close_reading(session, reading_id, "done", now)
    if study_current_task.focus(session, person_id) == ("reading", reading_id):
        study_current_task.drop_focus(session, person_id)
    pages = readings.pages_read(session, reading_id)
    seconds = sum(page.credited for page in pages)
    earned = hours_credit.earn_lesson(session, catalog.policy, person_id, lesson.id, lesson.law, seconds, day_of(now), now)
    return FinishedLesson(lesson, pages, earned)
