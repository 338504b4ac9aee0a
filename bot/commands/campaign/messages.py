"""Campaigns in sentences: a line in a list, one in full, what a preview shows; for the chat and for the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.domain.campaign import content
from bot.domain.campaign.campaign import DELIVERY_LABELS, MISSED_LABELS, STATE_LABELS, Campaign, CampaignPreview
from bot.domain.campaign.content import LETTERS, CampaignContent
from bot.domain.campaign.schedule import describe_schedule
from bot.domain.delivery.reminders import deadline_text
from bot.domain.people import audience
from bot.domain.times import SHANGHAI
from bot.storage.campaign import DueOccurrence

WEEKDAYS = "一二三四五六日"
EXCLUDED_SHOWN = 10


def moment(at: datetime) -> str:
    """03-02（周一）09:00."""
    local = at.astimezone(SHANGHAI)
    return f"{local:%Y-%m-%d}（周{WEEKDAYS[local.weekday()]}）{local:%H:%M}"


def line(one: Campaign) -> str:
    state = STATE_LABELS[one.state]
    return f"{one.id}. {one.name}　{state}　{describe_schedule(one.schedule)}　{audience.describe_audience(one.audience)}"


def plan(one: Campaign) -> list[str]:
    """What a campaign says of itself."""
    return [
        f"活动 {one.id}「{one.name}」{STATE_LABELS[one.state]}（第 {one.version} 版）",
        f"内容：{content.describe_content(one.content)}",
        f"频次：{describe_schedule(one.schedule)}（{MISSED_LABELS[one.missed]}）",
        f"对象：{audience.describe_audience(one.audience)}",
        f"依据：{one.clause or '没有写，年报里会列为“无依据”'}",
        *([f"期限：{deadline_text(one.delivery)}，到期前后自动提醒"] if one.delivery.get("by") or one.delivery.get("within") else []),
    ]


def seen(found: CampaignPreview) -> list[str]:
    """Whom it would reach, whom not and why, when, and at what cost."""
    names = "、".join(found.names) + ("等" if found.count > len(found.names) else "")
    lines = [f"现在会收到：{found.count} 人" + (f"（{names}）" if names else "")]
    if found.excluded:
        shown = "、".join(f"{name}（{reason}）" for _, name, reason in found.excluded[:EXCLUDED_SHOWN])
        more = " 等" if len(found.excluded) > EXCLUDED_SHOWN else ""
        lines.append(f"不会收到：{len(found.excluded)} 人：{shown}{more}（{reasons(Counter(one[2] for one in found.excluded))}）")
    if found.due:
        lines.append("接下来：" + "、".join(moment(at) for at in found.due))
    if found.asks:
        lines.append(f"再往后：{found.asks}" if found.due else found.asks)
    if found.cost:
        lines.append(f"预计：{found.cost}")
    return lines


def reasons(counts: Mapping[str, int]) -> str:
    return "，".join(f"{reason} {n}" for reason, n in sorted(counts.items()))


def past(occurrences: Sequence[DueOccurrence], counts: Mapping[int, Mapping[str, int]]) -> list[str]:
    """The last times, each with its deliveries by state."""
    lines = []
    for one in occurrences:
        state = {"fired": "已触发", "missed": "错过", "void": "作废"}[one.state]
        by_state = "，".join(f"{DELIVERY_LABELS[name]} {n}" for name, n in sorted(counts.get(one.id, {}).items()))
        note = f"（{one.note}）" if one.note else ""
        lines.append(f"· #{one.id} {moment(one.due)} {state}{note}{'：' + by_state if by_state else ''}")
    return lines


def poll(asked: CampaignContent, votes: Mapping[str, int]) -> str:
    """How a poll stands; who chose what is not told."""
    return "，".join(f"{letter}. {option} {votes.get(letter, 0)} 票" for letter, option in zip(LETTERS, asked.options, strict=False))
