"""An exam as the subject of a correction: results from the marks that count, hours by reversal and new entry, certificates in line with both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from sqlmodel import Session

from bot.domain.campaign import SYSTEM, Author
from bot.domain.correction import places_of
from bot.domain.exam import Attempt, Exam
from bot.domain.message import Refusal
from bot.services import certificate, hours
from bot.services import exam as service
from bot.services.certificate.exams import deserved, settle_exam, source_of
from bot.services.correction.base import SUBJECTS, Deed, Standing, Subject
from bot.services.correction.carry import mark_late
from bot.services.shelf import Shelf
from bot.storage import correction
from bot.storage.exam import attempts, exams

HOUSE = Author(SYSTEM, SYSTEM)
NEW = "新编号"
"""What a rehearsal says of a certificate that would be issued."""


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

    def is_told(self, session: Session) -> bool:
        return replace(self._exam(session), frozen_at=None).tells_score

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
        certificates = correction.exam_certificates(session, exam.root)
        return {
            one.sitting_id: Standing(
                one.person_id,
                one.score or 0,
                places[one.person_id],
                one.passed,
                seconds.get(one.person_id, 0),
                certificates.get(one.person_id, ""),
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
        return self._certify(session, shelf, exam, done, deed)

    def _certify(self, session: Session, shelf: Shelf, exam: Exam, done: Collection[Attempt], deed: Deed) -> Mapping[int, str]:
        """Certificates in line with marks and hours; what a rehearsal only foresees, because a number that was given out is never given again."""
        foreseen: dict[int, str] = {}
        for person_id in sorted({one.person_id for one in done}):
            if not deed.rehearsal:
                settle_exam(session, shelf, exam, person_id, deed.reason, deed.now, by=deed.author.actor, via=deed.author.via)
                continue
            step = certificate.foresee(session, person_id, source_of(exam), deserved(session, shelf, exam, person_id))
            before = step.before.number if step.before is not None and step.before.is_valid else ""
            number = {"issue": NEW, "replace": NEW, "revoke": ""}.get(step.act, before)
            foreseen |= {one.sitting_id: number for one in done if one.person_id == person_id}
        return foreseen


SUBJECTS["exam"] = OfExam


def _late(session: Session, shelf: Shelf, exam: Exam, attempt: Attempt, now: datetime) -> None:
    """A paper that is closed after a correction, as after a reopening, is marked by it too; its result was not told before."""
    for sitting_id in mark_late(session, shelf, OfExam(session, HOUSE, exam.id), now):
        service.settle(session, shelf, exam, sitting_id, now)


# Before all others: what follows from a result follows from the right one.
service.ON_CLOSED.insert(0, _late)
