"""The commands 推送 (a one-off push, looked at and then confirmed by its number) and 已阅, 投票 (the answers to a push)."""

from __future__ import annotations

import re

from bot.commands.campaign import messages
from bot.commands.campaign.manage import author, parse_campaign_id
from bot.commands.router import Context, command
from bot.commands.study.messages import RECORDED, REFUSED
from bot.domain.campaign.content import LETTERS, MAX_TEXT_LENGTH, CampaignContent, clean_content, parse_content
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
_CONTENT_MARK = re.compile(r"(内容|通知|投票|课程?|邀请)\s*([(（]\s*(?:要)?回执\s*[)）])?\s*[:：]\s*")


@command("推送", role=RoleName.ADMIN, argument="<对象 内容：…>")
def push(ctx: Context, argument: str) -> Reply:
    """发一次通知：“推送 单位=某局/办公室 内容：…”，先看名单，再“推送 确认 编号”。"""
    word, _, rest = argument.partition(" ")
    if word in ("确认", "确定"):
        return _confirm(ctx, rest)
    if not argument:
        return Reply(USAGE)
    typed = ctx.incoming.text.partition("推送")[2]
    mark = _CONTENT_MARK.search(typed)
    if mark is None or not typed[: mark.start()].strip():
        raise Refusal(f"没有看懂。请这样写：{USAGE}")
    text, _, clause = clean_content(typed[mark.end() :]).partition("；依据=")
    if not text:
        raise Refusal("正文是空的。")
    if mark[1] == "内容":
        if len(text) > MAX_TEXT_LENGTH:
            raise Refusal(f"正文太长了（{len(text)} 字），最多 {MAX_TEXT_LENGTH} 字。")
        content = CampaignContent("notice", text=text, receipt=bool(mark[2]))
    else:
        content = parse_content(f"{mark[1]}{mark[2] or ''} {text}", ctx.library)
    return _draft(ctx, content, typed[: mark.start()], clause.strip())


def _draft(ctx: Context, content: CampaignContent, said_audience: str, clause: str) -> Reply:
    campaign_id = campaign_push.draft_push(ctx.session, ctx.catalog, author(ctx), content, parse_audience(said_audience), ctx.now, clause)
    campaign_row = manage.require_campaign(ctx.session, author(ctx), campaign_id)
    preview = manage.preview(
        ctx.session, ctx.catalog, ctx.library.calendar, campaign_row.audience, campaign_row.schedule, ctx.now, campaign_row.content
    )
    if not preview.fits:
        raise Refusal(f"现在发不了：{preview.cost}")
    shown = campaign_push.render_trial(ctx.session, ctx.catalog, campaign_id, ctx.me.id)
    buttons = "、".join(f"[{button.label}]" for button in shown.buttons)
    audience_lines = [
        *messages.campaign_lines(campaign_row)[3:5],
        *(line for line in messages.preview_lines(preview) if not line.startswith("接下来")),
    ]
    if not preview.count:
        raise Refusal("\n".join(["没有人会收到，没有起草。", *audience_lines]))
    lines = ["还没有发。收到的人会看到：", "────", shown.text, *([f"按钮：{buttons}"] if buttons else []), "────", *audience_lines]
    lines.append(f"确认请发「推送 确认 {campaign_id}」，两小时内有效。")
    return Reply(
        "\n".join(lines), buttons=(Option(f"推送 确认 {campaign_id}", f"确认发给 {preview.count} 人"), Option(f"活动 停止 {campaign_id}", "不发了"))
    )


def _confirm(ctx: Context, argument: str) -> Reply:
    campaign_id = parse_campaign_id(argument, "推送 确认 12")
    fired = campaign_push.confirm_push(ctx.session, ctx.catalog, ctx.library.calendar, author(ctx), campaign_id, ctx.now)
    left_out = f"，{fired.excluded} 人未发（请假、没有渠道等）" if fired.excluded else ""
    return Reply(
        f"✅ 推送 {campaign_id} 已排队：{fired.invited} 人{left_out}。夜间（20:00–08:00）会等到早上。进度发「活动 {campaign_id}」。",
        buttons=(Option(f"活动 {campaign_id}", "看进度"), Option(f"活动 撤回 {campaign_id}", "撤回")),
    )


TRIAL_REPLY = Reply("这是试发，不计入。正式发出后，收到的人点这里就算数。")


def _find_occurrence(ctx: Context, typed: str, example: str) -> DueOccurrence | None:
    """The occurrence that a number names; None for a test send. One that was never there is answered like one that was not for the sender."""
    parsed = re.fullmatch(r"#?(\d{1,9})", typed)
    if parsed is None:
        raise Refusal(f"请写通知上的编号，例如「{example}」。")
    if int(parsed[1]) == 0:
        return None
    occurrence = campaign.occurrence(ctx.session, int(parsed[1]))
    if occurrence is None or occurrence.content is None:
        raise Refusal(f"{REFUSED}：没有发给您的这一条（{parsed[1]}）。")
    if occurrence.state != "fired":
        raise Refusal(f"{REFUSED}：「{occurrence.name}」已经撤回，不用再回复。")
    return occurrence


@command("已阅", argument="<编号>")
def read(ctx: Context, argument: str) -> Reply:
    """告诉单位您看过了一条通知：“已阅 12”。"""
    occurrence = _find_occurrence(ctx, argument, "已阅 12")
    if occurrence is None:
        return TRIAL_REPLY
    first = outcomes.mark_read(ctx.session, occurrence.id, ctx.me.id, ctx.now)
    if first is None:
        raise Refusal(f"{REFUSED}：没有发给您的这一条（{argument}）。")
    head = (occurrence.content.title or occurrence.content.text).split("\n")[0][:24] if occurrence.content else occurrence.name
    return Reply(f"{RECORDED}：{chinese_day(day_of(occurrence.due))}「{head}」已阅{'' if first else '（之前已经点过）'}。", done="已阅")


@command("投票", argument="<编号 选项>")
def vote(ctx: Context, argument: str) -> Reply:
    """给投票选一项：“投票 12 A”；以第一次为准。"""
    first, _, choice = argument.partition(" ")
    occurrence = _find_occurrence(ctx, first, "投票 12 A")
    if occurrence is None:
        return TRIAL_REPLY
    poll = occurrence.content
    if poll is None or poll.kind != "poll":
        raise Refusal(f"{REFUSED}：「{occurrence.name}」不是投票。")
    letter = _parse_choice(poll, choice.strip())
    recorded = outcomes.vote(ctx.session, occurrence.id, ctx.me.id, letter, ctx.now)
    if recorded is None:
        raise Refusal(f"{REFUSED}：没有发给您的这一条（{first}）。")
    name = poll.options[LETTERS.index(recorded)]
    if recorded != letter:
        raise Refusal(f"{REFUSED}：您已经选过 {recorded}. {name}，以第一次为准。")
    return Reply(f"{RECORDED}：您选了 {recorded}. {name}。", done=f"已选 {recorded}")


def _parse_choice(poll: CampaignContent, typed: str) -> str:
    letters = LETTERS[: len(poll.options)]
    if len(typed) == 1 and typed.upper() in letters:
        return typed.upper()
    if typed in poll.options:
        return letters[poll.options.index(typed)]
    raise Refusal(f"{REFUSED}：请选 {'/'.join(letters)} 之一，例如「投票 12 A」。")
