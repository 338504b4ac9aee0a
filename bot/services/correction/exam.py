"""An exam as the subject of a correction: results from the marks that count, hours by reversal and new entry, certificates in line with both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlmodel import Session

from bot.domain.campaign import Author
from bot.domain.correction import places_of
from bot.domain.exam import Exam
from bot.domain.message import Refusal
from bot.services import exam as service
from bot.services import hours
from bot.services.correction.base import SUBJECTS, Deed, Standing, Subject
from bot.services.shelf import Shelf
from bot.storage import correction
from bot.storage.exam import attempts, exams


class OfExam(Subject):
    scope = "exam"
    papers = "SELECT t.sitting_id FROM attempt t WHERE t.exam_id = :ref AND t.state = 'closed'"

    def __init__(self, session: Session, author: Author, ref: int) -> None:
        found = service.plan.own(session, author, ref)
        self.ref, self.name = ref, found.name

    def hold(self, session: Session) -> None:
        found = exams.held(session, self.ref)
        if found is None or not found.is_over:
            raise Refusal(f"考试「{self.name}」还没有结束，有人可能正在答题；结束后再更正。")

    def freeze(self, session: Session, now: datetime | None) -> None:
        exams.freeze(session, self.ref, now)

    def _exam(self, session: Session) -> Exam:
        found = exams.get(session, self.ref)
        assert found is not None
        return found

    def standings(self, session: Session) -> dict[int, Standing]:
        exam = self._exam(session)
        closed = [one for one in attempts.of_exam(session, self.ref) if one.state == "closed"]
        best: dict[int, int] = {}
        for one in closed:
            best[one.person_id] = max(best.get(one.person_id, 0), one.score or 0)
        places = places_of(best)
        seconds = correction.exam_seconds(session, exam.root)
        return {
            one.sitting_id: Standing(
                one.person_id,
                one.score or 0,
                places[one.person_id],
                one.passed,
                seconds.get(one.person_id, 0),
            )
            for one in closed
        }

    def redo(self, session: Session, shelf: Shelf, sittings: Collection[int], deed: Deed) -> Mapping[int, str]:
        exam = self._exam(session)
        done = [service.settle(session, shelf, exam, sitting, deed.now) for sitting in sorted(sittings)]
        passed = correction.passed_exam(session, exam.root)
        for person_id in {one.person_id for one in done} - passed:
            # A short answer that still waits for its mark has not failed anybody yet.
            if any(one.passed is False for one in done if one.person_id == person_id):
                hours.lose_exam(session, person_id, exam.root, deed.now, deed.author.actor)
        return {}


SUBJECTS["exam"] = OfExam
