"""One event is one line of JSON, whatever is in it; and no secret is in it, however it got there."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from bot import logs
from bot.app.run import with_log_context
from bot.domain.message import Address, Incoming, Reply
from tests.conftest import NOW

SECRET = "s3cr3t/of+the=corporation"
TOKEN = "tok-en-of-the-callback"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers, root.level
    logs.configure([SECRET, TOKEN, "ab"], stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers, level = before
    root.setLevel(level)


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().split("\n") if line]


@pytest.mark.parametrize(
    "name",
    [
        "赵\r\n甲",
        "a\nb",
        "\x1b[31m红\x1b[0m",
        '"}{"event":"forged"}',
        "\x00\x07\x7f\x9b31m",
        "a\u2028b\u2029c\u0085d",
        "\u202eabc\ufeff",
        "\ud800",
        "\\",
        "😀",
    ],
)
def test_a_name_with_anything_in_it_is_one_line_and_obeyed_by_no_terminal(name: str, written: io.StringIO) -> None:
    structlog.get_logger().info("person imported", name=name)
    text = written.getvalue()
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1
    assert text[:-1].isprintable()
    assert lines(written)[0]["event"] == "person imported"
    assert lines(written)[0]["name"] == name


@pytest.mark.parametrize(
    "words",
    [
        {"reason": f"refused for {SECRET}"},
        {"reason": "GET /cgi-bin/gettoken?corpid=ww1&corpsecret=of-somebody-else&x=1"},
        {"reason": "https://api.weixin.qq.com/x?access_token=of-somebody-else"},
        {"reason": "Authorization: Bearer of-somebody-else"},
        {"reason": "postgresql://bot:of-somebody-else@10.0.0.1/bot"},
        {"reason": '{"appSecret": "of-somebody-else"}'},
        {"secret": "of-somebody-else"},
        {"access_token": "of-somebody-else"},
        {"answer": {"deep": [{"ticket": "of-somebody-else", "note": SECRET}]}},
        {"answer": [f"x{TOKEN}y"]},
        {"wrong": ValueError(f"no such {SECRET}")},
    ],
)
def test_no_secret_is_written_down(words: dict[str, Any], written: io.StringIO) -> None:
    structlog.get_logger().warning("platform refused", **words)
    text = written.getvalue()
    for secret in (SECRET, TOKEN, "of-somebody-else", json.dumps(SECRET)[1:-1]):
        assert secret not in text
    assert logs.MASK in text
    assert lines(written)[0]["event"] == "platform refused"


def test_a_secret_in_a_stack_trace_is_masked_and_the_trace_is_one_line(written: io.StringIO) -> None:
    try:
        raise RuntimeError(f"corpsecret={SECRET}\nsecond line")
    except RuntimeError:
        structlog.get_logger().exception("message failed")
    (line,) = lines(written)
    assert "RuntimeError" in line["exception"]
    assert SECRET not in written.getvalue()


def test_a_row_that_a_database_refused_is_not_written_down(written: io.StringIO) -> None:
    said = "violates counts_up\nDETAIL:  Failing row contains (2026-03-02, 赵甲的话, -1).\nCONTEXT:  none"
    try:
        raise ValueError(said)
    except ValueError:
        structlog.get_logger().exception("message failed", reason="DETAIL:  Key (user)=(o-openid) already exists.")
    text = written.getvalue()
    assert "counts_up" in text
    assert "赵甲的话" not in text
    assert "o-openid" not in text
    assert "CONTEXT" in text


def test_what_the_libraries_say_has_the_same_form(written: io.StringIO) -> None:
    logging.getLogger("aiohttp.server").error("Error handling request %s\nfrom %s", TOKEN, "10.0.0.1")
    (line,) = lines(written)
    assert line["level"] == "error"
    assert line["logger"] == "aiohttp.server"
    assert TOKEN not in line["event"]


async def test_a_line_carries_its_request_its_message_and_whose_it_is_without_saying_who(written: io.StringIO) -> None:
    async def answer(incoming: Incoming) -> Reply:
        structlog.get_logger().info("answered")
        logging.getLogger("apscheduler").warning("late")
        return Reply("好")

    before = logs.REQUEST.set(26)
    heard = Incoming(Address("wecom", "1000002", "zhaojia"), "B", "m-1" * 50, NOW)
    await with_log_context(answer)(heard)
    logs.REQUEST.reset(before)
    structlog.get_logger().info("afterwards")

    *about, after = lines(written)
    assert {line["request_id"][-2:] for line in about} == {"1a"}
    assert {line["message_id"] for line in about} == {heard.message_id[:100]}
    assert {line["person"] for line in about} == {logs.pseudonym(heard.sender)}
    assert len(about) == 2
    assert not {"request_id", "message_id", "person"} & after.keys()
    assert "zhaojia" not in written.getvalue()


def test_a_short_word_is_no_secret_and_a_long_one_is_cut(written: io.StringIO) -> None:
    structlog.get_logger().info("about abbeys", text="x" * 10_000)
    (line,) = lines(written)
    assert line["event"] == "about abbeys"
    assert len(line["text"]) == logs.LONGEST_VALUE + 1


def test_a_moment_stands_in_every_line_in_utc(written: io.StringIO) -> None:
    structlog.get_logger().info("x")
    assert lines(written)[0]["at"].endswith("Z")
