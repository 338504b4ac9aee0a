"""The roster: read from a file, compared with the roll, applied whole or not at all."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.domain.message import Refusal
from bot.domain.times import day_of
from bot.services.people.roster_changes import KINDS, ROSTER, RosterImportPlan, RosterStep, make_plan
from bot.services.people.roster_file import Roster
from bot.storage.people import roster as people_roster
from bot.storage.system import audit

CONFLICTS = "有冲突，什么都没有改动。请在花名册里改好后重新导入。"


def compare(session: Session, roster: Roster, now: datetime) -> RosterImportPlan:
    """What the roster would change today; writes nothing."""
    return make_plan(roster, people_roster.everybody(session), people_roster.units(session), day_of(now))


def apply(
    session: Session, roster: Roster, now: datetime, *, actor: str, via: str, leavers_ok: bool = False, source: str = "花名册导入"
) -> RosterImportPlan:
    """Change the roll to what the roster says, in the caller's transaction, with a line in the audit for each person changed.

    Worked out anew, so that what changed since the dry run counts. Raises `Refusal`, with nothing written, when there are conflicts, or when
    more than half of the roll would leave and `leavers_ok` was not given.
    """
    people_roster.lock_roll(session)
    plan = compare(session, roster, now)
    if plan.conflicts:
        raise Refusal("\n".join([*plan.as_text(), CONFLICTS]))
    if plan.loses_most and not leavers_ok:
        raise Refusal(loses_most(plan))
    units = people_roster.units(session)
    for step in plan.steps:
        for channel, user in step.unbind:
            people_roster.unbind(session, channel, user)
    for step in plan.steps:
        _take(session, step, units, now)
        label = KINDS[step.kind]
        audit.record(session, now, actor, via, f"花名册{label}", step.staff_no, detail="；".join(step.private))
    if plan.steps:
        counts = "，".join(f"{label} {len(plan.of(kind))}" for kind, label in KINDS.items())
        audit.record(session, now, actor, via, source, detail=f"{plan.listed} 人：{counts}")
    return plan


def loses_most(plan: RosterImportPlan) -> str:
    """The sentence of the guard against half a file."""
    return (
        f"在册 {plan.in_office} 人中有 {plan.absent} 人不在这份花名册里，会被记为离职，超过一半，所以没有执行，什么都没有改动。"
        "请检查文件是否完整；确实如此请加 --leavers-ok。"
    )


def _take(session: Session, step: RosterStep, units: dict[str, int], now: datetime) -> None:
    person_id = step.person_id
    if person_id is None:
        person_id = people_roster.add(session, step.staff_no, step.name, step.tier, step.joined_on, step.left_on, now)
    elif step.row_changes:
        people_roster.change(session, person_id, step.name, step.tier, step.joined_on, step.left_on)
    for post_id in step.drop_posts:
        people_roster.drop_post(session, post_id)
    for post_id, until in step.end_posts:
        people_roster.end_post(session, post_id, until)
    for path, since, until in step.new_posts:
        people_roster.add_post(session, person_id, _unit(session, units, path), since, until)
    people_roster.set_roles(session, person_id, step.add_roles, step.drop_roles)
    if step.kind == "leaver":
        people_roster.drop_code(session, person_id)
    for channel, user in step.bind:
        people_roster.bind(session, channel, user, person_id, now, ROSTER)


def _unit(session: Session, units: dict[str, int], path: str) -> int:
    """The unit of a path; what is missing of the tree grows."""
    if path not in units:
        above = path.rpartition("/")[0]
        units[path] = people_roster.add_unit(session, _unit(session, units, above) if above else None, path)
    return units[path]
