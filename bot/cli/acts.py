"""Makes the commands of a group from the acts declared in bot/commands, with --apply, --as and --json."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer

from bot.cli.context import DRY_RUN_NOTE, Apply, As, Json, context, note
from bot.cli.help import PLACEHOLDERS

if TYPE_CHECKING:
    from sqlmodel import Session

    from bot.commands.actions import Action, ActValue, Outcome


def command_of(action: Action) -> Callable[..., None]:
    """The function that the shell calls for an act, with the act's values as its arguments and options."""
    declared = action.parameters()

    def command(**typed: Any) -> None:
        context.take(acting_as=typed.pop("acting_as"), as_json=typed.pop("as_json"))
        perform(action, _read(declared, typed), apply=typed.pop("apply", False))

    parameters = [_parameter(name, *value) for name, value in declared.items()]
    if action.effect:
        parameters.append(inspect.Parameter("apply", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Apply))
    parameters.append(inspect.Parameter("acting_as", inspect.Parameter.KEYWORD_ONLY, default="", annotation=As))
    parameters.append(inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__ = action.help + ("" if not action.effect or "--apply" in action.help else "不加 --apply 只预演。")
    return command


def _parameter(name: str, kind: Any, value: ActValue, default: Any) -> inspect.Parameter:
    typed = value.raw if value.raw is not None else _typed_kind(kind)
    if typed is bool:
        info: Any = typer.Option(value.option, help=value.help)
    elif value.option:
        info = typer.Option(value.option, metavar=value.label or _placeholder(typed), help=value.help)
    else:
        info = typer.Argument(metavar=value.label, help=value.help)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[typed, info])


def _typed_kind(kind: Any) -> Any:
    """What the shell hands over for a kind: numbers and days as they were typed, for the readers that the chat has."""
    if get_origin(kind) is list:
        return list[_typed_kind(get_args(kind)[0])]  # type: ignore[misc]
    if parts := get_args(kind):
        return reduce(or_, map(_typed_kind, parts))
    return str if kind in (int, date, datetime) else kind


def _placeholder(kind: Any) -> str:
    kinds = [part for part in get_args(kind) if part is not type(None)] or [kind]
    return PLACEHOLDERS.get(kinds[0], "文字")


def _read(declared: Mapping[str, tuple[Any, ActValue, Any]], typed: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for name, (kind, value, _) in declared.items():
        given = typed[name]
        if given is None or (value.read is None and value.raw is not None):
            values[name] = given
        elif value.read is not None:
            values[name] = value.read(given)
        elif isinstance(given, list):
            values[name] = [_read_one(get_args(kind), value, item) for item in given]
        else:
            values[name] = _read_one(get_args(kind) or (kind,), value, given)
    return values


def _read_one(kinds: tuple[Any, ...], value: ActValue, given: Any) -> Any:
    """A number, a day or a moment of what was typed; anything else as it is. Raises `Misuse` for what is neither, `Refusal` as the readers."""
    from bot.domain.message import Misuse
    from bot.domain.text.dates import DAY_EXAMPLE, find_day, read_moment
    from bot.domain.text.numbers import find_whole
    from bot.domain.times import day_of

    name, today = value.option or value.label, day_of(context.now())
    if int in kinds:
        number = find_whole(given, value.label, "年")
        if number is None:
            raise Misuse(f"{name} 应为整数。")
        return number
    if date in kinds:
        day = find_day(given, today, value.year)
        if day is None:
            raise Misuse(f"{name}：「{given[:20]}」不是日期，请写成 {DAY_EXAMPLE}。")
        return day
    return read_moment(given, today, value.year) if datetime in kinds else given


def perform(action: Action, values: Mapping[str, Any], *, apply: bool) -> Outcome:
    """Do it, rehearse it or look, print what follows, and end with its status or give back what came of it."""
    from bot.storage.db.engine import rehearse

    if not action.effect:
        run = context.writing if action.audit else context.reading
        outcome = run(lambda session: action.perform(_act(session, action), values))
    elif not apply:
        outcome = context.writing(lambda session: rehearse(session, lambda: action.perform(_act(session, action, applies=False), values)))
    else:
        outcome = context.writing(lambda session: action.perform(_act(session, action), values))
        if outcome.later is not None:
            wait, rest = outcome.later
            context.sleep(wait.total_seconds())
            outcome = context.writing(lambda session: rest(_act(session, action)))
    _print(action, outcome, apply=apply)
    if outcome.status:
        raise typer.Exit(outcome.status)
    return outcome


def _act(session: Session, action: Action, *, applies: bool = True) -> Any:
    from bot.commands.actions import Act

    author = context.author(session, action.role)
    return Act(session, author, context.now(), lambda: context.catalog(session), context.rng, applies=applies)


def _print(action: Action, outcome: Outcome, *, apply: bool) -> None:
    if action.jsonl:
        for row in outcome.data:
            print(json.dumps(row, ensure_ascii=False, default=str))
        return
    data, lines = outcome.data, list(outcome.text)
    if action.effect:
        if isinstance(data, dict):
            data = {**data, "applied": apply and not outcome.unchanged}
        if outcome.done and (apply or outcome.unchanged):
            lines.append(outcome.done)
        elif not apply and not outcome.unchanged:
            lines.append(DRY_RUN_NOTE)
    context.show(data, lines)
    if outcome.warning:
        note(outcome.warning)
