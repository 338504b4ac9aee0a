"""Beginning an attempt at an exam, with a paper drawn for this person, and resuming it on any channel.

See bot/docs/rules.md S12, S13.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.domain.exam.exam import CLOSE_DELAY, Attempt, Exam, date_time_text
from bot.domain.exam.paper import draw_paper
from bot.domain.message import Refusal
from bot.domain.study.sitting import FORMS
from bot.domain.times import day_of, start_of
from bot.services.exam import finish, question_pool
from bot.services.exam.paper_view import AttemptStatus, ended_sentence, require_attempt, seconds_left, status_of
from bot.services.library.catalog import Catalog
from bot.services.study import current_task
from bot.storage.exam import attempts, exams
from bot.storage.people import audience
from bot.storage.study import current_task as study_current_task
from bot.storage.study import readings

FORM = FORMS["exam"]


def sitting_name(session: Session, catalog: Catalog, sitting: current_task.OpenSittingFacts) -> str:
    exam = exams.get(session, int(sitting.scope))
    return f"考试《{exam.name}》" if exam is not None else FORM.name


@dataclass(frozen=True, slots=True)
class BegunAttempt:
    """An attempt that was begun or (`resumed`) continued; `put_down` names the task that was paused for it, empty for none."""

    status: AttemptStatus
    resumed: bool
    put_down: str = ""


def visible_exam(session: Session, person_id: int, exam_id: int, now: datetime) -> Exam:
    """An exam that concerns somebody: published, and for them or sat by them. Raises `Refusal` as if there were none."""
    exam = exams.get(session, exam_id)
    if exam is None or exam.state in ("draft", "cancelled") or not _concerns(session, exam, person_id, now):
        raise Refusal(f"没有编号为 {exam_id} 的考试，或者您不在这场考试的范围里。发送「考试」看列表。")
    return exam


def _concerns(session: Session, exam: Exam, person_id: int, now: datetime) -> bool:
    return audience.includes(session, exam.audience, person_id, day_of(now), now) or bool(attempts.of_person_at_exam(session, exam.id, person_id))


def entry_obstacle(session: Session, catalog: Catalog, exam: Exam, person_id: int, now: datetime) -> str:
    """Why somebody cannot begin now, in a sentence; empty when they can."""
    if exam.state != "published" or now >= exam.closes_at:
        return f"考试《{exam.name}》已于 {date_time_text(exam.closed_at or exam.closes_at)} 结束，不能再进入。"
    if now < exam.opens_at:
        return f"考试《{exam.name}》{date_time_text(exam.opens_at)} 开始，还没到时间。"
    if exam.is_entry_closed(now):
        last = date_time_text(exam.last_entry)
        return f"考试《{exam.name}》规定开考 {exam.late_minutes} 分钟后不得入场（{last} 截止），您来晚了。确有原因请联系监考人员。"
    earlier = attempts.of_person_at_exam(session, exam.id, person_id)
    if len(earlier) >= exam.attempts:
        return f"考试《{exam.name}》您已参加过 {len(earlier)} 次，最多 {exam.attempts} 次。"
    other_attempt = next((attempt for attempt in attempts.open_attempts(session, person_id) if attempt.exam_id != exam.id), None)
    if other_attempt is not None:
        return "您还有一场考试没有交卷：回复「继续」接着考，交卷后再进入这一场。"
    return _gate_obstacle(session, catalog, exam, person_id, now)


def _gate_obstacle(session: Session, catalog: Catalog, exam: Exam, person_id: int, now: datetime) -> str:
    if not exam.gate.count and not exam.gate.lessons:
        return ""
    year = start_of(day_of(now).replace(month=1, day=1))
    count, missing_lessons = exam.gate.missing(readings.finished_lessons(session, person_id, year, now))
    if not count:
        return ""
    titles = [catalog.library.lessons[lesson].title if lesson in catalog.library.lessons else lesson for lesson in missing_lessons]
    listed = f"：{'、'.join(f'《{title}》' for title in titles[:5])}" if titles else ""
    return f"考试《{exam.name}》要先学完规定的课：还差 必修 {count} 课{listed}。发送「学习」接着学。"


def begin(session: Session, catalog: Catalog, person_id: int, exam_id: int, now: datetime, rng: random.Random) -> BegunAttempt:
    """Begin an exam, or go on with it where it was left. `now` is when the message arrived. Raises `Refusal` with the reason.

    The paper is drawn now and from now on stands in rows; the clock runs from now on, whatever happens to the line.
    """
    exam = visible_exam(session, person_id, exam_id, now)
    open_attempt = next((item for item in attempts.open_attempts(session, person_id) if item.exam_id == exam.id), None)
    if open_attempt is not None and now <= open_attempt.deadline + exam.grace:
        return resume(session, catalog, person_id, open_attempt.sitting_id, now)
    if open_attempt is not None:
        close_overdue(session, catalog, exam, open_attempt, now)
    if obstacle := entry_obstacle(session, catalog, exam, person_id, now):
        raise Refusal(obstacle)
    try:
        prepared = question_pool.prepared_plan(session, catalog, exam, now)
    except ValueError as lacking:
        raise Refusal(f"考试《{exam.name}》现在出不了卷（{lacking}），请联系管理员。") from lacking
    blueprint = exam.blueprint
    recent = attempts.recent_questions(session, person_id, blueprint.avoid)
    paper = draw_paper(prepared.plan, recent, prepared.uses, random.Random(rng.getrandbits(64)))  # noqa: S311
    if blueprint.most:
        prepared.uses.update(item.item.question for item in paper.items)
    items: Sequence[Mapping[str, Any]] = [
        {"question": item.item.question, "version_id": item.item.version_id, "points": item.points, "shuffle": item.shuffle} for item in paper.items
    ]
    n = len(attempts.of_person_at_exam(session, exam.id, person_id)) + 1
    deadline = exam.deadline(now)
    put_down = current_task.pause(session, catalog, person_id, now, FORM.claim)
    sitting_id = attempts.begin(session, exam, person_id, n, items, deadline, round(paper.difficulty * 1000), now)
    if not exams.is_published(session, exam_id):
        # The new row refers to the exam and has waited for whoever was ending it: theirs was first.
        raise Refusal(f"考试《{exam.name}》刚刚结束或取消，不能再进入。")
    study_current_task.set_focus(session, person_id, FORM.task, sitting_id, now)
    attempt = Attempt(sitting_id, exam.id, person_id, n, now, deadline, "open", None, None, None, None, round(paper.difficulty * 1000))
    return BegunAttempt(AttemptStatus(exam, attempt, len(items), 1, seconds_left(attempt, now), tuple(range(1, len(items) + 1))), False, put_down)


def resume(session: Session, catalog: Catalog, person_id: int, sitting_id: int, now: datetime) -> BegunAttempt:
    """Go on with an attempt of one's own, on whatever channel. Raises `Refusal` when it is over."""
    exam, attempt = require_attempt(session, person_id, sitting_id)
    if attempt.state != "open" or now > attempt.deadline + exam.grace:
        raise Refusal(ended_sentence(exam, attempt))
    put_down = current_task.take_up(session, catalog, person_id, FORM.task, sitting_id, FORM.claim, now)
    return BegunAttempt(status_of(session, exam, attempt, now), True, put_down)


def close_overdue(session: Session, catalog: Catalog, exam: Exam, attempt: Attempt, now: datetime) -> bool:
    """Close what is over by the clock when somebody asks before the job came round; False while a message in time may still wait its turn."""
    if now < attempt.deadline + exam.grace + CLOSE_DELAY:
        raise Refusal(f"考试《{exam.name}》时间已到，正在收卷，请过几秒再看。")
    return finish.close_attempt(session, catalog, exam, attempt, "clock", now)
