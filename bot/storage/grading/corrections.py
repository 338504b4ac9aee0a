"""Rows of corrections (proposed, applied or dropped), of the regrades they made and of their effects; the papers, results and people they concern."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, Text, and_, cast, exists, func, literal, literal_column, or_, select, union, union_all, update
from sqlmodel import Session

from bot.domain.grading.correction import Amendment
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.certificate import CertificateRow
from bot.storage.tables.contest import ContestRow, ContestSetRow, ParticipationRow
from bot.storage.tables.exam import AttemptRow, ExamRow
from bot.storage.tables.grading import CorrectionEffectRow, CorrectionRow, OutsideExamRow, OutsideResultRow, RegradeRow, ReportRow
from bot.storage.tables.hours import EntryRow
from bot.storage.tables.library import QuestionVersionRow
from bot.storage.tables.people import PersonRow
from bot.storage.tables.study import AnswerRow, SittingItemRow, SittingRow

_CORRECTION, _REGRADE, _EFFECT, _REPORT = (table(row) for row in (CorrectionRow, RegradeRow, CorrectionEffectRow, ReportRow))
_ANSWER, _ITEM, _SITTING, _VERSION = (table(row) for row in (AnswerRow, SittingItemRow, SittingRow, QuestionVersionRow))
_EXAM, _ATTEMPT, _OUTSIDE_EXAM, _OUTSIDE_RESULT = (table(row) for row in (ExamRow, AttemptRow, OutsideExamRow, OutsideResultRow))
_CONTEST, _SET, _PARTICIPATION = (table(row) for row in (ContestRow, ContestSetRow, ParticipationRow))
_ENTRY, _CERTIFICATE, _PERSON = (table(row) for row in (EntryRow, CertificateRow, PersonRow))


@dataclass(frozen=True, slots=True)
class CorrectionRecord:
    """A correction as stored; `ref` is the id of the exam or contest that `scope` names."""

    id: int
    scope: str
    ref: int
    question: str
    version_id: int
    way: str
    keys: str
    reason: str
    report_id: int | None
    state: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None

    @property
    def amendment(self) -> Amendment:
        return Amendment(self.way, tuple(self.keys.split("\n")) if self.keys else ())


@dataclass(frozen=True, slots=True)
class CorrectionEffect:
    """What a correction changes for one paper, before and after: score (thousandths of a point), place among all, pass, credit in seconds and
    certificate of the exam. What does not apply is None, or empty."""

    sitting_id: int
    person_id: int
    score_before: int
    score_after: int
    place_before: int | None
    place_after: int | None
    passed_before: bool | None
    passed_after: bool | None
    seconds_before: int
    seconds_after: int
    certificate_before: str
    certificate_after: str

    @property
    def changes(self) -> bool:
        """Whether the person has anything to be told: a place that others moved is nothing of theirs."""
        return (self.score_before, self.passed_before, self.seconds_before, self.certificate_before) != (
            self.score_after,
            self.passed_after,
            self.seconds_after,
            self.certificate_after,
        )


# ── Corrections ──

_SELECT = select(*columns(_CORRECTION, CorrectionRecord))
_OF_SUBJECT = and_(_CORRECTION.c.scope == bind("scope"), _CORRECTION.c.ref == bind("ref"))
_OF_VERSION = and_(_OF_SUBJECT, _CORRECTION.c.version_id == bind("version_id"))
_IS_PROPOSED, _IS_APPLIED = _CORRECTION.c.state == "proposed", _CORRECTION.c.state == "applied"
_GET = Query(_SELECT.where(_CORRECTION.c.id == bind("id")), gives=CorrectionRecord)
_PROPOSED = Query(_SELECT.where(_OF_VERSION, _IS_PROPOSED), gives=CorrectionRecord)
_NEWEST = Query(_SELECT.where(_OF_VERSION, _IS_APPLIED).order_by(_CORRECTION.c.id.desc()).limit(1), gives=CorrectionRecord)
_LIST = Query(_SELECT.order_by(_CORRECTION.c.id.desc()).limit(bind("top")), gives=CorrectionRecord)
_APPLIED = Query(_SELECT.where(_OF_SUBJECT, _IS_APPLIED).order_by(_CORRECTION.c.id), gives=CorrectionRecord)
_PROPOSE = Query(
    insert(_CORRECTION)
    .values(
        binds("scope", "ref", "question", "version_id", "way", "keys", "reason", "report_id", "proposed_by", "proposed_at") | {"state": "proposed"}
    )
    .returning(_CORRECTION.c.id),
    gives=int,
)
_DECIDE = Query(update(_CORRECTION).values(binds("state", "decided_by", "decided_at")).where(_CORRECTION.c.id == bind("id"), _IS_PROPOSED))
_ADOPT = Query(
    update(_CORRECTION).values(binds("proposed_by")).where(_CORRECTION.c.id == bind("id"), _CORRECTION.c.proposed_by == bind("before"), _IS_PROPOSED)
)
_COUNT_PROPOSED = Query(select(func.count()).where(_OF_SUBJECT, _IS_PROPOSED), gives=int)
_PREVIOUS = Query(select(func.max(_CORRECTION.c.id)).where(_OF_VERSION, _IS_APPLIED, _CORRECTION.c.id < bind("id")), gives=int)
_SUBJECT_NAME = {
    "exam": Query(select(_EXAM.c.name).where(_EXAM.c.id == bind("ref")), gives=str),
    "contest": Query(select(_CONTEST.c.name).where(_CONTEST.c.id == bind("ref")), gives=str),
}


def get(session: Session, correction_id: int) -> CorrectionRecord | None:
    return _GET.first(session, id=correction_id)


def find_proposed(session: Session, scope: str, subject_id: int, version_id: int) -> CorrectionRecord | None:
    """The one that waits for a second name."""
    return _PROPOSED.first(session, scope=scope, ref=subject_id, version_id=version_id)


def find_applied(session: Session, scope: str, subject_id: int, version_id: int) -> CorrectionRecord | None:
    """The one that holds for a question of an exam."""
    return _NEWEST.first(session, scope=scope, ref=subject_id, version_id=version_id)


def list_newest(session: Session, top: int = 20) -> list[CorrectionRecord]:
    """The newest first."""
    return _LIST.all(session, top=top)


def list_applied(session: Session, scope: str, subject_id: int) -> list[CorrectionRecord]:
    """All that were applied to an exam or a contest, in their order."""
    return _APPLIED.all(session, scope=scope, ref=subject_id)


def list_in_force(session: Session, scope: str, subject_id: int) -> list[CorrectionRecord]:
    """Of every corrected question the correction that holds."""
    return list({correction.version_id: correction for correction in list_applied(session, scope, subject_id)}.values())


def propose(
    session: Session,
    subject: tuple[str, int],
    question: str,
    version_id: int,
    amendment: Amendment,
    reason: str,
    report_id: int | None,
    by: str,
    now: datetime,
) -> int:
    return _PROPOSE.one(
        session,
        scope=subject[0],
        ref=subject[1],
        question=question,
        version_id=version_id,
        way=amendment.way,
        keys="\n".join(amendment.keys),
        reason=reason,
        report_id=report_id,
        proposed_by=by,
        proposed_at=now,
    )


def adopt(session: Session, correction: CorrectionRecord, by: str) -> bool:
    """Put a name to a proposal that nobody had put theirs to; true for the one call that did."""
    return _ADOPT.run(session, id=correction.id, before=correction.proposed_by, proposed_by=by) == 1


def decide(session: Session, correction_id: int, state: str, by: str, now: datetime) -> bool:
    """True for the one call that applied or dropped it."""
    return _DECIDE.run(session, id=correction_id, state=state, decided_by=by, decided_at=now) == 1


def count_proposed(session: Session, scope: str, subject_id: int) -> int:
    """How many proposals wait for a second name."""
    return _COUNT_PROPOSED.one(session, scope=scope, ref=subject_id)


def previous_applied(session: Session, correction: CorrectionRecord) -> int | None:
    """The correction of the same question that held before this one."""
    return _PREVIOUS.first(session, scope=correction.scope, ref=correction.ref, version_id=correction.version_id, id=correction.id)


def subject_name(session: Session, scope: str, subject_id: int) -> str:
    """What an exam or a contest is called."""
    return _SUBJECT_NAME[scope].first(session, ref=subject_id) or ""


# ── Regrades and effects ──

_ADD_REGRADE = Query(
    insert(_REGRADE)
    .values(binds("correction_id", "sitting_id", "n", "answer_id", "earned", "counts", "marked_at"))
    .on_conflict_do_nothing(index_elements=["correction_id", "sitting_id", "n"])
)
_ADD_EFFECT = Query(
    insert(_EFFECT)
    .values(binds("correction_id", "made_at", *CorrectionEffect.__slots__))
    .on_conflict_do_nothing(index_elements=["correction_id", "sitting_id"])
)
_EFFECTS = select(*columns(_EFFECT, CorrectionEffect)).where(_EFFECT.c.correction_id == bind("correction_id"))
_EFFECTS_OF_CORRECTION = Query(_EFFECTS.order_by(_EFFECT.c.person_id, _EFFECT.c.sitting_id), gives=CorrectionEffect)
_EFFECTS_OF_PERSON = Query(_EFFECTS.where(_EFFECT.c.person_id == bind("person_id")).order_by(_EFFECT.c.sitting_id), gives=CorrectionEffect)
_COUNT_REGRADED = Query(select(func.count(_REGRADE.c.sitting_id.distinct())).where(_REGRADE.c.correction_id == bind("correction_id")), gives=int)


def add_regrades(session: Session, correction_id: int, grades: Iterable[tuple[int, int, int | None, int, bool]], now: datetime) -> None:
    """New grades as (sitting, place, answer, thousandths, counts); one that stands already stays."""
    names = ("sitting_id", "n", "answer_id", "earned", "counts")
    _ADD_REGRADE.many(session, [{"correction_id": correction_id, "marked_at": now, **dict(zip(names, grade, strict=True))} for grade in grades])


def add_effects(session: Session, correction_id: int, effects: Sequence[CorrectionEffect], now: datetime) -> None:
    """Keep what changed; what is there already stays."""
    _ADD_EFFECT.many(
        session,
        [
            {"correction_id": correction_id, "made_at": now, **{name: getattr(effect, name) for name in CorrectionEffect.__slots__}}
            for effect in effects
        ],
    )


def list_effects(session: Session, correction_id: int) -> list[CorrectionEffect]:
    return _EFFECTS_OF_CORRECTION.all(session, correction_id=correction_id)


def effects_of(session: Session, correction_id: int, person_id: int) -> list[CorrectionEffect]:
    """What a correction changed for one person, paper by paper."""
    return _EFFECTS_OF_PERSON.all(session, correction_id=correction_id, person_id=person_id)


def count_regraded(session: Session, correction_id: int) -> int:
    """How many papers a correction regraded."""
    return _COUNT_REGRADED.one(session, correction_id=correction_id)


# ── Papers, standings and people that a correction concerns ──


@dataclass(frozen=True, slots=True)
class UngradedPlace:
    """A place of a paper that is over and that a correction has not graded yet; without an answer where it was left blank."""

    sitting_id: int
    n: int
    person_id: int
    answer_id: int | None
    choice: str | None


@dataclass(frozen=True, slots=True)
class PlacedParticipant:
    """How somebody stands in a contest; `sitting_id` is their first, points in thousandths."""

    person_id: int
    sitting_id: int
    points: int
    place: int | None


@dataclass(frozen=True, slots=True)
class ReportedQuestion:
    """The question of a report in its version, and the exams and contests, as (scope, id), that had it."""

    version_id: int
    question: str
    uses: tuple[tuple[str, int], ...]


_LIVE_SITTING = and_(_SITTING.c.kind == "live", _SITTING.c.scope == cast(bind("ref", Integer), Text))
_PAPERS = {
    "exam": select(_ATTEMPT.c.sitting_id).where(_ATTEMPT.c.exam_id == bind("ref"), _ATTEMPT.c.state == "closed"),
    "contest": union(select(_SET.c.sitting_id).where(_SET.c.contest_id == bind("ref")), select(_SITTING.c.id).where(_LIVE_SITTING)),
}
"""The sittings whose places are graded anew, by scope."""
_VERSIONS = {
    scope: Query(
        select(_ITEM.c.version_id)
        .distinct()
        .where(_ITEM.c.question == bind("question"), _ITEM.c.sitting_id.in_(papers))
        .order_by(_ITEM.c.version_id),
        gives=int,
    )
    for scope, papers in _PAPERS.items()
}
_HAS_REGRADE = exists(
    select(_REGRADE.c.n).where(
        _REGRADE.c.correction_id == bind("correction_id"), _REGRADE.c.sitting_id == _ITEM.c.sitting_id, _REGRADE.c.n == _ITEM.c.n
    )
)
_UNGRADED = {
    scope: Query(
        select(*columns(_ITEM, UngradedPlace, person_id=_SITTING.c.person_id, answer_id=_ANSWER.c.id, choice=_ANSWER.c.choice))
        .join_from(_ITEM, _SITTING, _SITTING.c.id == _ITEM.c.sitting_id)
        .outerjoin(_ANSWER, and_(_ANSWER.c.sitting_id == _ITEM.c.sitting_id, _ANSWER.c.n == _ITEM.c.n))
        .where(_ITEM.c.version_id == bind("version_id"), _SITTING.c.state != "open", _ITEM.c.sitting_id.in_(papers), ~_HAS_REGRADE)
        .order_by(_ITEM.c.sitting_id, _ITEM.c.n),
        gives=UngradedPlace,
    )
    for scope, papers in _PAPERS.items()
}
_CONTEST_SITTINGS = union_all(
    select(_SET.c.person_id, _SET.c.sitting_id).where(_SET.c.contest_id == bind("ref")),
    select(_SITTING.c.person_id, _SITTING.c.id).where(_LIVE_SITTING),
).subquery("contest_sittings")
_CONTEST_STANDINGS = Query(
    select(*columns(_PARTICIPATION, PlacedParticipant, sitting_id=func.min(_CONTEST_SITTINGS.c.sitting_id)))
    .join_from(_PARTICIPATION, _CONTEST_SITTINGS, _CONTEST_SITTINGS.c.person_id == _PARTICIPATION.c.person_id)
    .where(_PARTICIPATION.c.contest_id == bind("ref"))
    .group_by(_PARTICIPATION.c.person_id, _PARTICIPATION.c.points, _PARTICIPATION.c.place)
    .order_by(_PARTICIPATION.c.person_id),
    gives=PlacedParticipant,
)
_ROOT_OR_MAKEUP = or_(_EXAM.c.id == bind("root"), _EXAM.c.makeup_of == bind("root"))
_EXAM_SECONDS = Query(
    select(_ENTRY.c.person_id, func.sum(_ENTRY.c.credit_seconds))
    .where(
        _ENTRY.c.person_id.in_(select(_ATTEMPT.c.person_id).where(_ATTEMPT.c.exam_id.in_(select(_EXAM.c.id).where(_ROOT_OR_MAKEUP)))),
        _ENTRY.c.source_kind.in_(["exam", "makeup"]),
        or_(_ENTRY.c.source_id == bind("source"), _ENTRY.c.source_id.like(bind("again"))),
    )
    .group_by(_ENTRY.c.person_id),
    gives=tuple[int, int],
)
_CERTIFICATES = Query(
    select(_CERTIFICATE.c.person_id, _CERTIFICATE.c.number).where(
        _CERTIFICATE.c.source_kind == "exam", _CERTIFICATE.c.source_id == bind("source"), _CERTIFICATE.c.state == "valid"
    ),
    gives=tuple[int, str],
)
_PASSED = Query(
    union(
        select(_ATTEMPT.c.person_id).where(
            _ATTEMPT.c.exam_id.in_(select(_EXAM.c.id).where(_ROOT_OR_MAKEUP, _EXAM.c.state != "cancelled")), _ATTEMPT.c.passed == 1
        ),
        select(_OUTSIDE_RESULT.c.person_id)
        .join_from(_OUTSIDE_RESULT, _OUTSIDE_EXAM, _OUTSIDE_EXAM.c.id == _OUTSIDE_RESULT.c.outside_id)
        .where(_OUTSIDE_EXAM.c.exam_id == bind("root"), _OUTSIDE_RESULT.c.passed == 1),
    ),
    gives=int,
)
_REPORTED = Query(
    select(_REPORT.c.version_id, _VERSION.c.question, _ATTEMPT.c.exam_id, _SET.c.contest_id)
    .join_from(_REPORT, _VERSION, _VERSION.c.id == _REPORT.c.version_id)
    .outerjoin(_ANSWER, _ANSWER.c.id == _REPORT.c.answer_id)
    .outerjoin(_ATTEMPT, _ATTEMPT.c.sitting_id == _ANSWER.c.sitting_id)
    .outerjoin(_SET, _SET.c.sitting_id == _ANSWER.c.sitting_id)
    .where(_REPORT.c.id == bind("id")),
    gives=tuple[int, str, int | None, int | None],
)
_USES = Query(
    union(
        *(
            select(literal(scope, Text).label("scope"), subject_id.label("subject_id"))
            .join_from(_ITEM, subject_id.table, subject_id.table.c.sitting_id == _ITEM.c.sitting_id)
            .where(_ITEM.c.version_id == bind("version_id"))
            for scope, subject_id in (("exam", _ATTEMPT.c.exam_id), ("contest", _SET.c.contest_id))
        )
    ).order_by(literal_column("scope").desc(), literal_column("subject_id")),
    gives=tuple[str, int],
)
_BY_STAFF_NO = Query(select(_PERSON.c.id).where(_PERSON.c.staff_no == bind("staff_no")), gives=int)
_NAMES = Query(select(_PERSON.c.id, _PERSON.c.staff_no, _PERSON.c.name).where(_PERSON.c.id.in_(bind("ids"))), gives=tuple[int, str, str])


def version_ids(session: Session, scope: str, subject_id: int, question: str) -> list[int]:
    """The versions of a question in the papers of an exam or a contest."""
    return _VERSIONS[scope].all(session, ref=subject_id, question=question)


def ungraded_places(session: Session, scope: str, subject_id: int, version_id: int, correction_id: int) -> list[UngradedPlace]:
    """Every place of a version, in papers that are over, that a correction has not graded yet."""
    return _UNGRADED[scope].all(session, ref=subject_id, version_id=version_id, correction_id=correction_id)


def contest_standings(session: Session, contest_id: int) -> list[PlacedParticipant]:
    """Everybody who began a set, or was in the room of a live one."""
    return _CONTEST_STANDINGS.all(session, ref=contest_id)


def exam_credit_seconds(session: Session, root: int) -> dict[int, int]:
    """Credit seconds that stand for an exam, make-ups included, by person who sat it: a reversal names the same source and takes away."""
    return dict(_EXAM_SECONDS.all(session, root=root, source=str(root), again=f"{root}#%"))


def exam_certificates(session: Session, root: int) -> dict[int, str]:
    """The number of the certificate that holds for an exam, by person."""
    return dict(_CERTIFICATES.all(session, source=str(root)))


def people_passed(session: Session, root: int) -> set[int]:
    """Who has passed an exam in any way that counts: in it, in its make-up, on another platform; what was cancelled counts for nothing."""
    return set(_PASSED.all(session, root=root))


def reported_question(session: Session, report_id: int) -> ReportedQuestion | None:
    """What a reader's report is about; where it was answered in an exam or a contest, that one only."""
    report = _REPORTED.first(session, id=report_id)
    if report is None:
        return None
    version_id, question, exam_id, contest_id = report
    own_use = [(scope, subject_id) for scope, subject_id in (("exam", exam_id), ("contest", contest_id)) if subject_id is not None]
    return ReportedQuestion(version_id, question, tuple(own_use[:1] or _USES.all(session, version_id=version_id)))


def person_of_staff_no(session: Session, staff_no: str) -> int | None:
    return _BY_STAFF_NO.first(session, staff_no=staff_no)


def names_of(session: Session, people: Collection[int]) -> dict[int, tuple[str, str]]:
    """(staff number, name) by id."""
    return {person_id: (staff_no, name) for person_id, staff_no, name in _NAMES.all(session, ids=sorted(set(people)))}
