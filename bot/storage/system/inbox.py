"""The inbox: each received message with its reply, so that a repeated message has one effect (bot/docs/rules.md#one-message-one-effect).

`bot/dispatch.py` asks it for every message and remembers refused ones itself; who answers which copy of a callback is decided in
`bot/channels/callback.py`, and for DingTalk in `bot/channels/dingtalk/answering.py`.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

from sqlmodel import Session

from bot.domain.message import Incoming, Reply, reply_from_json, reply_json
from bot.storage.db.query import Statement
from bot.storage.tables.columns import stamp

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_FIND_REPLY = Statement("SELECT reply FROM inbox WHERE channel = :channel AND app = :app AND sender = :sender AND message_id = :message_id")
_STORE_REPLY = Statement(
    """INSERT INTO inbox (channel, app, sender, message_id, person_id, arrived_at, reply)
       VALUES (:channel, :app, :sender, :message_id, :person_id, :arrived_at, :reply) ON CONFLICT DO NOTHING"""
)
_FORGET = Statement("DELETE FROM inbox WHERE arrived_at < :before")
_COUNT = Statement("INSERT INTO tally (day, what, n) VALUES (:day, :what, 1) ON CONFLICT (day, what) DO UPDATE SET n = tally.n + 1")


def stored_reply(session: Session, incoming: Incoming) -> Reply | None:
    """The reply that was stored for this message, or None when it is new."""
    sender = incoming.sender
    row = _FIND_REPLY.one(session, channel=sender.channel, app=sender.app, sender=sender.user, message_id=incoming.message_id)
    return None if row is None else reply_from_json(json.loads(row[0]))


def store_reply(session: Session, incoming: Incoming, person_id: int, reply: Reply) -> None:
    """Store the reply with its message, in the transaction that made it."""
    sender = incoming.sender
    _STORE_REPLY.run(
        session,
        channel=sender.channel,
        app=sender.app,
        sender=sender.user,
        message_id=incoming.message_id,
        person_id=person_id,
        arrived_at=stamp(incoming.arrived),
        reply=_encode(reply_json(reply)),
    )


def forget(session: Session, now: datetime, days: int = 7) -> int:
    """Delete what is older than any platform retries; the freshness window (10 minutes) is far shorter, so no deleted message can be replayed."""
    return _FORGET.run(session, before=stamp(now - timedelta(days=days)))


def count(session: Session, kind: str, day: date) -> None:
    """Count one event of a day that belongs to no person, such as a stranger's message."""
    _COUNT.run(session, day=day.isoformat(), what=kind)
