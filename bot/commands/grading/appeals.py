"""Short answers that wait for a person, and appeals against a mark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from bot.commands.actions import Act, ActValue, Outcome, action
from bot.commands.router import Context, command
from bot.commands.study import messages
from bot.domain.campaign.content import clean_content
from bot.domain.message import Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.text.numbers import find_row_number, points_text
from bot.domain.times import chinese_day, day_of
from bot.services.campaign.manage import author_of
from bot.services.grading import appeals, short_answers
from bot.services.library import key_visibility
from bot.storage.grading import appeals as grading_appeals
from bot.storage.grading import short_answers as grading_short_answers
from bot.storage.grading.appeals import ExamAppeal
from bot.storage.tables.columns import stamp

LISTED = 10
_FILE = re.compile(r"(?:考试\s*)?#?(\d{1,9})\s*(.*)", re.DOTALL)
_ANSWER = re.compile(r"回复\s*#?(\d{1,9})\s*(准予|同意|维持|驳回)\s*(?:更正\s*#?(\d{1,9})\s*)?[:：,，]?\s*(.*)", re.DOTALL)
_GRANTED = ("准予", "同意")
ANSWER_HELP = "答复请发「申诉 回复 编号 准予 理由」或「申诉 回复 编号 维持 理由」；成绩要改的先「更正」，再「申诉 回复 编号 准予 更正 7 理由」"


@command("申诉", argument="<考试编号 理由>")
def appeal(ctx: Context, text: str) -> Reply:
    """对考试结果有异议：“申诉 3 理由”（3 是考试编号）；“申诉”看办理情况。"""
    if text.startswith("回复") and ctx.me.may(RoleName.ADMIN):
        return answer_appeal.say(ctx, text)
    if not text:
        return _list(ctx)
    match = _FILE.fullmatch(_raw_text(ctx)) or _FILE.fullmatch(text)
    if match is None:
        raise Refusal(f"{messages.REFUSED}：请写考试编号和理由，例如「申诉 3 第 5 题的标准答案与条文不符」。编号在「考试」里。")
    filed = appeals.file_appeal(ctx.session, ctx.library.calendar, ctx.me.id, int(match[1]), match[2], ctx.now)
    return Reply(
        f"{messages.RECORDED}。申诉 #{filed.id}：考试《{filed.exam}》。"
        f"管理员将在 {chinese_day(filed.due_on)}前答复，结果会发给您；随时发「申诉」看办理情况。"
    )


def _raw_text(ctx: Context) -> str:
    """What was typed after the word, in the sender's own punctuation: it will be read by others."""
    return clean_content(ctx.incoming.text.partition("申诉")[2])


def _list(ctx: Context) -> Reply:
    lines = []
    if ctx.me.may(RoleName.ADMIN):
        waiting = appeals.open_appeals(ctx.session, author_of(ctx.session, ctx.me, ctx.incoming.sender.channel), ctx.today)
        if waiting:
            lines += [f"待答复的申诉 {len(waiting)} 件：", *(_open_line(item, ctx) for item in waiting[:LISTED]), f"{ANSWER_HELP}。", ""]
    own_appeals = grading_appeals.of_person(ctx.session, ctx.me.id)
    lines += ["我的申诉：", *(_own_line(item) for item in own_appeals)] if own_appeals else []
    if not lines:
        return Reply("没有申诉。对考试结果有异议，请发「申诉 考试编号 理由」；题目有错请发「纠错 哪里不对」。")
    return Reply("\n".join(lines).strip())


def _open_line(item: ExamAppeal, ctx: Context) -> str:
    late = "（已超期）" if item.due_on < ctx.today else ""
    passed = {True: "合格", False: "不合格", None: "待阅卷"}[item.passed]
    score = "" if item.score is None else f"{points_text(item.score)} 分，"
    head = f"\n#{item.id} {item.name}（{item.staff_no}）　考试 {item.exam_id}《{item.exam}》{score}{passed}"
    return f"{head}\n{chinese_day(item.due_on)}前答复{late}：{item.said}"


def _own_line(item: ExamAppeal) -> str:
    if item.answered_at is None:
        return f"#{item.id} 考试《{item.exam}》：办理中，{chinese_day(item.due_on)}前答复"
    day = chinese_day(day_of(item.answered_at))
    return f"#{item.id} 考试《{item.exam}》：{day}{'准予' if item.granted else '维持原结果'}。{item.answered}"


def _parse_answer(ctx: Context, word: str, text: str) -> Mapping[str, Any]:
    match = _ANSWER.fullmatch(_raw_text(ctx)) or _ANSWER.fullmatch(text)
    if match is None:
        raise Refusal(f"没有答复：{ANSWER_HELP}。")
    correction_id = int(match[3]) if match[3] else None
    return {"appeal_id": int(match[1]), "granted": match[2] in _GRANTED, "reason": match[4], "correction_id": correction_id}


@action("申诉 回复", usage="申诉 回复 编号 准予|维持 理由", listed=True, parse=_parse_answer)
def answer_appeal(
    act: Act,
    appeal_id: Annotated[int, ActValue("编号", "申诉编号")],
    granted: Annotated[bool, ActValue("准予或维持")],
    reason: Annotated[str, ActValue("理由")],
    correction_id: Annotated[int | None, ActValue("更正", "成绩因哪次更正而改")] = None,
) -> Outcome:
    """答复一件申诉：准予或维持原结果，写明理由；成绩要改的先「更正」，再「申诉 回复 编号 准予 更正 7 理由」。"""
    answered = appeals.answer(act.session, act.author, act.me.id, appeal_id, granted, reason, act.now, correction_id)
    told = f"{messages.RECORDED}。申诉 #{answered.id} 已答复：{'准予' if answered.granted else '维持原结果'}，结果会发给本人。"
    return Outcome(reply=Reply(told))


@action(cli="exam appeals")
def open_appeals(act: Act) -> Outcome:
    """待答复的申诉，最急的在前；答复在聊天里做（要本人具名）。"""
    waiting = appeals.open_appeals(act.session, act.author, act.today)
    plain = [
        {
            "id": item.id,
            "staff_no": item.staff_no,
            "name": item.name,
            "exam": item.exam_id,
            "score": None if item.score is None else item.score / 1000,
            "passed": item.passed,
            "said": item.said,
            "appealed_at": stamp(item.appealed_at),
            "due_on": item.due_on.isoformat(),
            "late": item.due_on < act.today,
        }
        for item in waiting
    ]
    lines = [f"#{item.id} {item.staff_no} {item.name}　考试 {item.exam_id}《{item.exam}》　{item.due_on} 前答复　{item.said}" for item in waiting]
    return Outcome(plain, lines or ["没有待答复的申诉。"])


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
