"""题目分析: what an exam says of its questions and of itself, first tries only (bot/docs/rules.md V12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

from sqlmodel import Session

from bot.domain.grading.item_statistics import DOUBTFUL, FEW, Analysis, ItemFigures, ItemFlag, Picked, Response, analyse
from bot.domain.library.question import KINDS
from bot.domain.message import Refusal
from bot.domain.reports import Cell, Column, Part, ReportQuery, Scope, Table
from bot.domain.text.numbers import points_text
from bot.storage.reports.exam_papers import ReportedVersion, exam_of, marks_of, papers, taps, versions
from bot.storage.reports.scope import report, table
from bot.storage.study.grades import CountingGrade

COLUMNS = (
    Column("question", "题号"),
    Column("flags", "提示", phone="if any"),
    Column("kind", "题型", phone="never"),
    Column("stem", "题干", phone="never"),
    Column("n", "作答人数", "int"),
    Column("facility", "难度", "percent"),
    Column("rest", "区分度", "figure"),
    Column("tails", "高低分组差", "figure", phone="never"),
    Column("seconds", "用时中位（秒）", "int", phone="never"),
    Column("blank", "未答", "int", phone="if any"),
)
OPTIONS = (
    Column("question", "题号"),
    Column("option", "选项"),
    Column("said", "内容", phone="never"),
    Column("is_key", "答案"),
    Column("share", "选择率", "percent"),
    Column("upper", "高分组", "percent"),
    Column("lower", "低分组", "percent"),
)
WHOLE = (
    Column("n", "首次参考人数", "int"),
    Column("items", "每卷题数", "figure"),
    Column("mean", "平均得分率", "percent"),
    Column("deviation", "标准差", "percent"),
    Column("alpha", "信度", "figure"),
    Column("sem", "测量标准误（分）", "figure"),
)
TERMS = (
    "只计每人第一次参考的答卷，按更正后的得分计；作废的题不列。",
    "难度=平均得分率，数值越高越容易，30%—70% 之外只作提示。",
    "区分度=题目得分与其余各题得分率的相关系数（题余相关），低于 0.20 请查看，负值先核对标准答案；"
    "人数少时偶然性大，有 95% 把握（Fisher z，单侧）才提示。",
    "高低分组差=得分最高 27% 与最低 27% 的难度之差，名次并列处按比例分摊。",
    "信度=Cronbach α（全为对错题时即 KR-20；平行卷按 Hoyt 方差分析估计），0.75 以上为好；测量标准误=标准差×√（1-信度）。",
    f"人数少于 {FEW} 的格子不显示。",
)


@report("题目分析", about="考试", needs=True, tells_keys=True)
def items(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """一场考试每道题的难度、区分度、各选项、用时和可疑之处，以及整卷信度。"""
    exam = exam_of(session, ask.about)
    if not exam.is_over:
        # The key stands beside every option: who may see this report may sit the exam, or know who does.
        raise Refusal(f"考试《{exam.name}》还没有结束。题目分析里有标准答案，结束后再看；进度发「考试 进度 {exam.id}」。")
    first = {paper.sitting_id: paper for paper in papers(session, scope, ask, exam) if paper.n == 1}
    version_of = versions(session, exam)
    times = {sitting: _seconds(first[sitting].started_at, arrivals) for sitting, arrivals in taps(session, exam).items() if sitting in first}
    paper_grades = marks_of(session, exam, first.keys())
    counted = [grade for grade in paper_grades if grade.counts and grade.points]
    responses = [
        Response(
            grade.sitting_id,
            str(grade.version_id),
            grade.choice or "",
            grade.points * grade.earned // 1000,
            grade.points,
            times.get(grade.sitting_id, {}).get(grade.n),
        )
        for grade in counted
    ]
    keys = {str(version_id): ([letter for letter, _ in version.question.choices], version.question.key) for version_id, version in version_of.items()}
    analysis = analyse(responses, keys)
    shown = sorted(analysis.items, key=lambda item: (not _doubtful(item), _order(item), version_of[int(item.question)].name))
    taken_out = len({grade.version_id for grade in paper_grades if not grade.counts})
    notes = [_sentence(analysis, exam.total)]
    notes += [f"已作废 {taken_out} 题。"] if taken_out else []
    waiting = len({grade.sitting_id for grade in counted if grade.waits})
    notes += [f"{waiting} 份答卷还有简答题待阅，暂按机器判分计。"] if waiting else []
    doubtful = [version_of[int(item.question)].name for item in shown if _doubtful(item)]
    notes.append(f"请查看 {len(doubtful)} 题：{'、'.join(doubtful[:10])}{'……' if len(doubtful) > 10 else '。'}" if doubtful else "没有需要查看的题。")
    parts = (
        Part("题目", COLUMNS, [_item(item, version_of[int(item.question)]) for item in shown]),
        Part("整卷", WHOLE, [_whole(analysis, exam.total)], leads=True),
        Part("选项", OPTIONS, [row for item in shown if item.n >= FEW for row in _options(item, version_of[int(item.question)])]),
    )
    return table(session, ask, "题目分析", f"《{exam.name}》题目分析", *parts, notes=notes, terms=TERMS)


def _seconds(started: datetime, arrivals: Sequence[tuple[int, datetime, str]]) -> dict[int, float]:
    """Seconds for each place, from the answer before it (or the beginning) to its own, on the server's clock."""
    moments = [started, *(arrived_at for _, arrived_at, _ in arrivals)]
    return {place: (arrived_at - before).total_seconds() for (place, arrived_at, _), (before, _) in zip(arrivals, pairwise(moments), strict=True)}


def _time(times: Mapping[int, Mapping[int, float]], mark: CountingGrade) -> float | None:
    return times.get(mark.sitting_id, {}).get(mark.n)


def _figure(value: float | None, places: str = "0.01") -> Decimal | None:
    return None if value is None else Decimal(str(value)).quantize(Decimal(places), ROUND_HALF_UP) + 0


def _percent(value: float | None) -> Decimal | None:
    return None if value is None else _figure(value * 100, "0.1")


def _item(item: ItemFigures, version: ReportedVersion) -> tuple[Cell, ...]:
    question = version.question
    head = (version.name, "；".join(_flags(item)), KINDS[question.kind].label, question.stem, item.n)
    if item.n < FEW:
        return (*head, None, None, None, None, None)
    seconds = None if item.seconds is None else round(item.seconds)
    return (*head, _percent(item.facility), _figure(item.rest), _figure(item.tails if item.group >= FEW else None), seconds, item.blank)


def _options(item: ItemFigures, version: ReportedVersion) -> list[tuple[Cell, ...]]:
    text_of = dict(version.question.choices)
    return [_option(version.name, option, text_of[option.choice], item.group >= FEW) for option in item.options]


def _flags(item: ItemFigures) -> list[ItemFlag]:
    """What may be said of a question: nothing of a few people, nothing of groups of a few."""
    if item.n < FEW:
        return []
    return [flag for flag in item.flags if flag is not ItemFlag.STRONG_DISTRACTOR or item.group >= FEW]


def _doubtful(item: ItemFigures) -> bool:
    return any(flag in DOUBTFUL for flag in _flags(item))


def _order(item: ItemFigures) -> float:
    """The worst first among the doubtful; all others by name."""
    return item.rest if item.rest is not None and _doubtful(item) else 0.0


def _option(name: str, option: Picked, text: str, groups: bool) -> tuple[Cell, ...]:
    upper, lower = (option.upper, option.lower) if groups else (None, None)
    return (name, option.choice, text, "✓" if option.is_key else "", _percent(option.share), _percent(upper), _percent(lower))


def _whole(analysis: Analysis, total: int) -> tuple[Cell, ...]:
    paper = analysis.paper
    if paper.n < FEW:
        return (paper.n, None, None, None, None, None)
    sem = None if paper.sem is None else _figure(paper.sem * total / 1000)
    return (paper.n, _figure(paper.items), _percent(paper.mean), _percent(paper.deviation), _figure(paper.alpha), sem)


def _sentence(analysis: Analysis, total: int) -> str:
    paper = analysis.paper
    if paper.n < FEW:
        return f"首次参考 {paper.n} 人，不足 {FEW} 人，不作统计。"
    if paper.alpha is None or paper.sem is None or paper.mean is None:
        return f"首次参考 {paper.n} 人，成绩没有差别，算不出信度。"
    name = "KR-20" if paper.dichotomous and not paper.parallel else "Cronbach α（平行卷估计）" if paper.parallel else "Cronbach α"
    mean, sem = points_text(round(paper.mean * total)), points_text(round(paper.sem * total))
    return f"首次参考 {paper.n} 人，平均 {mean} 分；信度 {name}={paper.alpha:.2f}，测量标准误 {sem} 分。"
