"""申诉: against the result of an exam; everybody sees their own, administrators answer those of their people."""

from __future__ import annotations

import re

from bot.commands.router import Context, command
from bot.commands.study import messages
from bot.domain.campaign.content import clean_content
from bot.domain.message import Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.text.numbers import points_text
from bot.domain.times import chinese_day, day_of
from bot.services.campaign.manage import author_of
from bot.services.grading import appeals
from bot.storage.grading import appeals as grading_appeals
from bot.storage.grading.appeals import ExamAppeal

SHOWN = 10
_MADE = re.compile(r"(?:考试\s*)?#?(\d{1,9})\s*(.*)", re.DOTALL)
_ANSWER = re.compile(r"回复\s*#?(\d{1,9})\s*(准予|同意|维持|驳回)\s*(?:更正\s*#?(\d{1,9})\s*)?[:：,，]?\s*(.*)", re.DOTALL)
_GRANTED = ("准予", "同意")
HOW_TO_ANSWER = "答复请发「申诉 回复 编号 准予 理由」或「申诉 回复 编号 维持 理由」；成绩要改的先「更正」，再「申诉 回复 编号 准予 更正 7 理由」"


@command("申诉", argument="<考试编号 理由>")
def appeal(ctx: Context, said: str) -> Reply:
    """对考试结果有异议：“申诉 3 理由”（3 是考试编号）；“申诉”看办理情况。"""
    if said.startswith("回复") and ctx.me.may(RoleName.ADMIN):
        return _answer(ctx, said)
    if not said:
        return _list(ctx)
    found = _MADE.fullmatch(_typed(ctx)) or _MADE.fullmatch(said)
    if found is None:
        raise Refusal(f"{messages.REFUSED}：请写考试编号和理由，例如「申诉 3 第 5 题的标准答案与条文不符」。编号在「考试」里。")
    made = appeals.appeal(ctx.session, ctx.library.calendar, ctx.me.id, int(found[1]), found[2], ctx.now)
    return Reply(
        f"{messages.RECORDED}。申诉 #{made.id}：考试《{made.exam}》。"
        f"管理员将在 {chinese_day(made.due_on)}前答复，结果会发给您；随时发「申诉」看办理情况。"
    )


def _typed(ctx: Context) -> str:
    """What was typed after the word, in the sender's own punctuation: it will be read by others."""
    return clean_content(ctx.incoming.text.partition("申诉")[2])


def _list(ctx: Context) -> Reply:
    lines = []
    if ctx.me.may(RoleName.ADMIN):
        waiting = appeals.within(ctx.session, author_of(ctx.session, ctx.me, ctx.incoming.sender.channel), ctx.today)
        if waiting:
            lines += [f"待答复的申诉 {len(waiting)} 件：", *(_line(one, ctx) for one in waiting[:SHOWN]), f"{HOW_TO_ANSWER}。", ""]
    mine = grading_appeals.of_person(ctx.session, ctx.me.id)
    lines += ["我的申诉：", *(_mine(one) for one in mine)] if mine else []
    if not lines:
        return Reply("没有申诉。对考试结果有异议，请发「申诉 考试编号 理由」；题目有错请发「纠错 哪里不对」。")
    return Reply("\n".join(lines).strip())


def _line(one: ExamAppeal, ctx: Context) -> str:
    late = "（已超期）" if one.due_on < ctx.today else ""
    passed = {True: "合格", False: "不合格", None: "待阅卷"}[one.passed]
    score = "" if one.score is None else f"{points_text(one.score)} 分，"
    head = f"\n#{one.id} {one.name}（{one.staff_no}）　考试 {one.exam_id}《{one.exam}》{score}{passed}"
    return f"{head}\n{chinese_day(one.due_on)}前答复{late}：{one.said}"


def _mine(one: ExamAppeal) -> str:
    if one.answered_at is None:
        return f"#{one.id} 考试《{one.exam}》：办理中，{chinese_day(one.due_on)}前答复"
    day = chinese_day(day_of(one.answered_at))
    return f"#{one.id} 考试《{one.exam}》：{day}{'准予' if one.granted else '维持原结果'}。{one.answered}"


def _answer(ctx: Context, said: str) -> Reply:
    found = _ANSWER.fullmatch(_typed(ctx)) or _ANSWER.fullmatch(said)
    if found is None:
        raise Refusal(f"没有答复：{HOW_TO_ANSWER}。")
    author = author_of(ctx.session, ctx.me, ctx.incoming.sender.channel)
    linked = int(found[3]) if found[3] else None
    done = appeals.answer(ctx.session, author, ctx.me.id, int(found[1]), found[2] in _GRANTED, found[4], ctx.now, linked)
    return Reply(f"{messages.RECORDED}。申诉 #{done.id} 已答复：{'准予' if done.granted else '维持原结果'}，结果会发给本人。")
