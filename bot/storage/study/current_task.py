"""The task in hand of each person, as a row: which kind, and which reading or sitting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, Text, and_, delete, exists, select, type_coerce
from sqlmodel import Session

from bot.domain.message import Incoming
from bot.domain.times import day_of
from bot.storage.db.query import Query, bind, binds, columns, given, insert, replacing, table
from bot.storage.tables.people import AccountRow, PersonRow
from bot.storage.tables.study import FocusRow
from bot.storage.tables.system import InboxRow

_accounts, _focus, _inbox, _people = table(AccountRow), table(FocusRow), table(InboxRow), table(PersonRow)

_FOCUS = Query(select(_focus.c.kind, _focus.c.ref).where(_focus.c.person_id == bind("person_id")), gives=tuple[str, int])
_SET_FOCUS = Query(replacing(insert(_focus).values(binds("person_id", "kind", "ref", "since")), ["person_id"], "kind", "ref", "since"))
_DROP_FOCUS = Query(delete(_focus).where(_focus.c.person_id == bind("person_id")))


def focus(session: Session, person_id: int) -> tuple[str, int] | None:
    """The task in hand: (its kind as bot/domain/study/sitting.py has it, the row's id), or None."""
    return _FOCUS.first(session, person_id=person_id)


@dataclass(slots=True)
class MessageInHand:
    """A message that nobody heard before, of somebody who is bound and has something in hand: whose it is, and what (as in `focus`)."""

    person_id: int
    kind: str
    ref: int


_messages = given("messages", channel=Text, app=Text, sender=Text, message_id=Text, today=Text, k=Integer)
_IN_HAND = Query(
    select(_messages.c.k, *columns(_focus, MessageInHand))
    .select_from(_messages)
    .join(_accounts, and_(_accounts.c.channel == _messages.c.channel, _accounts.c.user == _messages.c.sender))
    .join(
        _people,
        and_(_people.c.id == _accounts.c.person_id, _people.c.left_on.is_(None) | (type_coerce(_people.c.left_on, Text) >= _messages.c.today)),
    )
    .join(_focus, _focus.c.person_id == _people.c.id)
    .where(
        ~exists(
            select(_inbox.c.person_id).where(
                _inbox.c.channel == _messages.c.channel,
                _inbox.c.app == _messages.c.app,
                _inbox.c.sender == _messages.c.sender,
                _inbox.c.message_id == _messages.c.message_id,
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
    _SET_FOCUS.run(session, person_id=person_id, kind=kind, ref=ref, since=at)


def drop_focus(session: Session, person_id: int) -> None:
    _DROP_FOCUS.run(session, person_id=person_id)
