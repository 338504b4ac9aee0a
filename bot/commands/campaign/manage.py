"""The commands 活动, 暂停 and 恢复: administrators draft, look at, start, pause, change and stop campaigns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot.commands.campaign import messages
from bot.commands.router import Context, command
from bot.domain import calendar as calendar_values
from bot.domain.campaign.campaign import STATE_LABELS, Author, Campaign
from bot.domain.campaign.content import parse_content
from bot.domain.campaign.schedule import parse_schedule
from bot.domain.delivery.reminders import parse_deadline
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.audience import parse_audience
from bot.domain.people.person import CHANNELS, RoleName
from bot.domain.text.dates import find_day
from bot.services.campaign import manage, packs, push
from bot.services.delivery import progress
from bot.storage import campaign
from bot.storage.delivery import outcomes
from bot.storage.system import switches

CAMPAIGNS_SHOWN = 15
NEW_USAGE = "活动 新建 名称；频次；对象；内容；依据=要点第几条"
NEW_EXAMPLE = "活动 新建 每日一练；每个工作日 09:00；单位=某局（含下级） 且 层级=公务员；每日；依据=年度要点第二条"
_MISSED_WORDS = {"补发": "send", "不补": "mark", "不补发": "mark"}
_TRAILING_FIELD = re.compile(r"[;；\n]\s*(依据|错过|期限)\s*[=:：]\s*([^;；\n]*)[;；]?\s*$")
_ASSIGNMENT = re.compile(r"(名称|频次|对象|内容|依据|错过)\s*[=:：]\s*(.+)", re.DOTALL)


def author(ctx: Context) -> Author:
    return manage.author_of(ctx.session, ctx.me, ctx.incoming.sender.channel)


def text_after(ctx: Context, after: str) -> str:
    """What was typed after a word, in the sender's own punctuation: it will be read by others."""
    return ctx.incoming.text.partition(after)[2].strip()


def parse_campaign_id(text: str, example: str) -> int:
    parsed = re.fullmatch(r"#?(\d{1,9})", text.strip())
    if parsed is None:
        raise Refusal(f"请写活动的编号，例如「{example}」。发送「活动」看列表。")
    return int(parsed[1])


@command("活动", role=RoleName.ADMIN, argument="<编号>")
def campaigns(ctx: Context, argument: str) -> Reply:
    """看活动、排活动：“活动 12”看一个，“活动 新建 …”排一个，“活动 启动 12”；还有 停止、跳过、改、试发、撤回、包。"""
    word, _, rest = argument.partition(" ")
    if not argument:
        return _list_campaigns(ctx)
    if word in _SUBCOMMANDS:
        return _SUBCOMMANDS[word](ctx, rest.strip())
    if re.fullmatch(r"#?\d{1,9}", argument):
        return _show_campaign(ctx, parse_campaign_id(argument, "活动 12"))
    others = "、".join(f"活动 {subcommand} 12" for subcommand in _SUBCOMMANDS if subcommand not in ("新建", "包"))
    raise Refusal(f"没有看懂「活动 {argument[:20]}」。可以说：活动、活动 12、{NEW_USAGE}、{others}。")


def _list_campaigns(ctx: Context) -> Reply:
    visible = manage.visible_campaigns(ctx.session, author(ctx))
    open_campaigns = [campaign_row for campaign_row in visible if campaign_row.state in ("draft", "running", "paused")]
    pause_switch = switches.switch(ctx.session, switches.PAUSED)
    lines = []
    if pause_switch is not None and pause_switch.is_on:
        lines.append(f"⛔ 全部推送已被 {pause_switch.by} 暂停：{pause_switch.reason or '没有写原因'}。恢复请发「恢复 全部」。")
    if calendar_warning := calendar_values.missing_year_warning(ctx.library.calendar, ctx.today):
        lines.append(f"⚠ {calendar_warning}")
    if not visible:
        return Reply("\n".join([*lines, f"还没有活动。排一个请发：\n{NEW_EXAMPLE}"]), buttons=(Option("活动 包", "普法日活动包"),))
    lines.append(f"进行中、暂停和草稿 {len(open_campaigns)} 个，全部 {len(visible)} 个：")
    lines += [
        messages.campaign_line(campaign_row)
        for campaign_row in (open_campaigns + [campaign_row for campaign_row in visible if campaign_row not in open_campaigns])[:CAMPAIGNS_SHOWN]
    ]
    lines.append("看一个发「活动 编号」，新建发「活动 新建 …」。")
    return Reply("\n".join(lines), buttons=tuple(Option(f"活动 {campaign_row.id}", campaign_row.name[:12]) for campaign_row in open_campaigns[:4]))


def _show_campaign(ctx: Context, campaign_id: int) -> Reply:
    campaign_row = manage.require_campaign(ctx.session, author(ctx), campaign_id)
    lines = messages.campaign_lines(campaign_row)
    if campaign_row.state in ("draft", "running", "paused"):
        lines += messages.preview_lines(
            manage.preview(
                ctx.session, ctx.catalog, ctx.library.calendar, campaign_row.audience, campaign_row.schedule, ctx.now, campaign_row.content
            )
        )
    past = campaign.latest_occurrences(ctx.session, campaign_id)
    if past:
        lines += [
            "最近：",
            *messages.occurrence_lines(past, {occurrence.id: outcomes.count_by_state(ctx.session, occurrence.id) for occurrence in past}),
        ]
        if campaign_row.content.kind == "poll":
            lines.append(f"投票：{messages.poll_text(campaign_row.content, outcomes.count_votes(ctx.session, past[0].id))}")
        if campaign_row.content.receipt:
            lines.append(f"已阅：{outcomes.count_receipts(ctx.session, past[0].id)} 人")
    return Reply("\n".join(lines), buttons=_next_buttons(campaign_row))


def _next_buttons(campaign_row: Campaign) -> tuple[Option, ...]:
    steps = {"draft": ("启动", "试发", "停止"), "running": ("试发", "停止"), "paused": ("停止",)}.get(campaign_row.state, ())
    buttons = [Option(f"活动 {step} {campaign_row.id}", step) for step in steps]
    if campaign_row.state == "running":
        buttons.insert(0, Option(f"暂停 {campaign_row.id}", "暂停"))
    if campaign_row.state == "paused":
        buttons.insert(0, Option(f"恢复 {campaign_row.id}", "恢复"))
    return tuple(buttons)


def _draft_campaign(ctx: Context, _: str) -> Reply:
    typed = text_after(ctx, "新建")
    extras: dict[str, str] = {}
    while (extra := _TRAILING_FIELD.search(typed)) is not None:
        extras.setdefault(extra[1], extra[2].strip())
        typed = typed[: extra.start()]
    parts = [part.strip() for part in re.split(r"[;；\n]", typed, maxsplit=3)]
    if len(parts) < 4 or not all(parts):
        raise Refusal(f"请写全四项，用分号隔开：{NEW_USAGE}\n例如：{NEW_EXAMPLE}")
    name, said_schedule, said_audience, said_content = parts
    campaign_id = manage.create(
        ctx.session,
        ctx.catalog,
        author(ctx),
        name,
        parse_content(said_content, ctx.library),
        parse_schedule(said_schedule, ctx.today),
        parse_audience(said_audience),
        ctx.now,
        clause=extras.get("依据", ""),
        missed=_parse_missed_rule(extras.get("错过", "补发")),
        delivery=parse_deadline(extras["期限"], ctx.today) if extras.get("期限") else None,
    )
    shown = _show_campaign(ctx, campaign_id)
    return Reply(f"已起草，还没有发。请先看一遍：\n{shown.text}\n确认无误请发「活动 启动 {campaign_id}」。", buttons=shown.buttons)


def _parse_missed_rule(word: str) -> str:
    if word not in _MISSED_WORDS:
        raise Refusal("错过的处理只能写 补发 或 不补。")
    return _MISSED_WORDS[word]


def _start(ctx: Context, argument: str) -> Reply:
    ids = [parse_campaign_id(campaign_row, "活动 启动 12") for campaign_row in re.split(r"[\s、,]+", argument) if campaign_row] or [
        parse_campaign_id(argument, "活动 启动 12")
    ]
    lines = []
    for campaign_id in ids[:20]:
        campaign_row = manage.require_campaign(ctx.session, author(ctx), campaign_id)
        preview = manage.preview(
            ctx.session, ctx.catalog, ctx.library.calendar, campaign_row.audience, campaign_row.schedule, ctx.now, campaign_row.content
        )
        manage.start(ctx.session, ctx.catalog, author(ctx), campaign_id, ctx.now)
        lines.append(f"✅ 活动 {campaign_id}「{campaign_row.name}」已启动，{preview.count} 人，下一次 {messages.moment_text(preview.due[0])}。")
    return Reply("\n".join(lines), buttons=(Option(f"暂停 {ids[0]}", "暂停"), Option("活动", "全部活动")))


def _stop(ctx: Context, argument: str) -> Reply:
    first, _, reason = argument.partition(" ")
    campaign_id = parse_campaign_id(first, "活动 停止 12 原因")
    skipped = manage.stop(ctx.session, author(ctx), campaign_id, reason, ctx.now)
    return Reply(f"✅ 活动 {campaign_id} 已停止，不会再发；还没有发出的 {skipped} 条已取消。", buttons=(Option(f"活动 {campaign_id}", "看结果"),))


def _skip(ctx: Context, argument: str) -> Reply:
    first, _, day = argument.partition(" ")
    campaign_id = parse_campaign_id(first, "活动 跳过 12 2026-05-06")
    when = find_day(day, ctx.today)
    if when is None:
        raise Refusal(f"请写明跳过哪一天，例如「活动 跳过 {campaign_id} 2026-05-06」。")
    manage.skip_date(ctx.session, ctx.catalog, author(ctx), campaign_id, when, ctx.now)
    return _show_campaign(ctx, campaign_id)


def _change(ctx: Context, argument: str) -> Reply:
    campaign_id = parse_campaign_id(argument.partition(" ")[0], "活动 改 12 频次=每周一 09:00")
    typed = text_after(ctx, "改").lstrip("# ")
    assignment = _ASSIGNMENT.fullmatch(re.sub(r"^\d+\s*", "", typed))
    if assignment is None:
        raise Refusal(f"请写明改什么，一次一项：活动 改 {campaign_id} 频次=每周一 09:00（可改 名称、频次、对象、内容、依据、错过）。")
    key, value = assignment[1], assignment[2].strip()
    parsers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "名称": ("name", lambda text: text[:80]),
        "频次": ("schedule", parse_schedule),
        "对象": ("audience", parse_audience),
        "内容": ("content", lambda text: parse_content(text, ctx.library)),
        "依据": ("clause", lambda text: text[:200]),
        "错过": ("missed", _parse_missed_rule),
    }
    field, parse = parsers[key]
    manage.change(ctx.session, ctx.catalog, author(ctx), campaign_id, ctx.now, **{field: parse(value)})
    shown = _show_campaign(ctx, campaign_id)
    return Reply(f"✅ 已改，马上按新的来。\n{shown.text}", buttons=shown.buttons)


def _send_trial(ctx: Context, argument: str) -> Reply:
    """Exactly what will be seen: here at once, and pushed to every other channel that the administrator is bound on."""
    campaign_id = parse_campaign_id(argument, "活动 试发 12")
    manage.require_campaign(ctx.session, author(ctx), campaign_id)
    shown = push.render_trial(ctx.session, ctx.catalog, campaign_id, ctx.me.id)
    others = push.send_trial(ctx.session, author(ctx), campaign_id, ctx.me.id, ctx.now, ctx.incoming.sender.channel)
    if not others:
        return shown
    return replace(shown, text=f"（试发。{'、'.join(CHANNELS[channel] for channel in others)}上也各推送了一条，请去看看样子。）\n{shown.text}")


def _recall(ctx: Context, argument: str) -> Reply:
    campaign_id = parse_campaign_id(argument, "活动 撤回 12")
    recalled = manage.recall(ctx.session, author(ctx), campaign_id, ctx.now)
    return Reply(
        f"✅ 已作废最近一次：{recalled.skipped} 条没有再发；已发出 {len(recalled.sent)} 条，平台支持撤回的会撤回，"
        "收到的人会另收到一条作废说明，之后再点的已阅、投票不计。"
    )


def _progress(ctx: Context, argument: str) -> Reply:
    campaign_id = parse_campaign_id(argument, "活动 进度 12")
    manage.require_campaign(ctx.session, author(ctx), campaign_id)
    delivery_progress = progress.latest_progress(ctx.session, campaign_id)
    again = () if delivery_progress.is_over else (Option(f"活动 进度 {campaign_id}", "再看进度"),)
    return Reply(str(delivery_progress), buttons=again)


def _pack(ctx: Context, argument: str) -> Reply:
    if not argument:
        lines = [f"· {pack.name}：{len(pack.items)} 项，{pack.about}" for pack in ctx.library.packs.values()]
        return Reply(
            "\n".join(["普法日活动包，发「活动 包 名称」一次起草：", *lines]),
            buttons=tuple(Option(f"活动 包 {pack.name}", pack.name) for pack in list(ctx.library.packs.values())[:4]),
        )
    drafts = packs.draft_pack(ctx.session, ctx.catalog, author(ctx), argument, ctx.now)
    lines = [messages.campaign_line(pack) for pack in drafts]
    ids = " ".join(str(pack.id) for pack in drafts)
    return Reply(
        "\n".join(["已起草，还没有发：", *lines, f"逐个看发「活动 编号」，一起启动发「活动 启动 {ids}」。"]),
        buttons=(Option(f"活动 启动 {ids}", "一起启动"),),
    )


_SUBCOMMANDS: dict[str, Callable[[Context, str], Reply]] = {
    "新建": _draft_campaign,
    "启动": _start,
    "停止": _stop,
    "跳过": _skip,
    "改": _change,
    "试发": _send_trial,
    "撤回": _recall,
    "进度": _progress,
    "包": _pack,
}


@command("暂停", role=RoleName.ADMIN, argument="<编号|全部 原因>")
def pause(ctx: Context, argument: str) -> Reply:
    """暂停一个活动：“暂停 12 原因”；紧急时“暂停 全部 原因”停下所有推送，答题和考试不受影响。"""
    first, _, reason = argument.partition(" ")
    if first in ("全部", "所有"):
        if not manage.pause_all(ctx.session, author(ctx), reason, ctx.now):
            return Reply("全部推送早已暂停。恢复请发「恢复 全部」。", buttons=(Option("恢复 全部", "恢复全部"),))
        return Reply(
            "⛔ 全部推送已暂停：不再触发，排队的不再发出。答题、学习和正在进行的考试照常。恢复请发「恢复 全部」。",
            buttons=(Option("恢复 全部", "恢复全部"),),
        )
    paused = manage.pause(ctx.session, author(ctx), parse_campaign_id(first, "暂停 12 原因"), reason, ctx.now)
    return Reply(
        f"✅ 活动 {paused.id}「{paused.name}」已暂停，排队的先不发。恢复请发「恢复 {paused.id}」。", buttons=(Option(f"恢复 {paused.id}", "恢复"),)
    )


@command("恢复", role=RoleName.ADMIN, argument="<编号|全部>")
def resume(ctx: Context, argument: str) -> Reply:
    """恢复暂停的活动：“恢复 12”；“恢复 全部”恢复所有推送。"""
    if argument in ("全部", "所有"):
        if not manage.resume_all(ctx.session, author(ctx), ctx.now):
            return Reply("全部推送没有暂停。")
        return Reply(
            "✅ 全部推送已恢复。暂停期间到点的，按各活动的设置补发或不补；已发出的，完成期限按停了几个工作日顺延。",
            buttons=(Option("活动", "全部活动"),),
        )
    resumed = manage.resume(ctx.session, ctx.library.calendar, author(ctx), parse_campaign_id(argument, "恢复 12"), ctx.now)
    return Reply(
        f"✅ 活动 {resumed.id}「{resumed.name}」{STATE_LABELS['running']}，暂停期间到点的不补。", buttons=(Option(f"活动 {resumed.id}", "看一看"),)
    )
