"""Whether, when and where: what is done need not be sent, nobody is disturbed at night or in the middle of a task, the channel in use comes first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from bot.domain.campaign.content import CampaignContent
from bot.domain.delivery.outbound_message import group_messages
from bot.domain.delivery.platform_limits import LIMITS, heard_limit
from bot.domain.delivery.reminders import WEEKLY_DIGEST
from bot.domain.message import Address, Incoming, Reply
from bot.services.campaign import cost
from bot.services.delivery import plan as delivery_plan
from bot.services.delivery import progress, send
from bot.services.delivery.plan import DeliveryPlan, OpenChannels
from bot.storage.db.database import Database
from bot.storage.delivery import queue, quota
from bot.storage.system import inbox
from bot.storage.tables.columns import stamp
from bot.storage.tables.delivery import VoteRow
from bot.storage.tables.people import AbsenceRow, PreferenceRow
from bot.storage.tables.study import FocusRow, ReadingRow, SittingRow
from tests.conftest import NOW
from tests.support.queued_deliveries import add_people, queue_campaign, run_sql

SHELF: Any = SimpleNamespace(library=SimpleNamespace(lessons={}))
DOORS = OpenChannels(("wecom", "dingtalk", "wechat", "local"))
LESSON = CampaignContent("lesson", lesson="mfd-1191")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def database(engine: Engine) -> Database:
    return Database(engine)


def someone(database: Database, *channels: str) -> int:
    return database.write_now(lambda session: add_people(session, 1, channels or ("wecom",)))[0]


def owing(database: Database, person: int, **more: Any) -> int:
    return database.write_now(lambda session: queue_campaign(session, [person], **more))


def planned(database: Database, now: datetime = NOW, doors: OpenChannels = DOORS, tried: dict[int, set[str]] | None = None) -> DeliveryPlan:
    owed = database.write_now(lambda session: queue.claim(session, "h", now, 100, 0))
    return database.read_now(lambda session: delivery_plan.plan_deliveries(session, SHELF, owed, now, doors, tried))


def add(database: Database, *rows: Any) -> None:
    database.write_now(lambda session: session.add_all(rows))


def heard(database: Database, person: int, channel: str, ago: timedelta, now: datetime = NOW) -> None:
    said = Incoming(Address(channel, f"app-{channel}", "p0000"), "你好", f"m{ago}", now - ago)
    database.write_now(lambda session: inbox.store_reply(session, said, person, Reply("好")))


def reasons(plan: DeliveryPlan) -> list[str]:
    return [reason for _, reason in plan.skip]


def channel(plan: DeliveryPlan) -> str:
    (one,) = plan.ready
    return one.message.to.channel


# ── Done meanwhile ──


def test_a_lesson_finished_between_queueing_and_sending_is_not_sent(database: Database) -> None:
    person = someone(database)
    owing(database, person, content=LESSON)
    add(database, ReadingRow(person_id=person, lesson="mfd-1191", digest="d", state="done", opened_at=NOW, closed_at=NOW))
    assert reasons(planned(database)) == ["已完成"]


def test_another_lesson_or_last_year_s_does_not_count(database: Database) -> None:
    person = someone(database)
    owing(database, person, content=LESSON)
    last_year = NOW - timedelta(days=100)
    add(
        database,
        ReadingRow(person_id=person, lesson="mfd-1000", digest="d", state="done", opened_at=NOW, closed_at=NOW),
        ReadingRow(person_id=person, lesson="mfd-1191", digest="d", state="done", opened_at=last_year, closed_at=last_year),
    )
    assert len(planned(database).ready) == 1


def test_the_daily_set_done_this_morning_is_not_asked_for_again(database: Database) -> None:
    person = someone(database)
    owing(database, person, content=CampaignContent("daily"))
    add(database, SittingRow(person_id=person, kind="daily", scope="2026-03-02", size=5, next=6, state="done", opened_at=NOW, closed_at=NOW))
    assert reasons(planned(database)) == ["已完成"]


def test_yesterday_s_daily_set_is_not_today_s(database: Database) -> None:
    person = someone(database)
    owing(database, person, content=CampaignContent("daily"))
    add(database, SittingRow(person_id=person, kind="daily", scope="2026-03-01", size=5, next=6, state="done", opened_at=NOW, closed_at=NOW))
    assert len(planned(database).ready) == 1


def test_who_has_voted_or_confirmed_is_left_in_peace(database: Database) -> None:
    person = someone(database)
    owing(database, person, content=CampaignContent("poll", text="几点开会", options=("上午", "下午")))
    owing(database, person, content=CampaignContent("notice", text="请带笔记本", receipt=True))
    add(database, VoteRow(occurrence_id=1, person_id=person, choice="A", voted_at=NOW))
    run_sql(database, "UPDATE delivery SET read_at = '2026-03-02T01:00:00.000000Z' WHERE occurrence_id = 2")
    assert reasons(planned(database)) == ["已完成", "已完成"]


@pytest.mark.parametrize(("kind", "reason"), [("leave", "请假"), ("secondment", "借调")])
def test_leave_that_began_meanwhile_pauses_a_person(database: Database, kind: str, reason: str) -> None:
    person = someone(database)
    owing(database, person)
    add(database, AbsenceRow(person_id=person, kind=kind, since=date(2026, 3, 2), until=date(2026, 3, 2), recorded_by="t", recorded_at=NOW))
    assert reasons(planned(database)) == [reason]


def test_who_left_and_what_was_recalled_is_not_sent(database: Database) -> None:
    person = someone(database)
    owing(database, person)
    owing(database, person)
    run_sql(database, "UPDATE occurrence SET state = 'void' WHERE id = 1")
    run_sql(database, "UPDATE person SET left_on = '2026-03-01'")
    assert sorted(reasons(planned(database))) == ["已撤回", "已离职"]


def test_one_reminder_a_day_over_all_campaigns(database: Database) -> None:
    person = someone(database)
    reminder = CampaignContent("reminder", text="本周还差一课")
    owing(database, person, content=reminder)
    owing(database, person, content=reminder, name="另一个")
    first = planned(database)
    assert (len(first.ready), reasons(first)) == (1, ["今天已提醒过"])
    run_sql(database, "UPDATE delivery SET state = 'sent', sent_at = '2026-03-02T01:00:00.000000Z' WHERE id = 1")
    evening = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
    assert reasons(planned(database, evening)) == ["今天已提醒过"]
    assert len(planned(database, evening + timedelta(hours=16)).ready) == 1, "tomorrow is another day"


def test_two_replicas_that_plan_at_once_begin_one_reminder(database: Database) -> None:
    person = someone(database)
    reminder = CampaignContent("reminder", text="本周还差一课")
    owing(database, person, content=reminder)
    owing(database, person, content=reminder, name="另一个")
    owing(database, person, name="通知")
    first, second, notice = (database.write_now(lambda session, h=holder: queue.claim(session, h, NOW, 1, 60))[0] for holder in "abc")  # type: ignore[misc]
    plans = [
        database.read_now(lambda session, one=one: delivery_plan.plan_deliveries(session, SHELF, [one], NOW, DOORS))  # type: ignore[misc]
        for one in (first, second, notice)
    ]
    assert [len(one.ready) for one in plans] == [1, 1, 1], "neither has seen the other"

    def begin(holder: str, ident: int) -> set[int]:
        return database.write_now(lambda session: queue.begin(session, [ident], holder, "wecom", NOW, 60))

    assert (begin("a", first.id), begin("b", second.id), begin("c", notice.id)) == ({first.id}, set(), {notice.id})
    run_sql(database, "UPDATE delivery SET state = 'failed', lease_until = NULL WHERE id = :id", id=first.id)
    assert begin("b", second.id) == {second.id}, "what did not arrive was no reminder"


def test_texts_for_one_person_each_are_made_a_few_at_a_time_and_none_is_lost(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def told(_: Session, __: Any, wanted: Mapping[int, Any], ___: datetime) -> dict[int, Reply | None]:
        made.append(len(wanted))
        return {ident: Reply(f"第 {ident} 份") for ident in wanted}

    monkeypatch.setattr("bot.services.delivery.reminder_messages.personal_replies", told)
    monkeypatch.setattr(import_module("bot.services.delivery.plan"), "MAX_PERSONAL_TEXTS", 2)
    database.write_now(lambda session: queue_campaign(session, add_people(session, 5), content=CampaignContent("digest", target=WEEKLY_DIGEST)))
    sent: list[str] = []
    while (plan := planned(database)).ready:
        sent += [one.message.reply.text for one in plan.ready]
        assert [until for _, until, _ in plan.later] == [NOW] * len(plan.later), "the rest is next"
        for one in plan.ready:
            run_sql(database, "UPDATE delivery SET state = 'sent', sent_at = :at WHERE id = :id", id=one.queued.id, at=stamp(NOW))
    assert (made, sent) == ([2, 2, 1], [f"第 {n} 份" for n in range(1, 6)])


# ── In peace ──


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-03-02T12:00:00", "2026-03-03T00:00:00"),
        ("2026-03-02T18:30:00", "2026-03-03T00:00:00"),
        ("2026-03-02T23:59:59", "2026-03-03T00:00:00"),
    ],
)
def test_between_eight_in_the_evening_and_eight_in_the_morning_nobody_is_disturbed(database: Database, at: str, until: str) -> None:
    person = someone(database)
    now = datetime.fromisoformat(at).replace(tzinfo=UTC)
    owing(database, person, now=now)
    ((_, when, why),) = planned(database, now).later
    assert when == datetime.fromisoformat(until).replace(tzinfo=UTC)
    assert why == "等免打扰时段结束"


@pytest.mark.parametrize("at", ["2026-03-02T00:00:00", "2026-03-02T11:59:00"])
def test_from_eight_to_eight_things_arrive(database: Database, at: str) -> None:
    now = datetime.fromisoformat(at).replace(tzinfo=UTC)
    owing(database, someone(database), now=now)
    assert len(planned(database, now).ready) == 1


def test_quiet_hours_are_each_person_s_and_a_campaign_may_set_them_aside(database: Database) -> None:
    now = datetime(2026, 3, 2, 4, 30, tzinfo=UTC)
    person = someone(database)
    add(database, PreferenceRow(person_id=person, quiet_from="12:00", quiet_to="14:00"))
    owing(database, person, now=now)
    ((_, when, _),) = planned(database, now).later
    assert when == datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
    owing(database, person, rule={"quiet": False}, now=now)
    assert len(planned(database, now).ready) == 1


def test_study_comes_at_the_hour_that_a_person_chose_and_a_notice_at_once(database: Database) -> None:
    person = someone(database)
    add(database, PreferenceRow(person_id=person, push_at="10:30"))
    owing(database, person, content=LESSON)
    owing(database, person)
    plan = planned(database)
    assert [one.queued.id for one in plan.ready] == [2]
    assert [(ident, when) for ident, when, _ in plan.later] == [(1, datetime(2026, 3, 2, 2, 30, tzinfo=UTC))]


# ── The arbiter ──


def busy(database: Database, person: int, ago: timedelta = MINUTE) -> None:
    add(database, FocusRow(person_id=person, kind="sitting", ref=1, since=NOW - ago))
    heard(database, person, "wecom", ago)


def test_a_push_that_meets_an_open_task_waits_its_turn_and_comes_after_it(database: Database) -> None:
    person = someone(database)
    busy(database, person)
    owing(database, person, content=LESSON)
    ((ident, when, why),) = planned(database).later
    assert (when, why) == (NOW + timedelta(minutes=5), "等手头的任务做完")
    database.write_now(lambda session: queue.put_off(session, [(ident, when, why)], "h"))
    assert planned(database, NOW + timedelta(minutes=4)).ready == []
    run_sql(database, "DELETE FROM focus")
    assert [one.queued.id for one in planned(database, NOW + timedelta(minutes=5)).ready] == [ident], (
        "the same delivery: nothing lost, nothing doubled"
    )


def test_a_task_that_was_left_ten_minutes_ago_holds_nothing_up(database: Database) -> None:
    person = someone(database)
    busy(database, person, timedelta(minutes=10))
    owing(database, person)
    assert len(planned(database).ready) == 1


def test_who_talks_without_an_open_task_is_not_in_the_middle_of_anything(database: Database) -> None:
    person = someone(database)
    heard(database, person, "wecom", MINUTE)
    owing(database, person)
    assert len(planned(database).ready) == 1


def test_a_contest_does_not_wait_for_a_lesson(database: Database) -> None:
    person = someone(database)
    busy(database, person)
    owing(database, person, content=CampaignContent("invitation", target="竞赛 1"))
    assert len(planned(database).ready) == 1


def test_of_several_the_most_urgent_goes_first_and_the_others_one_at_a_time(database: Database) -> None:
    person = someone(database)
    for content in (CampaignContent("digest", text="上周小结"), CampaignContent("daily"), LESSON, CampaignContent("invitation", target="竞赛 1")):
        owing(database, person, content=content)
    now, order = NOW, []
    for _ in range(6):
        plan = planned(database, now)
        order += [one.queued.id for one in plan.ready]
        ended = [(one.queued.id, "已完成") for one in plan.ready]

        def note(session: Session, done: Any = ended, wait: Any = plan.later) -> None:
            queue.skip(session, done, "h")
            queue.put_off(session, wait, "h")

        database.write_now(note)
        now += timedelta(minutes=5)
    assert order == [4, 3, 2, 1], "live, due today, daily, review"


# ── Where ──


def test_the_channel_last_spoken_on_comes_first_in_the_app_that_was_spoken_to(database: Database) -> None:
    person = someone(database, "wecom", "dingtalk")
    heard(database, person, "wecom", timedelta(days=2))
    heard(database, person, "dingtalk", timedelta(hours=3))
    owing(database, person)
    (one,) = planned(database).ready
    assert one.message.to == Address("dingtalk", "app-dingtalk", "p0000")
    assert one.fallbacks == 1


def test_a_choice_stands_above_habit_and_a_campaign_s_rule_above_both(database: Database) -> None:
    person = someone(database, "wecom", "dingtalk", "local")
    heard(database, person, "dingtalk", timedelta(hours=3))
    add(database, PreferenceRow(person_id=person, channel="local"))
    owing(database, person)
    assert channel(planned(database)) == "local"
    run_sql(database, "DELETE FROM delivery")
    owing(database, person, rule={"channels": ["wecom", "dingtalk"]})
    assert channel(planned(database)) == "wecom"


def test_a_channel_that_is_off_or_has_failed_is_passed_over(database: Database) -> None:
    person = someone(database, "wecom", "dingtalk")
    owing(database, person)
    assert channel(planned(database, doors=OpenChannels(("dingtalk",)))) == "dingtalk"
    assert channel(planned(database, tried={1: {"wecom"}})) == "dingtalk"
    assert reasons(planned(database, tried={1: {"wecom", "dingtalk"}})) == ["各渠道都没有送达"]
    assert reasons(planned(database, doors=OpenChannels(("wechat",)))) == ["没有可用渠道"]


def test_a_channel_closed_for_now_is_waited_for_when_there_is_no_other(database: Database) -> None:
    person = someone(database, "wecom")
    owing(database, person)
    until = NOW + timedelta(minutes=10)
    assert [one[1:] for one in planned(database, doors=OpenChannels(("wecom",), {"wecom": until})).later] == [(until, "通道暂停中")]


def test_wechat_lets_nothing_through_two_days_after_somebody_spoke(database: Database) -> None:
    person = someone(database, "wechat")
    owing(database, person)
    assert reasons(planned(database)) == ["微信 48 小时内没有互动"]
    heard(database, person, "wechat", timedelta(hours=48))
    assert reasons(planned(database)) == ["微信 48 小时内没有互动"]
    heard(database, person, "wechat", timedelta(hours=47))
    assert channel(planned(database)) == "wechat"
    templates = OpenChannels(("wechat",), beyond_window=("wechat",))
    run_sql(database, "DELETE FROM inbox")
    assert channel(planned(database, doors=templates)) == "wechat", "templates reach further"


def test_wechat_s_few_messages_since_somebody_spoke_are_counted(database: Database) -> None:
    person = someone(database, "wechat")
    heard(database, person, "wechat", timedelta(hours=1))
    messages = heard_limit(NOW).usable()
    for _ in range(messages + 1):
        owing(database, person)
    begun, now = 0, NOW
    for _ in range(messages + 1):
        plan = planned(database, now)
        database.write_now(lambda session, wait=plan.later: queue.put_off(session, wait, "h"))  # type: ignore[misc]
        groups = group_messages(plan.ready, {"wechat": 1}).get("wechat", [])
        for group in groups:
            begun += sum(len(one.ready) for one in database.write_now(lambda session, g=group, at=now: send.begin(session, [g], "h", at, 60)).groups)  # type: ignore[misc]
        now += timedelta(minutes=5)
    assert begun == messages == 4


# ── What it costs, how far it is ──


def test_the_cost_is_told_before_and_what_cannot_fit_is_refused(database: Database) -> None:
    def look(session: Session) -> tuple[cost.QuotaCost, cost.QuotaCost]:
        month = next(limit for limit in LIMITS if limit.key() == "dingtalk/corp/month")
        quota.take(session, [(month.key(), month.usable(), month.window)], 3_900, NOW)
        small = cost.quota_cost(session, {"dingtalk": 2_000, "wecom": 30}, NOW)
        return small, cost.quota_cost(session, {"dingtalk": 2_000}, NOW, times_a_month=2)

    run_sql(database, "DELETE FROM account")
    database.write_now(lambda session: add_people(session, 30))
    fits, too_much = database.write_now(look)
    assert fits.fits
    assert "钉钉：2000 人，100 次调用；本月需 100 次调用，还剩 100" in fits.text
    assert "企业微信：30 人，1 次调用；今天需 30 人次，还剩 4800" in fits.text
    assert not too_much.fits
    assert "不够" in too_much.text


def test_progress_tells_states_reasons_and_names(database: Database) -> None:
    ids = database.write_now(lambda session: add_people(session, 10))
    campaign = database.write_now(lambda session: queue_campaign(session, ids))
    run_sql(database, "UPDATE delivery SET state = 'sent' WHERE id <= 6")
    run_sql(database, "UPDATE delivery SET state = 'failed', error = 'recipient 60111' WHERE id = 7")
    run_sql(database, "UPDATE delivery SET state = 'skipped', error = '请假' WHERE id = 8")
    found = database.read_now(lambda session: progress.latest_progress(session, campaign))
    assert (found.total, found.ended, found.is_over) == (10, 8, False)
    assert found.counts == {"sent": 6, "failed": 1, "skipped": 1, "queued": 2}
    said = str(found)
    assert "▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓░░░░ 8/10" in said
    assert "待发 2、已发 6、失败 1、未发 1" in said
    assert "失败：recipient 60111 1 人" in said
    assert "没有送达：员p0006（p0006）" in said
