"""One HTTP request and its JSON answer, with time-outs, a cap on the answer, no redirects and every fault as a `PlatformError`.

Also redacts secrets in what is logged or raised, and checks that a webhook address leads to a configured host (bot/docs/reliability.md O9).
"""

from __future__ import annotations

import json as jsonlib
import re
import ssl
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from bot.channels.outbound.errors import UNREADABLE, Kind, PlatformError

MASK = "***"
LONGEST_LOGGED = 500

_NAMES = r"access_token|accesstoken|corpsecret|appsecret|clientsecret|client_secret|api_?secret|secret|session|ticket|x-acs-dingtalk-access-token"
_PAIRS = re.compile(rf"""(?i)\b({_NAMES})(["']?\s*[=:]\s*["']?)([^&\s"',;}}]+)""")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with the given values and what follows names such as access_token= masked, on one line of at most 500 characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    text = _PAIRS.sub(rf"\1\2{MASK}", text)
    return "".join(char if char.isprintable() else " " for char in text)[:LONGEST_LOGGED]


SHOWN_BYTES = 2000
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)

Answer = tuple[int, dict[str, Any]]


def encode(value: Any) -> bytes:
    """JSON as UTF-8 without escapes, as the platforms require (bot/docs/protocols.md#outbound-calls); a lone surrogate becomes "?"."""
    return jsonlib.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    headers: dict[str, str],
    json: Any,
    total: float,
    read: float,
    cap: int,
    form: Sequence[tuple[str, str]] | None = None,
    trust: ssl.SSLContext | None = None,
) -> Answer:
    """Status and JSON object; anything else is shortened under UNREADABLE. A `form` is sent instead of JSON; `trust` holds other CAs.

    Raises "transient" when the request was certainly not sent, "unknown" when it may have been done (for a GET that is "transient" too).
    """
    timeout = aiohttp.ClientTimeout(total=max(total, 0.001), sock_read=read, sock_connect=read)
    if form is not None:
        body, kind = urlencode(form).encode(), "application/x-www-form-urlencoded; charset=utf-8"
    else:
        body, kind = (b"" if json is None else encode(json)), "application/json; charset=utf-8"
    request_headers = {**headers, **({"Content-Type": kind} if body else {})}
    unanswered: Kind = "transient" if method == "GET" else "unknown"
    try:
        async with session.request(
            method, url, data=body or None, headers=request_headers, timeout=timeout, allow_redirects=False, ssl=trust if trust is not None else True
        ) as response:
            raw = await _read(response, cap)
            return response.status, {UNREADABLE: "the answer is too large"} if raw is None else _object(raw)
    except _NOT_SENT as wrong:
        fault = PlatformError("transient", "no-connection", type(wrong).__name__)
    except TimeoutError:
        fault = PlatformError(unanswered, "timeout")
    except (aiohttp.ClientError, OSError, ValueError) as wrong:
        fault = PlatformError(unanswered, "broken", type(wrong).__name__)
    # Raised here, so that no exception with the URL in it is chained.
    raise fault


async def _read(response: aiohttp.ClientResponse, cap: int) -> bytes | None:
    """The decompressed body, or None as soon as it is larger than the cap."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > cap:
            response.close()
            return None
        parts.append(part)
    return b"".join(parts)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = jsonlib.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {UNREADABLE: raw[:SHOWN_BYTES].decode("utf-8", "replace")}
    return value if isinstance(value, dict) else {UNREADABLE: "the answer is no object"}


LONGEST_ADDRESS = 2048
_ADDRESS = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?:/[!-~]*)?", re.IGNORECASE | re.ASCII)
"""Scheme, host, port, path: no user, no spaces, nothing that two parsers could read differently."""


def origin(base: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an address; a bare host means https on its own port. None when it is no address."""
    try:
        url = URL(base if "://" in base else f"https://{base}")
        host, port = url.raw_host, url.port
    except ValueError:
        return None
    if url.scheme not in ("https", "http") or not host or port is None:
        return None
    return url.scheme, host.lower(), port


def allowed_url(address: str, allowed: frozenset[str]) -> URL | None:
    """The parsed address when it leads to one of the allowed origins, else None.

    The returned object is the one that is requested, so that no second parser can read the address differently. A plain http origin is
    allowed only if it is configured as such.
    """
    if len(address) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(address) or "\\" in address or "#" in address:
        return None
    try:
        url = URL(address)
    except ValueError:
        return None
    address_origin = origin(address)
    return url if address_origin is not None and address_origin in {origin(base) for base in allowed} else None
