"""Confirmation of the provisional grade of a short answer, and the new exam result that follows from it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.services.exam import finish
from bot.services.library.catalog import Catalog
from bot.services.study import mistakes
from bot.storage.exam import attempts, exams
from bot.storage.grading import short_answers
from bot.storage.system import audit


def confirm(session: Session, catalog: Catalog, answer_id: int, earned: int, verdict: str, by: tuple[int, str], via: str, now: datetime) -> None:
    """Confirm a provisional grade; `earned` in thousandths, `verdict` as it was typed, `by` (person, staff number). Raises `Refusal` (未记录).

    An attempt at an exam is worked out again with it: score, pass, hours and whatever hangs on `finish.ON_CLOSED`.
    """
    person_id, staff_no = by
    if short_answers.is_own_answer(session, answer_id, person_id):
        raise Refusal("未记录：不能确认自己的作答，请由另一位管理员确认。")
    answered = short_answers.find_gradable(session, answer_id, person_id, day_of(now))
    if answered is None:
        raise Refusal(f"没有编号为 {answer_id} 的待确认作答。发送「阅卷」看列表；考试里的简答题在考试结束后确认。")
    if not short_answers.confirm(session, answer_id, earned, person_id, now):
        raise Refusal(f"编号 {answer_id} 已经确认过，以第一次为准。")
    audit.record(session, now, staff_no, via, "确认简答", f"answer:{answer_id}", detail=verdict)
    _settle_attempt(session, catalog, answered, earned, now)


def _settle_attempt(session: Session, catalog: Catalog, answered: short_answers.WaitingAnswer, earned: int, now: datetime) -> None:
    attempt = attempts.get(session, answered.sitting_id)
    exam = exams.get(session, attempt.exam_id) if attempt is not None else None
    if attempt is None or exam is None or attempt.state != "closed":
        return
    settled_attempt = finish.update_result(session, catalog, exam, attempt.sitting_id, now)
    if earned < 1000 and exam.tells_score:
        mistakes.add_missed(session, answered.person_id, answered.question, now)
    for hook in finish.ON_CLOSED:
        hook(session, catalog, exam, settled_attempt, now)
