"""One open task at a time: what is in hand, what waits, and how one is paused for another (bot/docs/rules.md#one-open-task-at-a-time)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.message import Option, Refusal
from bot.domain.study.sitting import FORMS, HOLDING_CLAIM, TaskClaim
from bot.domain.times import day_of, start_of
from bot.services.library.catalog import Catalog
from bot.storage.study import current_task, readings, sittings

OF_ONE_DAY = tuple(kind for kind, form in FORMS.items() if not form.resumable)
"""Rounds that wait to the end of their day."""
PAGE_LEFT = "中途离开，这一页没有读完，不计；回来后重新计时"


@dataclass(frozen=True, slots=True)
class OpenSittingFacts:
    """A sitting that is open, as its row stands, with how many of its items are answered."""

    ref: int
    kind: str
    scope: str
    size: int
    answered: int


@dataclass(frozen=True, slots=True)
class WaitingTask:
    """Something that was begun and waits to be taken up again; `task` and `ref` as in `focus`.

    `word` is what begins it where the person has nothing of it in hand yet, though its clock runs; `ref` says nothing then.
    """

    task: str
    ref: int
    name: str
    claim: TaskClaim
    word: str = ""


WaitingSource = Callable[[Session, int], WaitingTask | None]
WAITING_SOURCES: list[WaitingSource] = []
"""Who knows of something that runs for a person who has not begun it; asked with the person."""


SittingNamer = Callable[[Session, Catalog, OpenSittingFacts], str]
SITTING_NAMERS: dict[str, SittingNamer] = {}
"""How a kind of sitting is named while it waits, where the name of its form says too little."""


def name_closing_questions(session: Session, catalog: Catalog, facts: OpenSittingFacts) -> str:
    reading = readings.reading(session, int(facts.scope))
    lesson = catalog.library.lessons.get(reading.lesson) if reading else None
    return f"《{lesson.title}》的课后题" if lesson else FORMS[facts.kind].name


def sitting_name(session: Session, catalog: Catalog, facts: OpenSittingFacts) -> str:
    return SITTING_NAMERS[facts.kind](session, catalog, facts) if facts.kind in SITTING_NAMERS else FORMS[facts.kind].name


def waiting(session: Session, catalog: Catalog, person_id: int) -> list[WaitingTask]:
    """What waits, in the order of its claim, of one claim the newest first; what is in hand is not among it."""
    focus = current_task.focus(session, person_id)
    tasks = [known for source in WAITING_SOURCES if (known := source(session, person_id)) is not None]
    for row in readings.open_sittings(session, person_id):
        facts = OpenSittingFacts(*row)
        form = FORMS[facts.kind]
        if focus != (form.task, facts.ref) and not _is_read_again(session, facts):
            tasks.append(WaitingTask(form.task, facts.ref, f"{sitting_name(session, catalog, facts)}（{facts.answered}/{facts.size}）", form.claim))
    for reading_id, lesson_id in readings.open_readings(session, person_id):
        reading = readings.reading(session, reading_id)
        if focus != ("reading", reading_id) and reading is not None and reading.state == "open":
            lesson = catalog.library.lessons.get(lesson_id)
            tasks.append(WaitingTask("reading", reading_id, f"《{lesson.title}》第 {reading.page} 页" if lesson else lesson_id, TaskClaim.STUDY))
    return sorted(tasks, key=lambda task: task.claim)


def _is_read_again(session: Session, facts: OpenSittingFacts) -> bool:
    """Whether closing questions wait only because a page of their lesson is read again: they come after it."""
    reading = readings.reading(session, int(facts.scope)) if facts.kind == "lesson" else None
    return reading is not None and reading.state == "open"


def pause(session: Session, catalog: Catalog, person_id: int, now: datetime, claim: TaskClaim | None = None) -> str:
    """Pause what is in hand: a page's clock stops without credit, a sitting keeps its answers. Its name, or nothing when hands are free.

    `claim` is that of what comes instead. Raises `Refusal` where it is less than that of a live contest or an exam in hand; without it, the person
    has said that they leave, which ends a round that is not `resumable`.
    """
    focus = current_task.focus(session, person_id)
    if focus is None:
        return ""
    task, row_id = focus
    if task == "reading":
        current_task.drop_focus(session, person_id)
        return _pause_reading(session, catalog, row_id, now)
    sitting = sittings.sitting(session, row_id)
    if sitting is None or sitting.state != "open":
        current_task.drop_focus(session, person_id)
        return ""
    form = FORMS[sitting.kind]
    name = sitting_name(session, catalog, OpenSittingFacts(row_id, sitting.kind, sitting.scope, sitting.size, 0))
    if claim is not None and form.claim <= HOLDING_CLAIM and claim > form.claim:
        raise Refusal(
            f"您正在进行{name}，先做完它：回复「继续」接着做；确实要放下，请先回复「退出」。", (Option("继续", "继续"), Option("退出", "退出"))
        )
    current_task.drop_focus(session, person_id)
    if claim is None and not form.resumable:
        sittings.close_sitting(session, row_id, "left", now)
        return ""
    return name


def close_forgotten(session: Session, person_id: int, now: datetime) -> None:
    """End the rounds of an earlier day that nobody came back to."""
    for sitting_id in sittings.open_sittings_from_before(session, person_id, OF_ONE_DAY, start_of(day_of(now))):
        sittings.close_sitting(session, sitting_id, "left", now)


def take_up(session: Session, catalog: Catalog, person_id: int, task: str, ref: int, claim: TaskClaim, now: datetime) -> str:
    """Take something in hand; the name of what had to be paused for it, nothing when hands were free or it was in hand already."""
    if current_task.focus(session, person_id) == (task, ref):
        return ""
    paused = pause(session, catalog, person_id, now, claim)
    current_task.set_focus(session, person_id, task, ref, now)
    return paused


def _pause_reading(session: Session, catalog: Catalog, reading_id: int, now: datetime) -> str:
    reading = readings.reading(session, reading_id)
    if reading is None or reading.state != "open":
        return ""
    view = readings.page_on_screen(session, reading_id)
    if view is not None:
        seen = max(0, int((now - view.sent_at).total_seconds()))
        readings.end_page(session, view.id, now, seen, 0, PAGE_LEFT)
    lesson = catalog.library.lessons.get(reading.lesson)
    return f"《{lesson.title}》" if lesson else reading.lesson
