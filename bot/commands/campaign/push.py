"""推送: a one-off notice or question, looked at first, then confirmed by its number."""

from __future__ import annotations

import re

from bot.commands.campaign import words
from bot.commands.campaign.manage import author, number
from bot.commands.router import Context, command
from bot.domain.audience import parse_audience
from bot.domain.content import LONGEST, Content, clean, parse_content
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people import Role
from bot.services import campaign as service

USAGE = (
    "推送 对象 内容：正文，例如：\n推送 单位=某局/办公室 内容：周五下午 3 点集中学法，请带笔记本。\n"
    "要回执写「内容（回执）：」，投票写「投票：问题/甲/乙」；末尾可加「；依据=要点第几条」。"
)
_MARK = re.compile(r"(内容|通知|投票|课程?|邀请)\s*([(（]\s*(?:要)?回执\s*[)）])?\s*[:：]\s*")


@command("推送", role=Role.ADMIN, takes="<对象 内容：…>")
def push(ctx: Context, said: str) -> Reply:
    """发一次通知：“推送 单位=某局/办公室 内容：…”，先看名单，再“推送 确认 编号”。"""
    word, _, rest = said.partition(" ")
    if word in ("确认", "确定"):
        return _confirm(ctx, rest)
    if not said:
        return Reply(USAGE)
    typed = ctx.incoming.text.partition("推送")[2]
    found = _MARK.search(typed)
    if found is None or not typed[: found.start()].strip():
        raise Refusal(f"没有看懂。请这样写：{USAGE}")
    text, _, clause = clean(typed[found.end() :]).partition("；依据=")
    if not text:
        raise Refusal("正文是空的。")
    if found[1] == "内容":
        if len(text) > LONGEST:
            raise Refusal(f"正文太长了（{len(text)} 字），最多 {LONGEST} 字。")
        content = Content("notice", text=text, receipt=bool(found[2]))
    else:
        content = parse_content(f"{found[1]}{found[2] or ''} {text}", ctx.library)
    return _draft(ctx, content, typed[: found.start()], clause.strip())


def _draft(ctx: Context, content: Content, said_audience: str, clause: str) -> Reply:
    made = service.draft_push(ctx.session, ctx.shelf, author(ctx), content, parse_audience(said_audience), ctx.now, clause)
    one = service.own(ctx.session, author(ctx), made)
    found = service.preview(ctx.session, ctx.shelf, ctx.library.calendar, one.audience, one.rhythm, ctx.now, one.content)
    if not found.fits:
        raise Refusal(f"现在发不了：{found.cost}")
    shown = service.test_send(ctx.session, ctx.shelf, made, ctx.me.id)
    buttons = "、".join(f"[{button.label}]" for button in shown.buttons)
    whom = [*words.plan(one)[3:5], *(line for line in words.seen(found) if not line.startswith("接下来"))]
    if not found.count:
        raise Refusal("\n".join(["没有人会收到，没有起草。", *whom]))
    lines = ["还没有发。收到的人会看到：", "────", shown.text, *([f"按钮：{buttons}"] if buttons else []), "────", *whom]
    lines.append(f"确认请发「推送 确认 {made}」，两小时内有效。")
    return Reply("\n".join(lines), buttons=(Option(f"推送 确认 {made}", f"确认发给 {found.count} 人"), Option(f"活动 停止 {made}", "不发了")))


def _confirm(ctx: Context, said: str) -> Reply:
    campaign_id = number(said, "推送 确认 12")
    fired = service.confirm_push(ctx.session, ctx.shelf, ctx.library.calendar, author(ctx), campaign_id, ctx.now)
    left_out = f"，{fired.excluded} 人未发（请假、没有渠道等）" if fired.excluded else ""
    return Reply(
        f"✅ 推送 {campaign_id} 已排队：{fired.invited} 人{left_out}。夜间（20:00–08:00）会等到早上。进度发「活动 {campaign_id}」。",
        buttons=(Option(f"活动 {campaign_id}", "看进度"), Option(f"活动 撤回 {campaign_id}", "撤回")),
    )
