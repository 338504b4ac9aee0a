"""Reminders come before, on and after the deadline, in one message a day, stop with completion, and climb to liaison and head as one digest."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.calendar import Calendar
from bot.domain.campaign.campaign import Author
from bot.domain.campaign.content import CampaignContent
from bot.domain.campaign.schedule import Schedule
from bot.domain.delivery.reminders import (
    DUE_REMINDER,
    ESCALATION,
    WEEKLY_DIGEST,
    deadline_of,
    is_first_workday_of_week,
    parse_deadline,
    workday_offset,
)
from bot.domain.message import Refusal, Reply
from bot.domain.people.audience import All
from bot.domain.people.person import Preference
from bot.domain.times import SHANGHAI
from bot.services.campaign import fire, manage
from bot.services.delivery import plan, reminder_messages, reminders
from bot.services.delivery.plan import OpenChannels
from bot.storage.db.database import Database
from bot.storage.delivery import queue
from bot.storage.people import accounts, leave
from bot.storage.tables.activity import DutyRow, PlannedRow
from bot.storage.tables.study import ReadingRow
from tests.conftest import NOW, enroll

BOSS = Author("9001", "test")
FIRST, SECOND = "mfd-1191", "mfd-585"


def at(day: int, clock: str = "09:31", month: int = 3) -> datetime:
    return datetime.combine(date(2026, month, day), time.fromisoformat(clock), SHANGHAI)


class Office:
    """An office of five: 1001 to 1003 learn, 2001 leads, 3001 is liaison."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.database: Database = dispatcher.database
        self.catalog = dispatcher.catalog()
        self.people = self.write(self._people)

    @staticmethod
    def _people(session: Session) -> dict[str, int]:
        found = {one: enroll(session, one, f"学员{one}", unit="某局/一处") for one in ("1001", "1002", "1003")}
        found["2001"] = enroll(session, "2001", "处长", unit="某局/一处", tier="领导干部")
        found["3001"] = enroll(session, "3001", "联络员", unit="某局/办公室")
        return found

    def write(self, work: Callable[[Session], Any]) -> Any:
        return self.database.write_now(work)

    def send(self, name: str, lesson: str, rule: dict[str, Any]) -> int:
        """A lesson that went out to everybody on Monday 2 March at nine."""

        def work(session: Session) -> int:
            schedule = Schedule("once", "09:00", on=date(2026, 3, 2))
            early = NOW - timedelta(hours=1)
            made = manage.create(session, self.catalog, BOSS, name, CampaignContent("lesson", lesson=lesson), schedule, All(), early, delivery=rule)
            manage.start(session, self.catalog, BOSS, made, early)
            assert len(fire.fire_due(session, self.catalog, self.catalog.library.calendar, NOW)) == 1
            session.execute(text("UPDATE delivery SET state = 'sent', sent_at = created_at"))
            return made

        return int(self.write(work))

    def finish(self, staff_no: str, lesson: str, moment: datetime) -> None:
        self.write(
            lambda session: session.add(
                ReadingRow(person_id=self.people[staff_no], lesson=lesson, digest="x", page=1, state="done", opened_at=moment, closed_at=moment)
            )
        )

    def tick(self, moment: datetime) -> int:
        self.ticked_on = moment.date()
        return int(self.write(lambda session: reminders.queue_due(session, self.catalog, moment)))

    def owed(self, name: str) -> dict[str, int]:
        """Who is owed a kind on the day that the clock ticked last: delivery by staff number."""
        query = """SELECT p.staff_no, d.id FROM notification n JOIN delivery d ON d.occurrence_id = n.occurrence_id AND d.person_id = n.person_id
                   JOIN person p ON p.id = n.person_id WHERE n.once = :once ORDER BY d.id"""
        rows = self.database.read_now(lambda session: session.execute(text(query), {"once": f"{name}:{self.ticked_on}"}).all())
        return {row[0]: row[1] for row in rows}

    def said(self, target: str, moment: datetime, *staff_nos: str) -> dict[str, Reply | None]:
        content = CampaignContent("digest" if target in (ESCALATION, WEEKLY_DIGEST) else "reminder", target=target)
        wanted = {n: (self.people[one], content) for n, one in enumerate(staff_nos)}
        found = self.database.read_now(lambda session: reminder_messages.personal_replies(session, self.catalog, wanted, moment))
        return {one: found[n] for n, one in enumerate(staff_nos)}

    def text(self, target: str, moment: datetime, staff_no: str) -> str:
        reply = self.said(target, moment, staff_no)[staff_no]
        assert reply is not None
        return reply.text


@pytest.fixture
def office(dispatcher: Dispatcher) -> Office:
    return Office(dispatcher)


def test_the_days_are_two_before_the_day_and_one_three_and_five_after(office: Office) -> None:
    office.send("第一课", FIRST, {"by": "2026-03-05"})
    found = {}
    for n in range(28):
        day = 2 + n
        office.tick(at(day) if day <= 31 else at(day - 31, month=4))
        found[day] = set(office.owed(DUE_REMINDER))
        office.write(
            lambda session: session.execute(text("DELETE FROM delivery WHERE campaign_id IN (SELECT id FROM campaign WHERE name = '到期提醒')"))
        )

    everybody = {"1001", "1002", "1003", "2001", "3001"}
    assert {day for day, people in found.items() if people} == {3, 5, 6, 10, 12}
    assert all(people in (set(), everybody) for people in found.values())


def test_all_campaigns_of_a_day_are_one_message_the_most_overdue_first(office: Office) -> None:
    office.send("第一课", FIRST, {"by": "2026-03-05"})
    office.send("第二课", SECOND, {"within": 4})

    assert office.tick(at(5)) == 5
    assert len(office.owed(DUE_REMINDER)) == 5

    reply = office.said(DUE_REMINDER, at(5), "1001")["1001"]
    assert reply is not None
    assert reply.text.splitlines() == [
        "⏰ 您有 2 项学法任务还没有完成：",
        "· 第一课，今天是最后一个工作日（3月5日截止）",
        "· 第二课，还有 1 个工作日（3月6日截止）",
    ]
    assert [one.say for one in reply.buttons] == [f"学习 {FIRST}", f"学习 {SECOND}", "我的学时"]


def test_once_a_day_whoever_ticks_and_however_often(office: Office) -> None:
    office.send("第一课", FIRST, {"by": "2026-03-05"})
    with ThreadPoolExecutor(4) as pool:
        queued = list(pool.map(lambda _: office.tick(at(5)), range(8)))
    assert sorted(queued) == [0] * 7 + [5]
    assert office.tick(at(5, "19:59")) == 0


def plan_of(office: Office, moment: datetime) -> plan.DeliveryPlan:
    owed = office.write(lambda session: queue.claim(session, "test", moment, 100, 30))
    found: plan.DeliveryPlan = office.database.read_now(
        lambda session: plan.plan_deliveries(session, office.catalog, owed, moment, OpenChannels(("local",)))
    )
    return found


def test_completion_between_queueing_and_sending_stops_the_reminder(office: Office) -> None:
    office.send("第一课", FIRST, {"by": "2026-03-05"})
    office.tick(at(5))
    office.finish("1001", FIRST, at(5, "09:40"))

    made = plan_of(office, at(5, "09:45"))

    assert [(one, reason) for one, reason in made.skip] == [(office.owed(DUE_REMINDER)["1001"], "已完成")]
    assert len(made.ready) == 4
    assert all("第一课，今天是最后一个工作日" in one.message.reply.text for one in made.ready)
    assert office.said(DUE_REMINDER, at(5, "09:45"), "1001") == {"1001": None}


def test_who_did_it_or_is_away_is_not_reminded(office: Office) -> None:
    office.send("第一课", FIRST, {"by": "2026-03-05"})
    office.finish("1002", FIRST, at(3, "12:00"))
    office.write(lambda session: leave.add(session, office.people["1003"], "leave", date(2026, 3, 5), date(2026, 3, 5), "x", NOW))

    office.tick(at(5))

    assert set(office.owed(DUE_REMINDER)) == {"1001", "2001", "3001"}


@pytest.mark.parametrize(
    "moment", [at(7), at(8), at(5, "08:29"), at(5, "20:00"), datetime(2027, 3, 5, 9, 31, tzinfo=SHANGHAI)], ids=["六", "日", "早", "晚", "未知年"]
)
def test_nothing_is_said_on_a_day_off_out_of_hours_or_in_an_unknown_year(office: Office, moment: datetime) -> None:
    office.send("第一课", FIRST, {"by": "2026-03-05"})
    assert office.tick(moment) == 0


def test_nothing_is_said_while_all_pushes_are_paused_and_it_is_said_after(office: Office) -> None:
    office.send("第一课", FIRST, {"by": "2026-03-05"})
    office.write(lambda session: manage.pause_all(session, BOSS, "演练", NOW))
    assert office.tick(at(5)) == 0
    office.write(lambda session: manage.resume_all(session, BOSS, NOW))
    assert office.tick(at(5, "15:00")) == 5


def test_a_campaign_without_a_deadline_or_stopped_reminds_nobody(office: Office) -> None:
    office.send("第一课", FIRST, {})
    stopped = office.send("第二课", SECOND, {"by": "2026-03-05"})
    office.write(lambda session: manage.stop(session, BOSS, stopped, "不办了", NOW))
    assert office.tick(at(5)) == 0


# ── The ladder ──


def test_the_liaison_is_told_on_the_third_day_and_the_head_on_the_fifth_each_in_one_digest(office: Office) -> None:
    made = office.send("第一课", FIRST, {"by": "2026-03-05"})
    for done in ("2001", "3001"):
        office.finish(done, FIRST, at(4, "12:00"))

    def duty(session: Session) -> None:
        unit = session.execute(text("SELECT id FROM unit WHERE path = '某局/办公室'")).scalar_one()
        row = DutyRow(year=2026, law="民法典", unit_id=unit, form="课", deadline=date(2026, 12, 1), liaison_id=office.people["3001"], recorded_at=NOW)
        session.add(row)
        session.flush()
        assert row.id is not None
        session.add(PlannedRow(duty_id=row.id, n=1, name="课", due_on=date(2026, 3, 2), campaign_id=made))

    office.write(duty)
    told: dict[int, set[str]] = {}
    for day in (6, 9, 10, 11, 12, 13):
        office.tick(at(day))
        told[day] = set(office.owed(ESCALATION))

    assert told == {6: set(), 9: set(), 10: {"3001"}, 11: set(), 12: {"2001", "3001"}, 13: set()}
    liaison = office.text(ESCALATION, at(10), "3001")
    assert "3 人有学法任务过期未完成" in liaison
    assert "第一课，已过期 3 个工作日（3月5日截止）：学员1001、学员1002、学员1003" in liaison

    office.finish("1002", FIRST, at(12, "09:40"))
    head = office.text(ESCALATION, at(12, "09:45"), "2001")
    assert head.count("\n") == 1
    assert "学员1001、学员1003" in head
    assert "学员1002" not in head
    for one in ("1001", "1003"):
        office.finish(one, FIRST, at(12, "09:50"))
    assert office.said(ESCALATION, at(12, "10:00"), "2001", "3001") == {"2001": None, "3001": None}


def test_a_head_who_is_late_is_told_of_to_the_unit_above_and_never_to_themself(office: Office) -> None:
    top = office.write(lambda session: enroll(session, "4001", "局长", unit="某局", tier="局党组"))
    office.people["4001"] = top
    office.send("第一课", FIRST, {"by": "2026-03-05"})
    for done in ("1001", "1002", "1003", "3001", "4001"):
        office.finish(done, FIRST, at(4, "12:00"))

    office.tick(at(12))

    assert set(office.owed(ESCALATION)) == {"4001"}
    assert "处长" in office.text(ESCALATION, at(12), "4001")


# ── The weekly digest ──


def test_the_digest_comes_on_monday_once_to_those_who_want_it(office: Office) -> None:
    office.send("第一课", FIRST, {"by": "2026-03-10"})
    office.write(lambda session: accounts.save_preference(session, office.people["1002"], Preference(digest=False)))

    assert office.tick(at(9, "08:29")) == 0
    assert office.tick(at(9, "08:31")) == 4
    assert office.tick(at(9, "09:00")) == 0
    assert set(office.owed(WEEKLY_DIGEST)) == {"1001", "1003", "2001", "3001"}
    said = office.text(WEEKLY_DIGEST, at(9, "08:31"), "1001")
    assert "上周学法小结（3月2日—3月8日）" in said
    assert "每日一练 0/5 天，学时 +0" in said
    assert "今年合计 0/40 学时" in said
    assert "· 第一课，还有 1 个工作日（3月10日截止）" in said
    assert office.tick(at(10, "08:31")) == 0

    office.write(lambda session: accounts.save_preference(session, office.people["1001"], Preference(digest=False)))
    assert office.said(WEEKLY_DIGEST, at(9, "08:32"), "1001") == {"1001": None}


def test_after_a_holiday_the_week_begins_on_its_first_working_day(office: Office) -> None:
    assert office.tick(at(23, "08:31", month=2)) == 0
    assert office.tick(at(24, "08:31", month=2)) == 5


# ── The arithmetic ──


@pytest.fixture
def calendar(office: Office) -> Calendar:
    return office.catalog.library.calendar


@pytest.mark.parametrize(
    ("deadline", "today", "days"),
    [
        ("2026-03-05", "2026-03-03", -2),
        ("2026-03-05", "2026-03-05", 0),
        ("2026-03-05", "2026-03-09", 2),
        # A deadline on a Sunday: Friday is the last working day, Monday the first after it.
        ("2026-03-08", "2026-03-06", 0),
        ("2026-03-08", "2026-03-09", 1),
        # Over the National Day, with the worked Saturday after it.
        ("2026-10-08", "2026-09-30", -1),
        ("2026-09-30", "2026-10-10", 3),
    ],
)
def test_days_to_a_deadline_are_working_days(calendar: Calendar, deadline: str, today: str, days: int) -> None:
    assert workday_offset(date.fromisoformat(deadline), date.fromisoformat(today), calendar) == days


def test_deadlines_move_by_the_working_days_of_an_emergency(office: Office) -> None:
    office.send("第一课", FIRST, {"within": 5})
    office.send("第二课", SECOND, {"by": "2026-03-06"})
    office.write(lambda session: manage.pause_all(session, BOSS, "防御台风", at(4, "10:00")))
    office.write(lambda session: manage.resume_all(session, BOSS, at(6, "15:00")))

    office.tick(at(6))
    said = office.text(DUE_REMINDER, at(9), "1001")
    assert "《第一课》" not in said
    assert "第一课，还有 2 个工作日（3月11日截止）" in said, "five working days and two of the emergency"
    assert "第二课，还有 1 个工作日（3月10日截止）" in said
    assert "第二课，今天是最后一个工作日" in office.text(DUE_REMINDER, at(10), "1001")


def test_what_was_over_before_an_emergency_or_sent_after_it_stays_as_it_is(calendar: Calendar) -> None:
    pause = [(date(2026, 3, 4), date(2026, 3, 6))]
    assert deadline_of({"within": 1}, date(2026, 3, 2), calendar, pause) == date(2026, 3, 3)
    assert deadline_of({"within": 1}, date(2026, 3, 6), calendar, pause) == date(2026, 3, 9)
    assert deadline_of({"within": 1}, date(2026, 3, 3), calendar, pause) == date(2026, 3, 6)
    assert deadline_of({"by": "2026-03-04"}, date(2026, 3, 5), calendar, pause) == date(2026, 3, 5), "a day that passed while it was held"


def test_a_deadline_is_a_day_or_so_many_working_days(calendar: Calendar) -> None:
    today = date(2026, 3, 2)
    assert deadline_of(parse_deadline("5个工作日", today), today, calendar) == date(2026, 3, 9)
    assert deadline_of(parse_deadline("2026-03-20", today), today, calendar) == date(2026, 3, 20)
    assert deadline_of(parse_deadline("取消", today), today, calendar) is None
    for wrong in ("0", "61", "2026-03-01", "尽快"):
        with pytest.raises(Refusal):
            parse_deadline(wrong, today)
    assert is_first_workday_of_week(date(2026, 2, 24), calendar)
    assert not is_first_workday_of_week(date(2026, 3, 3), calendar)
