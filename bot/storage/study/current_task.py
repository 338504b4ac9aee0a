"""The task in hand of each person, as a row: which kind, and which reading or sitting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, Text, and_, exists, select, type_coerce
from sqlmodel import Session

from bot.domain.message import Incoming
from bot.domain.times import day_of
from bot.storage.db.query import Query, Statement, columns, given, table
from bot.storage.tables.columns import stamp
from bot.storage.tables.people import AccountRow, PersonRow
from bot.storage.tables.study import FocusRow
from bot.storage.tables.system import InboxRow

_FOCUS = Statement("SELECT kind, ref FROM focus WHERE person_id = :person_id")
_SET_FOCUS = Statement(
    """INSERT INTO focus (person_id, kind, ref, since) VALUES (:person_id, :kind, :ref, :since)
       ON CONFLICT (person_id) DO UPDATE SET kind = excluded.kind, ref = excluded.ref, since = excluded.since"""
)
_DROP_FOCUS = Statement("DELETE FROM focus WHERE person_id = :person_id")


def focus(session: Session, person_id: int) -> tuple[str, int] | None:
    """The task in hand: (its kind as bot/domain/study/sitting.py has it, the row's id), or None."""
    row = _FOCUS.one(session, person_id=person_id)
    return None if row is None else (row[0], row[1])


@dataclass(slots=True)
class MessageInHand:
    """A message that nobody heard before, of somebody who is bound and has something in hand: whose it is, and what (as in `focus`)."""

    person_id: int
    kind: str
    ref: int


_MESSAGES = given("messages", channel=Text, app=Text, sender=Text, message_id=Text, today=Text, k=Integer)
_ACCOUNT, _PERSON, _FOCUS_ROW, _INBOX = table(AccountRow), table(PersonRow), table(FocusRow), table(InboxRow)
_IN_HAND = Query(
    select(_MESSAGES.c.k, *columns(_FOCUS_ROW, MessageInHand))
    .select_from(_MESSAGES)
    .join(_ACCOUNT, and_(_ACCOUNT.c.channel == _MESSAGES.c.channel, _ACCOUNT.c.user == _MESSAGES.c.sender))
    .join(
        _PERSON, and_(_PERSON.c.id == _ACCOUNT.c.person_id, _PERSON.c.left_on.is_(None) | (type_coerce(_PERSON.c.left_on, Text) >= _MESSAGES.c.today))
    )
    .join(_FOCUS_ROW, _FOCUS_ROW.c.person_id == _PERSON.c.id)
    .where(
        ~exists(
            select(_INBOX.c.person_id).where(
                _INBOX.c.channel == _MESSAGES.c.channel,
                _INBOX.c.app == _MESSAGES.c.app,
                _INBOX.c.sender == _MESSAGES.c.sender,
                _INBOX.c.message_id == _MESSAGES.c.message_id,
            )
        )
    ),
    gives=(int, MessageInHand),
)


def in_hand(session: Session, messages: Sequence[Incoming]) -> list[MessageInHand | None]:
    """What each message meets, in their order; None for strangers, copies and empty hands, and for all messages of a person who sent several."""
    rows = [
        (message.sender.channel, message.sender.app, message.sender.user, message.message_id, day_of(message.arrived).isoformat(), k)
        for k, message in enumerate(messages)
    ]
    met: list[MessageInHand | None] = [None] * len(messages)
    pairs = _IN_HAND.all(session, messages=rows)
    counts = Counter(hand.person_id for _, hand in pairs)
    for k, hand in pairs:
        if counts[hand.person_id] == 1:
            met[k] = hand
    return met


def set_focus(session: Session, person_id: int, kind: str, ref: int, at: datetime) -> None:
    _SET_FOCUS.run(session, person_id=person_id, kind=kind, ref=ref, since=stamp(at))


def drop_focus(session: Session, person_id: int) -> None:
    _DROP_FOCUS.run(session, person_id=person_id)
