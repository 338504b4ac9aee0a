"""What decrypted messages of WeCom and WeChat have in common (bot/docs/protocols.md#sealed-letters)."""

from __future__ import annotations

import re
from hashlib import sha256

from bot.channels.signature import BadEnvelope, cdata

COMMON = frozenset(("FromUserName", "CreateTime", "MsgType", "MsgId", "Content", "Event", "EventKey"))

_TIME = re.compile(r"[0-9]{1,11}")
_MESSAGE_ID = re.compile(r"[0-9]{1,20}")
_KIND = re.compile(r"[A-Za-z0-9_]{1,64}")
_ECHO = re.compile(r"[0-9A-Za-z_+/=.-]{1,256}")
_TEXT = (
    "<xml><ToUserName>{}</ToUserName><FromUserName>{}</FromUserName><CreateTime>{}</CreateTime>"
    "<MsgType><![CDATA[text]]></MsgType><Content>{}</Content></xml>"
)


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
