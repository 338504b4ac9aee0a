"""What a plan will take of the platforms' budgets, counted as the budgets count it when it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.calendar import UnknownYear
from bot.domain.content import Content
from bot.domain.limits import weight
from bot.domain.message import Option, Reply
from bot.domain.rhythm import Rhythm, due_between
from bot.domain.times import day_of, start_of
from bot.services.delivery.progress import Cost, cost
from bot.services.shelf import Shelf
from bot.storage import audience as people


def messages(content: Content) -> int:
    """How many messages one person gets each time at most: the pieces of the text, and the card beside them."""
    taps = content.kind != "notice" or content.receipt
    text = "\n".join((content.title, content.text, *content.options))
    return weight(Reply(text, buttons=(Option("学习", "学习"),) if taps else ()))


def weighed_for(session: Session, shelf: Shelf, invited: Sequence[int], rhythm: Rhythm, now: datetime, content: Content | None) -> Cost:
    """What it takes this month, with every time that it still falls due; a plain message each where the content is not known yet."""
    first = day_of(now).replace(day=1)
    end = start_of((first + timedelta(days=32)).replace(day=1))
    try:
        times = len(due_between(rhythm, now, end, shelf.library.calendar))
    except UnknownYear:
        times = 0
    each = 1 if content is None else messages(content)
    return cost(session, people.by_channel(session, invited), now, messages=each, times_a_month=max(1, times), limits=shelf.limits)
