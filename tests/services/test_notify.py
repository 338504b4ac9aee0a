"""Nobody is notified of the same matter twice, by whatever replica and however often it is said; each matter reaches everybody it concerns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.campaign.content import CORRECTION, NUDGE, CampaignContent, content_from_json, content_json
from bot.services.campaign.notifications import notify
from bot.services.delivery import plan
from bot.services.delivery.plan import OpenChannels
from bot.storage.delivery import outcomes, queue
from tests.conftest import NOW, enroll

MESSAGE = CampaignContent("notice", title="系统提醒", text="请看。")


@pytest.fixture
def people(dispatcher: Dispatcher) -> list[int]:
    return dispatcher.database.write_now(lambda session: [enroll(session, str(1001 + n)) for n in range(3)])


def deliveries(dispatcher: Dispatcher) -> list[int]:
    return dispatcher.database.read_now(lambda session: list(session.execute(text("SELECT person_id FROM delivery ORDER BY person_id")).scalars()))


def test_who_has_heard_of_a_matter_is_left_out_and_the_others_hear_of_it(dispatcher: Dispatcher, people: list[int]) -> None:
    database = dispatcher.database

    assert database.write_now(lambda session: notify(session, people[:2], MESSAGE, once="a", now=NOW)) == 2
    assert database.write_now(lambda session: notify(session, people[:2], MESSAGE, once="a", now=NOW)) == 0
    assert database.write_now(lambda session: notify(session, people, MESSAGE, once="a", now=NOW)) == 1
    assert deliveries(dispatcher) == people


def test_as_many_matters_as_there_are_come_about_at_one_moment(dispatcher: Dispatcher, people: list[int]) -> None:
    def work(session: Session) -> list[int]:
        return [notify(session, people, MESSAGE, once=f"duel:{n}:over", now=NOW) for n in range(20)]

    assert dispatcher.database.write_now(work) == [3] * 20
    assert len(deliveries(dispatcher)) == 60


def test_several_replicas_that_say_the_same_say_it_once(dispatcher: Dispatcher, people: list[int]) -> None:
    def say(_: int) -> int:
        return dispatcher.database.write_now(lambda session: notify(session, people, MESSAGE, once="a", now=NOW))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(say, range(8))) == [0] * 7 + [3]
    assert deliveries(dispatcher) == people


@pytest.mark.parametrize(("quiet", "goes"), [(True, 0), (False, 3)])
def test_the_quiet_hours_hold_back_what_nobody_waits_for(dispatcher: Dispatcher, people: list[int], quiet: bool, goes: int) -> None:
    night = NOW.replace(hour=15)
    dispatcher.database.write_now(lambda session: notify(session, people, MESSAGE, once="a", now=night, quiet=quiet))

    claimed = dispatcher.database.write_now(lambda session: queue.claim(session, "t", night, 10, 10))
    planned = dispatcher.database.read_now(
        lambda session: plan.plan_deliveries(session, dispatcher.catalog(), claimed, night, OpenChannels(("local",)))
    )

    assert (len(planned.ready), len(planned.later)) == (goes, 3 - goes)


def test_a_notification_is_exported_as_every_delivery(dispatcher: Dispatcher, people: list[int]) -> None:
    dispatcher.database.write_now(lambda session: notify(session, people[:1], MESSAGE, once="a", now=NOW))

    span = {"since": "2026-01-01", "until": "2027-01-01"}
    [line] = dispatcher.database.read_now(lambda session: list(outcomes.export_lines(session, span)))

    assert tuple(line) == ("id", "campaign", "occurrence", "staff_no", "channel", "state", "tries", "created_at", "sent_at", "error")
    assert (line["staff_no"], line["state"], line["campaign"], line["occurrence"]) == ("1001", "queued", 1, 1)


@pytest.mark.parametrize(
    ("stored", "target", "about"),
    [
        ({"kind": "notice", "text": "t", "target": "更正:12"}, CORRECTION, 12),
        ({"kind": "reminder", "target": "催学:7"}, NUDGE, 7),
        ({"kind": "reminder", "target": "催学:学时"}, NUDGE, 0),
        ({"kind": "reminder", "target": "催学", "about": 7}, NUDGE, 7),
        ({"kind": "invitation", "target": "考试 3"}, "考试 3", 0),
    ],
)
def test_what_rows_of_before_said_in_one_word_is_read_as_two_fields(stored: dict[str, object], target: str, about: int) -> None:
    content = content_from_json(stored)
    assert (content.target, content.about) == (target, about)
    assert content_from_json(content_json(content)) == content
