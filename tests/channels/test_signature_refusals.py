"""What the codec refuses: letters that are forged, stale, broken or not for us, and XML that is more than a message.

See bot/docs/reliability.md A1–A6.
"""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wechatpy.enterprise.crypto import WeChatCrypto as EnterpriseCrypto

from bot.channels.signature import (
    BadEnvelope,
    EncryptionKey,
    EnvelopeCodec,
    EnvelopeStamp,
    cdata,
    fields_of_json,
    sealed_part,
    strip_unencodable,
)
from bot.channels.xml_messages import COMMON, read_message
from tests.support.platforms.envelopes import AES_KEY, OTHER_KEY, TOKEN, Sealer, tree

NOW = 1_700_000_000
VECTOR_APP = "wxb11529c136998cb6"
CORP = "ww1234567890abcdef"


def codec(receiver: str = CORP, **over: Any) -> EnvelopeCodec:
    return EnvelopeCodec(TOKEN, AES_KEY, receiver, **over)


def refusal(sealed: bytes, stamp: EnvelopeStamp | None = None, now: float = NOW, ours: EnvelopeCodec | None = None) -> str:
    ours = ours or codec()
    with pytest.raises(BadEnvelope) as caught:
        ours.open(stamp or EnvelopeStamp(ours.sign(str(NOW).encode(), b"n", sealed), str(NOW), "n"), sealed, now)
    return caught.value.reason


def test_nothing_is_decrypted_before_the_signature_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*what: Any) -> None:
        raise AssertionError("decrypted a message that nobody signed")

    ours, sealed = codec(), codec().seal("x")
    monkeypatch.setattr(EnvelopeCodec, "_unpacked", never)
    monkeypatch.setattr("bot.channels.signature.binascii.a2b_base64", never)

    assert refusal(sealed, EnvelopeStamp("0" * 40, str(NOW), "n"), ours=ours) == "signature"


@pytest.mark.parametrize("seconds", [601, -601, 30 * 86400])
def test_a_message_is_refused_when_it_is_not_of_these_ten_minutes(seconds: int) -> None:
    assert refusal(codec().seal("x"), now=NOW + seconds) == "stale"


@pytest.mark.parametrize("seconds", [0, 600, -600])
def test_ten_minutes_to_either_side_are_fresh(seconds: int) -> None:
    ours, sealed = codec(), codec().seal("x")
    assert ours.open(EnvelopeStamp(ours.sign(str(NOW).encode(), b"n", sealed), str(NOW), "n"), sealed, NOW + seconds).plain == b"x"


@pytest.mark.parametrize("timestamp", ["", "-1", "1e9", " 1700000000", "１７０００００００００", "1" * 12, "1700000000\n"])
def test_a_timestamp_is_plain_digits(timestamp: str) -> None:
    ours, sealed = codec(), codec().seal("x")
    assert refusal(sealed, EnvelopeStamp(ours.sign(timestamp.encode(), b"n", sealed), timestamp, "n")) == "stamp"


@pytest.mark.parametrize("pad", [b"\x00", b"\x21" * 33, b"\xff" * 255, b"\x01\x02", b"\x20" * 31 + b"\x1f", b""])
def test_padding_is_one_to_32_bytes_that_all_agree(pad: bytes) -> None:
    sealer = Sealer(CORP)
    fill = -(36 + len(CORP) + len(pad)) % 32
    inner = b"i" * (16 + fill)
    assert (36 + fill + len(CORP) + len(pad)) % 32 == 0
    assert refusal(sealer.packed(inner, pad=pad).encode()) == "content"


@pytest.mark.parametrize("count", [1, 2, 31, 32])
def test_every_right_padding_is_accepted(count: int) -> None:
    ours = codec()
    inner = b"i" * (-(20 + len(CORP) + count) % 32)
    sealed = Sealer(CORP).packed(inner, pad=bytes((count,)) * count).encode()
    assert ours.open(EnvelopeStamp(ours.sign(str(NOW).encode(), b"n", sealed), str(NOW), "n"), sealed, NOW).plain == inner


@pytest.mark.parametrize("length", [0, 1, 11, 13, 2**31, 2**32 - 1])
def test_a_length_that_does_not_fit_is_refused(length: int) -> None:
    assert refusal(Sealer(CORP).packed(b"twelve bytes", length=length).encode()) == "content"


@pytest.mark.parametrize("receiver", ["ww1234567890abcdee", "ww1234567890abcde", "ww1234567890abcdef0", "x", VECTOR_APP])
def test_a_message_to_somebody_else_is_refused(receiver: str) -> None:
    assert refusal(Sealer(CORP).packed(b"hello", receiver=receiver).encode()) == "content"


@pytest.mark.parametrize("sealed", [b"", b"A", b"AAAA", b"====", b"A" * 43, b"\xff" * 44, b"AAAA" * 8 + b"\n", b"A" * 44])
def test_what_is_no_base64_of_whole_blocks_is_refused(sealed: bytes) -> None:
    assert refusal(sealed) in ("base64", "length")


@settings(max_examples=150)
@given(place=st.integers(0, 1000), change=st.integers(1, 255))
def test_any_byte_changed_under_a_right_signature_is_refused_or_stays_within_the_text(place: int, change: int) -> None:
    ours = codec()
    raw = bytearray(base64.b64decode(ours.seal("第一题选A" * 5)))
    raw[place % len(raw)] ^= change
    sealed = base64.b64encode(bytes(raw))
    try:
        length = len(ours.open(EnvelopeStamp(ours.sign(str(NOW).encode(), b"n", sealed), str(NOW), "n"), sealed, NOW).plain)
    except BadEnvelope:
        length = 0

    assert length in (0, len("第一题选A".encode()) * 5)


def test_while_a_key_is_changed_both_open_and_the_reply_uses_the_one_that_did() -> None:
    before, ours = EnvelopeCodec(TOKEN, OTHER_KEY, CORP), EnvelopeCodec(TOKEN, AES_KEY, CORP, former_aes_key=OTHER_KEY)
    sealed = before.seal("旧钥匙")
    opened = ours.open(EnvelopeStamp(ours.sign(str(NOW).encode(), b"n", sealed), str(NOW), "n"), sealed, NOW)
    assert opened.plain.decode() == "旧钥匙"

    answer = tree(ours.reply("好", opened.key, NOW))
    theirs = EnterpriseCrypto(TOKEN, OTHER_KEY, CORP)
    assert theirs.decrypt_message(answer, answer["MsgSignature"], answer["TimeStamp"], answer["Nonce"]) == "好"


def test_an_old_token_is_taken_until_the_window_ends_and_its_reply_is_signed_with_it() -> None:
    before = EnvelopeCodec("the token before", OTHER_KEY, CORP)
    ours = EnvelopeCodec(TOKEN, AES_KEY, CORP, former_token="the token before", former_aes_key=OTHER_KEY, former_until=NOW + 1)
    sealed = before.seal("旧的")
    stamp = EnvelopeStamp(before.sign(str(NOW).encode(), b"n", sealed), str(NOW), "n")
    opened = ours.open(stamp, sealed, NOW)
    assert (opened.plain.decode(), opened.former) == ("旧的", "token+aes_key")
    answer = tree(ours.reply("好", opened.key, NOW))
    theirs = EnterpriseCrypto("the token before", OTHER_KEY, CORP)
    assert theirs.decrypt_message(answer, answer["MsgSignature"], answer["TimeStamp"], answer["Nonce"]) == "好"

    with pytest.raises(BadEnvelope, match="signature"):
        ours.open(stamp, sealed, NOW + 1)
    mixed = ours.seal("新旧各一", EncryptionKey.of(AES_KEY))
    opened = ours.open(EnvelopeStamp(before.sign(str(NOW).encode(), b"n", mixed), str(NOW), "n"), mixed, NOW)
    assert opened.former == "token"


@pytest.mark.parametrize("key", ["", "short", "A" * 42, "A" * 44, "A" * 42 + "!", "中" * 43])
def test_a_key_that_is_none_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(ValueError, match="EncodingAESKey"):
        EncryptionKey.of(key)


@pytest.mark.parametrize(("token", "receiver"), [("", CORP), (TOKEN, "")])
def test_an_empty_token_or_receiver_is_refused_at_the_start(token: str, receiver: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        EnvelopeCodec(token, AES_KEY, receiver)


# The outer and the inner XML.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"<xml></xml>",
        b"<xml/>",
        b"<root><Encrypt>AAAA</Encrypt></root>",
        b"<xml><Encrypt></Encrypt></xml>",
        b"<xml><Encrypt>AAAA</Encrypt><Encrypt>AAAA</Encrypt></xml>",
        b"<xml><Encrypt><a>AAAA</a></Encrypt></xml>",
        b"<xml><Encrypt>AAAA</Encrypt></xml>trailing",
        b"<xml><Encrypt>AAAA</Encrypt><MsgType>text</MsgType></xml>",
        b"<xml><Encrypt>AAAA</Encrypt><Content>a]</Content></xml>",
        b"<xml><FromUserName><![CDATA[z]]></FromUserName><Encrypt>AAAA</Encrypt></xml>",
        b"<!DOCTYPE xml [<!ENTITY a 'b'>]><xml><Encrypt>AAAA</Encrypt></xml>",
        b"<xml><Encrypt>&a;</Encrypt></xml>",
        b"<xml>" + b"<a>" * 20000 + b"</a>" * 20000 + b"</xml>",
        b"<xml>" + b"<a></a>" * 9000 + b"<Encrypt>AAAA</Encrypt></xml>",
        b"\xff\xfe<\x00x\x00",
        b"{}",
        b"{",
        b'{"Encrypt": ["AAAA"]}',
        b'{"Encrypt": "AAAA", "Encrypt": "BBBB"}',
        b'{"Encrypt": "AAAA", "MsgType": "text"}',
        b"[" * 30000,
        b'{"a":' * 10000,
        b'{"Encrypt": "\\ud800"}',
    ],
)
def test_a_body_that_is_no_sealed_message_is_refused(body: bytes) -> None:
    with pytest.raises(BadEnvelope):
        sealed_part(body)


@pytest.mark.parametrize(
    "body",
    [
        b"<xml><ToUserName><![CDATA[ww1]]></ToUserName>\n<AgentID>1</AgentID>\n<Encrypt><![CDATA[AA+/=]]></Encrypt></xml>",
        b"<?xml version='1.0' encoding='UTF-8'?>\n<xml>\n <Encrypt>AA+/=</Encrypt>\n</xml>\n",
        b'{"ToUserName": "gh_1", "Encrypt": "AA+/="}',
    ],
)
def test_the_shapes_that_the_platforms_send_are_read(body: bytes) -> None:
    assert sealed_part(body)[0] == b"AA+/="


def read(plain: bytes) -> dict[str, str]:
    return read_message(plain, COMMON, "wechatpy.enterprise")[0]


GRAMMAR = re.compile(
    rb"\s*+(?:<\?xml[^<>]{0,80}\?>\s*+)?<xml>\s*+"
    rb"((?:<([A-Za-z]{1,32}+)>(?:<!\[CDATA\[[^\]<>]*+\]\]>|[^\]<>&]*+)</\2>\s*+){1,12})</xml>\s*+"
)
PART = re.compile(rb"<([A-Za-z]++)>(?:<!\[CDATA\[)?+([^\]<>]*+)(?:\]\]>)?</")
"""The grammar of an outer body as a pattern: what the flat reader has to agree with, and is several times faster than."""


def by_pattern(body: bytes) -> dict[bytes, bytes] | None:
    whole = GRAMMAR.fullmatch(body)
    found = PART.findall(whole[1]) if whole is not None else []
    parts = dict(found)
    plain = {b"FromUserName", b"MsgType", b"CreateTime", b"Content", b"Event", b"EventKey", b"MsgId"}
    return parts if parts and len(parts) == len(found) and parts.get(b"Encrypt") and plain.isdisjoint(parts) else None


def by_reader(body: bytes) -> dict[bytes, bytes] | None:
    try:
        sealed, parts = sealed_part(body)
    except BadEnvelope:
        return None
    return {**parts, b"Encrypt": sealed}


PIECES = st.sampled_from(
    [
        *(
            b"<xml>",
            b"</xml>",
            b"<Encrypt>",
            b"</Encrypt>",
            b"<AgentID>",
            b"</AgentID>",
            b"<a>",
            b"</a>",
            b"<![CDATA[",
            b"]]>",
            b"]",
            b">",
            b"<",
            b"&",
        ),
        *(b" ", b"\n", b"\x0b", b"\x00", b"<?xml version='1.0'?>", b"<?xml?>", b"?>", b"AAAA", b"AA+/==", b"%%%", b"\xff", b"<Content>x</Content>"),
        *(b"<Encrypt>AAAA</Encrypt>", b"<AgentID><![CDATA[1]]></AgentID>", b"<Encrypt><![CDATA[AA==]]></Encrypt>", b"<" + b"n" * 33 + b">", b"/"),
    ]
)


@settings(max_examples=1500)
@given(st.lists(PIECES, max_size=14).map(b"".join))
def test_the_flat_reader_and_a_pattern_agree_on_any_pieces(body: bytes) -> None:
    assert by_reader(body) == by_pattern(body)
    wrapped = b"<xml>" + body + b"</xml>"
    assert by_reader(wrapped) == by_pattern(wrapped)


@settings(max_examples=500)
@given(place=st.integers(0, 300), cut=st.integers(0, 4), patch=st.binary(max_size=4) | PIECES)
def test_the_flat_reader_and_a_pattern_agree_on_any_damage(place: int, cut: int, patch: bytes) -> None:
    body = Sealer(CORP, "1").body("QUJD" * 30).encode()
    damaged = body[:place] + patch + body[place + cut :]
    assert by_reader(damaged) == by_pattern(damaged)


@settings(max_examples=500)
@given(st.binary(max_size=60) | st.text("ABCDabcd0123+/=-_ \n", max_size=60).map(str.encode))
def test_strict_base64_skips_nothing(sealed: bytes) -> None:
    if sealed and refusal(sealed) != "base64":
        assert re.fullmatch(rb"[A-Za-z0-9+/]+={0,2}", sealed)


BOMB = b'<!DOCTYPE xml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"<xml",
        b"<xml></xm>",
        b"<root></root>",
        BOMB + b"<xml><Content>&b;</Content></xml>",
        b'<?xml version="1.0"?>' + BOMB + b"<xml/>",
        b'<?xml version="1.0" encoding="utf-16"?><xml/>',
        b"<!-- --><xml></xml>",
        b"<xml>" + BOMB + b"<Content>&b;</Content></xml>",
        b"<xml><Content>&undefined;</Content></xml>",
        b"<xml><Content>\x00</Content></xml>",
        b"<xml><Content>&#0;</Content></xml>",
        b"<xml><Content>\xed\xa0\x80</Content></xml>",
        b"<xml><Content>\xff</Content></xml>",
        b"<xml>" + b"<a/>" * 10000 + b"</xml>",
        b"<xml>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</xml>",
        b"\xef\xbb\xbf\x00",
    ],
)
def test_xml_that_is_more_than_a_message_is_refused(plain: bytes) -> None:
    with pytest.raises(BadEnvelope):
        read(plain)


def test_a_person_may_write_about_doctypes() -> None:
    said = "<!DOCTYPE html> 和 <!ENTITY x> 是什么?"
    assert read(f"<xml><MsgType>text</MsgType><Content><![CDATA[{said}]]></Content></xml>".encode()) == {"MsgType": "text", "Content": said}


@pytest.mark.parametrize("kind", ["text", "image"])
@pytest.mark.parametrize("inner", ["<Content>a</Content><Content>b</Content>", "<Content>a<b/></Content>", "<MsgId><x>1</x></MsgId>"])
def test_a_wanted_field_is_there_once_and_is_text(kind: str, inner: str) -> None:
    with pytest.raises(BadEnvelope):
        read(f"<xml><MsgType>{kind}</MsgType>{inner}</xml>".encode())


@pytest.mark.parametrize(
    "plain", [b'{"MsgId": 1.5}', b'{"MsgId": true}', b'{"Content": null}', b'{"Content": ["a"]}', b'{"Content": "\\u0000"}', b"1", b'"a"', b"NaN"]
)
def test_a_wanted_field_of_json_is_text_or_a_whole_number(plain: bytes) -> None:
    with pytest.raises(BadEnvelope):
        fields_of_json(plain, COMMON)


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for reader in (sealed_part, read, lambda plain: fields_of_json(plain, COMMON)):
        with suppress(BadEnvelope):
            reader(raw)


@given(st.text(st.characters()))
def test_whatever_is_said_can_be_sealed_and_read(text: str) -> None:
    read = tree(f"<xml><Content>{cdata(text)}</Content></xml>")["Content"]
    assert read == strip_unencodable(text).replace("\r\n", "\n").replace("\r", "\n")
    assert codec().seal(strip_unencodable(text))
