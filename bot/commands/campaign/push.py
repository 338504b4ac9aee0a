"""The commands 推送 (a one-off push, looked at and then confirmed by its number) and 已阅, 投票 (the answers to a push)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from bot.commands.actions import CONFIRM, Act, ActValue, Outcome, action
from bot.commands.campaign import messages
from bot.commands.campaign.manage import Clause, Id, To, preview_json, preview_of
from bot.commands.router import Context, command
from bot.commands.study.messages import RECORDED, REFUSED
from bot.domain.campaign.content import LETTERS, MAX_TEXT_LENGTH, CampaignContent, clean_content, parse_content
from bot.domain.campaign.schedule import immediate_schedule
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.audience import Audience, parse_audience
from bot.domain.people.person import RoleName
from bot.domain.text.numbers import find_row_number
from bot.domain.times import chinese_day, day_of
from bot.services.campaign import push as campaign_push
from bot.services.campaign.manage import preview as campaign_preview
from bot.services.campaign.manage import reachable_audience, require_campaign, visible_campaigns
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
    if word in CONFIRM:
        return confirm_push.say(ctx, rest)
    return draft_push.say(ctx, argument) if argument else Reply(USAGE)


def _parse_push(ctx: Context, word: str, typed: str) -> Mapping[str, Any]:
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
    return {"content": content, "audience": parse_audience(typed[: mark.start()]), "clause": clause.strip()}


@action("推送", usage="推送 对象 内容：正文", parse=_parse_push)
def draft_push(
    act: Act,
    content: Annotated[CampaignContent, ActValue("内容")],
    audience: Annotated[Audience, ActValue("对象")],
    clause: Annotated[str, ActValue("依据")],
) -> Outcome:
    """起草一次推送：先看名单和样子，两小时内确认才发。"""
    campaign_id = campaign_push.draft_push(act.session, act.catalog, act.author, content, audience, act.now, clause)
    row = require_campaign(act.session, act.author, campaign_id)
    preview = preview_of(act, row)
    if not preview.fits:
        raise Refusal(f"现在发不了：{preview.cost}")
    shown = campaign_push.render_trial(act.session, act.catalog, campaign_id, act.me.id)
    buttons = "、".join(f"[{button.label}]" for button in shown.buttons)
    audience_lines = [
        *messages.campaign_lines(row)[3:5],
        *(line for line in messages.preview_lines(preview) if not line.startswith("接下来")),
    ]
    if not preview.count:
        raise Refusal("\n".join(["没有人会收到，没有起草。", *audience_lines]))
    lines = ["还没有发。收到的人会看到：", "────", shown.text, *([f"按钮：{buttons}"] if buttons else []), "────", *audience_lines]
    lines.append(f"确认请发「推送 确认 {campaign_id}」，两小时内有效。")
    choices = (Option(f"推送 确认 {campaign_id}", f"确认发给 {preview.count} 人"), Option(f"活动 停止 {campaign_id}", "不发了"))
    return Outcome(reply=Reply("\n".join(lines), buttons=choices))


@action("推送 确认", usage="推送 确认 12")
def confirm_push(act: Act, campaign_id: Id) -> Outcome:
    """发出一次看过的推送。"""
    fired = campaign_push.confirm_push(act.session, act.catalog, act.catalog.library.calendar, act.author, campaign_id, act.now)
    left_out = f"，{fired.excluded} 人未发（请假、没有渠道等）" if fired.excluded else ""
    text = f"✅ 推送 {campaign_id} 已排队：{fired.invited} 人{left_out}。夜间（20:00–08:00）会等到早上。进度发「活动 {campaign_id}」。"
    return Outcome(reply=Reply(text, buttons=(Option(f"活动 {campaign_id}", "看进度"), Option(f"活动 撤回 {campaign_id}", "撤回"))))


@action(cli="campaign push", effect=True)
def push_now(
    act: Act,
    send: Annotated[str, ActValue("内容", "内容：通知 正文；通知（回执）正文；投票 问题/甲/乙；课 编号；每日", "--send")],
    to: To,
    clause: Clause = "",
) -> Outcome:
    """马上发一次；不加 --apply 只看会发给谁、要用多少额度。"""
    content = parse_content(send, act.catalog.library)
    audience = reachable_audience(act.session, act.author, parse_audience(to))
    schedule = immediate_schedule(act.now)
    preview = campaign_preview(act.session, act.catalog, act.catalog.library.calendar, audience, schedule, act.now, content)
    lines = messages.preview_lines(preview)
    sent = next(
        (
            row
            for row in visible_campaigns(act.session, act.author)
            if row.delivery.get("one_off")
            and row.state != "draft"
            and (row.content, row.audience, day_of(row.changed_at)) == (content, audience, act.today)
        ),
        None,
    )
    if sent is not None:
        done = f"一样的推送今天已经发过，编号 {sent.id}，没有再发。"
        return Outcome({"id": sent.id, "invited": 0, **preview_json(preview)}, lines, done, unchanged=True)
    if not preview.count:
        raise Refusal("没有人会收到，没有发。")
    if not act.applies:
        return Outcome({"id": None, **preview_json(preview)}, lines)
    campaign_id = campaign_push.draft_push(act.session, act.catalog, act.author, content, parse_audience(to), act.now, clause)
    fired = campaign_push.confirm_push(act.session, act.catalog, act.catalog.library.calendar, act.author, campaign_id, act.now)
    progress = f"看进度：python -m bot campaign progress {campaign_id}"
    done = f"推送 {campaign_id} 已排队：{fired.invited} 人，{fired.excluded} 人不发。{progress}"
    return Outcome({"id": campaign_id, "invited": fired.invited, **preview_json(preview)}, lines, done)


TRIAL_REPLY = Reply("这是试发，不计入。正式发出后，收到的人点这里就算数。")


def _find_occurrence(ctx: Context, typed: str, example: str) -> DueOccurrence | None:
    """The occurrence that a number names; None for a test send. One that was never there is answered like one that was not for the sender."""
    number = find_row_number(typed)
    if number is None:
        raise Refusal(f"请写通知上的编号，例如「{example}」。")
    if number == 0:
        return None
    occurrence = campaign.occurrence(ctx.session, number)
    if occurrence is None or occurrence.content is None:
        raise Refusal(f"{REFUSED}：没有发给您的这一条（{number}）。")
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
