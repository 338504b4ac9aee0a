"""Renders questions and commands as WeCom template cards, and the card with the verdict after a tap (bot/docs/protocols.md#wecom-cards)."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from bot.channels.render import encode_key, option_line, truncate
from bot.channels.signature import cdata, strip_unencodable
from bot.domain.message import Option, QuestionCard, Reply

TITLE, DESC, SUBTITLE = 36, 44, 160
BUTTONS, BUTTON_TEXT, KEY_BYTES = 6, 10, 1024
ROWS, ROW_NAME, ROW_VALUE = 6, 5, 30
TICKS, TICK_TEXT, TICK_ID_BYTES = 20, 17, 128
MENU = 3
TASK_ID_BYTES = 128
QUOTE = 240
REMEMBERED = 5000

_NOT_TASK_ID = re.compile(r"[^0-9A-Za-z_@-]")


@dataclass(frozen=True, slots=True)
class TemplateCard:
    """A card; `whole` when it shows the complete question or text, so that no text has to be sent before it."""

    body: dict[str, Any]
    whole: bool


def card_of(reply: Reply, serial: str) -> TemplateCard | None:
    """The card of a reply, or None when there is nothing to tap or it fits no card; `serial` makes its task id unique in the app."""
    ask = reply.card
    if ask is not None and ask.options:
        card = _vote(ask, reply.buttons, serial) if ask.several else _choice(ask, reply.buttons, serial)
    elif reply.buttons:
        card = _commands(reply, serial)
    else:
        return None
    return card if card is not None and _keys_fit(card.body) else None


def task_id(task: str, serial: str) -> str:
    """A task id of at most 128 bytes and of the allowed characters; the task itself is in the keys of the buttons."""
    return f"{_NOT_TASK_ID.sub('-', task)[: TASK_ID_BYTES - 1 - len(serial)]}@{serial}"


def _choice(ask: QuestionCard, commands: tuple[Option, ...], serial: str) -> TemplateCard | None:
    if len(ask.options) > BUTTONS:
        return None
    title, stem, bodies = ask.head or "请作答", ask.stem, [label_without_letter(option) for option in ask.options]
    on_buttons = all(len(option.label) <= BUTTON_TEXT for option in ask.options)
    rows: list[dict[str, Any]] = []
    subtitle = stem
    complete = len(title) <= TITLE and len(commands) <= MENU
    if not on_buttons:
        listed = "\n".join([stem, *(option_line(option) for option in ask.options)])
        if any(len(body) > ROW_VALUE for body in bodies) and len(listed) <= SUBTITLE:
            subtitle = listed
        else:
            complete = complete and all(len(body) <= ROW_VALUE for body in bodies)
            rows = [
                {"type": 0, "keyname": truncate(option.say, ROW_NAME), "value": truncate(body, ROW_VALUE)}
                for option, body in zip(ask.options, bodies, strict=True)
            ]
    complete = complete and len(subtitle) <= SUBTITLE
    body = {
        **_card_head("button_interaction", ask.task, serial, title),
        "sub_title_text": truncate(subtitle, SUBTITLE),
        "button_list": [_button(ask.task, option, option.label if on_buttons else option.say) for option in ask.options],
    }
    if rows:
        body["horizontal_content_list"] = rows
    if commands:
        actions = [{"text": truncate(command.label, BUTTON_TEXT), "key": encode_key("", command.say)} for command in commands[:MENU]]
        body["action_menu"] = {"desc": "更多操作", "action_list": actions}
    return TemplateCard(body, complete)


def _vote(ask: QuestionCard, commands: tuple[Option, ...], serial: str) -> TemplateCard | None:
    """The card of a question with several choices; where it has no room for the stem or for commands, a text is sent before it."""
    says = [option.say for option in ask.options]
    if len(says) > TICKS or len(set(says)) != len(says) or any(not 0 < len(say.encode()) <= TICK_ID_BYTES for say in says):
        return None
    texts = [option_line(option) for option in ask.options]
    head = ask.head or "请作答（可多选）"
    complete = len(head) <= TITLE and len(ask.stem) <= DESC and not commands and all(len(text) <= TICK_TEXT for text in texts)
    body = _card_head("vote_interaction", ask.task, serial, head)
    body["main_title"]["desc"] = truncate(ask.stem, DESC)
    ticks = [{"id": say, "text": truncate(text, TICK_TEXT), "is_checked": False} for say, text in zip(says, texts, strict=True)]
    body["checkbox"] = {"question_key": "answer", "option_list": ticks, "mode": 1}
    body["submit_button"] = {"text": "提交", "key": encode_key(ask.task, "")}
    return TemplateCard(body, complete)


def _commands(reply: Reply, serial: str) -> TemplateCard:
    title, _, rest = reply.text.partition("\n")
    complete = bool(title) and len(title) <= TITLE and len(rest) <= SUBTITLE and len(reply.buttons) <= BUTTONS and reply.card is None
    body = _card_head("button_interaction", "", serial, title if complete else "请选择")
    if complete and rest.strip():
        body["sub_title_text"] = rest.strip()
    body["button_list"] = [_button("", button, button.label) for button in reply.buttons[:BUTTONS]]
    return TemplateCard(body, complete)


def _card_head(kind: str, task: str, serial: str, title: str) -> dict[str, Any]:
    return {"card_type": kind, "task_id": task_id(task or "menu", serial), "main_title": {"title": truncate(title, TITLE)}}


def _button(task: str, option: Option, text: str) -> dict[str, Any]:
    return {"type": 0, "text": truncate(text, BUTTON_TEXT), "style": 1, "key": encode_key(task, option.say)}


def _keys_fit(body: dict[str, Any]) -> bool:
    """True when all keys are short enough and unique in their card."""
    keys = [action["key"] for action in (*body.get("button_list", ()), *body.get("action_menu", {}).get("action_list", ()))]
    keys += [body["submit_button"]["key"]] if "submit_button" in body else []
    return len(set(keys)) == len(keys) and all(len(key.encode()) <= KEY_BYTES for key in keys)


def label_without_letter(option: Option) -> str:
    """The option's label without the letter in front: "合法" for "A. 合法"."""
    rest = option.label.removeprefix(option.say)
    if rest == option.label:
        return option.label
    return rest.lstrip(" .、:：．") or option.label


class ShownQuestions:
    """The questions on recent cards, so that the verdict can be shown with its question; without it the verdict is shown alone."""

    def __init__(self) -> None:
        self._asks: OrderedDict[str, QuestionCard] = OrderedDict()

    def keep(self, card: TemplateCard, ask: QuestionCard | None) -> None:
        if ask is not None:
            self._asks[card.body["task_id"]] = ask
            while len(self._asks) > REMEMBERED:
                self._asks.popitem(last=False)

    def get(self, card: str) -> QuestionCard | None:
        return self._asks.get(card)


def verdict_fits(reply: Reply) -> bool:
    return len(reply.text) <= SUBTITLE


def verdict_update(reply: Reply, question: QuestionCard | None, user: str, corp_id: str, created: int) -> str:
    """The passive reply that replaces the tapped card by the verdict, for the person who tapped it."""
    done = truncate(reply.done or "已作答", BUTTON_TEXT)
    title = question.head if question is not None and question.head else done
    quote = ""
    if question is not None and question.stem:
        lines = "\n".join([question.stem, *(option_line(option) for option in question.options)])
        quote = f"<QuoteArea><Type>0</Type><QuoteText>{cdata(truncate(lines, QUOTE))}</QuoteText></QuoteArea>"
    return (
        f"<xml><ToUserName>{cdata(user)}</ToUserName><FromUserName>{cdata(corp_id)}</FromUserName><CreateTime>{created}</CreateTime>"
        "<MsgType><![CDATA[update_template_card]]></MsgType><TemplateCard><CardType><![CDATA[button_interaction]]></CardType>"
        f"<MainTitle><Title>{cdata(truncate(title, TITLE))}</Title></MainTitle>{quote}"
        f"<SubTitleText>{cdata(truncate(strip_unencodable(reply.text) or done, SUBTITLE))}</SubTitleText>"
        f"<ButtonList><Text>{cdata(done)}</Text><Style>1</Style><Key><![CDATA[done]]></Key></ButtonList>"
        f"<ReplaceText>{cdata(done)}</ReplaceText></TemplateCard></xml>"
    )


def button_update(done: str, user: str, corp_id: str, created: int) -> str:
    """The passive reply that only disables the buttons of the tapped card."""
    return (
        f"<xml><ToUserName>{cdata(user)}</ToUserName><FromUserName>{cdata(corp_id)}</FromUserName><CreateTime>{created}</CreateTime>"
        f"<MsgType><![CDATA[update_button]]></MsgType><Button><ReplaceName>{cdata(truncate(done, BUTTON_TEXT))}</ReplaceName></Button></xml>"
    )
