"""Planning a campaign and letting it fall due: once, on the right day, for the right people, on both databases."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.calendar import Calendar
from bot.domain.campaign.campaign import Author, FiredCampaign
from bot.domain.campaign.content import CampaignContent, parse_content
from bot.domain.campaign.schedule import parse_schedule
from bot.domain.delivery.platform_limits import LIMITS
from bot.domain.message import Refusal, Reply, plain_text
from bot.domain.people.audience import parse_audience
from bot.domain.reports import ReportQuery, Scope
from bot.domain.times import SHANGHAI
from bot.services.campaign import fire, manage, push
from bot.services.campaign.cost import messages_per_person
from bot.services.delivery import plan
from bot.services.demo import campaigns
from bot.services.library.catalog import Catalog
from bot.storage import campaign as campaign_rows
from bot.storage.db.database import Database
from bot.storage.delivery import queue, quota
from bot.storage.reports.registry import REPORTS
from bot.storage.system import switches
from bot.storage.tables.columns import stamp
from bot.storage.tables.people import AccountRow
from bot.storage.tables.study import ReadingRow
from tests.conftest import NOW, enroll

CHIEF = Author("9001", "test")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def at(said: str) -> datetime:
    """A moment of Shanghai's clock: 2026-03-02 09:00."""
    return datetime.fromisoformat(said).replace(tzinfo=SHANGHAI).astimezone(UTC)


class Bureau:
    """Three people and an administrator, and a planner's hand on the rows."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.database: Database = dispatcher.database
        self.catalog: Catalog = dispatcher.catalog()
        self.calendar: Calendar = self.catalog.library.calendar

        def work(session: Session) -> list[int]:
            people = [enroll(session, "1001"), enroll(session, "1002", unit="某局/财务处"), enroll(session, "1003", unit="某局/财务处")]
            return [*people, enroll(session, "9001", unit="某局/办公室", roles=("admin",))]

        self.people = self.database.write_now(work)

    def plan(
        self,
        said: str = "每个工作日 09:00",
        content: str = "每日",
        to: str = "全员",
        *,
        missed: str = "send",
        now: datetime = NOW,
        start: bool = True,
    ) -> int:
        def work(session: Session) -> int:
            made, schedule, audience = parse_content(content, self.catalog.library), parse_schedule(said), parse_audience(to)
            new = manage.create(session, self.catalog, CHIEF, "每日一练", made, schedule, audience, now, missed=missed, clause="要点二")
            if start:
                manage.start(session, self.catalog, CHIEF, new, now)
            return new

        return self.database.write_now(work)

    def tick(self, now: datetime) -> list[FiredCampaign]:
        return self.database.write_now(lambda session: fire.fire_due(session, self.catalog, self.calendar, now))

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        return self.database.read_now(lambda session: [tuple(row) for row in session.execute(text(statement))])

    def state(self, campaign_id: int) -> str:
        return str(self.rows(f"SELECT state FROM campaign WHERE id = {campaign_id}")[0][0])


@pytest.fixture
def bureau(dispatcher: Dispatcher) -> Bureau:
    return Bureau(dispatcher)


def test_a_campaign_falls_due_once_however_often_the_clock_knocks(bureau: Bureau) -> None:
    campaign = bureau.plan(now=NOW - HOUR)

    assert bureau.tick(NOW - MINUTE) == []
    fired = bureau.tick(NOW)
    assert [(one.campaign_id, one.due, one.state, one.invited, one.note) for one in fired] == [(campaign, NOW, "fired", 4, "")]
    assert bureau.tick(NOW) == []
    assert bureau.tick(NOW + MINUTE) == []
    assert bureau.rows("SELECT state, COUNT(*) FROM delivery GROUP BY state") == [("queued", 4)]


def test_a_week_of_ticks_gives_the_working_days_of_the_week(bureau: Bureau) -> None:
    """From Friday 25 September 2026 on: the festival, the long weekend, and the Saturday worked in its stead."""
    now = at("2026-09-24 08:00")
    bureau.plan(now=now)
    due: list[str] = []
    while now < at("2026-10-13 08:00"):
        due += [f"{one.due.astimezone(SHANGHAI):%m-%d}" for one in bureau.tick(now)]
        now += timedelta(minutes=10)

    assert due == ["09-24", "09-28", "09-29", "09-30", "10-08", "10-09", "10-10", "10-12"]


def test_those_left_out_are_kept_with_the_reason(bureau: Bureau) -> None:
    bureau.database.write_now(lambda session: session.execute(text("DELETE FROM account WHERE person_id = :p"), {"p": bureau.people[1]}))
    bureau.plan(now=NOW - HOUR)

    fired = bureau.tick(NOW)

    assert (fired[0].invited, fired[0].excluded) == (3, 1)
    assert bureau.rows("SELECT person_id, error FROM delivery WHERE state = 'skipped'") == [(bureau.people[1], "没有可用渠道")]
    assert bureau.rows("SELECT invited, excluded FROM occurrence") == [(3, 1)]


def test_somebody_who_joins_tomorrow_is_in_tomorrow(bureau: Bureau) -> None:
    bureau.plan(now=NOW - HOUR)
    assert bureau.tick(NOW)[0].invited == 4
    bureau.database.write_now(lambda session: enroll(session, "1004"))

    assert bureau.tick(NOW + DAY)[0].invited == 5


def test_a_large_campaign_is_queued_a_piece_at_a_time_and_goes_on_after_a_kill(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_rows, "PIECE", 3)
    bureau.database.write_now(lambda session: [enroll(session, f"2{n:03}") for n in range(6)])
    bureau.plan(now=NOW - HOUR)

    first = bureau.tick(NOW)
    assert [(fired.invited, fired.is_complete) for fired in first] == [(10, False)], "everybody is counted from the beginning"
    assert bureau.rows("SELECT COUNT(*) FROM delivery") == [(3,)]
    # The process is gone; whoever ticks next goes on where the row says, also on another day, and sends nobody a second one.
    pieces = [bureau.tick(NOW + DAY * 3)[0] for _ in range(3)]
    assert [piece.is_complete for piece in pieces] == [False, False, True]
    assert {piece.occurrence_id for piece in pieces} == {first[0].occurrence_id}
    assert bureau.rows("SELECT COUNT(*), COUNT(DISTINCT person_id) FROM delivery WHERE occurrence_id = (SELECT MIN(id) FROM occurrence)") == [
        (10, 10)
    ]
    assert bureau.rows("SELECT invited, excluded, queued_after FROM occurrence ORDER BY id LIMIT 1") == [(10, 0, None)]


def test_what_is_stopped_or_recalled_in_between_reaches_nobody_else(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_rows, "PIECE", 2)
    stopped, recalled = bureau.plan(now=NOW - HOUR), bureau.plan("每个工作日 09:00", now=NOW - HOUR)
    assert bureau.tick(NOW)[0].campaign_id == stopped
    bureau.database.write_now(lambda session: manage.stop(session, CHIEF, stopped, "换一个", NOW))
    assert bureau.tick(NOW)[0].campaign_id == recalled
    bureau.database.write_now(lambda session: manage.recall(session, CHIEF, recalled, NOW))
    bureau.tick(NOW)
    assert bureau.rows("SELECT campaign_id, COUNT(*) FROM delivery WHERE campaign_id <= 2 GROUP BY campaign_id ORDER BY 1") == [
        (stopped, 2),
        (recalled, 2),
    ]
    assert bureau.rows("SELECT COUNT(*) FROM occurrence WHERE queued_after IS NOT NULL AND campaign_id <= 2") == [(0,)]


def test_paused_in_between_it_waits_and_goes_on_when_it_is_resumed(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_rows, "PIECE", 3)
    campaign = bureau.plan(now=NOW - HOUR)
    assert not bureau.tick(NOW)[0].is_complete
    bureau.database.write_now(lambda session: manage.pause(session, CHIEF, campaign, "等一等", NOW))
    assert bureau.tick(NOW) == []
    assert bureau.rows("SELECT COUNT(*) FROM delivery") == [(3,)]
    bureau.database.write_now(lambda session: manage.resume(session, bureau.calendar, CHIEF, campaign, NOW))
    assert bureau.tick(NOW)[0].is_complete
    assert bureau.rows("SELECT COUNT(*) FROM delivery") == [(4,)]


def test_replicas_that_knock_together_owe_each_person_one_thing(bureau: Bureau) -> None:
    for n in range(6):
        bureau.plan(f"每个工作日 09:0{n}", now=NOW - HOUR)
    found: list[FiredCampaign] = []
    lock = threading.Lock()

    def replica() -> None:
        for minute in range(8):
            fired = bureau.tick(NOW + minute * MINUTE)
            with lock:
                found.extend(fired)

    threads = [threading.Thread(target=replica) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len({(one.campaign_id, one.due) for one in found}) == len(found) == 6
    assert bureau.rows("SELECT COUNT(*), COUNT(DISTINCT occurrence_id) FROM delivery") == [(24, 6)]


def test_after_three_hours_down_what_was_missed_goes_out_late_by_the_rule(bureau: Bureau) -> None:
    bureau.plan(now=NOW - HOUR)

    fired = bureau.tick(NOW + 3 * HOUR)

    assert [(one.state, one.invited, one.note) for one in fired] == [("fired", 4, "迟发 180 分钟")]


def test_a_campaign_that_does_not_want_to_be_late_is_marked_missed_and_administrators_are_told(bureau: Bureau) -> None:
    campaign = bureau.plan(now=NOW - HOUR, missed="mark")

    fired = bureau.tick(NOW + 3 * HOUR)

    assert [(one.state, one.note) for one in fired] == [("missed", "晚了 180 分钟，按设置不补发")]
    told = bureau.rows("SELECT d.person_id, c.content FROM delivery d JOIN campaign c ON c.id = d.campaign_id WHERE c.created_by = 'system'")
    assert [row[0] for row in told] == [bureau.people[3]]
    assert f"每日一练（编号 {campaign}）03-02 09:00：晚了 180 分钟" in str(told[0][1])
    assert bureau.rows("SELECT COUNT(*) FROM audit WHERE action = '错过活动'") == [(1,)]
    assert bureau.tick(NOW + 4 * HOUR) == []


def test_five_days_down_are_sent_as_one_and_none_is_silent(bureau: Bureau) -> None:
    bureau.plan(now=NOW - HOUR)

    fired = bureau.tick(NOW + 4 * DAY + HOUR)

    assert [one.state for one in fired] == ["missed"] * 4 + ["fired"]
    assert {one.note for one in fired[:4]} == {"已并入后一次"}
    assert bureau.rows("SELECT COUNT(*) FROM delivery") == [(4,)]


def test_nothing_is_sent_for_a_day_that_is_long_over(bureau: Bureau) -> None:
    bureau.plan("2026-03-02 09:00", now=NOW - HOUR)

    fired = bureau.tick(NOW + 2 * DAY)

    assert [(one.state, one.note) for one in fired] == [("missed", "晚了 48 小时，不再补发")]


@pytest.mark.parametrize("jump", [HOUR, -HOUR, timedelta(seconds=30), timedelta(seconds=-30)])
def test_a_clock_that_jumps_doubles_nothing_and_skips_nothing(bureau: Bureau, jump: timedelta) -> None:
    """The wall clock is wrong for an hour around the due time, then right again."""
    bureau.plan(now=NOW - 3 * HOUR)
    bureau.plan("每个工作日 11:00", now=NOW - 3 * HOUR)
    fired: list[FiredCampaign] = []
    now = NOW - 2 * HOUR
    while now < NOW + 4 * HOUR:
        is_wrong = NOW - HOUR <= now < NOW + timedelta(minutes=30)
        fired += bureau.tick(now + jump if is_wrong else now)
        now += timedelta(minutes=5)

    assert sorted((one.due, one.state) for one in fired) == [(NOW, "fired"), (NOW + 2 * HOUR, "fired")]


def test_an_unknown_year_holds_a_campaign_back_until_it_is_entered_and_administrators_are_told(bureau: Bureau) -> None:
    now = at("2026-12-30 08:00")
    campaign = bureau.plan(now=now)
    assert [one.state for one in bureau.tick(at("2026-12-30 09:00"))] == ["fired"]
    assert [one.state for one in bureau.tick(at("2026-12-31 09:00"))] == ["fired"]

    for hour in range(24 * 5):
        assert bureau.tick(at("2027-01-01 00:00") + hour * HOUR) == []

    assert bureau.state(campaign) == "running"
    told = bureau.rows("SELECT content FROM campaign WHERE created_by = 'system' ORDER BY id")
    assert len(told) == 2, "once in each week of December and January"
    assert "2027 年的放假安排还没有公布或录入" in str(told[0][0])
    years = dict(bureau.calendar.years)
    bureau.calendar = Calendar({**years, 2027: type(years[2026])(2027, (), frozenset())})
    assert [(one.state, f"{one.due.astimezone(SHANGHAI):%m-%d}") for one in bureau.tick(at("2027-01-06 08:30"))][-1] == ("fired", "01-05")


def test_constitution_day_of_2027_cannot_be_planned_blindly(bureau: Bureau) -> None:
    draft = bureau.plan("国家宪法日 09:00", now=at("2027-01-04 09:00"), start=False)

    with pytest.raises(Refusal, match="还不能启动：2027 年的放假安排还没有公布或录入，请"):
        bureau.database.write_now(lambda session: manage.start(session, bureau.catalog, CHIEF, draft, at("2027-01-04 09:00")))
    seen = bureau.database.read_now(
        lambda session: manage.preview(
            session, bureau.catalog, bureau.calendar, parse_audience("全员"), parse_schedule("国家宪法日 09:00"), at("2026-11-23 09:00")
        )
    )
    assert [f"{one:%Y-%m-%d}" for one in seen.due] == ["2026-12-04"]
    assert "2027 年的放假安排" in seen.asks


def test_constitution_day_of_2021_was_a_saturday_and_goes_out_on_the_friday(bureau: Bureau) -> None:
    bureau.plan("国家宪法日 09:00", now=at("2021-11-20 09:00"))

    assert bureau.tick(at("2021-12-03 08:59")) == []
    assert [one.state for one in bureau.tick(at("2021-12-03 09:00"))] == ["fired"]
    assert bureau.tick(at("2021-12-04 09:00")) == []
    assert bureau.tick(at("2021-12-06 09:00")) == []


def test_a_series_goes_part_by_part_and_ends(bureau: Bureau) -> None:
    campaign = bureau.plan("每个工作日 09:00", "连载 mfd-1191、mfd-1198、xf-04", now=NOW - HOUR)
    bureau.tick(NOW)
    bureau.tick(NOW + DAY + 3 * HOUR)
    assert bureau.state(campaign) == "running"
    bureau.tick(NOW + 2 * DAY)
    assert bureau.state(campaign) == "done"

    found = bureau.rows("SELECT part, content FROM occurrence ORDER BY due")
    assert [row[0] for row in found] == [1, 2, 3]
    assert [f'"lesson":"{one}"' in str(row[1]) for one, row in zip(("mfd-1191", "mfd-1198", "xf-04"), found, strict=True)] == [True] * 3
    assert bureau.tick(NOW + 3 * DAY) == []


def test_a_series_that_was_missed_for_days_loses_no_part(bureau: Bureau) -> None:
    bureau.plan("每个工作日 09:00", "连载 mfd-1191、mfd-1198、xf-04", now=NOW - HOUR)
    bureau.tick(NOW)

    bureau.tick(NOW + 3 * DAY)

    assert bureau.rows("SELECT part FROM occurrence WHERE state = 'fired' ORDER BY due") == [(1,), (2,)]


def test_a_one_time_campaign_is_done_after_its_time(bureau: Bureau) -> None:
    campaign = bureau.plan("2026-03-02 09:00", now=NOW - HOUR)
    bureau.tick(NOW)

    assert bureau.state(campaign) == "done"


def test_a_changed_campaign_goes_by_the_new_plan_at_once(bureau: Bureau) -> None:
    campaign = bureau.plan(now=NOW - HOUR)
    bureau.database.write_now(
        lambda session: manage.change(session, bureau.catalog, CHIEF, campaign, NOW - 30 * MINUTE, schedule=parse_schedule("每个工作日 10:30"))
    )

    assert bureau.tick(NOW) == []
    assert [one.due for one in bureau.tick(NOW + 90 * MINUTE)] == [NOW + 90 * MINUTE]
    assert bureau.rows("SELECT version FROM campaign") == [(2,)]


def test_what_was_due_when_the_plan_changed_goes_out_or_stands_as_missed(bureau: Bureau) -> None:
    kept, moved = bureau.plan(now=NOW - HOUR), bureau.plan(now=NOW - HOUR)
    bureau.database.write_now(lambda session: manage.pause_all(session, CHIEF, "防御台风", NOW - MINUTE))
    later = NOW + HOUR
    assert bureau.tick(later) == []
    bureau.database.write_now(lambda session: manage.skip_date(session, bureau.catalog, CHIEF, kept, date(2026, 3, 5), later))
    bureau.database.write_now(
        lambda session: manage.change(session, bureau.catalog, CHIEF, moved, later, schedule=parse_schedule("每个工作日 08:30"))
    )
    bureau.database.write_now(lambda session: manage.resume_all(session, CHIEF, later))

    assert [(one.campaign_id, one.due, one.state) for one in bureau.tick(later)] == [(kept, NOW, "fired")]
    assert bureau.rows(f"SELECT state, note FROM occurrence WHERE campaign_id = {moved}") == [("missed", "计划改了，原定的这一次没有发")]
    assert bureau.tick(later + MINUTE) == []
    assert {one.campaign_id for one in bureau.tick(NOW + DAY)} == {kept, moved}


def test_a_new_plan_brings_nothing_about_that_nobody_had_planned(bureau: Bureau) -> None:
    campaign = bureau.plan("每周一 09:00", now=NOW - HOUR)
    bureau.database.write_now(lambda session: manage.pause_all(session, CHIEF, "防御台风", NOW - MINUTE))
    wednesday = NOW + 2 * DAY + MINUTE
    bureau.database.write_now(
        lambda session: manage.change(session, bureau.catalog, CHIEF, campaign, wednesday, schedule=parse_schedule("每个工作日 09:00"))
    )
    bureau.database.write_now(lambda session: manage.resume_all(session, CHIEF, wednesday))

    assert bureau.tick(wednesday) == []
    assert bureau.rows("SELECT due, state FROM occurrence") == [(stamp(NOW), "missed")]
    assert [one.due for one in bureau.tick(NOW + 3 * DAY)] == [NOW + 3 * DAY]


def test_a_plan_is_weighed_as_its_messages_will_be_counted(bureau: Bureau) -> None:
    assert messages_per_person(CampaignContent("notice", text="请学习")) == 1
    assert messages_per_person(CampaignContent("notice", text="请学习", receipt=True)) == 2
    assert messages_per_person(CampaignContent("notice", text="学" * 1000)) == 2
    campaign = bureau.plan("2026-03-02 10:00", "通知（回执） 请学习", start=False)

    def begin(session: Session) -> None:
        for person in bureau.people:
            session.add(AccountRow(channel="dingtalk", user=f"d{person}", person_id=person, bound_at=NOW, bound_by="test"))
        session.execute(text("DELETE FROM account WHERE channel <> 'dingtalk'"))
        month = next(limit for limit in LIMITS if limit.key() == "dingtalk/corp/month")
        quota.take(session, [(month.key(), month.usable(), month.window)], month.usable() - 1, NOW)
        session.flush()
        manage.start(session, bureau.catalog, CHIEF, campaign, NOW)

    with pytest.raises(Refusal, match="本月需 2 次调用，还剩 1，不够"):
        bureau.database.write_now(begin)
    assert bureau.state(campaign) == "draft"


def test_a_day_left_out_is_left_out(bureau: Bureau) -> None:
    campaign = bureau.plan(now=NOW - HOUR)
    bureau.database.write_now(lambda session: manage.skip_date(session, bureau.catalog, CHIEF, campaign, date(2026, 3, 2), NOW - 10 * MINUTE))

    assert bureau.tick(NOW) == []
    assert len(bureau.tick(NOW + DAY)) == 1


def test_a_pause_sends_nothing_and_leaves_what_passed_on_the_record(bureau: Bureau) -> None:
    campaign = bureau.plan(now=NOW - HOUR)
    bureau.database.write_now(lambda session: manage.pause(session, CHIEF, campaign, "系统检修", NOW - MINUTE))
    assert bureau.tick(NOW + HOUR) == []
    bureau.database.write_now(lambda session: manage.resume(session, bureau.calendar, CHIEF, campaign, NOW + 2 * HOUR))

    assert bureau.tick(NOW + 3 * HOUR) == []
    assert bureau.rows("SELECT state, note FROM occurrence") == [("void", "暂停期间，不发")]
    assert len(bureau.tick(NOW + DAY)) == 1


def test_in_an_emergency_one_switch_holds_everything_and_afterwards_it_goes_out_late(bureau: Bureau) -> None:
    bureau.plan(now=NOW - HOUR)
    bureau.plan("每周一 09:00", "课 mfd-1191", now=NOW - HOUR, missed="mark")
    assert bureau.database.write_now(lambda session: manage.pause_all(session, CHIEF, "防御台风", NOW - MINUTE))
    assert bureau.tick(NOW) == []
    assert not bureau.database.write_now(lambda session: manage.pause_all(session, CHIEF, "防御台风", NOW))
    assert bureau.database.write_now(lambda session: manage.resume_all(session, CHIEF, NOW + HOUR))

    assert sorted(one.state for one in bureau.tick(NOW + HOUR)) == ["fired", "missed"]
    assert bureau.database.read_now(lambda session: switches.is_on(session, switches.PAUSED)) is False


def test_stopping_holds_back_what_still_waits(bureau: Bureau) -> None:
    campaign = bureau.plan(now=NOW - HOUR)
    bureau.tick(NOW)

    assert bureau.database.write_now(lambda session: manage.stop(session, CHIEF, campaign, "发错了", NOW + MINUTE)) == 4
    assert bureau.rows("SELECT DISTINCT state, error FROM delivery") == [("skipped", "活动已停止")]
    assert bureau.tick(NOW + DAY) == []
    with pytest.raises(Refusal, match="已经停止"):
        bureau.database.write_now(lambda session: manage.stop(session, CHIEF, campaign, "", NOW + MINUTE))


def test_a_recall_voids_the_last_time_and_names_what_went_out(bureau: Bureau) -> None:
    campaign = bureau.plan(now=NOW - HOUR)
    bureau.tick(NOW)
    bureau.database.write_now(
        lambda session: session.execute(
            text("UPDATE delivery SET state = 'sent', channel = 'wecom', platform_id = 'w1' WHERE person_id = :p"), {"p": bureau.people[0]}
        )
    )

    found = bureau.database.write_now(lambda session: manage.recall(session, CHIEF, campaign, NOW + MINUTE))

    assert (found.skipped, [one[1:] for one in found.sent]) == (3, [("wecom", "w1")])
    assert bureau.rows("SELECT state FROM occurrence ORDER BY id") == [("void",), ("fired",)]
    with pytest.raises(Refusal, match="没有可以撤回的"):
        bureau.database.write_now(lambda session: manage.recall(session, CHIEF, campaign, NOW + MINUTE))


def test_who_got_what_was_recalled_is_told_and_nobody_else(bureau: Bureau) -> None:
    campaign = bureau.plan(now=NOW - HOUR)
    bureau.tick(NOW)
    got = "UPDATE delivery SET state = 'sent', sent_at = created_at, channel = 'wecom' WHERE person_id IN (:a, :b)"
    first, second = bureau.people[:2]
    bureau.database.write_now(lambda session: session.execute(text(got), {"a": first, "b": second}))
    bureau.database.write_now(lambda session: manage.recall(session, CHIEF, campaign, NOW + MINUTE))

    told = bureau.rows("SELECT d.person_id FROM delivery d JOIN campaign c ON c.id = d.campaign_id WHERE c.created_by = 'system' ORDER BY 1")
    assert told == [(first,), (second,)]
    (said,) = bureau.rows("SELECT content FROM campaign WHERE created_by = 'system'")
    assert "03-02 09:00 发给您的「" in str(said[0])
    assert "已经撤回" in str(said[0])


def test_an_administrator_of_one_office_reaches_and_sees_only_that_office(bureau: Bureau) -> None:
    finance = Author("9002", "test", ("某局/财务处",))

    def work(session: Session) -> int:
        return manage.create(
            session,
            bureau.catalog,
            finance,
            "本处学法",
            CampaignContent("daily"),
            parse_schedule("每个工作日 09:00"),
            parse_audience("全员"),
            NOW - HOUR,
        )

    mine = bureau.database.write_now(work)
    theirs = bureau.plan(now=NOW - HOUR)
    bureau.database.write_now(lambda session: manage.start(session, bureau.catalog, finance, mine, NOW - HOUR))
    fired = {one.campaign_id: one.invited for one in bureau.tick(NOW)}

    assert fired == {mine: 2, theirs: 4}
    assert [one.id for one in bureau.database.read_now(lambda session: manage.visible_campaigns(session, finance))] == [mine]
    for act in (
        lambda session: manage.stop(session, finance, theirs, "", NOW),
        lambda session: manage.pause_all(session, finance, "", NOW),
        lambda session: manage.require_campaign(session, finance, 999),
    ):
        with pytest.raises(Refusal, match=r"没有编号为|只有全局的管理员"):
            bureau.database.write_now(act)


def test_what_was_planned_is_written_down_with_the_name(bureau: Bureau) -> None:
    bureau.plan(now=NOW - HOUR)

    found = bureau.rows("SELECT actor, via, action, detail FROM audit ORDER BY id")
    assert [row[:3] for row in found] == [("9001", "test", "新建活动"), ("9001", "test", "启动活动")]
    assert "每个工作日 09:00；全员；要点二" in str(found[0][3])


def test_a_test_send_is_exactly_what_will_be_seen(bureau: Bureau) -> None:
    campaign = bureau.plan("2026-03-02 09:00", "通知（回执） 周五下午 3 点在 201 集中学法。", now=NOW - HOUR)

    def look(session: Session) -> Reply:
        return push.render_trial(session, bureau.catalog, campaign, bureau.people[0])

    seen = bureau.database.read_now(look)
    assert seen.text == "📢 周五下午 3 点在 201 集中学法。"
    assert plain_text(seen).endswith("（回复「已阅 0」）")


def test_a_trial_reaches_oneself_on_every_channel_and_nobody_else(bureau: Bureau) -> None:
    campaign = bureau.plan("2026-03-02 09:00", "课 mfd-1191", now=NOW - HOUR)
    me = bureau.people[0]

    def both(session: Session) -> list[str]:
        session.add(AccountRow(channel="dingtalk", user="d1", person_id=me, bound_at=NOW, bound_by="test"))
        session.add(AccountRow(channel="wecom", user="w1", person_id=me, bound_at=NOW, bound_by="test"))
        session.add(ReadingRow(person_id=me, lesson="mfd-1191", digest="x", page=1, state="done", opened_at=NOW, closed_at=NOW))
        session.flush()
        return push.send_trial(session, CHIEF, campaign, me, NOW, besides="local")

    assert bureau.database.write_now(both) == ["dingtalk", "wecom"]
    owed = bureau.database.write_now(lambda session: queue.claim(session, "r1", NOW, 10, 60))
    doors = plan.OpenChannels(("wecom", "dingtalk", "local"))
    made = bureau.database.read_now(lambda session: plan.plan_deliveries(session, bureau.catalog, owed[:1], NOW.replace(hour=22), doors))
    assert [(one.queued.person_id, one.message.to.channel, one.fallbacks) for one in made.ready] == [(me, "dingtalk", 0)], (
        "at night, and the lesson done"
    )
    assert len(owed) == 2
    assert "学一课" in made.ready[0].message.reply.text


def test_the_report_due_before_the_first_of_march_is_called_to_mind_twice(bureau: Bureau) -> None:
    told = "SELECT content FROM campaign WHERE name = '系统提醒：年度报告' ORDER BY id"
    for day in ("01-31 10:00", "02-01 09:00", "02-01 09:01", "02-19 09:00", "02-20 09:00", "02-28 09:00", "03-01 09:00"):
        bureau.tick(at(f"2026-{day}"))
    found = [str(row[0]) for row in bureau.rows(told)]
    assert ["还有 28 天" in found[0], "还有 9 天" in found[1], len(found)] == [True, True, 2]
    assert "2025 年度法治政府建设报告应在 3 月 1 日前公开" in found[0]


def test_the_demo_has_three_campaigns_and_one_is_due_within_the_minute(bureau: Bureau) -> None:
    now = NOW + timedelta(seconds=17)
    made = bureau.database.write_now(lambda session: campaigns.create_campaigns(session, bureau.catalog, now))
    assert len(made) == 3
    assert bureau.tick(now) == []

    fired = bureau.tick(now + MINUTE)

    assert [(one.name, one.invited) for one in fired] == [("开机第一课", 4)]
    assert len(bureau.database.write_now(lambda session: campaigns.create_campaigns(session, bureau.catalog, now + HOUR))) == 1


def test_a_row_that_cannot_fire_twice_is_kept_by_the_database(bureau: Bureau) -> None:
    campaign = bureau.plan(now=NOW - HOUR)

    def twice(session: Session) -> tuple[int | None, int | None]:
        return campaign_rows.add_occurrence(session, campaign, NOW, NOW), campaign_rows.add_occurrence(session, campaign, NOW, NOW)

    first, second = bureau.database.write_now(twice)
    assert first is not None
    assert second is None
    assert bureau.tick(NOW) == []


def test_a_campaign_without_a_clause_stands_in_the_list_of_those_without(bureau: Bureau) -> None:
    with_one, without = bureau.plan(now=NOW - HOUR), bureau.plan(now=NOW - HOUR)
    bureau.database.write_now(lambda session: manage.change(session, bureau.catalog, CHIEF, without, NOW, clause=""))
    ask = ReportQuery(2026, date(2026, 3, 2), date(2026, 3, 2), bureau.catalog.policy)

    found = bureau.database.read_now(lambda session: REPORTS["活动依据"].run(session, Scope(), ask).in_memory())

    assert [[row[1] for row in part.rows] for part in found.parts] == [[without], [without, with_one]]
    assert "2 个活动，1 个没有写依据" in found.notes[0]
    office = bureau.rows("SELECT id FROM unit WHERE path = '某局/财务处'")[0][0]
    assert isinstance(office, int)
    narrow = bureau.database.read_now(lambda session: REPORTS["活动依据"].run(session, Scope((office,)), ask).in_memory())
    assert list(narrow.parts[1].rows) == []
