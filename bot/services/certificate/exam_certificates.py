"""Certificates of exams: one per person and exam, for the best attempt, make-up included, issued as soon as the result may be told.

`bot/services/hooks.py` registers `award` and `revoke_cancelled` with the exam's hooks; a correction that has written new marks and hours calls
`update_certificate` for each person.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlmodel import Session

from bot.domain.certificate import CertificateFacts
from bot.domain.exam.blueprint import exact_points_text
from bot.domain.exam.exam import Attempt, Exam
from bot.domain.hours.policy import hours_text, shown_hours
from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.logs import get_logger
from bot.services.certificate.certificates import SYSTEM, CertificateChange, Source, WantedCertificate, apply_change, build_facts
from bot.services.hours import credit
from bot.services.library.catalog import Catalog
from bot.storage import certificate
from bot.storage.exam import attempts, exams

log = get_logger(__name__)

BETTER_REASON = "同一考试取得了更好的成绩"
CANCELLED_REASON = "考试已取消"


def source_of(exam: Exam) -> Source:
    """What the certificate of an exam and of its make-up is issued for."""
    return ("exam", str(exam.root))


def facts_of_attempt(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, seconds: int) -> CertificateFacts:
    """What the certificate for a passed attempt states, `seconds` of credit included."""
    day = day_of(min(attempt.closed_at or attempt.deadline, attempt.deadline))
    line, total = exact_points_text(exam.pass_line), exact_points_text(exam.total)
    passed = "补考合格" if exam.makeup_of is not None else "考试合格"
    result = f"成绩 {exact_points_text(attempt.score or 0)} 分（满分 {total} 分，合格线 {line} 分），{passed}"
    earned = hours_text(shown_hours(seconds, catalog.policy.seconds_per_hour(day))) if seconds else ""
    return build_facts(session, attempt.person_id, "exam", exam.name, day, result=result, hours=earned)


def earned_facts(session: Session, catalog: Catalog, exam: Exam, person_id: int) -> CertificateFacts | None:
    """What somebody's certificate of an exam should state by the marks that count now; None when no attempt was passed whose result may be told.

    That results are frozen for a correction takes no certificate away.
    """
    family = [member for member in (exams.get(session, exam.root), _makeup(session, exam.root)) if member is not None]
    passed = [
        (member, attempt)
        for member in family
        if replace(member, frozen_at=None).tells_score
        for attempt in attempts.of_person_at_exam(session, member.id, person_id)
        if attempt.passed
    ]
    if not passed:
        return None
    best_exam, best_attempt = max(passed, key=lambda pair: (pair[1].score or 0, -pair[1].sitting_id))
    return facts_of_attempt(session, catalog, best_exam, best_attempt, credit.exam_seconds(session, person_id, exam.root))


def _makeup(session: Session, exam_id: int) -> Exam | None:
    makeup_id = exams.makeup_id(session, exam_id)
    return None if makeup_id is None else exams.get(session, makeup_id)


def award(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, now: datetime) -> None:
    """Issue the certificate for a passed attempt whose result may be told, or replace it when a later attempt was better."""
    if not attempt.passed or not exam.tells_score:
        return
    try:
        facts = earned_facts(session, catalog, exam, attempt.person_id)
        if facts is not None:
            apply_change(session, attempt.person_id, source_of(exam), facts, BETTER_REASON, now, by=SYSTEM, via=SYSTEM)
    except Refusal as refusal:
        # The end of an exam waits for no paper; `certificate issue --exam` says the same to whoever mends it.
        log.warning("no certificate", exam=exam.id, person=attempt.person_id, reason=str(refusal))


def update_certificate(
    session: Session, catalog: Catalog, exam: Exam, person_id: int, reason: str, now: datetime, *, by: str, via: str
) -> CertificateChange:
    """Bring somebody's certificate of an exam in line with the marks and hours that stand now. A second call changes nothing."""
    return apply_change(session, person_id, source_of(exam), earned_facts(session, catalog, exam, person_id), reason, now, by=by, via=via)


def list_wanted(session: Session, catalog: Catalog, exam: Exam) -> list[WantedCertificate]:
    """Everybody who deserves a certificate of an exam, for handing them out by hand (`certificates.issue_many`)."""
    certificates = []
    for person_id in dict.fromkeys(attempt.person_id for attempt in attempts.of_exam(session, exam.id) if attempt.passed):
        facts = earned_facts(session, catalog, exam, person_id)
        if facts is not None:
            certificates.append(WantedCertificate(certificate.staff_no_of(session, person_id), person_id, source_of(exam), facts))
    return certificates


def revoke_cancelled(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, now: datetime) -> None:
    """Revoke the certificate of an exam that was cancelled afterwards, unless another pass earns it."""
    update_certificate(session, catalog, exam, attempt.person_id, CANCELLED_REASON, now, by=SYSTEM, via=SYSTEM)
