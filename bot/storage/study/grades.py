"""The grade that counts: for every place of a paper the recorded answer, a grader's confirmation of it, and the newest correction over both.

Whoever needs a score, a result, a statistic or a certificate reads it here; the answer itself never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from bot.domain.grading.correction import GradedPlace
from bot.storage.db.query import Statement

IS_NEWEST_REMARK = """NOT EXISTS (SELECT 1 FROM remark z WHERE z.sitting_id = m.sitting_id AND z.n = m.n AND z.correction_id > m.correction_id)"""
"""Said of `remark m`: no later correction of the same place."""

SELECT_GRADES = f"""SELECT i.sitting_id, i.n, i.question, i.version_id, i.points, a.id, a.choice,
       COALESCE(m.earned, c.earned, a.earned, 0), COALESCE(m.counts, 1), m.correction_id,
       CASE WHEN m.earned IS NULL AND c.earned IS NULL THEN COALESCE(a.provisional, 0) ELSE 0 END
FROM sitting_item i LEFT JOIN answer a ON a.sitting_id = i.sitting_id AND a.n = i.n LEFT JOIN confirmation c ON c.answer_id = a.id
LEFT JOIN remark m ON m.sitting_id = i.sitting_id AND m.n = i.n AND {IS_NEWEST_REMARK}"""  # noqa: S608
"""The columns of `CountingGrade`, one row a place; to be followed by a WHERE on `i`."""

_OF = Statement(f"{SELECT_GRADES} WHERE i.sitting_id = :sitting_id ORDER BY i.n")


@dataclass(frozen=True, slots=True)
class CountingGrade:
    """One place of a paper. `earned` is in thousandths of the item, `points` what the item is worth (thousandths of a point); an answer that is
    not there is None; `waits` is true while a short answer waits for a person; `correction` is the one whose mark this is."""

    sitting_id: int
    n: int
    question: str
    version_id: int
    points: int
    answer_id: int | None
    choice: str | None
    earned: int
    counts: bool
    correction: int | None
    waits: bool

    @property
    def place(self) -> GradedPlace:
        return GradedPlace(self.points, self.earned, self.counts)


def _grade_from_row(row: Any) -> CountingGrade:
    sitting_id, n, question, version_id, points, answer_id, choice, earned, counts, correction, waits = row
    return CountingGrade(sitting_id, n, question, version_id, points, answer_id, choice, earned, bool(counts), correction, bool(waits))


def grades_of_sitting(session: Session, sitting_id: int) -> list[CountingGrade]:
    """Every place of a paper in order, answered or not, with the grade that counts."""
    return [_grade_from_row(row) for row in _OF.all(session, sitting_id=sitting_id)]


def grades_of_sittings(session: Session, sittings: str, **values: Any) -> list[CountingGrade]:
    """The same of many papers. `sittings` is a SELECT of their ids, in our own words, with `values` bound."""
    rows = Statement(f"{SELECT_GRADES} WHERE i.sitting_id IN ({sittings}) ORDER BY i.sitting_id, i.n").all(session, **values)
    return [_grade_from_row(row) for row in rows]
