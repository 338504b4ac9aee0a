"""Keys of buttons: the task a button belongs to and the text it stands for. Who tapped it is read from the envelope, never from the key."""

from __future__ import annotations

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
