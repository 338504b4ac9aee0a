"""The commands 催学 and 预警: an administrator sees who is behind, and reminds them after looking at the list."""

from __future__ import annotations

from typing import Annotated

from bot.commands.actions import CONFIRM, Act, ActValue, Outcome, action
from bot.commands.router import Context, command
from bot.domain.campaign.campaign import Author
from bot.domain.campaign.content import describe_content
from bot.domain.delivery.reminders import names_text, task_line
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import RoleName
from bot.domain.reports import ReportQuery
from bot.domain.text.numbers import find_row_number
from bot.services.campaign import manage
from bot.services.delivery import nudge
from bot.services.reports import formats
from bot.storage.reports.registry import REPORTS

CAMPAIGNS_SHOWN = 8
USAGE = "「催学 12」催活动 12 没完成的人，「催学 学时」催进度落后的人，「催学 12 期限 5个工作日」设期限并自动提醒"


Id = Annotated[int, ActValue("编号", "活动编号", ask=f"请写编号。可以说：{USAGE}。")]


@command("催学", role=RoleName.ADMIN, argument="<活动编号>")
def nudge_people(ctx: Context, argument: str) -> Reply:
    """提醒没完成的人：“催学”看有哪些，“催学 12”看名单，“催学 确认 编号”才发；“催学 12 期限 5个工作日”自动提醒。"""
    words = argument.split()
    if not words:
        return _list(ctx)
    if words[0] in CONFIRM:
        return confirm_nudge.say(ctx, words[1] if len(words) == 2 else "")
    if words[0] == "学时" and len(words) == 1:
        return draft_nudge.carry_out(ctx, {"about": None})
    number = _number(words[0])
    if len(words) == 1:
        return draft_nudge.carry_out(ctx, {"about": number})
    if words[1] == "期限" and len(words) >= 3:
        return set_deadline.carry_out(ctx, {"campaign_id": number, "deadline": "".join(words[2:])})
    raise Refusal(f"没有看懂「催学 {argument[:20]}」。可以说：{USAGE}。")


@action("催学", usage="催学 12")
def draft_nudge(act: Act, about: Annotated[int | None, ActValue("编号")]) -> Outcome:
    """看要催谁：一个活动没完成的人，或今年学时进度落后的人；确认才发。"""
    draft = nudge.draft(act.session, act.catalog, act.author, about, act.now)
    lines = [*_nudge_lines(draft), "每人收到一条自己的待办，做完的人不会收到。还没有发，确认请点下面或回复「催学 确认 编号」，两小时内有效。"]
    return Outcome(reply=Reply("\n".join(lines), buttons=(Option(f"催学 确认 {draft.id}", "确认发送"),)))


def _nudge_lines(draft: nudge.NudgeDraft) -> list[str]:
    lines = [f"「{draft.about}」要催 {len(draft.names)} 人：", names_text([f"{name}（{staff_no}）" for name, staff_no in draft.names])]
    return [*lines, *([f"其中 {draft.reminded} 人今天已提醒过，不再发第二次。"] if draft.reminded else [])]


@action("催学 确认", usage="催学 确认 12")
def confirm_nudge(act: Act, campaign_id: Id) -> Outcome:
    """发出看过的催学；现在做完的人不会再收到。"""
    sent = nudge.confirm(act.session, act.catalog, act.author, campaign_id, act.now)
    return Outcome(reply=Reply(f"✅ 已发起催学：{sent} 人。现在做完的人不会再收到；每人每天最多一次提醒，免打扰时段过后再送。"))


@action("催学 期限", usage="催学 12 期限 5个工作日")
def set_deadline(act: Act, campaign_id: Id, deadline: Annotated[str, ActValue("期限")]) -> Outcome:
    """设一个活动的期限，到期前后自动提醒没完成的人。"""
    text = nudge.set_deadline(act.session, act.author, campaign_id, deadline, act.now)
    told = f"✅ 活动 {campaign_id} 的期限：{text}。到期前后自动提醒没完成的人，过期 3 个工作日告诉联络员，5 个工作日告诉单位负责人。"
    return Outcome(reply=Reply(told))


@action(cli="campaign nudge", effect=True)
def nudge_now(
    act: Act,
    campaign_id: Annotated[int | None, ActValue("编号", "活动编号；不写则列出还有人没完成的活动")] = None,
    hours: Annotated[bool, ActValue("", "催今年学时进度落后的人", "--hours")] = False,
) -> Outcome:
    """催学：没完成的人有哪些；加 --apply 才发，每人每天最多一次提醒。"""
    if campaign_id is None and not hours:
        open_json = [
            {"id": item.campaign.id, "name": item.campaign.name, "content": describe_content(item.task.content), "open": len(item.people)}
            for item in nudge.open_campaigns(act.session, act.catalog, act.author, act.now)
        ]
        lines = [f"{item['id']}. {item['name']}　{item['content']}　还有 {item['open']} 人没完成" for item in open_json]
        return Outcome(open_json, lines or ["没有活动还有人没完成。"], unchanged=True)
    about = None if hours else campaign_id
    draft = nudge.preview(act.session, act.catalog, act.author, about, act.now)
    sent = None
    if act.applies:
        sent = nudge.confirm(act.session, act.catalog, act.author, nudge.draft(act.session, act.catalog, act.author, about, act.now).id, act.now)
    people = [{"staff_no": staff_no, "name": name} for name, staff_no in draft.names]
    heading, *more = _nudge_lines(draft)
    data = {"about": draft.about, "people": people, "reminded": draft.reminded, "sent": sent}
    return Outcome(data, [heading + more[0], *more[1:]], f"已排队：{sent} 人。")


def _author(ctx: Context) -> Author:
    return manage.author_of(ctx.session, ctx.me, ctx.incoming.sender.channel)


def _number(text: str) -> int:
    number = find_row_number(text)
    if number is None:
        raise Refusal(f"请写编号。可以说：{USAGE}。")
    return number


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


@command("预警", role=RoleName.ADMIN, read_only=True, argument="<单位>")
def show_forecast(ctx: Context, about: str) -> Reply:
    """按今年的进度谁会不达标、误差多大；可指定单位，例如“预警 某局/办公室”。"""
    report = REPORTS["预警"]
    scope = nudge.author_scope(ctx.session, _author(ctx))
    table = report.run(ctx.session, scope, ReportQuery(ctx.today.year, ctx.today, ctx.today, ctx.catalog.policy, about, ctx.library))
    ctx.audit_entry = ("报表 预警", f"{about or '全部'} 截至 {ctx.today.isoformat()}")
    return Reply(formats.phone(table), buttons=(Option("催学 学时", "催学时"),))
