"""Connects the services: the one list of those that act, judge or name something when an event of another service comes.

A service below knows nothing of those above it: it keeps an empty list, which is filled here. A list is run in its order.
"""

from __future__ import annotations

from bot.services.certificate import certificates
from bot.services.contest import duel, live_play, play
from bot.services.exam import attempt, finish, own_exams
from bot.services.grading import correction_subject, exam_and_contest_subjects
from bot.services.study import current_task, mistakes, quiz


def install() -> None:
    """Fill the lists; a second time changes nothing. Called by every process before its first message, tick or command."""
    # Corrections before certificates: what follows from a result follows from the right one.
    finish.ON_CLOSED[:] = [exam_and_contest_subjects.regrade_late_paper, certificates.award]
    finish.ON_ANNOUNCED[:] = [certificates.award]
    finish.ON_CANCELLED[:] = [certificates.revoke_cancelled]
    correction_subject.SUBJECTS.update({"exam": exam_and_contest_subjects.ExamSubject, "contest": exam_and_contest_subjects.ContestSubject})
    mistakes.EXAM_DAYS[:] = [own_exams.next_exam_goal]
    quiz.ANSWER_GATES.update({duel.KIND: duel.late_answers, play.KIND: play.late_answers})
    current_task.WAITING_SOURCES[:] = [duel.waiting_task]
    current_task.SITTING_NAMERS.update(
        {
            "lesson": current_task.name_closing_questions,
            "exam": attempt.sitting_name,
            "live": live_play.sitting_name,
            play.KIND: play.sitting_name,
        }
    )
