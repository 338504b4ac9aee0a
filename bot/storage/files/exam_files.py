"""An exam written down in a YAML or JSON file: when, for whom, by which rules, over which blueprint; keys in English or Chinese.

A contest written down in a YAML file: its window, its questions, its audience, its rules; every fault with its line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bot.domain.contest import contest
from bot.domain.contest.contest import ContestPlan
from bot.domain.exam.blueprint import parse_blueprint, read_blueprint
from bot.domain.exam.exam import NO_GATE, WantedExam, parse_gate, parse_moment, read_results
from bot.domain.message import Refusal
from bot.domain.people.audience import parse_audience
from bot.storage.files.models import ContestFile, validated
from bot.storage.files.strict_yaml import FileFault, UnreadableText, parse, text_of

LARGEST_EXAM = 200_000
_KEYS = {
    "名称": "name", "name": "name", "开放": "opens", "opens": "opens", "截止": "closes", "closes": "closes", "对象": "to", "to": "to",
    "条件": "gate", "gate": "gate", "迟到": "late", "late": "late", "次数": "attempts", "attempts": "attempts", "出分": "results",
    "results": "results", "宽限": "grace", "grace": "grace", "依据": "clause", "clause": "clause", "蓝图": "blueprint", "blueprint": "blueprint",
}  # fmt: skip
_NEEDED = ("name", "opens", "closes", "blueprint")


def read_exam(path: Path) -> WantedExam:
    """What a file wants of an exam. Raises `Refusal` with file and reason for whatever is wrong."""
    try:
        data = parse(text_of(path, LARGEST_EXAM)).plain()
    except UnreadableText as refused:
        raise Refusal(str(FileFault(path.name, refused.line, refused.sentence))) from None
    try:
        return _wanted(data)
    except Refusal as refusal:
        raise Refusal(f"{path.name}：{refusal}") from None


def _wanted(data: Any) -> WantedExam:
    if not isinstance(data, dict):
        raise Refusal("文件应写成“项目: 内容”的样子。")
    if unknown := [str(one)[:20] for one in data if one not in _KEYS]:
        raise Refusal(f"没有 {'、'.join(unknown[:5])} 这一项，可写：{'、'.join(dict.fromkeys(_KEYS))}。")
    kept = {_KEYS[name]: value for name, value in data.items()}
    if missing := [one for one in _NEEDED if not kept.get(one)]:
        raise Refusal(f"缺少 {'、'.join(missing)}。")
    blueprint = kept["blueprint"]
    return WantedExam(
        str(kept["name"]),
        parse_blueprint(blueprint) if isinstance(blueprint, str) else read_blueprint(blueprint),
        parse_audience(str(kept.get("to") or "全员")),
        parse_moment(str(kept["opens"])),
        parse_moment(str(kept["closes"])),
        parse_gate(str(kept["gate"])) if kept.get("gate") else NO_GATE,
        None if kept.get("late") is None else _count(kept["late"], "late"),
        _count(kept.get("attempts", 1), "attempts"),
        read_results(str(kept["results"])) if kept.get("results") else "after_close",
        _count(kept.get("grace", 0), "grace"),
        str(kept.get("clause") or ""),
    )


def _count(value: Any, key: str) -> int:
    if not re.fullmatch(r"\d{1,4}", str(value)):
        raise Refusal(f"{key} 应是数字，现为「{str(value)[:20]}」。")
    return int(value)


LARGEST_CONTEST = 200_000


def read_contest(path: Path) -> tuple[ContestPlan, tuple[str, ...]]:
    """The plan and the ids of fixed questions. Raises `Refusal` with file, line and sentence for everything that is wrong."""
    faults: list[FileFault] = []
    try:
        node = parse(text_of(path, LARGEST_CONTEST))
    except UnreadableText as refused:
        raise Refusal(str(FileFault(path.name, refused.line, refused.sentence))) from None
    found = validated(ContestFile, node, path.name, faults)
    if found is None:
        raise Refusal("\n".join(map(str, faults)))
    said = contest.rules_from_json({**contest.DEFAULT_RULES[found.form], **found.rules})
    plan = ContestPlan(found.name, found.form, said, tuple(found.of), parse_audience(found.to), found.opens, found.closes, found.clause)
    return plan, tuple(found.questions)
