"""What decrypted messages of WeCom and WeChat have in common, and who reads them (bot/docs/protocols.md#sealed-letters).

What people answer questions with (texts, taps on cards) is read as a flat list, as the envelope is. Everything else (events, media, menus, votes) is
read by wechatpy, behind a guard: it came in a genuine envelope, is small, and declares neither a DTD nor an entity.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any, Literal

from aiohttp import web

from bot.channels.signature import BadEnvelope, cdata, is_encodable, read_flat

COMMON = frozenset(("FromUserName", "CreateTime", "MsgType", "MsgId", "Content", "Event", "EventKey"))
MOST_ELEMENTS = 256
"""The largest message of the platforms, a vote over 20 options, has about 40."""
MOST_SECTIONS = 64
"""CDATA sections in one text: each `]]>` that a person writes begins another."""

_INNER = re.compile(rb"""\s*+(?:<\?xml version=["']1\.0["'](?: encoding=["'][Uu][Tt][Ff]-8["'])? ?\?>\s*+)?<xml[\s>]""")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,10}));")
_TIME = re.compile(r"[0-9]{1,11}")
_MESSAGE_ID = re.compile(r"[0-9]{1,20}")
_KIND = re.compile(r"[A-Za-z0-9_]{1,64}")
_ECHO = re.compile(r"[0-9A-Za-z_+/=.-]{1,256}")
_TEXT = (
    "<xml><ToUserName>{}</ToUserName><FromUserName>{}</FromUserName><CreateTime>{}</CreateTime>"
    "<MsgType><![CDATA[text]]></MsgType><Content>{}</Content></xml>"
)

Library = Literal["wechatpy", "wechatpy.enterprise"]
"""Which of wechatpy's readers: that of Official Accounts or that of WeCom."""
Pushed = Mapping[str, Any]
"""A message's elements by name: texts, and what is nested as mappings and lists of them."""


def read_message(plain: bytes, wanted: frozenset[str], library: Library, answers: frozenset[str] = frozenset()) -> tuple[dict[str, str], Pushed]:
    """The wanted fields, each at most once and nothing but text, and the whole message; raises `BadEnvelope`.

    Texts, and the events named in `answers`, are read here where they are flat; wechatpy reads the rest. Phones send characters that XML does
    not allow, and the platforms pass them on: the sender is genuine, so they are left out and the message is read again.
    """
    try:
        return _read(plain, wanted, library, answers)
    except BadEnvelope:
        allowed = _without_forbidden(plain)
        if allowed == plain:
            raise
        return _read(allowed, wanted, library, answers)


def _read(plain: bytes, wanted: frozenset[str], library: Library, answers: frozenset[str]) -> tuple[dict[str, str], Pushed]:
    if _INNER.match(plain) is None:
        raise BadEnvelope("prolog")
    flat_fields = _flat_fields(plain, wanted)
    if flat_fields is not None and (flat_fields.get("MsgType", "").lower() == "text" or flat_fields.get("Event", "").lower() in answers):
        return flat_fields, flat_fields
    pushed = _read_by_wechatpy(plain, library)
    return {name: require_text(pushed[name]) for name in wanted & pushed.keys()}, pushed


def _without_forbidden(plain: bytes) -> bytes:
    """The message without the characters that XML 1.0 forbids, written out or as references."""
    try:
        text = plain.decode()
    except UnicodeDecodeError:
        return plain
    return _REFERENCE.sub(_keep_allowed, _FORBIDDEN.sub("", text)).encode()


def _keep_allowed(reference: re.Match[str]) -> str:
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    return "" if number > sys.maxunicode or _FORBIDDEN.match(chr(number)) else reference[0]


def _flat_fields(plain: bytes, wanted: frozenset[str]) -> dict[str, str] | None:
    """The wanted fields of a flat message; None for any other. Raises `BadEnvelope` for a field that is there twice and for what is no text."""
    parts = read_flat(plain, MOST_ELEMENTS, sections=MOST_SECTIONS)
    if parts is None:
        return None
    try:
        if not is_encodable(plain.decode()):
            raise BadEnvelope("characters")
        values: dict[str, str] = {}
        for tag, value in parts:
            name = tag.decode()
            if name in wanted:
                if name in values:
                    raise BadEnvelope("fields")
                # A line ends as XML says that it does.
                values[name] = value.decode() if b"\r" not in value else value.replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode()
    except UnicodeDecodeError:
        raise BadEnvelope("characters") from None
    return values


def _read_by_wechatpy(plain: bytes, library: Library) -> Pushed:
    if plain.count(b"<") - plain.count(b"</") - plain.count(b"<!") > MOST_ELEMENTS:
        raise BadEnvelope("elements")
    try:
        # Its messages have attributes for what it knows, and cards are not among it (1.8.18); what it has read is all in here.
        pushed: Pushed = _parser(library)(plain)._data
    except Exception as wrong:  # wechatpy raises whatever its parts raise (bot/docs/protocols.md#wechatpy)
        raise BadEnvelope("xml") from wrong
    return pushed


def _parser(library: Library) -> Any:
    """wechatpy's reader; it is imported here, since that takes a third of a second."""
    if library == "wechatpy":
        from wechatpy import parse_message
    else:
        from wechatpy.enterprise import parse_message
    return parse_message


def load_wechatpy(library: Library) -> Any:
    """A cleanup context that imports wechatpy in a thread when the service starts, so that the first event does not have to wait for it."""

    async def load(app: web.Application) -> AsyncIterator[None]:
        loading = asyncio.get_running_loop().run_in_executor(None, _parser, library)
        yield
        await loading

    return load


def require_text(value: Any) -> str:
    """The text of an element that holds nothing else; raises `BadEnvelope`."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadEnvelope("fields")
    return value


def children(pushed: Any, name: str) -> list[Any]:
    """Every child of that name; raises `BadEnvelope` where the element holds text."""
    if pushed is None:
        return []
    if not isinstance(pushed, Mapping):
        raise BadEnvelope("fields")
    named = pushed.get(name, [])
    return named if isinstance(named, list) else [named]


def kind_of(parts: dict[str, str]) -> tuple[str, str]:
    """("text", its MsgId) or ("event", the event's name), in lower case, since the platforms vary it; raises `BadEnvelope`."""
    kind = parts.get("MsgType", "")
    if not _KIND.fullmatch(kind) or not _TIME.fullmatch(parts.get("CreateTime", "")):
        raise BadEnvelope("fields")
    if kind.lower() == "event":
        event = parts.get("Event", "")
        if not _KIND.fullmatch(event):
            raise BadEnvelope("fields")
        return "event", event.lower()
    message_id = parts.get("MsgId", "")
    if not _MESSAGE_ID.fullmatch(message_id) or (kind.lower() == "text" and "Content" not in parts):
        raise BadEnvelope("fields")
    return kind.lower(), message_id


def event_id(created: str, *parts: str) -> str:
    """An id for an event, which carries none: copies share the second it was created in and its fields."""
    digest = sha256("\n".join(f"{len(part)} {part}" for part in parts).encode()).hexdigest()
    return f"{created}-{digest[:24]}"


def check_echo(text: str) -> str:
    """The word of an address check, if it holds nothing that a browser could interpret; raises `BadEnvelope`."""
    if not _ECHO.fullmatch(text):
        raise BadEnvelope("echo")
    return text


def text_reply(user: str, sender: str, created: int, text: str) -> str:
    """A passive text reply; `created` in Unix seconds."""
    return _TEXT.format(cdata(user), cdata(sender), created, cdata(text))
