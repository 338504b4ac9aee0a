"""What channels share in rendering a reply: keys of buttons, and texts split and truncated to the limits of a platform."""

from __future__ import annotations

from bot.channels.signature import strip_unencodable
from bot.domain.message import Option

ELLIPSIS = "…"


def split_text(text: str, limit: int) -> list[str]:
    """The text in parts of at most `limit` bytes of UTF-8, cut between lines where that leaves no part half empty, never inside a character."""
    text = strip_unencodable(text).strip("\n")
    parts: list[str] = []
    while text:
        head = _head(text, limit)
        if len(head) < len(text):
            line = head.rfind("\n")
            if line > len(head) // 2:
                head = head[:line]
        parts.append(head.rstrip("\n"))
        text = text[len(head) :].lstrip("\n")
    return parts


def truncate(text: str, limit: int) -> str:
    """At most `limit` characters, an ellipsis among them where something was left out."""
    return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS


def option_line(option: Option) -> str:
    """An option as a line with the letter to type: "A. 合法", or just "对"."""
    return option.label if option.label.startswith(option.say) else f"{option.say}. {option.label}"


def _head(text: str, limit: int) -> str:
    if len(text) * 4 <= limit:
        return text
    return text.encode()[:limit].decode(errors="ignore")


def truncate_bytes(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, never a partial character."""
    return text.encode()[:limit].decode("utf-8", "ignore")


_BAR = "|"


def encode_key(task: str, say: str) -> str:
    """ "q17" and "A" make "q17|A"; a command belongs to no task: "|每日"."""
    return f"{task.replace('%', '%25').replace(_BAR, '%7C')}{_BAR}{say}"


def decode_key(key: str) -> tuple[str, str]:
    """Task and text of a button; a key that was not made here is taken as text, as the keys of a menu are."""
    task, bar, say = key.partition(_BAR)
    return (task.replace("%7C", _BAR).replace("%25", "%"), say) if bar else ("", key)


def is_key(text: str) -> bool:
    """True when the text may be a key made here."""
    return _BAR in text
