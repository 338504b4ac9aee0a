"""What a button carries: the task it belongs to and the text it is heard as. Who tapped it is never in it, the envelope says that."""

from __future__ import annotations

_BAR = "|"


def encode_key(task: str, say: str) -> str:
    """ "q17" and "A" make "q17|A"; a command belongs to no task: "|每日"."""
    return f"{task.replace('%', '%25').replace(_BAR, '%7C')}{_BAR}{say}"


def decode_key(key: str) -> tuple[str, str]:
    """Task and text of a button; a key that is not of our making is a text, as the keys of a menu are."""
    task, bar, say = key.partition(_BAR)
    return (task.replace("%7C", _BAR).replace("%25", "%"), say) if bar else ("", key)


def is_key(text: str) -> bool:
    """True when the text may be a key of our making."""
    return _BAR in text
