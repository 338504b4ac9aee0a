"""Whatever bytes come, the readers of 钉钉 answer with a message, a refusal or nothing, and with nothing else (bot/docs/reliability.md P1)."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.channels.dingtalk import cards, stream
from bot.channels.dingtalk import reply as dingtalk_reply
from bot.channels.dingtalk.incoming import MalformedMessage, UnknownSender, card_tap, parse_object, robot_message
from bot.domain.message import Option, QuestionCard, Reply
from tests.support.platforms.dingtalk import FakeDingTalk, tap
from tests.support.platforms.dingtalk_bot import NOW

text = st.text(st.characters(), max_size=30)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
ROBOT: dict[str, Any] = json.loads(FakeDingTalk().robot_frame("A")["data"])
KINDS = st.sampled_from(["text", "audio", "richText", "picture", "odd"])


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from([*ROBOT, "content"]), anything, max_size=4), KINDS)
def test_a_robot_message_with_any_fields_is_read_or_refused(over: dict[str, Any], kind: str) -> None:
    try:
        spoken = robot_message({**ROBOT, "msgtype": kind, **over}, app="app", arrived=NOW)
    except (MalformedMessage, UnknownSender):
        return
    incoming = spoken.incoming
    assert incoming.message_id
    assert incoming.sender.user == incoming.sender.user.lower() != ""
    assert "\0" not in incoming.text
    assert incoming.text.encode().decode() == incoming.text
    assert spoken.webhook_expires_at.tzinfo is not None


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(list(tap("", ""))), anything, max_size=4), anything)
def test_a_tap_with_any_fields_is_read_or_refused(over: dict[str, Any], content: Any) -> None:
    data = {**tap(cards.new_track(None), "A"), "content": json.dumps({"cardPrivateData": content}), **over}
    try:
        found = card_tap(data)
    except (MalformedMessage, UnknownSender):
        return
    assert found is None or (found.staff_id and found.choice.encode())
    if found is not None:
        cards.read_track(found.track)
        cards.Choices().toggle(found.track, found.staff_id, "A", found.chosen)


@settings(max_examples=300)
@given(st.text(st.characters()) | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")) | anything.map(json.dumps))
def test_a_frame_of_any_text_is_read_or_refused(raw: str) -> None:
    try:
        frame = stream.parse_frame(raw)
    except MalformedMessage:
        return
    json.loads(stream.acknowledgement(frame.message_id, 200, frame.data))


@given(st.binary(max_size=200))
def test_a_body_of_any_bytes_is_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        assert isinstance(parse_object(raw), dict)


ours = st.text(st.characters(codec="utf-8"), max_size=700)
options = st.lists(st.builds(Option, st.sampled_from("ABCDEFGH"), ours), max_size=8).map(tuple)
replies = st.builds(Reply, text=ours, card=st.none() | st.builds(QuestionCard, ours, ours, ours, options, st.booleans()), buttons=options, done=ours)


@settings(max_examples=200)
@given(replies, st.booleans(), st.booleans())
def test_every_reply_has_a_form_within_the_platforms_limits(reply: Reply, group: bool, buttons: bool) -> None:
    for message in dingtalk_reply.webhook_messages(reply, "staff", group=group, buttons=buttons):
        key, param = dingtalk_reply.robot_message_of(message)
        assert key.startswith("sample")
        assert all(isinstance(value, str) for value in json.loads(param).values())
    values = cards.new_card(reply)
    assert values is None or all(isinstance(value, str) and len(value.encode()) <= cards.VALUE_BYTES for value in values.values())
    assert len(cards.answered_variables(reply)["result"].encode()) <= cards.VALUE_BYTES
