"""The platforms' APIs: base address, how a token is fetched and sent, and how an answer is judged."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from bot.channels.base import Token
from bot.channels.outbound import errors
from bot.channels.outbound.errors import PlatformError

Place = Literal["query:access_token", "header:x-acs-dingtalk-access-token", "param:access_token", "none"]
"""Where the token is sent. "param": among the signed parameters; "none": not at all, the signature alone identifies the caller."""
Params = list[tuple[str, str]]
Sign = Callable[[str, str, Params], dict[str, str]]
"""(method, path, parameters): the headers of one signed request. Made anew for each attempt, since a nonce is valid once."""
Judge = Callable[[int, dict[str, Any]], PlatformError | None]

DEFAULT_LIFE_SECONDS = 7200
"""Seconds a token is valid where the platform does not say."""


class TokenRequest(Protocol):
    """A request without a token, to fetch one: the status and the JSON object; raises `PlatformError` without such an answer."""

    refused: bool
    """True when the platform has just refused a token that should still be good."""

    def now(self) -> datetime: ...

    async def __call__(self, method: str, path: str, *, params: dict[str, str] | None = None, json: Any = None) -> tuple[int, dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Api:
    """One app's access to one platform; `key` names the shared token and holds no secret."""

    name: str
    base: str
    key: str
    fetch: Callable[[TokenRequest], Awaitable[Token]] = field(repr=False)
    place: Place
    judge: Judge
    sign: Sign | None = field(default=None, repr=False)
    """If set, requests are signed, and parameters are sent as a form (POST) or in the query (GET), never as JSON."""
    trust: ssl.SSLContext | None = field(default=None, repr=False)


def wecom_api(*, base: str, corp_id: str, agent_id: str, secret: str) -> Api:
    """bot/docs/protocols.md#wecom-token: each app has a secret, so each (corp, app) has a token."""

    async def fetch(raw: TokenRequest) -> Token:
        answer = await raw("GET", "/cgi-bin/gettoken", params={"corpid": corp_id, "corpsecret": secret})
        return token_in(raw, errors.wecom, *answer, value="access_token", life="expires_in")

    return Api("wecom", base, f"wecom:{corp_id}:{agent_id}", fetch, "query:access_token", errors.wecom)


def wechat_api(*, base: str, app_id: str, secret: str) -> Api:
    """bot/docs/protocols.md#wechat-token: stable_token, forced only after a refusal, since the platform allows 20 forced ones a day."""

    async def fetch(raw: TokenRequest) -> Token:
        request = {"grant_type": "client_credential", "appid": app_id, "secret": secret, "force_refresh": raw.refused}
        answer = await raw("POST", "/cgi-bin/stable_token", json=request)
        return token_in(raw, errors.wechat, *answer, value="access_token", life="expires_in")

    return Api("wechat", base, f"wechat:{app_id}", fetch, "query:access_token", errors.wechat)


def dingtalk_api(*, base: str, client_id: str, client_secret: str) -> Api:
    """bot/docs/protocols.md#dingtalk-tokens: the new API, with the token in a header."""

    async def fetch(raw: TokenRequest) -> Token:
        answer = await raw("POST", "/v1.0/oauth2/accessToken", json={"appKey": client_id, "appSecret": client_secret})
        return token_in(raw, errors.dingtalk_new, *answer, value="accessToken", life="expireIn")

    return Api("dingtalk", base, f"dingtalk:{client_id}", fetch, "header:x-acs-dingtalk-access-token", errors.dingtalk_new)


def dingtalk_old_api(*, base: str, client_id: str, client_secret: str) -> Api:
    """bot/docs/protocols.md#dingtalk-tokens: the old API, with a token of its own, since it is not documented that the two are the same."""

    async def fetch(raw: TokenRequest) -> Token:
        answer = await raw("GET", "/gettoken", params={"appkey": client_id, "appsecret": client_secret})
        return token_in(raw, errors.dingtalk_old, *answer, value="access_token", life="expires_in")

    return Api("dingtalk", base, f"dingtalk:{client_id}:old", fetch, "query:access_token", errors.dingtalk_old)


def token_in(raw: TokenRequest, judge: Judge, status: int, answer: dict[str, Any], *, value: str, life: str) -> Token:
    """The token in an answer; raises `PlatformError` where there is none."""
    failed = judge(status, answer)
    if failed is not None:
        # No token was sent, so a refused token means that the id or the secret is wrong.
        kind: errors.Kind = "config" if failed.kind in ("token", "content") else failed.kind
        raise PlatformError(kind, failed.code, failed.message, retry_after=failed.retry_after)
    token, seconds = answer.get(value), answer.get(life, DEFAULT_LIFE_SECONDS)
    if not isinstance(token, str) or not 0 < len(token) <= 4096 or not token.isascii() or not token.isprintable():
        raise PlatformError("transient", "no-token", "the answer holds no token")
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 < seconds <= 30 * 86400:
        seconds = DEFAULT_LIFE_SECONDS
    return Token(token, raw.now() + timedelta(seconds=seconds))
