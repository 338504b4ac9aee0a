"""Appeals (申诉) against exam results: filed by a person, due within working days, answered once by an administrator (bot/docs/rules.md A17)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlmodel import Session

from bot.domain.calendar import Calendar, UnknownYear
from bot.domain.campaign.campaign import Author
from bot.domain.exam.exam import counting_attempts
from bot.domain.message import Refusal
from bot.domain.times import chinese_day, day_of
from bot.services.campaign.notifications import NOTICE_TITLE, notice_content, notify, send_notice
from bot.storage.exam import attempts, exams
from bot.storage.grading import appeals, corrections
from bot.storage.grading.appeals import ExamAppeal
from bot.storage.people import roster
from bot.storage.system import audit

ANSWER_WITHIN = 5
"""Working days within which an appeal is answered."""
MAX_LENGTH = 500


def due_day(calendar: Calendar, today: date) -> date:
    """The day by which an appeal is answered: so many working days on, or a week where nobody has entered the year."""
    try:
        return calendar.workday_after(today, ANSWER_WITHIN)
    except UnknownYear:
        return today + timedelta(days=7)


def file_appeal(session: Session, calendar: Calendar, person_id: int, exam_id: int, reason: str, now: datetime) -> ExamAppeal:
    """A ticket about the try that counts of one's at an exam; the one that is open already is given again, so that nobody appeals twice at once.

    Raises `Refusal` for an exam one has not sat, a result that is not told yet, and an appeal without a reason.
    """
    exam = exams.get(session, exam_id)
    closed = [attempt for attempt in attempts.of_person_at_exam(session, exam_id, person_id) if attempt.state == "closed"] if exam is not None else []
    if exam is None or not closed:
        raise Refusal(f"未记录：您没有参加过编号为 {exam_id} 的考试。发送「考试」看自己的考试。")
    if not exam.tells_score:
        not_shown_reason = "正在更正题目，成绩暂不公布" if exam.frozen_at is not None else "成绩还没有公布"
        raise Refusal(f"未记录：考试《{exam.name}》{not_shown_reason}，公布后再申诉。")
    text = reason.strip()
    if not text:
        raise Refusal(f"未记录：请写明理由，例如「申诉 {exam_id} 第 5 题的标准答案与民法典第十条不符」。")
    if len(text) > MAX_LENGTH:
        raise Refusal(f"未记录：申诉理由最多 {MAX_LENGTH} 字，请写短一些再发。")
    sitting_id = counting_attempts(closed)[person_id].sitting_id
    appeal_id = appeals.add(session, person_id, sitting_id, text, now, due_day(calendar, day_of(now)))
    open_appeal = appeals.open_of_sitting(session, sitting_id)
    assert open_appeal is not None
    if appeal_id is not None:
        send_notice(
            session, "有新的申诉", f"申诉 #{appeal_id}：考试《{exam.name}》。请在 {chinese_day(open_appeal.due_on)}前答复，发「申诉」查看。", now
        )
    return open_appeal


def open_appeals(session: Session, author: Author, today: date) -> list[ExamAppeal]:
    """The open appeals that an administrator answers: those of people they look after."""
    return [open_appeal for open_appeal in appeals.open_appeals(session) if roster.covers_person(session, author.roots, open_appeal.person_id, today)]


def answer(
    session: Session, author: Author, admin_id: int, number: int, granted: bool, text: str, now: datetime, correction_id: int | None = None
) -> ExamAppeal:
    """The answer, once; in the audit, and told to who appealed. Granting changes no grade by itself: a correction does, and may be named.

    Raises `Refusal` for an appeal of one's own, one that is answered, and for a correction that is not of this exam.
    """
    target = appeals.get(session, number)
    if target is None or not roster.covers_person(session, author.roots, target.person_id, day_of(now)):
        raise Refusal(f"没有编号为 #{number} 的申诉。发送「申诉」看列表。")
    if target.person_id == admin_id:
        raise Refusal("未记录：不能答复自己的申诉，请由另一位管理员答复。")
    reason = text.strip()
    if not reason or len(reason) > MAX_LENGTH:
        raise Refusal(f"未记录：请写明答复的理由，不超过 {MAX_LENGTH} 字。")
    if correction_id is not None:
        correction = corrections.get(session, correction_id)
        if correction is None or (correction.scope, correction.ref) != ("exam", target.exam_id):
            raise Refusal(f"未记录：更正 {correction_id} 不是考试《{target.exam}》的更正。发送「更正」看列表。")
    if not appeals.answer(session, number, granted, reason, admin_id, correction_id, now):
        raise Refusal(f"未记录：申诉 #{number} 已经答复过。")
    verdict = "准予" if granted else "维持原结果"
    linked = f"；更正 {correction_id}" if correction_id is not None else ""
    audit.record(session, now, author.actor, author.via, "答复申诉", f"appeal:{number}", detail=f"{target.staff_no}；{verdict}；{reason}{linked}")
    message = notice_content(f"您对考试《{target.exam}》的申诉 #{number}：{verdict}。{reason}")
    notify(session, [target.person_id], message, once=f"appeal:{number}", now=now, name=f"{NOTICE_TITLE}：申诉有了答复")
    answered = appeals.get(session, number)
    assert answered is not None
    return answered
