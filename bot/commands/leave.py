"""请假: an administrator records who is away, so that nothing is sent to them and no streak breaks; each act is written down."""

from __future__ import annotations

import re
from datetime import date

from bot.commands.router import Context, command
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people import Role
from bot.services import leave
from bot.services.leave import Away
from bot.services.roster import cells
from bot.storage import absence, people, reach
from bot.storage.people import Known

HOW = "「请假 工号 2026-03-04 2026-03-06」「请假 工号 2026-03-04 2026-09-30 借调」「请假 工号 取消 2026-03-04」"
SHOWN = 30


@command("请假", role=Role.ADMIN, takes="<工号 起 止 [借调]>")
def record(ctx: Context, said: str) -> Reply:
    """登记请假、借调：“请假 1001 2026-03-04 2026-03-06”，末尾可写 借调；单发“请假”看现在谁不在。"""
    words = re.split(r"[\s,，]+", said.strip()) if said.strip() else []
    if not words:
        return _today(ctx)
    person = _person(ctx, words[0])
    if len(words) == 1:
        return _of(ctx, person)
    kind = "secondment" if words[-1] == "借调" else "leave"
    words = [one for one in words[1:] if one not in ("借调", "请假", "至", "到")]
    actor, via = ctx.me.staff_no, ctx.incoming.sender.channel
    if words and words[0] in ("取消", "销假"):
        if len(words) != 2:
            raise Refusal(f"请写明从哪天开始的那一次，例如「请假 {person.staff_no} 取消 2026-03-04」。")
        gone = leave.cancel(ctx.session, person, _day(words[1]), ctx.now, actor=actor, via=via)
        return Reply(f"✅ 已取消：{person.name}（{person.staff_no}） {leave.span(gone.kind, gone.since, gone.until)}。")
    if not 1 <= len(words) <= 2:
        raise Refusal(f"没有看懂。可以这样说：{HOW}。")
    since, until = _day(words[0]), _day(words[1]) if len(words) == 2 else None
    if until is None and kind == "leave":
        until = since
    reason = leave.unsound(kind, since, until)
    if reason:
        raise Refusal(f"没有登记：{reason}。")
    try:
        plan = leave.apply(ctx.session, [Away(person.staff_no, kind, since, until)], ctx.now, actor=actor, via=via)
    except leave.BadRows as bad:
        raise Refusal(f"没有登记：{bad.faults[0].reason}。") from None
    if plan.is_empty:
        return Reply(f"早已登记：{plan.steps[0]}。")
    return Reply(f"✅ 已登记：{plan.steps[0]}。这段时间不推送，连续学法不中断。", buttons=(Option(f"请假 {person.staff_no}", "查看"),))


def _person(ctx: Context, staff_no: str) -> Known:
    """Somebody in office within the administrator's reach; anybody else is answered as unknown."""
    found = next((one for one in people.everybody(ctx.session) if one.staff_no.casefold() == staff_no.casefold()), None)
    gone = found is None or (found.left_on is not None and found.left_on < ctx.today)
    if found is None or gone or not reach.reaches(ctx.session, reach.admin_roots(ctx.session, ctx.me.id), found.id, ctx.today):
        raise Refusal(f"没有工号 {staff_no[:20]}，请核对。可以这样说：{HOW}。")
    return found


def _day(said: str) -> date:
    try:
        day = cells.day(said)
    except cells.Bad as bad:
        raise Refusal(f"没有登记：{bad}。") from None
    if day is None:
        raise Refusal(f"没有登记：缺日期。可以这样说：{HOW}。")
    return day


def _of(ctx: Context, person: Known) -> Reply:
    rows = absence.of(ctx.session, person.id)
    lines = [f"· {leave.span(one.kind, one.since, one.until)}" for one in rows[-SHOWN:]]
    return Reply("\n".join([f"{person.name}（{person.staff_no}）：", *(lines or ["没有登记请假或借调。"])]))


def _today(ctx: Context) -> Reply:
    roots = reach.admin_roots(ctx.session, ctx.me.id)
    names = {one.id: one for one in people.everybody(ctx.session)}
    away = [one for rows in absence.everybody(ctx.session).values() for one in rows if one.until is None or one.until >= ctx.today]
    away = [one for one in away if reach.reaches(ctx.session, roots, one.person_id, ctx.today)]
    now = sorted((one for one in away if one.since <= ctx.today), key=lambda one: names[one.person_id].staff_no)
    lines = [f"今天不在岗 {len(now)} 人，以后 {len(away) - len(now)} 条。"]
    for one in now[:SHOWN]:
        who = names[one.person_id]
        lines.append(f"· {who.name}（{who.staff_no}）{leave.span(one.kind, one.since, one.until)}")
    lines += [f"…还有 {len(now) - SHOWN} 人"] if len(now) > SHOWN else []
    return Reply("\n".join([*lines, f"登记：{HOW}。"]))
