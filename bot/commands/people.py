"""The commands 绑定 (bind an account), 请假 (an administrator records leave) and 设置 (a person's own settings)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

from bot.commands.actions import Act, ActValue, Outcome, SheetName, action
from bot.commands.help import START_BUTTONS
from bot.commands.router import Context, command
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import CHANNELS, DEFAULT_QUIET_HOURS, Preference, RoleName, parse_channel, parse_clock, parse_clock_span
from bot.domain.study.review_goal import DEFAULT_MINUTES, DEFAULT_TARGET, parse_goal_day, parse_minutes, parse_target
from bot.domain.text.dates import read_day
from bot.domain.times import SHANGHAI, clock_of
from bot.services.people import binding, leave, roster_file
from bot.services.people import roster as roster_changes
from bot.services.people.binding import CODE_DIGITS, BindingAttempt, BindingOutcome
from bot.services.people.leave import LeaveLine
from bot.services.people.roster import RosterImportPlan
from bot.services.people.roster_file import Roster
from bot.services.study import mistakes
from bot.storage.files.table_reader import BadTableRows, read_table
from bot.storage.people import accounts, roster
from bot.storage.people import leave as people_leave
from bot.storage.people.roster import PersonRecord
from bot.storage.tables.columns import stamp

BIND_USAGE = Reply(
    f"请发送「绑定 工号 验证码」，验证码是 {CODE_DIGITS} 位数字，10 分钟内有效，例如“绑定 1001 12345678”。验证码请向本单位管理员领取。"
)
WRONG_CODE = "未绑定：工号或验证码不对，或者验证码已过期、已用过。请核对后再试，或请管理员重新发一个验证码。"
_BIND_ARGUMENTS = re.compile(rf"(?P<staff_no>\S{{1,40}}?)[\s,、:+]+(?P<code>[0-9]{{{CODE_DIGITS}}})")


@command("绑定", role=None, argument="<工号> <验证码>")
def bind_account(ctx: Context, words: str) -> Reply:
    """把这个聊天账号和您在花名册里的身份对上，一次即可。"""
    match = _BIND_ARGUMENTS.fullmatch(words.strip())
    if match is None:
        return (
            BIND_USAGE
            if ctx.learner is None
            else Reply(f"您的账号已经绑定：{ctx.learner.name}（工号 {ctx.learner.staff_no}），不用再绑。", buttons=START_BUTTONS[:3])
        )
    sender = ctx.incoming.sender
    attempt = binding.bind_account(ctx.session, sender, match["staff_no"], match["code"], ctx.incoming.message_id, ctx.now)
    return _binding_reply(attempt)


def _binding_reply(attempt: BindingAttempt) -> Reply:
    match attempt.outcome:
        case BindingOutcome.BOUND:
            where = f"，{'、'.join(attempt.units)}" if attempt.units else ""
            return Reply(
                f"✅ 已绑定：{attempt.name}（工号 {attempt.staff_no}{where}）。\n"
                "接下来：发「每日」做 5 道题，发「学习」读一课，发「我的学时」看还差多少。您在钉钉、企业微信和微信里是同一份学时。",
                buttons=START_BUTTONS[:3],
            )
        case BindingOutcome.ALREADY:
            return Reply(f"这个账号已经绑定您本人：{attempt.name}（工号 {attempt.staff_no}），不用再绑，直接学习就好。", buttons=START_BUTTONS[:3])
        case BindingOutcome.ACCOUNT_TAKEN:
            return Reply(f"未绑定：这个账号已绑定 {attempt.name}（工号 {attempt.staff_no}），一个账号只能属于一个人。确需更换请联系管理员。")
        case BindingOutcome.PERSON_TAKEN:
            return Reply(f"未绑定：工号 {attempt.staff_no} 在这个平台上已绑定了另一个账号，每人每个平台只绑一个。确需更换请联系管理员。")
        case BindingOutcome.WAITING:
            return Reply(f"未绑定：不对的次数太多，请在{_wait_clock(attempt)}之后再试。")
        case BindingOutcome.WRONG:
            return Reply(WRONG_CODE + (f"不对的次数太多，请在{_wait_clock(attempt)}之后再试。" if attempt.wait_until else ""))


def _wait_clock(attempt: BindingAttempt) -> str:
    return f" {clock_of(attempt.wait_until)} " if attempt.wait_until else ""


LEAVE_USAGE = "「请假 工号 2026-03-04 2026-03-06」「请假 工号 2026-03-04 2026-09-30 借调」「请假 工号 取消 2026-03-04」"
MAX_SHOWN = 30


@command("请假", role=RoleName.ADMIN, argument="<工号 起 止 [借调]>")
def record_leave(ctx: Context, text: str) -> Reply:
    """登记请假、借调：“请假 1001 2026-03-04 2026-03-06”，末尾可写 借调；单发“请假”看现在谁不在。"""
    words = re.split(r"[\s,，]+", text.strip()) if text.strip() else []
    if not words:
        return _absent_today(ctx)
    person = _find_person(ctx, words[0])
    if len(words) == 1:
        return _leave_reply(ctx, person)
    kind = next((people_leave.KIND_NAMES[word] for word in words[1:] if word in people_leave.KIND_NAMES), "leave")
    words = [word for word in words[1:] if word not in (*people_leave.KIND_NAMES, "至", "到")]
    if words and words[0] in ("取消", "销假"):
        if len(words) != 2:
            raise Refusal(f"请写明从哪天开始的那一次，例如「请假 {person.staff_no} 取消 2026-03-04」。")
        return cancel_absence.carry_out(ctx, {"person": person, "since": _read_leave_day(words[1], ctx.today)})
    if not 1 <= len(words) <= 2:
        raise Refusal(f"没有看懂。可以这样说：{LEAVE_USAGE}。")
    since = _read_leave_day(words[0], ctx.today)
    until = _read_leave_day(words[1], since) if len(words) == 2 else None
    return record_absence.carry_out(ctx, {"person": person, "kind": kind, "since": since, "until": until})


Person = Annotated[PersonRecord, ActValue("工号")]


@action("请假", usage="请假 工号 起 止")
def record_absence(
    act: Act,
    person: Person,
    kind: Annotated[str, ActValue("请假或借调")],
    since: Annotated[date, ActValue("起")],
    until: Annotated[date | None, ActValue("止")],
) -> Outcome:
    """登记请假、借调：这段时间不推送，连续学法不中断。"""
    if until is None and kind == "leave":
        until = since
    if reason := leave.dates_fault(kind, since, until):
        raise Refusal(f"没有登记：{reason}。")
    try:
        plan = leave.apply(act.session, [LeaveLine(person.staff_no, kind, since, until)], act.now, actor=act.author.actor, via=act.author.via)
    except BadTableRows as bad:
        raise Refusal(f"没有登记：{bad.faults[0].reason}。") from None
    if plan.is_empty:
        return Outcome(reply=Reply(f"早已登记：{plan.steps[0]}。"))
    told = f"✅ 已登记：{plan.steps[0]}。这段时间不推送，连续学法不中断。"
    return Outcome(reply=Reply(told, buttons=(Option(f"请假 {person.staff_no}", "查看"),)))


@action("请假 取消", usage="请假 工号 取消 2026-03-04")
def cancel_absence(act: Act, person: Person, since: Annotated[date, ActValue("起")]) -> Outcome:
    """取消一次登记的请假或借调。"""
    cancelled = leave.cancel(act.session, person, since, act.now, actor=act.author.actor, via=act.author.via)
    text = leave.leave_text(cancelled.kind, cancelled.since, cancelled.until)
    return Outcome(reply=Reply(f"✅ 已取消：{person.name}（{person.staff_no}） {text}。"))


# ── At the shell ──

TableFile = Annotated[Path, ActValue("文件", "xlsx 或 csv（UTF-8、GBK）")]
NO_CHANGE = "没有变化，什么都没有改动。"


@action(cli="roster import", effect=True)
def import_roster(
    act: Act,
    file: TableFile,
    leavers_ok: Annotated[bool, ActValue("", "允许超过一半的人因不在花名册里而记为离职", "--leavers-ok")] = False,
    sheet: SheetName = "",
) -> Outcome:
    """导入花名册：列出新进、离开、调动、变更和冲突；加 --apply 才写入。"""
    return roster_outcome(act, roster_file.read_roster(file, sheet), leavers_ok, "花名册导入")


def roster_outcome(act: Act, listed: Roster, leavers_ok: bool, source: str) -> Outcome:
    """A roster compared with the database, and written when it is meant and nothing stands in the way."""
    act.require_whole_agency()
    plan = roster_changes.compare(act.session, listed, act.now)
    blocked = _blocking_reason(plan, leavers_ok)
    if act.applies and not blocked:
        plan = roster_changes.apply(act.session, listed, act.now, actor=act.author.actor, via=act.author.via, leavers_ok=leavers_ok, source=source)
    data = {"changed": len(plan.steps), "refused": blocked, **plan.as_json()}
    done = "" if blocked else f"花名册{NO_CHANGE}" if plan.is_empty else "已写入。"
    return Outcome(data, plan.as_text(), done, unchanged=bool(blocked) or plan.is_empty, status=1 if blocked else 0, warning=blocked)


def _blocking_reason(plan: RosterImportPlan, leavers_ok: bool) -> str:
    if plan.conflicts:
        return roster_changes.CONFLICTS_NOTICE
    return roster_changes.loses_most_notice(plan) if plan.loses_most and not leavers_ok else ""


@action(effect=True)
def issue_codes(act: Act, unit: Annotated[str, ActValue("单位")], lifetime: Annotated[timedelta, ActValue("有效")]) -> Outcome:
    """发一次性验证码。"""
    act.require_whole_agency()
    issued = binding.issue_codes(act.session, act.now, actor=act.author.actor, via=act.author.via, unit=unit, lifetime=lifetime)
    if not issued:
        return Outcome([], (), "没有要发的：在册的人都已绑定微信。", unchanged=True)
    if not act.applies:
        listed = [{"staff_no": code.staff_no, "code": None, "expires_at": None, "name": code.name} for code in issued]
        return Outcome(listed, [*(f"{code.staff_no} {code.name}" for code in issued), f"将发 {len(issued)} 个验证码，以前发的作废。"])
    return Outcome(
        [{"staff_no": code.staff_no, "code": code.code, "expires_at": stamp(code.expires_at), "name": code.name} for code in issued],
        [f"{code.staff_no} {code.name} {code.code} {code.expires_at.astimezone(SHANGHAI).isoformat(timespec='seconds')}" for code in issued],
        warning=f"{len(issued)} 个验证码，{lifetime // timedelta(minutes=1)} 分钟内有效，以前发的已作废。请分别交给本人。",
    )


@action(cli="leave import", effect=True)
def import_leave(
    act: Act,
    file: Annotated[Path, ActValue("文件", "xlsx 或 csv，列：工号、类别（请假/借调，事假、病假、公休等都算请假）、开始、结束")],
    sheet: SheetName = "",
) -> Outcome:
    """导入请假、借调：列出新增、改期和已有的；加 --apply 才写入。重复导入不变。"""
    act.require_whole_agency()
    lines, notes = leave.lines_of(act.session, read_table(file, leave.LAYOUT, sheet), act.now)
    if act.applies:
        plan = leave.apply(act.session, lines, act.now, actor=act.author.actor, via=act.author.via)
    else:
        plan = leave.compare(act.session, lines, act.now)
    data = {"notes": list(notes), **plan.as_json()}
    return Outcome(data, [*notes, *plan.as_text()], NO_CHANGE if plan.is_empty else "已写入。", unchanged=plan.is_empty)


def _read_leave_day(text: str, today: date) -> date:
    try:
        return read_day(text, today, "nearest")
    except Refusal as refusal:
        raise Refusal(f"没有登记：{refusal}") from None


def _find_person(ctx: Context, staff_no: str) -> PersonRecord:
    """Somebody in office within the administrator's reach; anybody else is answered as unknown."""
    person = next((candidate for candidate in roster.list_people(ctx.session) if candidate.staff_no.casefold() == staff_no.casefold()), None)
    has_left = person is None or (person.left_on is not None and person.left_on < ctx.today)
    if person is None or has_left or not roster.covers_person(ctx.session, roster.admin_roots(ctx.session, ctx.me.id), person.id, ctx.today):
        raise Refusal(f"没有工号 {staff_no[:20]}，请核对。可以这样说：{LEAVE_USAGE}。")
    return person


def _leave_reply(ctx: Context, person: PersonRecord) -> Reply:
    records = people_leave.records_of(ctx.session, person.id)
    lines = [f"· {leave.leave_text(absence.kind, absence.since, absence.until)}" for absence in records[-MAX_SHOWN:]]
    return Reply("\n".join([f"{person.name}（{person.staff_no}）：", *(lines or ["没有登记请假或借调。"])]))


def _absent_today(ctx: Context) -> Reply:
    roots = roster.admin_roots(ctx.session, ctx.me.id)
    people = {person.id: person for person in roster.list_people(ctx.session)}
    away = [
        absence
        for absences in people_leave.records_by_person(ctx.session).values()
        for absence in absences
        if absence.until is None or absence.until >= ctx.today
    ]
    away = [absence for absence in away if roster.covers_person(ctx.session, roots, absence.person_id, ctx.today)]
    away_today = sorted((absence for absence in away if absence.since <= ctx.today), key=lambda absence: people[absence.person_id].staff_no)
    lines = [f"今天不在岗 {len(away_today)} 人，以后 {len(away) - len(away_today)} 条。"]
    for absence in away_today[:MAX_SHOWN]:
        person = people[absence.person_id]
        lines.append(f"· {person.name}（{person.staff_no}）{leave.leave_text(absence.kind, absence.since, absence.until)}")
    lines += [f"…还有 {len(away_today) - MAX_SHOWN} 人"] if len(away_today) > MAX_SHOWN else []
    return Reply("\n".join([*lines, f"登记：{LEAVE_USAGE}。"]))


DEFAULT_WORDS = ("默认", "恢复默认", "不指定", "自动")
_ON, _OFF = ("开", "开启", "打开", "要"), ("关", "关闭", "关掉", "不要")
EXAMPLES = (
    "「设置 推送 08:30」「设置 免打扰 20:00-08:00」「设置 周报 关」「设置 渠道 企业微信」「设置 考试日期 12-04」「设置 每日复习 6」"
    "「设置 考试目标 90」；时间、日期和渠道可写「默认」"
)


def _names_setting(_: Context, text: str) -> bool:
    return text.partition(" ")[0] in {*_PREFERENCE_SETTERS, *_GOAL_SETTERS}


@command("设置", argument="<项目 内容>", takes=_names_setting)
def change_settings(ctx: Context, text: str) -> Reply:
    """推送时间、免打扰、周报、先用哪个渠道、考试日期：“设置”查看，“设置 推送 08:30”修改。"""
    current = accounts.get_preference(ctx.session, ctx.me.id)
    if not text:
        return Reply(
            "\n".join(["⚙️ 您的设置：", *_preference_lines(current), _review_line(ctx), "", f"修改：{EXAMPLES}。"]), buttons=_buttons(current)
        )
    word, _, value = text.partition(" ")
    if word in _GOAL_SETTERS and value.strip():
        _GOAL_SETTERS[word](ctx, value.strip())
        return Reply(
            "\n".join(["✅ 已修改。您的设置：", *_preference_lines(current), _review_line(ctx)]),
            buttons=(Option("错题", "错题本"), *_buttons(current)),
        )
    change = _PREFERENCE_SETTERS.get(word)
    if change is None or not value.strip():
        raise Refusal(f"没有看懂「设置 {text[:20]}」。可以这样改：{EXAMPLES}。")
    chosen = change(ctx, current, value.strip())
    if chosen.push_at is not None and chosen.is_quiet(chosen.push_at):
        first, last = chosen.quiet
        raise Refusal(f"没有修改：推送时间 {chosen.push_at} 在免打扰 {first}—{last} 之内，请错开。")
    accounts.save_preference(ctx.session, ctx.me.id, chosen)
    return Reply("\n".join(["✅ 已修改。您的设置：", *_preference_lines(chosen), _review_line(ctx)]), buttons=_buttons(chosen))


def _set_push_time(_: Context, current: Preference, value: str) -> Preference:
    return replace(current, push_at=None if value in DEFAULT_WORDS else parse_clock(value))


def _set_quiet_hours(_: Context, current: Preference, value: str) -> Preference:
    first, last = (None, None) if value in DEFAULT_WORDS else parse_clock_span(value)
    return replace(current, quiet_from=first, quiet_to=last)


def _set_digest(_: Context, current: Preference, value: str) -> Preference:
    if value not in (*_ON, *_OFF, *DEFAULT_WORDS):
        raise Refusal(f"周报只有开和关，没有「{value[:20]}」。例如「设置 周报 关」。")
    return replace(current, digest=value not in _OFF)


def _set_channel(ctx: Context, current: Preference, value: str) -> Preference:
    if value in DEFAULT_WORDS:
        return replace(current, channel="")
    channel, bound = parse_channel(value), accounts.bound_channels(ctx.session, ctx.me.id)
    if channel not in bound:
        raise Refusal(f"您还没有绑定{CHANNELS[channel]}，已绑定的有：{'、'.join(CHANNELS[name] for name in bound)}。")
    return replace(current, channel=channel)


_PREFERENCE_SETTERS: dict[str, Callable[[Context, Preference, str], Preference]] = {
    "推送": _set_push_time, "推送时间": _set_push_time, "免打扰": _set_quiet_hours, "周报": _set_digest, "渠道": _set_channel,
}  # fmt: skip


def _set_exam_day(ctx: Context, value: str) -> None:
    mistakes.set_goal_day(ctx.session, ctx.me.id, None if value in (*DEFAULT_WORDS, "取消", "无") else parse_goal_day(value, ctx.today))


def _set_review_minutes(ctx: Context, value: str) -> None:
    mistakes.set_minutes(ctx.session, ctx.me.id, DEFAULT_MINUTES if value in DEFAULT_WORDS else parse_minutes(value))


def _set_target(ctx: Context, value: str) -> None:
    mistakes.set_target(ctx.session, ctx.me.id, DEFAULT_TARGET if value in DEFAULT_WORDS else parse_target(value))


_GOAL_SETTERS: dict[str, Callable[[Context, str], None]] = {
    "考试日期": _set_exam_day, "考试": _set_exam_day, "每日复习": _set_review_minutes, "复习": _set_review_minutes,
    "考试目标": _set_target, "目标": _set_target,
}  # fmt: skip


def _review_line(ctx: Context) -> str:
    plan, aim = mistakes.review_settings(ctx.session, ctx.me.id), mistakes.review_goal(ctx.session, ctx.me.id, ctx.now)
    day = "没有设考试日期" if aim is None else f"{aim.day} 考试{'' if aim.day == plan.day else '（按考试安排）'}，目标 {aim.target}%"
    return f"· 错题复习：每天 {plan.minutes} 分钟（最多 {mistakes.daily_review_limit(plan, aim)} 题），{day}"


def _preference_lines(preference: Preference) -> list[str]:
    first, last = preference.quiet
    return [
        f"· 推送：{f'每天 {preference.push_at}' if preference.push_at else '按活动安排的时间'}",
        f"· 免打扰：{first}—{last}{'（默认）' if (first, last) == DEFAULT_QUIET_HOURS else ''}，这段时间不推送，正在进行的考试除外",
        f"· 周报：{'开，每周一' if preference.digest else '关'}",
        f"· 渠道：先发到{f'您指定的{CHANNELS[preference.channel]}' if preference.channel else '您最近用过的那个'}，发不到再换别的",
    ]


def _buttons(preference: Preference) -> tuple[Option, ...]:
    """The settings that people change, a tap each; what is typed has its examples in the text."""
    return (
        Option("设置 推送 默认", "推送按活动时间") if preference.push_at else Option("设置 推送 08:30", "每天 08:30 推送"),
        Option("设置 免打扰 默认", "免打扰改回默认")
        if preference.quiet != DEFAULT_QUIET_HOURS
        else Option("设置 免打扰 22:00-07:00", "免打扰 22 点到 7 点"),
        Option("设置 周报 关", "关闭周报") if preference.digest else Option("设置 周报 开", "开启周报"),
        Option("我的学时", "我的学时"),
    )
