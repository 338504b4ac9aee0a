"""错题, 挑战 and the mock exam: what was wrong comes back until it is known; how far one gets without a mistake; how it would go today."""

from __future__ import annotations

from datetime import timedelta

from bot.commands.router import Context, command
from bot.commands.study import messages
from bot.commands.study.quiz import ending, mode
from bot.domain.exam.blueprint import exact_points_text
from bot.domain.message import Option, Reply
from bot.domain.study.review_goal import MOST_MINUTES, RecallForecast, ReviewGoal
from bot.domain.study.spaced_repetition import RIGHTS_TO_LEAVE
from bot.domain.times import chinese_day, clock_of, duration_text
from bot.services.exam import mock_exam as exam_mock_exam
from bot.services.study import quiz
from bot.services.study.mistakes import NotebookStanding
from bot.services.study.quiz import AnswerOutcome
from bot.storage.study import sittings

DRILL = Option("练习 错题", "只练错题")
DAILY = Option("每日", "每日一练")
AGAIN = (Option("挑战", "再挑战一次"), Option("错题", "错题本"), Option("我的学时", "我的学时"))


@command("错题", "错题本", takes="<法>")
def mistakes(ctx: Context, law: str) -> Reply:
    """复习答错的题：连对 2 次移出，到期再问，每天最多 8 题；可指定一部法。有考试就先发「设置 考试日期 12-04」。"""
    put, at = quiz.redo(ctx.session, ctx.catalog, ctx.me.id, law, ctx.now, ctx.rng)
    aim = prospect_line(at, ctx)
    if put is None:
        return Reply(
            "\n".join(line for line in (_nothing_now(at, law), aim) if line), buttons=(DAILY, DRILL if at.listed else Option("练习", "练习"))
        )
    return messages.question_reply(put, "\n".join(line for line in (_head(at, put.sitting.size), aim) if line))


def _head(at: NotebookStanding, size: int) -> str:
    gone = f"（另有 {at.left} 题已移出，到期再问）" if at.left else ""
    later = f"；每天最多 {at.allowed} 题，其余分到后面几天" if at.due > size else ""
    rest = f"；做完再发「错题」接着做，今天共 {at.room} 题" if size == quiz.REVIEW_SIZE < at.room else later
    today = f"今天到期 {at.due} 题，先做 {size} 题" if at.goal is None else f"今天为考试先做 {size} 题"
    return f"错题本共 {at.listed} 题{gone}，{today}{rest}。连续答对 {RIGHTS_TO_LEAVE} 次移出。"


def _nothing_now(at: NotebookStanding, law: str) -> str:
    of = f"《{law}》的" if law else ""
    if at.due and not at.room:
        return f"今天的复习做完了（每天最多 {at.allowed} 题），还有 {at.due} 题到期，分到后面几天。想现在多练，发「练习 错题」。"
    later = f"最近一次在 {chinese_day(at.next_due)}" if at.next_due is not None else ""
    if at.listed:
        return f"错题本共 {at.listed} 题，今天没有{of}题要复习，{later}。想现在就练，发「练习 错题」。"
    back = f"已移出的 {at.left} 题到期会再问，{later}。" if at.left else "答错的题会自动收进来。"
    return f"错题本里{f'没有{of}题' if law else '现在是空的'}。{back}"


def prospect_line(at: NotebookStanding, ctx: Context) -> str:
    """What to expect on the day that counts; plainly, when the target cannot be met and what would be needed. Empty without such a day."""
    if at.goal is None or at.prospect is None:
        return ""
    goal, found = at.goal, at.prospect
    days = goal.days_left(ctx.now)
    what = "考试截止" if goal.ends else "考试"
    if not days:
        return f"🎯 今天{what}：错题本里的题预计答对 {_percent(found.idle)}。"
    head = f"🎯 {chinese_day(goal.day)}{what}（还有 {days} 天）：每天复习 {goal.minutes} 分钟，错题本里的题到那天预计答对 {_percent(found.expected)}"
    return f"{head}，{_against(goal, found)}"


def _against(goal: ReviewGoal, found: RecallForecast) -> str:
    if found.needed is None:
        return f"达到目标 {goal.target}%。"
    if found.needed <= MOST_MINUTES:
        return f"达不到目标 {goal.target}%。要达到，每天约需 {found.needed} 分钟：可发「设置 每日复习 {found.needed}」。"
    return f"达不到目标 {goal.target}%，每天 {MOST_MINUTES} 分钟也不够。请先保要紧的：按法复习（例如「错题 民法典」），或把目标调低。"


def _percent(share: float) -> str:
    """A share as a whole percentage, never rounded up to what it is not."""
    return f"{int(share * 100)}%"


@command("挑战", "闯关")
def challenge(ctx: Context, _: str) -> Reply:
    """一题接一题，答到第一次错为止，同一次不重复；记下最好成绩。"""
    best = sittings.best_run(ctx.session, ctx.me.id, "challenge")
    put = quiz.challenge(ctx.session, ctx.catalog, ctx.me.id, ctx.now, ctx.rng)
    return messages.question_reply(put, f"⚔️ 挑战开始：答错即止，不重复。您的最好成绩：{f'连对 {best} 题' if best else '还没有'}。")


@ending("challenge")
def _run_over(ctx: Context, outcome: AnswerOutcome) -> tuple[str, tuple[Option, ...]]:
    assert outcome.score is not None
    run, best = outcome.score.right, sittings.best_run(ctx.session, ctx.me.id, "challenge", but=outcome.sitting.id)
    made = "全部答对，一题没错！" if outcome.mark.correct else ""
    closing = f"挑战结束：{made}这次连对 {run} 题。"
    if run > best:
        return closing + f"🏆 新的最好成绩{f'（原来 {best} 题）' if best else ''}。", AGAIN
    return closing + f"最好成绩：连对 {best} 题。", AGAIN


@mode("模拟", "模拟考试", "模拟卷")
def mock_exam(ctx: Context, _: str) -> Reply:
    """A paper like the next exam's; nothing is told before the end."""
    put, made = exam_mock_exam.begin(ctx.session, ctx.catalog, ctx.me.id, ctx.now, ctx.rng)
    paper = made.blueprint
    like = f"照《{made.exam}》的命题蓝图" if made.exam else "通用卷"
    until = clock_of(ctx.now + timedelta(minutes=paper.minutes))
    said = (
        f"📝 模拟考试（{like}）：{put.sitting.size} 题，满分 {exact_points_text(paper.total)} 分，{exact_points_text(paper.pass_line)} 分及格，"
        f"限时 {paper.minutes} 分钟，到 {until}。全部答完才出结果；不计考试学时。"
    )
    return messages.question_reply(put, said)


@ending(exam_mock_exam.KIND)
def _mock_over(ctx: Context, outcome: AnswerOutcome) -> tuple[str, tuple[Option, ...]]:
    found = exam_mock_exam.result(ctx.session, outcome.sitting)
    paper = found.mock.blueprint
    lines = [
        f"📝 模拟考试结束：得 {exact_points_text(found.got)} 分"
        f"（满分 {exact_points_text(found.total)} 分，{exact_points_text(paper.pass_line)} 分及格），"
        f"{'✅ 达到及格线' if found.passed else '❌ 未达及格线'}；用时 {duration_text(found.seconds)}，限时 {paper.minutes} 分钟。"
    ]
    if found.late:
        lines.append(f"有 {found.late} 题在限时之后才答，没有计分。")
    if found.waits:
        lines.append(f"有 {found.waits} 道简答题是暂定得分，待人工确认。")
    if found.missed:
        lines.append(f"有 {found.missed} 题没有全对，已收入错题本，发「练习 错题」逐题看解析。")
    return "\n".join(lines), (Option("练习 错题", "看错题解析"), Option("练习 模拟", "再考一次"), Option("我的学时", "我的学时"))
