"""The roster: read from a file, compared with the roll, applied whole or not at all.

What a roster would change, as a value: steps for each person, conflicts, and how it is shown to a person and to a script.

The difference between the roll and a roster, person by person: who joins, leaves, moves, changes, and what nobody may guess.
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
from bot.storage.people import roster as people_roster
from bot.storage.people.roster import HeldPost, KnownPerson
from bot.storage.system import audit

KINDS = {"joiner": "新进", "rejoiner": "回来", "leaver": "离开", "mover": "调动", "change": "变更"}


@dataclass(slots=True)
class RosterStep:
    """All that changes for one person. `person_id` is None for a joiner; `what` says it in Chinese, `private` leaves names and accounts out."""

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
    what: list[str] = field(default_factory=list)
    private: list[str] = field(default_factory=list)

    def say(self, what: str, private: str = "") -> None:
        self.what.append(what)
        self.private.append(private or what)

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


@dataclass(frozen=True, slots=True)
class RosterImportPlan:
    """The whole import. `absent` are those who would leave only because the file does not list them, `in_office` all who are on the roll now."""

    steps: tuple[RosterStep, ...]
    conflicts: tuple[RosterConflict, ...]
    new_units: tuple[str, ...]
    listed: int
    absent: int
    in_office: int
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.steps or self.conflicts)

    @property
    def loses_most(self) -> bool:
        """More than half of the roll would leave by not being listed: more likely a part of a file than a farewell."""
        return self.absent * 2 > self.in_office

    def of(self, kind: str) -> list[RosterStep]:
        return [step for step in self.steps if step.kind == kind]

    def as_json(self) -> dict[str, Any]:
        def step(one: RosterStep) -> dict[str, Any]:
            return {"staff_no": one.staff_no, "name": one.name, "units": one.units, "what": one.what}

        return {
            "listed": self.listed,
            **{f"{kind}s": [step(one) for one in self.of(kind)] for kind in KINDS},
            "conflicts": [{"row": one.row, "staff_no": one.staff_no, "reason": one.reason} for one in self.conflicts],
            "new_units": list(self.new_units),
            "notes": list(self.notes),
        }

    def as_text(self) -> list[str]:
        lines = list(self.notes)
        lines.append(
            f"花名册 {self.listed} 人："
            + "，".join(f"{label} {len(self.of(kind))}" for kind, label in KINDS.items())
            + f"，冲突 {len(self.conflicts)}"
        )
        if self.new_units:
            lines.append(f"新建单位 {len(self.new_units)} 个：{'、'.join(self.new_units)}")
        for kind, label in KINDS.items():
            steps = self.of(kind)
            if steps:
                lines.append(f"{label}（{len(steps)} 人）：")
                lines += [f"  {one.staff_no} {one.name} {'、'.join(one.units)}" + (f"：{'；'.join(one.what)}" if one.what else "") for one in steps]
        if self.conflicts:
            lines.append(f"冲突（{len(self.conflicts)} 处）：")
            lines += [f"  第 {one.row} 行 {one.staff_no}：{one.reason}" for one in self.conflicts]
        return lines


ROSTER = "roster"
"""`bound_by` of an account that a roster bound."""

_COLUMN_OF = {channel: column for column, channel in CHANNELS.items()}


def make_plan(roster: Roster, known: list[KnownPerson], unit_paths: Iterable[str], today: date) -> RosterImportPlan:
    """The difference between the roll and the roster on a day (Asia/Shanghai). Decides, writes nothing."""
    by_number = {one.staff_no.casefold(): one for one in known}
    steps: list[RosterStep] = []
    conflicts: list[RosterConflict] = []
    for one in roster.people:
        person = by_number.get(one.staff_no.casefold())
        reason = _why_not(one, person, today)
        if reason:
            conflicts.append(RosterConflict(one.row, one.staff_no, reason))
        else:
            steps.append(_joiner(one, today) if person is None else _known(one, person, roster.columns, today))
    listed = {one.staff_no.casefold() for one in roster.people}
    in_office = [one for one in known if one.left_on is None or one.left_on > today]
    absent = [one for one in in_office if one.staff_no.casefold() not in listed and one.left_on != _last_day(one, today)]
    steps += [_absent(one, today) for one in absent]
    steps = [step for step in steps if not step.is_empty]
    conflicts += _account_conflicts(steps, known, roster, today)
    return RosterImportPlan(
        tuple(steps),
        tuple(sorted(conflicts, key=lambda one: one.row)),
        _new_units(steps, unit_paths),
        len(roster.people),
        len(absent),
        len(in_office),
        roster.notes,
    )


def _is_gone(left_on: date | None, today: date) -> bool:
    return left_on is not None and left_on <= today


def _why_not(one: RosterLine, person: KnownPerson | None, today: date) -> str:
    if person is None:
        return ""
    if _is_gone(person.left_on, today) and one.name != person.name:
        return f"这个工号属于 {person.left_on} 已离开的 {person.name}，现在填的是 {one.name}：如果是新人请换一个工号，如果是同一个人请先核对姓名"
    joined = one.joined_on or person.joined_on
    if joined and one.left_on and one.left_on < joined:
        return f"离职日期 {one.left_on} 早于入职日期 {joined}"
    return ""


def _joiner(one: RosterLine, today: date) -> RosterStep:
    gone = _is_gone(one.left_on, today)
    step = RosterStep("joiner", None, one.staff_no, one.name, one.tier or "", one.joined_on, one.left_on, units=list(one.units))
    since = min(one.joined_on or today, one.left_on or date.max)
    step.new_posts = [(unit, since, one.left_on) for unit in one.units]
    if gone:
        step.say(f"{one.left_on} 已离开")
        return step
    step.add_roles = sorted(role.value for role in one.roles or ())
    if step.add_roles:
        step.say(f"角色 {_roles(step.add_roles)}")
    for channel, user in one.accounts.items():
        if user:
            step.bind.append((channel, user))
            step.say(f"绑定{_COLUMN_OF[channel]} {user}", f"绑定{_COLUMN_OF[channel]}")
    return step


def _known(one: RosterLine, person: KnownPerson, columns: frozenset[str], today: date) -> RosterStep:
    was_gone = _is_gone(person.left_on, today)
    # A column that the file does not have says nothing; a day of leaving that has passed is taken back by being listed again.
    left_on = one.left_on if "离职日期" in columns or was_gone else person.left_on
    gone = _is_gone(left_on, today)
    kind = "change" if gone == was_gone else "leaver" if gone else "rejoiner"
    tier = person.tier if one.tier is None else one.tier
    step = RosterStep(kind, person.id, person.staff_no, one.name, tier, one.joined_on or person.joined_on, left_on, units=list(one.units))
    _say_changes(step, person)
    _move(step, person, one, today)
    wanted = set() if gone else person.roles if one.roles is None else {role.value for role in one.roles}
    step.add_roles, step.drop_roles = sorted(wanted - person.roles), sorted(person.roles - wanted)
    if step.add_roles or step.drop_roles:
        step.say(f"角色 {_roles(person.roles)} → {_roles(wanted)}")
    for channel, (user, bound_by) in person.accounts.items():
        named = one.accounts.get(channel)
        if gone or (named is not None and named != user and (named or bound_by == ROSTER)):
            _unbind(step, channel, user)
    for channel, user in one.accounts.items():
        if user and not gone and person.accounts.get(channel, ("", ""))[0] != user:
            step.bind.append((channel, user))
            step.say(f"绑定{_COLUMN_OF[channel]} {user}", f"绑定{_COLUMN_OF[channel]}")
    return step


def _say_changes(step: RosterStep, person: KnownPerson) -> None:
    if step.name != person.name:
        step.say(f"姓名 {person.name} → {step.name}", "姓名")
    if step.tier != person.tier:
        step.say(f"层级 {person.tier or '空'} → {step.tier or '空'}")
    if step.joined_on != person.joined_on:
        step.say(f"入职日期 {person.joined_on or '空'} → {step.joined_on or '空'}")
    if step.left_on != person.left_on:
        step.say(f"离职日期 {person.left_on or '空'} → {step.left_on or '空'}")
    step.row_changes = bool(step.what)


def _move(step: RosterStep, person: KnownPerson, one: RosterLine, today: date) -> None:
    """Posts: the old one ends yesterday, the new one begins today; all end with the person's last day."""
    yesterday = today - timedelta(days=1)
    current = [post for post in person.posts if post.until is None or post.until == person.left_on]
    if step.kind == "rejoiner":
        current = [post for post in current if post.until is not None and post.until >= yesterday]
    if step.left_on is not None and step.left_on <= today and current:
        step.units = [post.path for post in current]
    for post in current:
        if post.path in step.units:
            _end(step, post, step.left_on)
        else:
            _end(step, post, yesterday)
    here = {post.path for post in current}
    for unit in step.units:
        if unit not in here:
            _enter(step, person, unit, one, today)
    left_units = [post.path for post in current if post.path not in step.units]
    came = [unit for unit in step.units if unit not in here]
    if step.kind == "change" and (left_units or came):
        step.kind = "mover"
        step.say(f"单位 {'、'.join(post.path for post in current) or '空'} → {'、'.join(step.units)}")


def _end(step: RosterStep, post: HeldPost, until: date | None) -> None:
    if until == post.until:
        return
    if until is not None and until < post.since:
        step.drop_posts.append(post.id)
    else:
        step.end_posts.append((post.id, until))


def _enter(step: RosterStep, person: KnownPerson, unit: str, one: RosterLine, today: date) -> None:
    # A post that ended yesterday or today and is wanted again never really ended.
    again = next((post for post in person.posts if post.path == unit and post.until and today - timedelta(days=1) <= post.until <= today), None)
    if again is not None:
        step.end_posts.append((again.id, step.left_on))
        return
    since = today
    if step.kind == "rejoiner" and one.joined_on and person.left_on and person.left_on < one.joined_on <= today:
        since = one.joined_on
    step.new_posts.append((unit, min(since, step.left_on or date.max), step.left_on))


def _last_day(person: KnownPerson, today: date) -> date:
    """Today for somebody whom the roster no longer lists; nobody leaves before the day of joining."""
    return max(today, person.joined_on or today)


def _absent(person: KnownPerson, today: date) -> RosterStep:
    left_on = _last_day(person, today)
    current = [post for post in person.posts if post.until is None or post.until == person.left_on]
    step = RosterStep(
        "leaver", person.id, person.staff_no, person.name, person.tier, person.joined_on, left_on, True, [post.path for post in current]
    )
    step.say(f"花名册里没有，离职日期记为 {left_on}")
    for post in current:
        _end(step, post, left_on)
    step.drop_roles = sorted(person.roles)
    if step.drop_roles:
        step.say(f"收回角色 {_roles(step.drop_roles)}")
    for channel, (user, _) in person.accounts.items():
        _unbind(step, channel, user)
    return step


def _unbind(step: RosterStep, channel: str, user: str) -> None:
    step.unbind.append((channel, user))
    label = f"{person_CHANNELS.get(channel, channel)}账号"
    step.say(f"解绑{label} {user}", f"解绑{label}")


def _roles(values: Iterable[str]) -> str:
    return "、".join(RoleName(value).label for value in sorted(values)) or RoleName.LEARNER.label


def _account_conflicts(steps: list[RosterStep], known: list[KnownPerson], roster: Roster, today: date) -> list[RosterConflict]:
    """An account that stays with somebody else cannot be given away; that of somebody who has gone is taken over."""
    released = {account for step in steps for account in step.unbind}
    holders = {(channel, user): one for one in known for channel, (user, _) in one.accounts.items()}
    rows = {one.staff_no.casefold(): one.row for one in roster.people}
    found: list[RosterConflict] = []
    for step in steps:
        for channel, user in step.bind:
            holder = holders.get((channel, user))
            if holder is None or (channel, user) in released:
                continue
            if _is_gone(holder.left_on, today):
                step.unbind.append((channel, user))
                continue
            found.append(
                RosterConflict(
                    rows[step.staff_no.casefold()],
                    step.staff_no,
                    f"{_COLUMN_OF[channel]} {user} 已绑定给工号 {holder.staff_no}（{holder.name}），请先核对是谁的账号",
                )
            )
    return found


def _new_units(steps: list[RosterStep], unit_paths: Iterable[str]) -> tuple[str, ...]:
    have = set(unit_paths)
    wanted: dict[str, None] = {}
    for step in steps:
        for path, _, _ in step.new_posts:
            parts = path.split("/")
            wanted.update({"/".join(parts[: n + 1]): None for n in range(len(parts))})
    return tuple(path for path in wanted if path not in have)


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
