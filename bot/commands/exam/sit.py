"""Chat commands for taking an exam (考试, 答题卡, 交卷): the rules, the paper item by item, pausing and resuming while the clock runs."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sqlmodel import Session

from bot.commands import actions, links, tasks
from bot.commands.exam import messages
from bot.commands.exam.review import review_exam
from bot.commands.router import Context, command, normalize
from bot.commands.study import messages as study_messages
from bot.commands.study.quiz import ENDED_SOURCES, HOW_TO_ANSWER, how_to_answer, meant_answer
from bot.commands.tasks import HeardAnswer, TaskKind
from bot.domain.exam.exam import CLOSED_BY_LABELS, Attempt, Exam, date_time_text
from bot.domain.library.library import fold_name
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.text import numbers
from bot.domain.text.typed_answers import parse_numbered, several_answers
from bot.services.exam import answers, attempt, paper_view, question_pool
from bot.services.exam.answers import ExamDecision, PaperFacts, RecordedAnswer
from bot.services.exam.own_exams import list_own_exams, own_exam_of
from bot.services.exam.paper_view import AttemptStatus, ShownItem
from bot.services.library.catalog import Catalog
from bot.services.study import current_task
from bot.storage.exam import attempts, exams
from bot.storage.exam.attempts import PaperPlace
from bot.storage.study import current_task as study_current_task
from bot.storage.study import sittings

_PLACE = re.compile(r"第?\s*([0-9零〇一二三四五六七八九十百]{1,5})\s*(题?)")
_REVIEW = re.compile(r"#?(\d{1,9})\s*(?:解析|答案)\s*(?:第?\s*(\d{1,3})\s*题?)?")
_EXAM = re.compile(r"(?:(开始|进入|参加|网页)\s*)?#?(\d{1,9})(?:\s*(开始|进入|参加|网页))?")
ENDED_RECENTLY = timedelta(minutes=30)
"""How long after its end an answer is still taken for one to the exam."""


@command("考试", argument="<编号>")
def exam_command(ctx: Context, text: str) -> Reply:
    """看要参加的考试和成绩；“考试 12”看规则并开始，“考试 网页 12”在网页上答，“考试 12 解析”考后看答案，考试中可随时“继续”。"""
    word, _, rest = text.partition(" ")
    if not text:
        return _list_exams(ctx)
    declared = actions.under("考试").get(word)
    if declared is not None and not ctx.me.may(RoleName.ADMIN):
        ctx.refused_power = (f"命令 考试 {word}", rest[:80])
    elif declared is not None:
        return declared.say(ctx, rest.strip(), f"考试 {word}")
    if (review_match := _REVIEW.fullmatch(text)) is not None:
        return review_exam(ctx, int(review_match[1]), int(review_match[2]) if review_match[2] else None)
    match = _EXAM.fullmatch(text)
    if match is None:
        if (named := _exam_of_name(ctx, text)) is not None:
            return _show_exam(ctx, named)
        raise Refusal(f"没有看懂「考试 {text[:20]}」。发送「考试」看列表，「考试 12」看一场的规则并开始。", (Option("考试", "考试"),))
    exam_id, verb = int(match[2]), match[1] or match[3]
    if verb == "网页":
        attempt.visible_exam(ctx.session, ctx.me.id, exam_id, ctx.now)
        return Reply(links.link_lines(ctx, "exam", str(exam_id)))
    return _begin(ctx, exam_id) if verb else _show_exam(ctx, exam_id)


def _list_exams(ctx: Context) -> Reply:
    coming, past = list_own_exams(ctx.session, ctx.catalog, ctx.me.id, ctx.now)
    lines = ["📝 要参加的考试：", *(messages.own_exam_line(own_exam, ctx.now) for own_exam in coming)] if coming else ["现在没有要参加的考试。"]
    lines += ["考过的：", *(messages.own_exam_line(own_exam, ctx.now) for own_exam in past)] if past else []
    buttons = [Option("继续", "继续考试")] if any(own_exam.running is not None for own_exam in coming) else []
    buttons += [Option(f"考试 {own_exam.exam.id}", own_exam.exam.name[:12]) for own_exam in coming if own_exam.running is None][:4]
    if ctx.me.may(RoleName.ADMIN):
        lines.append("安排和监考发「考试 管理」。")
    return Reply("\n".join(lines), buttons=tuple(buttons))


def _exam_of_name(ctx: Context, name: str) -> int | None:
    """The exam of a name as our list writes it."""
    coming, past = list_own_exams(ctx.session, ctx.catalog, ctx.me.id, ctx.now)
    return next((own_exam.exam.id for own_exam in (*coming, *past) if fold_name(own_exam.exam.name) == fold_name(name)), None)


def _show_exam(ctx: Context, exam_id: int) -> Reply:
    exam = attempt.visible_exam(ctx.session, ctx.me.id, exam_id, ctx.now)
    own_exam = own_exam_of(ctx.session, ctx.catalog, exam, ctx.me.id, ctx.now)
    if own_exam.running is not None:
        return _resume(ctx, own_exam.running.sitting_id)
    if own_exam.obstacle and own_exam.counts is not None and own_exam.counts.state == "closed":
        how = CLOSED_BY_LABELS[own_exam.counts.closed_by or "self"]
        result = f"考试 {exam.id}《{exam.name}》已交卷（{how}）。{messages.result(exam, own_exam.counts)}"
        buttons = (Option(f"考试 {exam.id} 解析", "答案和解析"), *_page_button(ctx, exam, "逐题对照")) if exam.tells_keys else ()
        return Reply(result, buttons=(*buttons, *_after_failing(exam, own_exam.counts)))
    if own_exam.obstacle:
        return Reply(f"{_rules(ctx, exam)}\n{own_exam.obstacle}")
    again = f"您已考过，{messages.result(exam, own_exam.counts)}\n" if own_exam.counts is not None else ""
    return Reply(
        f"{again}{_rules(ctx, exam)}\n准备好了请点「开始考试」或回复「考试 开始 {exam_id}」。",
        buttons=(Option(f"考试 开始 {exam_id}", "开始考试"), *_page_button(ctx, exam)),
    )


def _after_failing(exam: Exam, sat: Attempt) -> tuple[Option, ...]:
    """What comes next for somebody who did not pass and knows it."""
    failed = exam.tells_score and exam.frozen_at is None and sat.passed is False
    return (Option("我要补考", "怎么补考"), Option("错题", "先练错题"), Option(f"申诉 {exam.id}", "有异议")) if failed else ()


def _rules(ctx: Context, exam: Exam) -> str:
    return messages.rules(exam, several=question_pool.may_contain_kind(ctx.catalog, exam.blueprint, "multiple"))


def _page_button(ctx: Context, exam: Exam, label: str = "在网页上答") -> tuple[Option, ...]:
    """What asks for a link to the exam's page, where our pages stand somewhere."""
    return (Option(f"考试 网页 {exam.id}", label),) if ctx.pages else ()


def _begin(ctx: Context, exam_id: int) -> Reply:
    begun = attempt.begin(ctx.session, ctx.catalog, ctx.me.id, exam_id, ctx.now, ctx.rng)
    status = begun.status
    started = "接着考" if begun.resumed else "开始计时"
    return _show_item(ctx, status, f"{study_messages.paused_line(begun.put_down)}考试《{status.exam.name}》{started}。")


def _show_item(ctx: Context, status: AttemptStatus, preface: str = "", place: int | None = None) -> Reply:
    """An item of the paper (the one in hand), with something said before it."""
    shown = paper_view.shown_item(ctx.session, ctx.catalog, status.sitting_id, place or status.place)
    assert shown is not None
    return _item_reply(status, shown, preface)


def _item_reply(status: AttemptStatus, shown: ShownItem, preface: str) -> Reply:
    text = "\n".join(line for line in (preface, messages.status_line(status)) if line)
    return Reply(text, messages.item_card(status, shown), buttons=messages.PAPER_BUTTONS)


def _resume(ctx: Context, sitting_id: int) -> Reply:
    begun = attempt.resume(ctx.session, ctx.catalog, ctx.me.id, sitting_id, ctx.now)
    status, preface = begun.status, study_messages.paused_line(begun.put_down)
    if status.unanswered and status.place not in status.unanswered:
        return _turn_to(ctx, sitting_id, next((place for place in status.unanswered if place > status.place), status.unanswered[0]), preface)
    return _show_item(ctx, status, preface)


# ── Answering ──


def _answer_typed(ctx: Context, sitting_id: int, text: str) -> Reply | None:
    tidied = normalize(text)
    status = paper_view.attempt_status(ctx.session, ctx.catalog, sitting_id, ctx.now)
    shown = paper_view.shown_item(ctx.session, ctx.catalog, sitting_id, status.place)
    assert shown is not None
    place = _parse_place(tidied, has_options=bool(shown.options))
    if place is not None:
        return _turn_to(ctx, sitting_id, place)
    numbered = parse_numbered(text)
    if numbered is not None and (shown.options or "题" in tidied):
        return _recorded_reply(ctx, answers.record_exam_answer(ctx.session, ctx.catalog, ctx.me.id, sitting_id, *numbered, ctx.incoming, ctx.now))
    if shown.choice is not None:
        raise Refusal(
            f"{study_messages.REFUSED}：第 {shown.n} 题已经答过（{shown.choice[:20]}），以第一次为准。没有答的题发「答题卡」看。", (messages.SHEET,)
        )
    return _recorded_reply(ctx, _record_typed(ctx, sitting_id, shown, text))


def _record_typed(ctx: Context, sitting_id: int, shown: ShownItem, text: str) -> RecordedAnswer:
    try:
        return answers.record_exam_answer(ctx.session, ctx.catalog, ctx.me.id, sitting_id, shown.n, text, ctx.incoming, ctx.now)
    except Refusal as refusal:
        if "没有看懂" not in str(refusal):
            raise
        how = how_to_answer(shown.kind, text) if several_answers(text) else HOW_TO_ANSWER[shown.kind]
        buttons = (*meant_answer(text, [value for value, _ in shown.options]), messages.SHEET, messages.HAND_IN)
        raise Refusal(f"{refusal}{how}；换一题发「下一题」，看全部发「答题卡」，交卷发「交卷」。", buttons) from None


def _parse_place(text: str, *, has_options: bool) -> int | None:
    """The place that a text turns to: 第 5 题, and 5 alone where no answer is written; None when it is anything else."""
    match = _PLACE.fullmatch(unicodedata.normalize("NFKC", text))
    if match is None or (not match[2] and (not has_options or not text.isdigit())):
        return None
    return numbers.to_int(match[1])


def _answer_tapped(ctx: Context, sitting_id: int, n: int, text: str) -> Reply:
    recorded = answers.record_exam_answer(ctx.session, ctx.catalog, ctx.me.id, sitting_id, n, text, ctx.incoming, ctx.now)
    if recorded.status.is_open:
        # A live contest in hand stays there; the answer is recorded all the same.
        with contextlib.suppress(Refusal):
            attempt.resume(ctx.session, ctx.catalog, ctx.me.id, sitting_id, ctx.now)
    return _recorded_reply(ctx, recorded)


def _recorded_reply(ctx: Context, recorded: RecordedAnswer) -> Reply:
    status = recorded.status
    shown = paper_view.shown_item(ctx.session, ctx.catalog, status.sitting_id, status.place) if status.is_open and status.unanswered else None
    return _reply_to_recorded(recorded, shown)


def _reply_to_recorded(recorded: RecordedAnswer, next_item: ShownItem | None) -> Reply:
    """An answer is recorded; whether it is right is not said. Then the next item, or what there is to do at the end."""
    status = recorded.status
    text = f"{study_messages.RECORDED}：第 {recorded.n} 题 {recorded.choice[:20]}。"
    if not status.is_open:
        return Reply(text)
    answered = f"已选 {recorded.choice}" if len(recorded.choice) <= 5 else "已作答"
    if next_item is None:
        return Reply(
            f"{text}\n{messages.status_line(status)}可以发「答题卡」再看一遍，或「交卷」。",
            buttons=(messages.SHEET, messages.HAND_IN),
            done=answered,
        )
    return replace(_item_reply(status, next_item, text), done=answered)


def _answer_together(session: Session, catalog: Catalog, heard: Sequence[HeardAnswer]) -> list[Reply | None]:
    """The plain answers of a batch: to the item in hand or the one that was tapped, in open papers and in time."""
    facts = answers.gather(session, [PaperPlace(answer.person_id, answer.row_id, answer.number) for answer in heard])
    decisions = [None if known is None else _decide_plain(session, catalog, answer, known) for answer, known in zip(heard, facts, strict=True)]
    kept = [decision for decision in decisions if decision is not None]
    answers.keep(session, kept)
    statuses = [decision.recorded.status for decision in kept]
    next_items = attempts.items_at(session, [(status.sitting_id, status.place) for status in statuses if status.unanswered])
    replies: list[Reply | None] = []
    for decision in decisions:
        item = None if decision is None else next_items.get(decision.recorded.status.sitting_id)
        shown = None if item is None else paper_view.as_shown(session, catalog, item)
        replies.append(None if decision is None else _reply_to_recorded(decision.recorded, shown))
    return replies


def _decide_plain(session: Session, catalog: Catalog, answer: HeardAnswer, facts: PaperFacts) -> ExamDecision | None:
    """The decision on a plain answer; None for what turns to a place, names one, is refused, or comes after the paper was closed."""
    if facts.attempt.state != "open":
        return None
    if answer.number is None:
        has_options = bool(catalog.question(session, facts.item.version_id).choices)
        tidied = normalize(answer.text)
        numbered = parse_numbered(answer.text) is not None and (has_options or "题" in tidied)
        if numbered or _parse_place(tidied, has_options=has_options) is not None:
            return None
    try:
        return answers.decide(session, catalog, facts, answer.text, answer.incoming, answer.incoming.arrived)
    except Refusal:
        # Said again, with all that belongs to it, when the message is heard by itself.
        return None


# ── Moving about ──


def _turn_to(ctx: Context, sitting_id: int, place: int, preface: str = "") -> Reply:
    status, shown = answers.turn_to_item(ctx.session, ctx.catalog, ctx.me.id, sitting_id, place, ctx.now)
    return Reply(
        "\n".join(line for line in (preface, messages.status_line(status)) if line), messages.item_card(status, shown), buttons=messages.PAPER_BUTTONS
    )


def _step(ctx: Context, sitting_id: int, step: int) -> Reply:
    status = paper_view.attempt_status(ctx.session, ctx.catalog, sitting_id, ctx.now)
    place = status.place + step
    if place > status.size:
        return _sheet(ctx, sitting_id, "后面没有题了。")
    return _turn_to(ctx, sitting_id, max(1, place), "这就是第一题。" if place < 1 else "")


def _next_item(ctx: Context, sitting_id: int) -> Reply:
    return _step(ctx, sitting_id, 1)


def _skip(ctx: Context, sitting_id: int) -> Reply:
    """跳过: the next item that is not answered."""
    status = paper_view.attempt_status(ctx.session, ctx.catalog, sitting_id, ctx.now)
    next_place = next((place for place in status.unanswered if place > status.place), None) or next(iter(status.unanswered), None)
    if next_place is None or next_place == status.place:
        return _sheet(ctx, sitting_id, "没有别的未答题了。")
    return _turn_to(ctx, sitting_id, next_place)


def _pause(ctx: Context, sitting_id: int) -> Reply:
    name = current_task.pause(ctx.session, ctx.catalog, ctx.me.id, ctx.now)
    if not name:
        return Reply("手上没有打开的考试。发送「考试」看列表。")
    status = paper_view.attempt_status(ctx.session, ctx.catalog, sitting_id, ctx.now)
    return Reply(
        f"已放下{name}，已答的都已保存；⏱ 时间照走，{paper_view.time_left_line(status)}。回复「继续」接着考。", buttons=(study_messages.RESUME,)
    )


def _expects_text(ctx: Context, sitting_id: int) -> bool:
    in_hand = sittings.current_item(ctx.session, sitting_id)
    return in_hand is not None and not ctx.catalog.question(ctx.session, in_hand[1].version_id).choices


tasks.register(TaskKind("exam", "e", _answer_typed, _answer_tapped, _resume, _next_item, _skip, _pause, _expects_text, _answer_together))


def _ended_sentence(ctx: Context) -> str:
    """What is to be said to an answer that comes when the exam it was meant for is over."""
    last = attempts.latest(ctx.session, ctx.me.id)
    if last is None or last.closed_at is None or ctx.now - last.closed_at > ENDED_RECENTLY:
        return ""
    exam = exams.get(ctx.session, last.exam_id)
    return paper_view.ended_sentence(exam, last) if exam is not None else ""


ENDED_SOURCES.append(_ended_sentence)


def _open_sitting_id(ctx: Context) -> int:
    """The exam that the sender is at, in hand or put down."""
    focus = study_current_task.focus(ctx.session, ctx.me.id)
    if focus is not None and focus[0] == "exam":
        return focus[1]
    open_attempts = attempts.open_attempts(ctx.session, ctx.me.id)
    if not open_attempts:
        raise Refusal("您现在没有在考的考试。发送「考试」看列表。", (Option("考试", "考试"),))
    return open_attempts[0].sitting_id


@command("上一题")
def previous_item(ctx: Context, _: str) -> Reply:
    """考试中回看上一题；“下一题”“第 5 题”同样可用。"""
    focus = study_current_task.focus(ctx.session, ctx.me.id)
    if focus is not None and focus[0] in ("sitting", "match"):
        raise Refusal(
            "答过的题以第一次为准，不能回去改；结果和解析就在上面。接着答这一题回复「继续」。", (study_messages.RESUME, study_messages.REPORT)
        )
    return _step(ctx, _open_sitting_id(ctx), -1)


@command("答题卡", "未答", "检查")
def sheet(ctx: Context, _: str) -> Reply:
    """考试中看全部题答了没有、还剩多少时间。"""
    return _sheet(ctx, _open_sitting_id(ctx))


def _sheet(ctx: Context, sitting_id: int, preface: str = "") -> Reply:
    begun = attempt.resume(ctx.session, ctx.catalog, ctx.me.id, sitting_id, ctx.now)
    text = messages.answer_sheet(begun.status, paper_view.shown_paper(ctx.session, ctx.catalog, sitting_id))
    first_unanswered = begun.status.unanswered[:1]
    buttons = tuple(Option(f"第 {place} 题", f"看第 {place} 题") for place in first_unanswered)
    return Reply("\n".join(line for line in (preface, text) if line), buttons=(*buttons, messages.HAND_IN, *_page_button(ctx, begun.status.exam)))


@command("交卷")
def hand_in(ctx: Context, _: str) -> Reply:
    """考试中交卷：先列出没有答的题，确认后才交。"""
    begun = attempt.resume(ctx.session, ctx.catalog, ctx.me.id, _open_sitting_id(ctx), ctx.now)
    return Reply(messages.confirm_question(begun.status), buttons=(messages.CONFIRM, messages.SHEET, study_messages.RESUME))


@command("确认交卷")
def hand_in_now(ctx: Context, _: str) -> Reply:
    """确认交卷：交了就不能再答。"""
    status = answers.hand_in(ctx.session, ctx.catalog, ctx.me.id, _open_sitting_id(ctx), ctx.incoming, ctx.now)
    exam = status.exam
    waiting = current_task.waiting(ctx.session, ctx.catalog, ctx.me.id)
    lines = [
        f"{study_messages.RECORDED}：考试《{exam.name}》已于 {date_time_text(ctx.now)} 交卷，答了 {status.answered}/{status.size} 题。",
        messages.result(exam, status.attempt),
        *([study_messages.waiting_line(waiting)] if waiting else []),
    ]
    buttons = (study_messages.RESUME,) if waiting else (Option("考试", "我的考试"), Option("我的学时", "我的学时"))
    return Reply("\n".join(lines), buttons=(*_after_failing(exam, status.attempt), *buttons)[:5])
