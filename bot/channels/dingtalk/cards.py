"""The interactive card of a question: its variables, what a tap means, and what it shows afterwards (bot/docs/protocols.md#dingtalk-cards).

An administrator builds the template on DingTalk's card platform with these variables, all strings:
`title`, `stem`, `options` and `commands` (JSON lists of {"k","t"}: key and label), `multiple`, and for each person `answered`, `chosen`, `result`.
Each button binds the parameter `choice` to its k; where `multiple` is "true" a button binds `chosen` to the variable of that name as well, and one
more button, 提交, sends the choice "submit". Buttons hide while `answered` is "true".
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from bot.channels.render import truncate_bytes
from bot.domain.message import Option, QuestionCard, Reply

VALUE_BYTES = 1000
"""Of one variable; 1,024 are reported as the platform's cap."""
SUBMIT = "submit"
COMMAND = "cmd:"
FIRST_CHOICE = "请先选择，再提交。"
REMEMBERED = 5_000
_TRACK = re.compile(r"xf([sm])\.([A-Za-z0-9_-]{0,400})\.[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Track:
    """What is encoded in our id of a card: its task, and whether several options may be chosen."""

    task: str
    several: bool


def new_track(ask: QuestionCard | None) -> str:
    """A new id for a card; it contains the task, so that a tap can be understood without stored state."""
    task = base64.urlsafe_b64encode((ask.task if ask else "").encode()).decode().rstrip("=")
    return f"xf{'m' if ask is not None and ask.several else 's'}.{task}.{secrets.token_hex(8)}"


def read_track(track: str) -> Track | None:
    """What an id says; None for an id that was not made here."""
    match = _TRACK.fullmatch(track)
    if match is None:
        return None
    try:
        task = base64.urlsafe_b64decode(match[2] + "=" * (-len(match[2]) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Track(task, match[1] == "m")


def fits(reply: Reply) -> bool:
    """True when a card alone can hold the whole reply."""
    return all(len(value.encode()) <= VALUE_BYTES for value in _variables(reply).values())


def new_card(reply: Reply) -> dict[str, str] | None:
    """The variables of a card for this reply, or None when it offers nothing to tap or its buttons do not fit."""
    if not ((reply.card is not None and reply.card.options) or reply.buttons):
        return None
    values = _variables(reply)
    if any(len(values[key].encode()) > VALUE_BYTES for key in ("options", "commands")):
        return None
    return {key: value if key in ("options", "commands") else truncate_bytes(value, VALUE_BYTES) for key, value in values.items()}


def private_update(**values: str) -> dict[str, Any]:
    """The response to a tap that sets only these variables, for the person who tapped."""
    return {
        "cardUpdateOptions": {"updateCardDataByKey": True, "updatePrivateDataByKey": True},
        "userPrivateData": {"cardParamMap": values},
    }


def answered_variables(reply: Reply) -> dict[str, str]:
    """The variables after a reply: the verdict, and no options once the reply says that the question is done."""
    values = {"result": truncate_bytes(_verdict(reply), VALUE_BYTES)}
    if reply.done:
        values |= {"answered": "true", "commands": _commands(reply) if _is_final(reply) else "[]"}
    return values


def remaining_reply(reply: Reply) -> Reply:
    """What is still to be sent when the card shows `answered_variables(reply)`."""
    text = "" if len(_verdict(reply).encode()) <= VALUE_BYTES else reply.text
    return Reply(text=text, card=reply.card, buttons=() if _is_final(reply) and not text else reply.buttons)


def _verdict(reply: Reply) -> str:
    return "\n".join(part for part in (reply.done, reply.text) if part)


def _commands(reply: Reply) -> str:
    return _encode_options(tuple(Option(COMMAND + button.say, button.label) for button in reply.buttons))


def _is_final(reply: Reply) -> bool:
    """True when the card itself can offer the next commands: there is no further question, and the buttons fit."""
    return bool(reply.done) and reply.card is None and len(_commands(reply).encode()) <= VALUE_BYTES


WITHDRAWN = {"stem": "（已撤回）", "options": "[]", "commands": "[]"}
"""The variables of a recalled card: the platform recalls messages, but a card can only be changed."""
UNANSWERED = {"answered": "false", "chosen": "", "result": ""}
"""A person's own variables on a new card."""


class Choices:
    """Letters chosen on cards that are not submitted yet, for templates that do not send them along; the oldest are forgotten."""

    def __init__(self) -> None:
        self._chosen: OrderedDict[tuple[str, str], str] = OrderedDict()

    def toggle(self, track: str, person: str, letter: str, claimed: str | None) -> str:
        before = set(self.chosen(track, person, claimed))
        after = "".join(sorted(before ^ {letter}))
        self._chosen[track, person] = after
        self._chosen.move_to_end((track, person))
        while len(self._chosen) > REMEMBERED:
            self._chosen.popitem(last=False)
        return after

    def chosen(self, track: str, person: str, claimed: str | None) -> str:
        """The chosen letters: what the card sends, else what this process remembers."""
        letters = self._chosen.get((track, person), "") if claimed is None else claimed
        return "".join(sorted({letter for letter in letters if letter.isascii() and letter.isalnum()}))[:26]


def _variables(reply: Reply) -> dict[str, str]:
    ask = reply.card
    return {
        "title": ask.head if ask is not None else "",
        "stem": "\n\n".join(part for part in (reply.text, ask.stem if ask is not None else "") if part),
        "options": _encode_options(ask.options if ask is not None else ()),
        "commands": _commands(reply),
        "multiple": "true" if ask is not None and ask.several else "false",
    }


def _encode_options(options: tuple[Option, ...]) -> str:
    return json.dumps([{"k": option.say, "t": option.label} for option in options], ensure_ascii=False, separators=(",", ":"))
