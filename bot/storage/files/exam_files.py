"""Exams and contests that an administrator wrote down in a file: YAML or JSON for an exam, YAML for a contest.

The keys of an exam may be English or Chinese. Whatever is wrong is reported with file, line and a Chinese sentence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot.domain.contest import contest
from bot.domain.contest.contest import ContestPlan
from bot.domain.exam.blueprint import parse_blueprint, read_blueprint
from bot.domain.exam.exam import NO_GATE, WantedExam, parse_gate, parse_results_rule
from bot.domain.message import Refusal
from bot.domain.people.audience import parse_audience
from bot.domain.text.dates import read_moment
from bot.domain.text.numbers import find_whole
from bot.storage.files.models import ContestFile, validate
from bot.storage.files.strict_yaml import FileFault, UnreadableText, parse_yaml, read_text

MAX_EXAM_BYTES = 200_000
_KEYS = {
    "名称": "name", "name": "name", "开放": "opens", "opens": "opens", "截止": "closes", "closes": "closes", "对象": "to", "to": "to",
    "条件": "gate", "gate": "gate", "迟到": "late", "late": "late", "次数": "attempts", "attempts": "attempts", "出分": "results",
    "results": "results", "宽限": "grace", "grace": "grace", "依据": "clause", "clause": "clause", "蓝图": "blueprint", "blueprint": "blueprint",
}  # fmt: skip
_REQUIRED = ("name", "opens", "closes", "blueprint")


def read_exam(path: Path) -> WantedExam:
    """What a file wants of an exam. Raises `Refusal` with file and reason for whatever is wrong."""
    try:
        data = parse_yaml(read_text(path, MAX_EXAM_BYTES)).plain()
    except UnreadableText as refused:
        raise Refusal(str(FileFault(path.name, refused.line, refused.sentence))) from None
    try:
        return _parse_exam(data)
    except Refusal as refusal:
        raise Refusal(f"{path.name}：{refusal}") from None


def _parse_exam(data: Any) -> WantedExam:
    if not isinstance(data, dict):
        raise Refusal("文件应写成“项目: 内容”的样子。")
    if unknown := [str(key)[:20] for key in data if key not in _KEYS]:
        raise Refusal(f"没有 {'、'.join(unknown[:5])} 这一项，可写：{'、'.join(dict.fromkeys(_KEYS))}。")
    values = {_KEYS[name]: value for name, value in data.items()}
    if missing := [key for key in _REQUIRED if not values.get(key)]:
        raise Refusal(f"缺少 {'、'.join(missing)}。")
    blueprint = values["blueprint"]
    return WantedExam(
        str(values["name"]),
        parse_blueprint(blueprint) if isinstance(blueprint, str) else read_blueprint(blueprint),
        parse_audience(str(values.get("to") or "全员")),
        read_moment(str(values["opens"])),
        read_moment(str(values["closes"])),
        parse_gate(str(values["gate"])) if values.get("gate") else NO_GATE,
        None if values.get("late") is None else _parse_count(values["late"], "late"),
        _parse_count(values.get("attempts", 1), "attempts"),
        parse_results_rule(str(values["results"])) if values.get("results") else "after_close",
        _parse_count(values.get("grace", 0), "grace"),
        str(values.get("clause") or ""),
    )


def _parse_count(value: Any, key: str) -> int:
    count = find_whole(str(value), "分钟", "秒", "次")
    if count is None or not 0 <= count < 10_000:
        raise Refusal(f"{key} 应是数字，现为「{str(value)[:20]}」。")
    return count


MAX_CONTEST_BYTES = 200_000


def read_contest(path: Path) -> tuple[ContestPlan, tuple[str, ...]]:
    """The plan and the ids of fixed questions. Raises `Refusal` with file, line and sentence for everything that is wrong."""
    faults: list[FileFault] = []
    try:
        node = parse_yaml(read_text(path, MAX_CONTEST_BYTES))
    except UnreadableText as refused:
        raise Refusal(str(FileFault(path.name, refused.line, refused.sentence))) from None
    entry = validate(ContestFile, node, path.name, faults)
    if entry is None:
        raise Refusal("\n".join(map(str, faults)))
    rules = contest.rules_from_json({**contest.DEFAULT_RULES[entry.form], **entry.rules})
    plan = ContestPlan(entry.name, entry.form, rules, tuple(entry.of), parse_audience(entry.to), entry.opens, entry.closes, entry.clause)
    return plan, tuple(entry.questions)
