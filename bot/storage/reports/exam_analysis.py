"""Reports that look into the papers of an exam, and what they share: 题目分析 (bot/docs/rules.md V12) and 考试线索 (A17).

An item analysis takes first attempts only; signs of irregular answering are for a person to check, and no score changes by them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

from sqlalchemy import func, select
from sqlmodel import Session

from bot.domain.exam.exam import Exam
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
from bot.domain.library.question import KINDS, Question, question_from_body
from bot.domain.message import Refusal
from bot.domain.people.person import CHANNELS
from bot.domain.reports import Cell, Column, Part, ReportQuery, Scope, Table
from bot.domain.text.numbers import points_text
from bot.domain.times import SHANGHAI
from bot.storage.db.query import Query, bind, columns, table
from bot.storage.exam import exams
from bot.storage.reports.scope import make_table, people_in_office, report
from bot.storage.study import grades
from bot.storage.study.grades import CountingGrade
from bot.storage.tables.exam import AttemptRow
from bot.storage.tables.library import QuestionVersionRow
from bot.storage.tables.people import PersonRow
from bot.storage.tables.study import AnswerRow, SittingItemRow
from bot.storage.tables.system import LinkRow, VisitRow

_ATTEMPT, _PERSON, _ANSWER, _ITEM, _VERSION, _LINK, _VISIT = (
    table(row) for row in (AttemptRow, PersonRow, AnswerRow, SittingItemRow, QuestionVersionRow, LinkRow, VisitRow)
)
NO_EXAM = "没有这场考试，请写考试的编号或全名。发送「考试」看列表。"


@dataclass(frozen=True, slots=True)
class ReportedPaper:
    """One closed try at the exam: the n-th of its person."""

    sitting_id: int
    person_id: int
    n: int
    started_at: datetime
    staff_no: str
    name: str


@dataclass(slots=True)
class Arrival:
    """An answer as it came: to which place and version, when, by which channel."""

    n: int
    version_id: int
    arrived_at: datetime
    channel: str


@dataclass(frozen=True, slots=True)
class ReportedVersion:
    """A question as it stood in the papers; `name` tells versions apart where there are several."""

    name: str
    question: Question


_OF_EXAM = _ATTEMPT.c.exam_id == bind("exam")
_PAPERS = Query(
    select(*columns(_ATTEMPT, ReportedPaper, staff_no=_PERSON.c.staff_no, name=_PERSON.c.name))
    .join_from(_ATTEMPT, _PERSON, _PERSON.c.id == _ATTEMPT.c.person_id)
    .where(_OF_EXAM, _ATTEMPT.c.state == "closed", _ATTEMPT.c.closed_at < bind("until"))
    .order_by(_ATTEMPT.c.sitting_id),
    gives=ReportedPaper,
)
_ARRIVALS = Query(
    select(_ANSWER.c.sitting_id, *columns(_ANSWER, Arrival))
    .join_from(_ANSWER, _ATTEMPT, _ATTEMPT.c.sitting_id == _ANSWER.c.sitting_id)
    .where(_OF_EXAM)
    .order_by(_ANSWER.c.sitting_id, _ANSWER.c.arrived_at, _ANSWER.c.id),
    gives=(int, Arrival),
)
_BODIES = Query(
    select(_VERSION.c.id, _VERSION.c.question, _VERSION.c.body)
    .distinct()
    .join_from(_VERSION, _ITEM, _ITEM.c.version_id == _VERSION.c.id)
    .join(_ATTEMPT, _ATTEMPT.c.sitting_id == _ITEM.c.sitting_id)
    .where(_OF_EXAM),
    gives=tuple[int, str, str],
)
_VISITS = Query(
    select(_LINK.c.person_id, func.count())
    .join_from(_VISIT, _LINK, _LINK.c.id == _VISIT.c.link_id)
    .where(_LINK.c.purpose == "exam", _LINK.c.ref == bind("ref"))
    .group_by(_LINK.c.person_id),
    gives=tuple[int, int],
)
_GRADES = grades.grades_of_sittings(select(_ATTEMPT.c.sitting_id).where(_OF_EXAM, _ATTEMPT.c.state == "closed"))


def find_exam(session: Session, about: str) -> Exam:
    """The exam of a number or a full name. Raises `Refusal` for none, or where several are called so."""
    wanted = about.strip().lstrip("#")
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10:
        exam = exams.get(session, int(wanted))
        matches = [exam] if exam is not None else []
    else:
        matches = [exam for exam in exams.list_all(session) if exam.name == wanted]
    matches = [exam for exam in matches if exam.state != "draft"]
    if not matches:
        raise Refusal(NO_EXAM)
    if len(matches) > 1:
        raise Refusal(f"叫这个名称的考试有 {len(matches)} 场，请写编号：{'、'.join(str(exam.id) for exam in matches[:10])}。")
    return matches[0]


def visible_papers(session: Session, scope: Scope, ask: ReportQuery, exam: Exam) -> list[ReportedPaper]:
    """The closed tries of those whom the asker may see, as they stood on the day asked for."""
    closed_papers = _PAPERS.all(session, exam=exam.id, until=ask.until)
    if scope.roots is None:
        return closed_papers
    visible = set(people_in_office(session, scope, ask.last))
    return [paper for paper in closed_papers if paper.person_id in visible]


def grades_of(session: Session, exam: Exam, sittings: Collection[int]) -> list[CountingGrade]:
    """The grades that count of some papers of an exam."""
    return [grade for grade in _GRADES.all(session, exam=exam.id) if grade.sitting_id in sittings]


def question_versions(session: Session, exam: Exam) -> dict[int, ReportedVersion]:
    """The questions of an exam's papers by version row."""
    versions = _BODIES.all(session, exam=exam.id)
    editions = Counter(name for _, name, _ in versions)
    return {
        version_id: ReportedVersion(f"{name}@{version_id}" if editions[name] > 1 else name, question_from_body(json.loads(body)))
        for version_id, name, body in versions
    }


def answer_arrivals(session: Session, exam: Exam) -> dict[int, list[Arrival]]:
    """The answers of each paper, in the order in which they came."""
    arrivals: defaultdict[int, list[Arrival]] = defaultdict(list)
    for sitting_id, arrival in _ARRIVALS.all(session, exam=exam.id):
        arrivals[sitting_id].append(arrival)
    return arrivals


def browser_counts(session: Session, exam: Exam) -> dict[int, int]:
    """In how many browsers each person has opened an exam's page, as far as visits are still kept."""
    return dict(_VISITS.all(session, ref=str(exam.id)))


# ── 题目分析 ──


ITEM_COLUMNS = (
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
ITEM_TERMS = (
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
    names = {version_id: str(version_id) for version_id in version_of}
    responses = [
        Response(
            grade.sitting_id,
            names[grade.version_id],
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
        Part("题目", ITEM_COLUMNS, [_item_row(item, version_of[int(item.question)]) for item in shown]),
        Part("整卷", PAPER_COLUMNS, [_paper_row(analysis, exam.total)], leads=True),
        Part("选项", OPTION_COLUMNS, [row for item in shown if item.n >= MIN_GROUP for row in _option_rows(item, version_of[int(item.question)])]),
    )
    return make_table(session, ask, "题目分析", f"《{exam.name}》题目分析", *parts, notes=notes, terms=ITEM_TERMS)


def _answer_seconds(started: datetime, arrivals: Sequence[Arrival]) -> dict[int, float]:
    """Seconds for each place, from the answer before it (or the beginning) to its own, on the server's clock."""
    moments = [started, *(arrival.arrived_at for arrival in arrivals)]
    return {arrival.n: (arrived_at - before).total_seconds() for arrival, (before, arrived_at) in zip(arrivals, pairwise(moments), strict=True)}


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


# ── 考试线索 ──


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
EVIDENCE_TERMS = (
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
    all_papers = {paper.sitting_id: paper for paper in visible_papers(session, Scope(), ask, exam)}
    shown_papers = all_papers if scope.roots is None else {paper.sitting_id: paper for paper in visible_papers(session, scope, ask, exam)}
    lengths = {version_id: _reading_length(version.question) for version_id, version in question_versions(session, exam).items()}
    paper_grades = grades_of(session, exam, all_papers.keys())
    arrivals, browsers = answer_arrivals(session, exam), browser_counts(session, exam)
    pace = []
    for sitting, paper in shown_papers.items():
        timed = [TimedAnswer(answer.n, answer.arrived_at, lengths[answer.version_id], answer.channel) for answer in arrivals.get(sitting, ())]
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
    terms = (*EVIDENCE_TERMS, f"最多比对最相近的 {MAX_PAIRS} 对。")
    return make_table(session, ask, "考试线索", f"《{exam.name}》作答线索", *parts, notes=notes, terms=terms)


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


def _answer_sheets(paper_grades: list[CountingGrade], papers_by_sitting: dict[int, ReportedPaper]) -> list[AnswerSheet]:
    """What each person chose at first, whatever unit they are of; written answers and items taken out tell nothing."""
    chosen: dict[int, dict[str, tuple[str, bool]]] = {}
    names = {version_id: str(version_id) for version_id in {grade.version_id for grade in paper_grades}}
    for grade in paper_grades:
        paper = papers_by_sitting[grade.sitting_id]
        if paper.n == 1 and grade.choice and grade.counts and not grade.waits:
            chosen.setdefault(paper.person_id, {})[names[grade.version_id]] = (grade.choice, grade.earned == 1000)
    return [AnswerSheet(person, answers) for person, answers in chosen.items()]


def _pair_row(pair: AnswerPair, people: dict[int, ReportedPaper]) -> tuple[Cell, ...]:
    first, second = people[pair.first], people[pair.second]
    names = (first.staff_no, first.name, second.staff_no, second.name)
    rarity = f"{pair.rarity:.1e}" if pair.rarity < 0.0001 else f"{pair.rarity:.4f}"
    return (*names, pair.common, pair.both_wrong, pair.same, _figure(pair.expected), rarity)
