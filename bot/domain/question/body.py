"""Questions as JSON keeps them: one version of a question is one row, told apart by its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from typing import Any

from bot.domain.question.base import KINDS, KeyPoint, Question


def to_body(question: Question) -> dict[str, Any]:
    """The question as JSON keeps it: every field that is not at its default, with its kind."""
    body: dict[str, Any] = {"kind": question.kind}
    for field in fields(question):
        value = getattr(question, field.name)
        if value != field.default:
            body[field.name] = _plain(value)
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, KeyPoint):
        return {"say": value.say, "words": list(value.words)}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value


def from_body(body: Mapping[str, Any]) -> Question:
    """The question again, equal to the one that was kept. Raises KeyError for a kind nobody registered, TypeError for a missing field."""
    kept = dict(body)
    cls = KINDS[kept.pop("kind")]
    kept["version"] = date.fromisoformat(kept["version"])
    kept["options"] = tuple((letter, said) for letter, said in kept.get("options", ()))
    kept["accepted"] = tuple(kept.get("accepted", ()))
    kept["points"] = tuple(KeyPoint(point["say"], tuple(point["words"])) for point in kept.get("points", ()))
    return cls(**kept)


def canonical(body: Mapping[str, Any]) -> str:
    """One text for one content, whatever the order of its keys."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(question: Question) -> str:
    """SHA-256 of the canonical JSON, in hex: another digest is another version."""
    return hashlib.sha256(canonical(to_body(question)).encode()).hexdigest()
