"""Report 考试线索: signs of irregular answering in an exam, for a person to check; no score changes by it (bot/docs/rules.md A17)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from sqlmodel import Session

from bot.domain.grading.evidence import (
    BURST_ANSWERS,
    BURST_WINDOW,
    MAX_PAIRS,
    AnswerPair,
    AnswerSheet,
    Burst,
    TimedAnswer,
    count_hasty,
    find_bursts,
    find_channel_switches,
    find_same_wrong,
)
from bot.domain.library.question import Question
from bot.domain.people.person import CHANNELS
from bot.domain.reports import Cell, Column, Part, ReportQuery, Scope, Table
from bot.domain.times import SHANGHAI
from bot.storage.reports.exam_papers import ReportedPaper, answer_arrivals, browser_counts, find_exam, grades_of, question_versions, visible_papers
from bot.storage.reports.scope import make_table, report
from bot.storage.study.grades import CountingGrade

CHARS_A_MINUTE = 400
HASTY_SHARE = 2
"""A paper is named when more than one in so many of its answers came faster than their words can be read."""
PACE_COLUMNS = (
    Column("staff_no", "工号"),
    Column("name", "姓名"),
    Column("n", "第几次", "int", phone="never"),
    Column("answers", "答题数", "int"),
    Column("hasty", "快于阅读", "int"),
    Column("burst", "最大连发", "int"),
    Column("burst_seconds", "连发用时（秒）", "figure", phone="if any"),
    Column("burst_at", "连发时刻", phone="never"),
    Column("turns", "换渠道次数", "int"),
    Column("browsers", "打开网页", "int", phone="if any"),
    Column("channels", "渠道", phone="if any"),
)
PAIR_COLUMNS = (
    Column("first", "工号甲"),
    Column("first_name", "姓名甲"),
    Column("second", "工号乙"),
    Column("second_name", "姓名乙"),
    Column("common", "同题", "int", phone="never"),
    Column("both_wrong", "都答错", "int"),
    Column("same", "错得相同", "int"),
    Column("expected", "偶然应有", "figure"),
    Column("rarity", "偶然概率"),
)
TERMS = (
    "快于阅读：与上一题的间隔不到读完题目和选项所需时间（每分钟 400 字）的三分之一。",
    f"连发：{BURST_WINDOW.seconds} 秒内收到 {BURST_ANSWERS} 题以上；断网后页面补传、网络拥堵也会如此。",
    "换渠道：前后两题来自不同渠道；打开网页：用几个浏览器打开过试卷，多于 1 个的列出；换手机、换电脑也会如此。",
    "错得相同：广义二项检验（van der Linden、Sotaridona 2006），按各题各错误项的选择率和各人水平算偶然相同的概率，"
    "再乘以比对的对数（Bonferroni），小于 0.01 才列出。",
)


@report("考试线索", about="考试", requires_about=True)
def evidence(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """一场考试的作答线索：过快、连发、换渠道、错得相同；只供人核实，不自动扣分。"""
    exam = find_exam(session, ask.about)
    shown_papers = {paper.sitting_id: paper for paper in visible_papers(session, scope, ask, exam)}
    all_papers = {paper.sitting_id: paper for paper in visible_papers(session, Scope(), ask, exam)}
    questions = {version_id: version.question for version_id, version in question_versions(session, exam).items()}
    paper_grades = grades_of(session, exam, all_papers.keys())
    chars = {(grade.sitting_id, grade.n): _reading_length(questions[grade.version_id]) for grade in paper_grades}
    arrivals, browsers = answer_arrivals(session, exam), browser_counts(session, exam)
    pace = []
    for sitting, paper in shown_papers.items():
        timed = [TimedAnswer(place, arrived_at, chars[sitting, place], channel) for place, arrived_at, channel in arrivals.get(sitting, [])]
        row = _pace_row(paper, timed, browsers.get(paper.person_id, 0))
        if row is not None:
            pace.append(row)
    pairs = find_same_wrong(_answer_sheets(paper_grades, all_papers))
    people = {paper.person_id: paper for paper in shown_papers.values()}
    visible_pairs = [pair for pair in pairs if pair.first in people and pair.second in people]
    half_visible = sum((pair.first in people) != (pair.second in people) for pair in pairs)
    notes = ["以下只是线索，不是结论：请结合座位、网络和本人说明核实。系统不因此扣分，学员可以申诉。"]
    notes.append(f"{len(shown_papers)} 份答卷中，节奏或渠道有线索的 {len(pace)} 份，错得相同的 {len(visible_pairs)} 对。")
    notes += [f"另有 {half_visible} 对的另一人不在您的范围内。"] if half_visible else []
    parts = (
        Part("节奏和渠道", PACE_COLUMNS, sorted(pace, key=lambda row: (-int(str(row[5])), -int(str(row[4])), str(row[0])))),
        Part("错得相同", PAIR_COLUMNS, [_pair_row(pair, people) for pair in visible_pairs]),
    )
    return make_table(session, ask, "考试线索", f"《{exam.name}》作答线索", *parts, notes=notes, terms=(*TERMS, f"最多比对最相近的 {MAX_PAIRS} 对。"))


def _reading_length(question: Question) -> int:
    return len(question.stem) + sum(len(text) for _, text in question.options)


def _pace_row(paper: ReportedPaper, answers: list[TimedAnswer], browsers: int) -> tuple[Cell, ...] | None:
    """The row of a paper that shows something; None for the others."""
    hasty_count, bursts_found, switches = count_hasty(answers, paper.started_at, CHARS_A_MINUTE), find_bursts(answers), find_channel_switches(answers)
    if not bursts_found and not switches and browsers < 2 and hasty_count * HASTY_SHARE <= len(answers):
        return None
    largest = max(bursts_found, key=lambda burst: burst.answers, default=Burst(paper.started_at, 0, 0.0))
    channels = Counter(answer.channel for answer in answers)
    channel_counts = "、".join(f"{CHANNELS.get(channel, channel)} {n} 题" for channel, n in channels.most_common()) if switches else ""
    seconds, burst_at = (_figure(largest.seconds), _clock_text(largest.began)) if bursts_found else (None, "")
    return (
        paper.staff_no,
        paper.name,
        paper.n,
        len(answers),
        hasty_count,
        largest.answers,
        seconds,
        burst_at,
        len(switches),
        browsers,
        channel_counts,
    )


def _clock_text(moment: datetime) -> str:
    return moment.astimezone(SHANGHAI).strftime("%m-%d %H:%M:%S")


def _figure(value: float) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _answer_sheets(paper_grades: list[CountingGrade], papers_by_sitting: dict[int, ReportedPaper]) -> list[AnswerSheet]:
    """What each person chose at first, whatever unit they are of; written answers and items taken out tell nothing."""
    chosen: dict[int, dict[str, tuple[str, bool]]] = {}
    for grade in paper_grades:
        paper = papers_by_sitting[grade.sitting_id]
        if paper.n == 1 and grade.choice and grade.counts and not grade.waits:
            chosen.setdefault(paper.person_id, {})[str(grade.version_id)] = (grade.choice, grade.earned == 1000)
    return [AnswerSheet(person, answers) for person, answers in chosen.items()]


def _pair_row(pair: AnswerPair, people: dict[int, ReportedPaper]) -> tuple[Cell, ...]:
    first, second = people[pair.first], people[pair.second]
    names = (first.staff_no, first.name, second.staff_no, second.name)
    rarity = f"{pair.rarity:.1e}" if pair.rarity < 0.0001 else f"{pair.rarity:.4f}"
    return (*names, pair.common, pair.both_wrong, pair.same, _figure(pair.expected), rarity)
