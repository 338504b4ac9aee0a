"""The commands 催学 and 预警: an administrator sees who is behind, and reminds them after looking at the list."""

from __future__ import annotations

import re

from bot.commands.router import Context, command
from bot.domain.campaign.campaign import Author
from bot.domain.delivery.reminders import names_text, task_line
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.reports import ReportQuery
from bot.services.campaign import manage
from bot.services.delivery import nudge
from bot.services.reports import formats
from bot.storage.reports.registry import REPORTS

CAMPAIGNS_SHOWN = 8
USAGE = "「催学 12」催活动 12 没完成的人，「催学 学时」催进度落后的人，「催学 12 期限 5个工作日」设期限并自动提醒"


@command("催学", role=RoleName.ADMIN, argument="<活动编号>")
def nudge_people(ctx: Context, argument: str) -> Reply:
    """提醒没完成的人：“催学”看有哪些，“催学 12”看名单，“催学 确认 编号”才发；“催学 12 期限 5个工作日”自动提醒。"""
    words = argument.split()
    if not words:
        return _list(ctx)
    author = _author(ctx)
    if words[0] == "确认":
        sent = nudge.confirm(ctx.session, ctx.catalog, author, _number(words[1] if len(words) == 2 else ""), ctx.now)
        return Reply(f"✅ 已发起催学：{sent} 人。现在做完的人不会再收到；每人每天最多一次提醒，免打扰时段过后再送。")
    if words[0] == "学时" and len(words) == 1:
        return _preview(nudge.draft(ctx.session, ctx.catalog, author, None, ctx.now))
    number = _number(words[0])
    if len(words) == 1:
        return _preview(nudge.draft(ctx.session, ctx.catalog, author, number, ctx.now))
    if words[1] == "期限" and len(words) >= 3:
        deadline = nudge.set_deadline(ctx.session, author, number, "".join(words[2:]), ctx.now)
        return Reply(f"✅ 活动 {number} 的期限：{deadline}。到期前后自动提醒没完成的人，过期 3 个工作日告诉联络员，5 个工作日告诉单位负责人。")
    raise Refusal(f"没有看懂「催学 {argument[:20]}」。可以说：{USAGE}。")


def _author(ctx: Context) -> Author:
    return manage.author_of(ctx.session, ctx.me, ctx.incoming.sender.channel)


def _number(text: str) -> int:
    parsed = re.fullmatch(r"#?(\d{1,9})", text)
    if parsed is None:
        raise Refusal(f"请写编号。可以说：{USAGE}。")
    return int(parsed[1])


def _list(ctx: Context) -> Reply:
    author = _author(ctx)
    open_campaigns = nudge.open_campaigns(ctx.session, ctx.catalog, author, ctx.now)
    late = nudge.people_behind(ctx.session, ctx.catalog, nudge.author_scope(ctx.session, author), ctx.today)
    lines = [f"{len(open_campaigns)} 个活动还有人没完成：" if open_campaigns else "没有活动还有人没完成。"]
    lines += [
        f"{task_line(open_campaign.task)}（编号 {open_campaign.campaign.id}）：{len(open_campaign.people)} 人"
        for open_campaign in open_campaigns[:CAMPAIGNS_SHOWN]
    ]
    lines.append(f"按今年的进度，{len(late)} 人年底学时不能达标。")
    buttons = [Option(f"催学 {open_campaign.campaign.id}", f"催 {open_campaign.campaign.name}"[:20]) for open_campaign in open_campaigns[:3]]
    return Reply("\n".join([*lines, f"可以说：{USAGE}。"]), buttons=(*buttons, *([Option("催学 学时", "催学时")] if late else [])))


def _preview(draft: nudge.NudgeDraft) -> Reply:
    lines = [f"「{draft.about}」要催 {len(draft.names)} 人：", names_text([f"{name}（{staff_no}）" for name, staff_no in draft.names])]
    if draft.reminded:
        lines.append(f"其中 {draft.reminded} 人今天已提醒过，不再发第二次。")
    lines.append("每人收到一条自己的待办，做完的人不会收到。还没有发，确认请点下面或回复「催学 确认 编号」，两小时内有效。")
    return Reply("\n".join(lines), buttons=(Option(f"催学 确认 {draft.id}", "确认发送"),))


@command("预警", role=RoleName.ADMIN, read_only=True, argument="<单位>")
def show_forecast(ctx: Context, about: str) -> Reply:
    """按今年的进度谁会不达标、误差多大；可指定单位，例如“预警 某局/办公室”。"""
    report = REPORTS["预警"]
    scope = nudge.author_scope(ctx.session, _author(ctx))
    table = report.run(ctx.session, scope, ReportQuery(ctx.today.year, ctx.today, ctx.today, ctx.catalog.policy, about, ctx.library))
    ctx.audit_entry = ("报表 预警", f"{about or '全部'} 截至 {ctx.today.isoformat()}")
    return Reply(formats.phone(table), buttons=(Option("催学 学时", "催学时"),))
