"""Envelopes as the platforms make them, by wechatpy's crypto and plain AES, without our own codec."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from aiohttp import ClientResponse, ClientSession
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from wechatpy.crypto import WeChatCrypto
from wechatpy.enterprise.crypto import WeChatCrypto as EnterpriseCrypto

TOKEN = "canary-token-8361"
AES_KEY = "canaryKeyOfThePlatformStandIn0123456789abcd"
OTHER_KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"

Query = dict[str, str]


@dataclass
class Sealer:
    """Seals what the platform pushes and opens what it is answered."""

    receiver: str
    agent_id: str = ""
    token: str = TOKEN
    aes_key: str = AES_KEY

    @property
    def crypto(self) -> Any:
        made = EnterpriseCrypto if self.agent_id else WeChatCrypto
        return made(self.token, self.aes_key, self.receiver)

    def sign(self, *parts: str) -> str:
        return hashlib.sha1("".join(sorted((self.token, *parts))).encode()).hexdigest()

    def seal(self, inner: str, at: float, nonce: str = "742391") -> tuple[Query, str]:
        """Query and body of a push."""
        envelope = tree(self.crypto.encrypt_message(inner, nonce, str(int(at))))
        query = {"msg_signature": envelope["MsgSignature"], "timestamp": envelope["TimeStamp"], "nonce": nonce}
        return query, self.body(envelope["Encrypt"])

    def body(self, encrypt: str) -> str:
        agent = f"<AgentID><![CDATA[{self.agent_id}]]></AgentID>" if self.agent_id else ""
        return f"<xml><ToUserName><![CDATA[{self.receiver}]]></ToUserName>{agent}<Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"

    def stamp(self, encrypt: str, at: float, nonce: str = "742391") -> Query:
        """A right signature over whatever stands in for the ciphertext."""
        made = str(int(at))
        return {"msg_signature": self.sign(made, nonce, encrypt), "timestamp": made, "nonce": nonce}

    def cipher(self, padded: bytes) -> str:
        """Exactly these bytes, a multiple of 16 of them, as ciphertext."""
        key = base64.b64decode(self.aes_key + "=")
        encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def packed(self, inner: bytes, *, pad: bytes | None = None, length: int | None = None, receiver: str | None = None) -> str:
        """Ciphertext of any bytes, with any padding, length and owner."""
        whole = b"r" * 16 + (len(inner) if length is None else length).to_bytes(4, "big") + inner + (receiver or self.receiver).encode()
        count = 32 - len(whole) % 32
        return self.cipher(whole + (bytes((count,)) * count if pad is None else pad))

    def odd(self, inner: bytes, at: float) -> tuple[Query, str]:
        """A push of any bytes, sealed and signed as it should be."""
        encrypt = self.packed(inner)
        return self.stamp(encrypt, at), self.body(encrypt)

    def open(self, answer: str) -> dict[str, Any]:
        """The fields of a sealed answer, once its signature is found right."""
        envelope = json.loads(answer) if answer.startswith("{") else tree(answer)
        made, nonce = str(envelope["TimeStamp"]), envelope["Nonce"]
        plain = self.crypto.decrypt_message({"Encrypt": envelope["Encrypt"]}, envelope["MsgSignature"], made, nonce)
        found = json.loads(plain) if plain.startswith("{") else tree(plain)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Answered:
    """What came back to a push: the status, the bare text and, where it was sealed, its fields."""

    status: int
    text: str
    headers: dict[str, str]
    fields: dict[str, Any]

    @property
    def content(self) -> str:
        return str(self.fields.get("Content", ""))

    @property
    def uniform(self) -> tuple[int, str, frozenset[str], str]:
        """What a sender can tell one refusal from another by."""
        return self.status, self.text, frozenset(self.headers), self.headers.get("Content-Type", "")


REFUSED = (400, "bad request", frozenset(("Content-Type", "Content-Length", "Date", "Server")), "text/plain; charset=utf-8")


async def post(session: ClientSession, url: str, query: Any, body: str | bytes, sealer: Sealer, headers: dict[str, str] | None = None) -> Answered:
    async with session.post(url, params=query, data=body, headers={"Content-Type": "text/xml", **(headers or {})}) as response:
        return await answered(response, sealer)


async def answered(response: ClientResponse, sealer: Sealer) -> Answered:
    text = await response.text()
    sealed = response.status == 200 and ("<Encrypt>" in text or text.startswith("{"))
    return Answered(response.status, text, dict(response.headers), sealer.open(text) if sealed else {})


def cdata(**fields: str) -> str:
    """Fields of an inner message."""
    return "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items())


def tree(text: str) -> dict[str, Any]:
    """An XML message as the platform would read it: names with their texts, nested ones as dicts."""

    def read(element: ElementTree.Element) -> Any:
        return {child.tag: read(child) for child in element} if len(element) else element.text or ""

    found = read(ElementTree.fromstring(text))
    assert isinstance(found, dict)
    return found
