"""What may still be said to a follower, what came to nothing after all, and the public's numbers apart from the staff's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.domain.delivery.platform_limits import heard_limit
from bot.domain.message import Address, Incoming, Reply
from bot.storage.db.database import Database
from bot.storage.delivery import outcomes, quota, recipients
from bot.storage.system import inbox
from tests.conftest import NOW
from tests.support.queued_deliveries import add_people, queue_campaign, states

USER = "oABCD"


def heard(session: Session, hours: float, message: str = "m1") -> None:
    [person] = add_people(session, 1, prefix=message)
    at = NOW - timedelta(hours=hours)
    inbox.store_reply(session, Incoming(Address("wechat", "app", USER), "你好", message, at), person, Reply("好"))


def use(session: Session, hours: float, messages: int) -> None:
    limit = heard_limit(NOW - timedelta(hours=hours))
    rows = quota.QuotaRows(session)
    rows.take(limit.key(USER), limit.window, messages, NOW)
    rows.close()


@pytest.mark.parametrize(("hours", "used", "is_open"), [(1, 0, True), (47.9, 4, True), (48.1, 0, False), (1, 5, False)])
def test_the_window_is_open_for_48_hours_and_for_so_many_messages(engine: Engine, hours: float, used: int, is_open: bool) -> None:
    def look(session: Session) -> bool:
        heard(session, hours)
        if used:
            use(session, hours, used)
        return recipients.is_wechat_open(session, USER, NOW)

    assert Database(engine).write_now(look) is is_open


def test_a_new_sentence_opens_it_anew_and_a_stranger_never_opened_one(engine: Engine) -> None:
    def look(session: Session) -> tuple[bool, bool]:
        heard(session, 5)
        use(session, 5, 5)
        heard(session, 1, "m2")
        return recipients.is_wechat_open(session, USER, NOW), recipients.is_wechat_open(session, "oNobody", NOW)

    assert Database(engine).write_now(look) == (True, False)


def test_a_template_that_did_not_arrive_fails_its_own_delivery_and_no_other(engine: Engine) -> None:
    database = Database(engine)

    def sent(session: Session) -> None:
        queue_campaign(session, add_people(session, 3, ("wechat",)))
        session.execute(
            text("UPDATE delivery SET state = 'sent', channel = 'wechat', sent_at = :at, platform_id = 't:' || id"),
            {"at": "2026-03-02T01:00:00.000000Z"},
        )

    database.write_now(sent)
    [first] = database.read_now(lambda session: session.execute(text("SELECT MIN(id) FROM delivery")).one())
    since = NOW - timedelta(days=2)
    for _ in range(2):
        database.write_now(lambda session: outcomes.mark_failed(session, "wechat", f"t:{first}", "recipient failed:user block", since))
    assert states(database) == {"sent": 2, "failed": 1}
    assert database.write_now(lambda session: outcomes.mark_failed(session, "wecom", f"t:{first + 1}", "x", since)) == 0


def test_the_publics_numbers_add_up_by_day(engine: Engine) -> None:
    database = Database(engine)

    def count(session: Session) -> None:
        for n in (470, 30, 0):
            outcomes.count_public(session, "公众号群发送达", n, NOW)

    database.write_now(count)
    found = database.read_now(lambda session: session.execute(text("SELECT what, n FROM tally")).all())
    assert [tuple(row) for row in found] == [("公众号群发送达", 500)]
