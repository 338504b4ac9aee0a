"""The EPaaS gateway: signs requests, judges answers, fetches tokens (bot/docs/protocols.md#zwding-gateway).

This was never tried on a live gateway; it follows the vendor's SDK 1.2.0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from bot.channels.base import Clock, Token
from bot.channels.config import reveal
from bot.channels.outbound.apis import Api, Params, Place, Sign, TokenRequest, token_in
from bot.channels.outbound.errors import MINUTE_SECONDS, UNREADABLE, Kind, PlatformError, by_status
from bot.channels.zwding.config import ZwDingConfig

NAME = "zwding"
ZONE: Final = ZoneInfo("Asia/Shanghai")
VERSION = "1.0"
_WORDS: tuple[tuple[str, Kind], ...] = (
    ("throttl", "rate"),
    ("frequen", "rate"),
    ("flow", "rate"),
    ("limit", "rate"),
    ("receiver", "recipient"),
    ("token", "token"),
    ("sign", "config"),
    ("apikey", "config"),
    ("timestamp", "config"),
    ("tenant", "config"),
    ("forbidden", "permission"),
    ("permission", "permission"),
    ("auth", "permission"),
    ("busy", "transient"),
)
"""The platform's error codes are not documented; these words in a code or message hint at its kind."""


def signed_text(method: str, timestamp: str, nonce: str, path: str, params: Params) -> str:
    """The text to sign: four lines, and a fifth with the unencoded parameters, sorted by name and value, if there are any."""
    lines = [method, timestamp, nonce, path]
    if params:
        lines.append("&".join(f"{name}={value}" for name, value in sorted(params)))
    return "\n".join(lines)


def signature(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode("utf-8", "replace"), hashlib.sha256).digest()).decode()


def stamp_of(now: datetime) -> str:
    """The time in Shanghai with milliseconds and offset: 2026-11-23T09:00:00.000+08:00."""
    return now.astimezone(ZONE).isoformat(timespec="milliseconds")


def signer(config: ZwDingConfig, clock: Clock, four_digits: Callable[[], int]) -> Sign:
    """A function that signs requests; `four_digits` gives 0 to 9999 for the nonce."""
    unsigned_prefix = "" if config.sign_prefix else config.prefix

    def sign(method: str, path: str, params: Params) -> dict[str, str]:
        now = clock()
        timestamp = stamp_of(now)
        nonce = f"{int(now.timestamp() * 1000):013d}{four_digits():04d}"
        text = signed_text(method, timestamp, nonce, path.removeprefix(unsigned_prefix), params)
        named = {
            "Timestamp": timestamp,
            "Version": VERSION,
            "Nonce": nonce,
            "Signature": signature(reveal(config.app_secret), text),
            "IP": config.caller_ip,
            "MAC": config.caller_mac,
        }
        return {config.key_header: config.app_key, **{config.header_prefix + name: value for name, value in named.items()}}

    return sign


def build_apis(config: ZwDingConfig, clock: Clock, four_digits: Callable[[], int]) -> tuple[Api, Api]:
    """The API with the signature alone, and the API with a token as well. Raises ValueError for a bad CA file."""
    sign = signer(config, clock, four_digits)
    trust = _load_ca(config.ca_file)

    async def fetch(raw: TokenRequest) -> Token:
        status, answer = await raw("POST", config.token_path, params={"appkey": config.app_key, "appsecret": reveal(config.app_secret)})
        failed = judge(status, answer)
        return token_in(raw, lambda *_: failed, status, _object_or_empty(data_of(answer)), value="accessToken", life="expiresIn")

    def api(place: Place) -> Api:
        base = config.gateway.rstrip("/") + config.prefix.rstrip("/")
        return Api(NAME, base, f"zwding:{config.app_key}", fetch, place, judge, sign, trust)

    return api("none"), api("param:access_token")


def judge(status: int, answer: dict[str, Any]) -> PlatformError | None:
    """The error of an answer; None only where the gateway's flag and the one inside its content are both true."""
    if UNREADABLE in answer:
        return by_status(status)
    if "Code" in answer:
        return _refusal(status, str(answer["Code"]), str(answer.get("Message") or ""))
    if answer.get("success") is not True:
        return _refusal(status, str(answer.get("bizErrorCode") or answer.get("errorCode") or ""), str(answer.get("errorMsg") or ""))
    content = answer.get("content")
    if not isinstance(content, dict):
        return PlatformError("unknown", "no-content", "the answer does not say what became of the call")
    if content.get("success") is not True:
        return _refusal(status, str(content.get("responseCode") or ""), str(content.get("responseMessage") or ""))
    return by_status(status)


def data_of(answer: dict[str, Any]) -> Any:
    """`content.data`, or None."""
    return _object_or_empty(answer.get("content")).get("data")


def _refusal(status: int, code: str, message: str) -> PlatformError:
    words = f"{code} {message}".lower()
    kind = next((kind for word, kind in _WORDS if word in words), None)
    if kind is None:
        failed = by_status(status)
        kind = failed.kind if failed is not None else "content"
    return PlatformError(kind, code or f"http-{status}", message, retry_after=MINUTE_SECONDS if kind == "rate" else None)


def _object_or_empty(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _load_ca(ca_file: str) -> ssl.SSLContext | None:
    if not ca_file:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as wrong:
        raise ValueError(f"ca_file: {type(wrong).__name__}") from wrong
