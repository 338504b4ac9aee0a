"""Rows of corrections (proposed, applied or dropped), of the regrades they made and of their effects on people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.domain.grading.correction import Amendment
from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_CORRECTIONS = """SELECT c.id, c.scope, c.ref, c.question, c.version_id, c.way, c.keys, c.reason, c.report_id, c.state, c.proposed_by,
    c.proposed_at, c.decided_by, c.decided_at FROM correction c """
_GET = Statement(_CORRECTIONS + "WHERE c.id = :id")
_PROPOSED = Statement(_CORRECTIONS + "WHERE c.scope = :scope AND c.ref = :ref AND c.version_id = :version_id AND c.state = 'proposed'")
_NEWEST = Statement(
    _CORRECTIONS + "WHERE c.scope = :scope AND c.ref = :ref AND c.version_id = :version_id AND c.state = 'applied' ORDER BY c.id DESC LIMIT 1"
)
_LIST = Statement(_CORRECTIONS + "ORDER BY c.id DESC LIMIT :top")
_APPLIED = Statement(_CORRECTIONS + "WHERE c.scope = :scope AND c.ref = :ref AND c.state = 'applied' ORDER BY c.id")
_PROPOSE = Statement(
    """INSERT INTO correction (scope, ref, question, version_id, way, keys, reason, report_id, state, proposed_by, proposed_at)
       VALUES (:scope, :ref, :question, :version_id, :way, :keys, :reason, :report_id, 'proposed', :by, :at) RETURNING id"""
)
_DECIDE = Statement("UPDATE correction SET state = :state, decided_by = :by, decided_at = :at WHERE id = :id AND state = 'proposed'")
_ADOPT = Statement("UPDATE correction SET proposed_by = :by WHERE id = :id AND proposed_by = :before AND state = 'proposed'")
_ADD_REGRADE = Statement(
    """INSERT INTO remark (correction_id, sitting_id, n, answer_id, earned, counts, marked_at)
       VALUES (:correction_id, :sitting_id, :n, :answer_id, :earned, :counts, :at) ON CONFLICT (correction_id, sitting_id, n) DO NOTHING"""
)
_EFFECTS = """SELECT r.sitting_id, r.person_id, r.score_before, r.score_after, r.place_before, r.place_after, r.passed_before, r.passed_after,
    r.seconds_before, r.seconds_after, r.certificate_before, r.certificate_after FROM ripple r WHERE r.correction_id = :correction_id """
_ADD_EFFECT = Statement(
    """INSERT INTO ripple (correction_id, sitting_id, person_id, score_before, score_after, place_before, place_after, passed_before, passed_after,
                           seconds_before, seconds_after, certificate_before, certificate_after, made_at)
       VALUES (:correction_id, :sitting_id, :person_id, :score_before, :score_after, :place_before, :place_after, :passed_before, :passed_after,
               :seconds_before, :seconds_after, :certificate_before, :certificate_after, :at)
       ON CONFLICT (correction_id, sitting_id) DO NOTHING"""
)
_EFFECTS_OF_CORRECTION = Statement(_EFFECTS + "ORDER BY r.person_id, r.sitting_id")
_EFFECTS_OF_PERSON = Statement(_EFFECTS + "AND r.person_id = :person_id ORDER BY r.sitting_id")
_COUNT_REGRADED = Statement("SELECT COUNT(DISTINCT sitting_id) FROM remark WHERE correction_id = :correction_id")
_COUNT_PROPOSED = Statement("SELECT COUNT(*) FROM correction WHERE scope = :scope AND ref = :ref AND state = 'proposed'")
_PREVIOUS = Statement(
    """SELECT MAX(id) FROM correction WHERE scope = :scope AND ref = :ref AND version_id = :version_id AND state = 'applied' AND id < :id"""
)
_SUBJECT_NAME = {"exam": Statement("SELECT name FROM exam WHERE id = :ref"), "contest": Statement("SELECT name FROM contest WHERE id = :ref")}


@dataclass(frozen=True, slots=True)
class CorrectionRecord:
    """A correction as stored; `ref` is the id of the exam or contest that `scope` names."""

    id: int
    scope: str
    ref: int
    question: str
    version_id: int
    amendment: Amendment
    reason: str
    report_id: int | None
    state: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None


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


def _correction_from_row(row: Any) -> CorrectionRecord:
    correction_id, scope, subject_id, question, version_id, way, keys, reason, report_id, state, proposed_by, proposed_at, decided_by, decided_at = (
        row
    )
    amendment = Amendment(way, tuple(keys.split("\n")) if keys else ())
    decided = None if decided_at is None else moment(decided_at)
    return CorrectionRecord(
        correction_id,
        scope,
        subject_id,
        question,
        version_id,
        amendment,
        reason,
        report_id,
        state,
        proposed_by,
        moment(proposed_at),
        decided_by,
        decided,
    )


def _effect_from_row(row: Any) -> CorrectionEffect:
    sitting_id, person_id, before, after, place_before, place_after, passed_before, passed_after, *credit = row
    passed = [None if flag is None else bool(flag) for flag in (passed_before, passed_after)]
    return CorrectionEffect(
        sitting_id, person_id, before, after, place_before, place_after, passed[0], passed[1], credit[0], credit[1], credit[2], credit[3]
    )


def get(session: Session, correction_id: int) -> CorrectionRecord | None:
    row = _GET.one(session, id=correction_id)
    return None if row is None else _correction_from_row(row)


def find_proposed(session: Session, scope: str, subject_id: int, version_id: int) -> CorrectionRecord | None:
    """The one that waits for a second name."""
    row = _PROPOSED.one(session, scope=scope, ref=subject_id, version_id=version_id)
    return None if row is None else _correction_from_row(row)


def find_applied(session: Session, scope: str, subject_id: int, version_id: int) -> CorrectionRecord | None:
    """The one that holds for a question of an exam."""
    row = _NEWEST.one(session, scope=scope, ref=subject_id, version_id=version_id)
    return None if row is None else _correction_from_row(row)


def list_newest(session: Session, top: int = 20) -> list[CorrectionRecord]:
    """The newest first."""
    return [_correction_from_row(row) for row in _LIST.all(session, top=top)]


def list_applied(session: Session, scope: str, subject_id: int) -> list[CorrectionRecord]:
    """All that were applied to an exam or a contest, in their order."""
    return [_correction_from_row(row) for row in _APPLIED.all(session, scope=scope, ref=subject_id)]


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
    row = _PROPOSE.one(
        session,
        scope=subject[0],
        ref=subject[1],
        question=question,
        version_id=version_id,
        way=amendment.way,
        keys="\n".join(amendment.keys),
        reason=reason,
        report_id=report_id,
        by=by,
        at=stamp(now),
    )
    return int(row[0])


def adopt(session: Session, correction: CorrectionRecord, by: str) -> bool:
    """Put a name to a proposal that nobody had put theirs to; true for the one call that did."""
    return _ADOPT.run(session, id=correction.id, before=correction.proposed_by, by=by) == 1


def decide(session: Session, correction_id: int, state: str, by: str, now: datetime) -> bool:
    """True for the one call that applied or dropped it."""
    return _DECIDE.run(session, id=correction_id, state=state, by=by, at=stamp(now)) == 1


def add_regrades(session: Session, correction_id: int, grades: Iterable[tuple[int, int, int | None, int, bool]], now: datetime) -> None:
    """New grades as (sitting, place, answer, thousandths, counts); one that stands already stays."""
    when = stamp(now)
    names = ("sitting_id", "n", "answer_id", "earned", "counts")
    _ADD_REGRADE.many(
        session, [{"correction_id": correction_id, "at": when} | dict(zip(names, (*grade[:4], int(grade[4])), strict=True)) for grade in grades]
    )


def add_effects(session: Session, correction_id: int, effects: Sequence[CorrectionEffect], now: datetime) -> None:
    """Keep what changed; what is there already stays."""
    when = stamp(now)
    _ADD_EFFECT.many(
        session,
        [
            {
                "correction_id": correction_id,
                "at": when,
                **{name: getattr(effect, name) for name in CorrectionEffect.__slots__ if not name.startswith("passed")},
                "passed_before": None if effect.passed_before is None else int(effect.passed_before),
                "passed_after": None if effect.passed_after is None else int(effect.passed_after),
            }
            for effect in effects
        ],
    )


def list_effects(session: Session, correction_id: int) -> list[CorrectionEffect]:
    return [_effect_from_row(row) for row in _EFFECTS_OF_CORRECTION.all(session, correction_id=correction_id)]


def effects_of(session: Session, correction_id: int, person_id: int) -> list[CorrectionEffect]:
    """What a correction changed for one person, paper by paper."""
    return [_effect_from_row(row) for row in _EFFECTS_OF_PERSON.all(session, correction_id=correction_id, person_id=person_id)]


def count_regraded(session: Session, correction_id: int) -> int:
    """How many papers a correction regraded."""
    return int(_COUNT_REGRADED.one(session, correction_id=correction_id)[0])


def count_proposed(session: Session, scope: str, subject_id: int) -> int:
    """How many proposals wait for a second name."""
    return int(_COUNT_PROPOSED.one(session, scope=scope, ref=subject_id)[0])


def previous_applied(session: Session, correction: CorrectionRecord) -> int | None:
    """The correction of the same question that held before this one."""
    row = _PREVIOUS.one(session, scope=correction.scope, ref=correction.ref, version_id=correction.version_id, id=correction.id)
    return None if row[0] is None else int(row[0])


def list_in_force(session: Session, scope: str, subject_id: int) -> list[CorrectionRecord]:
    """Of every corrected question the correction that holds."""
    return list({correction.version_id: correction for correction in list_applied(session, scope, subject_id)}.values())


def subject_name(session: Session, scope: str, subject_id: int) -> str:
    """What an exam or a contest is called."""
    row = _SUBJECT_NAME[scope].one(session, ref=subject_id)
    return "" if row is None else str(row[0])
