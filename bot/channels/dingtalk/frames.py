"""The frames of a Stream connection and their acknowledgements (protocols.md C1)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bot.channels.dingtalk.messages import LONGEST_ID, Malformed, as_object

ROBOT = "/v1.0/im/bot/messages/get"
CARDS = "/v1.0/card/instances/callback"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame from the gateway; `data` is the JSON text as it came."""

    type: str
    topic: str
    message_id: str
    data: str


def read(raw: str) -> Frame:
    """Raises Malformed."""
    frame = as_object(raw)
    headers = frame.get("headers")
    if not isinstance(headers, dict):
        raise Malformed("headers")
    kind, topic, message_id, data = frame.get("type"), headers.get("topic", ""), headers.get("messageId", ""), frame.get("data", "")
    if not isinstance(kind, str) or not isinstance(topic, str) or not isinstance(message_id, str) or len(message_id) > LONGEST_ID:
        raise Malformed("header")
    if not isinstance(data, str):
        raise Malformed("data")
    return Frame(kind, topic, message_id, data)


def acknowledgement(message_id: str, code: int, data: str) -> str:
    headers = {"messageId": message_id, "contentType": "application/json"}
    return json.dumps({"code": code, "headers": headers, "message": WORDS.get(code, "failed"), "data": data}, ensure_ascii=False)


WORDS = {200: "OK", 400: "bad request", 404: "no handler"}


def response(answer: dict[str, Any] | None) -> str:
    """The data of a callback's acknowledgement."""
    return json.dumps({"response": answer}, ensure_ascii=False)


EVENT_DONE = json.dumps({"status": "SUCCESS", "message": ""})
EMPTY = json.dumps({})
