"""An answer is written down as it was heard, with its mark, by the clock of the server: the same for practice, exams and contests."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from sqlmodel import Session

from bot.domain.library.question import Grade
from bot.domain.message import Incoming
from bot.storage.study import sittings
from bot.storage.tables.columns import stamp


class AnswerPlace(Protocol):
    """A place of a sitting: which question, in which version."""

    @property
    def n(self) -> int: ...
    @property
    def question(self) -> str: ...
    @property
    def version_id(self) -> int: ...


def write_down(
    session: Session, person_id: int, sitting_id: int, place: AnswerPlace, choice: str, mark: Grade, incoming: Incoming, now: datetime
) -> tuple[int, bool]:
    """What `bot/storage/study/sittings.py:record` gives. `choice` in the letters of the file; who is not quite right earns less than the whole."""
    return sittings.record(
        session,
        person_id=person_id,
        sitting_id=sitting_id,
        n=place.n,
        question=place.question,
        version_id=place.version_id,
        choice=choice,
        correct=int(mark.correct),
        earned=1000 if mark.correct else min(999, round(mark.earned * 1000)),
        provisional=int(mark.provisional),
        channel=incoming.sender.channel,
        message_id=incoming.message_id,
        arrived_at=stamp(incoming.arrived),
        recorded_at=stamp(now),
    )
