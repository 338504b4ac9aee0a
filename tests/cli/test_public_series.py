"""`public` at the command line: articles for whoever follows the account, and a word into a group; shown first, said once, counted apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import Engine, text

from tests.support.platforms.cli_run import Shell, elsewhere, shell_on
from tests.support.platforms.dingtalk import CLIENT_ID, GROUP_SECRET, GROUP_TOKEN, FakeDingTalk, dingtalk
from tests.support.platforms.dingtalk import SECRET as dingtalk_SECRET
from tests.support.platforms.envelopes import AES_KEY, TOKEN
from tests.support.platforms.faults import html, refuses
from tests.support.platforms.plain import Time
from tests.support.platforms.wechat import APP, FOLLOWER, SECRET, WeChatPlatform

SEND = "/cgi-bin/message/mass/sendall"


@pytest.fixture
def shell(sqlite_engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    with shell_on(sqlite_engine, capsys, monkeypatch) as made:
        yield made


@asynccontextmanager
async def _wechat() -> AsyncIterator[tuple[WeChatPlatform, str]]:
    platform = WeChatPlatform(Time())
    app = web.Application(middlewares=[platform.faults.middleware])
    platform.attach(app)
    async with TestServer(app) as server:
        yield platform, str(server.make_url(""))


@pytest.fixture
def account(shell: Shell) -> Iterator[WeChatPlatform]:
    with elsewhere(_wechat()) as (platform, url):
        given = {"APP_ID": APP, "SECRET": SECRET, "TOKEN": TOKEN, "AES_KEY": AES_KEY, "API_BASE": url, "VERIFIED": "true"}
        for name, value in given.items():
            shell.patch.setenv(f"BOT_WECHAT__{name}", value)
        yield platform


def noted(engine: Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(text("SELECT action, target FROM audit ORDER BY id"))]


def test_a_lesson_becomes_a_draft_when_asked(shell: Shell, account: WeChatPlatform, sqlite_engine: Engine) -> None:
    status, out, err = shell.run("public", "draft", "mfd-1191", "--cover", "cover-1")
    assert (status, account.drafts) == (0, []), err
    assert "以上是预演" in out

    assert shell.json("public", "draft", "mfd-1191", "--cover", "cover-1", "--apply")["media_id"] == "media-1"
    [article] = account.drafts[0]["articles"]
    assert article["thumb_media_id"] == "cover-1"
    assert article["content"].startswith("<")
    assert "民法典" in article["content"]
    assert noted(sqlite_engine) == [("公众号草稿", "media-1")]


def test_a_mass_send_goes_out_once_however_often_it_is_asked_for(shell: Shell, account: WeChatPlatform, sqlite_engine: Engine) -> None:
    assert shell.json("public", "send", "media-1") == {"applied": False}
    for _ in range(2):
        assert shell.json("public", "send", "media-1", "--apply")["outcome"] == "sent"
    assert len(account.masses) == 1
    assert noted(sqlite_engine) == [("公众号群发", "media-1")] * 2


def test_a_mass_send_in_doubt_says_so_and_is_noted(shell: Shell, account: WeChatPlatform, sqlite_engine: Engine) -> None:
    account.faults.on(SEND, html)
    status, out, _ = shell.run("public", "send", "media-1", "--tag", "2", "--apply")
    assert (status, out) == (1, "不知道发出没有：请到后台看一眼，不要直接重发。\n")
    assert noted(sqlite_engine) == [("公众号群发", "media-1")]


def test_a_used_up_quota_is_told(shell: Shell, account: WeChatPlatform) -> None:
    account.faults.on(SEND, refuses(45028))
    assert shell.run("public", "send", "media-1", "--apply")[:2] == (1, "现在发不了，什么都没有发。\n")


def test_one_follower_sees_it_first(shell: Shell, account: WeChatPlatform) -> None:
    assert "以上是预演" in shell.run("public", "preview", "media-1", "--to", FOLLOWER)[1]
    assert account.previews == []
    assert shell.run("public", "preview", "media-1", "--to", FOLLOWER, "--apply")[0] == 0
    assert account.previews[0]["touser"] == FOLLOWER


def test_readers_are_numbers_and_nobody_on_the_roll(shell: Shell, account: WeChatPlatform, sqlite_engine: Engine) -> None:
    detail = {"stat_date": "2026-12-05", "target_user": 470, "int_page_read_user": 120, "int_page_read_count": 150}
    account.articles = [{"ref_date": "2026-12-04", "title": "宪法日", "details": [detail]}]
    assert shell.json("public", "readers", "2026-12-04") == [{"title": "宪法日", "reached": 470, "readers": 120, "reads": 150}]
    assert shell.run("public", "readers", "2026-12-06")[1] == "这一天没有群发，或平台还没有统计。\n"
    assert shell.run("public", "readers", "下周")[0] == 1
    with sqlite_engine.connect() as connection:
        assert connection.execute(text("SELECT (SELECT COUNT(*) FROM person) + (SELECT COUNT(*) FROM ledger)")).scalar_one() == 0


@pytest.mark.parametrize("words", [("draft", "no-such", "--cover", "c"), ("draft", "mfd-1191", "--cover", "c", "--apply"), ("send", "m", "--apply")])
def test_without_an_account_or_a_lesson_it_says_what_is_missing(shell: Shell, words: tuple[str, ...]) -> None:
    status, out, err = shell.run("public", *words)
    assert (status, out) == (1, "")
    assert "没有" in err


def test_a_group_hears_what_is_meant_for_it(shell: Shell, sqlite_engine: Engine) -> None:
    assert "BOT_DINGTALK__GROUP_TOKEN" in shell.run("public", "group", "周五开会")[2]
    with elsewhere(dingtalk()) as platform:
        ding: FakeDingTalk = platform
        given = {"CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": dingtalk_SECRET, "API_BASE": ding.url, "OAPI_BASE": ding.url}
        for name, value in {**given, "GROUP_TOKEN": GROUP_TOKEN, "GROUP_SECRET": GROUP_SECRET}.items():
            shell.patch.setenv(f"BOT_DINGTALK__{name}", value)
        assert shell.json("public", "group", "周五开会") == {"applied": False}
        assert ding.customs == []
        assert shell.json("public", "group", "周五开会", "--apply")["outcome"] == "sent"
        assert ding.customs == [{"msgtype": "text", "text": {"content": "周五开会"}}]
    assert noted(sqlite_engine) == [("群机器人", "dingtalk")]
