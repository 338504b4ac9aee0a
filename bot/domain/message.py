"""What is heard and what is said, on every channel alike.

A channel turns a platform's envelope into an `Incoming` and a `Reply` into the platform's own shape; nothing above it knows XML, and nothing
below it knows quizzes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Heard = Literal["text", "tap", "voice", "follow", "unfollow", "enter", "other"]


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
    makes four copies one message. `arrived` is aware UTC, taken at the edge. `task` is what a tapped button belongs to (`Ask.task`), empty for
    typed text. `overheard` says that others read the answer (a group). `content` of anything but text and taps (a picture, a location) is empty
    with kind "other".
    """

    sender: Address
    text: str
    message_id: str
    arrived: datetime
    kind: Heard = "text"
    task: str = ""
    overheard: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """A button: what it shows, and the text it is heard as when tapped."""

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
    """What is said: a text, then perhaps a question, then perhaps commands offered as buttons.

    `done` is what a tapped card shows in place of its buttons ("已选 B").
    """

    text: str = ""
    ask: QuestionCard | None = None
    buttons: tuple[Option, ...] = ()
    done: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.ask)


Handle = Callable[[Incoming], Awaitable[Reply]]
"""What a channel is handed: the committed reply to a message; an empty reply means that nothing is to be said."""

NOTHING = Reply()


def lettered(reply: Reply) -> str:
    """The whole reply as plain text that can be answered by typing: the form every channel can carry (bot/docs/rules.md S29)."""
    parts = [reply.text] if reply.text else []
    if reply.ask is not None:
        ask = reply.ask
        lines = [line for line in (ask.head, ask.stem) if line]
        if ask.stem:
            lines += [option.label if option.label.startswith(option.say) else f"{option.say}. {option.label}" for option in ask.options]
        if lines:
            parts.append("\n".join(lines))
    hint = typed_hint(reply)
    if hint:
        parts.append(hint)
    return "\n\n".join(parts)


def typed_hint(reply: Reply) -> str:
    """How to answer by typing, in one line; empty when there is nothing to answer."""
    turns = reply.ask.options if reply.ask is not None and not reply.ask.stem else ()
    words = "、".join(f"「{button.say}」" for button in (*turns, *reply.buttons))
    if reply.ask is not None and reply.ask.options and not turns:
        letters = reply.ask.options
        example = (
            f"可多选，如 {letters[0].say}{letters[1].say}" if reply.ask.several and len(letters) > 1 else f"回复 {'/'.join(o.say for o in letters)}"
        )
        return f"（{example}；也可回复{words}）" if words else f"（{example}）"
    return f"（回复{words}）" if words else ""


def reply_json(reply: Reply) -> dict[str, Any]:
    """The form in which a reply is kept with its message."""
    ask = reply.ask
    return {
        "text": reply.text,
        "ask": None
        if ask is None
        else {"task": ask.task, "head": ask.head, "stem": ask.stem, "options": _shown(ask.options), "several": ask.several},
        "buttons": _shown(reply.buttons),
        "done": reply.done,
    }


def _shown(options: tuple[Option, ...]) -> list[dict[str, str]]:
    return [{"say": one.say, "label": one.label} for one in options]


def reply_from_json(kept: dict[str, Any]) -> Reply:
    """The kept reply again, equal to the one that was said."""
    ask = kept.get("ask")
    return Reply(
        text=kept.get("text", ""),
        ask=None if ask is None else QuestionCard(ask["task"], ask["head"], ask["stem"], _options(ask["options"]), ask["several"]),
        buttons=_options(kept.get("buttons", ())),
        done=kept.get("done", ""),
    )


def _options(kept: Any) -> tuple[Option, ...]:
    return tuple(Option(one["say"], one["label"]) for one in kept)


@dataclass(slots=True)
class Refusal(Exception):
    """A no, from any floor, in a sentence a person can act on; it is caught once, in dispatch or at the command line."""

    sentence: str
    buttons: tuple[Option, ...] = field(default=())

    def __str__(self) -> str:
        return self.sentence
