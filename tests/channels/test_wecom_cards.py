"""What we say in WeCom: words, cards, verdicts (bot/docs/protocols.md#wecom-cards)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.domain.message import Incoming, Option, QuestionCard, Reply
from tests.support.platforms.questions import JUDGE, QUESTION, SEVERAL, Stage, card_for
from tests.support.platforms.servers import wecom_stands
from tests.support.platforms.wecom import AGENT, refusal


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with wecom_stands() as standing:
        yield standing


async def test_a_question_is_told_in_full_and_its_card_follows(stage: Stage) -> None:
    platform, ear = stage
    ear.says(Reply("开始答题", card=QUESTION, buttons=(Option("退出", "退出"),)))

    answer = await platform.say("答题 民法典")

    assert answer.content == (
        "开始答题\n\n第1/5题 单选\n民法典自哪一天起施行？\nA. 2020年5月28日\nB. 2021年1月1日\nC. 2021年5月1日\n\n（回复 A/B/C；也可回复「退出」）"
    )
    await platform.until(lambda: bool(platform.sent))
    [message] = platform.sent
    assert {name: message[name] for name in ("touser", "msgtype", "agentid", "enable_duplicate_check")} == {
        "touser": "zhangsan",
        "msgtype": "template_card",
        "agentid": int(AGENT),
        "enable_duplicate_check": 0,
    }
    card = message["template_card"]
    assert card["card_type"] == "button_interaction"
    assert (card["main_title"], card["sub_title_text"]) == ({"title": "第1/5题 单选"}, "民法典自哪一天起施行？")
    assert [(row["keyname"], row["value"]) for row in card["horizontal_content_list"]] == [
        ("A", "2020年5月28日"),
        ("B", "2021年1月1日"),
        ("C", "2021年5月1日"),
    ]
    assert [(button["text"], button["key"]) for button in card["button_list"]] == [("A", "q17|A"), ("B", "q17|B"), ("C", "q17|C")]
    assert card["action_menu"]["action_list"] == [{"text": "退出", "key": "|退出"}]
    assert card["task_id"].startswith("q17@")


async def test_short_options_stand_on_their_buttons(stage: Stage) -> None:
    card = await card_for(stage, Reply(card=JUDGE))
    assert [button["text"] for button in card["button_list"]] == ["对", "错"]
    assert "horizontal_content_list" not in card


async def test_a_question_with_several_answers_is_a_vote(stage: Stage) -> None:
    card = await card_for(stage, Reply(card=SEVERAL))
    assert card["card_type"] == "vote_interaction"
    assert card["checkbox"]["mode"] == 1
    assert [(tick["id"], tick["text"]) for tick in card["checkbox"]["option_list"]] == [("A", "A. 抵押权"), ("B", "B. 质权"), ("C", "C. 留置权")]
    assert card["submit_button"] == {"text": "提交", "key": "q19|"}


async def test_commands_alone_are_buttons_too(stage: Stage) -> None:
    card = await card_for(stage, Reply("今天的学习完成了。", buttons=(Option("每日", "每日一练"), Option("我的学时", "我的学时"))))
    assert [(button["text"], button["key"]) for button in card["button_list"]] == [("每日一练", "|每日"), ("我的学时", "|我的学时")]


async def test_two_cards_of_one_task_have_two_ids_and_strange_tasks_have_plain_ones(stage: Stage) -> None:
    platform, _ = stage
    strange = QuestionCard("测试:1|%" + "长" * 200, "", "对吗？", JUDGE.options)
    one, two = await card_for(stage, Reply(card=strange)), await card_for(stage, Reply(card=strange))
    assert one["task_id"] != two["task_id"]

    await platform.push(platform.tap(one, one["button_list"][0]["key"]))

    assert (stage[1].heard[-1].task, stage[1].heard[-1].text) == (strange.task, "对")


async def test_a_tap_is_heard_as_its_text_and_the_card_turns_into_the_verdict(stage: Stage) -> None:
    platform, ear = stage
    card = await card_for(stage, Reply(card=QUESTION))
    ear.says(Reply("已记录。答对了，依据民法典第一千二百六十条。", card=JUDGE, done="已选 B"))

    answer = await platform.push(platform.tap(card, "q17|B"))

    tap = ear.heard[-1]
    assert (tap.kind, tap.text, tap.task, tap.sender.user) == ("tap", "B", "q17", "zhangsan")
    shown = answer.fields["TemplateCard"]
    assert answer.fields["MsgType"] == "update_template_card"
    assert (shown["CardType"], shown["ReplaceText"]) == ("button_interaction", "已选 B")
    assert shown["SubTitleText"] == "已记录。答对了，依据民法典第一千二百六十条。"
    assert (shown["MainTitle"]["Title"], shown["QuoteArea"]["QuoteText"].splitlines()[0]) == ("第1/5题 单选", "民法典自哪一天起施行？")
    await platform.until(lambda: len(platform.cards) == 2)
    assert platform.cards[-1]["main_title"]["title"] == "第2/5题 判断"
    assert platform.texts == []


async def test_the_verdict_of_a_judgement_stands_beside_its_two_words(stage: Stage) -> None:
    platform, ear = stage
    card = await card_for(stage, Reply(card=JUDGE))
    ear.says(Reply("已记录。答错了。", done="已选 对"))

    answer = await platform.push(platform.tap(card, "q18|对"))

    assert answer.fields["TemplateCard"]["QuoteArea"]["QuoteText"] == "居住权可以转让。\n对\n错"


async def test_a_verdict_too_long_for_the_card_is_also_told_in_full(stage: Stage) -> None:
    platform, ear = stage
    card = await card_for(stage, Reply(card=QUESTION))
    ear.says(Reply("已记录。" + "解析" * 100, done="已选 A"))

    answer = await platform.push(platform.tap(card, "q17|A"))

    assert answer.fields["TemplateCard"]["SubTitleText"].startswith("已记录。解析")
    await platform.until(lambda: bool(platform.texts))
    assert platform.texts == ["已记录。" + "解析" * 100]


async def test_a_tap_with_no_words_in_reply_only_locks_the_card(stage: Stage) -> None:
    platform, ear = stage
    card = await card_for(stage, Reply(card=QUESTION))
    ear.says(Reply(card=JUDGE, done="已选 C"))

    answer = await platform.push(platform.tap(card, "q17|C"))

    assert (answer.fields["MsgType"], answer.fields["Button"]) == ("update_button", {"ReplaceName": "已选 C"})


@pytest.mark.parametrize(("ticked", "text"), [(("C", "A"), "AC"), (("B",), "B"), ((), "")])
async def test_a_submitted_vote_is_heard_as_its_letters(stage: Stage, ticked: tuple[str, ...], text: str) -> None:
    platform, ear = stage
    card = await card_for(stage, Reply(card=SEVERAL))

    await platform.push(platform.tap(card, card["submit_button"]["key"], ticked=ticked))

    assert (ear.heard[-1].kind, ear.heard[-1].text, ear.heard[-1].task) == ("tap", text, "q19")


async def test_the_corner_menu_of_a_card_is_heard_as_its_command_and_answered_in_words(stage: Stage) -> None:
    platform, ear = stage
    card = await card_for(stage, Reply(card=QUESTION, buttons=(Option("跳过", "跳过"),)))
    ear.says(Reply("已跳过。"))

    answer = await platform.push(platform.tap(card, "|跳过", event="template_card_menu_event"))

    assert (ear.heard[-1].kind, ear.heard[-1].text, ear.heard[-1].task) == ("tap", "跳过", "")
    assert answer.content == "已跳过。"


async def test_a_colleague_who_taps_answers_for_himself(stage: Stage) -> None:
    platform, ear = stage
    card = await card_for(stage, Reply(card=QUESTION))
    await platform.push(platform.tap(card, "q17|A", user="LiSi"))
    assert ear.heard[-1].sender.user == "lisi"


async def test_four_copies_of_a_question_get_one_card(stage: Stage) -> None:
    platform, ear = stage
    ear.says(Reply("开始", card=QUESTION))
    copy = platform.sealer.seal(platform.text("答题"), platform.clock().timestamp())

    answers = await asyncio.gather(*(platform.deliver(*copy) for _ in range(4)))
    await platform.say("再来")
    await platform.until(lambda: len(platform.cards) == 2)

    assert len({answer.content for answer in answers}) == 1
    assert len(platform.cards) == 2


async def test_a_text_longer_than_the_platform_carries_goes_on_in_further_ones(stage: Stage) -> None:
    platform, ear = stage
    whole = "\n".join(f"第{n}条 " + "法" * 60 for n in range(40))
    ear.says(Reply(whole))

    answer = await platform.say("查 民法典")
    await platform.until(lambda: len((answer.content + "\n" + "\n".join(platform.texts)).encode()) >= len(whole.encode()))

    assert "\n".join([answer.content, *platform.texts]) == whole
    assert all(len(part.encode()) <= 2048 for part in (answer.content, *platform.texts))


async def test_without_cards_everything_is_words() -> None:
    async with wecom_stands(cards=False) as (platform, ear):
        ear.says(Reply(card=SEVERAL))
        assert "（可多选，如 AB）" in (await platform.say("答题")).content
        assert ear.count("sent") == 0


async def test_where_the_card_is_refused_the_question_goes_out_in_words() -> None:
    told = asyncio.Event()
    async with wecom_stands(reply_seconds=0.05) as (platform, ear):
        platform.fault = lambda message: refusal(48002, "no right") if message["msgtype"] == "template_card" else None

        async def slowly(incoming: Incoming) -> Reply:
            await told.wait()
            return Reply(card=QUESTION)

        ear.replies = slowly
        await platform.say("答题")
        told.set()
        await platform.until(lambda: bool(platform.texts))
        assert platform.texts[0].endswith("（回复 A/B/C）")
