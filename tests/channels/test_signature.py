"""The lean codec against the published vectors and against wechatpy, in both directions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wechatpy import parse_message as parse_wechat
from wechatpy.crypto import WeChatCrypto
from wechatpy.enterprise import parse_message as parse_wecom
from wechatpy.enterprise.crypto import WeChatCrypto as EnterpriseCrypto
from wechatpy.replies import TextReply
from wechatpy.utils import check_signature

from bot.channels.signature import EnvelopeCodec, EnvelopeStamp, cdata, sealed_part
from bot.channels.xml_messages import COMMON, read_message, text_reply
from tests.support.platforms.envelopes import AES_KEY, TOKEN, tree

NOW = 1_700_000_000
VECTOR_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
VECTOR_APP = "wxb11529c136998cb6"
CORP = "ww1234567890abcdef"

# What XML can carry and its parsers hand back as it was: no control characters, no carriage returns.
WORDS = st.text(
    st.one_of(
        st.characters(min_codepoint=32, max_codepoint=126),
        st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF),
        st.sampled_from("😀🧑🏽‍⚖️，。《》「」Ａ１\n\t"),
        st.characters(exclude_categories=("Cs", "Cc", "Cn")),
    ),
    max_size=400,
)


def codec(receiver: str = CORP, **over: Any) -> EnvelopeCodec:
    return EnvelopeCodec(TOKEN, AES_KEY, receiver, **over)


# Published vectors.


def test_the_published_ciphertext_decrypts_to_the_message() -> None:
    sealed = EnvelopeCodec("token", VECTOR_KEY, VECTOR_APP).seal("我是中文abcd123", random=b"aaaabbbbccccdddd")
    assert sealed == b"jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg=="


def test_the_published_address_check_of_wecom_opens() -> None:
    ours = EnvelopeCodec("123456", "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR", "wx49f0ab532d5d035a")
    echostr = b"4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q=="
    stamp = EnvelopeStamp("dd6b9c95b495b3f7e2901bfbc76c664930ffdb96", "1411443780", "437374425")
    assert ours.open(stamp, echostr, 1411443780).plain == b"5927782489442352469"


def test_the_published_event_of_dingtalk_opens_with_the_same_codec() -> None:
    ours = EnvelopeCodec("mryue", "Yue0EfdN5900c1ce5cf6A152c63DDe1808a60c5ecd7", "ding6ccabc44d2c8d38b")
    sealed = b"0vJiX6vliEpwG3U45CtXqi+m8PXbQRARJ8p8BbDuD1EMTDf0jKpQ79QS93qEk7XHpP6u+oTTrd15NRPvNvmBKyDCYxxOK+HZeKju4yhELOFchzNukR+t8SB/qk4ROMu3"
    assert ours.sign(b"1608001896814", b"WL4PK6yA", sealed) == "03044561471240d4a14bb09372dfcfd4fd0e40cb"
    made = "1608001896"
    opened = ours.open(EnvelopeStamp(ours.sign(made.encode(), b"WL4PK6yA", sealed), made, "WL4PK6yA"), sealed, int(made))
    assert json.loads(opened.plain) == {"EventType": "check_url"}


def test_the_published_signature_of_an_official_account_is_ours() -> None:
    ours = EnvelopeCodec("AAAAA", VECTOR_KEY, VECTOR_APP)
    assert ours.sign(b"1714037059", b"486452656") == "899cf89e464efb63f54ddac96b0a0a235f53aa78"


# Equal to wechatpy, both ways.


@settings(max_examples=150)
@given(text=WORDS, enterprise=st.booleans(), nonce=st.from_regex(r"[0-9A-Za-z]{1,20}", fullmatch=True))
def test_what_wechatpy_seals_we_open(text: str, enterprise: bool, nonce: str) -> None:
    crypto = (EnterpriseCrypto if enterprise else WeChatCrypto)(TOKEN, AES_KEY, CORP)
    envelope = crypto.encrypt_message(text, nonce, str(NOW))
    sealed, parts = sealed_part(envelope.encode())
    stamp = EnvelopeStamp(parts[b"MsgSignature"].decode(), str(NOW), nonce)

    assert codec().open(stamp, sealed, NOW).plain.decode() == text


@settings(max_examples=150)
@given(text=WORDS, enterprise=st.booleans())
def test_what_we_seal_wechatpy_opens(text: str, enterprise: bool) -> None:
    crypto = (EnterpriseCrypto if enterprise else WeChatCrypto)(TOKEN, AES_KEY, CORP)
    envelope = tree(codec().reply(text, None, NOW))

    assert crypto.decrypt_message(envelope, envelope["MsgSignature"], envelope["TimeStamp"], envelope["Nonce"]) == text


@settings(max_examples=100)
@given(text=WORDS, user=st.from_regex(r"[A-Za-z0-9_]{1,30}", fullmatch=True))
def test_a_text_reply_reads_as_wechatpys_own_does(text: str, user: str) -> None:
    ours = tree(text_reply(user, CORP, NOW, text))
    assert ours["Content"] == text

    if "]]>" not in text:
        theirs = tree(TextReply(source=CORP, target=user, time=NOW, content=text).render())
        assert theirs == ours


@settings(max_examples=100)
@given(text=WORDS, message_id=st.integers(0, 2**63), enterprise=st.booleans())
def test_a_message_reads_as_wechatpy_reads_it(text: str, message_id: int, enterprise: bool) -> None:
    inner = (
        f"<xml><ToUserName>{cdata(CORP)}</ToUserName><FromUserName><![CDATA[zhangsan]]></FromUserName><CreateTime>{NOW}</CreateTime>"
        f"<MsgType><![CDATA[text]]></MsgType><Content>{cdata(text)}</Content><MsgId>{message_id}</MsgId><AgentID>7</AgentID></xml>"
    )
    theirs = (parse_wecom if enterprise else parse_wechat)(inner)
    ours, _ = read_message(inner.encode(), COMMON, "wechatpy.enterprise" if enterprise else "wechatpy")

    assert (ours["FromUserName"], ours["MsgType"], ours["Content"].strip()) == (theirs.source, theirs.type, (theirs.content or "").strip())
    assert int(ours["MsgId"]) == theirs.id


def test_the_signature_of_the_address_check_is_wechatpys() -> None:
    check_signature(TOKEN, codec().sign(str(NOW).encode(), b"n1"), str(NOW), "n1")


# Tencent's own package, where node is at hand.

PEER = """
const { encrypt, decrypt, getSignature } = require('@wecom/crypto');
const { key, id, token, texts, sealed } = JSON.parse(require('fs').readFileSync(0));
process.stdout.write(JSON.stringify({
  opened: sealed.map(one => { const { message, id } = decrypt(key, one); return { message, id }; }),
  sealed: texts.map(text => encrypt(key, text, id)),
  signed: sealed.map(one => getSignature(token, '1700000000', 'n1', one)),
}));
"""


def test_tencents_own_package_agrees_both_ways(tmp_path: Path) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if os.environ.get("XUEFA_TEST_NPM") != "1":
        pytest.skip("the peer @wecom/crypto is installed from npm only where XUEFA_TEST_NPM=1 allows it")
    if node is None or npm is None:
        pytest.skip("node and npm, in which the peer @wecom/crypto runs, are not installed here")
    install = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "@wecom/crypto@1.0.1"],
        cwd=tmp_path,
        capture_output=True,
        timeout=600,
        check=False,
    )
    if install.returncode:
        pytest.skip("the npm registry could not be reached for @wecom/crypto")
    ours = codec()
    texts = ["A", "选B,对", "🧑🏽‍⚖️ 民法典 😀", "第一千零三十四条" * 200, "<xml>]]></xml>"]
    sealed = [ours.seal(text).decode() for text in texts]
    asked = json.dumps({"key": AES_KEY, "id": CORP, "token": TOKEN, "texts": texts, "sealed": sealed})

    said = json.loads(subprocess.run([node, "-e", PEER], cwd=tmp_path, input=asked.encode(), capture_output=True, timeout=300, check=True).stdout)

    assert said["opened"] == [{"message": text, "id": CORP} for text in texts]
    assert said["signed"] == [ours.sign(b"1700000000", b"n1", one.encode()) for one in sealed]
    opened = [
        ours.open(EnvelopeStamp(ours.sign(str(NOW).encode(), b"n1", one.encode()), str(NOW), "n1"), one.encode(), NOW) for one in said["sealed"]
    ]
    assert [one.plain.decode() for one in opened] == texts
