"""The hours policy from its YAML file: numbered rules (bot/docs/rules.md D1 to D16, R1), each checked for the values it needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

from bot.storage.files.strict_yaml import FileFault, Node, UnreadableText, parse_yaml, read_text

FOLDER = Path("content/policies")
FILE = FOLDER / "hours.yaml"


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The rules of one file: line -> (canonical JSON of its body, digest of it), in force from a day."""

    valid_from: date
    rules: Mapping[str, tuple[str, str]]


def _is_positive(value: Any) -> bool:
    try:
        return Fraction(str(value)) > 0
    except (ValueError, ZeroDivisionError):
        return False


def _is_hours_by_tier(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(_is_positive(hours) for hours in value.values())


RULE_CHECKS: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    "D1": {"seconds_per_hour": _is_positive},
    "D2": {"day_cap": _is_positive, "page_ceiling": _is_positive, "page_floor": _is_positive},
    "D3": {"items": _is_positive, "hours": _is_positive, "day_cap": _is_positive, "year_cap": _is_positive},
    "D4": {"pass": _is_positive},
    "D5": {"join": _is_positive, "year_cap": _is_positive},
    "D11": {"quota": _is_hours_by_tier},
    "D14": {},
    "D16": {},
    "R1": {"names": _is_positive},
}


def load_policy(root: Path) -> tuple[PolicyFile | None, list[FileFault]]:
    """The policy under a root, or every fault in it with its line."""
    name = FILE.as_posix()
    try:
        node = parse_yaml(read_text(root / FILE))
    except UnreadableText as error:
        return None, [FileFault(name, error.line, error.sentence)]
    if not isinstance(node.value, dict):
        return None, [FileFault(name, node.line, "应是 valid_from 与 rules 两项")]
    faults = [
        FileFault(name, node.keys.get(key, node.line), f"不认识的项「{key}」") for key in node.value if key not in ("policy", "valid_from", "rules")
    ]
    valid_from = _read_valid_from(node, faults, name)
    rules = node.value.get("rules")
    if rules is None or not isinstance(rules.value, dict):
        return None, [*faults, FileFault(name, node.line, "缺少 rules（各条规则）")]
    faults += [FileFault(name, rules.line, f"缺少规则 {line}") for line in RULE_CHECKS if line not in rules.value]
    rule_bodies: dict[str, tuple[str, str]] = {}
    for line, body in rules.value.items():
        faults += _check_rule(name, line, body)
        text = json.dumps(body.plain(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        rule_bodies[line] = (text, hashlib.sha256(text.encode()).hexdigest())
    if faults or valid_from is None:
        return None, sorted(faults)
    return PolicyFile(valid_from, rule_bodies), []


def _read_valid_from(node: Node, faults: list[FileFault], name: str) -> date | None:
    given = node.value.get("valid_from")
    if given is None:
        faults.append(FileFault(name, node.line, "缺少 valid_from（生效日期）"))
        return None
    try:
        return date.fromisoformat(str(given.plain()))
    except ValueError:
        faults.append(FileFault(name, given.line, "valid_from 应是 2026-01-01 这样的日期"))
        return None


def _check_rule(name: str, line: str, body: Node) -> list[FileFault]:
    if line not in RULE_CHECKS:
        return [FileFault(name, body.line, f"不认识的规则编号「{line}」")]
    if not isinstance(body.value, dict) or not isinstance(body.value.get("title", Node(None, 0)).value, str):
        return [FileFault(name, body.line, f"规则 {line} 缺少 title（一句话说明）")]
    faults = []
    for key, is_valid in RULE_CHECKS[line].items():
        if key not in body.value:
            faults.append(FileFault(name, body.line, f"规则 {line} 缺少 {key}"))
        elif not is_valid(body.value[key].plain()):
            faults.append(FileFault(name, body.value[key].line, f"规则 {line} 的 {key} 应是大于 0 的数"))
    return faults
