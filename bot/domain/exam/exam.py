"""An exam and one attempt at it as values: window, rules and states, until when an answer counts, and which lessons come before."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.domain.exam.blueprint import Blueprint
from bot.domain.message import Refusal
from bot.domain.people.audience import Audience
from bot.domain.times import SHANGHAI, day_of

STATES = ("draft", "published", "closed", "released", "cancelled")
STATE_LABELS = {"draft": "草稿", "published": "已发布", "closed": "已结束", "released": "已公布", "cancelled": "已取消"}
RESULTS = ("at_once", "after_close", "after_release")
RESULT_LABELS = {"at_once": "交卷后立即出分", "after_close": "考试结束后出分", "after_release": "公布后出分"}
RESULT_WORDS = {"立即": "at_once", "交卷后": "at_once", "结束后": "after_close", "公布后": "after_release"}
CLOSED_BY_LABELS = {"self": "本人交卷", "clock": "到时自动交卷", "staff": "监考交卷"}
EXTENSION_LABELS = {"time": "加时", "reopen": "重开"}
CLOSE_DELAY = timedelta(seconds=5)
"""How long after an attempt's end it is closed by itself: longer than a message that arrived in time can wait for the writer
(bot/docs/decisions/0001-one-writer.md)."""
MAX_EXTENSION_MINUTES = 600


@dataclass(frozen=True, slots=True)
class ExamGate:
    """What has to be done before one may begin: so many lessons this year, or these lessons (还差 必修 2 课)."""

    count: int = 0
    lessons: tuple[str, ...] = ()

    def missing(self, lessons_done: Collection[str]) -> tuple[int, tuple[str, ...]]:
        """(how many lessons are still missing, which of the named ones)."""
        missing_lessons = tuple(lesson for lesson in self.lessons if lesson not in lessons_done)
        return max(len(missing_lessons), self.count - len(set(lessons_done))), missing_lessons


def gate_json(gate: ExamGate) -> dict[str, Any]:
    return ({"count": gate.count} if gate.count else {}) | ({"lessons": list(gate.lessons)} if gate.lessons else {})


def gate_from_json(data: Mapping[str, Any]) -> ExamGate:
    return ExamGate(int(data.get("count", 0)), tuple(str(lesson) for lesson in data.get("lessons", ())))


def describe_gate(gate: ExamGate) -> str:
    parts = [f"必修 {gate.count} 课"] if gate.count else []
    return "，".join(parts + ([f"课 {'、'.join(gate.lessons)}"] if gate.lessons else [])) or "无"


def parse_gate(line: str) -> ExamGate:
    """必修 2 课, 课 mfd-1191、xf-00, or 无. Raises `Refusal`."""
    text = line.strip()
    if text in ("", "无", "没有"):
        return ExamGate()
    count = re.search(r"必修\s*(\d{1,3})\s*[课门]", text)
    lesson_names = re.search(r"课程?\s*[:=：]?\s*([a-z0-9][a-z0-9、,\s-]*)$", text)
    if count is None and lesson_names is None:
        raise Refusal(f"没有看懂条件「{text[:30]}」。可以写：必修 2 课；课 mfd-1191、xf-00；无。")
    lessons = tuple(name for name in re.split(r"[、,\s]+", lesson_names[1]) if name) if lesson_names is not None else ()
    return ExamGate(int(count[1]) if count is not None else 0, lessons)


NO_GATE = ExamGate()


@dataclass(frozen=True, slots=True)
class WantedExam:
    """What an administrator asks for when drafting an exam; the other values of `Exam` follow from it."""

    name: str
    blueprint: Blueprint
    audience: Audience
    opens_at: datetime
    closes_at: datetime
    gate: ExamGate = NO_GATE
    late_minutes: int | None = None
    attempts: int = 1
    results: str = "after_close"
    grace_seconds: int = 0
    clause: str = ""


def parse_results_rule(text: str) -> str:
    """The `results` rule from a word: 立即, 结束后, 公布后, or as a row has it. Raises `Refusal`."""
    word = text.strip()
    if word not in RESULT_WORDS and word not in RESULTS:
        raise Refusal(f"出分只能写 {'、'.join(RESULT_WORDS)}（{'；'.join(RESULT_LABELS.values())}）。")
    return RESULT_WORDS.get(word, word)


def last_entry(opens_at: datetime, closes_at: datetime, late_minutes: int | None) -> datetime:
    return closes_at if late_minutes is None else min(closes_at, opens_at + timedelta(minutes=late_minutes))


def require_sensible_window(wanted: WantedExam, now: datetime) -> None:
    """Raises `Refusal` for moments that are each possible and together leave nobody, or hardly anybody, an exam to sit."""
    window = f"{date_time_text(wanted.opens_at)} 至 {date_time_text(wanted.closes_at)}"
    if wanted.late_minutes is None:
        return
    entry = last_entry(wanted.opens_at, wanted.closes_at, wanted.late_minutes)
    if day_of(wanted.opens_at) != day_of(wanted.closes_at):
        raise Refusal(
            f"迟到限制只用于同一天开考的考试：窗口是 {window}，写了迟到 {wanted.late_minutes} 分钟，{date_time_text(entry)} 以后就谁也进不了场。"
            "请去掉迟到，或把截止改到开考当天。"
        )
    if entry <= now:
        raise Refusal(f"照这样谁也进不了场：窗口是 {window}，写了迟到 {wanted.late_minutes} 分钟，最晚入场 {date_time_text(entry)} 已经过了。")


@dataclass(frozen=True, slots=True)
class Exam:
    """An exam as stored. Points in thousandths of a point."""

    id: int
    name: str
    state: str
    blueprint: Blueprint
    audience: Audience
    gate: ExamGate
    opens_at: datetime
    closes_at: datetime
    minutes: int
    late_minutes: int | None
    attempts: int
    pass_line: int
    total: int
    results: str
    grace_seconds: int
    makeup_of: int | None
    cap: int | None
    clause: str
    campaign_id: int | None
    created_by: str
    closed_at: datetime | None
    released_at: datetime | None
    frozen_at: datetime | None

    @property
    def root(self) -> int:
        """The exam whose hours count: itself, or the one that it makes up for."""
        return self.makeup_of or self.id

    @property
    def grace(self) -> timedelta:
        return timedelta(seconds=self.grace_seconds)

    @property
    def is_over(self) -> bool:
        """Whether it can no longer be taken, so that right answers may be shown."""
        return self.state in ("closed", "released")

    @property
    def tells_score(self) -> bool:
        """Whether a result may be told now, by the rule of this exam; never while it is frozen for a correction."""
        by_rule = {
            "at_once": self.state in ("published", "closed", "released"),
            "after_close": self.is_over,
            "after_release": self.state == "released",
        }
        return by_rule[self.results] and self.frozen_at is None

    @property
    def tells_keys(self) -> bool:
        """Whether right answers may be told now: when the result may, and never before nobody sits it any more."""
        return self.tells_score and self.is_over

    @property
    def keys_withheld_until(self) -> str:
        """Until when no right answer is told, in the words of the rules."""
        return f"{'公布成绩' if self.results == 'after_release' else '考试结束'}前不公布答案"

    def deadline(self, started: datetime) -> datetime:
        """min(start + limit, close) (bot/docs/rules.md S12)."""
        return min(started + timedelta(minutes=self.minutes), self.closes_at)

    @property
    def last_entry(self) -> datetime:
        """Until when one may begin: the window, or so many minutes after its opening."""
        return last_entry(self.opens_at, self.closes_at, self.late_minutes)

    def is_entry_closed(self, moment: datetime) -> bool:
        return moment >= self.closes_at or (self.late_minutes is not None and moment > self.last_entry)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One person's n-th attempt as stored. `deadline` includes approved extra time."""

    sitting_id: int
    exam_id: int
    person_id: int
    n: int
    started_at: datetime
    deadline: datetime
    state: str
    closed_at: datetime | None
    closed_by: str | None
    score: int | None
    passed: bool | None
    difficulty: int

    def is_in_time(self, arrived: datetime, grace: timedelta) -> bool:
        """Whether an answer that arrived at a moment is in time: at the edge, up to the last microsecond of the grace (bot/docs/reliability.md D9).

        Who closed the paper says whether it waited for its turn: what came in time counts after the clock, and what came before the invigilator's
        word after that; nothing counts after one's own.
        """
        if arrived > self.deadline + grace:
            return False
        return self.closed_by in (None, "clock") or (self.closed_by == "staff" and self.closed_at is not None and arrived <= self.closed_at)


def counting_attempts(attempts: Sequence[Attempt]) -> dict[int, Attempt]:
    """The attempt of each person that counts, by person id: the best closed one, else the open one."""
    counting: dict[int, Attempt] = {}
    for attempt in attempts:
        best_so_far = counting.get(attempt.person_id)
        if best_so_far is None or (attempt.state == "closed", attempt.score or -1) > (best_so_far.state == "closed", best_so_far.score or -1):
            counting[attempt.person_id] = attempt
    return counting


RESUME_TARGET = "继续"
"""The target of notices about a running exam: they are delivered at once, not after the exam."""
_TARGET = re.compile(r"考试 (\d{1,9})")


def invitation_target(exam_id: int) -> str:
    """The command of an invitation to an exam."""
    return f"考试 {exam_id}"


def exam_of_target(target: str) -> int | None:
    """The exam that an invitation is for; None for any other command."""
    match = _TARGET.fullmatch(target)
    return None if match is None else int(match[1])


def date_time_text(moment: datetime) -> str:
    """3月10日 09:00, Shanghai time."""
    local = moment.astimezone(SHANGHAI)
    return f"{local.month}月{local.day}日 {local:%H:%M}"


def clock_text(moment: datetime) -> str:
    """09:00:05, or 09:00 on a full minute; Shanghai time."""
    local = moment.astimezone(SHANGHAI)
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def time_left_text(seconds: int) -> str:
    """58 分, 40 秒."""
    return f"{seconds // 60} 分" if seconds >= 120 else f"{max(0, seconds)} 秒"
