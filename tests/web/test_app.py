"""The whole service in a process of its own: it starts or says why not, and it stops without losing a message."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from bot.app import build, run
from bot.domain.message import Refusal
from bot.settings import Settings
from tests.conftest import ROOT
from tests.support.service import Service, bot, environment, running_service, served, settings, window

DEMO = ("1009", "1053", "1006", "1010", "1022")
WINDOWS = 15


def rows(path: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(query, values).fetchall()
    connection.close()
    return found


async def talk(service: Service, number: int, said: dict[str, str]) -> None:
    """Answer the daily set and ask for the hours, until the line is cut; `said` gets every message that was acknowledged, with its reply."""
    async with aiohttp.ClientSession() as session, window(session, service.url, DEMO[number % len(DEMO)]) as chat:
        for turn in itertools.count():
            ident = f"load-{number}-{turn}"
            text = ("每日", "A", "我的学时", "B")[turn % 4]
            try:
                frame = await chat.say(ident, text)
            except (TypeError, ConnectionError):
                return  # the line was closed: what was said last is not acknowledged
            if frame["type"] == "turn":
                said[ident] = frame["reply"]["text"]


async def test_a_signal_under_load_ends_the_service_in_order_and_loses_nothing_acknowledged(demo: Path) -> None:
    said: dict[str, str] = {}
    before = rows(demo, "SELECT count(*) FROM answer")[0][0]
    async with served("--demo", env=environment(demo)) as service:
        talking = [asyncio.create_task(talk(service, number, said)) for number in range(WINDOWS)]
        while len(said) <= WINDOWS:  # noqa: ASYNC110 - the other process says nothing of its own accord
            await asyncio.sleep(0.05)
        assert not any(one.done() for one in talking), "who was served hung up"
        assert await service.end() == 0
        await asyncio.gather(*talking)
    kept = {row[0]: json.loads(row[1])["text"] for row in rows(demo, "SELECT message_id, reply FROM inbox")}
    shed = {ident for ident, reply in said.items() if "未记录" in reply}
    assert {ident: reply for ident, reply in said.items() if ident not in shed} == {ident: kept[ident] for ident in said if ident not in shed}
    recorded = {ident for ident, reply in said.items() if reply.startswith("已记录")}
    answers = [row[0] for row in rows(demo, "SELECT message_id FROM answer WHERE message_id LIKE 'load-%'")]
    assert recorded
    assert recorded <= set(answers)
    assert len(answers) == len(set(answers)) == rows(demo, "SELECT count(*) FROM answer")[0][0] - before


def test_the_limits_of_an_end_add_up_to_ten_seconds() -> None:
    """What is waited for when a signal comes: the channels' tasks, then the writers, each for no longer than this."""
    assert run.REQUEST_SHUTDOWN_SECONDS <= run.CHANNEL_SHUTDOWN_SECONDS
    assert run.CHANNEL_SHUTDOWN_SECONDS + run.WRITER_SHUTDOWN_SECONDS <= 10


async def test_a_message_said_again_to_the_next_process_gets_the_reply_it_got_then(demo: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with served("--demo", env=environment(demo)) as service:
            async with window(session, service.url, "1009") as chat:
                first = await chat.say("said-before-the-restart", "每日")
            assert await service.end(signal.SIGINT) == 0
        async with served("--demo", env=environment(demo)) as service:
            async with window(session, service.url, "1009") as chat:
                again = await chat.say("said-before-the-restart", "每日")
            assert await service.end() == 0
    assert again["reply"] == first["reply"]
    assert len(rows(demo, "SELECT 1 FROM sitting WHERE state = 'open'")) == 1


async def test_the_start_says_where_it_stands_and_which_channels_are_on(demo: Path) -> None:
    wecom = {f"BOT_WECOM__{key}": "x" * 12 for key in ("CORP_ID", "SECRET", "TOKEN")} | {
        "BOT_WECOM__AGENT_ID": "1000002",
        "BOT_WECOM__AES_KEY": "a" * 43,
    }
    async with served("--demo", env={**environment(demo), **wecom}) as service:
        assert service.out[0] == f"学法机器人已启动：{service.url}/chat"
        assert service.out[1] == "已开启的通道：本地聊天页、企业微信；未开启：微信公众号、钉钉、专有钉钉"
        async with aiohttp.ClientSession() as session, session.get(f"{service.url}/channels/wecom") as answer:
            assert answer.status == 400
        assert await service.end() == 0


async def test_a_service_that_nobody_can_talk_to_says_what_to_do_and_serves_all_the_same(sqlite_engine: Engine) -> None:
    async with running_service(sqlite_engine, web={"local_chat": False}) as service, aiohttp.ClientSession() as session:
        assert "至少一个通道的设置" in service.said[2]
        assert "serve --demo" in service.said[2]
        async with session.get(f"{service.url}/readyz") as answer:
            assert answer.status == 200


async def test_a_started_service_is_ready_within_two_hundred_mebibytes(demo: Path) -> None:
    async with served("--demo", env=environment(demo)) as service:
        async with aiohttp.ClientSession() as session, session.get(f"{service.url}/readyz") as answer:
            assert answer.status == 200
        status = Path(f"/proc/{service.process.pid}/status").read_text()
        assert await service.end() == 0
    memory = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
    assert memory < 200 * 1024


RARELY_NEEDED = (
    "psycopg", "pygments", "rich", "segno", "xlsxwriter", "jinja2", "typst", "jieba", "markdown_it", "wechatpy", "requests",
    *(f"bot.channels.{name}.channel" for name in ("wecom", "wechat", "dingtalk", "zwding")),
)  # fmt: skip


def test_what_few_need_is_not_loaded_for_all() -> None:
    loaded = "import sys; import bot.app.run; from bot import logs; logs.configure(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    assert {"bot.app.run", "structlog"} <= set(modules)
    assert set(RARELY_NEEDED) & set(modules) == set()


async def test_a_callback_and_a_page_on_one_connection_are_served_and_stopped_in_order(sqlite_engine: Engine) -> None:
    """The whole service: what is numbered, counted and refused on the way past aiohttp is what it is on the way through it."""
    wecom = {"corp_id": "ww1", "agent_id": "1000002", "secret": "x" * 12, "token": "y" * 12, "aes_key": "a" * 43}
    whole = b"POST /channels/wecom?msg_signature=%b&timestamp=1&nonce=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n<xml>" % (b"0" * 40)
    with capture_logs() as entries:
        async with running_service(sqlite_engine, wecom=wecom) as service:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            answers = []
            for part in ((whole,), (whole[:50], whole[50:]), (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",)):
                for piece in part:
                    writer.write(piece)
                    await asyncio.sleep(0.05)
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length: ")[2].split()[0])
                answers.append((head.splitlines()[0], "content-security-policy" in head.lower(), (await reader.readexactly(length)).decode()))
            async with aiohttp.ClientSession() as session, session.get(f"{service.url}/metrics") as response:
                page = await response.text()
            idle = reader
        assert await idle.read() == b""
        writer.close()
    assert answers == [("HTTP/1.1 400 Bad Request", False, "bad request")] * 2 + [("HTTP/1.1 200 OK", True, '{"status": "ok"}')]
    assert 'bot_callbacks_refused_total{channel="wecom"} 2.0' in page
    assert [entry["reason"] for entry in entries if entry["event"] == "callback refused"] == ["plain", "plain"]
    assert [entry["loop"] for entry in entries if entry["event"] == "serving"] == ["asyncio"]


# ── What stops a start ──


async def test_a_taken_port_is_one_sentence(demo: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, err = await bot("serve", "--demo", env=environment(demo, port))
    assert status == 1
    assert f"端口 {port} 已被占用" in err
    assert "Traceback" not in err


async def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file where a directory should be")
    for command in (("serve", "--demo"), ("serve",), ("migrate",)):
        status, _, err = await bot(*command, env=environment(tmp_path / "var" / "bot.db"))
        assert status == 1
        assert "数据目录写不了" in err
        assert "Traceback" not in err


async def test_a_schema_that_is_missing_or_of_tomorrow_is_refused(tmp_path: Path, demo: Path) -> None:
    status, _, err = await bot("serve", env=environment(tmp_path / "empty.db"))
    assert (status, "还没有建表" in err) == (1, True)
    with sqlite3.connect(demo) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for command in (("serve",), ("serve", "--demo"), ("chat", "--demo")):
        status, _, err = await bot(*command, env=environment(demo))
        assert (status, "9999" in err, "Traceback" in err) == (1, True, False), err


async def test_the_demo_refuses_a_database_that_holds_real_people(demo: Path) -> None:
    with sqlite3.connect(demo) as connection:
        connection.execute("UPDATE unit SET path = replace(path, '某市机关事务管理局', '真的局')")
    connection.close()
    status, _, err = await bot("serve", "--demo", env=environment(demo))
    assert (status, "演示模式只能用在空库上" in err) == (1, True)


async def test_half_a_channel_and_an_open_chat_page_are_refused_by_name(tmp_path: Path) -> None:
    for more, named in (
        ({"BOT_WECOM__CORP_ID": "ww1"}, "BOT_WECOM__SECRET"),
        ({"BOT_LISTEN": "0.0.0.0:0"}, "local_chat"),
        ({"BOT_NIX": "1"}, "BOT_NIX"),
    ):
        status, _, err = await bot("serve", "--demo", env={**environment(tmp_path / "bot.db"), **more})
        assert (status, named in err, "Traceback" in err) == (2, True, False), err


async def test_a_fault_in_the_files_stops_the_start_with_place_and_sentence(sqlite_engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "laws.yaml").write_text("laws:\n  - title: [\n")
    with pytest.raises(Refusal, match=r"content/laws\.yaml:\d+: "):
        build.build(settings(), sqlite_engine, root=tmp_path)


async def test_a_channel_that_cannot_work_with_its_settings_is_refused(sqlite_engine: Engine) -> None:
    broken = {"corp_id": "ww1", "agent_id": "no number", "secret": "x" * 12, "token": "y" * 12, "aes_key": "a" * 43}
    with pytest.raises(Refusal, match="企业微信的设置不对"):
        run.build_web_app(build.build(Settings(wecom=broken), sqlite_engine))


async def test_every_channel_can_be_on_at_once_on_either_database(engine: Engine) -> None:
    on: dict[str, Any] = {
        "wecom": {"corp_id": "ww1", "agent_id": "1000002", "secret": "x" * 12, "token": "y" * 12, "aes_key": "a" * 43},
        "wechat": {"app_id": "wx1", "secret": "x" * 12, "token": "y" * 12, "aes_key": "a" * 43, "verified": True, "template": "tpl"},
        "dingtalk": {"client_id": "ding1", "client_secret": "x" * 12, "mode": "http", "card_calls": 100, "agent_id": "7"},
        "zwding": {"gateway": "https://gateway.example.gov.cn", "app_key": "app", "app_secret": "x" * 12, "tenant_id": "1"},
    }
    async with running_service(engine, **on) as service, aiohttp.ClientSession() as session:
        assert service.said[1] == "已开启的通道：本地聊天页、企业微信、微信公众号、钉钉、专有钉钉；未开启：无"
        for path in ("wecom", "wechat", "dingtalk", "dingtalk/card", "zwding"):
            async with session.post(f"{service.url}/channels/{path}", data=b"rubbish") as answer:
                assert (answer.status, await answer.text()) == (400, "bad request"), path
