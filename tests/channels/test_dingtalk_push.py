"""DingTalk pushes over the loopback: robot, work notification, cards, groups, and taking back (bot/docs/protocols.md#dingtalk-robot)."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from bot.domain.message import Address, Option, OutboundMessage, Reply, SendReceipt
from tests.support.platforms.dingtalk import CLIENT_ID, GROUP_SECRET, GROUP_TOKEN
from tests.support.platforms.dingtalk_bot import QUESTION, loopback_bot
from tests.support.platforms.faults import Fault, cut, delivered_then_silent, html, refuses, says

ROBOT = "/v1.0/robot/oToMessages/batchSend"
NOTIFY = "/topapi/message/corpconversation/asyncsend_v2"
NOTICE = Reply("周五下午三点开会")
LESSON = Reply("今天学第一课", buttons=(Option("学习 mfd-1191", "开始学习"),))


def parcels(count: int, reply: Reply = NOTICE, occurrence: int = 7) -> list[OutboundMessage]:
    return [OutboundMessage(Address("dingtalk", CLIENT_ID, f"u{n}"), reply, f"{occurrence}:{n}") for n in range(count)]


def outcomes(receipts: Sequence[SendReceipt]) -> list[str]:
    return [one.outcome for one in receipts]


def new_error(code: str) -> Fault:
    return says({"code": code, "message": "no", "requestid": "r"}, 403)


async def test_forty_five_people_cost_three_robot_calls() -> None:
    async with loopback_bot() as loopback:
        receipts = await loopback.channel.push(parcels(45))
        assert sorted(len(call["userIds"]) for call in loopback.platform.robots) == [5, 20, 20]
        assert sorted(user for call in loopback.platform.robots for user in call["userIds"]) == sorted(f"u{n}" for n in range(45))
        assert set(outcomes(receipts)) == {"sent"}
        assert all(one.platform_id.startswith("q:k") for one in receipts)


async def test_who_was_not_reached_is_told_apart_though_the_call_went_well() -> None:
    async with loopback_bot() as loopback:
        loopback.platform.invalid, loopback.platform.throttled, loopback.platform.filtered = {"u1"}, {"u2"}, {"u3"}
        receipts = await loopback.channel.push(parcels(5))
        assert outcomes(receipts) == ["sent", "failed", "later", "failed", "sent"]
        assert [one.error.split(":")[0] for one in receipts[1:4]] == [
            "recipient invalidStaffId",
            "flowControlledStaffId",
            "recipient filteredStaffId",
        ]
        assert receipts[2].retry_after == 60


async def test_buttons_are_an_action_card_that_speaks_for_the_person() -> None:
    async with loopback_bot() as loopback:
        await loopback.channel.push(parcels(1, LESSON))
        [call] = loopback.platform.robots
        param = json.loads(call["msgParam"])
        assert (call["msgKey"], param["singleTitle"]) == ("sampleActionCard", "开始学习")
        assert param["singleURL"].startswith("dtmd://dingtalkclient/sendMessage?content=")


@pytest.mark.parametrize(
    ("fault", "outcome", "stop"),
    [
        (new_error("Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"), "sent", False),
        (new_error("Forbidden.AccessDenied.ApiCountLimitForOrg"), "later", False),
        (new_error("Forbidden.AccessDenied.AccessTokenPermissionDenied"), "later", True),
        (says({"code": "InvalidAuthentication", "message": "token expired"}, 401), "sent", False),
        (says({"code": "param.error", "message": "bad"}, 400), "failed", False),
        (says({"status": 1111, "wait": 5, "punish": "deny"}), "later", False),
        (html, "unknown", False),
        (cut, "unknown", False),
        (delivered_then_silent, "unknown", False),
    ],
)
async def test_each_trouble_of_the_robot_has_its_outcome(fault: Fault, outcome: str, stop: bool) -> None:
    async with loopback_bot() as loopback:
        loopback.platform.faults.on(ROBOT, fault)
        [receipt] = await loopback.channel.push(parcels(1))
        assert (receipt.outcome, receipt.stop) == (outcome, stop)
        assert len(loopback.platform.robots) <= 1


async def test_a_notification_reaches_a_hundred_a_call_and_carries_the_days_mark() -> None:
    async with loopback_bot(agent_id="4711") as loopback:
        receipts = await loopback.channel.push(parcels(150))
        assert sorted(len(call["userid_list"].split(",")) for call in loopback.platform.notices) == [50, 100]
        assert loopback.platform.notices[0]["agent_id"] == "4711"
        text = loopback.platform.notices[0]["msg"]["text"]["content"]
        assert text.startswith("周五下午三点开会\n11-23 09:00 · ")
        assert set(outcomes(receipts)) == {"sent"}
        assert receipts[0].platform_id.startswith("t:100")
        assert loopback.platform.robots == []


async def test_the_same_words_twice_in_a_day_both_arrive() -> None:
    async with loopback_bot(agent_id="4711") as loopback:
        for occurrence in (7, 8):
            assert outcomes(await loopback.channel.push(parcels(3, LESSON, occurrence))) == ["sent"] * 3
        assert loopback.platform.forbidden == {}


async def test_what_a_notification_did_not_reach_after_all_is_asked_for() -> None:
    async with loopback_bot(agent_id="4711") as loopback:
        loopback.platform.invalid = {"u1"}
        loopback.platform.forbidden = {"u2": "143106", "u3": "143105", "u4": "143103"}
        receipts = await loopback.channel.push(parcels(5))
        assert outcomes(receipts) == ["sent", "failed", "failed", "later", "later"]
        assert len(loopback.platform.looks) == 1


async def test_a_result_that_cannot_be_read_leaves_what_the_platform_said() -> None:
    async with loopback_bot(agent_id="4711") as loopback:
        loopback.platform.faults.on("/topapi/message/corpconversation/getsendresult", refuses(400002))
        assert outcomes(await loopback.channel.push(parcels(2))) == ["sent", "sent"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (refuses(90018), "sent"),
        (refuses(90020), "later"),
        (says({"errcode": 88, "sub_code": "40014", "sub_msg": "不合法的access_token"}), "sent"),
        (says({"errcode": 88, "sub_code": "60011", "sub_msg": "没有权限"}), "later"),
        (refuses(1430002), "failed"),
        (html, "unknown"),
        (delivered_then_silent, "unknown"),
    ],
)
async def test_each_trouble_of_a_notification_has_its_outcome(fault: Fault, outcome: str) -> None:
    async with loopback_bot(agent_id="4711") as loopback:
        loopback.platform.faults.on(NOTIFY, fault)
        assert outcomes(await loopback.channel.push(parcels(1))) == [outcome]
        assert len(loopback.platform.notices) <= 1


async def test_words_too_long_for_a_notification_go_out_by_the_robot() -> None:
    async with loopback_bot(agent_id="4711") as loopback:
        receipts = await loopback.channel.push(parcels(30, Reply("法" * 1000)))
        assert sorted(len(call["userIds"]) for call in loopback.platform.robots) == [10, 20]
        assert set(outcomes(receipts)) == {"sent"}


async def test_cards_go_out_as_far_as_the_budget_and_words_to_the_rest() -> None:
    asked: list[int] = []

    async def may(count: int) -> int:
        asked.append(count)
        return 2

    async with loopback_bot(cards=True, grant_cards=may) as loopback:
        receipts = await loopback.channel.push([*parcels(3, Reply(card=QUESTION)), *parcels(1, NOTICE, 8)])
        assert asked == [3]
        assert [card["openSpaceId"].rpartition(".")[2] for card in loopback.platform.cards] == ["u0", "u1"]
        assert [one.platform_id[:2] for one in receipts] == ["c:", "c:", "q:", "q:"]
        assert receipts[0].platform_id.removeprefix("c:") == loopback.platform.cards[0]["outTrackId"]


async def test_without_a_budget_no_card_is_pushed() -> None:
    async with loopback_bot(cards=True) as loopback:
        await loopback.channel.push(parcels(3, Reply(card=QUESTION)))
        assert (loopback.platform.cards, len(loopback.platform.robots)) == ([], 1)


async def test_a_card_that_did_not_come_through_is_said_in_words() -> None:
    async def may(count: int) -> int:
        return count

    async with loopback_bot(cards=True, grant_cards=may) as loopback:
        undelivered = {"success": True, "result": {"deliverResults": [{"success": False, "errorMsg": "no"}]}}
        loopback.platform.faults.on("/v1.0/card/instances/createAndDeliver", says(undelivered))
        assert outcomes(await loopback.channel.push(parcels(1, Reply(card=QUESTION)))) == ["sent"]
        assert len(loopback.platform.robots) == 1


async def test_what_was_sent_is_taken_back_by_its_kind() -> None:
    async with loopback_bot() as loopback:
        receipts = await loopback.channel.recall(["q:k1", "t:1001", "c:xfs.YQ.0123456789abcdef", "q:old", ""])
        assert outcomes(receipts) == ["sent", "sent", "sent", "failed", "failed"]
        assert loopback.platform.recalls[:2] == [
            ("robot", {"robotCode": CLIENT_ID, "processQueryKeys": ["k1"]}),
            ("notice", {"agent_id": "", "msg_task_id": 1001}),
        ]
        assert loopback.platform.updates[0]["cardData"]["cardParamMap"]["options"] == "[]"


async def test_a_group_is_spoken_to_and_what_was_said_is_taken_back() -> None:
    async with loopback_bot() as loopback:
        receipt = await loopback.channel.groups.send("cid-group", NOTICE)
        assert (receipt.outcome, receipt.platform_id) == ("sent", "g1")
        assert loopback.platform.groups[0]["openConversationId"] == "cid-group"
        await loopback.channel.groups.recall("cid-group", receipt.platform_id)
        assert loopback.platform.recalls[0][1]["openConversationId"] == "cid-group"


async def test_a_custom_group_robot_signs_and_stops_when_it_is_too_fast() -> None:
    async with loopback_bot(group_token=GROUP_TOKEN, group_secret=GROUP_SECRET) as loopback:
        receipts = [await loopback.channel.groups.broadcast(NOTICE) for _ in range(21)]
        assert outcomes(receipts) == ["sent"] * 20 + ["later"]
        assert receipts[-1].retry_after == 600
        assert loopback.platform.customs[0] == {"msgtype": "text", "text": {"content": "周五下午三点开会"}}


async def test_without_a_custom_robot_nothing_is_broadcast() -> None:
    async with loopback_bot() as loopback:
        receipt = await loopback.channel.groups.broadcast(NOTICE)
        assert (receipt.outcome, receipt.stop) == ("later", True)
