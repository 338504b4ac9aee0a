"""推送: a one-off notice or question, looked at first, then confirmed by its number.

已阅 and 投票: what somebody answers to a push.
"""

from __future__ import annotations

import re

from bot.commands.campaign import messages
from bot.commands.campaign.manage import author, number
from bot.commands.router import Context, command
from bot.commands.study.messages import RECORDED, REFUSED
from bot.domain.campaign.content import LETTERS, LONGEST, CampaignContent, clean_content, parse_content
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.audience import parse_audience
from bot.domain.people.person import RoleName
from bot.domain.times import chinese_day, day_of
from bot.services.campaign import manage
from bot.services.campaign import push as campaign_push
from bot.storage import campaign
from bot.storage.campaign import DueOccurrence
from bot.storage.delivery import outcomes

USAGE = (
    "推送 对象 内容：正文，例如：\n推送 单位=某局/办公室 内容：周五下午 3 点集中学法，请带笔记本。\n"
    "要回执写「内容（回执）：」，投票写「投票：问题/甲/乙」；末尾可加「；依据=要点第几条」。"
)
_MARK = re.compile(r"(内容|通知|投票|课程?|邀请)\s*([(（]\s*(?:要)?回执\s*[)）])?\s*[:：]\s*")


@command("推送", role=RoleName.ADMIN, takes="<对象 内容：…>")
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
    text, _, clause = clean_content(typed[found.end() :]).partition("；依据=")
    if not text:
        raise Refusal("正文是空的。")
    if found[1] == "内容":
        if len(text) > LONGEST:
            raise Refusal(f"正文太长了（{len(text)} 字），最多 {LONGEST} 字。")
        content = CampaignContent("notice", text=text, receipt=bool(found[2]))
    else:
        content = parse_content(f"{found[1]}{found[2] or ''} {text}", ctx.library)
    return _draft(ctx, content, typed[: found.start()], clause.strip())


def _draft(ctx: Context, content: CampaignContent, said_audience: str, clause: str) -> Reply:
    made = campaign_push.draft_push(ctx.session, ctx.catalog, author(ctx), content, parse_audience(said_audience), ctx.now, clause)
    one = manage.own(ctx.session, author(ctx), made)
    found = manage.preview(ctx.session, ctx.catalog, ctx.library.calendar, one.audience, one.schedule, ctx.now, one.content)
    if not found.fits:
        raise Refusal(f"现在发不了：{found.cost}")
    shown = campaign_push.test_send(ctx.session, ctx.catalog, made, ctx.me.id)
    buttons = "、".join(f"[{button.label}]" for button in shown.buttons)
    whom = [*messages.plan(one)[3:5], *(line for line in messages.seen(found) if not line.startswith("接下来"))]
    if not found.count:
        raise Refusal("\n".join(["没有人会收到，没有起草。", *whom]))
    lines = ["还没有发。收到的人会看到：", "────", shown.text, *([f"按钮：{buttons}"] if buttons else []), "────", *whom]
    lines.append(f"确认请发「推送 确认 {made}」，两小时内有效。")
    return Reply("\n".join(lines), buttons=(Option(f"推送 确认 {made}", f"确认发给 {found.count} 人"), Option(f"活动 停止 {made}", "不发了")))


def _confirm(ctx: Context, said: str) -> Reply:
    campaign_id = number(said, "推送 确认 12")
    fired = campaign_push.confirm_push(ctx.session, ctx.catalog, ctx.library.calendar, author(ctx), campaign_id, ctx.now)
    left_out = f"，{fired.excluded} 人未发（请假、没有渠道等）" if fired.excluded else ""
    return Reply(
        f"✅ 推送 {campaign_id} 已排队：{fired.invited} 人{left_out}。夜间（20:00–08:00）会等到早上。进度发「活动 {campaign_id}」。",
        buttons=(Option(f"活动 {campaign_id}", "看进度"), Option(f"活动 撤回 {campaign_id}", "撤回")),
    )


TEST = Reply("这是试发，不计入。正式发出后，收到的人点这里就算数。")


def _asked(ctx: Context, said: str, example: str) -> DueOccurrence | None:
    """The occurrence that a number names; None for a test send. One that was never there is answered like one that was not for the sender."""
    found = re.fullmatch(r"#?(\d{1,9})", said)
    if found is None:
        raise Refusal(f"请写通知上的编号，例如「{example}」。")
    if int(found[1]) == 0:
        return None
    made = campaign.occurrence(ctx.session, int(found[1]))
    if made is None or made.content is None:
        raise Refusal(f"{REFUSED}：没有发给您的这一条（{found[1]}）。")
    if made.state != "fired":
        raise Refusal(f"{REFUSED}：「{made.name}」已经撤回，不用再回复。")
    return made


@command("已阅", takes="<编号>")
def read(ctx: Context, said: str) -> Reply:
    """告诉单位您看过了一条通知：“已阅 12”。"""
    made = _asked(ctx, said, "已阅 12")
    if made is None:
        return TEST
    first = outcomes.read(ctx.session, made.id, ctx.me.id, ctx.now)
    if first is None:
        raise Refusal(f"{REFUSED}：没有发给您的这一条（{said}）。")
    head = (made.content.title or made.content.text).split("\n")[0][:24] if made.content else made.name
    return Reply(f"{RECORDED}：{chinese_day(day_of(made.due))}「{head}」已阅{'' if first else '（之前已经点过）'}。", done="已阅")


@command("投票", takes="<编号 选项>")
def vote(ctx: Context, said: str) -> Reply:
    """给投票选一项：“投票 12 A”；以第一次为准。"""
    first, _, choice = said.partition(" ")
    made = _asked(ctx, first, "投票 12 A")
    if made is None:
        return TEST
    asked = made.content
    if asked is None or asked.kind != "poll":
        raise Refusal(f"{REFUSED}：「{made.name}」不是投票。")
    letter = _letter(asked, choice.strip())
    stands = outcomes.vote(ctx.session, made.id, ctx.me.id, letter, ctx.now)
    if stands is None:
        raise Refusal(f"{REFUSED}：没有发给您的这一条（{first}）。")
    name = asked.options[LETTERS.index(stands)]
    if stands != letter:
        raise Refusal(f"{REFUSED}：您已经选过 {stands}. {name}，以第一次为准。")
    return Reply(f"{RECORDED}：您选了 {stands}. {name}。", done=f"已选 {stands}")


def _letter(asked: CampaignContent, said: str) -> str:
    letters = LETTERS[: len(asked.options)]
    if len(said) == 1 and said.upper() in letters:
        return said.upper()
    if said in asked.options:
        return letters[asked.options.index(said)]
    raise Refusal(f"{REFUSED}：请选 {'/'.join(letters)} 之一，例如「投票 12 A」。")
