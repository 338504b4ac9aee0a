"""How a reply reaches a person in 钉钉: by the message's webhook where it may be trusted and still lives, else by the robot.

See bot/docs/reliability.md O9.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from bot.channels.dingtalk import reply as dingtalk_reply
from bot.channels.outbound.errors import PlatformError
from bot.domain.message import Address, Option, QuestionCard, Reply
from tests.support.platforms.dingtalk import CLIENT_ID, SECRET, Json
from tests.support.platforms.dingtalk_bot import NOW, QUESTION, SEVERAL, LoopbackBot, loopback_bot
from tests.support.platforms.faults import IMPATIENT

PERSON = Address("dingtalk", CLIENT_ID, "staff01")


@asynccontextmanager
async def canary() -> AsyncIterator[tuple[URL, list[str]]]:
    """A server that nobody should ever call."""
    hits: list[str] = []

    async def hit(request: web.Request) -> web.Response:
        hits.append(request.path_qs)
        return web.json_response({"errcode": 0})

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", hit)
    async with TestServer(app) as server:
        yield server.make_url("/"), hits


def hostile(trap: int, good: int) -> list[str]:
    """Sixty ways to lead somewhere else; `trap` is the canary's port, `good` the platform's."""
    ours, theirs = f"127.0.0.1:{good}", f"127.0.0.1:{trap}"
    hosts = [
        theirs, f"localhost:{trap}", f"127.1:{trap}", f"2130706433:{trap}", f"0x7f000001:{trap}", f"0177.0.0.1:{trap}", f"[::ffff:127.0.0.1]:{trap}",
        f"[::1]:{trap}", f"0.0.0.0:{trap}", f"127.0.0.1.:{trap}", f"oapi.dingtalk.com.localhost:{trap}", f"{ours}@{theirs}", f"{ours}%40{theirs}",
        f"a:b@{theirs}", f"a:b@{ours}", f"@{ours}", f"{ours}#@{theirs}", f"{ours}\\@{theirs}", f"{theirs}#{ours}", f"{theirs}?{ours}",
        f"{theirs}\\.{ours}",
        f"localhost:{good}", f"127.0.0.1:0{good}0", f"１２７.0.0.1:{trap}", f"127。0。0。1:{trap}", f"127.0.0.1%00:{trap}", f"[127.0.0.1]:{trap}",
    ]  # fmt: skip
    found = [f"http://{host}/robot/sendBySession?session=x" for host in hosts]
    found += [f"https://{host}/robot/sendBySession?session=x" for host in (ours, theirs, f"localhost:{trap}", f"{ours}@{theirs}")]
    rest = f"{theirs}/robot/sendBySession"
    found += [
        "", " ", "robot", "/robot/sendBySession", f"//{rest}", f"http:/{rest}", f"http:{rest}", f"http:\\\\{rest}", f"HTTP://{rest}", f"hTTp:///{rest}",
        f"ftp://{rest}", f"file:///etc/passwd?{rest}", f"gopher://{rest}", f"ws://{rest}", f"http+unix://{rest}", f"data:,{rest}",
        f"javascript:{rest}",
        f" http://{rest}", f"http://{rest} ", f"http://{rest}\n", f"http://\n{rest}", f"http://\t{rest}", f"http://{theirs}\r\nHost: {ours}/robot",
        f"http://{ours} .{rest}", f"http://\u202e{rest}", f"http://{theirs}/{'a' * 5000}", f"http://{theirs}:{trap}/robot", f"http://:{trap}/", "http://",
    ]  # fmt: skip
    return found


async def test_a_hostile_webhook_is_never_called_and_the_answer_goes_by_the_robot() -> None:
    async with canary() as (trap, hits), loopback_bot() as loopback:
        forms = hostile(trap.port or 0, int(loopback.platform.url.rpartition(":")[2]))
        for n, form in enumerate(forms):
            await loopback.platform.push(loopback.platform.robot_frame(f"{n}", staff=f"p{n}", sessionWebhook=form))
        await loopback.platform.until(lambda: len(loopback.platform.robots) == len(forms), 30)

    assert len(forms) >= 60
    assert len(set(forms)) == len(forms)
    assert hits == []
    assert loopback.platform.webhooks == []
    assert {message["userIds"][0] for message in loopback.platform.robots} == {f"p{n}" for n in range(len(forms))}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_webhook_that_redirects_is_not_followed(status: int) -> None:
    async with canary() as (trap, hits), loopback_bot() as loopback:

        async def elsewhere(body: Json) -> web.StreamResponse:
            return web.Response(status=status, headers={"Location": str(trap / "robot/sendBySession")})

        loopback.platform.scripts["/robot/sendBySession"] = elsewhere
        await loopback.platform.push(loopback.platform.robot_frame("A"))
        await loopback.platform.until(lambda: len(loopback.platform.robots) == 1)

    assert hits == []


@pytest.mark.parametrize("until", [int(NOW.timestamp() * 1000) - 1, 0, -5, "soon", None, 1e400, 10**30, True, str(int(NOW.timestamp() * 1000) - 1)])
async def test_an_expired_webhook_is_not_used(until: object) -> None:
    async with loopback_bot() as loopback:
        frame = loopback.platform.robot_frame("A")
        data = {**json.loads(frame["data"]), "sessionWebhookExpiredTime": until}
        await loopback.platform.push({**frame, "data": json.dumps(data)})
        await loopback.platform.until(lambda: len(loopback.platform.robots) == 1)

    assert loopback.platform.webhooks == []
    sent = loopback.platform.robots[0]
    assert (sent["robotCode"], sent["userIds"], sent["msgKey"]) == (CLIENT_ID, ["Staff01"], "sampleText")
    assert json.loads(sent["msgParam"]) == {"content": "已记录 A"}


async def test_a_webhook_that_refuses_is_replaced_and_one_that_stays_silent_is_not() -> None:
    async def refuse(body: Json) -> web.StreamResponse:
        return web.json_response({"errcode": 300001, "errmsg": "session expired"})

    async def vanish(body: Json) -> web.StreamResponse:
        await asyncio.sleep(IMPATIENT + 1)
        return web.json_response({"errcode": 0})

    async with loopback_bot() as loopback:
        loopback.platform.scripts["/robot/sendBySession"] = refuse
        await loopback.platform.push(loopback.platform.robot_frame("A"))
        await loopback.platform.until(lambda: len(loopback.platform.robots) == 1)
        loopback.platform.scripts["/robot/sendBySession"] = vanish
        loopback.platform.faults.hurry()
        await loopback.platform.push(loopback.platform.robot_frame("B"))
        await loopback.settle(lambda: loopback.count("send_failed") == 1)

        assert len(loopback.platform.robots) == 1


async def test_unasked_a_person_is_told_by_the_robot() -> None:
    async with loopback_bot(robot_code="robot7") as loopback:
        await loopback.channel.send(PERSON, Reply("今天的每日一题到了"))

    (sent,) = loopback.platform.robots
    assert (sent["robotCode"], sent["userIds"]) == ("robot7", ["staff01"])
    assert loopback.platform.said() == ["今天的每日一题到了"]


async def test_unasked_buttons_go_as_an_action_card() -> None:
    async with loopback_bot() as loopback:
        await loopback.channel.send(PERSON, Reply(card=QUESTION))
        await loopback.channel.send(PERSON, Reply("学完了", buttons=(Option("下一页", "下一页"),)))

    two, one = loopback.platform.robots
    assert (two["msgKey"], one["msgKey"]) == ("sampleActionCard2", "sampleActionCard")
    assert json.loads(two["msgParam"])["actionTitle2"] == "B. 交付时"
    assert json.loads(one["msgParam"])["singleURL"].startswith("dtmd://dingtalkclient/sendMessage?content=")


@pytest.mark.parametrize(
    ("listed", "kind"), [("invalidStaffIdList", "recipient"), ("filteredStaffIdList", "recipient"), ("flowControlledStaffIdList", "rate")]
)
async def test_a_success_that_names_the_person_as_left_out_is_a_failure(listed: str, kind: str) -> None:
    async def partly(body: Json) -> web.StreamResponse:
        return web.json_response({"processQueryKey": "k", listed: ["STAFF01"]})

    async with loopback_bot() as loopback:
        loopback.platform.scripts["/v1.0/robot/oToMessages/batchSend"] = partly
        with pytest.raises(PlatformError) as caught:
            await loopback.channel.send(PERSON, Reply("题"))

    assert caught.value.kind == kind


async def test_in_a_group_the_answer_names_the_person_and_offers_no_buttons() -> None:
    async with loopback_bot(cards=True) as loopback:
        loopback.reply = lambda _: Reply(card=QUESTION)
        await loopback.platform.push(loopback.platform.robot_frame(" A", conversationType="2", isInAtList=True))
        await loopback.platform.until(lambda: len(loopback.platform.webhooks) == 1)
        await asyncio.sleep(0.1)

    assert (loopback.heard[0].text, loopback.heard[0].in_group) == ("A", True)
    assert loopback.platform.webhooks[0]["at"] == {"atUserIds": ["Staff01"], "isAtAll": False}
    assert loopback.platform.cards == []


async def test_an_empty_reply_says_nothing() -> None:
    async with loopback_bot() as loopback:
        loopback.reply = lambda _: Reply()
        frame = loopback.platform.robot_frame("A")
        await loopback.platform.push(frame)
        await loopback.platform.ack(frame["headers"]["messageId"])
        await loopback.channel.send(PERSON, Reply())
        await asyncio.sleep(0.1)

    assert loopback.platform.said() == []


async def test_an_outage_of_the_way_out_leaves_the_way_in_alone() -> None:
    back = asyncio.Event()

    async def hang(body: Json) -> web.StreamResponse:
        await back.wait()
        return web.Response(status=500)

    async with loopback_bot(stream={"limit": 4}) as loopback:
        loopback.platform.scripts = {"/robot/sendBySession": hang, "/v1.0/robot/oToMessages/batchSend": hang}
        frames = [loopback.platform.robot_frame(str(n), msg_id=f"m{n}") for n in range(100)]
        for frame in frames:
            await loopback.platform.push(frame)
        for frame in frames:
            await loopback.platform.ack(frame["headers"]["messageId"])

        assert len(loopback.committed) == 100
        back.set()


def texts(reply: Reply) -> list[str]:
    return [message["text"]["content"] for message in dingtalk_reply.webhook_messages(reply, "s", group=False, buttons=True)]


def test_a_long_text_is_cut_between_characters_and_nothing_is_lost() -> None:
    text = "\n".join(f"第{n}条 " + "法" * 50 for n in range(400))

    found = texts(Reply(text))

    assert all(len(part.encode()) <= dingtalk_reply.TEXT_BYTES for part in found)
    assert "\n".join(found) == text


def test_a_text_without_lines_is_cut_between_characters_too() -> None:
    found = texts(Reply("法😀" * 5000))

    assert "".join(found) == "法😀" * 5000
    assert len(found) == 3


def test_several_choices_and_too_many_buttons_are_typed() -> None:
    many = QuestionCard("t", "h", "s", tuple(Option(k, k) for k in "ABCDEF"))

    assert "可多选" in texts(Reply(card=SEVERAL))[0]
    assert "回复 A/B/C/D/E/F" in texts(Reply(card=many))[0]


@pytest.mark.parametrize(
    "name", ["[点我](https://evil.example)", "![](https://evil.example/x.png)", "<font color=red>", "**粗**", "# 题", "`x`", "@所有人"]
)
def test_markup_in_a_name_stays_a_name(name: str) -> None:
    (message,) = dingtalk_reply.webhook_messages(Reply(f"{name} 您好", buttons=(Option("好", "好"),)), "s", group=False, buttons=True)

    assert not set("*_#[]<>`~|\\!") & set(message["actionCard"]["text"])


async def test_the_secret_travels_only_in_the_token_request() -> None:
    async with loopback_bot() as loopback:
        await loopback.channel.send(PERSON, Reply("题"))

    assert SECRET not in json.dumps(loopback.platform.robots)


async def test_a_refused_answer_is_counted_and_a_copy_may_bring_it() -> None:
    async def refuse(body: Json) -> web.StreamResponse:
        return web.json_response({"code": "param.error"}, status=400)

    loopback: LoopbackBot
    async with loopback_bot() as loopback:
        loopback.platform.scripts["/v1.0/robot/oToMessages/batchSend"] = refuse
        await loopback.platform.push(loopback.platform.robot_frame("A", msg_id="m1", sessionWebhook=""))
        await loopback.settle(lambda: loopback.count("send_failed") == 1)
        loopback.platform.scripts.clear()
        await loopback.platform.push(loopback.platform.robot_frame("A", msg_id="m1", sessionWebhook=""))
        await loopback.platform.until(lambda: len(loopback.platform.robots) == 1)
