"""Command 纠错: a reader reports a question, an administrator sees it with its text and the reader's answer, and answers."""

from __future__ import annotations

import re
from typing import Annotated

from bot.commands.actions import Act, ActValue, Outcome, action
from bot.commands.router import Context, command
from bot.commands.study import messages
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.times import chinese_day, day_of
from bot.services.campaign.notifications import NOTICE_TITLE, notice_content, notify
from bot.services.library import key_visibility
from bot.services.study import quiz
from bot.storage.study import current_task, sittings
from bot.storage.system import audit

_ANSWER = re.compile(r"回复\s*#?(\d{1,9})\s+(\S.{0,299})", re.DOTALL)
LAST_ONE, THIS_ONE = ("上一题", "刚答的", "上一道"), ("这道题", "正在看的", "这一题")
_WHICH = re.compile(rf"({'|'.join((*LAST_ONE, *THIS_ONE))})(?:[\s:,，：]+(.*)|())", re.DOTALL)
_NUMBER = re.compile(r"#?(\d{1,9})")
MAX_OWN = 100
_MEANT_AS_ANSWER = re.compile(r"回复\s*#?\d|#?\d{1,9}(\s|$)")


@command("纠错", "报错", argument="<哪里不对>", takes=lambda _, text: True)
def report(ctx: Context, text: str) -> Reply:
    """题目有错？“纠错 哪里不对”报刚答的那道，“纠错 这道题 哪里不对”报正在看的；单发“纠错”看办到哪了，“纠错 3”看一条。"""
    is_admin = ctx.me.may(RoleName.ADMIN)
    match = _ANSWER.fullmatch(text)
    if is_admin and match:
        return answer_report.carry_out(ctx, {"number": int(match[1]), "text": match[2].strip()})
    if is_admin and not text and current_task.focus(ctx.session, ctx.me.id) is None:
        key_visibility.require_not_at_exam(ctx.session, ctx.me.id, ctx.now)
        return _open_reports(ctx)
    if is_admin and _MEANT_AS_ANSWER.match(text):
        raise Refusal("没有答复：请发「纠错 回复 编号 内容」，例如“纠错 回复 1 已核对，谢谢”，内容不超过 300 字。")
    if (own := _NUMBER.fullmatch(text)) is not None:
        return _own_report(ctx, int(own[1]))
    if not text:
        return _ask_which(ctx)
    which = _WHICH.fullmatch(text)
    reported = _question_in_hand(ctx) if which is not None and which[1] in THIS_ONE else _reported_question(ctx)
    if reported is None:
        key_visibility.require_not_at_exam(ctx.session, ctx.me.id, ctx.now)
        return Reply("先答一道题，再发“纠错 哪里不对”报告那道题。")
    comment = ctx.written(text if which is None else (which[2] or "").strip())
    version_id, answer_id = reported
    number = sittings.add_report(ctx.session, ctx.me.id, version_id, answer_id, comment, ctx.now)
    hint = "" if comment else f"想说明哪里不对，可以再发「纠错{' ' + which[1] if which is not None else ''} 哪里不对」补充。"
    told = f"报告 #{number} 已转管理员：「{_stem(ctx, version_id)}」。{hint}处理结果会发到这里，随时发「纠错 {number}」看办到哪了，谢谢。"
    return Reply(f"{messages.RECORDED}。{told}", buttons=(messages.RESUME,))


def _stem(ctx: Context, version_id: int) -> str:
    return f"{ctx.catalog.question(ctx.session, version_id).stem[:30]}…"


def _ask_which(ctx: Context) -> Reply:
    """Which question is meant, the one just answered or the one in hand, and how the earlier reports stand."""
    answered, in_hand = _last_answered(ctx), _question_in_hand(ctx)
    if answered is None and in_hand is None:
        key_visibility.require_not_at_exam(ctx.session, ctx.me.id, ctx.now)
        return _own_reports(ctx) or Reply("先答一道题，再发“纠错 哪里不对”报告那道题。")
    buttons: list[Option] = []
    lines = ["哪一道题有错？点一下，或直接写明哪里不对："]
    if answered is not None:
        lines.append(f"· 刚答的「{_stem(ctx, answered[0])}」：「纠错 {LAST_ONE[0]} 哪里不对」")
        buttons.append(Option(f"纠错 {LAST_ONE[0]}", "刚答的那道"))
    if in_hand is not None:
        lines.append(f"· 正在看的「{_stem(ctx, in_hand[0])}」：「纠错 {THIS_ONE[0]} 哪里不对」")
        buttons.append(Option(f"纠错 {THIS_ONE[0]}", "正在看的这道"))
    at_exam = key_visibility.current_exam_name(ctx.session, ctx.me.id, ctx.now)
    own = None if at_exam else _own_reports(ctx)
    return Reply("\n".join([*lines, *(["", own.text] if own is not None else [])]), buttons=(*buttons, messages.RESUME))


def _own_report(ctx: Context, number: int) -> Reply:
    """One report of the sender's own: what was said, and what came of it."""
    key_visibility.require_not_at_exam(ctx.session, ctx.me.id, ctx.now)
    row = next((row for row in sittings.reports_of_person(ctx.session, ctx.me.id, top=MAX_OWN) if row[0] == number), None)
    if row is None:
        raise Refusal(f"您没有编号为 #{number} 的报告。发送「纠错」看自己报告的题。")
    _, version_id, said, answered, _ = row
    lines = [
        f"报告 #{number}「{_stem(ctx, version_id)}」",
        f"您说：{said or '（没有写）'}",
        f"回复：{answered}" if answered else "处理中，回复会发到这里。",
    ]
    return Reply("\n".join(lines))


def _last_answered(ctx: Context) -> tuple[int, int] | None:
    last = sittings.last_answer(ctx.session, ctx.me.id)
    return None if last is None else (last[4], last[0])


def _question_in_hand(ctx: Context) -> tuple[int, None] | None:
    focus = current_task.focus(ctx.session, ctx.me.id)
    if focus is None or focus[0] not in ("sitting", "exam", "match") or sittings.current_item(ctx.session, focus[1]) is None:
        return None
    return quiz.current_question(ctx.session, ctx.catalog, focus[1]).item.version_id, None


def _reported_question(ctx: Context) -> tuple[int, int | None] | None:
    """(version row, answer) of what is meant: the question answered last in this set, or the one in hand when none is answered yet."""
    last = sittings.last_answer(ctx.session, ctx.me.id)
    focus = current_task.focus(ctx.session, ctx.me.id)
    if focus is not None and (last is None or last[1] != focus[1]) and (in_hand := _question_in_hand(ctx)) is not None:
        return in_hand
    return _last_answered(ctx)


def _own_reports(ctx: Context) -> Reply | None:
    rows = sittings.reports_of_person(ctx.session, ctx.me.id)
    if not rows:
        return None
    lines = ["我报告的题："]
    for number, version_id, _, answered, _ in rows:
        stem = ctx.catalog.question(ctx.session, version_id).stem[:20]
        lines.append(f"#{number} {stem}… {'回复：' + answered if answered else '处理中'}")
    return Reply("\n".join(lines))


def _open_reports(ctx: Context) -> Reply:
    rows = sittings.open_reports(ctx.session)
    if not rows:
        return Reply("没有待处理的纠错。")
    lines = ["待处理的纠错（回复“纠错 回复 编号 内容”答复）："]
    hidden = key_visibility.hidden_questions(ctx.session, ctx.me.id)
    for number, name, staff_no, version_id, choice, comment, reported_at in rows:
        question = ctx.catalog.question(ctx.session, version_id)
        lines.append(f"\n#{number} {name}（{staff_no}）于{chinese_day(day_of(reported_at))}报告 {question.id}")
        lines.append(question.stem)
        lines += [f"{letter}. {text}" for letter, text in question.options]
        lines.append(f"标准答案：{question.show_key() if question.id not in hidden else '这道题在您的考试卷里，考试结束后再看'}")
        lines.append(f"报告人作答：{choice or '未作答'}")
        lines.append(f"报告人说：{comment or '（没有写）'}")
    return Reply("\n".join(lines))


@action("纠错 回复", usage="纠错 回复 编号 内容", listed=True)
def answer_report(act: Act, number: Annotated[int, ActValue("编号", "报告编号")], text: Annotated[str, ActValue("内容")]) -> Outcome:
    """答复一条纠错报告，答复发给报告人；“纠错”看待处理的。"""
    answered = sittings.answer_report(act.session, number, act.me.id, text, act.now)
    if answered is None:
        raise Refusal(f"没有编号为 #{number} 的待处理纠错。发送「纠错」看列表。")
    audit.record(act.session, act.now, act.author.actor, act.author.via, "答复纠错", f"report:{number}", detail=text)
    person_id, version_id = answered
    question = act.catalog.question(act.session, version_id)
    if key_visibility.current_exam_name(act.session, person_id, act.now) or question.id in key_visibility.hidden_questions(act.session, person_id):
        # The answer may hold the key of what they are examined on: they read it when they come back after it (`quiz.notices`).
        return Outcome(reply=Reply(f"{messages.RECORDED}。#{number} 已答复，报告人考试结束后会看到。"))
    content = notice_content(f"您报告的题「{question.stem[:30]}…」（#{number}）有回复：{text}")
    notify(act.session, [person_id], content, once=f"report:{number}", now=act.now, name=f"{NOTICE_TITLE}：纠错有了答复")
    sittings.mark_answer_seen(act.session, number, act.now)
    return Outcome(reply=Reply(f"{messages.RECORDED}。#{number} 已答复，会发给报告人。"))
