"""What administrators do with exams: draft, preview, publish, close, cancel, release, make-up; everything is audited."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.campaign import content as campaign_content
from bot.domain.campaign.campaign import Author
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule, immediate_schedule
from bot.domain.exam import blueprint as exam_blueprint
from bot.domain.exam.blueprint import exact_points_text
from bot.domain.exam.exam import (
    RESULT_LABELS,
    STATE_LABELS,
    Exam,
    WantedExam,
    counting_attempts,
    date_time_text,
    invitation_target,
    require_sensible_window,
)
from bot.domain.message import Refusal
from bot.domain.people.audience import All, And, Audience, ExamNotPassed, ExamNotTaken, Not, describe_audience, lies_within_units
from bot.domain.times import SHANGHAI, day_of
from bot.services.campaign import manage, notifications
from bot.services.exam import finish, question_pool
from bot.services.hours import credit
from bot.services.library.catalog import Catalog
from bot.storage import campaign
from bot.storage.exam import attempts, exams
from bot.storage.grading import corrections
from bot.storage.people import audience
from bot.storage.system import audit

ANNOUNCE_AHEAD = timedelta(hours=12)
"""From so long before its opening on, an exam is announced when it is published, and invited to when it opens."""
MAKEUP_RULES = {"absent": "缺考", "failed": "不及格", "both": "缺考和不及格"}


@dataclass(frozen=True, slots=True)
class ExamPreview:
    """What an exam would mean today: how many people, some by name, what the question banks lack, and for how many papers they are enough."""

    count: int
    names: tuple[str, ...]
    lacking: tuple[str, ...]
    papers: int | None
    """Papers within the blueprint's uses per question (`most`); None without such a limit."""


@dataclass(frozen=True, slots=True)
class ExamProgress:
    """How far an exam has come, in people."""

    invited: int
    begun: int
    sitting: int
    handed_in: int
    passed: int
    absent: tuple[tuple[str, str], ...]
    """(staff number, name) of those who have not begun."""


def require_exam(session: Session, author: Author, exam_id: int, *, hold: bool = False) -> Exam:
    """An exam that an administrator may steer. One that reaches beyond their units is refused like one that does not exist."""
    exam = exams.lock(session, exam_id) if hold else exams.get(session, exam_id)
    if exam is None or not lies_within_units(exam.audience, author.roots):
        raise Refusal(f"没有编号为 {exam_id} 的考试。发送「考试」看列表。")
    return exam


def list_exams(session: Session, author: Author) -> list[Exam]:
    """The exams of an administrator, newest first."""
    return [exam for exam in exams.list_all(session) if lies_within_units(exam.audience, author.roots)]


def validate(session: Session, catalog: Catalog, author: Author, wanted: WantedExam, now: datetime) -> WantedExam:
    """`wanted` with full unit names and an audience within the author's units. Raises `Refusal` for what is not possible."""
    name = campaign_content.clean_title(wanted.name, "考试", catalog.library)
    if wanted.closes_at <= max(wanted.opens_at, now):
        raise Refusal("截止时间应晚于开放时间，也应晚于现在。")
    if missing := [lesson for lesson in wanted.gate.lessons if lesson not in catalog.library.lessons]:
        raise Refusal(f"入场条件里没有课程 {'、'.join(missing[:5])}，发送「学习 目录」看全部课程。")
    if not 1 <= wanted.attempts <= 20 or not 0 <= wanted.grace_seconds <= 60 or (wanted.late_minutes is not None and wanted.late_minutes < 0):
        raise Refusal("次数应为 1 到 20 次，宽限 0 到 60 秒，迟到限制不能小于 0 分钟。")
    if wanted.results not in RESULT_LABELS:
        raise Refusal(f"出分规则只能是：{'、'.join(RESULT_LABELS.values())}。")
    require_sensible_window(wanted, now)
    exam_blueprint.validate_blueprint(wanted.blueprint)
    return replace(
        wanted,
        name=name,
        audience=manage.reachable_audience(session, author, wanted.audience),
        clause=campaign_content.clean_content(wanted.clause)[:200],
    )


def preview(session: Session, catalog: Catalog, exam: WantedExam | Exam, now: datetime) -> ExamPreview:
    """Whom the exam would concern today, and what the banks lack for its blueprint; writes nothing."""
    invited = audience.evaluate(session, exam.audience, day_of(now), now)
    shown = audience.list_people(session, invited.people[:20])
    return ExamPreview(
        len(invited.people),
        tuple(name for _, _, name in shown),
        tuple(question_pool.blueprint_shortages(session, catalog, exam.blueprint)),
        question_pool.papers_within_most(session, catalog, exam.blueprint),
    )


def create(
    session: Session, catalog: Catalog, author: Author, wanted: WantedExam, now: datetime, *, makeup_of: int | None = None, cap: int | None = None
) -> int:
    """A draft; nobody sees it before `publish`. Raises `Refusal`, for an impossible blueprint with everything that is missing."""
    draft = validate(session, catalog, author, wanted, now)
    if lacking := question_pool.blueprint_shortages(session, catalog, draft.blueprint):
        raise Refusal(f"这份蓝图出不了卷：{'；'.join(lacking)}。")
    blueprint = draft.blueprint
    exam = Exam(
        0, draft.name, "draft", blueprint, draft.audience, draft.gate, draft.opens_at, draft.closes_at, blueprint.minutes, draft.late_minutes,
        draft.attempts, blueprint.pass_line, blueprint.total, draft.results, draft.grace_seconds, makeup_of, cap, draft.clause, None, author.actor,
        None, None, None,
    )  # fmt: skip
    exam_id = exams.add(session, exam, author.actor, now)
    window = f"{date_time_text(draft.opens_at)}—{date_time_text(draft.closes_at)}"
    detail = f"{draft.name}；{exam_blueprint.describe_blueprint(blueprint)}；{window}；{describe_audience(draft.audience)}；{draft.clause}"
    audit.record(session, now, author.actor, author.via, "新建考试", f"exam:{exam_id}", detail=detail)
    return exam_id


def publish(session: Session, catalog: Catalog, author: Author, exam_id: int, now: datetime) -> Exam:
    """From now on people see it: announced at once where it opens later, invited to when it opens, reminded before and on its last day.

    Raises `Refusal` when it is no draft any more, too late, the banks have changed meanwhile, or the send budgets do not carry the invitation.
    """
    exam = require_exam(session, author, exam_id, hold=True)
    if exam.state != "draft":
        raise Refusal(f"考试 {exam_id}《{exam.name}》{STATE_LABELS[exam.state]}，只有草稿可以发布。")
    if exam.closes_at <= now:
        raise Refusal(f"考试 {exam_id}《{exam.name}》的截止时间 {date_time_text(exam.closes_at)} 已过，请另建一场。")
    if exam.is_entry_closed(now):
        raise Refusal(f"考试 {exam_id}《{exam.name}》最晚入场的时间 {date_time_text(exam.last_entry)} 已过，现在发布谁也进不了场，请另建一场。")
    if lacking := question_pool.blueprint_shortages(session, catalog, exam.blueprint):
        raise Refusal(f"题库变了，这份蓝图出不了卷：{'；'.join(lacking)}。")
    opens = max(exam.opens_at, now)
    notice = f"考试《{exam.name}》：{announcement(exam)}" if opens - now > ANNOUNCE_AHEAD else ""
    campaign_id = _invite(session, catalog, author, exam, opens, now, notice)
    if notice:
        notifications.send_notice(session, f"考试《{exam.name}》", notice, now, exam.audience)
    exams.publish(session, exam_id, campaign_id, now)
    audit.record(session, now, author.actor, author.via, "发布考试", f"exam:{exam_id}", detail=f"活动 {campaign_id}")
    return require_exam(session, author, exam_id)


def _invite(session: Session, catalog: Catalog, author: Author, exam: Exam, opens: datetime, now: datetime, notice: str) -> int:
    """The campaign that invites, with a deadline by which its reminders go; it looks after itself from here.

    `notice` is what goes to the same people before it, within the same quotas.
    """
    content = CampaignContent("invitation", title=f"考试《{exam.name}》", text=announcement(exam), target=invitation_target(exam.id))
    schedule = (
        immediate_schedule(opens)
        if opens == now
        else Schedule("once", time=f"{opens.astimezone(SHANGHAI):%H:%M}", on=day_of(opens), on_holiday="keep")
    )
    delivery = {"by": day_of(exam.closes_at).isoformat()}
    campaign_id = manage.create(
        session, catalog, author, f"考试：{exam.name}"[:80], content, schedule, exam.audience, now, clause=exam.clause, delivery=delivery
    )
    also = [notifications.notice_content(notice)] if notice else []
    manage.require_quota(session, catalog, manage.require_campaign(session, author, campaign_id), now, also=also)
    campaign.set_state(session, campaign_id, "draft", "running", now)
    # A window that opens in the middle of a minute is due from the beginning of that minute on.
    campaign.set_planned_until(session, campaign_id, opens.replace(second=0, microsecond=0) if opens == now else now)
    return campaign_id


def announcement(exam: Exam) -> str:
    """The text of the announcement and the invitation."""
    late = f"开考 {exam.late_minutes} 分钟后不得入场；" if exam.late_minutes is not None else ""
    return (
        f"{date_time_text(exam.opens_at)} 至 {date_time_text(exam.closes_at)}，{exam.blueprint.size} 题，满分 {exact_points_text(exam.total)} 分，"
        f"{exact_points_text(exam.pass_line)} 分及格，限时 {exam.minutes} 分钟；{late}发送「考试 {exam.id}」参加。"
    )


def close(session: Session, catalog: Catalog, author: Author, exam_id: int, reason: str, now: datetime) -> int:
    """End an exam before its time: whoever is at it is handed in with what was saved. How many were."""
    exam = require_exam(session, author, exam_id, hold=True)
    if exam.state != "published":
        raise Refusal(f"考试 {exam_id}《{exam.name}》{STATE_LABELS[exam.state]}，没有可以结束的。")
    if now < exam.opens_at:
        raise Refusal(f"考试 {exam_id}《{exam.name}》{date_time_text(exam.opens_at)} 才开始，还没有人能考；不办了请发「考试 取消 {exam_id} 原因」。")
    _require_reason(reason, "结束")
    handed_in = _close_open_attempts(session, catalog, exam, now)
    exams.close(session, exam_id, now)
    _stop_invitation(session, author, exam, now)
    audit.record(session, now, author.actor, author.via, "结束考试", f"exam:{exam_id}", detail=f"{reason}；代交 {handed_in} 份")
    return handed_in


def cancel(session: Session, catalog: Catalog, author: Author, exam_id: int, reason: str, now: datetime) -> int:
    """Call an exam off: nobody begins, whoever is at it is told, what was answered stays recorded and counts for nothing. How many were at it.

    Hours that were given already are taken back by reversal, certificates with them.
    """
    exam = require_exam(session, author, exam_id, hold=True)
    if exam.state not in ("draft", "published"):
        raise Refusal(f"考试 {exam_id}《{exam.name}》{STATE_LABELS[exam.state]}，不能取消。")
    _require_reason(reason, "取消")
    exams.cancel(session, exam_id, now)
    cancelled = exams.get(session, exam_id)
    assert cancelled is not None
    ended = _close_open_attempts(session, catalog, cancelled, now)
    _revert_passes(session, catalog, cancelled, author, now)
    _stop_invitation(session, author, exam, now)
    if exam.state == "published":
        notifications.send_notice(
            session, f"考试《{exam.name}》取消", f"考试《{exam.name}》已取消：{campaign_content.clean_content(reason)[:200]}", now, exam.audience
        )
    audit.record(session, now, author.actor, author.via, "取消考试", f"exam:{exam_id}", detail=reason)
    return ended


def _revert_passes(session: Session, catalog: Catalog, cancelled: Exam, author: Author, now: datetime) -> None:
    """Take back hours and certificates that were given for passes, unless they were earned in another way as well."""
    passed_otherwise = corrections.people_passed(session, cancelled.root)
    for attempt in attempts.of_exam(session, cancelled.id):
        if attempt.passed:
            if attempt.person_id not in passed_otherwise:
                credit.reverse_exam(session, attempt.person_id, cancelled.root, now, author.actor)
            for hook in finish.ON_CANCELLED:
                hook(session, catalog, cancelled, attempt, now)


def _require_reason(reason: str, action: str) -> None:
    if not reason.strip():
        raise Refusal(f"请写明{action}的原因，例如「考试 {action} 12 机房断电」。")


def _close_open_attempts(session: Session, catalog: Catalog, exam: Exam, now: datetime) -> int:
    return sum(
        finish.close_attempt(session, catalog, exam, attempt, "staff", now)
        for attempt in attempts.of_exam(session, exam.id)
        if attempt.state == "open"
    )


def _stop_invitation(session: Session, author: Author, exam: Exam, now: datetime) -> None:
    invitation = campaign.get_locked(session, exam.campaign_id) if exam.campaign_id is not None else None
    if invitation is not None and invitation.state in ("running", "paused", "done"):
        manage.stop(session, author, invitation.id, f"考试 {exam.id} 已结束或取消", now)


def release(session: Session, author: Author, exam_id: int, now: datetime) -> Exam:
    """Tell the results of an exam that is over; whoever sat it gets a notice."""
    exam = require_exam(session, author, exam_id, hold=True)
    if exam.state != "closed":
        raise Refusal(f"考试 {exam_id}《{exam.name}》{STATE_LABELS[exam.state]}，结束后才能公布成绩，且只公布一次。")
    if exam.results != "after_release":
        raise Refusal(f"考试 {exam_id}《{exam.name}》按规则{RESULT_LABELS[exam.results]}，参考的人已经看得到，不用公布。")
    if exam.frozen_at is not None:
        raise Refusal(f"考试 {exam_id}《{exam.name}》正在更正，处理完才能公布。")
    exams.release(session, exam_id, now)
    sat = And((exam.audience, Not(ExamNotTaken(str(exam_id)))))
    notifications.send_notice(session, f"考试《{exam.name}》成绩", f"考试《{exam.name}》成绩已公布，发送「考试 {exam_id}」查看。", now, sat)
    audit.record(session, now, author.actor, author.via, "公布成绩", f"exam:{exam_id}")
    return require_exam(session, author, exam_id)


def create_makeup(
    session: Session, catalog: Catalog, author: Author, exam_id: int, opens_at: datetime, closes_at: datetime, now: datetime, *,
    rule: str = "both", cap: int | None = None, late_minutes: int | None = None,
) -> int:  # fmt: skip
    """The make-up of an exam that is over, as a draft: for those absent, failed or both; another paper; once; counting `cap` at the most.

    Without `cap` a pass counts as the pass line. Raises `Refusal` for an exam that has one already or is one itself.
    """
    exam = require_exam(session, author, exam_id, hold=True)
    if exam.makeup_of is not None or not exam.is_over:
        raise Refusal(f"考试 {exam_id}《{exam.name}》{'本身就是补考' if exam.makeup_of is not None else '还没有结束'}，不能安排补考。")
    if (makeup_id := exams.makeup_id(session, exam_id)) is not None:
        raise Refusal(f"考试 {exam_id}《{exam.name}》已经有补考（考试 {makeup_id}），每场只补一次。")
    if cap is not None and not 1 <= cap <= exam.total:
        raise Refusal(f"补考最多计的分应在 0 到满分 {exact_points_text(exam.total)} 分之间。")
    absent, failed = ExamNotTaken(str(exam_id)), And((Not(ExamNotTaken(str(exam_id))), ExamNotPassed(str(exam_id))))
    audiences: dict[str, Audience] = {"absent": absent, "failed": failed, "both": ExamNotPassed(str(exam_id))}
    if rule not in audiences:
        raise Refusal(f"补考对象只能是：{'、'.join(MAKEUP_RULES.values())}。")
    invited = audiences[rule] if exam.audience == All() else And((exam.audience, audiences[rule]))
    blueprint = replace(exam.blueprint, avoid=max(exam.blueprint.avoid, exam.attempts))
    wanted = WantedExam(
        f"{exam.name}（补考）"[:80], blueprint, invited, opens_at, closes_at, exam.gate, late_minutes, 1, exam.results, exam.grace_seconds,
        exam.clause,
    )  # fmt: skip
    new_id = create(session, catalog, author, wanted, now, makeup_of=exam_id, cap=exam.pass_line if cap is None else cap)
    audit.record(session, now, author.actor, author.via, "安排补考", f"exam:{new_id}", detail=f"考试 {exam_id}，对象：{MAKEUP_RULES[rule]}")
    return new_id


def progress(session: Session, author: Author, exam_id: int, now: datetime) -> ExamProgress:
    """How many were invited, began, are taking it, handed in and passed, and who has not begun."""
    exam = require_exam(session, author, exam_id)
    day = day_of(min(now, exam.closes_at))
    counting = counting_attempts(attempts.of_exam(session, exam_id))
    expected = audience.evaluate(session, exam.audience, day, now)
    invited = set(expected.people) | {person_id for person_id, reason in expected.excluded if reason == "没有可用渠道"} | set(counting)
    states = Counter(attempt.state for attempt in counting.values())
    absent = audience.list_people(session, sorted(invited - set(counting)))
    return ExamProgress(
        len(invited), len(counting), states["open"], states["closed"], sum(1 for attempt in counting.values() if attempt.passed),
        tuple((staff_no, name) for _, staff_no, name in absent),
    )  # fmt: skip
