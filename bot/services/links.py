"""One-time links to web pages: made for one person and one page, opened once, and the visit that begins with the opening."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime

from sqlmodel import Session

from bot.domain.links import LINK_LIFE, PAGE_APP, PURPOSES, LinkPurpose, PageVisitor
from bot.domain.message import Address, Refusal
from bot.domain.people.person import Learner
from bot.domain.times import day_of
from bot.storage.people import accounts
from bot.storage.system import audit, links
from bot.storage.system.links import OpenVisit


def create_link(session: Session, pages: str, purpose: str, ref: str, learner: Learner, recipient: Address, now: datetime) -> str:
    """The address of a page for `learner` alone, good for ten minutes and one opening. `recipient` is the account that it will be sent to.

    `pages` is where our pages stand (BOT_PUBLIC_URL, or the local chat's address). Raises `Refusal` when they stand nowhere, and for somebody
    who may not see the page.
    """
    kind = PURPOSES[purpose]
    if not pages:
        raise Refusal("网页没有开通：管理员还没有设置本服务的对外地址（BOT_PUBLIC_URL）。请先在聊天里做。")
    if kind.role is not None and not learner.may(kind.role):
        raise Refusal(f"这个页面只给{kind.role.label}用。")
    token = secrets.token_urlsafe(32)
    links.add(session, _digest(token), purpose, ref, learner.id, recipient, now, now + LINK_LIFE)
    return f"{pages}{kind.path}/in/{token}"


def is_good(session: Session, purpose: str, token: str, now: datetime) -> bool:
    """True while a link can still be opened; looking spends nothing."""
    return links.is_unspent(session, _digest(token), purpose, now)


def open_link(session: Session, purpose: str, token: str, now: datetime) -> tuple[str, PageVisitor] | None:
    """Open a link: the secret of a new visit and who it belongs to; None for a link that was opened before, is too old, or is none of ours."""
    kind = PURPOSES[purpose]
    link = links.spend(session, _digest(token), purpose, now)
    if link is None:
        return None
    secret = secrets.token_urlsafe(32)
    visit_id = links.begin_visit(session, link.id, _digest(secret), now, now + kind.life)
    page_visitor = _current_visitor(
        session, kind, secret, OpenVisit(visit_id, link.ref, link.person_id, link.channel, link.user, now, now + kind.life), now
    )
    if page_visitor is None:
        links.end_visit(session, visit_id, now)
        return None
    if kind.role is not None:
        audit.record(session, now, page_visitor.learner.staff_no, link.channel, "打开网页", f"{purpose} {link.ref}".strip())
    return secret, page_visitor


def find_visitor(session: Session, purpose: str, secret: str, now: datetime) -> PageVisitor | None:
    """Whose visit a secret belongs to, with the rights the person has now; None when it is over or they may no longer see the page."""
    kind = PURPOSES[purpose]
    visit = links.open_visit(session, _digest(secret), purpose, now)
    if visit is None or (kind.idle is not None and visit.seen_at + kind.idle <= now):
        return None
    return _current_visitor(session, kind, secret, visit, now)


def _current_visitor(session: Session, kind: LinkPurpose, secret: str, visit: OpenVisit, now: datetime) -> PageVisitor | None:
    sender = Address(visit.channel, PAGE_APP, visit.user)
    # Whoever has left, or whose account now speaks for somebody else, is nobody here.
    learner = accounts.find_learner(session, sender, day_of(now))
    if learner is None or learner.id != visit.person_id or (kind.role is not None and not learner.may(kind.role)):
        return None
    return PageVisitor(visit.id, kind.name, visit.ref, learner, sender, visit.expires_at, visit.seen_at, _proof(secret))


def mark_seen(session: Session, visitor: PageVisitor, now: datetime) -> None:
    """The visitor is still there: silence counts from now."""
    links.touch_visit(session, visitor.visit_id, now)


def end_visit(session: Session, visitor: PageVisitor, now: datetime) -> None:
    """End a visit by the visitor's own word: its secret opens nothing any more."""
    if links.end_visit(session, visitor.visit_id, now) and PURPOSES[visitor.purpose].role is not None:
        audit.record(session, now, visitor.learner.staff_no, visitor.sender.channel, "关闭网页", f"{visitor.purpose} {visitor.ref}".strip())


def end_all_visits(session: Session, person_id: int, now: datetime) -> int:
    """End every visit of a person at once, and spoil the links they have not opened; how many visits."""
    return links.end_visits_of(session, person_id, now)


def _digest(secret: str) -> str:
    # 256 random bits need no salt and no slow hash; a row that is read gives nobody the key.
    return hashlib.sha256(secret.encode()).hexdigest()


def _proof(secret: str) -> str:
    """What a page of the visit carries and a foreign page cannot know: made from the secret, and not leading back to it."""
    return hmac.new(secret.encode(), b"proof", hashlib.sha256).hexdigest()
