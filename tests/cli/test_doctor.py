"""`doctor` says of each thing an operator would look at whether it is well, and if not why and what to do; nothing it looks at is changed."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import Engine, text
from sqlmodel import Session

from bot.cli import doctor
from bot.cli.context import context
from bot.domain.library.library import Library
from bot.services.hours import chain_verification
from bot.storage.db.database import Database
from bot.storage.db.engine import is_sqlite, open_engine
from bot.storage.files import loader
from bot.storage.hours import ledger
from bot.storage.migrations import migrate
from bot.storage.system import backups, switches
from tests.conftest import enroll
from tests.storage.test_database_file import spoil
from tests.support.platforms.cli_run import Shell, elsewhere, shell_on
from tests.support.platforms.dingtalk import CLIENT_ID, FakeDingTalk, dingtalk
from tests.support.platforms.dingtalk import SECRET as DINGTALK_SECRET
from tests.support.platforms.envelopes import AES_KEY, TOKEN
from tests.support.platforms.faults import says
from tests.support.platforms.plain import Time
from tests.support.platforms.wechat import APP, WeChatPlatform
from tests.support.platforms.wechat import SECRET as WECHAT_SECRET
from tests.support.platforms.wecom import AGENT, CORP, SECRET, WeComPlatform

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)


@dataclass
class Clinic:
    """`doctor` on a database at the program's revision; each check by its name."""

    shell: Shell
    database: Database

    def status(self) -> int:
        return self.shell.run("doctor", "--json")[0]

    def checks(self) -> dict[str, dict[str, str]]:
        return {check["name"]: check for check in self.shell.json("doctor")["checks"]}

    def finding(self, name: str) -> tuple[str, str]:
        """What one check found; the others are left out, which takes a tenth of the time."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(doctor, "CHECKS", tuple(check for check in doctor.CHECKS if check[0] == name))
            check = self.checks()[name]
        return check["state"], check["sentence"]

    def set(self, name: str, value: str) -> None:
        self.shell.patch.setenv(f"BOT_{name}", value)

    def write(self, work: Callable[[Session], Any]) -> None:
        self.database.write_now(work)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def clinic_on(engine: Engine, shipped: Library, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    with shell_on(engine, capsys, monkeypatch) as shell:
        monkeypatch.setattr(loader, "load_library", lambda root: (shipped, []))
        monkeypatch.setenv("BOT_DATABASE_URL", engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://"))
        monkeypatch.setenv("BOT_LISTEN", f"127.0.0.1:{free_port()}")
        if is_sqlite(engine):  # the only clock beside ours is PostgreSQL's, which runs on
            monkeypatch.setattr(context, "clock", lambda: NOW)
        yield Clinic(shell, Database(engine))


@pytest.fixture
def clinic(sqlite_engine: Engine, shipped: Library, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    with clinic_on(sqlite_engine, shipped, capsys, monkeypatch) as clinic:
        yield clinic


@pytest.fixture
def any_clinic(engine: Engine, shipped: Library, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    """On SQLite and on PostgreSQL."""
    with clinic_on(engine, shipped, capsys, monkeypatch) as clinic:
        yield clinic


# ── What everybody reads ──


def test_a_machine_on_which_nothing_was_ever_run_is_examined_and_left_as_it_was(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_engine: Engine
) -> None:
    with shell_on(sqlite_engine, capsys, monkeypatch) as shell:
        missing = tmp_path / "never" / "bot.db"
        monkeypatch.setenv("BOT_DATABASE_URL", f"sqlite:///{missing}")
        monkeypatch.setenv("BOT_LISTEN", f"127.0.0.1:{free_port()}")
        checks = {check["name"]: check for check in shell.json("doctor")["checks"]}
    assert len(checks) >= 30
    assert checks["database"]["state"] == "warning"
    assert "python -m bot migrate" in checks["database"]["sentence"]
    assert checks["backup"]["state"] == "warning"
    assert not missing.parent.exists()


def test_each_check_is_one_sentence_with_a_state_and_the_whole_is_counted(any_clinic: Clinic) -> None:
    told = any_clinic.shell.json("doctor")
    assert [check["name"] for check in told["checks"]] == [name for name, *_ in doctor.CHECKS]
    assert {check["state"] for check in told["checks"]} <= {"ok", "warning", "fault"}
    assert [check for check in told["checks"] if not check["sentence"].endswith("。")] == []
    assert sum(told["counts"].values()) == len(told["checks"])


def test_a_fault_ends_with_status_one_and_stands_among_the_rest_for_people(clinic: Clinic) -> None:
    status, out, _ = clinic.shell.run("doctor")
    assert status == 1
    assert "✗ 渠道：一个渠道也没有开" in out
    assert f"共 {len(doctor.CHECKS)} 项" in out


def test_wrong_settings_are_a_fault_and_no_secret_is_said(clinic: Clinic) -> None:
    clinic.set("WECOM__SECRET", "short-1")
    status, out, err = clinic.shell.run("doctor", "--json")
    assert status == 1
    assert '"state": "fault"' in out
    assert "short-1" not in out + err


# ── This machine ──


def test_a_full_disk_is_a_fault_with_its_figure(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1 << 40, (1 << 40) - (90 << 20), 90 << 20))
    state, sentence = clinic.finding("disk")
    assert state == "fault"
    assert "只剩 90 MiB" in sentence


def test_a_font_that_is_missing_is_said_with_what_to_install(clinic: Clinic) -> None:
    clinic.set("WEB__FONT", "/nowhere/song.ttf")
    state, sentence = clinic.finding("font")
    assert state == "warning"
    assert "/nowhere/song.ttf 不存在" in sentence


def test_a_settings_file_that_others_can_read_is_said_with_the_command(clinic: Clinic, tmp_path: Path) -> None:
    file = tmp_path / "bot.toml"
    file.write_text("", encoding="utf-8")
    file.chmod(0o644)
    clinic.set("CONFIG", str(file))
    state, sentence = clinic.finding("settings_file")
    assert state == "warning"
    assert f"chmod 600 {file}" in sentence
    file.chmod(0o600)
    assert clinic.finding("settings_file")[0] == "ok"


def test_a_year_without_a_calendar_is_a_fault_and_next_year_a_warning_in_december(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "clock", lambda: datetime(2026, 12, 3, 1, tzinfo=UTC))
    assert clinic.finding("calendar")[0] == "warning"
    monkeypatch.setattr(context, "clock", lambda: datetime(2031, 3, 3, 1, tzinfo=UTC))
    assert clinic.finding("calendar")[0] == "fault"


def test_another_program_on_our_port_is_a_fault(clinic: Clinic) -> None:
    with elsewhere(_serving(lambda request: web.Response(text="nginx"))) as address:
        clinic.set("LISTEN", address.removeprefix("http://"))
        state, sentence = clinic.finding("listen")
    assert state == "fault"
    assert "别的程序" in sentence


def test_a_running_service_that_is_not_ready_is_a_fault(clinic: Clinic) -> None:
    def answer(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok" if request.path == "/healthz" else "database"}, status=200 if request.path == "/healthz" else 503)

    with elsewhere(_serving(answer)) as address:
        clinic.set("LISTEN", address.removeprefix("http://"))
        assert clinic.finding("service")[0] == "fault"


@pytest.mark.parametrize(
    ("path", "state"),
    [("/xuefa", "ok"), ("/xuefa/", "ok"), ("/other", "fault")],
)
def test_the_public_address_has_to_lead_here_with_its_path(clinic: Clinic, path: str, state: str) -> None:
    def answer(request: web.Request) -> web.Response:
        if request.path in ("/healthz", "/xuefa/healthz"):
            return web.json_response({"status": "ok"})
        return web.Response(status=404, text="nginx")

    with elsewhere(_serving(answer)) as address:
        clinic.set("LISTEN", address.removeprefix("http://"))
        clinic.set("PUBLIC_URL", f"{address}{path}")
        assert clinic.finding("public_path")[0] == state


def test_metrics_that_the_outside_can_read_are_said(clinic: Clinic) -> None:
    with elsewhere(_serving(lambda request: web.Response(text="bot_queue_depth 0"))) as address:
        clinic.set("PUBLIC_URL", address)
        state, sentence = clinic.finding("metrics")
    assert state == "warning"
    assert "/metrics" in sentence


@asynccontextmanager
async def _serving(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[str]:
    async def serve(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


# ── The database ──


def test_a_database_without_its_tables_or_of_another_program_is_a_fault(any_clinic: Clinic) -> None:
    with any_clinic.database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        state, sentence = any_clinic.finding("schema")
    finally:
        with any_clinic.database.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": migrate.HEAD})
    assert state == "fault"
    assert "9999" in sentence


def test_a_file_that_is_no_database_is_a_fault_and_left_alone(clinic: Clinic, tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("这是一份说明" * 200, encoding="utf-8")
    before = file.read_bytes()
    clinic.set("DATABASE_URL", f"sqlite:///{file}")
    assert clinic.finding("database") == ("fault", "数据库不能用：这个文件不是数据库，请检查 BOT_DATABASE_URL。")
    assert file.read_bytes() == before


def test_a_postgres_that_is_away_is_a_fault_and_its_password_is_not_said(clinic: Clinic) -> None:
    clinic.set("DATABASE_URL", f"postgresql://bot:canary-password-9@127.0.0.1:{free_port()}/bot")
    status, out, err = clinic.shell.run("doctor", "--json")
    assert status == 1
    assert "连不上 PostgreSQL" in out
    assert "canary-password-9" not in out + err


def test_a_spoilt_page_is_found(clinic: Clinic, tmp_path: Path) -> None:
    file = tmp_path / "spoilt.db"
    spoil(file, "answer")
    clinic.set("DATABASE_URL", f"sqlite:///{file}")
    state, sentence = clinic.finding("damage")
    assert state == "fault"
    assert "restore" in sentence


def test_a_database_that_others_can_read_is_said(clinic: Clinic, tmp_path: Path) -> None:
    file = tmp_path / "open.db"
    engine = open_engine(f"sqlite:///{file}")
    migrate.migrate(engine)
    engine.dispose()
    file.chmod(0o644)
    clinic.set("DATABASE_URL", f"sqlite:///{file}")
    state, sentence = clinic.finding("database_file")
    assert state == "warning"
    assert "chmod 600" in sentence
    assert "open.db" in sentence


def test_a_trigger_that_somebody_dropped_is_a_fault(any_clinic: Clinic) -> None:
    if is_sqlite(any_clinic.database.engine):
        statements: tuple[str, ...] = ("DROP TRIGGER ledger_refuses_update", "DROP TRIGGER ledger_refuses_delete")
        restored: tuple[str, ...] = ()
    else:
        statements = ("ALTER TABLE ledger DISABLE TRIGGER USER",)
        restored = ("ALTER TABLE ledger ENABLE TRIGGER USER",)
    _run(any_clinic.database.engine, statements)
    try:
        state, sentence = any_clinic.finding("guards")
    finally:
        # The tables of the server are those of every test after this one.
        _run(any_clinic.database.engine, restored)
    assert state == "fault"
    assert "ledger" in sentence


def _run(engine: Engine, statements: tuple[str, ...]) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_the_last_backup_is_missed_found_old_and_found_beside_the_database(
    any_clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any_clinic.finding("backup")[0] == "warning"
    now = context.now()
    folder = tmp_path / "backups" / "xuefa-1"
    folder.mkdir(parents=True)
    (folder / "backup.json").write_text("{}", encoding="utf-8")
    any_clinic.write(lambda session: backups.record(session, now, str(folder), 1 << 20, "0" * 64, "cli:root"))
    assert any_clinic.finding("backup")[0] == "ok"
    assert any_clinic.finding("backup_place")[0] == ("warning" if is_sqlite(any_clinic.database.engine) else "ok")
    monkeypatch.setattr(context, "clock", lambda: now + timedelta(days=3))
    assert "3 天前" in any_clinic.finding("backup")[1]


def test_hours_that_stand_outside_the_chain_for_a_day_are_said(any_clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    now = context.now()

    def earn(session: Session) -> None:
        person = enroll(session, "2001")
        ledger.add(session, person, "online", 2700, date(2026, 2, 1), ("lesson", "2026:x"), ("D2", 1), now)

    any_clinic.write(earn)
    assert any_clinic.finding("seal")[0] == "ok"
    monkeypatch.setattr(context, "clock", lambda: now + timedelta(hours=30))
    state, sentence = any_clinic.finding("seal")
    assert state == "warning"
    assert "ledger seal" in sentence
    any_clinic.write(lambda session: chain_verification.seal_entries(session, now))
    assert any_clinic.finding("seal")[0] == "ok"


def test_an_empty_roster_is_a_fault_and_one_without_an_administrator_a_warning(any_clinic: Clinic) -> None:
    assert any_clinic.finding("people")[0] == "fault"
    any_clinic.write(lambda session: enroll(session, "2001"))
    assert any_clinic.finding("people") == (
        "warning",
        "没有一个在职的管理员，聊天里没有人能排活动、办考试：请在花名册的“角色”列写上管理员，再导入。",
    )


def test_an_operator_who_is_nobody_is_a_fault(any_clinic: Clinic) -> None:
    any_clinic.set("OPERATOR", "9999")
    state, sentence = any_clinic.finding("operator")
    assert state == "fault"
    assert "9999" in sentence


def test_pushes_that_somebody_stopped_are_said_with_who_and_why(any_clinic: Clinic) -> None:
    any_clinic.write(lambda session: switches.turn(session, switches.PAUSED, True, "1010", context.now(), "防汛"))
    state, sentence = any_clinic.finding("pause")
    assert state == "warning"
    assert "1010" in sentence
    assert "防汛" in sentence


def test_a_clock_that_was_set_back_is_a_fault(any_clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    now = context.now()

    def heard(session: Session) -> None:
        person = enroll(session, "2001")
        session.execute(
            text(
                "INSERT INTO inbox (channel, app, sender, message_id, person_id, arrived_at, reply) "
                "VALUES ('wecom', 'a', 'u', 'm', :person, :at, '{}')"
            ),
            {"person": person, "at": f"{now:%Y-%m-%dT%H:%M:%S}.000000Z"},
        )

    any_clinic.write(heard)
    monkeypatch.setattr(context, "clock", lambda: now - timedelta(hours=1))
    state, sentence = any_clinic.finding("clock")
    assert state == "fault"
    assert "timedatectl" in sentence


# ── The platforms ──


@asynccontextmanager
async def _standing(platform: Any) -> AsyncIterator[str]:
    app = web.Application(middlewares=[platform.faults.middleware])
    platform.attach(app)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.fixture
def wecom(clinic: Clinic) -> Iterator[WeComPlatform]:
    platform = WeComPlatform(Time())
    with elsewhere(_standing(platform)) as address:
        for name, value in {"CORP_ID": CORP, "AGENT_ID": AGENT, "SECRET": SECRET, "TOKEN": TOKEN, "AES_KEY": AES_KEY, "API_BASE": address}.items():
            clinic.set(f"WECOM__{name}", value)
        yield platform


def test_a_platform_that_takes_us_is_fine_and_its_clock_is_compared_with_ours(
    clinic: Clinic, wecom: WeComPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "clock", lambda: datetime.now(UTC))
    checks = clinic.checks()
    assert checks["wecom"]["state"] == "ok"
    assert checks["clock"]["state"] == "ok"
    assert "企业微信" in checks["clock"]["sentence"]
    monkeypatch.setattr(context, "clock", lambda: datetime.now(UTC) - timedelta(minutes=7, seconds=30))
    state, sentence = clinic.finding("clock")
    assert state == "fault"
    assert "慢 7 分钟" in sentence


def test_a_platform_that_refuses_our_address_is_named_with_the_address(clinic: Clinic, wecom: WeComPlatform) -> None:
    wecom.trusts_us = False
    state, sentence = clinic.finding("wecom")
    assert state == "fault"
    assert "（203.0.113.9）" in sentence
    assert "60020" in sentence
    assert "可信 IP" in sentence


def test_a_wrong_secret_is_named_by_its_settings_and_never_said(clinic: Clinic, wecom: WeComPlatform) -> None:
    clinic.set("WECOM__SECRET", "canary-wrong-secret")
    status, out, err = clinic.shell.run("doctor")
    assert status == 1
    assert "✗ 企业微信：平台不认账号或密钥（40001）：请对照平台后台核对 BOT_WECOM__ 各项。" in out
    assert "canary-wrong-secret" not in out + err


def test_a_platform_that_cannot_be_reached_is_a_fault_of_the_network(clinic: Clinic, wecom: WeComPlatform) -> None:
    clinic.set("WECOM__API_BASE", f"http://127.0.0.1:{free_port()}")
    state, sentence = clinic.finding("wecom")
    assert state == "fault"
    assert "防火墙" in sentence


def test_an_official_account_whose_address_list_lacks_us(clinic: Clinic) -> None:
    platform = WeChatPlatform(Time())
    with elsewhere(_standing(platform)) as address:
        for name, value in {"APP_ID": APP, "SECRET": WECHAT_SECRET, "TOKEN": TOKEN, "AES_KEY": AES_KEY, "API_BASE": address}.items():
            clinic.set(f"WECHAT__{name}", value)
        assert clinic.finding("wechat")[0] == "ok"
        platform.faults.on("/cgi-bin/stable_token", says({"errcode": 40164, "errmsg": "invalid ip 198.51.100.4, not in whitelist rid: 1"}))
        state, sentence = clinic.finding("wechat")
    assert state == "fault"
    assert "（198.51.100.4）" in sentence


@pytest.fixture
def ding(clinic: Clinic) -> Iterator[FakeDingTalk]:
    with elsewhere(dingtalk()) as platform:
        for name, value in {"CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": DINGTALK_SECRET, "API_BASE": platform.url, "OAPI_BASE": platform.url}.items():
            clinic.set(f"DINGTALK__{name}", value)
        yield platform


def test_dingtalk_takes_the_app_on_both_of_its_apis(clinic: Clinic, ding: FakeDingTalk) -> None:
    assert clinic.finding("dingtalk")[0] == "ok"
    clinic.set("DINGTALK__CLIENT_SECRET", "another-secret-0")
    assert clinic.finding("dingtalk")[0] == "fault"


def test_a_month_whose_calls_are_used_up_is_said(clinic: Clinic, ding: FakeDingTalk) -> None:
    assert clinic.finding("quota")[0] == "ok"
    clinic.write(
        lambda session: session.execute(
            text("INSERT INTO budget (name, began, used) VALUES ('dingtalk/corp/month', :began, 3900)"),
            {"began": f"{(context.now() + timedelta(hours=8)).replace(day=1):%Y-%m-%d}T00:00:00.000000Z"},
        )
    )
    state, sentence = clinic.finding("quota")
    assert state == "warning"
    assert "dingtalk/corp/month" in sentence


def test_the_user_who_may_not_write_the_folder_is_told(clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    clinic.set("DATABASE_URL", f"sqlite:///{folder}/bot.db")
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    assert clinic.finding("database_folder")[0] == "fault"
