"""Reports on what was held: 竞赛 (participation by unit; no names, no ranks of persons, no scores of very small units), 活动依据 (the clause each
campaign rests on), 责任清单 (duties done, by row and form), 形式 (reach by form and channel)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal

from sqlalchemy import BigInteger, ClauseElement, Text, cast, exists, func, literal, or_, select
from sqlmodel import Session

from bot.domain.activity import DUTY_STATES, duty_state
from bot.domain.campaign.campaign import STATE_LABELS
from bot.domain.campaign.content import KIND_LABELS, describe_content
from bot.domain.campaign.schedule import describe_schedule
from bot.domain.contest.contest import FORM_LABELS, Contest, span_text
from bot.domain.contest.contest import STATE_LABELS as CONTEST_STATE_LABELS
from bot.domain.contest.leaderboard import BANDS, band_label
from bot.domain.message import Refusal
from bot.domain.people.audience import lies_within_units
from bot.domain.people.person import CHANNELS
from bot.domain.reports import Cell, Column, Part, ReportQuery, Scope, Table, percentage
from bot.domain.study.sitting import FORMS
from bot.domain.times import day_of, start_of
from bot.storage import activity, campaign
from bot.storage.contest import contests, players
from bot.storage.db.query import bind, table
from bot.storage.people import audience
from bot.storage.reports.scope import Office, ReportUnit, make_table, narrow_scope, report, scoped, units_in
from bot.storage.tables.campaign import CampaignRow, OccurrenceRow
from bot.storage.tables.delivery import DeliveryRow, VoteRow
from bot.storage.tables.study import AnswerRow, ReadingRow, SittingRow

_CAMPAIGN, _OCCURRENCE, _DELIVERY, _VOTE = (table(row) for row in (CampaignRow, OccurrenceRow, DeliveryRow, VoteRow))
_ANSWER, _SITTING, _READING = (table(row) for row in (AnswerRow, SittingRow, ReadingRow))

# ── 竞赛 ──


CONTEST_COLUMNS = (
    Column("id", "编号", "int"),
    Column("name", "竞赛"),
    Column("form", "形式", phone="never"),
    Column("state", "状态"),
    Column("span", "时间", phone="never"),
    Column("invited", "应参加", "int"),
    Column("took_part", "参加", "int"),
    Column("rate", "参加率", "percent"),
    Column("clause", "依据", phone="never"),
)
CONTEST_UNIT_COLUMNS = (
    Column("unit", "单位"),
    Column("invited", "应参加", "int"),
    Column("took_part", "参加", "int"),
    Column("rate", "参加率", "percent"),
    Column("mean", "全员人均分"),
    Column("band", "档次"),
)
OUT_OF_OFFICE = ("已离职", "未入职")
MIN_UNIT = 5
"""A unit with fewer people than this shows no score: it would be that of a person."""


@dataclass(slots=True)
class _ContestSum:
    invited: int = 0
    took_part: int = 0
    points: int = 0


@report("竞赛", about="编号")
def contest_participation(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """当年各场竞赛的参加率；写编号看一场里各单位的参加率和全员人均分（档次，不排名次）。"""
    units = units_in(session, scope)
    year_contests = [
        contest for contest in contests.list_all(session) if contest.state in ("open", "closed") and _end_day(contest, ask).year == ask.year
    ]
    year_contests = [contest for contest in year_contests if contest.plan.opens_at is None or contest.plan.opens_at < ask.until]
    if not ask.about:
        rows: list[tuple[Cell, ...]] = []
        for contest in year_contests:
            whole = _total(_sums_by_unit(session, contest, units, ask))
            if whole.invited:
                rows.append(_contest_row(contest, whole))
        notes = [f"共 {len(rows)} 场。看一场各单位的情况：报表 竞赛 编号"]
        return make_table(session, ask, "竞赛", "竞赛参加情况", Part("各场", CONTEST_COLUMNS, rows), notes=notes)
    number = re.fullmatch(r"#?(\d{1,9})", ask.about)
    chosen = next((contest for contest in year_contests if number is not None and contest.id == int(number[1])), None)
    sums = {} if chosen is None else _sums_by_unit(session, chosen, units, ask)
    if chosen is None or not sums:
        raise Refusal(f"{ask.year} 年没有编号为「{ask.about[:20]}」的竞赛，或它与您的单位无关。发送「报表 竞赛」看编号。")
    whole = _total(sums)
    notes = [
        f"应参加 {whole.invited} 人，参加 {whole.took_part} 人。参加：至少有一项成绩{'' if chosen.state == 'closed' else '；还在进行，为目前情况'}。",
        f"全员人均分：未参加的按 0 分，大小单位可比；不足 {MIN_UNIT} 人的单位不显示。",
        "档次：按全员人均分，" + "、".join(f"前 {upto}% {label}" for upto, label in BANDS) + "；不公布名次。",
    ]
    title = f"竞赛参加情况（{chosen.name}，{CONTEST_STATE_LABELS[chosen.state]}）"
    return make_table(session, ask, "竞赛", title, Part("各单位", CONTEST_UNIT_COLUMNS, _unit_rows(sums, whole, units)), notes=notes)


def _end_day(contest: Contest, ask: ReportQuery) -> date:
    """The day a contest belongs to: that of its end (rule D14)."""
    ended_at = contest.plan.closes_at or contest.closed_at
    return day_of(ended_at) if ended_at is not None else ask.last


def _contest_row(contest: Contest, whole: _ContestSum) -> tuple[Cell, ...]:
    return (
        contest.id,
        contest.name,
        FORM_LABELS[contest.plan.form],
        CONTEST_STATE_LABELS[contest.state],
        span_text(contest.plan),
        whole.invited,
        whole.took_part,
        percentage(whole.took_part, whole.invited),
        contest.plan.clause,
    )


def _sums_by_unit(session: Session, contest: Contest, units: dict[int, ReportUnit], ask: ReportQuery) -> dict[int, _ContestSum]:
    """Everybody who was meant to take part on the contest's last day (or today), each once, in the unit of their first post."""
    day = min(_end_day(contest, ask), ask.last)
    invited = audience.evaluate(session, contest.plan.audience, day, ask.until)
    expected = {*invited.people, *(person_id for person_id, reason in invited.excluded if reason not in OUT_OF_OFFICE)}
    units_of_person = players.units_by_person(session, day)
    played = {player.id: player.result for player in players.list_ranked(session, contest.id) if player.took_part}
    sums: defaultdict[int, _ContestSum] = defaultdict(_ContestSum)
    for person_id in expected | played.keys():
        unit_id = units_of_person[person_id].id if person_id in units_of_person else None
        if unit_id not in units or unit_id is None:
            continue
        unit_sum = sums[unit_id]
        unit_sum.invited += 1
        if person_id in played:
            unit_sum.took_part += 1
            unit_sum.points += played[person_id].points
    return dict(sums)


def _total(sums: dict[int, _ContestSum]) -> _ContestSum:
    return _ContestSum(
        sum(unit_sum.invited for unit_sum in sums.values()),
        sum(unit_sum.took_part for unit_sum in sums.values()),
        sum(unit_sum.points for unit_sum in sums.values()),
    )


def _mean_points(unit_sum: _ContestSum) -> str:
    return f"{(Decimal(unit_sum.points) / 1000 / unit_sum.invited).quantize(Decimal('0.01'), ROUND_DOWN)}"


def _unit_rows(sums: dict[int, _ContestSum], whole: _ContestSum, units: dict[int, ReportUnit]) -> list[tuple[Cell, ...]]:
    """In the order of the tree, never by score; the whole at the end."""
    means = sorted((unit_sum.points / unit_sum.invited for unit_sum in sums.values() if unit_sum.invited >= MIN_UNIT), reverse=True)
    rows: list[tuple[Cell, ...]] = []
    for unit_id, unit in units.items():
        if unit_id not in sums:
            continue
        unit_sum = sums[unit_id]
        shown = unit_sum.invited >= MIN_UNIT
        # Who has no point yet stands in no band: with nobody's points they would all be in the first.
        band_text = band_label(means.index(unit_sum.points / unit_sum.invited) + 1, len(means)) if shown and unit_sum.points else ""
        rows.append(
            (
                unit.path,
                unit_sum.invited,
                unit_sum.took_part,
                percentage(unit_sum.took_part, unit_sum.invited),
                _mean_points(unit_sum) if shown else "",
                band_text,
            )
        )
    rows.append(
        (
            "合计",
            whole.invited,
            whole.took_part,
            percentage(whole.took_part, whole.invited),
            _mean_points(whole) if whole.invited >= MIN_UNIT else "",
            "",
        )
    )
    return rows


# ── 活动依据 ──


CLAUSE_COLUMNS = (
    Column("name", "活动"),
    Column("id", "编号", "int"),
    Column("state", "状态"),
    Column("clause", "依据"),
    Column("content", "内容", phone="never"),
    Column("rhythm", "频次", phone="never"),
)
NO_CLAUSE = "无依据"


@report("活动依据", about="单位")
def clauses(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """当年有改动或仍在进行的活动各依据哪一条，没有写依据的单独列出。"""
    scope, scope_name = narrow_scope(session, scope, ask.about)
    roots = None if scope.roots is None else tuple(unit.path for unit in units_in(session, scope).values() if len(unit.above) == 1)
    campaigns = [entry for entry in campaign.all_campaigns(session) if lies_within_units(entry.audience, roots) and entry.state != "draft"]
    campaigns = [entry for entry in campaigns if entry.state in ("running", "paused") or day_of(entry.changed_at).year == ask.year]
    rows: list[tuple[Cell, ...]] = [
        (
            entry.name,
            entry.id,
            STATE_LABELS[entry.state],
            entry.clause or NO_CLAUSE,
            describe_content(entry.content),
            describe_schedule(entry.schedule),
        )
        for entry in campaigns
    ]
    missing = [row for row in rows if row[3] == NO_CLAUSE]
    notes = [f"共 {len(rows)} 个活动，{len(missing)} 个没有写依据。补写请发：活动 改 编号 依据=…"]
    parts = (Part(NO_CLAUSE, CLAUSE_COLUMNS, missing), Part("全部", CLAUSE_COLUMNS, rows))
    return make_table(session, ask, "活动依据", f"活动依据（{scope_name}）" if scope_name else "活动依据", *parts, notes=notes)


DUTY_COLUMNS = (
    Column("unit", "责任处室"),
    Column("law", "法律"),
    Column("form", "形式"),
    Column("count", "应办", "int"),
    Column("done", "已办", "int"),
    Column("deadline", "期限"),
    Column("state", "状态"),
    Column("liaison", "联络员", phone="never"),
    Column("clause", "依据", phone="never"),
)
FORM_COLUMNS = (
    Column("form", "形式"),
    Column("rows", "清单行数", "int"),
    Column("count", "应办", "int"),
    Column("done", "已办", "int"),
    Column("rate", "完成率", "percent"),
)
EVENT_COLUMNS = (Column("unit", "责任处室"), Column("name", "活动"), Column("done_on", "日期"), Column("note", "依据"))


@report("责任清单", about="单位")
def duties(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """普法责任清单逐行的应办、已办和状态，按形式汇总，并列出一项都没有开展的处室。"""
    scope, scope_name = narrow_scope(session, scope, ask.about)
    units = units_in(session, scope)
    planned = activity.planned_by_duty(session, ask.year)
    rows: list[tuple[Cell, ...]] = []
    events: list[tuple[Cell, ...]] = []
    forms: dict[str, list[int]] = {}
    by_unit: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for duty in activity.duties_of_year(session, ask.year):
        if duty.unit_id not in units:
            continue
        held_events = [event for event in planned.get(duty.id, []) if event.done_on is not None and event.done_on <= ask.last]
        state = duty_state(len(held_events), duty.count, duty.deadline, ask.last)
        rows.append((duty.unit, duty.law, duty.form, duty.count, len(held_events), duty.deadline.isoformat(), state, duty.liaison, duty.clause))
        events += [(duty.unit, event.name, str(event.done_on), event.note) for event in held_events]
        sums = forms.setdefault(duty.form, [0, 0, 0])
        sums[0], sums[1], sums[2] = sums[0] + 1, sums[1] + duty.count, sums[2] + len(held_events)
        by_unit[duty.unit] += len(held_events)
        states[state] += 1
    idle = [unit for unit in sorted(by_unit) if not by_unit[unit]]
    notes = [f"共 {len(rows)} 行，应办 {sum(counts[1] for counts in forms.values())} 次，已办 {len(events)} 次。" + _state_counts(states)]
    if idle:
        notes.append(f"还没有开展任何一项的处室：{'、'.join(idle)}。")
    notes.append("每次活动只计一次，须有日期和依据；取消的不计。")
    parts = (
        Part("逐行", DUTY_COLUMNS, rows),
        Part("按形式", FORM_COLUMNS, [(form, *sums, percentage(min(sums[2], sums[1]), sums[1])) for form, sums in sorted(forms.items())]),
        Part("已办", EVENT_COLUMNS, sorted(events, key=lambda event: str(event[2]))),
    )
    return make_table(session, ask, "责任清单", f"普法责任清单（{scope_name}）" if scope_name else "普法责任清单", *parts, notes=notes)


def _state_counts(states: Counter[str]) -> str:
    return "，".join(f"{name} {states[name]}" for name in DUTY_STATES if states[name]) + ("。" if states else "")


PUSH_COLUMNS = (
    Column("form", "形式"),
    Column("channel", "渠道"),
    Column("times", "次数", "int"),
    Column("sent", "送达人次", "int"),
    Column("lost", "未送达人次", "int"),
    Column("answered", "已阅或投票人次", "int"),
)
PARTICIPATION_COLUMNS = (
    Column("form", "形式"),
    Column("channel", "渠道"),
    Column("people", "参与人数", "int"),
    Column("begun", "开始", "int"),
    Column("done", "完成", "int"),
    Column("rate", "完成率", "percent"),
)
LESSON, ANY_CHANNEL = "课程", "不分渠道"


@dataclass(frozen=True, slots=True)
class _Pushes:
    """Occurrences of one kind of content on one channel, and the deliveries of them."""

    kind: str
    channel: str
    times: int
    sent: int
    lost: int
    answered: int


@dataclass(frozen=True, slots=True)
class _Participation:
    """Sets of questions of one kind answered on one channel, or lessons: by how many people, how many begun and done."""

    kind: str
    channel: str
    people: int
    begun: int
    done: int


# An occurrence, and a set of questions, is counted before anything is joined to it: 0.8 s each for a year of 100,000 people, against 1.1 and 2.1 s.
def _pushes(office: Office) -> ClauseElement:
    fired = (
        select(_OCCURRENCE.c.id)
        .join_from(_OCCURRENCE, _CAMPAIGN, _CAMPAIGN.c.id == _OCCURRENCE.c.campaign_id)
        .where(
            _CAMPAIGN.c.created_by != "system", _OCCURRENCE.c.state == "fired", _OCCURRENCE.c.due >= bind("since"), _OCCURRENCE.c.due < bind("until")
        )
    )
    has_voted = exists(select(_VOTE.c.choice).where(_VOTE.c.occurrence_id == _DELIVERY.c.occurrence_id, _VOTE.c.person_id == _DELIVERY.c.person_id))
    counted = (
        select(
            _DELIVERY.c.occurrence_id,
            _DELIVERY.c.channel,
            func.count().filter(_DELIVERY.c.state == "sent").label("sent"),
            func.count().filter(_DELIVERY.c.state != "sent").label("lost"),
            func.count().filter(or_(_DELIVERY.c.read_at.is_not(None), has_voted)).label("answered"),
        )
        .where(_DELIVERY.c.occurrence_id.in_(fired), _DELIVERY.c.state.in_(["sent", "failed", "unknown"]), office.has(_DELIVERY.c.person_id))
        .group_by(_DELIVERY.c.occurrence_id, _DELIVERY.c.channel)
        .cte("counted")
    )
    sums = (cast(func.sum(counted.c[name]), BigInteger).label(name) for name in ("sent", "lost", "answered"))
    return (
        select(_CAMPAIGN.c.kind, counted.c.channel, func.count().label("times"), *sums)
        .join_from(counted, _OCCURRENCE, _OCCURRENCE.c.id == counted.c.occurrence_id)
        .join(_CAMPAIGN, _CAMPAIGN.c.id == _OCCURRENCE.c.campaign_id)
        .group_by(_CAMPAIGN.c.kind, counted.c.channel)
        .order_by(_CAMPAIGN.c.kind, counted.c.channel)
    )


def _answered(office: Office) -> ClauseElement:
    in_year = (_ANSWER.c.arrived_at >= bind("since"), _ANSWER.c.arrived_at < bind("until"))
    taken = select(_ANSWER.c.sitting_id, _ANSWER.c.channel).distinct().where(*in_year)
    if not office.whole:
        taken = taken.where(_ANSWER.c.sitting_id.in_(select(_SITTING.c.id).where(office.has(_SITTING.c.person_id))))
    sets = taken.cte("taken")
    return (
        select(
            _SITTING.c.kind,
            sets.c.channel,
            func.count(_SITTING.c.person_id.distinct()).label("people"),
            func.count().label("begun"),
            func.count().filter(_SITTING.c.state == "done").label("done"),
        )
        .join_from(sets, _SITTING, _SITTING.c.id == sets.c.sitting_id)
        .where(office.has(_SITTING.c.person_id))
        .group_by(_SITTING.c.kind, sets.c.channel)
        .order_by(_SITTING.c.kind, sets.c.channel)
    )


def _read(office: Office) -> ClauseElement:
    return select(
        literal(LESSON, Text).label("kind"),
        literal(ANY_CHANNEL, Text).label("channel"),
        func.count(_READING.c.person_id.distinct()).label("people"),
        func.count().label("begun"),
        func.count().filter(_READING.c.state == "done").label("done"),
    ).where(_READING.c.opened_at >= bind("since"), _READING.c.opened_at < bind("until"), office.has(_READING.c.person_id))


_PUSHES, _ANSWERED, _READ = scoped(_pushes, gives=_Pushes), scoped(_answered, gives=_Participation), scoped(_read, gives=_Participation)


@report("形式", about="单位")
def forms(session: Session, scope: Scope, ask: ReportQuery) -> Table:
    """当年用了哪些形式和渠道：推送的次数和送达人次，学课、答题的参与人数和完成率。"""
    scope, scope_name = narrow_scope(session, scope, ask.about)
    year = {"day": ask.last, "since": start_of(ask.first), "until": ask.until}
    pushed = [
        (KIND_LABELS[push.kind], _channel_label(push.channel), push.times, push.sent, push.lost, push.answered)
        for push in _PUSHES.all(session, scope, **year)
    ]
    lessons = _READ.one(session, scope, **year)
    taken = [(LESSON, ANY_CHANNEL, lessons)] if lessons.begun else []
    taken += [(FORMS[form.kind].name, _channel_label(form.channel), form) for form in _ANSWERED.all(session, scope, **year)]
    rows = [(name, channel, form.people, form.begun, form.done, percentage(form.done, form.begun)) for name, channel, form in taken]
    parts = (Part("推送", PUSH_COLUMNS, pushed), Part("参与", PARTICIPATION_COLUMNS, rows))
    notes = [f"共推送 {sum(times for _, _, times, *_ in pushed)} 次；在机器人里学课、答题的形式 {len({row[0] for row in rows})} 种。"]
    terms = ["一份题在两个渠道上作答的，两个渠道各计一次；公众号公开系列的读者不在其中，另计。", "线下活动的形式见「报表 责任清单」。"]
    return make_table(session, ask, "形式", f"学法形式（{scope_name}）" if scope_name else "学法形式", *parts, notes=notes, terms=terms)


def _channel_label(name: str) -> str:
    return CHANNELS.get(name, name)
