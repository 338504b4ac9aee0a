"""Whatever is asked, the card is one that WeCom accepts, and what a tap brings back is what was offered (bot/docs/protocols.md#wecom-cards)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.channels.render import decode_key, encode_key
from bot.channels.wecom.cards import card_of, label_without_letter, verdict_update
from bot.domain.message import Option, QuestionCard, Reply
from tests.support.platforms.envelopes import tree
from tests.support.platforms.plain import Time
from tests.support.platforms.wecom import AGENT, WeComPlatform

WORDS = st.text(st.one_of(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), st.sampled_from("ABab12 .、|%:@_-\n😀<>&]")), max_size=60)
LONG = st.builds(lambda text, times: text * times, WORDS, st.integers(1, 8))
SAYS = st.lists(WORDS.filter(bool), max_size=24, unique=True)
OPTIONS = st.builds(lambda says, words: tuple(Option(say, f"{say}. {words}") for say in says), SAYS, WORDS)
ASKS = st.builds(QuestionCard, task=LONG.filter(bool), head=WORDS, stem=LONG, options=OPTIONS, several=st.booleans())
REPLIES = st.builds(Reply, text=LONG, card=st.none() | ASKS, buttons=OPTIONS, done=WORDS)


@settings(max_examples=300)
@given(reply=REPLIES)
def test_every_card_is_within_the_platforms_limits(reply: Reply) -> None:
    card = card_of(reply, "0123456789ab")
    if card is None:
        return
    message = {"touser": "zhangsan", "msgtype": "template_card", "agentid": int(AGENT), "template_card": card.body}
    assert WeComPlatform(Time())._judged(message) is None

    offered = reply.card.options if reply.card is not None and reply.card.options else reply.buttons
    task = reply.card.task if reply.card is not None and reply.card.options else ""
    for button, option in zip(card.body.get("button_list", ()), offered, strict=False):
        assert decode_key(button["key"]) == (task, option.say)
    if card.body["card_type"] == "vote_interaction":
        assert [tick["id"] for tick in card.body["checkbox"]["option_list"]] == [option.say for option in offered]


def small(several: bool, head: str, stem: str, bodies: list[str]) -> QuestionCard:
    return QuestionCard("q1", head, stem, tuple(Option(say, f"{say}. {body}") for say, body in zip("ABCDEF", bodies, strict=False)), several)


SMALL = st.builds(
    small,
    several=st.booleans(),
    head=WORDS.map(lambda text: text[:37]),
    stem=LONG.map(lambda text: text[:165]),
    bodies=st.lists(WORDS.map(lambda text: text[:32]), min_size=2, max_size=6),
)


def all_text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(all_text(one) for one in value.values())
    return "\n".join(all_text(one) for one in value) if isinstance(value, list) else str(value)


@settings(max_examples=300)
@given(ask=SMALL)
def test_a_card_that_stands_alone_leaves_nothing_out(ask: QuestionCard) -> None:
    card = card_of(Reply(card=ask), "0123456789ab")
    assert card is not None
    shown = all_text(card.body)
    missing = [part for part in (ask.head, ask.stem, *(label_without_letter(option) for option in ask.options)) if part not in shown]
    assert not (card.whole and missing)


@given(task=LONG, say=LONG)
def test_a_button_brings_back_what_it_was_given(task: str, say: str) -> None:
    assert decode_key(encode_key(task, say)) == (task, say)


@settings(max_examples=100)
@given(reply=REPLIES, asked=st.none() | ASKS)
def test_every_verdict_is_xml_with_words_on_its_button(reply: Reply, asked: QuestionCard | None) -> None:
    shown = tree(verdict_update(reply, asked, "ZhangSan", "ww1", 1_700_000_000))["TemplateCard"]
    assert 0 < len(shown["ReplaceText"]) <= 10
    assert 0 < len(shown["SubTitleText"]) <= 160
    assert 0 < len(shown["MainTitle"]["Title"]) <= 36
