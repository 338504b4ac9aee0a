"""The texts of exams in the chat: rules, item cards, answer sheet, results, and what administrators see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.commands.tasks import card_code
from bot.domain.exam import blueprint
from bot.domain.exam.blueprint import exact_points_text
from bot.domain.exam.exam import RESULT_LABELS, STATE_LABELS, Attempt, Exam, clock_text, date_time_text, describe_gate
from bot.domain.message import Option, QuestionCard
from bot.domain.people import audience
from bot.services.exam.manage import ExamPreview, ExamProgress
from bot.services.exam.own_exams import OwnExam
from bot.services.exam.paper_view import AttemptStatus, ShownItem, time_left_line
from bot.storage.exam.extra_time import ExtraTimeRequest

MAX_ABSENT = 20
SHEET, HAND_IN, CONFIRM = Option("答题卡", "答题卡"), Option("交卷", "交卷"), Option("确认交卷", "确认交卷")
PREVIOUS, NEXT = Option("上一题", "上一题"), Option("下一题", "下一题")
PAPER_BUTTONS = (PREVIOUS, NEXT, SHEET, HAND_IN)


def rules(exam: Exam, *, several: bool) -> str:
    """What is said before somebody begins: nobody is to be surprised by the clock. `several`: the paper can have 多选题."""
    lines = [
        f"📝 考试 {exam.id}《{exam.name}》",
        f"开放：{date_time_text(exam.opens_at)} 至 {date_time_text(exam.closes_at)}",
        f"{exam.blueprint.size} 题，满分 {exact_points_text(exam.total)} 分，{exact_points_text(exam.pass_line)} 分及格，限时 {exam.minutes} 分钟，"
        f"可考 {exam.attempts} 次。",
        "开始前请看清规则：",
        "· 点开始就计时，以服务器为准；退出、断网、换手机时间照走，随时回复「继续」接着考，任何渠道都行。",
        "· 每答一题立即保存，以第一次作答为准，不能改；可以先跳过，用「上一题」「下一题」「第 5 题」来回看。",
        f"· 到时自动交卷，已答的都算。{_late(exam)}",
        f"· {'多选题少选、没有选错的得一半分；' if several else ''}{RESULT_LABELS[exam.results]}，{exam.keys_withheld_until}。",
    ]
    if exam.cap is not None:
        lines.append(f"· 这是补考，成绩最多按 {exact_points_text(exam.cap)} 分计。")
    if exam.gate.count or exam.gate.lessons:
        lines.append(f"· 入场条件：{describe_gate(exam.gate)}。")
    return "\n".join(lines)


def _late(exam: Exam) -> str:
    return f"开考 {exam.late_minutes} 分钟后不得入场。" if exam.late_minutes is not None else ""


def item_card(status: AttemptStatus, shown: ShownItem) -> QuestionCard:
    """An item of the paper with its buttons; one that is answered has none."""
    head = f"第{shown.n}/{status.size}题 · {shown.label} · {shown.law} · {exact_points_text(shown.points)} 分"
    stem = shown.stem
    if shown.choice is not None:
        options = "".join(f"\n{value}. {label}" for value, label in shown.options if value != label)
        return QuestionCard(card_code("exam", status.sitting_id, shown.n), head, f"{stem}{options}\n您已答：{shown.choice}")
    options_ = tuple(Option(value, value if value == label else f"{value}. {label}") for value, label in shown.options)
    stem = stem if options_ else f"{stem}\n（请直接输入答案）"
    return QuestionCard(card_code("exam", status.sitting_id, shown.n), head, stem, options_, shown.several)


def places_text(numbers: Sequence[int]) -> str:
    """1、3–5、9."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return "、".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)


def status_line(status: AttemptStatus) -> str:
    """还剩 42 分（截止 10:40），未答 3 题."""
    unanswered = f"未答 {len(status.unanswered)} 题" if status.unanswered else "全部答完"
    return f"⏱ {time_left_line(status)}，{unanswered}。"


def answer_sheet(status: AttemptStatus, items: Sequence[ShownItem]) -> str:
    """The answer sheet: every place with what was recorded, in rows of five."""
    cells = [f"{item.n}：{_cell(item.choice)}" for item in items]
    rows = ["　".join(cells[start : start + 5]) for start in range(0, len(cells), 5)]
    open_places = f"未答：第 {places_text(status.unanswered)} 题" if status.unanswered else "全部答完了"
    return "\n".join(
        [f"🗒 《{status.exam.name}》答题卡", *rows, f"{open_places}。{time_left_line(status)}", "看某一题发「第 5 题」；交卷发「交卷」。"]
    )


def _cell(choice: str | None) -> str:
    return "—" if choice is None else choice if len(choice) <= 5 else "已写"


def confirm_question(status: AttemptStatus) -> str:
    """The question before handing in."""
    unanswered = f"还有 {len(status.unanswered)} 题没有答：第 {places_text(status.unanswered)} 题。" if status.unanswered else "全部答完了。"
    return f"{unanswered}交卷后不能再答。{time_left_line(status)}。确认交卷请回复「确认交卷」，接着答回复「继续」。"


def result(exam: Exam, attempt: Attempt) -> str:
    """The result as far as it may be told now, and when the rest will be."""
    if exam.frozen_at is not None:
        return "成绩正在核对更正，核对完会通知您。"
    if not exam.tells_score:
        return (
            "成绩在公布后通知您。"
            if exam.results == "after_release"
            else f"成绩在考试结束（{date_time_text(exam.closes_at)}）后公布，届时发「考试 {exam.id}」看。"
        )
    if attempt.score is None:
        return "还在阅卷。"
    score = f"得分 {exact_points_text(attempt.score)}/{exact_points_text(exam.total)} 分"
    if attempt.passed is None:
        return f"{score}（暂定，有简答题待人工阅卷）。"
    verdict = "合格" if attempt.passed else "不合格"
    capped = f"（补考最多按 {exact_points_text(exam.cap)} 分计）" if exam.cap is not None and attempt.score == exam.cap else ""
    keys = f"看答案和解析发「考试 {exam.id} 解析」。" if exam.tells_keys else f"答案和解析在考试结束（{date_time_text(exam.closes_at)}）后可看。"
    return f"{score}，{verdict}（{exact_points_text(exam.pass_line)} 分及格）{capped}。{keys}"


def own_exam_line(own_exam: OwnExam, now: datetime) -> str:
    """An exam in a list of one's own."""
    exam = own_exam.exam
    if own_exam.running is not None:
        return f"· 考试 {exam.id}《{exam.name}》正在考，截止 {clock_text(own_exam.running.deadline)}"
    if own_exam.counts is not None and own_exam.counts.state == "closed":
        return f"· 考试 {exam.id}《{exam.name}》已交卷，{result(exam, own_exam.counts)}"
    if now < exam.opens_at:
        return f"· 考试 {exam.id}《{exam.name}》{date_time_text(exam.opens_at)} 开始"
    return f"· 考试 {exam.id}《{exam.name}》{'可以考' if not own_exam.obstacle else own_exam.obstacle}，{date_time_text(exam.closes_at)} 截止"


# ── For administrators ──


def managed_exam_line(exam: Exam) -> str:
    """An exam in the list of administrators."""
    makeup = f"（考试 {exam.makeup_of} 的补考）" if exam.makeup_of is not None else ""
    window = f"{date_time_text(exam.opens_at)}—{date_time_text(exam.closes_at)}"
    return f"{exam.id}. {exam.name}{makeup}　{STATE_LABELS[exam.state]}　{window}　{audience.describe_audience(exam.audience)}"


def exam_lines(exam: Exam) -> list[str]:
    """What an exam says of itself to those who look after it."""
    late = f"，开考 {exam.late_minutes} 分钟后不得入场" if exam.late_minutes is not None else ""
    lines = [
        f"考试 {exam.id}《{exam.name}》{STATE_LABELS[exam.state]}",
        f"蓝图：{blueprint.describe_blueprint(exam.blueprint)}（{exam.blueprint.size} 题，满分 {exact_points_text(exam.total)} 分）",
        f"时间：{date_time_text(exam.opens_at)} 至 {date_time_text(exam.closes_at)}，限时 {exam.minutes} 分钟{late}",
        moments_line(exam),
        f"可考 {exam.attempts} 次，到时宽限 {exam.grace_seconds} 秒",
        f"对象：{audience.describe_audience(exam.audience)}；入场条件：{describe_gate(exam.gate)}",
        f"出分：{RESULT_LABELS[exam.results]}；依据：{exam.clause or '没有写，年报里会列为“无依据”'}",
    ]
    if exam.makeup_of is not None:
        lines.append(f"补考：考试 {exam.makeup_of}，最多计 {exact_points_text(exam.cap or exam.total)} 分")
    return lines


def moments_line(exam: Exam) -> str:
    """What follows from window and limit: until when one may begin, by when the last paper is in, who has the whole time."""
    limit = timedelta(minutes=exam.minutes)
    latest_full = exam.closes_at - limit
    last_hand_in = exam.deadline(exam.last_entry)
    line = f"由此：最晚入场 {date_time_text(exam.last_entry)}，最后交卷 {date_time_text(last_hand_in)}"
    if latest_full < exam.opens_at:
        available = (exam.closes_at - exam.opens_at) // timedelta(minutes=1)
        return f"{line}；⚠ 窗口只有 {available} 分钟，谁都考不满 {exam.minutes} 分钟"
    if latest_full < exam.last_entry:
        return f"{line}；{date_time_text(latest_full)} 以后入场的考不满 {exam.minutes} 分钟，到截止自动交卷"
    return line


def invited_line(count: int, names: Sequence[str]) -> str:
    ellipsis = "等" if count > len(names) else ""
    return f"应考：{count} 人" + (f"（{'、'.join(names)}{ellipsis}）" if names else "")


def papers_line(exam: Exam, preview: ExamPreview) -> str:
    """For how many papers the limit of uses is enough; empty without such a limit."""
    if preview.papers is None:
        return ""
    wanted = preview.count * exam.attempts
    short = f"；⚠ 不够 {wanted} 份，超出的卷会重复用题" if preview.papers < wanted else ""
    return f"每题最多用 {exam.blueprint.most} 次：题库够出 {preview.papers} 份{short}"


def progress_lines(exam: Exam, counts: ExamProgress) -> list[str]:
    """How far it has come, with the absent by name."""
    share = f"{counts.passed}/{counts.handed_in}" if counts.handed_in else "0"
    lines = [
        f"考试 {exam.id}《{exam.name}》{STATE_LABELS[exam.state]}：应考 {counts.invited} 人，参考 {counts.begun} 人（在考 {counts.sitting}，"
        f"已交 {counts.handed_in}），合格 {share}。"
    ]
    if counts.absent:
        names = "、".join(f"{name}（{staff_no}）" for staff_no, name in counts.absent[:MAX_ABSENT])
        ellipsis = f" 等 {len(counts.absent)} 人" if len(counts.absent) > MAX_ABSENT else ""
        lines.append(f"{'缺考' if exam.is_over else '还没有考'}：{names}{ellipsis}")
    return lines


def request_line(request: ExtraTimeRequest, staff_no: str, *, stands: bool = True) -> str:
    """A request for extra time in one line; `stands` while it can be approved."""
    label = {"time": "加时", "reopen": "重开"}[request.kind]
    state = f"已由 {request.approved_by} 批准" if request.approved_by is not None else "待批准" if stands else "已失效，没有批准"
    return f"· 申请 {request.id}：{staff_no} {label} {request.minutes} 分钟，{request.reason}；{request.asked_by} 申请，{state}"
