"""Command 纠错: a reader reports a question, an administrator sees it with its text and the reader's answer, and answers."""

from __future__ import annotations

import re
from typing import Annotated

from bot.commands.actions import Act, ActValue, Outcome, action
from bot.commands.router import Context, command
from bot.commands.study import messages
from bot.domain.message import Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.times import chinese_day, day_of
from bot.services.library import key_visibility
from bot.services.study import quiz
from bot.storage.study import current_task, sittings
from bot.storage.system import audit

_ANSWER = re.compile(r"回复\s*#?(\d{1,9})\s+(\S.{0,299})", re.DOTALL)
_MEANT_AS_ANSWER = re.compile(r"回复\s*#?\d|#?\d{1,9}(\s|$)")


@command("纠错", "报错", argument="<哪里不对>", takes=lambda _, text: True)
def report(ctx: Context, text: str) -> Reply:
    """题目有错？答题后发“纠错 哪里不对”，管理员会看到并回复。"""
    is_admin = ctx.me.may(RoleName.ADMIN)
    match = _ANSWER.fullmatch(text)
    if is_admin and match:
        return answer_report.carry_out(ctx, {"number": int(match[1]), "text": match[2].strip()})
    if is_admin and not text:
        key_visibility.require_not_at_exam(ctx.session, ctx.me.id, ctx.now)
        return _open_reports(ctx)
    if is_admin and _MEANT_AS_ANSWER.match(text):
        raise Refusal("没有答复：请发「纠错 回复 编号 内容」，例如“纠错 回复 1 已核对，谢谢”，内容不超过 300 字。")
    reported = _reported_question(ctx)
    if reported is None:
        key_visibility.require_not_at_exam(ctx.session, ctx.me.id, ctx.now)
        own_reports = _own_reports(ctx)
        return own_reports or Reply("先答一道题，再发“纠错 哪里不对”报告那道题。")
    version_id, answer_id = reported
    number = sittings.add_report(ctx.session, ctx.me.id, version_id, answer_id, ctx.written(text), ctx.now)
    stem = ctx.catalog.question(ctx.session, version_id).stem
    hint = "" if text else "想说明哪里不对，可以再发「纠错 哪里不对」补充。"
    return Reply(
        f"{messages.RECORDED}。报告 #{number} 已转管理员：「{stem[:30]}…」。{hint}处理结果会在这里告诉您，谢谢。", buttons=(messages.RESUME,)
    )


def _reported_question(ctx: Context) -> tuple[int, int | None] | None:
    """(version row, answer) of what is meant: the question answered last in this set, or the one in hand when none is answered yet."""
    last = sittings.last_answer(ctx.session, ctx.me.id)
    focus = current_task.focus(ctx.session, ctx.me.id)
    if focus is not None and focus[0] in ("sitting", "exam") and (last is None or last[1] != focus[1]):
        return quiz.current_question(ctx.session, ctx.catalog, focus[1]).item.version_id, None
    return None if last is None else (last[4], last[0])


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
    """答复一条纠错报告，报告人下次使用时看到；“纠错”看待处理的。"""
    answered = sittings.answer_report(act.session, number, act.me.id, text, act.now)
    if answered is None:
        raise Refusal(f"没有编号为 #{number} 的待处理纠错。发送「纠错」看列表。")
    audit.record(act.session, act.now, act.author.actor, act.author.via, "答复纠错", f"report:{number}", detail=text)
    return Outcome(reply=Reply(f"{messages.RECORDED}。#{number} 已答复，报告人下次使用时会看到。"))
