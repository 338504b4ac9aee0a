"""Parses the messages and events that WeCom pushes (bot/docs/protocols.md#wecom-callback)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from bot.channels.button_keys import decode_key
from bot.channels.signature import BadEnvelope
from bot.channels.xml_messages import COMMON, Pushed, children, event_id, kind_of, read_message, require_text
from bot.domain.message import Address, Incoming, IncomingKind

FIELDS = COMMON | {"AgentID", "TaskId", "ResponseCode"}
_USER = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.@/-]{0,63}")
_CARD_TAP = "template_card_event"
_CARD_EVENTS = (_CARD_TAP, "template_card_menu_event")
_ANSWERS = frozenset((_CARD_TAP,))
_PRESENCE: dict[str, IncomingKind] = {"subscribe": "follow", "unsubscribe": "unfollow", "enter_agent": "enter"}


@dataclass(frozen=True, slots=True)
class WeComMessage:
    """A message and what its reply needs: the user's id as written and, where a card was tapped, its task id and the code to update it with."""

    incoming: Incoming
    user: str
    card_task_id: str = ""
    response_code: str = ""


def parse_message(plain: bytes, agent_id: str, arrived: datetime) -> WeComMessage | None:
    """The message; None for events that only need an acknowledgement (menu links, positions, changes of the directory); raises `BadEnvelope`."""
    parts, pushed = read_message(plain, FIELDS, "wechatpy.enterprise", _ANSWERS)
    if parts.get("AgentID", agent_id) != agent_id:
        raise BadEnvelope("agent")
    kind, event = kind_of(parts)
    if kind == "event" and event not in _PRESENCE and event not in _CARD_EVENTS and event != "click":
        return None
    user = parts.get("FromUserName", "")
    if not _USER.fullmatch(user):
        raise BadEnvelope("fields")
    sender = Address("wecom", agent_id, user.lower())
    if kind == "event":
        return _event(pushed, parts, sender, event, arrived)
    if kind == "text":
        return WeComMessage(Incoming(sender, parts["Content"], event, arrived), user)
    return WeComMessage(Incoming(sender, "", event, arrived, "other"), user)


def _event(pushed: Pushed, parts: dict[str, str], sender: Address, event: str, arrived: datetime) -> WeComMessage:
    user, key, card = parts["FromUserName"], parts.get("EventKey", ""), parts.get("TaskId", "")
    chosen = selected_options(pushed) if event in _CARD_EVENTS else ()
    message_id = event_id(parts["CreateTime"], event, key, card, *chosen)
    if event in _PRESENCE:
        return WeComMessage(Incoming(sender, "", message_id, arrived, _PRESENCE[event]), user)
    if not key:
        raise BadEnvelope("fields")
    task, say = decode_key(key)
    tap = Incoming(sender, join_choices(chosen) if chosen and not say else say, message_id, arrived, "tap", task)
    return WeComMessage(tap, user, card, parts.get("ResponseCode", "")) if event == _CARD_TAP else WeComMessage(tap, user)


def selected_options(pushed: Pushed) -> tuple[str, ...]:
    """The chosen options of a submitted vote, sorted; raises `BadEnvelope`."""
    options: set[str] = set()
    for item in children(pushed.get("SelectedItems") or None, "SelectedItem"):
        for chosen in children(item, "OptionIds"):
            for option in children(chosen, "OptionId"):
                if not require_text(option):
                    raise BadEnvelope("fields")
                options.add(option)
    return tuple(sorted(options))


def join_choices(chosen: tuple[str, ...]) -> str:
    """The choice as a person would type it: AC; options longer than a letter are joined with 、."""
    return ("" if all(len(option) == 1 for option in chosen) else "、").join(chosen)
