"""What follows from what: the one list of the services that act, judge or name when the moment of another one comes.

A service below knows nothing of those above it: it keeps an empty list, and here is what is put into it. The order in a list is the order in
which it is gone through.
"""

from __future__ import annotations

from bot.services.certificate import exam_certificates
from bot.services.contest import duel, live_play, play
from bot.services.exam import attempt, finish, own_exams
from bot.services.grading import correction_subject, correction_subjects
from bot.services.study import current_task, mistakes, quiz


def install() -> None:
    """Fill the lists; a second time changes nothing. Called by every process before its first message, tick or command."""
    # Corrections before certificates: what follows from a result follows from the right one.
    finish.ON_CLOSED[:] = [correction_subjects.mark_late_paper, exam_certificates.award]
    finish.ON_TOLD[:] = [exam_certificates.award]
    finish.ON_CANCELLED[:] = [exam_certificates.take_back]
    correction_subject.SUBJECTS.update({"exam": correction_subjects.ExamSubject, "contest": correction_subjects.ContestSubject})
    mistakes.EXAM_DAYS[:] = [own_exams.day_of_next]
    quiz.GATES.update({duel.KIND: duel.check_in_time, play.KIND: play.check_in_time})
    current_task.UNBEGUN[:] = [duel.waiting_task]
    current_task.NAMES.update(
        {
            "lesson": current_task.name_of_closing_questions,
            "exam": attempt.name_of_sitting,
            "live": live_play.sitting_name,
            play.KIND: play.sitting_name,
        }
    )
