"""Report 题目分析: item analysis of an exam, first attempts only (bot/docs/rules.md V12)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

from sqlmodel import Session

from bot.domain.grading.item_statistics import (
    DOUBTFUL_FLAGS,
    MIN_GROUP,
    ItemAnalysis,
    ItemFigures,
    ItemFlag,
    OptionFigures,
    Response,
    analyse_responses,
)
from bot.domain.library.question import KINDS
from bot.domain.message import Refusal
from bot.domain.reports import Cell, Column, Part, ReportQuery, Scope, Table
from bot.domain.text.numbers import points_text
from bot.storage.reports.exam_papers import ReportedVersion, answer_arrivals, find_exam, grades_of, question_versions, visible_papers
from bot.storage.reports.scope import make_table, report

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
OPTION_COLUMNS = (
    Column("question", "题号"),
    Column("option", "选项"),
    Column("said", "内容", phone="never"),
    Column("is_key", "答案"),
    Column("share", "选择率", "percent"),
    Column("upper", "高分组", "percent"),
    Column("lower", "低分组", "percent"),
)
PAPER_COLUMNS = (
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
    f"人数少于 {MIN_GROUP} 的格子不显示。",
)


@report("题目分析", about="考试", requires_about=True, tells_keys=True)
def items(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """一场考试每道题的难度、区分度、各选项、用时和可疑之处，以及整卷信度。"""
    exam = find_exam(session, ask.about)
    if not exam.is_over:
        # The key stands beside every option: who may see this report may sit the exam, or know who does.
        raise Refusal(f"考试《{exam.name}》还没有结束。题目分析里有标准答案，结束后再看；进度发「考试 进度 {exam.id}」。")
    first = {paper.sitting_id: paper for paper in visible_papers(session, scope, ask, exam) if paper.n == 1}
    version_of = question_versions(session, exam)
    times = {
        sitting: _answer_seconds(first[sitting].started_at, arrivals)
        for sitting, arrivals in answer_arrivals(session, exam).items()
        if sitting in first
    }
    paper_grades = grades_of(session, exam, first.keys())
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
    analysis = analyse_responses(responses, keys)
    shown = sorted(analysis.items, key=lambda item: (not _is_doubtful(item), _doubt_rank(item), version_of[int(item.question)].name))
    taken_out = len({grade.version_id for grade in paper_grades if not grade.counts})
    notes = [_summary(analysis, exam.total)]
    notes += [f"已作废 {taken_out} 题。"] if taken_out else []
    waiting = len({grade.sitting_id for grade in counted if grade.waits})
    notes += [f"{waiting} 份答卷还有简答题待阅，暂按机器判分计。"] if waiting else []
    doubtful = [version_of[int(item.question)].name for item in shown if _is_doubtful(item)]
    notes.append(f"请查看 {len(doubtful)} 题：{'、'.join(doubtful[:10])}{'……' if len(doubtful) > 10 else '。'}" if doubtful else "没有需要查看的题。")
    parts = (
        Part("题目", COLUMNS, [_item_row(item, version_of[int(item.question)]) for item in shown]),
        Part("整卷", PAPER_COLUMNS, [_paper_row(analysis, exam.total)], leads=True),
        Part("选项", OPTION_COLUMNS, [row for item in shown if item.n >= MIN_GROUP for row in _option_rows(item, version_of[int(item.question)])]),
    )
    return make_table(session, ask, "题目分析", f"《{exam.name}》题目分析", *parts, notes=notes, terms=TERMS)


def _answer_seconds(started: datetime, arrivals: Sequence[tuple[int, datetime, str]]) -> dict[int, float]:
    """Seconds for each place, from the answer before it (or the beginning) to its own, on the server's clock."""
    moments = [started, *(arrived_at for _, arrived_at, _ in arrivals)]
    return {place: (arrived_at - before).total_seconds() for (place, arrived_at, _), (before, _) in zip(arrivals, pairwise(moments), strict=True)}


def _figure(value: float | None, places: str = "0.01") -> Decimal | None:
    return None if value is None else Decimal(str(value)).quantize(Decimal(places), ROUND_HALF_UP) + 0


def _percent(value: float | None) -> Decimal | None:
    return None if value is None else _figure(value * 100, "0.1")


def _item_row(item: ItemFigures, version: ReportedVersion) -> tuple[Cell, ...]:
    question = version.question
    head = (version.name, "；".join(_shown_flags(item)), KINDS[question.kind].label, question.stem, item.n)
    if item.n < MIN_GROUP:
        return (*head, None, None, None, None, None)
    seconds = None if item.seconds is None else round(item.seconds)
    return (
        *head,
        _percent(item.facility),
        _figure(item.rest_correlation),
        _figure(item.tail_difference if item.group_size >= MIN_GROUP else None),
        seconds,
        item.blank,
    )


def _option_rows(item: ItemFigures, version: ReportedVersion) -> list[tuple[Cell, ...]]:
    text_of = dict(version.question.choices)
    return [_option_row(version.name, option, text_of[option.choice], item.group_size >= MIN_GROUP) for option in item.options]


def _shown_flags(item: ItemFigures) -> list[ItemFlag]:
    """What may be said of a question: nothing of a few people, nothing of groups of a few."""
    if item.n < MIN_GROUP:
        return []
    return [flag for flag in item.flags if flag is not ItemFlag.STRONG_DISTRACTOR or item.group_size >= MIN_GROUP]


def _is_doubtful(item: ItemFigures) -> bool:
    return any(flag in DOUBTFUL_FLAGS for flag in _shown_flags(item))


def _doubt_rank(item: ItemFigures) -> float:
    """The worst first among the doubtful; all others by name."""
    return item.rest_correlation if item.rest_correlation is not None and _is_doubtful(item) else 0.0


def _option_row(name: str, option: OptionFigures, text: str, groups: bool) -> tuple[Cell, ...]:
    upper, lower = (option.upper, option.lower) if groups else (None, None)
    return (name, option.choice, text, "✓" if option.is_key else "", _percent(option.share), _percent(upper), _percent(lower))


def _paper_row(analysis: ItemAnalysis, total: int) -> tuple[Cell, ...]:
    paper = analysis.paper
    if paper.n < MIN_GROUP:
        return (paper.n, None, None, None, None, None)
    sem = None if paper.sem is None else _figure(paper.sem * total / 1000)
    return (paper.n, _figure(paper.items), _percent(paper.mean), _percent(paper.deviation), _figure(paper.alpha), sem)


def _summary(analysis: ItemAnalysis, total: int) -> str:
    paper = analysis.paper
    if paper.n < MIN_GROUP:
        return f"首次参考 {paper.n} 人，不足 {MIN_GROUP} 人，不作统计。"
    if paper.alpha is None or paper.sem is None or paper.mean is None:
        return f"首次参考 {paper.n} 人，成绩没有差别，算不出信度。"
    name = "KR-20" if paper.dichotomous and not paper.parallel else "Cronbach α（平行卷估计）" if paper.parallel else "Cronbach α"
    mean, sem = points_text(round(paper.mean * total)), points_text(round(paper.sem * total))
    return f"首次参考 {paper.n} 人，平均 {mean} 分；信度 {name}={paper.alpha:.2f}，测量标准误 {sem} 分。"
