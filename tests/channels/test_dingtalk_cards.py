"""Cards: what is put into them, what a tap does, and what the person reads afterwards (bot/docs/protocols.md#dingtalk-cards)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from bot.channels.dingtalk import cards
from bot.channels.dingtalk.answering import TAP_SECONDS
from bot.channels.outbound.errors import PlatformError
from bot.domain.message import Address, Incoming, Option, QuestionCard, Reply
from tests.support.platforms.dingtalk import CLIENT_ID, Json, tap
from tests.support.platforms.dingtalk_bot import QUESTION, SEVERAL, TEMPLATE, LoopbackBot, loopback_bot

ASKED = Reply(text="开始答题", card=QUESTION, buttons=(Option("跳过", "跳过"),))
PERSON = Address("dingtalk", CLIENT_ID, "staff01")


async def asked(loopback: LoopbackBot, reply: Reply = ASKED) -> Json:
    """The card that a person gets for a message."""
    loopback.reply = lambda _: reply
    await loopback.platform.push(loopback.platform.robot_frame("答题"))
    await loopback.platform.until(lambda: bool(loopback.platform.cards))
    loopback.heard.clear()
    return loopback.platform.cards[-1]


async def tapped(loopback: LoopbackBot, track: str, choice: str, **over: Any) -> Json:
    frame = loopback.platform.tap_frame(track, choice, **over)
    await loopback.platform.push(frame)
    ack = await loopback.platform.ack(frame["headers"]["messageId"])
    assert ack["code"] == 200
    response: Json = ack["data"]["response"]
    return response


async def test_a_question_goes_out_whole_as_text_and_again_as_a_card() -> None:
    async with loopback_bot(cards=True) as loopback:
        card = await asked(loopback)

    assert loopback.platform.webhooks[0]["msgtype"] == "text"
    for part in ("开始答题", "第2/5题（单选）", "合同自何时成立？", "A. 签字时", "回复 A/B"):
        assert part in loopback.platform.said()[0]
    assert card["cardTemplateId"] == TEMPLATE
    assert card["callbackType"] == "STREAM"
    assert card["openSpaceId"] == "dtv1.card//IM_ROBOT.Staff01"
    assert card["imRobotOpenDeliverModel"] == {"spaceType": "IM_ROBOT", "robotCode": CLIENT_ID}
    param = card["cardData"]["cardParamMap"]
    assert all(isinstance(value, str) for value in param.values())
    assert json.loads(param["options"]) == [{"k": "A", "t": "A. 签字时"}, {"k": "B", "t": "B. 交付时"}]
    assert json.loads(param["commands"]) == [{"k": "cmd:跳过", "t": "跳过"}]
    assert card["privateData"]["Staff01"]["cardParamMap"]["answered"] == "false"


async def test_one_tap_answers_and_the_card_shows_the_verdict_to_the_one_who_tapped() -> None:
    async with loopback_bot(cards=True) as loopback:
        card = await asked(loopback)
        loopback.reply = lambda _: Reply(text="已记录，回答正确。", done="已选 B")

        response = await tapped(loopback, card["outTrackId"], "B")
        await asyncio.sleep(0.1)

    (heard,) = loopback.heard
    assert (heard.kind, heard.text, heard.task, heard.sender) == ("tap", "B", "attempt7:2", PERSON)
    assert response["cardUpdateOptions"] == {"updateCardDataByKey": True, "updatePrivateDataByKey": True}
    assert response["userPrivateData"]["cardParamMap"] == {"answered": "true", "result": "已选 B\n已记录，回答正确。", "commands": "[]"}
    assert len(loopback.platform.cards) == 1
    assert len(loopback.platform.webhooks) == 1


async def test_the_next_question_follows_the_verdict_without_saying_it_twice() -> None:
    async with loopback_bot(cards=True) as loopback:
        card = await asked(loopback)
        loopback.reply = lambda _: Reply(text="已记录。", card=SEVERAL, done="已选 B")

        await tapped(loopback, card["outTrackId"], "B")
        await loopback.platform.until(lambda: len(loopback.platform.cards) == 2)

    assert "哪些是民事主体？" in loopback.platform.said()[-1]
    assert "已记录" not in loopback.platform.said()[-1]
    assert loopback.platform.cards[1]["cardData"]["cardParamMap"]["multiple"] == "true"


async def test_a_verdict_too_long_for_the_card_is_also_said() -> None:
    async with loopback_bot(cards=True) as loopback:
        card = await asked(loopback)
        loopback.reply = lambda _: Reply(text="已记录。" + "解" * 900, done="已选 B")

        response = await tapped(loopback, card["outTrackId"], "B")
        await loopback.platform.until(lambda: len(loopback.platform.webhooks) == 2)

    assert len(response["userPrivateData"]["cardParamMap"]["result"].encode()) <= 1000
    assert loopback.platform.said()[-1].endswith("解" * 900)


async def test_a_refused_tap_leaves_the_card_open_and_says_why() -> None:
    async with loopback_bot(cards=True) as loopback:
        card = await asked(loopback)
        loopback.reply = lambda _: Reply(text="未记录：这道题已经结束。")

        response = await tapped(loopback, card["outTrackId"], "B")

    assert response["userPrivateData"]["cardParamMap"] == {"result": "未记录：这道题已经结束。"}


@pytest.mark.parametrize("told", [True, False])
async def test_several_are_flipped_one_by_one_and_submitted_together(told: bool) -> None:
    async with loopback_bot(cards=True) as loopback:
        card = await asked(loopback, Reply(card=SEVERAL))
        chosen = ""
        for letter in ("C", "B", "A", "B"):
            response = await tapped(loopback, card["outTrackId"], letter, chosen=chosen if told else None)
            chosen = response["userPrivateData"]["cardParamMap"]["chosen"]
        assert loopback.heard == []
        loopback.reply = lambda _: Reply(text="已记录。", done="已选 AC")

        response = await tapped(loopback, card["outTrackId"], "submit", chosen=chosen if told else None)

    assert chosen == "AC"
    assert [(one.text, one.task) for one in loopback.heard] == [("AC", "attempt7:3")]
    assert response["userPrivateData"]["cardParamMap"]["answered"] == "true"


async def test_nothing_chosen_is_not_submitted() -> None:
    async with loopback_bot(cards=True) as loopback:
        card = await asked(loopback, Reply(card=SEVERAL))

        response = await tapped(loopback, card["outTrackId"], "submit")

    assert response["userPrivateData"]["cardParamMap"]["result"] == cards.FIRST_CHOICE
    assert loopback.heard == []


async def test_a_command_button_is_heard_as_its_words_and_belongs_to_no_task() -> None:
    async with loopback_bot(cards=True) as loopback:
        card = await asked(loopback)
        loopback.reply = lambda _: Reply(text="已跳过。")

        await tapped(loopback, card["outTrackId"], "cmd:跳过")
        await loopback.platform.until(lambda: len(loopback.platform.webhooks) == 2)

    assert [(one.text, one.task, one.kind) for one in loopback.heard] == [("跳过", "", "tap")]
    assert loopback.platform.said()[-1] == "已跳过。"


async def test_the_person_is_who_the_envelope_says_whatever_the_parameters_claim() -> None:
    async with loopback_bot(cards=True) as loopback:
        card = await asked(loopback)
        frame = loopback.platform.tap_frame(card["outTrackId"], "B", staff="Other09")
        data = json.loads(frame["data"])
        content = json.loads(data["content"])
        content["cardPrivateData"]["params"] |= {"userId": "Staff01", "task": "other:1", "staff": "Staff01"}
        data["content"] = json.dumps(content)
        await loopback.platform.push({**frame, "data": json.dumps(data)})
        await loopback.platform.ack(frame["headers"]["messageId"])

    assert [(one.sender.user, one.task) for one in loopback.heard] == [("other09", "attempt7:2")]


async def test_a_slow_decision_is_answered_in_two_seconds_and_the_card_changed_later() -> None:
    told = asyncio.Event()

    async def slow(incoming: Incoming) -> None:
        await told.wait()

    async with loopback_bot(cards=True) as loopback:
        card = await asked(loopback)
        loopback.before = slow
        loopback.reply = lambda _: Reply(text="已记录。", card=SEVERAL, done="已选 B")

        assert TAP_SECONDS < 2.0
        assert await tapped(loopback, card["outTrackId"], "B") == {}
        told.set()
        await loopback.platform.until(lambda: bool(loopback.platform.updates) and len(loopback.platform.cards) == 2)

    update = loopback.platform.updates[0]
    assert update["outTrackId"] == card["outTrackId"]
    assert update["privateData"]["Staff01"]["cardParamMap"]["answered"] == "true"
    assert loopback.count("late") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"outTrackId": ""}, {"outTrackId": 7}, {"content": "{"}, {"content": "[]"}, {"content": "7"}, {"content": '{"cardPrivateData":[]}'},
        {"content": None, "value": None},
        {"content": '{"cardPrivateData":{"params":{"choice":7}}}'}, {"content": '{"cardPrivateData":{"params":[]}}'},
        {"userId": ["a"]}, {"userId": "a\nb"},
    ],
)  # fmt: skip
async def test_a_malformed_tap_is_refused(wrong: Json) -> None:
    async with loopback_bot(cards=True) as loopback:
        data = {**tap(cards.new_track(QUESTION), "A"), **wrong}
        await loopback.platform.push(loopback.platform.frame("/v1.0/card/instances/callback", data, "bad"))

        assert (await loopback.platform.ack("bad"))["code"] == 400
        assert loopback.heard == []


@pytest.mark.parametrize(
    "track", ["x", "xfs.!!.0123456789abcdef", "xfs.gICA.0123456789abcdef", "xfs." + "A" * 401 + ".0123456789abcdef", "00000000-0000"]
)
async def test_a_card_that_is_none_of_ours_changes_nothing(track: str) -> None:
    async with loopback_bot(cards=True) as loopback:
        assert await tapped(loopback, track, "A") == {}
        assert loopback.heard == []


@pytest.mark.parametrize("over", [{"userId": ""}, {"userIdType": 2}])
async def test_a_tap_by_nobody_is_not_recorded(over: Json) -> None:
    async with loopback_bot(cards=True) as loopback:
        data = {**tap(cards.new_track(QUESTION), "A"), **over}
        await loopback.platform.push(loopback.platform.frame("/v1.0/card/instances/callback", data, "nobody"))

        assert (await loopback.platform.ack("nobody"))["code"] == 200
        assert loopback.heard == []


async def test_a_card_that_cannot_be_made_leaves_the_text() -> None:
    async def refuse(body: Json) -> web.StreamResponse:
        return web.json_response({"success": True, "result": {"deliverResults": [{"success": False, "errorMsg": "no"}]}})

    async with loopback_bot(cards=True) as loopback:
        loopback.platform.scripts["/v1.0/card/instances/createAndDeliver"] = refuse
        loopback.reply = lambda _: ASKED
        await loopback.platform.push(loopback.platform.robot_frame("答题"))
        await loopback.settle(lambda: loopback.count("send_failed") == 1)

        assert "合同自何时成立？" in loopback.platform.said()[0]


async def test_unasked_a_card_is_enough_and_a_text_takes_its_place_when_it_fails() -> None:
    async def refuse(body: Json) -> web.StreamResponse:
        return web.json_response({"code": "param.error", "message": "template"}, status=400)

    async with loopback_bot(cards=True) as loopback:
        await loopback.channel.send(PERSON, ASKED)
        assert (len(loopback.platform.cards), loopback.platform.robots) == (1, [])
        loopback.platform.scripts["/v1.0/card/instances/createAndDeliver"] = refuse

        await loopback.channel.send(PERSON, ASKED)

    assert "合同自何时成立？" in loopback.platform.said()[0]


async def test_an_unanswered_card_call_is_not_followed_by_a_second_message() -> None:
    async def vanish(body: Json) -> web.StreamResponse:
        return web.Response(status=504)

    async with loopback_bot(cards=True) as loopback:
        loopback.platform.scripts["/v1.0/card/instances/createAndDeliver"] = vanish

        with pytest.raises(PlatformError) as caught:
            await loopback.channel.send(PERSON, ASKED)

    assert caught.value.kind == "unknown"
    assert loopback.platform.robots == []


@pytest.mark.parametrize("task", ["", "attempt7:2", "考试/第一题", "x" * 200])
def test_a_task_travels_in_the_cards_own_id(task: str) -> None:
    for several in (False, True):
        track = cards.new_track(QuestionCard(task, "", "", (), several))
        assert cards.read_track(track) == cards.Track(task, several)
        assert track != cards.new_track(QuestionCard(task, "", "", (), several))
