"""The platforms' error codes, and what to do about each (bot/docs/protocols.md#outbound-calls)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

Kind = Literal["token", "rate", "quota", "permission", "recipient", "content", "window", "transient", "unknown", "config"]
"""What to do about a refusal.

token: the access token is not accepted, also after a refresh. rate: wait `retry_after`. quota: used up until tomorrow. permission: the app lacks a
right. recipient: this person cannot be reached. content: a fault in the message, never repeat it. window: the platform only allows it after the
person writes. transient: certainly not done, may be repeated. unknown: may have been done, never repeat blindly. config: stop, the setup is wrong.
"""

UNREADABLE = "_unreadable"
"""The key of the first characters of an answer that was no JSON object."""

MINUTE_SECONDS = 60.0
BAN_SECONDS = 300.0


class PlatformError(Exception):
    """A platform's refusal, or no answer from it; `message` is redacted before it is raised, so that `str()` never holds a secret."""

    def __init__(self, kind: Kind, code: str, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(kind, code, message)
        self.kind: Kind = kind
        self.code = code
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.kind} {self.code}: {self.message}" if self.message else f"{self.kind} {self.code}"


class ErrorMeaning(NamedTuple):
    """What one code means; `wait` in seconds where the platform documents one."""

    kind: Kind
    wait: float | None = None


def _table(*rows: tuple[ErrorMeaning, Iterable[int]]) -> dict[int, ErrorMeaning]:
    return {code: meaning for meaning, codes in rows for code in codes}


WECOM = _table(
    (ErrorMeaning("transient"), (-1,)),
    # 40001 is documented as a wrong secret; on a call with a token it means the token, and one refresh does no harm.
    (ErrorMeaning("token"), (40001, 40014, 41001, 42001)),
    (ErrorMeaning("config"), (40013, 40056, 40057, 50001, 50003, 60020, 301002)),
    (ErrorMeaning("recipient"), (40003, 60111, 81013, 50002)),
    (ErrorMeaning("permission"), (48002, 60003, 60011, 60123)),
    (ErrorMeaning("content"), (40029, 40058, 42022, *range(42014, 42021), 42044, 42045, 44004, 45001, 45002, 45008, 82001, 85002)),
    (ErrorMeaning("rate", MINUTE_SECONDS), (45009,)),
    (ErrorMeaning("rate", 1.0), (45033,)),
)

WECHAT = _table(
    (ErrorMeaning("transient"), (-1,)),
    (ErrorMeaning("token"), (40001, 40014, 41001, 42001)),
    (ErrorMeaning("config"), (40013, 40125, 40164, 40243, 61004, 89501, 89503, 89506, 89507, 40037)),
    (ErrorMeaning("recipient"), (40003, 43004, 43019, 43101, 50002, 50005)),
    (ErrorMeaning("content"), (40029, 40163, 40200, 44002, 45002, 45065, 45067, 47001, 47003)),
    (ErrorMeaning("window"), (45015, 45047)),
    (ErrorMeaning("quota"), (45009, 45028)),
    (ErrorMeaning("rate", MINUTE_SECONDS), (45011, 45066)),
    (ErrorMeaning("permission"), (48001, 48004, 48006, 48008, 50001)),
)

DINGTALK_OLD = _table(
    (ErrorMeaning("transient"), (-1,)),
    (ErrorMeaning("unknown"), (15,)),
    (ErrorMeaning("token"), (40001, 40014, 42001)),
    (ErrorMeaning("permission"), (60011,)),
    (ErrorMeaning("recipient"), (33012, 60121)),
    (ErrorMeaning("content"), (40035, 40078, 143106, 400002, 1430002)),
    (ErrorMeaning("rate", 1.0), (90002, 90018)),
    (ErrorMeaning("rate", MINUTE_SECONDS), (143103, 143104)),
    (ErrorMeaning("rate", 600.0), (130101,)),
    (ErrorMeaning("quota"), (90020, 143105)),
)

DINGTALK_NEW: tuple[tuple[str, ErrorMeaning], ...] = (
    ("invalidauthentication", ErrorMeaning("token")),
    ("forbidden.accessdenied.apicountlimit", ErrorMeaning("quota")),
    ("forbidden.accessdenied.qpslimit", ErrorMeaning("rate", 1.0)),
    ("forbidden.accessdenied.iplimit", ErrorMeaning("rate", BAN_SECONDS)),
    ("forbidden", ErrorMeaning("permission")),
    ("throttling", ErrorMeaning("rate", 1.0)),
    ("send.too.fast", ErrorMeaning("rate", MINUTE_SECONDS)),
    ("send.bytoken.toofast", ErrorMeaning("rate", MINUTE_SECONDS)),
    ("too.many.", ErrorMeaning("rate", MINUTE_SECONDS)),
    ("staffid.notexisted", ErrorMeaning("recipient")),
    ("invalid.client", ErrorMeaning("config")),
    ("unsupported.grant.type", ErrorMeaning("config")),
    ("unauthorized.client", ErrorMeaning("config")),
    ("invalidclientidorsecret", ErrorMeaning("config")),
    ("param", ErrorMeaning("content")),
    ("invalidparameter", ErrorMeaning("content")),
    ("system.error", ErrorMeaning("transient")),
)


def wecom(status: int, answer: dict[str, Any]) -> PlatformError | None:
    return _by_number(WECOM, status, answer)


def wechat(status: int, answer: dict[str, Any]) -> PlatformError | None:
    return _by_number(WECHAT, status, answer)


def dingtalk_old(status: int, answer: dict[str, Any]) -> PlatformError | None:
    """The old API and the sessionWebhook: HTTP 200 with `errcode`; 88 wraps another code."""
    if (punished := _ban(answer)) is not None:
        return punished
    if _number(answer.get("errcode")) == 88:
        inner = _number(answer.get("sub_code"))
        text = str(answer.get("sub_msg") or answer.get("errmsg") or "")
        if inner is None:
            return PlatformError("token", "88", text)
        meaning = DINGTALK_OLD.get(inner, ErrorMeaning("content"))
        return PlatformError(meaning.kind, f"88/{inner}", text, retry_after=meaning.wait)
    return _by_number(DINGTALK_OLD, status, answer)


def dingtalk_new(status: int, answer: dict[str, Any]) -> PlatformError | None:
    """The new API: an HTTP status and a code in words, compared without regard to case."""
    if (punished := _ban(answer)) is not None:
        return punished
    code = str(answer.get("code") or "") if status >= 400 else ""
    message = str(answer.get("message") or "")
    detail = answer.get("accessdenieddetail")
    if isinstance(detail, dict) and detail.get("requiredScopes"):
        message = f"{message} requiredScopes={detail['requiredScopes']}"
    for prefix, meaning in DINGTALK_NEW:
        if code.lower().startswith(prefix):
            return PlatformError(meaning.kind, code, message, retry_after=meaning.wait)
    if status == 401:
        return PlatformError("token", code or "http-401", message)
    failed = by_status(status)
    if failed is not None and code:
        return PlatformError(failed.kind, code, message, retry_after=failed.retry_after)
    return failed


def by_status(status: int) -> PlatformError | None:
    """What the HTTP status alone means. With 502 and 504 a gateway had no answer, and the work may have been done."""
    code = f"http-{status}"
    if status < 300:
        return None
    if status < 400:
        return PlatformError("config", code, "a redirect is not followed")
    if status == 429:
        return PlatformError("rate", code, retry_after=MINUTE_SECONDS)
    if status in (401, 403):
        return PlatformError("permission", code)
    if status in (502, 504):
        return PlatformError("unknown", code)
    return PlatformError("transient" if status >= 500 else "content", code)


def _by_number(table: dict[int, ErrorMeaning], status: int, answer: dict[str, Any]) -> PlatformError | None:
    if "errcode" not in answer:
        return by_status(status)
    number = _number(answer["errcode"])
    if number is None:
        return PlatformError("unknown", "errcode", "an errcode that is no number")
    if number == 0:
        return by_status(status)
    meaning = table.get(number, ErrorMeaning("content"))
    return PlatformError(meaning.kind, str(number), str(answer.get("errmsg") or ""), retry_after=meaning.wait)


def _number(value: Any) -> int | None:
    """An errcode, also when it comes as text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _ban(answer: dict[str, Any]) -> PlatformError | None:
    """The error for a banned address, which comes as JSON without errcode or as a page."""
    if "punish" in answer or "punish" in str(answer.get(UNREADABLE, "")).lower():
        return PlatformError("rate", "punish", "this address is banned for a while", retry_after=BAN_SECONDS)
    return None
