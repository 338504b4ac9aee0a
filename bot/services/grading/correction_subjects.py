"""An exam as the subject of a correction: results from the marks that count, hours by reversal and new entry, certificates in line with both.

A contest as the subject of a correction: its board is counted again from the marks that count; hours are for taking part and stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from sqlmodel import Session

from bot.domain.campaign.campaign import SYSTEM, Author
from bot.domain.exam.exam import Attempt, Exam
from bot.domain.grading.correction import places_of
from bot.domain.message import Refusal
from bot.services.certificate import certificates as certificate_certificates
from bot.services.certificate.exam_certificates import deserved, settle_exam, source_of
from bot.services.contest import leaderboard, live_results
from bot.services.contest import manage as contest_manage
from bot.services.exam import finish, manage
from bot.services.grading.correction_subject import CorrectionAct, CorrectionSubject, PaperStanding
from bot.services.grading.corrections import mark_late
from bot.services.hours import credit
from bot.services.library.catalog import Catalog
from bot.storage.contest import contests, live_state
from bot.storage.exam import attempts, exams
from bot.storage.grading import corrected_papers

HOUSE = Author(SYSTEM, SYSTEM)
NEW = "新编号"
"""What a rehearsal says of a certificate that would be issued."""


class ExamSubject(CorrectionSubject):
    scope = "exam"
    papers = "SELECT t.sitting_id FROM attempt t WHERE t.exam_id = :ref AND t.state = 'closed'"

    def __init__(self, session: Session, author: Author, ref: int) -> None:
        found = manage.own(session, author, ref)
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

    def standings(self, session: Session) -> dict[int, PaperStanding]:
        exam = self._exam(session)
        closed = [one for one in attempts.of_exam(session, self.ref) if one.state == "closed"]
        best: dict[int, int] = {}
        for one in closed:
            best[one.person_id] = max(best.get(one.person_id, 0), one.score or 0)
        places = places_of(best)
        seconds = corrected_papers.exam_seconds(session, exam.root)
        certificates = corrected_papers.exam_certificates(session, exam.root)
        return {
            one.sitting_id: PaperStanding(
                one.person_id,
                one.score or 0,
                places[one.person_id],
                one.passed,
                seconds.get(one.person_id, 0),
                certificates.get(one.person_id, ""),
            )
            for one in closed
        }

    def redo(self, session: Session, catalog: Catalog, sittings: Collection[int], deed: CorrectionAct) -> Mapping[int, str]:
        exam = self._exam(session)
        done = [finish.settle(session, catalog, exam, sitting, deed.now) for sitting in sorted(sittings)]
        passed = corrected_papers.passed_exam(session, exam.root)
        for person_id in {one.person_id for one in done} - passed:
            # A short answer that still waits for its mark has not failed anybody yet.
            if any(one.passed is False for one in done if one.person_id == person_id):
                credit.lose_exam(session, person_id, exam.root, deed.now, deed.author.actor)
        return self._certify(session, catalog, exam, done, deed)

    def _certify(self, session: Session, catalog: Catalog, exam: Exam, done: Collection[Attempt], deed: CorrectionAct) -> Mapping[int, str]:
        """Certificates in line with marks and hours; what a rehearsal only foresees, because a number that was given out is never given again."""
        foreseen: dict[int, str] = {}
        for person_id in sorted({one.person_id for one in done}):
            if not deed.rehearsal:
                settle_exam(session, catalog, exam, person_id, deed.reason, deed.now, by=deed.author.actor, via=deed.author.via)
                continue
            step = certificate_certificates.foresee(session, person_id, source_of(exam), deserved(session, catalog, exam, person_id))
            before = step.before.number if step.before is not None and step.before.is_valid else ""
            number = {"issue": NEW, "replace": NEW, "revoke": ""}.get(step.act, before)
            foreseen |= {one.sitting_id: number for one in done if one.person_id == person_id}
        return foreseen


def mark_late_paper(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, now: datetime) -> None:
    """A paper that is closed after a correction, as after a reopening, is marked by it too; its result was not told before."""
    for sitting_id in mark_late(session, catalog, ExamSubject(session, HOUSE, exam.id), now):
        finish.settle(session, catalog, exam, sitting_id, now)


class ContestSubject(CorrectionSubject):
    scope = "contest"
    papers = """SELECT c.sitting_id FROM contest_set c WHERE c.contest_id = :ref
                UNION SELECT s.id FROM sitting s WHERE s.kind = 'live' AND s.scope = CAST(:ref AS TEXT)"""

    def __init__(self, session: Session, author: Author, ref: int) -> None:
        found = contest_manage.require_contest(session, author, ref)
        self.ref, self.name = ref, found.name

    def hold(self, session: Session) -> None:
        found = contests.lock(session, self.ref)
        if found is None or found.state != "closed":
            raise Refusal(f"竞赛「{self.name}」还没有结束，结束后再更正；现场竞赛进行中请由主持人作废这道题。")

    def freeze(self, session: Session, now: datetime | None) -> None:
        """A closed contest's board is frozen already; it is counted again while its row is held."""

    def is_told(self, session: Session) -> bool:
        return True

    def standings(self, session: Session) -> dict[int, PaperStanding]:
        return {
            sitting: PaperStanding(person, points, place) for person, sitting, points, place in corrected_papers.contest_standings(session, self.ref)
        }

    def keys(self, standings: Mapping[int, PaperStanding], touched: Mapping[int, int]) -> set[int]:
        return {sitting for sitting, one in standings.items() if one.person_id in touched.values()}

    def redo(self, session: Session, catalog: Catalog, sittings: Collection[int], deed: CorrectionAct) -> Mapping[int, str]:
        if (of := live_state.lock(session, self.ref)) is not None:
            live_results.save_results(session, of)
        leaderboard.recount(session, self.ref, deed.now)
        return {}
