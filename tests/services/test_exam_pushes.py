"""An exam among everything else that is sent: announced and reminded like a campaign; while it runs nothing disturbs, and no pause stops it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.campaign.content import CampaignContent
from bot.domain.delivery.reminders import DUE_REMINDER
from bot.jobs import schedule
from bot.services.campaign import fire as campaign_fire
from bot.services.campaign import manage
from bot.services.delivery import plan as delivery_plan
from bot.services.delivery import reminder_messages, reminders
from bot.services.delivery.plan import DeliveryPlan, OpenChannels
from bot.services.exam import extra_time
from bot.storage.delivery import queue
from bot.storage.study import current_task
from tests.conftest import NOW, enroll
from tests.support.exams import ADMIN, SECOND, ExamHarness
from tests.support.queued_deliveries import queue_campaign

MINUTE = timedelta(minutes=1)
DOORS = OpenChannels(("local",))
LESSON = CampaignContent("lesson", lesson="mfd-1191")


@pytest.fixture
def hall(dispatcher: Dispatcher) -> ExamHarness:
    return ExamHarness(dispatcher)


@pytest.fixture
def person(hall: ExamHarness) -> int:
    return int(hall.run(lambda session: enroll(session, "1001", "学员甲")))


def planned(hall: ExamHarness, now: Any = NOW) -> DeliveryPlan:
    owed = hall.run(lambda session: queue.claim(session, "h", now, 100, 0))
    return hall.dispatcher.database.read_now(lambda session: delivery_plan.plan_deliveries(session, hall.catalog, owed, now, DOORS))


def fire(hall: ExamHarness, now: Any = NOW) -> list[Any]:
    return list(hall.run(lambda session: campaign_fire.fire_due(session, hall.catalog, hall.catalog.library.calendar, now)))


def test_a_published_exam_invites_its_audience_when_it_opens_with_one_button(hall: ExamHarness, person: int) -> None:
    opens = NOW + timedelta(hours=2)
    exam_id = hall.publish(opens_at=opens, closes_at=opens + timedelta(days=3), clause="年度要点第三条")
    assert fire(hall) == []
    assert [one.invited for one in fire(hall, opens)] == [1]
    ((ready),) = planned(hall, opens).ready
    assert [one.say for one in ready.message.reply.buttons] == [f"考试 {exam_id}"]
    for said in ("年度学法考试", "3月2日 11:00 至 3月5日 11:00", "6 题，满分 10 分，6 分及格，限时 30 分钟"):
        assert said in ready.message.reply.text
    clause = hall.run(lambda session: session.execute(text("SELECT clause FROM campaign WHERE created_by = '9001'")).scalar())
    assert clause == "年度要点第三条"


def test_an_exam_of_next_week_is_announced_at_once(hall: ExamHarness, person: int) -> None:
    opens = NOW + timedelta(days=7)
    hall.publish(opens_at=opens, closes_at=opens + timedelta(days=1))
    ((ready),) = planned(hall).ready
    assert "考试《年度学法考试》：3月9日 09:00 至 3月10日 09:00" in ready.message.reply.text


def test_who_has_begun_is_not_invited_and_nobody_to_what_is_over(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    other = hall.run(lambda session: enroll(session, "1002"))
    fire(hall)
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    hall.hand_in(person, sitting_id)
    plan = planned(hall)
    assert [one.queued.person_id for one in plan.ready] == [other]
    assert [why for _, why in plan.skip] == ["已完成"]
    hall.run(lambda session: session.execute(text("UPDATE delivery SET state = 'queued', lease_until = NULL, holder = ''")))
    hall.tick(NOW + timedelta(hours=3))
    assert planned(hall, NOW + timedelta(hours=3)).ready == []


def test_the_last_day_reminds_those_who_have_not_begun_and_nobody_after_it(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish(closes_at=NOW + timedelta(days=2))
    other = hall.run(lambda session: enroll(session, "1002"))
    fire(hall)
    hall.begin(person, exam_id)
    last_day = NOW + timedelta(days=2) - timedelta(hours=1) + 90 * MINUTE

    def reminded(session: Session) -> list[int]:
        session.execute(text("UPDATE delivery SET state = 'sent', sent_at = created_at"))
        reminders.queue_due(session, hall.catalog, last_day)
        query = "SELECT d.person_id FROM delivery d JOIN campaign c ON c.id = d.campaign_id WHERE c.name = :name"
        return list(session.execute(text(query), {"name": DUE_REMINDER}).scalars())

    assert hall.run(reminded) == [other]
    told = hall.dispatcher.database.read_now(
        lambda session: reminder_messages.personal_replies(
            session, hall.catalog, {1: (other, CampaignContent("reminder", target=DUE_REMINDER))}, last_day
        )
    )[1]
    assert told is not None
    assert f"考试 {exam_id}" in [one.say for one in told.buttons]
    hall.tick(NOW + timedelta(days=2, hours=1))
    after = NOW + timedelta(days=3, hours=1)
    hall.run(lambda session: reminders.queue_due(session, hall.catalog, after))
    again = hall.dispatcher.database.read_now(
        lambda session: reminder_messages.personal_replies(
            session, hall.catalog, {1: (other, CampaignContent("reminder", target=DUE_REMINDER))}, after
        )
    )
    assert again == {1: None}


def test_while_an_exam_runs_everything_else_waits_whether_one_is_heard_or_not(hall: ExamHarness, person: int) -> None:
    sitting_id = hall.begin(person, hall.publish()).status.sitting_id
    hall.run(lambda session: current_task.drop_focus(session, person))
    for content in (LESSON, CampaignContent("notice", text="明天停水"), CampaignContent("invitation", target="竞赛 1")):
        hall.run(lambda session, content=content: queue_campaign(session, [person], content=content))
    plan = planned(hall, NOW + 20 * MINUTE)
    assert plan.ready == []
    assert {(when, why) for _, when, why in plan.later} == {(NOW + 25 * MINUTE, "等手头的任务做完")}
    hall.hand_in(person, sitting_id, NOW + 21 * MINUTE)
    hall.run(lambda session: queue.put_off(session, plan.later, "h"))
    assert len(planned(hall, NOW + 25 * MINUTE).ready) == 1, "one at a time, the most urgent first"


def test_a_push_waits_no_longer_than_the_exam(hall: ExamHarness, person: int) -> None:
    hall.begin(person, hall.publish())
    hall.run(lambda session: queue_campaign(session, [person], content=LESSON))
    assert [when for _, when, _ in planned(hall, NOW + 28 * MINUTE).later] == [NOW + 30 * MINUTE]


def test_extra_time_is_told_at_once_by_night_too(hall: ExamHarness, person: int) -> None:
    evening = NOW.replace(hour=12, minute=30)
    exam_id = hall.publish(opens_at=evening, closes_at=evening + timedelta(hours=2))
    hall.begin(person, exam_id, evening)
    asked = hall.run(lambda session: extra_time.request_extra_time(session, ADMIN, exam_id, "1001", "time", 10, "断网", evening))
    hall.run(lambda session: extra_time.approve(session, SECOND, asked.id, evening + MINUTE))
    ((ready),) = planned(hall, evening + MINUTE).ready
    assert "已为您加时 10 分钟，新的截止时间 21:10" in ready.message.reply.text
    assert [one.say for one in ready.message.reply.buttons] == ["继续"]


async def test_running_exams_finish_while_all_pushes_are_paused(hall: ExamHarness, person: int) -> None:
    exam_id = hall.publish()
    sitting_id = hall.begin(person, exam_id).status.sitting_id
    hall.run(lambda session: manage.pause_all(session, ADMIN, "台风", NOW))
    hall.answer_all(person, sitting_id, NOW + MINUTE)
    done = await schedule.run_exams(hall.dispatcher.database, hall.catalog, NOW + 31 * MINUTE)
    assert done.attempts == 1
    assert (hall.attempt(sitting_id).closed_by, hall.attempt(sitting_id).passed) == ("clock", True)
    done = await schedule.run_exams(hall.dispatcher.database, hall.catalog, NOW + 121 * MINUTE)
    assert (done.exams, done.told) == (1, 1)
