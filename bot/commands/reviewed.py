"""答卷: one's own paper after the exam, item by item as it was seen, with the note where a key was put right since (features.md A08)."""

from __future__ import annotations

import re

from bot.commands.exam import words
from bot.commands.router import Context, command
from bot.domain.correction import points_text
from bot.domain.message import Option, Refusal, Reply
from bot.services import exam as exams
from bot.services.exam.review import Reviewed, review
from bot.storage.exam import attempts

_SAID = re.compile(r"#?(\d{1,9})(?:\s+第?\s*(\d{1,3})\s*题?)?")


@command("答卷", takes="<考试编号 题号>")
def paper(ctx: Context, said: str) -> Reply:
    """考完看自己的答卷：“答卷 3”看得分和错题，“答卷 3 5”看第 5 题的原题、作答、答案和更正说明。"""
    found = _SAID.fullmatch(said)
    if found is None:
        raise Refusal("请写考试编号，例如「答卷 3」；看一题写「答卷 3 5」。编号在「考试」里。")
    exam_id = int(found[1])
    exam = exams.visible(ctx.session, ctx.me.id, exam_id, ctx.now)
    closed = [one for one in attempts.attempts(ctx.session, exam_id, ctx.me.id) if one.state == "closed"]
    if not closed:
        raise Refusal(f"您还没有考过《{exam.name}》，没有答卷可看。")
    items = review(ctx.session, ctx.shelf, exam, closed[-1])
    if not items:
        raise Refusal(f"《{exam.name}》的答卷现在还不能看。{words.result(exam, closed[-1])}")
    if found[2]:
        return _item(exam_id, items, int(found[2]))
    wrong = [one.n for one in items if one.mark.counts and one.mark.earned < 1000]
    amended = [one.n for one in items if one.amended is not None]
    lines = [f"📄 《{exam.name}》我的答卷：{words.result(exam, closed[-1])}"]
    lines.append(f"没得满分的：第 {words.places(wrong)} 题。" if wrong else "全部得满分。")
    lines += [f"更正过的：第 {words.places(amended)} 题。"] if amended else []
    lines.append(f"看一题发「答卷 {exam_id} 题号」；对结果有异议发「申诉 {exam_id} 理由」。")
    first = (amended or wrong or [1])[:3]
    return Reply("\n".join(lines), buttons=tuple(Option(f"答卷 {exam_id} {n}", f"第 {n} 题") for n in first))


def _item(exam_id: int, items: list[Reviewed], n: int) -> Reply:
    one = next((one for one in items if one.n == n), None)
    if one is None:
        raise Refusal(f"这份答卷只有 {len(items)} 题，没有第 {n} 题。")
    question = one.question
    lines = [f"第 {n}/{len(items)} 题 · {question.label} · {points_text(one.mark.points)} 分", question.stem]
    lines += [f"{letter}. {text}" for letter, text in question.options]
    lines += [f"您当时的作答：{one.choice or '没有答'}", f"当时的标准答案：{question.key or question.show_key()}"]
    if one.amended is not None:
        lines.append(f"📝 此题后来更正：{one.amended}。原因：{one.reason}。题目和作答保持原样，得分按更正后计。")
    lines.append(_worth(one))
    lines += [f"解析：{question.explanation}", question.cited]
    buttons = tuple(Option(f"答卷 {exam_id} {near}", label) for near, label in ((n - 1, "上一题"), (n + 1, "下一题")) if 1 <= near <= len(items))
    return Reply("\n".join(lines), buttons=buttons)


def _worth(one: Reviewed) -> str:
    if not one.mark.counts:
        return "此题已作废，不计分，其余各题折算成满分。"
    if one.mark.waits:
        return "等人工阅卷，得分暂定。"
    return f"得分 {points_text(one.mark.points * one.mark.earned // 1000)}/{points_text(one.mark.points)}"
