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
from tests.support.platforms.dingtalk_bot import QUESTION, SEVERAL, TEMPLATE, House, house

ASKED = Reply(text="开始答题", card=QUESTION, buttons=(Option("跳过", "跳过"),))
PERSON = Address("dingtalk", CLIENT_ID, "staff01")


async def asked(home: House, reply: Reply = ASKED) -> Json:
    """The card that a person gets for a message."""
    home.reply = lambda _: reply
    await home.platform.push(home.platform.robot_frame("答题"))
    await home.platform.until(lambda: bool(home.platform.cards))
    home.heard.clear()
    return home.platform.cards[-1]


async def tapped(home: House, track: str, choice: str, **over: Any) -> Json:
    frame = home.platform.tap_frame(track, choice, **over)
    await home.platform.push(frame)
    ack = await home.platform.ack(frame["headers"]["messageId"])
    assert ack["code"] == 200
    response: Json = ack["data"]["response"]
    return response


async def test_a_question_goes_out_whole_as_text_and_again_as_a_card() -> None:
    async with house(cards=True) as home:
        card = await asked(home)

    assert home.platform.webhooks[0]["msgtype"] == "text"
    for part in ("开始答题", "第2/5题（单选）", "合同自何时成立？", "A. 签字时", "回复 A/B"):
        assert part in home.platform.said()[0]
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
    async with house(cards=True) as home:
        card = await asked(home)
        home.reply = lambda _: Reply(text="已记录，回答正确。", done="已选 B")

        response = await tapped(home, card["outTrackId"], "B")
        await asyncio.sleep(0.1)

    (heard,) = home.heard
    assert (heard.kind, heard.text, heard.task, heard.sender) == ("tap", "B", "attempt7:2", PERSON)
    assert response["cardUpdateOptions"] == {"updateCardDataByKey": True, "updatePrivateDataByKey": True}
    assert response["userPrivateData"]["cardParamMap"] == {"answered": "true", "result": "已选 B\n已记录，回答正确。", "commands": "[]"}
    assert len(home.platform.cards) == 1
    assert len(home.platform.webhooks) == 1


async def test_the_next_question_follows_the_verdict_without_saying_it_twice() -> None:
    async with house(cards=True) as home:
        card = await asked(home)
        home.reply = lambda _: Reply(text="已记录。", card=SEVERAL, done="已选 B")

        await tapped(home, card["outTrackId"], "B")
        await home.platform.until(lambda: len(home.platform.cards) == 2)

    assert "哪些是民事主体？" in home.platform.said()[-1]
    assert "已记录" not in home.platform.said()[-1]
    assert home.platform.cards[1]["cardData"]["cardParamMap"]["multiple"] == "true"


async def test_a_verdict_too_long_for_the_card_is_also_said() -> None:
    async with house(cards=True) as home:
        card = await asked(home)
        home.reply = lambda _: Reply(text="已记录。" + "解" * 900, done="已选 B")

        response = await tapped(home, card["outTrackId"], "B")
        await home.platform.until(lambda: len(home.platform.webhooks) == 2)

    assert len(response["userPrivateData"]["cardParamMap"]["result"].encode()) <= 1000
    assert home.platform.said()[-1].endswith("解" * 900)


async def test_a_refused_tap_leaves_the_card_open_and_says_why() -> None:
    async with house(cards=True) as home:
        card = await asked(home)
        home.reply = lambda _: Reply(text="未记录：这道题已经结束。")

        response = await tapped(home, card["outTrackId"], "B")

    assert response["userPrivateData"]["cardParamMap"] == {"result": "未记录：这道题已经结束。"}


@pytest.mark.parametrize("told", [True, False])
async def test_several_are_flipped_one_by_one_and_submitted_together(told: bool) -> None:
    async with house(cards=True) as home:
        card = await asked(home, Reply(card=SEVERAL))
        chosen = ""
        for letter in ("C", "B", "A", "B"):
            response = await tapped(home, card["outTrackId"], letter, chosen=chosen if told else None)
            chosen = response["userPrivateData"]["cardParamMap"]["chosen"]
        assert home.heard == []
        home.reply = lambda _: Reply(text="已记录。", done="已选 AC")

        response = await tapped(home, card["outTrackId"], "submit", chosen=chosen if told else None)

    assert chosen == "AC"
    assert [(one.text, one.task) for one in home.heard] == [("AC", "attempt7:3")]
    assert response["userPrivateData"]["cardParamMap"]["answered"] == "true"


async def test_nothing_chosen_is_not_submitted() -> None:
    async with house(cards=True) as home:
        card = await asked(home, Reply(card=SEVERAL))

        response = await tapped(home, card["outTrackId"], "submit")

    assert response["userPrivateData"]["cardParamMap"]["result"] == cards.FIRST_CHOICE
    assert home.heard == []


async def test_a_command_button_is_heard_as_its_words_and_belongs_to_no_task() -> None:
    async with house(cards=True) as home:
        card = await asked(home)
        home.reply = lambda _: Reply(text="已跳过。")

        await tapped(home, card["outTrackId"], "cmd:跳过")
        await home.platform.until(lambda: len(home.platform.webhooks) == 2)

    assert [(one.text, one.task, one.kind) for one in home.heard] == [("跳过", "", "tap")]
    assert home.platform.said()[-1] == "已跳过。"


async def test_the_person_is_who_the_envelope_says_whatever_the_parameters_claim() -> None:
    async with house(cards=True) as home:
        card = await asked(home)
        frame = home.platform.tap_frame(card["outTrackId"], "B", staff="Other09")
        data = json.loads(frame["data"])
        content = json.loads(data["content"])
        content["cardPrivateData"]["params"] |= {"userId": "Staff01", "task": "other:1", "staff": "Staff01"}
        data["content"] = json.dumps(content)
        await home.platform.push({**frame, "data": json.dumps(data)})
        await home.platform.ack(frame["headers"]["messageId"])

    assert [(one.sender.user, one.task) for one in home.heard] == [("other09", "attempt7:2")]


async def test_a_slow_decision_is_answered_in_two_seconds_and_the_card_changed_later() -> None:
    told = asyncio.Event()

    async def slow(incoming: Incoming) -> None:
        await told.wait()

    async with house(cards=True) as home:
        card = await asked(home)
        home.before = slow
        home.reply = lambda _: Reply(text="已记录。", card=SEVERAL, done="已选 B")

        assert TAP_SECONDS < 2.0
        assert await tapped(home, card["outTrackId"], "B") == {}
        told.set()
        await home.platform.until(lambda: bool(home.platform.updates) and len(home.platform.cards) == 2)

    update = home.platform.updates[0]
    assert update["outTrackId"] == card["outTrackId"]
    assert update["privateData"]["Staff01"]["cardParamMap"]["answered"] == "true"
    assert home.count("late") == 1


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
    async with house(cards=True) as home:
        data = {**tap(cards.new_track(QUESTION), "A"), **wrong}
        await home.platform.push(home.platform.frame("/v1.0/card/instances/callback", data, "bad"))

        assert (await home.platform.ack("bad"))["code"] == 400
        assert home.heard == []


@pytest.mark.parametrize(
    "track", ["x", "xfs.!!.0123456789abcdef", "xfs.gICA.0123456789abcdef", "xfs." + "A" * 401 + ".0123456789abcdef", "00000000-0000"]
)
async def test_a_card_that_is_none_of_ours_changes_nothing(track: str) -> None:
    async with house(cards=True) as home:
        assert await tapped(home, track, "A") == {}
        assert home.heard == []


@pytest.mark.parametrize("over", [{"userId": ""}, {"userIdType": 2}])
async def test_a_tap_by_nobody_is_not_recorded(over: Json) -> None:
    async with house(cards=True) as home:
        data = {**tap(cards.new_track(QUESTION), "A"), **over}
        await home.platform.push(home.platform.frame("/v1.0/card/instances/callback", data, "nobody"))

        assert (await home.platform.ack("nobody"))["code"] == 200
        assert home.heard == []


async def test_a_card_that_cannot_be_made_leaves_the_text() -> None:
    async def refuse(body: Json) -> web.StreamResponse:
        return web.json_response({"success": True, "result": {"deliverResults": [{"success": False, "errorMsg": "no"}]}})

    async with house(cards=True) as home:
        home.platform.scripts["/v1.0/card/instances/createAndDeliver"] = refuse
        home.reply = lambda _: ASKED
        await home.platform.push(home.platform.robot_frame("答题"))
        await home.settle(lambda: home.count("send_failed") == 1)

        assert "合同自何时成立？" in home.platform.said()[0]


async def test_unasked_a_card_is_enough_and_a_text_takes_its_place_when_it_fails() -> None:
    async def refuse(body: Json) -> web.StreamResponse:
        return web.json_response({"code": "param.error", "message": "template"}, status=400)

    async with house(cards=True) as home:
        await home.channel.send(PERSON, ASKED)
        assert (len(home.platform.cards), home.platform.robots) == (1, [])
        home.platform.scripts["/v1.0/card/instances/createAndDeliver"] = refuse

        await home.channel.send(PERSON, ASKED)

    assert "合同自何时成立？" in home.platform.said()[0]


async def test_an_unanswered_card_call_is_not_followed_by_a_second_message() -> None:
    async def vanish(body: Json) -> web.StreamResponse:
        return web.Response(status=504)

    async with house(cards=True) as home:
        home.platform.scripts["/v1.0/card/instances/createAndDeliver"] = vanish

        with pytest.raises(PlatformError) as caught:
            await home.channel.send(PERSON, ASKED)

    assert caught.value.kind == "unknown"
    assert home.platform.robots == []


@pytest.mark.parametrize("task", ["", "attempt7:2", "考试/第一题", "x" * 200])
def test_a_task_travels_in_the_cards_own_id(task: str) -> None:
    for several in (False, True):
        track = cards.new_track(QuestionCard(task, "", "", (), several))
        assert cards.read_track(track) == cards.Track(task, several)
        assert track != cards.new_track(QuestionCard(task, "", "", (), several))
