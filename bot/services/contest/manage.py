"""Managing contests: draft, open with teams, cancel with credited hours reversed; every act is audited and limited to the author's units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlmodel import Session

from bot.domain.campaign import content
from bot.domain.campaign.campaign import Author
from bot.domain.contest.contest import FORM_LABELS, STATE_LABELS, TEAM_LABELS, Contest, ContestPlan, describe_rules, span_text
from bot.domain.message import Refusal
from bot.domain.people.audience import describe_audience, lies_within_units
from bot.domain.times import day_of
from bot.services.campaign import manage
from bot.services.contest import notifications
from bot.services.contest.play import question_pool
from bot.services.library.catalog import Catalog
from bot.storage.contest import contests, players
from bot.storage.contest.contests import ContestItem
from bot.storage.contest.players import PersonUnit
from bot.storage.hours import ledger
from bot.storage.people import audience
from bot.storage.system import audit

MAX_ITEMS = 200


def require_contest(session: Session, author: Author, contest_id: int, *, hold: bool = False) -> Contest:
    """A contest that an administrator may manage. One that reaches beyond their units is refused like one that does not exist."""
    contest = contests.lock(session, contest_id) if hold else contests.get(session, contest_id)
    if contest is None or not lies_within_units(contest.plan.audience, author.roots):
        raise Refusal(f"没有编号为 {contest_id} 的竞赛。发送「竞赛」看列表。")
    return contest


def list_contests(session: Session, author: Author) -> list[Contest]:
    """The contests of an administrator, newest first."""
    return [contest for contest in contests.list_all(session) if lies_within_units(contest.plan.audience, author.roots)]


def validate_plan(session: Session, catalog: Catalog, author: Author, plan: ContestPlan) -> ContestPlan:
    """The plan with its audience in full unit names, limited to what the author reaches. Raises `Refusal` for a plan that cannot be carried out."""
    if plan.form not in FORM_LABELS:
        raise Refusal(f"竞赛形式只能是 {'、'.join(FORM_LABELS)}。")
    name = content.clean_title(plan.name, "竞赛", catalog.library)
    if plan.form == "windowed":
        if plan.opens_at is None or plan.closes_at is None:
            raise Refusal("限时竞赛要写开始和截止时间，例如 2026-07-01 09:00 到 2026-07-08 18:00。")
        available = len(question_pool(catalog, plan.names))
        if available < plan.rules.size:
            raise Refusal(f"「{'、'.join(plan.names)}」可用的题只有 {available} 道，不够一套 {plan.rules.size} 题。")
    if plan.opens_at is not None and plan.closes_at is not None and plan.closes_at <= plan.opens_at:
        raise Refusal("截止时间要在开始时间之后。")
    return ContestPlan(
        name,
        plan.form,
        plan.rules,
        plan.names,
        manage.reachable_audience(session, author, plan.audience),
        plan.opens_at,
        plan.closes_at,
        plan.clause[:200],
    )


def create(session: Session, catalog: Catalog, author: Author, plan: ContestPlan, now: datetime, items: Sequence[ContestItem] = ()) -> int:
    """A draft; nobody sees it before `open_contest`. `items` are the fixed questions of a contest in which all are asked the same."""
    checked_plan = validate_plan(session, catalog, author, plan)
    if len(items) > MAX_ITEMS:
        raise Refusal(f"一场竞赛最多 {MAX_ITEMS} 道固定的题。")
    contest_id = contests.add(session, checked_plan, author.actor, now)
    contests.add_items(session, contest_id, items)
    audit.record(session, now, author.actor, author.via, "新建竞赛", f"contest:{contest_id}", detail=plan_summary(checked_plan))
    return contest_id


def update_draft(session: Session, catalog: Catalog, author: Author, contest_id: int, plan: ContestPlan, now: datetime) -> None:
    """The next version of a draft. An open contest is not changed while people play."""
    contest = require_contest(session, author, contest_id, hold=True)
    checked_plan = validate_plan(session, catalog, author, plan)
    if not contests.update_draft(session, contest_id, checked_plan, now):
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」{STATE_LABELS[contest.state]}，规则不能再改。")
    audit.record(
        session,
        now,
        author.actor,
        author.via,
        "修改竞赛",
        f"contest:{contest_id}",
        detail=f"第 {contest.version + 1} 版：{plan_summary(checked_plan)}",
    )


def plan_summary(plan: ContestPlan) -> str:
    """A plan in one line, for the audit."""
    sources = "、".join(plan.names)
    return "；".join(
        part
        for part in (
            plan.name,
            FORM_LABELS[plan.form],
            span_text(plan),
            sources,
            describe_audience(plan.audience),
            plan.clause,
            *describe_rules(plan.rules),
        )
        if part
    )


def open_contest(session: Session, author: Author, contest_id: int, now: datetime) -> Contest:
    """Open a draft: it becomes visible and is played inside its window. Teams by unit are formed from the audience of this day."""
    contest = require_contest(session, author, contest_id, hold=True)
    if contest.state != "draft":
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」{STATE_LABELS[contest.state]}，只有草稿可以开放。")
    if contest.plan.closes_at is not None and contest.plan.closes_at <= now:
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」的截止时间已经过了，请先改时间。")
    if contest.rules.teams == "listed" and not players.team_names(session, contest_id):
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」按名单组队，请先导入队员名单：contest teams {contest_id} 文件。")
    contests.open_draft(session, contest_id, now)
    if contest.rules.teams == "unit":
        _create_unit_teams(session, contest, now)
    audit.record(session, now, author.actor, author.via, "开放竞赛", f"contest:{contest_id}", detail=f"第 {contest.version} 版")
    return contest


def _create_unit_teams(session: Session, contest: Contest, now: datetime) -> None:
    invited = audience.evaluate(session, contest.plan.audience, day_of(now), now)
    # Who is on leave belongs to the unit all the same; who has left does not.
    person_ids = [*invited.people, *(person_id for person_id, reason in invited.excluded if reason not in ("已离职", "未入职"))]
    units = players.units_by_person(session, day_of(now))
    by_unit: defaultdict[PersonUnit, list[int]] = defaultdict(list)
    for person_id in person_ids:
        if person_id in units:
            by_unit[units[person_id]].append(person_id)
    for unit, members in sorted(by_unit.items(), key=lambda entry: entry[0].path):
        players.add_members(session, contest.id, players.get_or_create_team(session, contest.id, unit.path, unit.id), members)


def cancel(session: Session, author: Author, contest_id: int, reason: str, now: datetime) -> int:
    """Cancel a contest: no board, and hours credited for it are reversed; returns how many entries were.

    The answers stand as they were recorded.
    """
    contest = require_contest(session, author, contest_id, hold=True)
    if not reason.strip():
        raise Refusal("取消竞赛要写原因。")
    if contest.state not in ("draft", "open"):
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」{STATE_LABELS[contest.state]}，不能取消。")
    players.close_open_sets(session, contest_id, now)
    contests.cancel(session, contest_id, now)
    ledger_entries = [
        ledger_entry
        for person_id in players.took_part(session, contest_id)
        for ledger_entry in ledger.entries_of_source(session, person_id, "contest", str(contest_id))
    ]
    reversals = [ledger.reverse(session, entry, now, author.actor) for entry, _, taken_back in ledger_entries if not taken_back]
    notifications.stop_invitations(session, author, contest, reason.strip(), now)
    detail = f"{reason.strip()}；冲销 {len(reversals)} 人的学时"
    audit.record(session, now, author.actor, author.via, "取消竞赛", f"contest:{contest_id}", detail=detail)
    return len(reversals)


def set_teams(session: Session, author: Author, contest_id: int, members_by_team: Mapping[str, Sequence[int]], now: datetime) -> int:
    """Put people into teams by a list; doing it again with the same list changes nothing. How many are in teams now.

    Only before the contest is over, and only for one that plays by list. A member that the list does not name stays where they are.
    """
    contest = require_contest(session, author, contest_id, hold=True)
    if contest.state not in ("draft", "open"):
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」{STATE_LABELS[contest.state]}，不能再改队员。")
    if contest.rules.teams != "listed":
        raise Refusal(f"竞赛 {contest_id}「{contest.name}」{TEAM_LABELS[contest.rules.teams]}，不按名单组队。")
    for name, members in members_by_team.items():
        team_id = players.get_or_create_team(session, contest_id, name)
        for person_id in members:
            players.move_member(session, contest_id, team_id, person_id)
    detail = f"{len(members_by_team)} 队，{sum(len(members) for members in members_by_team.values())} 人"
    audit.record(session, now, author.actor, author.via, "竞赛队员名单", f"contest:{contest_id}", detail=detail)
    return len(players.list_members(session, contest_id))
