"""Campaigns for administrators, in the chat (活动, 暂停, 恢复) and at the shell: drafted, looked at, started, paused, changed, recalled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Annotated, Any

from bot.commands import actions
from bot.commands.actions import Act, ActValue, Outcome, action, draft_once, text_after
from bot.commands.campaign import messages
from bot.commands.router import Context, command
from bot.domain import calendar as calendar_values
from bot.domain.campaign.campaign import STATE_LABELS, Campaign, CampaignPreview, pack_item_content
from bot.domain.campaign.content import describe_content, parse_content
from bot.domain.campaign.schedule import describe_schedule, parse_schedule
from bot.domain.delivery.reminders import parse_deadline
from bot.domain.message import Misuse, Option, Refusal, Reply, plain_text
from bot.domain.people.audience import describe_audience, parse_audience
from bot.domain.people.person import CHANNELS, RoleName
from bot.domain.text.dates import find_day
from bot.domain.text.numbers import find_row_number
from bot.services.campaign import manage, push
from bot.services.delivery import nudge, progress
from bot.storage import campaign
from bot.storage.delivery import outcomes
from bot.storage.people import audience as people_audience
from bot.storage.system import switches
from bot.storage.tables.columns import stamp

CAMPAIGNS_SHOWN = 15
MOST_STARTED = 20
OPEN = ("draft", "running", "paused")
NEW_USAGE = "活动 新建 名称；频次；对象；内容；依据=要点第几条"
NEW_EXAMPLE = "活动 新建 每日一练；每个工作日 09:00；单位=某局（含下级） 且 层级=公务员；每日；依据=年度要点第二条"
_MISSED_WORDS = {"补发": "send", "不补": "mark", "不补发": "mark"}
_TRAILING_FIELD = re.compile(r"[;；\n]\s*(依据|错过|期限)\s*[=:：]\s*([^;；\n]*)[;；]?\s*$")
_ASSIGNMENT = re.compile(r"(名称|频次|对象|内容|依据|错过)\s*[=:：]\s*(.+)", re.DOTALL)

ASK_ID = "请写活动的编号，例如「{usage}」。发送「活动」看列表。"
Id = Annotated[int, ActValue("编号", "活动编号", ask=ASK_ID)]
Name = Annotated[str, ActValue("名称", "名称", "--name")]
Send = Annotated[str, ActValue("内容", "内容：每日；课 编号；连载 法律；通知 正文；投票 问题/甲/乙", "--send")]
Every = Annotated[str, ActValue("频次", "频次，例如 每个工作日 09:00；国家宪法日 09:00；2026-03-05 09:00", "--every")]
To = Annotated[str, ActValue("对象", "对象，例如 单位=某局/办公室（含下级） 且 层级=公务员", "--to")]
Clause = Annotated[str, ActValue("依据", "依据，例如 年度要点第二条", "--clause")]
Missed = Annotated[str, ActValue("补发或不补", "错过了：补发 或 不补", "--missed")]
Deadline = Annotated[str, ActValue("期限", "期限：5个工作日 或 2026-03-20，到期前后自动提醒", "--deadline")]
Reason = Annotated[str, ActValue("原因", "原因", "--reason")]


def parse_campaign_id(text: str, example: str) -> int:
    number = find_row_number(text)
    if number is None:
        raise Refusal(ASK_ID.format(usage=example))
    return number


def campaign_json(row: Campaign) -> dict[str, Any]:
    """A campaign for scripts."""
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "state": row.state,
        "version": row.version,
        "content": describe_content(row.content),
        "rhythm": describe_schedule(row.schedule),
        "audience": describe_audience(row.audience),
        "clause": row.clause,
        "missed": row.missed,
        "created_by": row.created_by,
    }


def preview_json(preview: CampaignPreview) -> dict[str, Any]:
    """A preview for scripts."""
    return {
        "count": preview.count,
        "names": list(preview.names),
        "excluded": [{"staff_no": staff_no, "name": name, "reason": reason} for staff_no, name, reason in preview.excluded],
        "due": [stamp(due_at) for due_at in preview.due],
        "asks": preview.asks,
        "cost": preview.cost,
        "fits": preview.fits,
    }


def preview_of(act: Act, row: Campaign) -> CampaignPreview:
    """Whom a campaign would reach from now on, and when."""
    return manage.preview(act.session, act.catalog, act.catalog.library.calendar, row.audience, row.schedule, act.now, row.content)


def state_line(row: Campaign) -> str:
    return f"活动 {row.id}「{row.name}」{STATE_LABELS[row.state]}（第 {row.version} 版）。"


@command("活动", role=RoleName.ADMIN, argument="<编号>")
def campaigns(ctx: Context, argument: str) -> Reply:
    """看活动、排活动：“活动 12”看一个，“活动 新建 …”排一个，“活动 启动 12”；还有 停止、跳过、改、试发、撤回、包。"""
    word, _, rest = argument.partition(" ")
    if not argument:
        return list_campaigns.carry_out(ctx, {})
    acts = actions.under("活动")
    if word in acts:
        return acts[word].say(ctx, rest.strip(), f"活动 {word}")
    if find_row_number(argument) is not None:
        return show_campaign.say(ctx, argument)
    others = "、".join(f"活动 {subcommand} 12" for subcommand in acts if subcommand not in ("新建", "包"))
    raise Refusal(f"没有看懂「活动 {argument[:20]}」。可以说：活动、活动 12、{NEW_USAGE}、{others}。")


# ── Looking ──


@action(cli="campaign list")
def list_campaigns(act: Act) -> Outcome:
    """全部活动，新的在前。"""
    visible = manage.visible_campaigns(act.session, act.author)
    lines = [messages.campaign_line(row) for row in visible] or ["还没有活动。"]
    return Outcome([campaign_json(row) for row in visible], lines, reply=_list_reply(act, visible) if act.learner is not None else None)


def _list_reply(act: Act, visible: list[Campaign]) -> Reply:
    open_campaigns = [row for row in visible if row.state in OPEN]
    pause_switch = switches.switch(act.session, switches.PAUSED)
    lines = []
    if pause_switch is not None and pause_switch.is_on:
        lines.append(f"⛔ 全部推送已被 {pause_switch.by} 暂停：{pause_switch.reason or '没有写原因'}。恢复请发「恢复 全部」。")
    if calendar_warning := calendar_values.missing_year_warning(act.catalog.library.calendar, act.today):
        lines.append(f"⚠ {calendar_warning}")
    if not visible:
        return Reply("\n".join([*lines, f"还没有活动。排一个请发：\n{NEW_EXAMPLE}"]), buttons=(Option("活动 包", "普法日活动包"),))
    lines.append(f"进行中、暂停和草稿 {len(open_campaigns)} 个，全部 {len(visible)} 个：")
    ordered = open_campaigns + [row for row in visible if row not in open_campaigns]
    lines += [messages.campaign_line(row) for row in ordered[:CAMPAIGNS_SHOWN]]
    lines.append("看一个发「活动 编号」，新建发「活动 新建 …」。")
    return Reply("\n".join(lines), buttons=tuple(Option(f"活动 {row.id}", row.name[:12]) for row in open_campaigns[:4]))


@action(cli="campaign show", usage="活动 12")
def show_campaign(act: Act, campaign_id: Id) -> Outcome:
    """一个活动：内容、频次、对象、会收到的人、接下来的时间、最近几次的结果。"""
    row = manage.require_campaign(act.session, act.author, campaign_id)
    preview = preview_of(act, row)
    past = campaign.latest_occurrences(act.session, campaign_id)
    counts = {occurrence.id: outcomes.count_by_state(act.session, occurrence.id) for occurrence in past}
    told = messages.occurrence_lines(past, counts)
    last = [
        {
            "id": occurrence.id,
            "due": stamp(occurrence.due),
            "state": occurrence.state,
            "note": occurrence.note,
            "deliveries": dict(counts[occurrence.id]),
        }
        for occurrence in past
    ]
    before = [*messages.campaign_lines(row), *(messages.preview_lines(preview) if row.state in OPEN else [])]
    answers = []
    if past and row.content.kind == "poll":
        answers.append(f"投票：{messages.poll_text(row.content, outcomes.count_votes(act.session, past[0].id))}")
    if past and row.content.receipt:
        answers.append(f"已阅：{outcomes.count_receipts(act.session, past[0].id)} 人")
    return Outcome(
        {**campaign_json(row), "preview": preview_json(preview), "occurrences": last},
        [*before, *told],
        reply=Reply("\n".join([*before, *(["最近："] if past else []), *told, *answers]), buttons=_next_buttons(row)),
    )


def _next_buttons(row: Campaign) -> tuple[Option, ...]:
    steps = {"draft": ("启动", "试发", "停止"), "running": ("试发", "停止"), "paused": ("停止",)}.get(row.state, ())
    buttons = [Option(f"活动 {step} {row.id}", step) for step in steps]
    if row.state == "running":
        buttons.insert(0, Option(f"暂停 {row.id}", "暂停"))
    if row.state == "paused":
        buttons.insert(0, Option(f"恢复 {row.id}", "恢复"))
    return tuple(buttons)


def shown_after(act: Act, campaign_id: int, before: str, after: str = "") -> Reply:
    """A campaign as it stands now, with what was done to it said before."""
    shown = show_campaign.function(act, campaign_id).reply
    assert shown is not None
    return replace(shown, text="\n".join(line for line in (before, shown.text, after) if line))


@action(cli="campaign preview")
def preview_campaign(act: Act, to: To = "全员", every: Every = "每个工作日 09:00") -> Outcome:
    """不建活动，只看会发给谁、不发给谁和为什么、接下来什么时候。"""
    audience = manage.reachable_audience(act.session, act.author, parse_audience(to))
    preview = manage.preview(act.session, act.catalog, act.catalog.library.calendar, audience, parse_schedule(every, act.today), act.now)
    return Outcome(preview_json(preview), messages.preview_lines(preview))


# ── Drafting ──


def _parse_new(ctx: Context, word: str, _: str) -> Mapping[str, Any]:
    typed = text_after(ctx, "新建")
    extras: dict[str, str] = {}
    while (extra := _TRAILING_FIELD.search(typed)) is not None:
        extras.setdefault(extra[1], extra[2].strip())
        typed = typed[: extra.start()]
    parts = [part.strip() for part in re.split(r"[;；\n]", typed, maxsplit=3)]
    if len(parts) < 4 or not all(parts):
        raise Refusal(f"请写全四项，用分号隔开：{NEW_USAGE}\n例如：{NEW_EXAMPLE}")
    name, every, to, send = parts
    missed = _missed_rule(extras.get("错过", "补发"))
    return {
        "name": name,
        "send": send,
        "every": every,
        "to": to,
        "clause": extras.get("依据", ""),
        "missed": missed,
        "deadline": extras.get("期限", ""),
    }


def _missed_rule(word: str) -> str:
    if word not in _MISSED_WORDS:
        raise Refusal("错过的处理只能写 补发 或 不补。")
    return _MISSED_WORDS[word]


@action("活动 新建", cli="campaign new", usage=NEW_USAGE, effect=True, parse=_parse_new)
def new_campaign(
    act: Act, name: Name, send: Send, every: Every, to: To = "全员", clause: Clause = "", missed: Missed = "补发", deadline: Deadline = ""
) -> Outcome:
    """起草一个活动；不加 --apply 只预览。起草后用 campaign start 启动。"""

    def draft() -> Campaign:
        campaign_id = manage.create(
            act.session,
            act.catalog,
            act.author,
            name,
            parse_content(send, act.catalog.library),
            parse_schedule(every, act.today),
            parse_audience(to),
            act.now,
            clause=clause,
            missed=_MISSED_WORDS.get(missed, missed),
            delivery=parse_deadline(deadline, act.today) if deadline else None,
        )
        return manage.require_campaign(act.session, act.author, campaign_id)

    drafts = [row for row in manage.visible_campaigns(act.session, act.author) if row.state == "draft"]
    row, is_new = draft_once(act, draft, drafts, _says_the_same)
    campaign_id = row.id
    preview = preview_of(act, row)
    end = f"确认无误请发「活动 启动 {campaign_id}」。"
    return Outcome(
        {"id": campaign_id if act.applies or not is_new else None, **preview_json(preview)},
        messages.preview_lines(preview),
        f"已起草，编号 {campaign_id}。启动：python -m bot campaign start {campaign_id} --apply"
        if is_new
        else f"一样的草稿早已有了，编号 {campaign_id}，没有另起草。",
        reply=shown_after(act, campaign_id, "已起草，还没有发。请先看一遍：", end),
        unchanged=not is_new,
    )


def _says_the_same(draft: Campaign, other: Campaign) -> bool:
    return replace(draft, id=0, changed_at=other.changed_at, created_by="") == replace(other, id=0, created_by="")


# ── States ──


def _parse_ids(ctx: Context, word: str, typed: str) -> Mapping[str, Any]:
    ids = [parse_campaign_id(number, "活动 启动 12") for number in re.split(r"[\s、,]+", typed) if number]
    return {"campaign_ids": ids[:MOST_STARTED] or [parse_campaign_id(typed, "活动 启动 12")]}


@action("活动 启动", cli="campaign start", usage="活动 启动 12", effect=True, parse=_parse_ids)
def start_campaigns(act: Act, campaign_ids: Annotated[list[int], ActValue("编号", "活动编号，可多个")]) -> Outcome:
    """启动草稿；超出平台额度、或没有要发的时间时不启动。"""
    rows, replies, lines = [], [], []
    for campaign_id in campaign_ids:
        preview = preview_of(act, manage.require_campaign(act.session, act.author, campaign_id))
        manage.start(act.session, act.catalog, act.author, campaign_id, act.now)
        row = manage.require_campaign(act.session, act.author, campaign_id)
        rows.append(row)
        lines += [f"启动活动 {campaign_id}「{row.name}」：", *messages.preview_lines(preview)]
        replies.append(f"✅ 活动 {campaign_id}「{row.name}」已启动，{preview.count} 人，下一次 {messages.moment_text(preview.due[0])}。")
    data = [campaign_json(row) for row in rows]
    return Outcome(
        data[0] if len(data) == 1 else {"campaigns": data},
        lines,
        "\n".join(state_line(row) for row in rows),
        reply=Reply("\n".join(replies), buttons=(Option(f"暂停 {campaign_ids[0]}", "暂停"), Option("活动", "全部活动"))),
    )


@action("活动 停止", cli="campaign stop", usage="活动 停止 12 原因", effect=True, final=True)
def stop_campaign(act: Act, campaign_id: Id, reason: Reason = "") -> Outcome:
    """停止：不再触发，排队的取消；不能恢复。"""
    before = manage.require_campaign(act.session, act.author, campaign_id)
    skipped = manage.stop(act.session, act.author, campaign_id, reason, act.now)
    row = manage.require_campaign(act.session, act.author, campaign_id)
    return Outcome(
        {**campaign_json(row), "skipped": skipped},
        f"停止活动 {campaign_id}「{row.name}」（{STATE_LABELS[before.state]}）：以后不再发，排队的 {skipped} 条取消。",
        state_line(row),
        reply=Reply(f"✅ 活动 {campaign_id} 已停止，不会再发；还没有发出的 {skipped} 条已取消。", buttons=(Option(f"活动 {campaign_id}", "看结果"),)),
        asks=before.state != "draft",
    )


@action("活动 撤回", cli="campaign recall", usage="活动 撤回 12", effect=True, final=True)
def recall_campaign(act: Act, campaign_id: Id) -> Outcome:
    """最近一次作废：排队的不发，已发的由平台撤回，并告诉收到的人。"""
    recalled = manage.recall(act.session, act.author, campaign_id, act.now)
    sent = [{"delivery": delivery, "channel": channel, "platform_id": platform_id} for delivery, channel, platform_id in recalled.sent]
    return Outcome(
        {"id": campaign_id, "skipped": recalled.skipped, "sent": sent},
        f"作废活动 {campaign_id} 最近的一次：{recalled.skipped} 条还没有发，不再发；{len(sent)} 条已发出，收到的人会另收到一条作废说明。",
        "最近一次已作废。",
        reply=Reply(
            f"✅ 已作废最近一次：{recalled.skipped} 条没有再发；已发出 {len(recalled.sent)} 条，平台支持撤回的会撤回，"
            "收到的人会另收到一条作废说明，之后再点的已阅、投票不计。"
        ),
    )


def _parse_pause(ctx: Context, word: str, typed: str) -> Mapping[str, Any]:
    first, _, reason = typed.partition(" ")
    everything = first in ("全部", "所有")
    return {"campaign_id": None if everything else parse_campaign_id(first, f"{word} 12 原因"), "everything": everything, "reason": reason}


MaybeId = Annotated[int | None, ActValue("编号", "活动编号")]


@action("暂停", cli="campaign pause", usage="暂停 12 原因", effect=True, parse=_parse_pause)
def pause_campaign(
    act: Act, campaign_id: MaybeId = None, everything: Annotated[bool, ActValue("", "暂停全部推送", "--all")] = False, reason: Reason = ""
) -> Outcome:
    """暂停一个活动；--all 在紧急时停下所有推送，答题和考试不受影响。"""
    if everything:
        changed = manage.pause_all(act.session, act.author, reason, act.now)
        again = (Option("恢复 全部", "恢复全部"),)
        told = (
            "⛔ 全部推送已暂停：不再触发，排队的不再发出。答题、学习和正在进行的考试照常。恢复请发「恢复 全部」。"
            if changed
            else "全部推送早已暂停。恢复请发「恢复 全部」。"
        )
        lines = ["暂停全部推送：不再触发，排队的不再发出；答题、学习和正在进行的考试照常。"] if changed else []
        done = "全部推送已暂停。" if changed else "全部推送早已暂停。"
        return Outcome({"paused": True, "changed": changed}, lines, done, Reply(told, buttons=again), unchanged=not changed)
    paused = manage.pause(act.session, act.author, _required(campaign_id), reason, act.now)
    row = manage.require_campaign(act.session, act.author, paused.id)
    return Outcome(
        campaign_json(row),
        f"暂停活动 {row.id}「{row.name}」：排队的先不发，到点的不触发。",
        state_line(row),
        Reply(f"✅ 活动 {row.id}「{row.name}」已暂停，排队的先不发。恢复请发「恢复 {row.id}」。", buttons=(Option(f"恢复 {row.id}", "恢复"),)),
    )


def _required(campaign_id: int | None) -> int:
    if campaign_id is None:
        raise Misuse("请写活动编号，或用 --all。")
    return campaign_id


@action("恢复", cli="campaign resume", usage="恢复 12", effect=True, parse=lambda ctx, word, typed: _parse_resume(typed))
def resume_campaign(act: Act, campaign_id: MaybeId = None, everything: Annotated[bool, ActValue("", "恢复全部推送", "--all")] = False) -> Outcome:
    """恢复一个活动，或用 --all 恢复所有推送。"""
    if everything:
        changed = manage.resume_all(act.session, act.author, act.now)
        told = Reply(
            "✅ 全部推送已恢复。暂停期间到点的，按各活动的设置补发或不补；已发出的，完成期限按停了几个工作日顺延。",
            buttons=(Option("活动", "全部活动"),),
        )
        lines = ["恢复全部推送：暂停期间到点的，按各活动的设置补发或不补。"] if changed else []
        done = "全部推送已恢复。" if changed else "全部推送没有暂停。"
        data = {"paused": False, "changed": changed}
        return Outcome(data, lines, done, told if changed else Reply("全部推送没有暂停。"), unchanged=not changed)
    resumed = manage.resume(act.session, act.catalog.library.calendar, act.author, _required(campaign_id), act.now)
    row = manage.require_campaign(act.session, act.author, resumed.id)
    return Outcome(
        campaign_json(row),
        f"恢复活动 {row.id}「{row.name}」：排队的接着发，暂停期间到点的不补。",
        state_line(row),
        Reply(f"✅ 活动 {row.id}「{row.name}」{STATE_LABELS['running']}，暂停期间到点的不补。", buttons=(Option(f"活动 {row.id}", "看一看"),)),
    )


def _parse_resume(typed: str) -> Mapping[str, Any]:
    everything = typed in ("全部", "所有")
    return {"campaign_id": None if everything else parse_campaign_id(typed, "恢复 12"), "everything": everything}


@command("暂停", role=RoleName.ADMIN, argument="<编号|全部 原因>")
def pause(ctx: Context, argument: str) -> Reply:
    """暂停一个活动：“暂停 12 原因”；紧急时“暂停 全部 原因”停下所有推送，答题和考试不受影响。"""
    return pause_campaign.say(ctx, argument)


@command("恢复", role=RoleName.ADMIN, argument="<编号|全部>")
def resume(ctx: Context, argument: str) -> Reply:
    """恢复暂停的活动：“恢复 12”；“恢复 全部”恢复所有推送。"""
    return resume_campaign.say(ctx, argument)


# ── Changes ──


def _parse_skip(ctx: Context, word: str, typed: str) -> Mapping[str, Any]:
    first, _, day = typed.partition(" ")
    campaign_id = parse_campaign_id(first, "活动 跳过 12 2026-05-06")
    if (skipped_day := find_day(day, ctx.today)) is None:
        raise Refusal(f"请写明跳过哪一天，例如「活动 跳过 {campaign_id} 2026-05-06」。")
    return {"campaign_id": campaign_id, "day": skipped_day}


@action("活动 跳过", cli="campaign skip", usage="活动 跳过 12 2026-05-06", effect=True, parse=_parse_skip)
def skip_date(act: Act, campaign_id: Id, day: Annotated[date, ActValue("日期", "日期，如 2026-05-06")]) -> Outcome:
    """某一天不发。"""
    row = manage.skip_date(act.session, act.catalog, act.author, campaign_id, day, act.now)
    return Outcome(
        campaign_json(row),
        [f"活动 {row.id}「{row.name}」{day.isoformat()} 不发。", f"频次：{describe_schedule(row.schedule)}"],
        state_line(row),
        shown_after(act, campaign_id, ""),
    )


def _parse_change(ctx: Context, word: str, typed: str) -> Mapping[str, Any]:
    campaign_id = parse_campaign_id(typed.partition(" ")[0], "活动 改 12 频次=每周一 09:00")
    assignment = _ASSIGNMENT.fullmatch(re.sub(r"^\d+\s*", "", text_after(ctx, "改").lstrip("# ")))
    if assignment is None:
        raise Refusal(f"请写明改什么，一次一项：活动 改 {campaign_id} 频次=每周一 09:00（可改 名称、频次、对象、内容、依据、错过）。")
    key, value = assignment[1], assignment[2].strip()
    name = {"名称": "name", "频次": "every", "对象": "to", "内容": "send", "依据": "clause", "错过": "missed"}[key]
    limits = {"name": 80, "clause": 200}
    return {"campaign_id": campaign_id, name: _missed_rule(value) if name == "missed" else value[: limits.get(name)]}


@action("活动 改", cli="campaign change", usage="活动 改 12 频次=每周一 09:00", effect=True, parse=_parse_change)
def change_campaign(
    act: Act,
    campaign_id: Id,
    name: Name = "",
    send: Send = "",
    every: Every = "",
    to: To = "",
    clause: Clause = "",
    missed: Missed = "",
    deadline: Annotated[str, ActValue("期限", "期限：5个工作日、2026-03-20 或 取消", "--deadline")] = "",
) -> Outcome:
    """改一个活动，写哪项改哪项；正在进行的马上按新的来。"""
    changed: dict[str, Any] = {}
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "name": (name, str),
        "content": (send, lambda text: parse_content(text, act.catalog.library)),
        "schedule": (every, lambda text: parse_schedule(text, act.today)),
        "audience": (to, parse_audience),
        "clause": (clause, str),
        "missed": (missed, lambda text: _MISSED_WORDS.get(text, text)),
    }
    for field, (typed, read) in readers.items():
        if typed:
            changed[field] = read(typed)
    if not changed and not deadline:
        raise Refusal("没有写改什么：用 --name --send --every --to --clause --missed --deadline 中的一项或几项。")
    before = manage.require_campaign(act.session, act.author, campaign_id)
    unchanged = all(getattr(before, field) == value for field, value in changed.items()) and not deadline
    if changed and not unchanged:
        manage.change(act.session, act.catalog, act.author, campaign_id, act.now, **changed)
    if deadline:
        nudge.set_deadline(act.session, act.author, campaign_id, deadline, act.now)
    row = manage.require_campaign(act.session, act.author, campaign_id)
    return Outcome(
        campaign_json(row),
        [*messages.campaign_lines(row), *messages.preview_lines(preview_of(act, row))],
        "本来就是这样，没有改动。" if unchanged else state_line(row),
        shown_after(act, campaign_id, "✅ 已改，马上按新的来。"),
        unchanged=unchanged,
    )


# ── Trials, progress, packs ──


@action("活动 试发", usage="活动 试发 12")
def try_campaign(act: Act, campaign_id: Id) -> Outcome:
    """看到的原样：这里马上显示，您绑定的其他渠道各推送一条，不计入。"""
    manage.require_campaign(act.session, act.author, campaign_id)
    shown = push.render_trial(act.session, act.catalog, campaign_id, act.me.id)
    others = push.send_trial(act.session, act.author, campaign_id, act.me.id, act.now, act.author.via)
    if others:
        names = "、".join(CHANNELS[channel] for channel in others)
        shown = replace(shown, text=f"（试发。{names}上也各推送了一条，请去看看样子。）\n{shown.text}")
    return Outcome(reply=shown)


@action(cli="campaign test", effect=True)
def test_campaign(act: Act, campaign_id: Id, to: Annotated[str, ActValue("工号", "工号", "--to")]) -> Outcome:
    """打印某人会看到的原样；加 --apply 就在他绑定的每个渠道上各试发一条。"""
    person_id = people_audience.find_person_id(act.session, to)
    if person_id is None:
        raise Refusal(f"没有工号 {to}。")
    manage.require_campaign(act.session, act.author, campaign_id)
    text = plain_text(push.render_trial(act.session, act.catalog, campaign_id, person_id))
    channels = push.send_trial(act.session, act.author, campaign_id, person_id, act.now) if act.applies else []
    sent = f"已排队试发：{'、'.join(CHANNELS[channel] for channel in channels)}" if channels else "没有绑定任何渠道，没有发。"
    return Outcome({"text": text, "channels": channels}, text, sent)


@action("活动 进度", usage="活动 进度 12")
def campaign_progress(act: Act, campaign_id: Id) -> Outcome:
    """一个活动最近一次发到哪里了，没有送达的名单和原因。"""
    manage.require_campaign(act.session, act.author, campaign_id)
    latest = progress.latest_progress(act.session, campaign_id)
    again = () if latest.is_over else (Option(f"活动 进度 {campaign_id}", "再看进度"),)
    return Outcome(reply=Reply(str(latest), buttons=again))


@action("活动 包", cli="campaign pack", usage="活动 包 国家宪法日", effect=True)
def draft_pack(act: Act, name: Annotated[str, ActValue("名称", "活动包名称，如 国家宪法日；不写则列出")] = "", to: To = "全员") -> Outcome:
    """普法日活动包：列出各项和日期；加 --apply 一次起草。"""
    library = act.catalog.library
    if not name:
        known = [{"name": pack.name, "law_day": pack.law_day, "items": len(pack.items), "about": pack.about} for pack in library.packs.values()]
        shown = [f"· {pack.name}：{len(pack.items)} 项，{pack.about}" for pack in library.packs.values()]
        buttons = tuple(Option(f"活动 包 {pack.name}", pack.name) for pack in list(library.packs.values())[:4])
        return Outcome(
            known,
            [f"{pack['name']}：{pack['items']} 项，{pack['about']}" for pack in known],
            reply=Reply("\n".join(["普法日活动包，发「活动 包 名称」一次起草：", *shown]), buttons=buttons),
            unchanged=True,
        )
    if not act.applies:
        pack_name, year = manage.split_year(name)
        items = manage.upcoming_items(act.catalog, manage.find_pack(act.catalog, pack_name), act.now, year)
        planned = [(item.name, f"{describe_schedule(schedule)}　{describe_content(pack_item_content(item))}") for item, schedule in items]
        return Outcome([{"name": item_name, "plan": plan} for item_name, plan in planned], [f"{item_name}　{plan}" for item_name, plan in planned])
    drafts = manage.draft_pack(act.session, act.catalog, act.author, name, act.now, parse_audience(to))
    lines = [messages.campaign_line(row) for row in drafts]
    ids = " ".join(str(row.id) for row in drafts)
    reply = Reply(
        "\n".join(["已起草，还没有发：", *lines, f"逐个看发「活动 编号」，一起启动发「活动 启动 {ids}」。"]),
        buttons=(Option(f"活动 启动 {ids}", "一起启动"),),
    )
    return Outcome([campaign_json(row) for row in drafts], lines, "已起草。", reply)
