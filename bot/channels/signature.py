"""The encrypted envelopes of WeCom and WeChat: signature check, decryption and encryption (bot/docs/protocols.md#sealed-letters).

The signature is compared before anything else is read; every fault of an envelope is a `BadEnvelope`.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from dataclasses import dataclass, replace
from hashlib import sha1
from hmac import compare_digest
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

BLOCK = 32
"""Bytes to which the plain text is padded: 32, not the 16 of AES."""
_HEAD = 20
"""Bytes before the message: 16 random ones and its length."""
_PADS = tuple(bytes((n,)) * n for n in range(BLOCK + 1))

_SIGNATURE = re.compile(r"[0-9a-f]{40}")
_TIMESTAMP = re.compile(r"[0-9]{1,11}", re.ASCII)
_NONCE = re.compile(r"[!-~]{1,128}")
MOST_PARTS = 12
"""The parts of an outer body; the platforms send three or four."""
LONGEST_DECLARATION = 80
_SPACES = b" \t\n\r\x0b\x0c"
_OPENING = re.compile(rb"<xml>\s*+")
_PART = re.compile(rb"<([A-Za-z]{1,32}+)>(?:<!\[CDATA\[(.*?)\]\]>|([^<&]*+))</\1>\s*+", re.DOTALL)
_PLAIN_PARTS = frozenset((b"FromUserName", b"MsgType", b"CreateTime", b"Content", b"Event", b"EventKey", b"MsgId"))
_PLAIN_NAMES = frozenset(name.decode() for name in _PLAIN_PARTS)
_UNENCODABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CDATA_END = "]]>"
_CDATA_SPLIT = "]]]]><![CDATA[>"

_REPLY = (
    "<xml><Encrypt><![CDATA[{}]]></Encrypt><MsgSignature><![CDATA[{}]]></MsgSignature><TimeStamp>{}</TimeStamp><Nonce><![CDATA[{}]]></Nonce></xml>"
)


class BadEnvelope(Exception):
    """A callback that is refused; `reason` is a word for the log and never reaches the sender."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class EnvelopeStamp(NamedTuple):
    """The query parameters that sign an envelope."""

    signature: str
    timestamp: str
    nonce: str


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """One EncodingAESKey with its cipher, which is made once and used for every message; a reply under it is signed with `token`, or with ours."""

    cipher: Cipher[CBC]
    token: bytes = b""

    @classmethod
    def of(cls, encoded: str) -> EncryptionKey:
        """Raises ValueError when it is not 43 characters of base64 that stand for 32 bytes."""
        try:
            raw = base64.b64decode(encoded + "=", validate=True)
        except ValueError:
            raw = b""
        if len(encoded) != 43 or len(raw) != 32:
            raise ValueError("an EncodingAESKey is 43 characters of base64")
        return cls(Cipher(AES256(raw), CBC(raw[:16])))


class OpenedEnvelope(NamedTuple):
    """A decrypted message and its key, with which the reply is encrypted; `former` names what of token and key is the old one."""

    plain: bytes
    key: EncryptionKey
    former: str = ""


class EnvelopeCodec:
    """Token, keys and the receiver's id (CorpID or AppID) of one app."""

    __slots__ = ("_former_until", "_freshness", "_keys", "_receiver", "_tokens")

    def __init__(
        self,
        token: str,
        aes_key: str,
        receiver: str,
        *,
        former_token: str = "",
        former_aes_key: str = "",
        former_until: float = float("inf"),
        freshness: int = 600,
    ) -> None:
        """The former token and key are accepted too, until a moment (Unix seconds); `freshness` in seconds, to both sides of now."""
        if not token or not receiver:
            raise ValueError("neither the token nor the receiver's id may be empty")
        self._tokens = (token.encode(), *([former_token.encode()] if former_token else []))
        self._former_until = former_until
        self._receiver = receiver.encode()
        self._keys = (EncryptionKey.of(aes_key), *([EncryptionKey.of(former_aes_key)] if former_aes_key else []))
        self._freshness = freshness

    def sign(self, *parts: bytes, token: bytes = b"") -> str:
        return sha1(b"".join(sorted((token or self._tokens[0], *parts))), usedforsecurity=False).hexdigest()

    def check(self, stamp: EnvelopeStamp, now: float, *sealed: bytes) -> bytes:
        """The token that signed the stamp; raises `BadEnvelope` unless it is ours and at most `freshness` seconds from `now` (Unix seconds)."""
        signature, timestamp, nonce = stamp
        if not (_SIGNATURE.fullmatch(signature) and _TIMESTAMP.fullmatch(timestamp) and _NONCE.fullmatch(nonce)):
            raise BadEnvelope("stamp")
        for token in self._tokens if now < self._former_until else self._tokens[:1]:
            if compare_digest(self.sign(timestamp.encode(), nonce.encode(), *sealed, token=token), signature):
                break
        else:
            raise BadEnvelope("signature")
        if abs(now - int(timestamp)) > self._freshness:
            raise BadEnvelope("stale")
        return token

    def open(self, stamp: EnvelopeStamp, sealed: bytes, now: float) -> OpenedEnvelope:
        """The decrypted message of an envelope that is genuine, fresh, intact and addressed to us; raises `BadEnvelope`."""
        token = self.check(stamp, now, sealed)
        try:
            raw = binascii.a2b_base64(sealed, strict_mode=True)
        except binascii.Error:
            raise BadEnvelope("base64") from None
        if not raw or len(raw) % BLOCK:
            raise BadEnvelope("length")
        for key in self._keys if now < self._former_until else self._keys[:1]:
            if (plain := self._unpacked(key, raw)) is not None:
                former = [name for name, old in (("token", token is not self._tokens[0]), ("aes_key", key is not self._keys[0])) if old]
                return OpenedEnvelope(plain, key if token is self._tokens[0] else replace(key, token=token), "+".join(former))
        raise BadEnvelope("content")

    def _unpacked(self, key: EncryptionKey, raw: bytes) -> bytes | None:
        decryptor = key.cipher.decryptor()
        whole = decryptor.update(raw) + decryptor.finalize()
        pad = whole[-1]
        if not 1 <= pad <= BLOCK or not whole.endswith(_PADS[pad]):
            return None
        stop = len(whole) - pad
        end = _HEAD + int.from_bytes(whole[16:_HEAD], "big")
        if end > stop or not compare_digest(whole[end:stop], self._receiver):
            return None
        return whole[_HEAD:end]

    def seal(self, text: str, key: EncryptionKey | None = None, *, random: bytes = b"") -> bytes:
        """base64 of the encrypted text; `random` (16 bytes) is given by tests only."""
        message = text.encode()
        body = b"".join((random or os.urandom(16), len(message).to_bytes(4, "big"), message, self._receiver))
        encryptor = (key or self._keys[0]).cipher.encryptor()
        return binascii.b2a_base64(encryptor.update(body + _PADS[BLOCK - len(body) % BLOCK]) + encryptor.finalize(), newline=False)

    def reply(self, text: str, key: EncryptionKey | None, now: float, *, as_json: bool = False) -> str:
        """The encrypted and signed answer to a callback, in XML or, where the platform pushes JSON, in JSON."""
        random = os.urandom(24)
        sealed, timestamp, nonce = self.seal(text, key, random=random[:16]), str(int(now)), random[16:].hex()
        signature = self.sign(timestamp.encode(), nonce.encode(), sealed, token=key.token if key is not None else b"")
        if as_json:
            return json.dumps({"Encrypt": sealed.decode(), "MsgSignature": signature, "TimeStamp": int(timestamp), "Nonce": nonce})
        return _REPLY.format(sealed.decode(), signature, timestamp, nonce)


def sealed_part(body: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The ciphertext of a pushed body, and the body's other parts, which are not signed; raises `BadEnvelope`.

    The body is read as a flat list and not by an XML parser: its grammar is small. The ciphertext is found and cut out before, so that no pattern
    walks it. A body that also carries plain fields (明文 or 兼容 mode) is refused, since the signature does not cover them.
    """
    if body[:1] == b"{":
        parts = {name.encode(): value.encode() for name, value in _flat_json(body, frozenset(("Encrypt",)), also=_PLAIN_NAMES).items()}
        sealed = parts.pop(b"Encrypt", b"")
    else:
        begin, end = body.find(b"<Encrypt>") + 9, body.find(b"</Encrypt>")
        if not 9 <= begin <= end:
            raise BadEnvelope("plain")
        sealed = body[begin:end]
        if sealed.startswith(b"<![CDATA[") and sealed.endswith(b"]]>"):
            sealed = sealed[9:-3]
        elif b"&" in sealed:
            raise BadEnvelope("outer")
        flat_parts = read_flat(body[:begin] + body[end:], MOST_PARTS, sections=1)
        if flat_parts is None:
            raise BadEnvelope("outer")
        parts = dict(flat_parts)
        marked = b"".join((sealed, *parts.values()))
        if b"]" in marked or b"<" in marked or b">" in marked:
            raise BadEnvelope("outer")
        if len(parts) != len(flat_parts):
            raise BadEnvelope("doubled")
        del parts[b"Encrypt"]
    if not sealed or not _PLAIN_PARTS.isdisjoint(parts):
        raise BadEnvelope("plain")
    return sealed, parts


def read_flat(body: bytes, most: int, *, sections: int) -> list[tuple[bytes, bytes]] | None:
    """The parts of `<xml>` as names and values, where nothing stands in it but elements that hold text; None for any other XML and for what is none.

    At most `most` elements, each with a text that has no references, or with at most so many CDATA `sections`.
    """
    body = _without_declaration(body.strip(_SPACES))
    opening = _OPENING.match(body)
    if opening is None or not body.endswith(b"</xml>"):
        return None
    parts: list[tuple[bytes, bytes]] = []
    place, stop = opening.end(), len(body) - 6
    while place < stop:
        part = _PART.match(body, place, stop)
        if part is None or len(parts) == most:
            return None
        name, text, plain = part.groups()
        value: bytes = plain if text is None else text
        if b"]]>" in value:
            texts = value.split(b"]]><![CDATA[")
            if text is None or len(texts) > sections or any(b"]]>" in piece for piece in texts):
                return None
            value = b"".join(texts)
        parts.append((name, value))
        place = part.end()
    return parts


def _without_declaration(body: bytes) -> bytes:
    """The body after its `<?xml …?>`; nothing where that is none."""
    if not body.startswith(b"<?xml"):
        return body
    end = body.find(b">", 6, LONGEST_DECLARATION + 7)
    well_formed = body[end - 1 : end] == b"?" and b"<" not in body[5:end]
    return body[end + 1 :].lstrip(_SPACES) if well_formed else b""


def fields_of_json(plain: bytes, wanted: frozenset[str]) -> dict[str, str]:
    """The same from a message pushed as JSON: strings, or whole numbers as their digits; raises `BadEnvelope`."""
    return _flat_json(plain, wanted)


def _flat_json(raw: bytes, wanted: frozenset[str], also: frozenset[str] = frozenset()) -> dict[str, str]:
    try:
        pairs = json.loads(raw.decode(), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise BadEnvelope("json") from None
    if not isinstance(pairs, _Pairs):
        raise BadEnvelope("json")
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in also:
            values[name] = ""
        elif name in wanted:
            if name in values or isinstance(value, bool) or not isinstance(value, str | int):
                raise BadEnvelope("fields")
            values[name] = text = str(value)
            if not is_encodable(text):
                raise BadEnvelope("characters")
    return values


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a repeated name is noticed."""


def is_encodable(text: str) -> bool:
    """True where XML and UTF-8 can encode all of it."""
    return text.isprintable() or _UNENCODABLE.search(text) is None


def strip_unencodable(text: str) -> str:
    """The text without what XML or UTF-8 cannot encode: control characters and lone surrogates."""
    return text if text.isprintable() else _UNENCODABLE.sub("", text)


def cdata(text: str) -> str:
    """The text as a CDATA section, whatever it holds."""
    text = strip_unencodable(text)
    return f"<![CDATA[{text.replace(_CDATA_END, _CDATA_SPLIT) if _CDATA_END in text else text}]]>"
