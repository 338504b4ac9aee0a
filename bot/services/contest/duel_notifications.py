"""News about duels, queued as notifications so that it respects quotas, quiet hours and the channel a player uses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.campaign.content import CampaignContent
from bot.domain.contest import duel as contest_duel
from bot.domain.times import duration_text
from bot.services.campaign.notifications import notify
from bot.storage.contest import duels
from bot.storage.contest.duels import Duel, DuelPlayer


def queue_news(session: Session, duel_id: int, person_id: int, news: str, now: datetime) -> bool:
    """Queue waiting news for one player; True for the one caller that did."""
    duel = duels.lock(session, duel_id)
    if duel is None or not duels.claim_pending_news(session, duel_id, person_id, news):
        return False
    content = _news_content(session, duel, person_id, news, now)
    if content is None:
        return False
    # Who did not ask for a match keeps their quiet hours; who plays one waits for the news.
    is_invitation = news == "invited"
    name = "对战邀请" if is_invitation else "对战消息"
    return notify(session, [person_id], content, once=f"duel:{duel_id}:{news}", now=now, quiet=is_invitation, name=name) > 0


def _news_content(session: Session, duel: Duel, person_id: int, news: str, now: datetime) -> CampaignContent | None:
    """The message; None when the news is out of date."""
    players = duels.players(session, duel.id)
    others = [player for player in players if player.id != person_id]
    match news:
        case "invited" if duel.state == "calling" and duel.until > now:
            caller = next(player for player in players if player.id == duel.made_by)
            return CampaignContent(
                "invitation",
                title=f"{caller.name} 邀请您对战",
                text=f"{contest_duel.QUESTION_COUNT} 道题，限时 {_minutes(contest_duel.TIME_LIMIT)}；"
                f"{_minutes(contest_duel.INVITATION_TIMEOUT)}内有效。"
                f"不方便请回复「应战 {duel.id} 谢绝」。",
                target=f"应战 {duel.id}",
                label="应战",
            )
        case "begun" if duel.state == "running":
            named = "、".join(player.name for player in others if player.is_in)
            text = f"与 {named} 的对战开始了，{_minutes(contest_duel.TIME_LIMIT)}内答完 {contest_duel.QUESTION_COUNT} 道题，已经在计时。"
            return CampaignContent("invitation", title="对手到了", text=text, target="对战", label="开始答题")
        case "off":
            return CampaignContent("invitation", title="对战没有打成", text=call_off_reason(duel, players), target="对战", label="再找一次")
        case "over":
            return CampaignContent(
                "invitation", title="对战结束", text="\n".join(result_lines(players, person_id)), target="对战 战绩", label="看战绩"
            )
    return None


def _minutes(span: timedelta) -> str:
    return duration_text(int(span.total_seconds()))


def call_off_reason(duel: Duel, players: Sequence[DuelPlayer]) -> str:
    """Why a match was called off, and what the player can do."""
    if not duel.is_invited:
        joined = sum(player.is_in for player in players)
        shortage = f"（要 {duel.size} 人，来了 {joined} 人）" if duel.size > 2 else ""
        return (
            f"{int(contest_duel.QUEUE_TIMEOUT.total_seconds())} 秒内没有等到对手{shortage}，没有机器人陪打。可以再发「对战」，或邀请同事：对战 工号。"
        )
    caller = next(player for player in players if player.id == duel.made_by)
    if caller.state == "declined":
        return f"{caller.name} 取消了邀请。可以再邀请别人，或发「对战」等人来。"
    declined = [player.name for player in players if player.state == "declined"]
    unanswered = [player.name for player in players if player.state == "invited"]
    parts = ([f"{'、'.join(declined)} 谢绝了"] if declined else []) + ([f"{'、'.join(unanswered)} 没有应战"] if unanswered else [])
    return f"{'，'.join(parts)}。可以再邀请别人，或发「对战」等人来。"


def result_lines(players: Sequence[DuelPlayer], person_id: int) -> list[str]:
    """The places of a match for one of its players; all are named, as they chose each other."""
    placed = sorted((player for player in players if player.place is not None), key=lambda player: (player.place or 0, player.id))
    lines = [f"第 {player.place} 名 {'您' if player.id == person_id else player.name}：{_result_text(player)}" for player in placed]
    return [*lines, "每天前两场计分，名次不计学时。"]


def _result_text(player: DuelPlayer) -> str:
    return f"对 {player.correct} 题，{duration_text(player.millis // 1000)}，对战积分 +{player.points}"
