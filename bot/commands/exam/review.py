"""考试 12 解析: a person's own paper after the exam, item by item, with right answer, explanation and source."""

from __future__ import annotations

from bot.commands.exam import messages
from bot.commands.router import Context
from bot.domain.exam.blueprint import exact_points_text
from bot.domain.exam.exam import counting_attempts
from bot.domain.message import Option, Refusal, Reply
from bot.services.exam import attempt as exam_attempt
from bot.services.exam.paper_view import ReviewedItem, review_paper, why_not_reviewable
from bot.storage.exam import attempts


def review_exam(ctx: Context, exam_id: int, n: int | None) -> Reply:
    """The n-th item of the attempt that counts; without a number the whole in marks, and the first item that was not (all) right."""
    exam = exam_attempt.visible_exam(ctx.session, ctx.me.id, exam_id, ctx.now)
    attempt = counting_attempts(attempts.of_person_at_exam(ctx.session, exam_id, ctx.me.id)).get(ctx.me.id)
    if attempt is None:
        raise Refusal(f"您没有参加考试《{exam.name}》，没有可看的卷。")
    paper = review_paper(ctx.session, ctx.catalog, exam, attempt, ctx.now)
    if not paper and exam.tells_keys and (obstacle := why_not_reviewable(ctx.session, attempt, ctx.now)):
        raise Refusal(obstacle)
    if not paper:
        raise Refusal(f"现在还不能看答案和解析。{messages.result(exam, attempt) if attempt.state == 'closed' else '您还没有交卷。'}")
    if n is not None and not 1 <= n <= len(paper):
        raise Refusal(f"这份卷没有第 {n} 题，共 {len(paper)} 题。")
    wrong_items = [item for item in paper if item.mark.earned < 1000 and item.mark.counts]
    chosen = paper[n - 1] if n is not None else next(iter(wrong_items), paper[0])
    next_wrong = next((item for item in wrong_items if item.n > chosen.n), None)
    lines = [] if n is not None else [_marks_overview(paper)]
    buttons = (Option(f"考试 {exam_id} 解析 {next_wrong.n}", f"下一道错题（第 {next_wrong.n} 题）"),) if next_wrong is not None else ()
    return Reply("\n".join([*lines, _item_text(chosen), f"看别的题发「考试 {exam_id} 解析 题号」。"]), buttons=buttons)


def _marks_overview(paper: list[ReviewedItem]) -> str:
    cells = [f"{item.n}{_mark_symbol(item)}" for item in paper]
    rows = ["　".join(cells[start : start + 10]) for start in range(0, len(cells), 10)]
    amended = [item.n for item in paper if item.amended is not None]
    return "\n".join([*rows, *([f"后来更正过：第 {messages.places_text(amended)} 题"] if amended else [])])


def _mark_symbol(item: ReviewedItem) -> str:
    if not item.mark.counts:
        return "作废"
    if item.choice is None:
        return "—"
    return "✓" if item.mark.earned == 1000 else "½" if item.mark.earned else "✗"


def _item_text(item: ReviewedItem) -> str:
    question = item.question
    earned = exact_points_text(item.mark.points * item.mark.earned // 1000)
    lines = [
        f"第 {item.n} 题 · {question.label} · 得 {earned}/{exact_points_text(item.mark.points)} 分",
        question.stem,
        *(f"{letter}. {label}" for letter, label in question.options),
        *_answer_lines(item, question.key or question.show_key()),
        f"解析：{question.explanation}",
        question.citation,
    ]
    return "\n".join(lines)


def _answer_lines(item: ReviewedItem, key: str) -> list[str]:
    """The answer and the key; of a question that was put right those of then, and why it counts otherwise now (bot/docs/rules.md A08)."""
    if item.amended is None:
        return [f"您答：{item.choice or '没有答'}；正确答案：{key}"]
    counting = "此题不计分，其余各题折算成满分" if not item.mark.counts else "得分按更正后计"
    return [
        f"您当时答：{item.choice or '没有答'}；当时的标准答案：{key}",
        f"📝 本题后来更正：{item.amended}。原因：{item.reason}。题目和作答保持原样，{counting}。",
    ]
