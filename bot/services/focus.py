"""One open task at a time: what is in hand, what waits, and how one makes way for another (product.md, rule 3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.services.shelf import Shelf
from bot.storage import quiz, study

SITTING_NAMES = {"daily": "每日一练", "practice": "练习", "mistakes": "错题重做", "lesson": "课后题"}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that was begun and waits to be taken up again."""

    kind: str
    ref: int
    name: str


def waiting(session: Session, shelf: Shelf, person_id: int) -> list[Waiting]:
    """What waits, in the order of its claim: the daily set, then lessons, then the rest; what is in hand is not among it."""
    at = study.focus(session, person_id)
    found: list[tuple[int, Waiting]] = []
    for ref, kind, scope, size, answered in study.open_sittings(session, person_id):
        if at != ("sitting", ref):
            name = SITTING_NAMES[kind]
            if kind == "lesson":
                reading = study.reading(session, int(scope))
                lesson = shelf.library.lessons.get(reading.lesson) if reading else None
                name = f"《{lesson.title}》的课后题" if lesson else name
            found.append((0 if kind == "daily" else 1, Waiting("sitting", ref, f"{name}({answered}/{size})")))
    for ref, lesson_id in study.open_readings(session, person_id):
        row = study.reading(session, ref)
        if at != ("reading", ref) and row is not None and row.state == "open":
            lesson = shelf.library.lessons.get(lesson_id)
            found.append((1, Waiting("reading", ref, f"《{lesson.title}》第 {row.page} 页" if lesson else lesson_id)))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def make_way(session: Session, shelf: Shelf, person_id: int, now: datetime) -> str:
    """Put down what is in hand: a page's clock stops without credit, a sitting keeps its answers. Its name, or nothing when hands are free."""
    at = study.focus(session, person_id)
    if at is None:
        return ""
    kind, ref = at
    study.drop_focus(session, person_id)
    if kind == "sitting":
        sitting = quiz.sitting(session, ref)
        if sitting is None or sitting.state != "open":
            return ""
        if sitting.kind in ("practice", "mistakes"):
            quiz.close_sitting(session, ref, "left", now)
            return ""
        return SITTING_NAMES[sitting.kind]
    reading = study.reading(session, ref)
    if reading is None or reading.state != "open":
        return ""
    view = study.page_out(session, ref)
    if view is not None:
        seen = max(0, int((now - view.sent_at).total_seconds()))
        study.end_page(session, view.id, now, seen, 0, "中途离开，这一页没有读完，不计；回来后重新计时")
    lesson = shelf.library.lessons.get(reading.lesson)
    return f"《{lesson.title}》" if lesson else reading.lesson
