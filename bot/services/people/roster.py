"""Importing a roster: it is compared with the database person by person, shown as a plan, and applied whole or not at all.

A plan lists who joins, comes back, leaves, moves or changes, and the conflicts that nobody may decide by guessing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session

from bot.domain.message import Refusal
from bot.domain.people.person import CHANNELS as person_CHANNELS
from bot.domain.people.person import RoleName
from bot.domain.times import day_of
from bot.services.people.roster_file import CHANNELS, Roster, RosterLine
from bot.storage.files.table_reader import RowFault
from bot.storage.people import accounts
from bot.storage.people import roster as people_roster
from bot.storage.people.roster import PersonRecord, PostRecord
from bot.storage.system import audit

STEP_LABELS = {"joiner": "新进", "rejoiner": "回来", "leaver": "离开", "mover": "调动", "change": "变更"}


@dataclass(slots=True)
class RosterStep:
    """All that changes for one person. `person_id` is None for a joiner; `changes` says it in Chinese, `audit_changes` without names and accounts."""

    kind: str
    person_id: int | None
    staff_no: str
    name: str
    tier: str
    joined_on: date | None
    left_on: date | None
    row_changes: bool = False
    units: list[str] = field(default_factory=list)
    new_posts: list[tuple[str, date, date | None]] = field(default_factory=list)
    end_posts: list[tuple[int, date | None]] = field(default_factory=list)
    drop_posts: list[int] = field(default_factory=list)
    add_roles: list[str] = field(default_factory=list)
    drop_roles: list[str] = field(default_factory=list)
    bind: list[tuple[str, str]] = field(default_factory=list)
    unbind: list[tuple[str, str]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    audit_changes: list[str] = field(default_factory=list)

    def add_change(self, text: str, audit_text: str = "") -> None:
        self.changes.append(text)
        self.audit_changes.append(audit_text or text)

    @property
    def is_empty(self) -> bool:
        return not (
            self.person_id is None
            or self.row_changes
            or self.new_posts
            or self.end_posts
            or self.drop_posts
            or self.add_roles
            or self.drop_roles
            or self.bind
            or self.unbind
        )


@dataclass(frozen=True, slots=True)
class RosterConflict:
    """What a roster asks for and nobody may decide by guessing."""

    row: int
    staff_no: str
    reason: str
    column: str = "工号"


@dataclass(frozen=True, slots=True)
class LikelyMixUp:
    """A joiner and a leaver of one name: most likely one person whose staff number was written in another way."""

    joiner: str
    leaver: str
    name: str

    def __str__(self) -> str:
        zeros = "，只差前面的 0" if self.joiner.lstrip("0") == self.leaver.lstrip("0") else ""
        return f"{self.name}：{self.leaver} 离开，{self.joiner} 新进{zeros}"


@dataclass(frozen=True, slots=True)
class RosterImportPlan:
    """The whole import. `absent` are those who would leave only because the file does not list them, `in_office` all who are on the roster now."""

    steps: tuple[RosterStep, ...]
    conflicts: tuple[RosterConflict, ...]
    new_units: tuple[str, ...]
    listed: int
    absent: int
    in_office: int
    notes: tuple[str, ...] = ()
    mix_ups: tuple[LikelyMixUp, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.steps or self.conflicts)

    @property
    def loses_most(self) -> bool:
        """More than half of the people in office would leave by not being listed: the file is then more likely incomplete."""
        return self.absent * 2 > self.in_office

    def steps_of(self, kind: str) -> list[RosterStep]:
        return [step for step in self.steps if step.kind == kind]

    def as_json(self) -> dict[str, Any]:
        def step_json(step: RosterStep) -> dict[str, Any]:
            return {"staff_no": step.staff_no, "name": step.name, "units": step.units, "what": step.changes}

        return {
            "listed": self.listed,
            **{f"{kind}s": [step_json(step) for step in self.steps_of(kind)] for kind in STEP_LABELS},
            "conflicts": [{"row": conflict.row, "staff_no": conflict.staff_no, "reason": conflict.reason} for conflict in self.conflicts],
            "mix_ups": [{"name": mix_up.name, "joiner": mix_up.joiner, "leaver": mix_up.leaver} for mix_up in self.mix_ups],
            "new_units": list(self.new_units),
            "notes": list(self.notes),
        }

    def as_text(self) -> list[str]:
        lines = list(self.notes)
        lines.append(
            f"花名册 {self.listed} 人："
            + "，".join(f"{label} {len(self.steps_of(kind))}" for kind, label in STEP_LABELS.items())
            + f"，冲突 {len(self.conflicts)}"
        )
        if self.mix_ups:
            lines.append(f"疑似同一个人（{len(self.mix_ups)} 处，是不是工号改了或写法不同？请核对后再写入）：")
            lines += [f"  {mix_up}" for mix_up in self.mix_ups]
        if self.new_units:
            lines.append(f"新建单位 {len(self.new_units)} 个：{'、'.join(self.new_units)}")
        for kind, label in STEP_LABELS.items():
            steps = self.steps_of(kind)
            if steps:
                lines.append(f"{label}（{len(steps)} 人）：")
                lines += [
                    f"  {step.staff_no} {step.name} {'、'.join(step.units)}" + (f"：{'；'.join(step.changes)}" if step.changes else "")
                    for step in steps
                ]
        if self.conflicts:
            lines.append(f"冲突（{len(self.conflicts)} 处）：")
            lines += [f"  第 {conflict.row} 行 {conflict.staff_no}：{conflict.reason}" for conflict in self.conflicts]
        return lines


BY_ROSTER = "roster"
"""`bound_by` of an account that a roster bound."""

_COLUMN_OF = {channel: column for column, channel in CHANNELS.items()}


def make_plan(roster: Roster, known: list[PersonRecord], unit_paths: Iterable[str], today: date) -> RosterImportPlan:
    """The difference between the database and the roster on a day (Asia/Shanghai). Decides, writes nothing."""
    by_number = {person.staff_no.casefold(): person for person in known}
    steps: list[RosterStep] = []
    conflicts: list[RosterConflict] = []
    for line in roster.people:
        person = by_number.get(line.staff_no.casefold())
        reason = _conflict_reason(line, person, today)
        if reason:
            conflicts.append(RosterConflict(line.row, line.staff_no, *reason))
        else:
            steps.append(_joiner_step(line, today) if person is None else _known_person_step(line, person, roster.columns, today))
    listed = {line.staff_no.casefold() for line in roster.people}
    in_office = [person for person in known if person.left_on is None or person.left_on > today]
    absent = [person for person in in_office if person.staff_no.casefold() not in listed and person.left_on != _last_day(person, today)]
    steps += [_unlisted_step(person, today) for person in absent]
    steps = [step for step in steps if not step.is_empty]
    conflicts += _account_conflicts(steps, known, roster, today)
    return RosterImportPlan(
        tuple(steps),
        tuple(sorted(conflicts, key=lambda conflict: conflict.row)),
        _new_units(steps, unit_paths),
        len(roster.people),
        len(absent),
        len(in_office),
        roster.notes,
        _likely_mix_ups(steps, today),
    )


def _likely_mix_ups(steps: list[RosterStep], today: date) -> tuple[LikelyMixUp, ...]:
    leavers: dict[str, list[str]] = {}
    for step in steps:
        if step.kind == "leaver":
            leavers.setdefault(step.name, []).append(step.staff_no)
    return tuple(
        LikelyMixUp(step.staff_no, leaver, step.name)
        for step in steps
        if step.kind == "joiner" and not _has_left(step.left_on, today)
        for leaver in leavers.get(step.name, ())
    )


def _has_left(left_on: date | None, today: date) -> bool:
    return left_on is not None and left_on <= today


def _conflict_reason(line: RosterLine, person: PersonRecord | None, today: date) -> tuple[str, str] | None:
    """Why a line contradicts the person whom we know by its staff number, and in which column."""
    if person is None:
        return None
    if _has_left(person.left_on, today) and line.name != person.name:
        reason = f"这个工号属于 {person.left_on} 已离开的 {person.name}，现在填的是 {line.name}：如果是新人请换一个工号，如果是同一个人请先核对姓名"
        return reason, "工号"
    joined = line.joined_on or person.joined_on
    if joined and line.left_on and line.left_on < joined:
        return f"离职日期 {line.left_on} 早于入职日期 {joined}", "离职日期"
    return None


def _joiner_step(line: RosterLine, today: date) -> RosterStep:
    has_left = _has_left(line.left_on, today)
    step = RosterStep("joiner", None, line.staff_no, line.name, line.tier or "", line.joined_on, line.left_on, units=list(line.units))
    since = min(line.joined_on or today, line.left_on or date.max)
    step.new_posts = [(unit, since, line.left_on) for unit in line.units]
    if has_left:
        step.add_change(f"{line.left_on} 已离开")
        return step
    step.add_roles = sorted(role.value for role in line.roles or ())
    if step.add_roles:
        step.add_change(f"角色 {_roles_text(step.add_roles)}")
    for channel, user in line.accounts.items():
        if user:
            step.bind.append((channel, user))
            step.add_change(f"绑定{_COLUMN_OF[channel]} {user}", f"绑定{_COLUMN_OF[channel]}")
    return step


def _known_person_step(line: RosterLine, person: PersonRecord, columns: frozenset[str], today: date) -> RosterStep:
    had_left = _has_left(person.left_on, today)
    # A column that the file does not have says nothing; a day of leaving that has passed is taken back by being listed again.
    left_on = line.left_on if "离职日期" in columns or had_left else person.left_on
    has_left = _has_left(left_on, today)
    kind = "change" if has_left == had_left else "leaver" if has_left else "rejoiner"
    tier = person.tier if line.tier is None else line.tier
    step = RosterStep(kind, person.id, person.staff_no, line.name, tier, line.joined_on or person.joined_on, left_on, units=list(line.units))
    _note_changes(step, person)
    _change_posts(step, person, line, today)
    wanted = set() if has_left else person.roles if line.roles is None else {role.value for role in line.roles}
    step.add_roles, step.drop_roles = sorted(wanted - person.roles), sorted(person.roles - wanted)
    if step.add_roles or step.drop_roles:
        step.add_change(f"角色 {_roles_text(person.roles)} → {_roles_text(wanted)}")
    for channel, (user, bound_by) in person.accounts.items():
        listed_user = line.accounts.get(channel)
        if has_left or (listed_user is not None and listed_user != user and (listed_user or bound_by == BY_ROSTER)):
            _unbind_account(step, channel, user)
    for channel, user in line.accounts.items():
        if user and not has_left and person.accounts.get(channel, ("", ""))[0] != user:
            step.bind.append((channel, user))
            step.add_change(f"绑定{_COLUMN_OF[channel]} {user}", f"绑定{_COLUMN_OF[channel]}")
    return step


def _note_changes(step: RosterStep, person: PersonRecord) -> None:
    if step.name != person.name:
        step.add_change(f"姓名 {person.name} → {step.name}", "姓名")
    if step.tier != person.tier:
        step.add_change(f"层级 {person.tier or '空'} → {step.tier or '空'}")
    if step.joined_on != person.joined_on:
        step.add_change(f"入职日期 {person.joined_on or '空'} → {step.joined_on or '空'}")
    if step.left_on != person.left_on:
        step.add_change(f"离职日期 {person.left_on or '空'} → {step.left_on or '空'}")
    step.row_changes = bool(step.changes)


def _change_posts(step: RosterStep, person: PersonRecord, line: RosterLine, today: date) -> None:
    """Posts: the old one ends yesterday, the new one begins today; all end with the person's last day."""
    yesterday = today - timedelta(days=1)
    current_posts = [post for post in person.posts if post.until is None or post.until == person.left_on]
    if step.kind == "rejoiner":
        current_posts = [post for post in current_posts if post.until is not None and post.until >= yesterday]
    if step.left_on is not None and step.left_on <= today and current_posts:
        step.units = [post.path for post in current_posts]
    for post in current_posts:
        if post.path in step.units:
            _end_post(step, post, step.left_on)
        else:
            _end_post(step, post, yesterday)
    current_paths = {post.path for post in current_posts}
    for unit in step.units:
        if unit not in current_paths:
            _begin_post(step, person, unit, line, today)
    left_units = [post.path for post in current_posts if post.path not in step.units]
    new_units = [unit for unit in step.units if unit not in current_paths]
    if step.kind == "change" and (left_units or new_units):
        step.kind = "mover"
        step.add_change(f"单位 {'、'.join(post.path for post in current_posts) or '空'} → {'、'.join(step.units)}")


def _end_post(step: RosterStep, post: PostRecord, until: date | None) -> None:
    if until == post.until:
        return
    if until is not None and until < post.since:
        step.drop_posts.append(post.id)
    else:
        step.end_posts.append((post.id, until))


def _begin_post(step: RosterStep, person: PersonRecord, unit: str, line: RosterLine, today: date) -> None:
    # A post that ended yesterday or today and is wanted again never really ended.
    reopened = next((post for post in person.posts if post.path == unit and post.until and today - timedelta(days=1) <= post.until <= today), None)
    if reopened is not None:
        step.end_posts.append((reopened.id, step.left_on))
        return
    since = today
    if step.kind == "rejoiner" and line.joined_on and person.left_on and person.left_on < line.joined_on <= today:
        since = line.joined_on
    step.new_posts.append((unit, min(since, step.left_on or date.max), step.left_on))


def _last_day(person: PersonRecord, today: date) -> date:
    """Today for somebody whom the roster no longer lists; nobody leaves before the day of joining."""
    return max(today, person.joined_on or today)


def _unlisted_step(person: PersonRecord, today: date) -> RosterStep:
    left_on = _last_day(person, today)
    current_posts = [post for post in person.posts if post.until is None or post.until == person.left_on]
    step = RosterStep(
        "leaver", person.id, person.staff_no, person.name, person.tier, person.joined_on, left_on, True, [post.path for post in current_posts]
    )
    step.add_change(f"花名册里没有，离职日期记为 {left_on}")
    for post in current_posts:
        _end_post(step, post, left_on)
    step.drop_roles = sorted(person.roles)
    if step.drop_roles:
        step.add_change(f"收回角色 {_roles_text(step.drop_roles)}")
    for channel, (user, _) in person.accounts.items():
        _unbind_account(step, channel, user)
    return step


def _unbind_account(step: RosterStep, channel: str, user: str) -> None:
    step.unbind.append((channel, user))
    label = f"{person_CHANNELS.get(channel, channel)}账号"
    step.add_change(f"解绑{label} {user}", f"解绑{label}")


def _roles_text(values: Iterable[str]) -> str:
    return "、".join(RoleName(value).label for value in sorted(values)) or RoleName.LEARNER.label


def _account_conflicts(steps: list[RosterStep], known: list[PersonRecord], roster: Roster, today: date) -> list[RosterConflict]:
    """An account that stays with somebody else cannot be given away; that of somebody who has gone is taken over."""
    released = {account for step in steps for account in step.unbind}
    holders = {(channel, user): person for person in known for channel, (user, _) in person.accounts.items()}
    row_numbers = {line.staff_no.casefold(): line.row for line in roster.people}
    conflicts: list[RosterConflict] = []
    for step in steps:
        for channel, user in step.bind:
            holder = holders.get((channel, user))
            if holder is None or (channel, user) in released:
                continue
            if _has_left(holder.left_on, today):
                step.unbind.append((channel, user))
                continue
            conflicts.append(
                RosterConflict(
                    row_numbers[step.staff_no.casefold()],
                    step.staff_no,
                    f"{_COLUMN_OF[channel]} {user} 已绑定给工号 {holder.staff_no}（{holder.name}），请先核对是谁的账号",
                    _COLUMN_OF[channel],
                )
            )
    return conflicts


def _new_units(steps: list[RosterStep], unit_paths: Iterable[str]) -> tuple[str, ...]:
    existing = set(unit_paths)
    wanted: dict[str, None] = {}
    for step in steps:
        for path, _, _ in step.new_posts:
            parts = path.split("/")
            wanted.update({"/".join(parts[: depth + 1]): None for depth in range(len(parts))})
    return tuple(path for path in wanted if path not in existing)


CONFLICTS_NOTICE = "有冲突，什么都没有改动。请在花名册里改好后重新导入。"


def compare(session: Session, roster: Roster, now: datetime) -> RosterImportPlan:
    """What the roster would change today; writes nothing. Raises `BadTableRows` where a cell is not right, with the conflicts of the other rows."""
    plan = make_plan(roster, people_roster.list_people(session), people_roster.unit_ids(session), day_of(now))
    roster.require_faultless(RowFault(conflict.row, conflict.column, conflict.reason) for conflict in plan.conflicts)
    return plan


def apply(
    session: Session, roster: Roster, now: datetime, *, actor: str, via: str, leavers_ok: bool = False, source: str = "花名册导入"
) -> RosterImportPlan:
    """Change the database to what the roster says, in the caller's transaction, with a line in the audit for each person changed.

    Worked out anew, so that what changed since the dry run counts. Raises `Refusal`, with nothing written, when there are conflicts, or when
    more than half of the people in office would leave and `leavers_ok` was not given.
    """
    people_roster.lock_roster(session)
    plan = compare(session, roster, now)
    if plan.conflicts:
        raise Refusal("\n".join([*plan.as_text(), CONFLICTS_NOTICE]))
    if plan.loses_most and not leavers_ok:
        raise Refusal(loses_most_notice(plan))
    units = people_roster.unit_ids(session)
    for step in plan.steps:
        for channel, user in step.unbind:
            accounts.unbind_account(session, channel, user)
    for step in plan.steps:
        _apply_step(session, step, units, now)
        label = STEP_LABELS[step.kind]
        audit.record(session, now, actor, via, f"花名册{label}", step.staff_no, detail="；".join(step.audit_changes))
    if plan.steps:
        counts = "，".join(f"{label} {len(plan.steps_of(kind))}" for kind, label in STEP_LABELS.items())
        audit.record(session, now, actor, via, source, detail=f"{plan.listed} 人：{counts}")
    return plan


def loses_most_notice(plan: RosterImportPlan) -> str:
    """The refusal of a roster that is probably incomplete."""
    return (
        f"在册 {plan.in_office} 人中有 {plan.absent} 人不在这份花名册里，会被记为离职，超过一半，所以没有执行，什么都没有改动。"
        "请检查文件是否完整；确实如此请加 --leavers-ok。"
    )


def _apply_step(session: Session, step: RosterStep, units: dict[str, int], now: datetime) -> None:
    person_id = step.person_id
    if person_id is None:
        person_id = people_roster.add_person(session, step.staff_no, step.name, step.tier, step.joined_on, step.left_on, now)
    elif step.row_changes:
        people_roster.update_person(session, person_id, step.name, step.tier, step.joined_on, step.left_on)
    for post_id in step.drop_posts:
        people_roster.delete_post(session, post_id)
    for post_id, until in step.end_posts:
        people_roster.end_post(session, post_id, until)
    for path, since, until in step.new_posts:
        people_roster.add_post(session, person_id, _unit_id(session, units, path), since, until)
    people_roster.change_roles(session, person_id, step.add_roles, step.drop_roles)
    if step.kind == "leaver":
        accounts.delete_code(session, person_id)
    for channel, user in step.bind:
        accounts.bind_account(session, channel, user, person_id, now, BY_ROSTER)


def _unit_id(session: Session, units: dict[str, int], path: str) -> int:
    """The id of the unit at a path; missing units are added, from the top down."""
    if path not in units:
        above = path.rpartition("/")[0]
        units[path] = people_roster.add_unit(session, _unit_id(session, units, above) if above else None, path)
    return units[path]
