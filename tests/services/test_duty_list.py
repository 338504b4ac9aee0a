"""The duty list: what an office hands in, what becomes of it, and that thirteen events are thirteen."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import xlsxwriter
from sqlalchemy import text
from sqlmodel import Session

from bot.dispatch import Dispatcher
from bot.domain.activity import DutyLine, duty_state, spread_days
from bot.domain.campaign.campaign import Author
from bot.domain.message import Refusal
from bot.domain.reports import ReportQuery, Scope
from bot.services import activity
from bot.services.activity import DutyImportPlan
from bot.services.campaign import fire
from bot.services.library.catalog import Catalog
from bot.storage import activity as activity_rows
from bot.storage.db.database import Database
from bot.storage.files.table_reader import BadTableRows, read_table
from bot.storage.reports.registry import REPORTS
from tests.conftest import NOW, enroll

CHIEF = Author("9001", "test")
HEADER = ("法律", "责任处室", "形式", "次数", "期限", "联络员", "依据")
Row = tuple[object, ...]
SEVEN: list[Row] = [
    ("消防法", "某局/服务中心", "专题培训", 3, "2026-11-30", "1002", "要点一"),
    ("机关事务管理条例", "办公室", "专题培训", 2, "10月底", "学员甲", "要点一"),
    ("公共机构节能条例", "办公室", "宣讲", "2次", "上半年", "", "要点二"),
    ("党政机关厉行节约反对浪费条例", "财务处", "集中学习", 2, "年底", "1003", "要点二"),
    ("行政事业性国有资产管理条例", "财务处", "专题讲座", 1, date(2026, 9, 30), "1003", "要点三"),
    ("《浙江省机关事务管理办法》、《杭州市机关事务管理办法》", "办公室", "集中学习", 2, "2026-12-20", "1001", "要点三"),
    ("民法典", "办公室", "在线学习", 1, "2026年6月", "1001", "要点四"),
]


class Office:
    """Three units with a liaison each, and a hand on the list."""

    def __init__(self, dispatcher: Dispatcher, folder: Path) -> None:
        self.database: Database = dispatcher.database
        self.catalog: Catalog = dispatcher.catalog()
        self.folder = folder

        def work(session: Session) -> None:
            enroll(session, "1001", "学员甲", unit="某局/办公室")
            enroll(session, "1002", "学员乙", unit="某局/服务中心")
            enroll(session, "1003", "学员丙", unit="某局/财务处")
            enroll(session, "9001", "管理员", unit="某局/办公室", roles=("admin",))

        self.database.write_now(work)

    def file(self, lines: list[Row], header: Row = HEADER) -> Path:
        path = self.folder / "清单.xlsx"
        with xlsxwriter.Workbook(path) as book:
            sheet = book.add_worksheet("清单")
            day = book.add_format({"num_format": "yyyy-mm-dd"})
            for at, row in enumerate([("普法责任清单",), header, *lines]):
                for column, cell in enumerate(row):
                    if isinstance(cell, date):
                        sheet.write_datetime(at, column, datetime(cell.year, cell.month, cell.day), day)  # noqa: DTZ001
                    else:
                        sheet.write(at, column, cell)
        return path

    def read(self, lines: list[Row], *forms: str, header: Row = HEADER) -> tuple[DutyLine, ...]:
        asked = activity.layout(2026, self.catalog.library, frozenset(forms))
        sheet = read_table(self.file(lines, header), asked)
        return self.database.read_now(lambda session: activity.read_duty_list(session, sheet, asked, self.catalog.library, NOW)[0])

    def compare(self, lines: list[Row]) -> DutyImportPlan:
        read = self.read(lines)
        return self.database.read_now(lambda session: activity.compare_list(session, read, 2026, NOW))

    def apply(self, lines: list[Row], now: datetime = NOW) -> DutyImportPlan:
        read = self.read(lines)
        return self.database.write_now(lambda session: activity.import_list(session, self.catalog, CHIEF, read, 2026, now))

    def look(self, statement: str) -> list[tuple[object, ...]]:
        return self.database.read_now(lambda session: [tuple(row) for row in session.execute(text(statement))])

    def knock(self, now: datetime) -> None:
        """The clock of the campaigns."""
        self.database.write_now(lambda session: fire.fire_due(session, self.catalog, self.catalog.library.calendar, now))

    def tick(self, planned_id: int, on: date, note: str = "签到表 23 人", now: datetime = datetime(2026, 12, 30, tzinfo=UTC)) -> None:
        self.database.write_now(lambda session: activity.mark_done(session, CHIEF, planned_id, on, note, now))


@pytest.fixture
def office(dispatcher: Dispatcher, tmp_path: Path) -> Office:
    return Office(dispatcher, tmp_path)


def test_a_list_is_looked_at_then_kept_with_its_plan_and_its_drafts(office: Office) -> None:
    assert len(office.compare(SEVEN).with_outcome("new")) == 7
    assert office.look("SELECT COUNT(*) FROM duty") == [(0,)]

    office.apply(SEVEN)

    assert office.look("SELECT COUNT(*), SUM(count) FROM duty") == [(7, 13)]
    assert office.look("SELECT COUNT(*) FROM planned WHERE state = 'planned'") == [(13,)]
    drafts = office.look("SELECT kind, COUNT(*) FROM campaign WHERE state = 'draft' GROUP BY kind ORDER BY kind")
    assert drafts == [("notice", 12), ("series", 1)]
    assert office.look("SELECT COUNT(*) FROM campaign WHERE clause = ''") == [(0,)]
    assert office.look("SELECT COUNT(*) FROM planned WHERE campaign_id IS NULL") == [(0,)]
    assert office.look("SELECT COUNT(*) FROM audit WHERE action = '新增责任清单'") == [(7,)]
    assert office.look("SELECT deadline FROM duty WHERE law = '公共机构节能条例'") == [("2026-06-30",)]


def test_importing_twice_changes_nothing_and_a_changed_row_changes_its_plan(office: Office) -> None:
    office.apply(SEVEN)
    before = office.look("SELECT id, due_on FROM planned ORDER BY id")
    again = office.apply(SEVEN)
    assert (len(again.with_outcome("same")), again.absent) == (7, ())
    assert office.look("SELECT id, due_on FROM planned ORDER BY id") == before

    more, fewer = list(SEVEN[0]), list(SEVEN[3])
    more[3], fewer[3] = 4, 1
    changed = office.apply([tuple(more), tuple(fewer)])

    assert (len(changed.with_outcome("changed")), len(changed.absent)) == (2, 5)
    assert office.look("SELECT l.state, COUNT(*) FROM planned l JOIN duty d ON d.id = l.duty_id WHERE d.law = '消防法' GROUP BY l.state") == [
        ("planned", 4)
    ]
    assert office.look(
        "SELECT l.state, l.note FROM planned l JOIN duty d ON d.id = l.duty_id WHERE d.form = '集中学习' AND d.count = 1 ORDER BY l.n"
    ) == [("planned", ""), ("cancelled", "清单次数减少")]


def test_thirteen_events_are_thirteen(office: Office) -> None:
    """Two laws in one event count once, a second tick and a cancelled one do not count; the one cancelled is made up for by a further one."""
    office.apply(SEVEN)
    ids = [int(str(row[0])) for row in office.look("SELECT id FROM planned ORDER BY id")]
    gone = ids[0]
    office.database.write_now(lambda session: activity.cancel(session, CHIEF, gone, "讲师未到", NOW))
    for n, one in enumerate(ids[1:]):
        office.tick(one, date(2026, 3 + n % 9, 10))
    with pytest.raises(Refusal, match="已经记过，不重复计"):
        office.tick(ids[1], date(2026, 5, 10))
    with pytest.raises(Refusal, match="已经取消"):
        office.tick(gone, date(2026, 5, 10))
    more = list(SEVEN[0])
    more[3] = 4
    office.apply([tuple(more)])
    office.apply([SEVEN[0]])
    extra = office.look("SELECT id FROM planned WHERE state = 'planned'")
    assert len(extra) == 1
    office.tick(int(str(extra[0][0])), date(2026, 11, 20))

    found = office.database.read_now(lambda session: REPORTS["责任清单"].run(session, Scope(), _ask(office, date(2026, 12, 31))).in_memory())
    assert [sum(int(str(row[column])) for row in found.parts[0].rows) for column in (3, 4)] == [13, 13]
    assert {str(row[6]) for row in found.parts[0].rows} == {"已完成"}
    assert len(found.parts[2].rows) == 13
    assert "应办 13 次，已办 13 次" in found.notes[0]


def _ask(office: Office, on: date) -> ReportQuery:
    return ReportQuery(2026, on, date(2026, 12, 31), office.catalog.policy)


def test_a_report_of_the_half_year_names_the_offices_with_nothing_done(office: Office) -> None:
    office.apply(SEVEN)
    finance = office.look("SELECT l.id FROM planned l JOIN duty d ON d.id = l.duty_id WHERE d.law = '行政事业性国有资产管理条例'")
    office.tick(int(str(finance[0][0])), date(2026, 5, 8))

    idle = office.database.read_now(lambda session: activity_rows.idle_units(session, 2026, date(2026, 6, 30)))
    assert idle == [("某局/办公室", 4, "学员甲"), ("某局/服务中心", 1, "学员乙")]
    found = office.database.read_now(lambda session: REPORTS["责任清单"].run(session, Scope(), _ask(office, date(2026, 7, 1))).in_memory())
    assert "还没有开展任何一项的处室：某局/办公室、某局/服务中心。" in found.notes
    states = {(str(row[1]), str(row[6])) for row in found.parts[0].rows}
    assert ("公共机构节能条例", "已逾期") in states
    assert ("行政事业性国有资产管理条例", "已完成") in states
    assert ("消防法", "未开展") in states


def test_in_july_administrators_are_told_once(office: Office) -> None:
    office.apply(SEVEN)
    for day in (29, 30):
        office.knock(datetime(2026, 6, day, 2, tzinfo=UTC))
    assert office.look("SELECT COUNT(*) FROM campaign WHERE created_by = 'system'") == [(0,)]
    for day in (1, 2, 3):
        office.knock(datetime(2026, 7, day, 2, tzinfo=UTC))

    told = office.look("SELECT c.content FROM campaign c JOIN delivery d ON d.campaign_id = c.id WHERE c.created_by = 'system'")
    assert len(told) == 1
    assert "某局/办公室：4 项都没有开展（联络员 学员甲）" in str(told[0][0])


@pytest.mark.parametrize(("word", "form"), [("讲座", "专题讲座"), ("集中学法", "集中学习"), ("参观", "参观学习"), ("旁听", "旁听庭审")])
def test_a_form_goes_by_the_word_of_the_agency(office: Office, word: str, form: str) -> None:
    row = list(SEVEN[0])
    row[2] = word
    assert [line.form for line in office.read([tuple(row)])] == [form]


def test_a_form_that_was_named_as_new_stays_what_it_is_called(office: Office) -> None:
    row = list(SEVEN[0])
    row[2] = "讲座"
    assert [line.form for line in office.read([tuple(row)], "讲座")] == ["讲座"]


@pytest.mark.parametrize(
    ("place", "wrong", "column", "reason"),
    [
        (0, "", "法律", "没有填"),
        (0, "职务处分法", "法律", "应为《中华人民共和国公职人员政务处分法》"),
        (1, "没有的处", "责任处室", "没有「没有的处」"),
        (2, "唱歌", "形式", "没有「唱歌」这种形式"),
        (2, "专题培训会", "形式", "是不是「专题培训」"),
        (3, 0, "次数", "1 到 60"),
        (3, "若干", "次数", "1 到 60"),
        (4, "2025-12-01", "期限", "不在 2026 年"),
        (4, "尽快", "期限", "不是完整的日期"),
        (5, "张三", "联络员", "没有这个人"),
    ],
)
def test_a_row_that_is_not_right_is_named_and_nothing_is_kept(office: Office, place: int, wrong: object, column: str, reason: str) -> None:
    row = list(SEVEN[0])
    row[place] = wrong

    with pytest.raises(BadTableRows) as bad:
        office.apply([tuple(row), SEVEN[1]])

    assert [(one.row, one.column) for one in bad.value.faults] == [(3, column)]
    assert reason in bad.value.faults[0].reason
    assert office.look("SELECT COUNT(*) FROM duty") == [(0,)]


def test_a_new_form_is_taken_only_when_it_is_asked_for(office: Office) -> None:
    row = list(SEVEN[0])
    row[2] = "普法短剧"

    assert office.read([tuple(row)], "普法短剧")[0].form == "普法短剧"


def test_two_rows_for_the_same_thing_are_asked_to_be_one(office: Office) -> None:
    with pytest.raises(BadTableRows, match="与第 3 行相同"):
        office.compare([SEVEN[0], SEVEN[0]])


def test_an_event_needs_its_proof_and_must_be_over(office: Office) -> None:
    office.apply(SEVEN)
    one = int(str(office.look("SELECT id FROM planned ORDER BY id LIMIT 1")[0][0]))
    for on, note, sentence in ((date(2026, 3, 3), "签到", "还没有到"), (date(2026, 3, 1), "  ", "请写明依据")):
        with pytest.raises(Refusal, match=sentence):
            office.tick(one, on, note, NOW)


def test_a_table_without_its_columns_is_refused(office: Office) -> None:
    with pytest.raises(Refusal, match="没有找到表头"):
        office.read(SEVEN, header=("法", "处", "形", "次", "期", "联", "据"))


@pytest.mark.parametrize(
    ("done", "on", "state"),
    [(0, "2026-06-30", "未开展"), (1, "2026-06-30", "进行中"), (2, "2026-07-01", "已完成"), (1, "2026-07-01", "已逾期"), (0, "2026-07-01", "已逾期")],
)
def test_a_row_has_one_state_on_a_day(done: int, on: str, state: str) -> None:
    assert duty_state(done, 2, date(2026, 6, 30), date.fromisoformat(on)) == state


def test_activities_are_spread_over_working_days_up_to_the_deadline(office: Office) -> None:
    calendar = office.catalog.library.calendar
    assert spread_days(3, date(2026, 3, 2), date(2026, 10, 4), calendar) == [date(2026, 5, 13), date(2026, 7, 24), date(2026, 9, 30)]
    assert spread_days(2, date(2026, 12, 1), date(2027, 1, 31), calendar)[1] == date(2027, 1, 31)
    assert spread_days(1, date(2026, 3, 2), date(2026, 3, 2), calendar) == [date(2026, 3, 2)]
