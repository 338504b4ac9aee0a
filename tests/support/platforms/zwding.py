"""The EPaaS gateway of 专有钉钉, in small: it checks every signature by the written rule and answers with both flags.

See bot/docs/protocols.md#zwding.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.platforms.plain import Time

APP_KEY, APP_SECRET = "xuefa-app", "canary-epaas-secret-9917"
TENANT = "196729"
CALLBACK_SECRET = "canary-callback-secret-2208"
NONCE = re.compile(r"[0-9]{17}")
MADE = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00")

Json = dict[str, Any]
Script = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


def epaas(method: str, made: str, nonce: str, path: str, pairs: list[tuple[str, str]], secret: str = APP_SECRET) -> str:
    """The signature, written down here a second time from the rule: no code of the bot is in it."""
    text = f"{method}\n{made}\n{nonce}\n{path}"
    if pairs:
        text += "\n" + "&".join(name + "=" + value for name, value in sorted(pairs, key=lambda pair: (pair[0], pair[1])))
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def fine(data: Any = None) -> Json:
    return {"success": True, "content": {"success": True, "data": data, "responseCode": "0", "responseMessage": "OK"}, "bizErrorCode": "0"}


@dataclass
class FakeGateway:
    """What was asked, by path; `scripts` answers a path by script; nonces serve once."""

    clock: Time
    prefix: str = ""
    signs_prefix: bool = True
    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def calls(self, path: str) -> list[dict[str, str]]:
        return [params for asked, params in self.asked if asked == path]

    @property
    def notices(self) -> list[dict[str, str]]:
        return self.calls("/message/workNotification")

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not true():
                self.arrived.clear()
                await self.arrived.wait()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        pairs = [(name, str(value)) for name, value in (request.query if request.method == "GET" else await request.post()).items()]
        path = request.path.removeprefix(self.prefix)
        if (wrong := self._wrong(request, request.path if self.signs_prefix else path, pairs)) is not None:
            return web.json_response(wrong, status=401)
        script = self.scripts.get(path)
        if script is not None and (scripted := await script(request)) is not None:
            return scripted
        self.asked.append((path, dict(pairs)))
        self.headers.append(dict(request.headers))
        self.arrived.set()
        return web.json_response(self._answer(path, dict(pairs)))

    def _wrong(self, request: web.Request, path: str, pairs: list[tuple[str, str]]) -> Json | None:
        head = request.headers
        made, nonce = head.get("X-Hmac-Auth-Timestamp", ""), head.get("X-Hmac-Auth-Nonce", "")
        right = epaas(request.method, made, nonce, path, pairs)
        faults = {
            "InvalidApiKey": head.get("apiKey") != APP_KEY,
            "InvalidTimestamp": not MADE.fullmatch(made),
            "InvalidNonce": not NONCE.fullmatch(nonce) or nonce in self.nonces,
            "InvalidSignature": not hmac.compare_digest(head.get("X-Hmac-Auth-Signature", ""), right),
            "InvalidVersion": head.get("X-Hmac-Auth-Version") != "1.0",
        }
        self.nonces.add(nonce)
        code = next((name for name, fault in faults.items() if fault), None)
        return None if code is None else {"Code": code, "Message": "refused by the gateway", "_RequestId": "r1"}

    def _answer(self, path: str, params: dict[str, str]) -> Json:
        match path:
            case "/gettoken.json":
                assert (params["appkey"], params["appsecret"]) == (APP_KEY, APP_SECRET)
                return fine({"accessToken": "canary-epaas-token", "expiresIn": 7200})
            case "/rpc/oauth2/dingtalk_app_user.json":
                assert params["access_token"] == "canary-epaas-token"
                return fine({"accountId": 46001, "employeeCode": "GE_7", "lastName": "张三", "tenantId": int(TENANT)})
            case "/message/workNotification":
                assert params["tenantId"] == TENANT
                json.loads(params["msg"])
                return fine({"msgId": "platform-1"})
            case _:
                return fine()


def certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1 that no public authority knows, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "省专有云")])
    began = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "gateway.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def gateway(clock: Time, prefix: str = "", *, signs_prefix: bool = True, pem: Path | None = None) -> AsyncIterator[FakeGateway]:
    """The gateway, running; over TLS with the certificate in `pem`."""
    fake = FakeGateway(clock, prefix, signs_prefix)
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", fake.serve)
    server = TestServer(app)
    tls = None
    if pem is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(pem)
    await server.start_server(ssl=tls)
    fake.url = f"http{'s' if tls else ''}://127.0.0.1:{server.port}"
    try:
        yield fake
    finally:
        await server.close()


def robot_headers(made: int, secret: str = CALLBACK_SECRET) -> dict[str, str]:
    """The signature of a callback; `made` in ms."""
    digest = hmac.new(secret.encode(), f"{made}\n{secret}".encode(), hashlib.sha256).digest()
    return {"timestamp": str(made), "sign": base64.b64encode(digest).decode(), "Content-Type": "application/json"}


def robot_body(text: str, *, account: Any = "46001", msg_id: str = "msg-1", **over: Any) -> str:
    data = {
        "msgId": msg_id,
        "conversationType": "1",
        "conversationId": "cid1",
        "senderStaffId": account,
        "senderNick": "张三",
        "msgtype": "text",
        "text": {"content": text},
        **over,
    }
    return json.dumps({key: value for key, value in data.items() if value is not None}, ensure_ascii=False)
