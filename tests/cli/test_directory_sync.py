"""`roster sync` at the command line, with the platforms on the loopback: read whole or not at all, shown before it is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import Engine

from bot.storage.db.database import Database
from bot.storage.people import roster
from tests.support.platforms.cli_run import Shell, elsewhere, shell_on
from tests.support.platforms.dingtalk import CLIENT_ID, FakeDingTalk, dingtalk
from tests.support.platforms.dingtalk import SECRET as dingtalk_SECRET
from tests.support.platforms.envelopes import AES_KEY, TOKEN
from tests.support.platforms.faults import cut, html, refuses, says
from tests.support.platforms.plain import Time
from tests.support.platforms.wecom import AGENT, CORP, SECRET, WeComPlatform


@pytest.fixture
def shell(sqlite_engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    with shell_on(sqlite_engine, capsys, monkeypatch) as made:
        yield made


@asynccontextmanager
async def _wecom() -> AsyncIterator[tuple[WeComPlatform, str]]:
    platform = WeComPlatform(Time())
    app = web.Application(middlewares=[platform.faults.middleware])
    platform.attach(app)
    async with TestServer(app) as server:
        yield platform, str(server.make_url(""))


def member(user: str, name: str, number: str, *departments: int, status: int = 1) -> dict[str, Any]:
    attrs = [{"type": 0, "name": "工号", "text": {"value": number}}] if number else []
    return {
        "userid": user,
        "name": name,
        "department": list(departments),
        "main_department": departments[0],
        "status": status,
        "extattr": {"attrs": attrs},
    }


@pytest.fixture
def wecom(shell: Shell) -> Iterator[WeComPlatform]:
    with elsewhere(_wecom()) as (platform, url):
        given = {"CORP_ID": CORP, "AGENT_ID": AGENT, "SECRET": SECRET, "TOKEN": TOKEN, "AES_KEY": AES_KEY, "API_BASE": url}
        for name, value in given.items():
            shell.patch.setenv(f"BOT_WECOM__{name}", value)
        platform.departments = [
            {"id": 1, "parentid": 0, "name": "某局"},
            {"id": 2, "parentid": 1, "name": "办公室"},
            {"id": 3, "parentid": 1, "name": "法规处"},
        ]
        zhang, li = member("ZhangSan", "张三", "1001", 2), member("LiSi", "李四", "1002", 3, 2)
        platform.users = {2: [zhang, li, member("Old", "旧人", "1009", 2, status=5)], 3: [li, member("Bot", "机器人", "", 3)]}
        yield platform


@pytest.fixture
def ding(shell: Shell) -> Iterator[FakeDingTalk]:
    with elsewhere(dingtalk()) as platform:
        for name, value in {"CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": dingtalk_SECRET, "API_BASE": platform.url, "OAPI_BASE": platform.url}.items():
            shell.patch.setenv(f"BOT_DINGTALK__{name}", value)
        platform.departments = {1: [{"dept_id": 20, "name": "办公室"}], 20: [{"dept_id": 21, "name": "文书科"}]}
        platform.users = {20: [{"userid": f"Ding{n}", "name": f"干部{'甲乙丙丁'[n % 4]}", "job_number": f"{2000 + n}"} for n in range(250)]}
        platform.users[21] = [{"userid": "Ding0", "name": "干部甲", "job_number": "2000"}]
        yield platform


def known(engine: Engine) -> dict[str, Any]:
    return {one.staff_no: one for one in Database(engine).read_now(roster.list_people)}


def test_the_contacts_of_wecom_are_shown_first_and_written_when_asked(shell: Shell, wecom: WeComPlatform, sqlite_engine: Engine) -> None:
    status, out, _ = shell.run("roster", "sync", "wecom")
    assert status == 0
    assert "新进 2" in out
    assert "没有导入：机器人 1 人" in out
    assert out.endswith("以上是预演，什么都没有写；加 --apply 生效。\n")
    assert known(sqlite_engine) == {}

    assert shell.json("roster", "sync", "wecom", "--apply")["applied"] is True
    assert {number: sorted(post.path for post in one.posts) for number, one in known(sqlite_engine).items()} == {
        "1001": ["某局/办公室"],
        "1002": ["某局/办公室", "某局/法规处"],
    }
    assert known(sqlite_engine)["1001"].accounts == {"wecom": ("zhangsan", "roster")}
    assert shell.json("roster", "sync", "wecom", "--apply")["changed"] == 0


def test_the_user_id_may_be_the_staff_number(shell: Shell, wecom: WeComPlatform) -> None:
    assert [one["staff_no"] for one in shell.json("roster", "sync", "wecom", "--staff-no", "userid")["joiners"]] == ["zhangsan", "lisi", "bot"]


def test_three_pages_of_dingtalk_are_read_whole(shell: Shell, ding: FakeDingTalk, sqlite_engine: Engine) -> None:
    assert shell.json("roster", "sync", "dingtalk", "--apply")["listed"] == 250
    assert sorted(post.path for post in known(sqlite_engine)["2000"].posts) == ["某局/办公室", "某局/办公室/文书科"]
    assert known(sqlite_engine)["2249"].accounts == {"dingtalk": ("ding249", "roster")}


@pytest.mark.parametrize("fault", [html, cut, refuses(60011), says({"errcode": 0, "result": {"has_more": True, "next_cursor": 0, "list": []}})])
def test_a_page_that_did_not_come_whole_changes_nothing(shell: Shell, ding: FakeDingTalk, sqlite_engine: Engine, fault: Any) -> None:
    ding.faults.on("/topapi/v2/user/list", says({"errcode": 0, "result": {"has_more": False, "list": []}}), fault, fault, fault)
    status, out, err = shell.run("roster", "sync", "dingtalk", "--apply", "--leavers-ok")
    assert (status, out) == (1, "")
    assert "没有读全" in err
    assert dingtalk_SECRET not in err
    assert known(sqlite_engine) == {}


def test_a_platform_that_is_too_busy_for_a_moment_is_asked_again(shell: Shell, ding: FakeDingTalk) -> None:
    ding.faults.on("/topapi/v2/department/listsub", refuses(90018))
    assert shell.json("roster", "sync", "dingtalk")["listed"] == 250


def test_a_platform_without_its_settings_is_named(shell: Shell) -> None:
    status, _, err = shell.run("roster", "sync", "wecom")
    assert (status, err) == (1, "企业微信还没有设置（BOT_WECOM__…），读不到它的通讯录。\n")


def test_an_address_that_is_not_trusted_is_told_what_to_do(shell: Shell, wecom: WeComPlatform) -> None:
    wecom.faults.on("/cgi-bin/department/list", refuses(60020))
    status, _, err = shell.run("roster", "sync", "wecom")
    assert status == 1
    assert "请检查密钥和可信 IP。" in err
