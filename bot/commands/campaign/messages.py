"""Campaigns, previews and occurrences as sentences, for the chat and for the command line."""

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


def moment_text(due_at: datetime) -> str:
    """2026-03-02（周一）09:00."""
    local = due_at.astimezone(SHANGHAI)
    return f"{local:%Y-%m-%d}（周{WEEKDAYS[local.weekday()]}）{local:%H:%M}"


def campaign_line(campaign: Campaign) -> str:
    state = STATE_LABELS[campaign.state]
    return f"{campaign.id}. {campaign.name}　{state}　{describe_schedule(campaign.schedule)}　{audience.describe_audience(campaign.audience)}"


def campaign_lines(campaign: Campaign) -> list[str]:
    """What a campaign says of itself."""
    return [
        f"活动 {campaign.id}「{campaign.name}」{STATE_LABELS[campaign.state]}（第 {campaign.version} 版）",
        f"内容：{content.describe_content(campaign.content)}",
        f"频次：{describe_schedule(campaign.schedule)}（{MISSED_LABELS[campaign.missed]}）",
        f"对象：{audience.describe_audience(campaign.audience)}",
        f"依据：{campaign.clause or '没有写，年报里会列为“无依据”'}",
        *([f"期限：{deadline_text(campaign.delivery)}，到期前后自动提醒"] if campaign.delivery.get("by") or campaign.delivery.get("within") else []),
    ]


def preview_lines(preview: CampaignPreview) -> list[str]:
    """Whom it would reach, whom not and why, when, and at what cost."""
    names = "、".join(preview.names) + ("等" if preview.count > len(preview.names) else "")
    lines = [f"现在会收到：{preview.count} 人" + (f"（{names}）" if names else "")]
    if preview.excluded:
        shown = "、".join(f"{name}（{reason}）" for _, name, reason in preview.excluded[:EXCLUDED_SHOWN])
        more = " 等" if len(preview.excluded) > EXCLUDED_SHOWN else ""
        lines.append(f"不会收到：{len(preview.excluded)} 人：{shown}{more}（{reasons_text(Counter(excluded[2] for excluded in preview.excluded))}）")
    if preview.due:
        lines.append("接下来：" + "、".join(moment_text(due_at) for due_at in preview.due))
    if preview.asks:
        lines.append(f"再往后：{preview.asks}" if preview.due else preview.asks)
    if preview.cost:
        lines.append(f"预计：{preview.cost}")
    return lines


def reasons_text(counts: Mapping[str, int]) -> str:
    return "，".join(f"{reason} {count}" for reason, count in sorted(counts.items()))


def occurrence_lines(occurrences: Sequence[DueOccurrence], counts: Mapping[int, Mapping[str, int]]) -> list[str]:
    """The last times, each with its deliveries by state."""
    lines = []
    for occurrence in occurrences:
        state = {"fired": "已触发", "missed": "错过", "void": "作废"}[occurrence.state]
        by_state = "，".join(f"{DELIVERY_LABELS[name]} {count}" for name, count in sorted(counts.get(occurrence.id, {}).items()))
        note = f"（{occurrence.note}）" if occurrence.note else ""
        lines.append(f"· #{occurrence.id} {moment_text(occurrence.due)} {state}{note}{'：' + by_state if by_state else ''}")
    return lines


def poll_text(asked: CampaignContent, votes: Mapping[str, int]) -> str:
    """How a poll stands; who chose what is not told."""
    return "，".join(f"{letter}. {option} {votes.get(letter, 0)} 票" for letter, option in zip(LETTERS, asked.options, strict=False))
