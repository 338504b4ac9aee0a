"""Structured logs: one line of JSON for each event, with the request and message it belongs to and with secrets masked."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import cache
from hashlib import sha256
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

from bot.domain.message import Address, Incoming

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

REQUEST: ContextVar[int] = ContextVar("request", default=0)
"""The number of the HTTP request being served; formatted only when a line is logged, as the message is."""
MESSAGE: ContextVar[Incoming | None] = ContextVar("message", default=None)
"""The message being answered."""
_PROCESS_ID = os.urandom(4).hex()

MASK = "***"
LONGEST_VALUE = 4_000
SHORTEST_MASKED = 6
"""The fewest characters of a secret that is masked: masking a shorter one would hide half the words of a log."""

_SENSITIVE_NAMES = (
    r"access_?token|refresh_?token|corp_?secret|app_?secret|client_?secret|api_?secret|secret|password|passwd|passphrase|aes_?key|encoding_?aes_?key"
    r"|session_?webhook|ticket|authorization|cookie|x-acs-dingtalk-access-token|bind_?code"
)
_PAIR = re.compile(rf"""(?i)\b({_SENSITIVE_NAMES})\b(\\?["']?\s*[=:]\s*\\?["']?)(?:bearer\s+|basic\s+)?[^&\s"',;}}\\]+""")
_IN_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^/\s:@]*):[^/\s@]+@")
_NAME = re.compile(rf"(?i)(?:.*_)?(?:{_SENSITIVE_NAMES}|token)")
_ROW = re.compile(r"(?m)^(.*\bDETAIL:).*$")
"""PostgreSQL quotes the refused row here, and with it somebody's words or account."""
_UNSEEN = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


@cache
def _structlog() -> ModuleType:
    """structlog, loaded when something is logged or configured, and without rich, with which it would draw on a terminal what we write as JSON."""
    had_rich = sys.modules.get("rich")
    # The import system's way to say that there is none.
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog
    finally:
        del sys.modules["rich"]
        if had_rich is not None:
            sys.modules["rich"] = had_rich
    return structlog


class _Logger:
    """structlog's logger of a module."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        return getattr(_structlog().get_logger(self._name), method)


def get_logger(name: str) -> Any:
    """The logger of a module; its methods are structlog's."""
    return _Logger(name)


def build_masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that masks secrets in a text: the given values, also as JSON writes them, and what follows names such as access_token."""
    values = sorted(
        {form for secret in secrets if len(secret) >= SHORTEST_MASKED for form in (secret, json.dumps(secret)[1:-1])}, key=len, reverse=True
    )
    known = re.compile("|".join(re.escape(value) for value in values)) if values else None

    def mask(text: str) -> str:
        if known is not None:
            text = known.sub(MASK, text)
        text = _IN_URL.sub(rf"\1:{MASK}@", text)
        if "DETAIL:" in text:
            text = _ROW.sub(rf"\1 {MASK}", text)
        return _PAIR.sub(rf"\1\2{MASK}", text)

    return mask


def pseudonym(sender: Address) -> str:
    """A hash of the account, the same in every line; whoever holds the roster can work out whose it is."""
    return sha256(f"{sender.channel}:{sender.user}".encode()).hexdigest()[:12]


def _add_context(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Add the number of the request, the id of the message and the pseudonym of its sender."""
    if request_number := REQUEST.get():
        event.setdefault("request_id", f"{_PROCESS_ID}{request_number:x}")
    if (message := MESSAGE.get()) is not None:
        event.setdefault("message_id", message.message_id[:100])
        event.setdefault("person", pseudonym(message.sender))
    return event


class _MaskSecrets:
    """Masks secrets in every value, nested ones too, and truncates long values."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._mask = build_masker(secrets)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {key: MASK if _NAME.fullmatch(key) and value else self._mask_value(value) for key, value in event.items()}

    def _mask_value(self, value: Any, depth: int = 0) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict) and depth < 4:
            return {str(key): MASK if _NAME.fullmatch(str(key)) else self._mask_value(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset) and depth < 4:
            return [self._mask_value(item, depth + 1) for item in value]
        text = value if isinstance(value, str) else str(value)
        masked = self._mask(text)
        return masked if len(masked) <= LONGEST_VALUE else masked[:LONGEST_VALUE] + "…"


def _render_json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """One line of JSON. It escapes CR, LF and ESC itself; other control and invisible characters are escaped here."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=str))


def configure(secrets: Iterable[str] = (), *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Write what structlog and the libraries' loggers report to one stream (stderr by default), in one format."""
    structlog = _structlog()
    output = stream or sys.stderr
    shared: list[Processor] = [
        _add_context,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]
    finish: list[Processor] = [_MaskSecrets(secrets), _render_json]
    structlog.configure(
        processors=[*shared, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.WARNING))
