"""Extra time and reopening: one administrator requests it with a reason, another approves, and it takes effect at once (bot/docs/rules.md S14)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.campaign.campaign import Author, is_person
from bot.domain.campaign.content import CampaignContent, clean_content
from bot.domain.exam.exam import CLOSE_DELAY, EXTENSION_LABELS, MAX_EXTENSION_MINUTES, RESUME_TARGET, Attempt, Exam, clock_text
from bot.domain.message import Refusal
from bot.services.campaign.notifications import NOTICE_TITLE, notify, notify_named
from bot.services.exam.manage import require_exam
from bot.storage.exam import attempts, extra_time
from bot.storage.exam.extra_time import ExtraTimeRequest
from bot.storage.people import audience
from bot.storage.study import current_task, sittings
from bot.storage.system import audit


def request_extra_time(
    session: Session, author: Author, exam_id: int, staff_no: str, kind: str, minutes: int, reason: str, now: datetime
) -> ExtraTimeRequest:
    """Ask for extra time in a running attempt, or for reopening one that is closed. Nothing changes before `approve`. Raises `Refusal`."""
    exam = require_exam(session, author, exam_id)
    attempt = _latest_attempt(session, exam, staff_no)
    clean_reason = clean_content(reason)
    if kind not in EXTENSION_LABELS or not 1 <= minutes <= MAX_EXTENSION_MINUTES or not 1 <= len(clean_reason) <= 300:
        raise Refusal(f"请写明分钟数（1 到 {MAX_EXTENSION_MINUTES}）和原因（不超过 300 字），例如「考试 加时 12 1001 10 会议室断网」。")
    if staff_no == author.actor:
        raise Refusal("不能为自己的考试申请加时或重开，请由另一位管理员办理。")
    _require_applicable(exam, attempt, kind, now)
    attempts.get(session, attempt.sitting_id, hold=True)
    if (waiting := extra_time.pending_request(session, attempt.sitting_id, kind, minutes)) is not None:
        raise Refusal(f"同样的申请（编号 {waiting}）还没有批准，请另一位管理员发「考试 批准 {waiting}」。")
    extension_id = extra_time.add_request(session, attempt.sitting_id, kind, minutes, clean_reason, author.actor, now)
    detail = f"{staff_no}，{minutes} 分钟：{clean_reason}"
    audit.record(session, now, author.actor, author.via, f"申请{EXTENSION_LABELS[kind]}", f"extension:{extension_id}", detail=detail)
    request = extra_time.get_request(session, extension_id)
    assert request is not None
    notify_named(session, author, f"为 {staff_no} 申请了考试{EXTENSION_LABELS[kind]}（编号 {extension_id}）", now)
    return request


def waits_for(request: ExtraTimeRequest) -> str:
    """Whose word a request still needs."""
    if is_person(request.asked_by):
        return f"请另一位管理员本人在聊天里发「考试 批准 {request.id}」。"
    return f"申请没有具名，要两位管理员先后在聊天里发「考试 批准 {request.id}」。"


def approve(session: Session, author: Author, extension_id: int, now: datetime) -> tuple[ExtraTimeRequest, Attempt]:
    """Approve what another asked for; it counts at once, and the person is told. Raises `Refusal`, for the one who asked as well.

    Of a request that nobody put their name to, the first who approves it is the one who asked: it counts with the next one's word only. What is
    typed at the shell is nobody's own word.
    """
    request = extra_time.get_request(session, extension_id)
    attempt = attempts.get(session, request.sitting_id, hold=True) if request is not None else None
    if request is None or attempt is None:
        raise Refusal(f"没有编号为 {extension_id} 的加时或重开申请。")
    try:
        exam = require_exam(session, author, attempt.exam_id)
    except Refusal:
        # As if there were none: not even the number of an exam beyond one's units is told (bot/docs/reliability.md W7).
        raise Refusal(f"没有编号为 {extension_id} 的加时或重开申请。") from None
    staff_no, _ = _person(session, attempt.person_id)
    if not author.is_own_word:
        raise Refusal(f"批准要由本人说，命令行不能代：{waits_for(request)}")
    if author.actor in (request.asked_by, staff_no):
        raise Refusal("申请和批准必须是两个人，也不能批准自己的考试，请由另一位管理员批准。")
    if request.approved_by is not None:
        raise Refusal(f"申请 {extension_id} 已由 {request.approved_by} 批准过。")
    _require_applicable(exam, attempt, request.kind, now)
    if not is_person(request.asked_by):
        if not extra_time.adopt(session, request, author.actor):
            raise Refusal(f"申请 {extension_id} 刚刚已有人具名，请再看一遍。")
        detail = f"{staff_no}，{request.minutes} 分钟：{request.reason}；原由 {request.asked_by} 提出"
        audit.record(session, now, author.actor, author.via, f"具名申请{EXTENSION_LABELS[request.kind]}", f"extension:{extension_id}", detail=detail)
        adopted = extra_time.get_request(session, extension_id)
        assert adopted is not None
        return adopted, attempt
    if not extra_time.approve(session, extension_id, author.actor, now):
        raise Refusal(f"申请 {extension_id} 刚刚已被批准。")
    extra = timedelta(minutes=request.minutes)
    if request.kind == "time":
        extra_time.extend_deadline(session, attempt.sitting_id, attempt.deadline + extra)
    else:
        _reopen(session, attempt, now + extra, now)
    changed = attempts.get(session, attempt.sitting_id)
    assert changed is not None
    label = EXTENSION_LABELS[request.kind]
    detail = f"{staff_no}，{request.minutes} 分钟：{request.reason}；申请人 {request.asked_by}；截止 {clock_text(changed.deadline)}"
    audit.record(session, now, author.actor, author.via, f"批准{label}", f"extension:{extension_id}", detail=detail)
    text = f"考试《{exam.name}》已为您{label} {request.minutes} 分钟，新的截止时间 {clock_text(changed.deadline)}。"
    content = CampaignContent("invitation", title=f"考试{label}", text=text, target=RESUME_TARGET)
    notify(session, [attempt.person_id], content, once=f"extension:{extension_id}", now=now, quiet=False, name=f"{NOTICE_TITLE}：考试{label}")
    approved = extra_time.get_request(session, extension_id)
    assert approved is not None
    return approved, changed


def _reopen(session: Session, attempt: Attempt, deadline: datetime, now: datetime) -> None:
    open_places = attempts.unanswered(session, attempt.sitting_id)
    sitting = sittings.sitting(session, attempt.sitting_id)
    assert sitting is not None
    extra_time.reopen_attempt(session, attempt, deadline, open_places[0] if open_places else sitting.size, now)
    if current_task.focus(session, attempt.person_id) is None:
        current_task.set_focus(session, attempt.person_id, "exam", attempt.sitting_id, now)


def _require_applicable(exam: Exam, attempt: Attempt, kind: str, now: datetime) -> None:
    """Raises `Refusal` where the attempt is not in the state that the kind is for."""
    if exam.state in ("cancelled", "released"):
        raise Refusal(f"考试 {exam.id}《{exam.name}》已取消或已公布成绩，不能再加时或重开。")
    if kind == "time" and (attempt.state != "open" or now >= attempt.deadline + exam.grace + CLOSE_DELAY):
        raise Refusal("这份卷已经交了，加时不起作用；要让本人接着答，请用「考试 重开」。")
    if kind == "reopen" and exam.tells_keys:
        raise Refusal(f"考试 {exam.id}《{exam.name}》已经结束，答案可以查看了，不能再重开；请安排补考：「考试 补考 {exam.id} …」。")
    if kind == "reopen" and attempt.state != "closed":
        raise Refusal("这份卷还没有交，不用重开；要延长时间请用「考试 加时」。")


def _latest_attempt(session: Session, exam: Exam, staff_no: str) -> Attempt:
    person_id = audience.find_person_id(session, staff_no)
    person_attempts = attempts.of_person_at_exam(session, exam.id, person_id) if person_id is not None else []
    if not person_attempts:
        raise Refusal(f"工号 {staff_no[:40]} 没有进入考试 {exam.id}《{exam.name}》，没有可以加时或重开的卷。")
    return person_attempts[-1]


def _person(session: Session, person_id: int) -> tuple[str, str]:
    row = audience.get_person(session, person_id)
    return (row[1], row[2]) if row is not None else ("", "")


def list_requests(session: Session, author: Author, exam_id: int, now: datetime) -> list[tuple[ExtraTimeRequest, bool]]:
    """What was asked for in an exam, newest first, each with whether it can still be approved."""
    exam = require_exam(session, author, exam_id)
    return [
        (request, request.approved_by is None and _is_applicable(session, exam, request, now))
        for request in extra_time.requests_of_exam(session, exam.id)
    ]


def _is_applicable(session: Session, exam: Exam, request: ExtraTimeRequest, now: datetime) -> bool:
    attempt = attempts.get(session, request.sitting_id)
    if attempt is None:
        return False
    try:
        _require_applicable(exam, attempt, request.kind, now)
    except Refusal:
        return False
    return True
