"""Issuing, revoking, replacing and looking up certificates.

Whatever asks for a certificate names its source, such as ("exam", its id), and gets one valid certificate per person and source: `issue` may be
called repeatedly. A correction that changes results calls `plan_change` for its dry run and `apply_change` for the change, and one that has written
new marks and hours of an exam `update_certificate` for each person; `bot/services/hooks.py` registers `award` and `revoke_cancelled` with the exam's
hooks.
"""

from __future__ import annotations

import dataclasses
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from bot.domain.certificate import (
    STATE_LABELS,
    CertificateBody,
    CertificateFacts,
    certificate_number,
    compose_body,
    mask_name,
    new_code,
    parse_number,
    states_same_achievement,
)
from bot.domain.exam.blueprint import exact_points_text
from bot.domain.exam.exam import Attempt, Exam
from bot.domain.hours.policy import hours_text, shown_hours
from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.logs import get_logger
from bot.services.hours import credit
from bot.services.library.catalog import Catalog
from bot.storage import certificate
from bot.storage.certificate import IssuedCertificate
from bot.storage.exam import attempts, exams
from bot.storage.people import roster
from bot.storage.system import audit

log = get_logger(__name__)

SYSTEM = "system"
DECISION, CORRECTION = "decision", "correction"
MAX_REASON_LENGTH = 200
MAX_UNIT_LENGTH = 60
"""A longer path is given by its last part."""

Source = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CertificateChange:
    """What `apply_change` does for one person: `act` is none, issue, revoke or replace; `before` the certificate there was, `after` the one there is.

    In a dry run `after` stays None where a certificate would be issued.
    """

    act: str
    before: IssuedCertificate | None = None
    after: IssuedCertificate | None = None


def build_facts(
    session: Session, person_id: int, kind: str, title: str, day: date, *, result: str = "", hours: str = "", name: str = "", issuer: str = ""
) -> CertificateFacts:
    """What a certificate of a person would state: the name and the unit of that day from the roll, the head of the tree as issuer unless named."""
    path = next(iter(roster.unit_paths_of(session, person_id, day)), "")
    root, _, below_root = path.partition("/")
    unit = below_root if len(below_root) <= MAX_UNIT_LENGTH else below_root.rpartition("/")[2]
    return CertificateFacts(
        kind,
        name or roster.name_of(session, person_id),
        unit or root,
        title,
        day,
        result,
        hours,
        issuer or root or roster.root_unit_name(session),
    )


def issue(
    session: Session, person_id: int, source: Source, facts: CertificateFacts, now: datetime, *, by: str = SYSTEM, via: str = SYSTEM
) -> IssuedCertificate:
    """The certificate of a source: issued now, or the one that was issued before, whether it still holds or not.

    One that was taken back does not come again by asking again: that takes `replace`. Raises `Refusal` for what does not fit on the paper.
    """
    return certificate.latest(session, person_id, source) or _add(session, person_id, source, compose_body(facts, day_of(now)), now, by, via)


@dataclass(frozen=True, slots=True)
class WantedCertificate:
    """A certificate to be issued; `staff_no` is for the report."""

    staff_no: str
    person_id: int
    source: Source
    facts: CertificateFacts


def issue_many(
    session: Session, wanted: Sequence[WantedCertificate], now: datetime, *, by: str, via: str, apply: bool
) -> list[tuple[str, CertificateChange]]:
    """Issue many: staff number and what was done, or would be with `apply`. Whoever ever had one of the source gets no second."""
    steps = []
    for item in wanted:
        existing = certificate.latest(session, item.person_id, item.source)
        if existing is not None:
            steps.append((item.staff_no, CertificateChange("none", existing, existing)))
        else:
            issued = issue(session, item.person_id, item.source, item.facts, now, by=by, via=via) if apply else None
            steps.append((item.staff_no, CertificateChange("issue", None, issued)))
    return steps


def revoke(session: Session, held: IssuedCertificate, reason: str, now: datetime, *, by: str, via: str, cause: str = DECISION) -> IssuedCertificate:
    """Take a certificate back, for everybody to see. Raises `Refusal` without a reason, or where it does not hold any more."""
    if not held.is_valid:
        raise Refusal(f"证书 {held.number} 已是「{STATE_LABELS[held.state]}」，不用再撤销。")
    return _invalidate(session, held, "revoked", cause, reason, now, by, via, "撤销证书")


def replace(
    session: Session, held: IssuedCertificate, facts: CertificateFacts, reason: str, now: datetime, *, by: str, via: str, cause: str = DECISION
) -> IssuedCertificate:
    """A new certificate in the place of one that holds, or that was taken back wrongly; the old number then says so.

    Raises `Refusal` without a reason and for one that was replaced already.
    """
    if held.state == "replaced":
        raise Refusal(f"证书 {held.number} 已换发为 {held.replaced_by}，请对新的编号操作。")
    body = compose_body(facts, day_of(now))
    _invalidate(session, held, "replaced", cause, reason, now, by, via, "换发证书")
    return _add(session, held.person_id, held.source, body, now, by, via, replaces=held)


def plan_change(session: Session, person_id: int, source: Source, facts: CertificateFacts | None) -> CertificateChange:
    """What `apply_change` would do; writes nothing. `facts` is what the certificate of this source should state now, None when none is deserved."""
    held = certificate.latest(session, person_id, source)
    if held is None:
        return CertificateChange("none" if facts is None else "issue")
    if held.is_valid:
        if facts is None:
            return CertificateChange("revoke", held)
        return CertificateChange("none" if states_same_achievement(held.body.facts, facts) else "replace", held, held)
    # What a person decided stays decided: only a correction takes back what a correction did.
    again = facts is not None and held.state == "revoked" and held.cause == CORRECTION
    return CertificateChange("replace" if again else "none", held)


def apply_change(
    session: Session, person_id: int, source: Source, facts: CertificateFacts | None, reason: str, now: datetime, *, by: str, via: str
) -> CertificateChange:
    """Bring the certificate of a source in line with what is true now: issue it, take it back, or put another in its place.

    A second call changes nothing. The name, unit and issuer of a certificate that is there are left alone: they were right when it was issued.
    """
    step = plan_change(session, person_id, source, facts)
    match step:
        case CertificateChange("issue") if facts is not None:
            return CertificateChange("issue", None, issue(session, person_id, source, facts, now, by=by, via=via))
        case CertificateChange("revoke", IssuedCertificate() as held):
            return CertificateChange("revoke", held, revoke(session, held, reason, now, by=by, via=via, cause=CORRECTION))
        case CertificateChange("replace", IssuedCertificate() as held) if facts is not None:
            return CertificateChange("replace", held, replace(session, held, facts, reason, now, by=by, via=via, cause=CORRECTION))
        case _:
            return step


def require_certificate(session: Session, typed: str) -> IssuedCertificate:
    """The certificate of a number, for staff. Raises `Refusal` for a number that is none or that nobody has."""
    query = parse_number(typed)
    if query is None:
        raise Refusal(f"「{typed[:40]}」不是证书编号，编号形如 XF-2026-000123-K，请核对每一位。")
    held = certificate.by_number(session, query.number)
    if held is None:
        raise Refusal(f"没有编号为 {query.number} 的证书，请核对。")
    return held


@dataclass(frozen=True, slots=True)
class PublicCertificate:
    """What the page may say of a certificate: `held` only to whoever gave the code as well, else the name with its end hidden."""

    number: str
    state: str
    kind: str
    heading: str
    title: str
    issuer: str
    issued_on: date
    name: str
    changed_on: date | None
    replaced_by: str
    held: IssuedCertificate | None = None


def look_up(session: Session, typed: str) -> PublicCertificate | None:
    """What anybody may learn of a number; None when it is none, when nobody has it, or when the code beside it is wrong."""
    query = parse_number(typed)
    held = None if query is None else certificate.by_number(session, query.number)
    if query is None or held is None:
        return None
    with_code = bool(query.code)
    if with_code and not hmac.compare_digest(query.code, held.code):
        return None
    body: CertificateBody = held.body
    return PublicCertificate(
        held.number,
        held.state,
        held.kind,
        body.heading,
        body.facts.title,
        body.facts.issuer,
        body.issued_on,
        body.facts.name if with_code else mask_name(body.facts.name),
        None if held.changed_at is None else day_of(held.changed_at),
        held.replaced_by,
        held if with_code else None,
    )


def _add(
    session: Session,
    person_id: int,
    source: Source,
    body: CertificateBody,
    now: datetime,
    by: str,
    via: str,
    *,
    replaces: IssuedCertificate | None = None,
) -> IssuedCertificate:
    certificate_id = certificate.next_id(session)
    number = certificate_number(body.issued_on.year, certificate_id)
    replaced_id = None if replaces is None else replaces.id
    certificate.add(session, certificate_id, number, new_code(secrets.choice), person_id, source, body, now, by, replaced_id)
    issued = certificate.latest(session, person_id, source)
    assert issued is not None
    if issued.number == number and by != SYSTEM:
        detail = f"{body.heading}：{body.facts.title}" + (f"，换发自 {replaces.number}" if replaces is not None else "")
        audit.record(session, now, by, via, "签发证书", f"{issued.staff_no} {number}", detail=detail)
    return issued


def _invalidate(
    session: Session, held: IssuedCertificate, state: str, cause: str, reason: str, now: datetime, by: str, via: str, action: str
) -> IssuedCertificate:
    clean_reason = reason.strip()
    if not clean_reason:
        raise Refusal(f"请写明{action[:2]}的原因，{held.number} 没有改动。")
    if len(clean_reason) > MAX_REASON_LENGTH:
        raise Refusal(f"原因请不要超过 {MAX_REASON_LENGTH} 个字，{held.number} 没有改动。")
    if not certificate.set_state(session, held, state, cause, clean_reason, now, by):
        raise Refusal(f"证书 {held.number} 刚刚被别人改动过，这次没有改动，请再看一遍。")
    audit.record(session, now, by, via, action, f"{held.staff_no} {held.number}", detail=clean_reason)
    changed = certificate.by_number(session, held.number)
    assert changed is not None
    return changed


# ── Of exams: one per person and exam, for the best attempt, make-up included, issued as soon as the result may be told ──

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
        if dataclasses.replace(member, frozen_at=None).tells_score
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
    """Everybody who deserves a certificate of an exam, for handing them out by hand (`issue_many`)."""
    certificates = []
    for person_id in dict.fromkeys(attempt.person_id for attempt in attempts.of_exam(session, exam.id) if attempt.passed):
        facts = earned_facts(session, catalog, exam, person_id)
        if facts is not None:
            certificates.append(WantedCertificate(roster.staff_no_of(session, person_id), person_id, source_of(exam), facts))
    return certificates


def revoke_cancelled(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, now: datetime) -> None:
    """Revoke the certificate of an exam that was cancelled afterwards, unless another pass earns it."""
    update_certificate(session, catalog, exam, attempt.person_id, CANCELLED_REASON, now, by=SYSTEM, via=SYSTEM)
