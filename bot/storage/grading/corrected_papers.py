"""Papers, standings and people that a correction concerns.

`papers` is always SQL of our own: a SELECT of sitting ids with `:ref` bound (`CorrectionSubject.papers` in bot/services/grading).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlmodel import Session

from bot.storage.db.query import Statement

_VERSIONS = "SELECT DISTINCT i.version_id FROM sitting_item i WHERE i.question = :question AND i.sitting_id IN ({papers}) ORDER BY i.version_id"
_UNGRADED = """SELECT i.sitting_id, i.n, s.person_id, a.id, a.choice FROM sitting_item i JOIN sitting s ON s.id = i.sitting_id
    LEFT JOIN answer a ON a.sitting_id = i.sitting_id AND a.n = i.n
    WHERE i.version_id = :version_id AND s.state <> 'open' AND i.sitting_id IN ({papers})
      AND NOT EXISTS (SELECT 1 FROM remark m WHERE m.correction_id = :correction_id AND m.sitting_id = i.sitting_id AND m.n = i.n)
    ORDER BY i.sitting_id, i.n"""
_CONTEST = Statement(
    """SELECT p.person_id, MIN(x.sitting_id), p.points, p.place FROM participation p
       JOIN (SELECT person_id, sitting_id FROM contest_set WHERE contest_id = :ref
             UNION ALL SELECT person_id, id FROM sitting WHERE kind = 'live' AND scope = CAST(:ref AS TEXT)) x ON x.person_id = p.person_id
       WHERE p.contest_id = :ref GROUP BY p.person_id, p.points, p.place ORDER BY p.person_id"""
)
_EXAM_SECONDS = Statement(
    """SELECT person_id, CAST(SUM(credit_seconds) AS BIGINT) FROM ledger
       WHERE person_id IN (SELECT person_id FROM attempt WHERE exam_id IN (SELECT id FROM exam WHERE id = :root OR makeup_of = :root))
         AND source_kind IN ('exam', 'makeup') AND (source_id = :source OR source_id LIKE :again) GROUP BY person_id"""
)
_CERTIFICATES = Statement("SELECT person_id, number FROM certificate WHERE source_kind = 'exam' AND source_id = :source AND state = 'valid'")
_PASSED = Statement(
    """SELECT t.person_id FROM attempt t
       WHERE t.exam_id IN (SELECT id FROM exam WHERE (id = :root OR makeup_of = :root) AND state <> 'cancelled') AND t.passed = 1
       UNION SELECT r.person_id FROM outside_result r JOIN outside_exam o ON o.id = r.outside_id WHERE o.exam_id = :root AND r.passed = 1"""
)
_REPORTED = Statement(
    """SELECT r.version_id, v.question, t.exam_id, c.contest_id FROM report r JOIN question_version v ON v.id = r.version_id
       LEFT JOIN answer a ON a.id = r.answer_id LEFT JOIN attempt t ON t.sitting_id = a.sitting_id
       LEFT JOIN contest_set c ON c.sitting_id = a.sitting_id WHERE r.id = :id"""
)
_USES = Statement(
    """SELECT 'exam', t.exam_id FROM sitting_item i JOIN attempt t ON t.sitting_id = i.sitting_id WHERE i.version_id = :version_id
       UNION SELECT 'contest', c.contest_id FROM sitting_item i JOIN contest_set c ON c.sitting_id = i.sitting_id WHERE i.version_id = :version_id
       ORDER BY 1 DESC, 2"""
)
_BY_STAFF_NO = Statement("SELECT id FROM person WHERE staff_no = :staff_no")
_NAMES = "SELECT id, staff_no, name FROM person WHERE id IN ({ids})"
NAMES_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class ReportedQuestion:
    """The question of a report in its version, and the exams and contests, as (scope, id), that had it."""

    version_id: int
    question: str
    uses: tuple[tuple[str, int], ...]


def version_ids(session: Session, papers: str, subject_id: int, question: str) -> list[int]:
    """The versions of a question in some papers."""
    return [row[0] for row in Statement(_VERSIONS.format(papers=papers)).all(session, question=question, ref=subject_id)]


def ungraded_places(
    session: Session, papers: str, subject_id: int, version_id: int, correction_id: int
) -> list[tuple[int, int, int, int | None, str | None]]:
    """(sitting, place, person, answer, choice) of every place of a version, in papers that are over, that a correction has not graded yet."""
    rows = Statement(_UNGRADED.format(papers=papers)).all(session, version_id=version_id, ref=subject_id, correction_id=correction_id)
    return [tuple(row) for row in rows]


def contest_standings(session: Session, contest_id: int) -> list[tuple[int, int, int, int | None]]:
    """(person, first sitting, points, place) of everybody who began a set, or was in the room of a live one."""
    return [tuple(row) for row in _CONTEST.all(session, ref=contest_id)]


def exam_credit_seconds(session: Session, root: int) -> dict[int, int]:
    """Credit seconds that stand for an exam, make-ups included, by person who sat it: a reversal names the same source and takes away."""
    return {row[0]: int(row[1]) for row in _EXAM_SECONDS.all(session, root=root, source=str(root), again=f"{root}#%")}


def exam_certificates(session: Session, root: int) -> dict[int, str]:
    """The number of the certificate that holds for an exam, by person."""
    return {row[0]: row[1] for row in _CERTIFICATES.all(session, source=str(root))}


def people_passed(session: Session, root: int) -> set[int]:
    """Who has passed an exam in any way that counts: in it, in its make-up, on another platform; what was cancelled counts for nothing."""
    return {row[0] for row in _PASSED.all(session, root=root)}


def reported_question(session: Session, report_id: int) -> ReportedQuestion | None:
    """What a reader's report is about; where it was answered in an exam or a contest, that one only."""
    row = _REPORTED.one(session, id=report_id)
    if row is None:
        return None
    version_id, question, exam_id, contest_id = row
    if exam_id is not None or contest_id is not None:
        uses: tuple[tuple[str, int], ...] = (("exam", exam_id) if exam_id is not None else ("contest", contest_id),)
    else:
        uses = tuple((scope, subject_id) for scope, subject_id in _USES.all(session, version_id=version_id))
    return ReportedQuestion(version_id, question, uses)


# ── People ──


def person_of_staff_no(session: Session, staff_no: str) -> int | None:
    row = _BY_STAFF_NO.one(session, staff_no=staff_no)
    return None if row is None else int(row[0])


def names_of(session: Session, people: Iterable[int]) -> dict[int, tuple[str, str]]:
    """(staff number, name) by id."""
    wanted = sorted(set(people))
    names: dict[int, tuple[str, str]] = {}
    for start in range(0, len(wanted), NAMES_PER_QUERY):
        ids = ", ".join(str(int(person_id)) for person_id in wanted[start : start + NAMES_PER_QUERY])
        names |= {row[0]: (row[1], row[2]) for row in Statement(_NAMES.format(ids=ids)).all(session)}
    return names
