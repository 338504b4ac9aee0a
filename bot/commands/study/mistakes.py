"""错题, 挑战 and 模拟: reviews of mistakes, a run until the first mistake, and the mock exam."""

from __future__ import annotations

from datetime import timedelta

from bot.commands.router import Context, command
from bot.commands.study import messages
from bot.commands.study.quiz import credit_line, ending, names_law, practice_mode
from bot.domain.exam.blueprint import exact_points_text
from bot.domain.message import Option, Reply
from bot.domain.study.review_goal import MAX_MINUTES, RecallForecast, ReviewGoal
from bot.domain.study.spaced_repetition import RIGHTS_TO_LEAVE
from bot.domain.times import chinese_day, clock_of, duration_text
from bot.services.exam import mock_exam as exam_mock_exam
from bot.services.study import quiz
from bot.services.study.mistakes import NotebookStanding
from bot.services.study.quiz import AnswerOutcome
from bot.storage.study import sittings

PRACTISE_MISTAKES = Option("练习 错题", "只练错题")
DAILY = Option("每日", "每日一练")
CHALLENGE_BUTTONS = (Option("挑战", "再挑战一次"), Option("错题", "错题本"), Option("我的学时", "我的学时"))


@command("错题", "错题本", "错题集", argument="<法>", takes=names_law)
def mistakes(ctx: Context, law: str) -> Reply:
    """复习答错的题：连对 2 次移出，到期再问，每天最多 8 题；可指定一部法。有考试就先发「设置 考试日期 12-04」。"""
    asked, standing = quiz.review_mistakes(ctx.session, ctx.catalog, ctx.me.id, law, ctx.now, ctx.rng)
    goal_line = expectation_line(standing, ctx)
    if asked is None:
        return Reply(
            "\n".join(line for line in (_nothing_due_text(standing, law), goal_line) if line),
            buttons=(DAILY, PRACTISE_MISTAKES if standing.listed else Option("练习", "练习")),
        )
    return messages.question_reply(asked, "\n".join(line for line in (_round_intro(standing, asked.sitting.size), goal_line) if line))


def _round_intro(standing: NotebookStanding, size: int) -> str:
    moved_out = f"（另有 {standing.left} 题已移出，到期再问）" if standing.left else ""
    later = f"；每天最多 {standing.allowed} 题，其余分到后面几天" if standing.due > size else ""
    rest = f"；做完再发「错题」接着做，今天共 {standing.room} 题" if size == quiz.REVIEW_SIZE < standing.room else later
    today = f"今天到期 {standing.due} 题，先做 {size} 题" if standing.goal is None else f"今天为考试先做 {size} 题"
    return f"错题本共 {standing.listed} 题{moved_out}，{today}{rest}。连续答对 {RIGHTS_TO_LEAVE} 次移出。"


def _nothing_due_text(standing: NotebookStanding, law: str) -> str:
    of_law = f"《{law}》的" if law else ""
    if standing.due and not standing.room:
        return f"今天的复习做完了（每天最多 {standing.allowed} 题），还有 {standing.due} 题到期，分到后面几天。想现在多练，发「练习 错题」。"
    later = f"最近一次在 {chinese_day(standing.next_due)}" if standing.next_due is not None else ""
    if standing.listed:
        return f"错题本共 {standing.listed} 题，今天没有{of_law}题要复习，{later}。想现在就练，发「练习 错题」。"
    back = f"已移出的 {standing.left} 题到期会再问，{later}。" if standing.left else "答错的题会自动收进来。"
    return f"错题本里{f'没有{of_law}题' if law else '现在是空的'}。{back}"


def expectation_line(standing: NotebookStanding, ctx: Context) -> str:
    """What to expect on the day that counts; plainly, when the target cannot be met and what would be needed. Empty without such a day."""
    if standing.goal is None or standing.forecast is None:
        return ""
    goal, forecast = standing.goal, standing.forecast
    days = goal.days_left(ctx.now)
    day_label = "考试截止" if goal.is_deadline else "考试"
    if not days:
        return f"🎯 今天{day_label}：错题本里的题预计答对 {_percent(forecast.without_reviews)}。"
    head = f"🎯 {chinese_day(goal.day)}{day_label}（还有 {days} 天）：每天复习 {goal.minutes} 分钟"
    return f"{head}，错题本里的题到那天预计答对 {_percent(forecast.expected)}，{_target_text(goal, forecast)}"


def _target_text(goal: ReviewGoal, forecast: RecallForecast) -> str:
    if forecast.minutes_needed is None:
        return f"达到目标 {goal.target}%。"
    if forecast.minutes_needed <= MAX_MINUTES:
        return f"达不到目标 {goal.target}%。要达到，每天约需 {forecast.minutes_needed} 分钟：可发「设置 每日复习 {forecast.minutes_needed}」。"
    return f"达不到目标 {goal.target}%，每天 {MAX_MINUTES} 分钟也不够。请先保要紧的：按法复习（例如「错题 民法典」），或把目标调低。"


def _percent(share: float) -> str:
    """A share as a whole percentage, never rounded up to what it is not."""
    return f"{int(share * 100)}%"


@command("挑战", "闯关")
def challenge(ctx: Context, _: str) -> Reply:
    """一题接一题，答到第一次错为止，同一次不重复；记下最好成绩。"""
    best = sittings.best_run(ctx.session, ctx.me.id, "challenge")
    asked = quiz.start_challenge(ctx.session, ctx.catalog, ctx.me.id, ctx.now, ctx.rng)
    return messages.question_reply(asked, f"⚔️ 挑战开始：答错即止，不重复。您的最好成绩：{f'连对 {best} 题' if best else '还没有'}。")


def _earned(ctx: Context, outcome: AnswerOutcome) -> str:
    return f"\n{credit_line(ctx, outcome.sitting)}"


@ending("challenge")
def _challenge_ending(ctx: Context, outcome: AnswerOutcome) -> tuple[str, tuple[Option, ...]]:
    assert outcome.score is not None
    run, best = outcome.score.right, sittings.best_run(ctx.session, ctx.me.id, "challenge", but=outcome.sitting.id)
    praise = "全部答对，一题没错！" if outcome.mark.correct else ""
    closing = f"挑战结束：{praise}这次连对 {run} 题。"
    if run > best:
        return closing + f"🏆 新的最好成绩{f'（原来 {best} 题）' if best else ''}。{_earned(ctx, outcome)}", CHALLENGE_BUTTONS
    return closing + f"最好成绩：连对 {best} 题。{_earned(ctx, outcome)}", CHALLENGE_BUTTONS


@practice_mode("模拟", "模拟考试", "模拟卷")
def mock_exam(ctx: Context, _: str) -> Reply:
    """A paper like the next exam's; nothing is told before the end."""
    asked, mock = exam_mock_exam.begin(ctx.session, ctx.catalog, ctx.me.id, ctx.now, ctx.rng)
    blueprint = mock.blueprint
    model = f"照《{mock.exam}》的命题蓝图" if mock.exam else "通用卷"
    until = clock_of(ctx.now + timedelta(minutes=blueprint.minutes))
    text = (
        f"📝 模拟考试（{model}）：{asked.sitting.size} 题，"
        f"满分 {exact_points_text(blueprint.total)} 分，{exact_points_text(blueprint.pass_line)} 分及格，"
        f"限时 {blueprint.minutes} 分钟，到 {until}。全部答完才出结果；不计考试学时。"
    )
    return messages.question_reply(asked, text)


@ending(exam_mock_exam.KIND)
def _mock_ending(ctx: Context, outcome: AnswerOutcome) -> tuple[str, tuple[Option, ...]]:
    result = exam_mock_exam.result(ctx.session, outcome.sitting)
    blueprint = result.mock.blueprint
    lines = [
        f"📝 模拟考试结束：得 {exact_points_text(result.got)} 分"
        f"（满分 {exact_points_text(result.total)} 分，{exact_points_text(blueprint.pass_line)} 分及格），"
        f"{'✅ 达到及格线' if result.passed else '❌ 未达及格线'}；用时 {duration_text(result.seconds)}，限时 {blueprint.minutes} 分钟。"
    ]
    if result.late:
        lines.append(f"有 {result.late} 题在限时之后才答，没有计分。")
    if result.waits:
        lines.append(f"有 {result.waits} 道简答题是暂定得分，待人工确认。")
    if result.missed:
        lines.append(f"有 {result.missed} 题没有全对，已收入错题本，发「练习 错题」逐题看解析。")
    lines.append(credit_line(ctx, outcome.sitting))
    return "\n".join(lines), (Option("练习 错题", "看错题解析"), Option("练习 模拟", "再考一次"), Option("我的学时", "我的学时"))
