"""Exams and contests as subjects of corrections.

An exam gets its results from the grades that count, its hours by reversal and new entry, and certificates in line with both. A contest gets
its leaderboard counted again; its hours are for taking part and stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from sqlmodel import Session

from bot.domain.campaign.campaign import SYSTEM, Author
from bot.domain.exam.exam import Attempt, Exam
from bot.domain.grading.correction import rank_by_score
from bot.domain.message import Refusal
from bot.services.certificate import certificates as certificate_certificates
from bot.services.certificate.certificates import earned_facts, source_of, update_certificate
from bot.services.contest import closing, live_scoring
from bot.services.contest import manage as contest_manage
from bot.services.exam import finish, manage
from bot.services.grading.correction_subject import CorrectionAct, CorrectionSubject, PaperStanding
from bot.services.grading.corrections import regrade_late_papers
from bot.services.hours import credit
from bot.services.library.catalog import Catalog
from bot.storage.contest import contests, live_state
from bot.storage.exam import attempts, exams
from bot.storage.grading import corrections

SYSTEM_AUTHOR = Author(SYSTEM, SYSTEM)
NEW_NUMBER = "新编号"
"""What a rehearsal says of a certificate that would be issued."""


class ExamSubject(CorrectionSubject):
    scope = "exam"

    def __init__(self, session: Session, author: Author, ref: int) -> None:
        exam = manage.require_exam(session, author, ref)
        self.ref, self.name = ref, exam.name

    def lock(self, session: Session) -> None:
        exam = exams.lock(session, self.ref)
        if exam is None or not exam.is_over:
            raise Refusal(f"考试「{self.name}」还没有结束，有人可能正在答题；结束后再更正。")

    def freeze(self, session: Session, now: datetime | None) -> None:
        exams.set_frozen(session, self.ref, now)

    def is_told(self, session: Session) -> bool:
        return replace(self._exam(session), frozen_at=None).tells_score

    def _exam(self, session: Session) -> Exam:
        exam = exams.get(session, self.ref)
        assert exam is not None
        return exam

    def standings(self, session: Session) -> dict[int, PaperStanding]:
        exam = self._exam(session)
        closed = [attempt for attempt in attempts.of_exam(session, self.ref) if attempt.state == "closed"]
        best: dict[int, int] = {}
        for attempt in closed:
            best[attempt.person_id] = max(best.get(attempt.person_id, 0), attempt.score or 0)
        places = rank_by_score(best)
        seconds = corrections.exam_credit_seconds(session, exam.root)
        certificates = corrections.exam_certificates(session, exam.root)
        return {
            attempt.sitting_id: PaperStanding(
                attempt.person_id,
                attempt.score or 0,
                places[attempt.person_id],
                attempt.passed,
                seconds.get(attempt.person_id, 0),
                certificates.get(attempt.person_id, ""),
            )
            for attempt in closed
        }

    def recompute(self, session: Session, catalog: Catalog, sittings: Collection[int], act: CorrectionAct) -> Mapping[int, str]:
        exam = self._exam(session)
        settled = [finish.update_result(session, catalog, exam, sitting, act.now) for sitting in sorted(sittings)]
        passed = corrections.people_passed(session, exam.root)
        for person_id in {attempt.person_id for attempt in settled} - passed:
            # A short answer that still waits for its grade has not failed anybody yet.
            if any(attempt.passed is False for attempt in settled if attempt.person_id == person_id):
                credit.reverse_exam(session, person_id, exam.root, act.now, act.author.actor)
        return self._certify(session, catalog, exam, settled, act)

    def _certify(self, session: Session, catalog: Catalog, exam: Exam, settled: Collection[Attempt], act: CorrectionAct) -> Mapping[int, str]:
        """Certificates in line with grades and hours; what a rehearsal only foresees, because a number that was given out is never given again."""
        foreseen: dict[int, str] = {}
        for person_id in sorted({attempt.person_id for attempt in settled}):
            if not act.rehearsal:
                update_certificate(session, catalog, exam, person_id, act.reason, act.now, by=act.author.actor, via=act.author.via)
                continue
            step = certificate_certificates.plan_change(session, person_id, source_of(exam), earned_facts(session, catalog, exam, person_id))
            before = step.before.number if step.before is not None and step.before.is_valid else ""
            number = {"issue": NEW_NUMBER, "replace": NEW_NUMBER, "revoke": ""}.get(step.act, before)
            foreseen |= {attempt.sitting_id: number for attempt in settled if attempt.person_id == person_id}
        return foreseen


def regrade_late_paper(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, now: datetime) -> None:
    """A paper that is closed after a correction, as after a reopening, is regraded by it too; its result was not told before."""
    for sitting_id in regrade_late_papers(session, catalog, ExamSubject(session, SYSTEM_AUTHOR, exam.id), now):
        finish.update_result(session, catalog, exam, sitting_id, now)


class ContestSubject(CorrectionSubject):
    scope = "contest"

    def __init__(self, session: Session, author: Author, ref: int) -> None:
        contest = contest_manage.require_contest(session, author, ref)
        self.ref, self.name = ref, contest.name

    def lock(self, session: Session) -> None:
        contest = contests.lock(session, self.ref)
        if contest is None or contest.state != "closed":
            raise Refusal(f"竞赛「{self.name}」还没有结束，结束后再更正；现场竞赛进行中请由主持人作废这道题。")

    def freeze(self, session: Session, now: datetime | None) -> None:
        """A closed contest's board is frozen already; it is counted again while its row is held."""

    def is_told(self, session: Session) -> bool:
        return True

    def standings(self, session: Session) -> dict[int, PaperStanding]:
        return {
            standing.sitting_id: PaperStanding(standing.person_id, standing.points, standing.place)
            for standing in corrections.contest_standings(session, self.ref)
        }

    def affected(self, standings: Mapping[int, PaperStanding], touched: Mapping[int, int]) -> set[int]:
        return {sitting for sitting, standing in standings.items() if standing.person_id in touched.values()}

    def recompute(self, session: Session, catalog: Catalog, sittings: Collection[int], act: CorrectionAct) -> Mapping[int, str]:
        if (live_contest := live_state.lock(session, self.ref)) is not None:
            live_scoring.save_results(session, live_contest)
        closing.recount(session, self.ref, act.now)
        return {}
