"""The inbox: each received message with its reply, so that a repeated message has one effect (bot/docs/rules.md#one-message-one-effect).

`bot/dispatch.py` asks it for every message and remembers refused ones itself; who answers which copy of a callback is decided in
`bot/channels/callback.py`, and for DingTalk in `bot/channels/dingtalk/answering.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import delete, select
from sqlmodel import Session

from bot.domain.message import Address, Incoming, Reply, reply_from_json, reply_json
from bot.storage.db.query import Query, bind, binds, insert, table
from bot.storage.tables.system import InboxRow, TallyRow

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_INBOX, _TALLY = table(InboxRow), table(TallyRow)
_FIND_REPLY = Query(
    select(_INBOX.c.reply).where(*(_INBOX.c[name] == bind(name) for name in ("channel", "app", "sender", "message_id"))),
    gives=str,
)
_STORE_REPLY = Query(
    insert(_INBOX).values(binds("channel", "app", "sender", "message_id", "person_id", "arrived_at", "reply")).on_conflict_do_nothing()
)
_LAST_REPLY = Query(
    select(_INBOX.c.reply)
    .where(_INBOX.c.channel == bind("channel"), _INBOX.c.app == bind("app"), _INBOX.c.sender == bind("sender"), _INBOX.c.arrived_at >= bind("since"))
    .order_by(_INBOX.c.arrived_at.desc())
    .limit(1),
    gives=str,
)
_FORGET = Query(delete(_INBOX).where(_INBOX.c.arrived_at < bind("before")))
_COUNT = Query(
    insert(_TALLY).values(binds("day", "what") | {"n": 1}).on_conflict_do_update(index_elements=["day", "what"], set_={"n": _TALLY.c.n + 1})
)


def stored_reply(session: Session, incoming: Incoming) -> Reply | None:
    """The reply that was stored for this message, or None when it is new."""
    sender = incoming.sender
    reply = _FIND_REPLY.first(session, channel=sender.channel, app=sender.app, sender=sender.user, message_id=incoming.message_id)
    return None if reply is None else reply_from_json(json.loads(reply))


def last_reply(session: Session, sender: Address, since: datetime) -> Reply | None:
    """What was said last to somebody since a moment; None when nothing was."""
    reply = _LAST_REPLY.first(session, channel=sender.channel, app=sender.app, sender=sender.user, since=since)
    return None if reply is None else reply_from_json(json.loads(reply))


def store_replies(session: Session, replies: Sequence[tuple[Incoming, int, Reply]]) -> None:
    """Store replies with their messages, in the transaction that made them: (message, person, reply)."""
    _STORE_REPLY.many(
        session,
        [
            {
                "channel": incoming.sender.channel,
                "app": incoming.sender.app,
                "sender": incoming.sender.user,
                "message_id": incoming.message_id,
                "person_id": person_id,
                "arrived_at": incoming.arrived,
                "reply": _encode(reply_json(reply)),
            }
            for incoming, person_id, reply in replies
        ],
    )


def store_reply(session: Session, incoming: Incoming, person_id: int, reply: Reply) -> None:
    """`store_replies` of one."""
    store_replies(session, [(incoming, person_id, reply)])


def forget(session: Session, now: datetime, days: int = 7) -> int:
    """Delete what is older than any platform retries; the freshness window (10 minutes) is far shorter, so no deleted message can be replayed."""
    return _FORGET.run(session, before=now - timedelta(days=days))


def count(session: Session, kind: str, day: date) -> None:
    """Count one event of a day that belongs to no person, such as a stranger's message."""
    _COUNT.run(session, day=day, what=kind)
