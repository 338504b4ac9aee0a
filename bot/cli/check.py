"""`check`: settings, lessons, banks and policy, every fault with its file and line."""

from __future__ import annotations

import typer

from bot.cli.context import EXIT_REFUSED, Json, context, note


def check(as_json: Json = False) -> None:
    # Here: whoever only asks for the help waits for none of it.
    from bot.domain.calendar import missing_year_warning
    from bot.domain.times import day_of
    from bot.services.certificate.typesetter import font_problem
    from bot.settings import BadSettings, blank_setting_faults
    from bot.storage.files import loader
    from bot.storage.files.policies import load_policy

    context.take(as_json=as_json)
    errors: list[dict[str, object]] = []
    try:
        settings = context.settings()
        setting_faults = [*blank_setting_faults(settings), *filter(None, [font_problem(settings.web.font)])]
    except BadSettings as wrong:
        setting_faults = str(wrong).splitlines()
    sentences = [line.removeprefix("设置").lstrip() for line in setting_faults]
    errors += [{"file": "设置", "line": 0, "sentence": sentence} for sentence in sentences]
    root = loader.data_root()
    library, faults = loader.load_library(root)
    faults += sorted(load_policy(root)[1])
    errors += [{"file": fault.file, "line": fault.line, "sentence": fault.sentence} for fault in faults]
    contents = f"{len(library.lessons)} 课、{len(library.questions)} 题、{len(library.laws)} 部法、{len(library.calendar.years)} 年工作日历"
    if reminder := missing_year_warning(library.calendar, day_of(context.now())):
        note(f"提醒：{reminder}")
    lines = [*(f"设置：{sentence}" for sentence in sentences), *map(str, faults)]
    context.show(errors, [*lines, f"发现 {len(errors)} 处错误（{contents}可用）" if errors else f"没有发现错误（{contents}）"])
    if errors:
        raise typer.Exit(EXIT_REFUSED)
