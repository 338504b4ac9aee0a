"""What goes over the line between the page and the service: small JSON objects, read strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

TEXT_CHARS = 2_000
TASK_CHARS = 100

_ID = re.compile(r"[0-9A-Za-z_-]{8,64}")


class Malformed(Exception):
    """A frame that no page of ours sends."""


def written(value: Mapping[str, Any]) -> str:
    """A frame as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def read(data: str) -> dict[str, str]:
    """A frame with exactly the fields that are known, all of them short texts."""
    try:
        frame = json.loads(data)
    except (ValueError, RecursionError) as wrong:
        raise Malformed("not JSON") from wrong
    if not isinstance(frame, dict) or frame.get("type") not in ("say", "enter", "ping"):
        raise Malformed("unknown type")
    if frame["type"] == "ping":
        return {"type": "ping"}
    read = {
        "type": frame["type"],
        "id": frame.get("id"),
        "text": frame.get("text", ""),
        "task": frame.get("task", ""),
        "label": frame.get("label", ""),
    }
    if not all(isinstance(value, str) for value in read.values()) or not _ID.fullmatch(read["id"]):
        raise Malformed("wrong field")
    if len(read["text"]) > TEXT_CHARS or len(read["label"]) > TEXT_CHARS or len(read["task"]) > TASK_CHARS:
        raise Malformed("too long")
    # A lone surrogate is text to JSON and to nobody else.
    return {key: value.encode("utf-8", "replace").decode() for key, value in read.items()}
