"""Command 阅卷: an administrator grades the short answers that wait for a person."""

from __future__ import annotations

from typing import Annotated

from bot.commands.actions import Act, ActValue, Outcome, action
from bot.commands.router import Context, command
from bot.commands.study import messages
from bot.domain.message import Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.text.numbers import find_row_number
from bot.services.grading import short_answers
from bot.services.library import key_visibility
from bot.storage.grading import short_answers as grading_short_answers


@command("阅卷", "批阅", role=RoleName.ADMIN, argument="<编号 对|半|错>")
def grade(ctx: Context, text: str) -> Reply:
    """确认简答题的暂定得分：“阅卷”看列表，“阅卷 12 对”确认。"""
    if not text:
        key_visibility.require_not_at_exam(ctx.session, ctx.me.id, ctx.now)
        return _ungraded_list(ctx)
    typed, _, word = text.partition(" ")
    number = find_row_number(typed)
    earned = {"对": 1000, "半": 500, "半对": 500, "错": 0}.get(word.strip())
    if number is None or earned is None:
        raise Refusal("请这样确认：“阅卷 编号 对”“阅卷 编号 半”或“阅卷 编号 错”。")
    return confirm_grade.carry_out(ctx, {"answer_id": number, "earned": earned, "word": word.strip()})


@action("阅卷", usage="阅卷 12 对")
def confirm_grade(
    act: Act,
    answer_id: Annotated[int, ActValue("编号", "作答编号")],
    earned: Annotated[int, ActValue("千分之几")],
    word: Annotated[str, ActValue("对、半或错")],
) -> Outcome:
    """确认一道简答题的暂定得分。"""
    grader = (act.me.id, act.author.actor)
    short_answers.confirm(act.session, act.catalog, answer_id, earned, word, grader, act.author.via, act.now)
    return Outcome(reply=Reply(f"{messages.RECORDED}。编号 {answer_id} 按「{word}」确认。"))


def _ungraded_list(ctx: Context) -> Reply:
    rows = grading_short_answers.list_ungraded(ctx.session, ctx.me.id, ctx.today)
    if not rows:
        return Reply("没有待确认的简答题。")
    lines = ["待确认的简答题（回复“阅卷 编号 对/半/错”）："]
    for number, name, staff_no, version_id, text, earned in rows:
        question = ctx.catalog.question(ctx.session, version_id)
        lines += [f"\n{number}. {name}（{staff_no}），机器暂定 {earned / 10:g} 分", question.stem, f"作答：{text}", f"要点：\n{question.show_key()}"]
    return Reply("\n".join(lines))
