"""How long a WeChat follower may still be written to, and what the platform tells afterwards of what was sent."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.domain.delivery.platform_limits import WECHAT_WINDOW, heard_limit
from bot.domain.times import day_of
from bot.storage.db.query import Statement
from bot.storage.delivery import quota
from bot.storage.tables.columns import moment, stamp

_LAST = Statement("SELECT MAX(arrived_at) FROM inbox WHERE channel = :channel AND sender = :user")
_FAILED = Statement(
    """UPDATE delivery SET state = 'failed', error = :error
       WHERE channel = :channel AND platform_id = :platform_id AND state = 'sent' AND sent_at >= :since"""
)
_COUNT = Statement("INSERT INTO tally (day, what, n) VALUES (:day, :what, :n) ON CONFLICT (day, what) DO UPDATE SET n = tally.n + excluded.n")


def last_heard(session: Session, channel: str, user: str) -> datetime | None:
    """When somebody was last heard on a channel, as far back as messages are kept (7 days)."""
    row = _LAST.one(session, channel=channel, user=user)
    return None if row is None or row[0] is None else moment(row[0])


def is_wechat_open(session: Session, user: str, now: datetime) -> bool:
    """True when a follower spoke less than 48 hours ago and what that opened is not used up (bot/docs/protocols.md#wechat-customer-service).

    Counts nothing: the delivery that is under way has counted itself already (bot/services/delivery/send.py). A tap opens less than a
    sentence does and is not told from one here; what the platform refuses then goes the other way.
    """
    heard = last_heard(session, "wechat", user)
    if heard is None or now - heard >= WECHAT_WINDOW:
        return False
    limit = heard_limit(heard)
    return quota.look(session, limit.key(user), limit.window, now) <= limit.usable()


def mark_failed(session: Session, channel: str, platform_id: str, error: str, since: datetime) -> int:
    """Mark what was sent since then under this id as failed after all; how many rows that were."""
    return _FAILED.run(session, channel=channel, platform_id=platform_id, error=error, since=stamp(since))


def count_public(session: Session, subject: str, count: int, now: datetime) -> None:
    """Numbers of the public side, which belong to nobody on the roll (bot/docs/rules.md A27)."""
    if count:
        _COUNT.run(session, day=day_of(now).isoformat(), what=subject, n=count)
