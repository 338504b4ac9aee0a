"""The messages of the app in the form that all channels share: what a person sends (`Incoming`) and what the app answers (`Reply`).

A channel turns its platform's format into an `Incoming`, and a `Reply` into that format; the rest of the app knows no platform.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

IncomingKind = Literal["text", "tap", "voice", "follow", "unfollow", "enter", "other"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where somebody talks to us: the channel, our app in it, and the platform's id of the person (normalised by the channel)."""

    channel: str
    app: str
    user: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message, verified and unpacked.

    `message_id` is the platform's id or, for events, a key made of what identifies the event; with the sender it is what
    makes four copies one message. `arrived` is aware UTC, taken at the edge. `task` is what a tapped button belongs to
    (`QuestionCard.task`), empty for typed text. `in_group` says that others read the answer. Anything but text, taps and events
    (a picture, a location) has an empty text and the kind "other".
    """

    sender: Address
    text: str
    message_id: str
    arrived: datetime
    kind: IncomingKind = "text"
    task: str = ""
    in_group: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """A button: `label` is what it shows, `say` the text that a tap on it sends."""

    say: str
    label: str


@dataclass(frozen=True, slots=True)
class QuestionCard:
    """A question put to a person: `task` comes back with a tap, so that a late tap on an old card is known for what it is.

    Without a stem it is only buttons under the text before it (a lesson's page and its 下一页).
    """

    task: str
    head: str
    stem: str
    options: tuple[Option, ...] = ()
    several: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What the app answers: a text, then perhaps a question, then perhaps commands offered as buttons.

    `done` is what a tapped card shows in place of its buttons ("已选 B").
    """

    text: str = ""
    card: QuestionCard | None = None
    buttons: tuple[Option, ...] = ()
    done: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.card)


IncomingHandler = Callable[[Incoming], Awaitable[Reply]]
"""What a channel calls with each message: gives the committed reply; an empty reply means that nothing is to be sent."""

NO_REPLY = Reply()


def plain_text(reply: Reply) -> str:
    """The whole reply as plain text that can be answered by typing: the form every channel can carry (bot/docs/rules.md S29)."""
    parts = [reply.text] if reply.text else []
    if reply.card is not None:
        card = reply.card
        lines = [line for line in (card.head, card.stem) if line]
        if card.stem:
            lines += [option.label if option.label.startswith(option.say) else f"{option.say}. {option.label}" for option in card.options]
        if lines:
            parts.append("\n".join(lines))
    hint = _typing_hint(reply)
    if hint:
        parts.append(hint)
    return "\n\n".join(parts)


def _typing_hint(reply: Reply) -> str:
    """How to answer by typing, in one line; empty when there is nothing to answer."""
    card = reply.card
    commands = card.options if card is not None and not card.stem else ()
    words = "、".join(f"「{button.say}」" for button in (*commands, *reply.buttons))
    if card is not None and card.options and not commands:
        letters = [option.say for option in card.options]
        example = f"可多选，如 {letters[0]}{letters[1]}" if card.several and len(letters) > 1 else f"回复 {'/'.join(letters)}"
        return f"（{example}；也可回复{words}）" if words else f"（{example}）"
    return f"（回复{words}）" if words else ""


def reply_json(reply: Reply) -> dict[str, Any]:
    """The form in which a reply is kept with its message."""
    card = reply.card
    return {
        "text": reply.text,
        "ask": None
        if card is None
        else {"task": card.task, "head": card.head, "stem": card.stem, "options": _options_json(card.options), "several": card.several},
        "buttons": _options_json(reply.buttons),
        "done": reply.done,
    }


def _options_json(options: tuple[Option, ...]) -> list[dict[str, str]]:
    return [{"say": option.say, "label": option.label} for option in options]


def reply_from_json(data: dict[str, Any]) -> Reply:
    """The kept reply again, equal to the one that was sent."""
    card = data.get("ask")
    return Reply(
        text=data.get("text", ""),
        card=None if card is None else QuestionCard(card["task"], card["head"], card["stem"], _options(card["options"]), card["several"]),
        buttons=_options(data.get("buttons", ())),
        done=data.get("done", ""),
    )


def _options(data: Any) -> tuple[Option, ...]:
    return tuple(Option(option["say"], option["label"]) for option in data)


@dataclass(slots=True)
class Refusal(Exception):
    """A no, raised on any floor, in a sentence a person can act on; it is caught in one place, the dispatcher or the command line.

    `audited` is set there for a look or a word of power: actor, action, target and detail of the audit's line.
    """

    sentence: str
    buttons: tuple[Option, ...] = field(default=())
    audited: tuple[str, str, str, str] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.sentence


class Misuse(Refusal):
    """A no to how something was typed, not to what it asks; the command line ends with another status."""
