"""Which pages are opened by a one-time link from the chat, for whom, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.message import Address
from bot.domain.people.person import Learner, RoleName

LINK_LIFE = timedelta(minutes=10)
"""How long a link that nobody opens is good for (bot/docs/reliability.md W9)."""
PAGE_APP = "page"
"""What the app of an address says when somebody speaks from a page and not from the chat itself."""


@dataclass(frozen=True, slots=True)
class LinkPurpose:
    """What a link is good for: nothing but the pages under `path`, and there only what its `ref` names.

    `title` is what the page is called before it is opened. `role` is what the person must be, looked up at every request. `life` is how long
    a visit lasts from its beginning, `idle` how long it outlives silence (None: as long as it lives).
    """

    name: str
    path: str
    title: str
    command: str
    life: timedelta
    idle: timedelta | None = None
    role: RoleName | None = None


PURPOSES: dict[str, LinkPurpose] = {
    purpose.name: purpose
    for purpose in (
        # Somebody thinks about a question for twenty minutes: the exam's own clock ends it.
        LinkPurpose("exam", "/exam", "考试", "考试", timedelta(hours=8)),
        LinkPurpose("console", "/console", "管理页面", "大屏", timedelta(hours=8), timedelta(minutes=15), RoleName.ADMIN),
    )
}


@dataclass(frozen=True, slots=True)
class PageVisitor:
    """Who is on a page now: the person with the rights they have at this moment, what the visit is bound to, and until when it lasts.

    `sender` is the chat account that the link was sent to, as the address under which the page sends messages to the dispatcher. `proof` goes
    back with every changing request (bot/docs/reliability.md W6); it says nothing about the cookie that it was made from.
    """

    visit_id: int
    purpose: str
    ref: str
    learner: Learner
    sender: Address
    expires_at: datetime
    seen_at: datetime
    proof: str
