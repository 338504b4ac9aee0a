"""A stranger finds a line with two words, the floor and the noun; a name says one thing and says it in the field's word."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections import Counter, defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

import bot

ROOT = Path(bot.__path__[0])
NOUNS = {
    "people", "library", "study", "exam", "contest", "grading", "hours", "campaign", "delivery", "activity", "reports", "certificate", "system",
}  # fmt: skip
FEW = {
    "domain": {"message", "times", "text", "calendar", "links"},
    "storage": {"db", "tables", "migrations", "files"},
    "services": {"hooks", "links", "demo"},
    "commands": {"registry", "router", "tasks", "actions", "help", "links", "questions"},
    "cli": {"main", "context", "acts", "help", "faults", "chat", "serve", "check", "doctor", "public_series"},
    "jobs": {"schedule", "delivery_worker", "reply_quota"},
    "web": {"sessions", "middleware", "templates", "health", "metrics", "certificates"},
}
"""What each floor has besides the nouns, by name."""

WORDS = (
    "session", "cookie", "backup", "scope", "window", "cost", "grade", "hash", "chain", "quota", "rate", "quiet", "signature", "encrypt",
    "import", "header", "middleware", "lock", "lease", "retry", "schedule", "notification", "reminder", "streak", "timer", "clock",
    "rank", "leaderboard", "pdf", "qr", "answer", "attempt", "score", "certificate", "export", "audit", "template", "limit", "budget", "token",
    "ledger", "inbox", "queue", "roster", "binding",
)  # fmt: skip
"""What somebody who knows the field looks for first in the names of files, classes and functions."""


def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py")) if "versions" not in path.parts}


def test_a_class_name_means_one_thing() -> None:
    where = defaultdict(list)
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                where[node.name].append(path.relative_to(ROOT).as_posix())
    assert len(where) > 300
    assert {name: places for name, places in where.items() if len(places) > 1} == {}


def test_each_floor_has_the_nouns_and_a_named_few() -> None:
    for floor, few in FEW.items():
        stands = {path.stem for path in (ROOT / floor).iterdir() if path.stem not in ("__init__", "__pycache__", "chat", "pages")}
        assert stands <= NOUNS | few, f"bot/{floor}: {sorted(stands - NOUNS - few)}"
        assert few <= stands | {"chat"}, f"bot/{floor} no longer has {sorted(few - stands)}"


def test_packages_say_what_they_hold_and_hold_nothing_themselves() -> None:
    for path, tree in trees().items():
        if path.name == "__init__.py":
            assert ast.get_docstring(tree), path
            assert len(tree.body) == 1, f"{path} has more than a sentence"


def test_every_module_opens_with_a_sentence() -> None:
    assert [path.as_posix() for path, tree in trees().items() if not (ast.get_docstring(tree) or "").strip()] == []


def test_every_all_resolves() -> None:
    for module in pkgutil.walk_packages(bot.__path__, "bot."):
        if "versions" in module.name or module.name.endswith((".env", "__main__")):
            continue
        loaded = importlib.import_module(module.name)
        assert [name for name in getattr(loaded, "__all__", ()) if not hasattr(loaded, name)] == [], module.name


def test_no_module_needs_itself() -> None:
    graph = grimp.build_graph("bot")
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as circle:
        raise AssertionError(" → ".join(circle.args[1])) from None


def test_a_newcomer_finds_the_words_of_the_field() -> None:
    names: set[str] = set()
    for path, tree in trees().items():
        names.add(path.stem if path.stem != "__init__" else path.parent.name)
        names |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))}
    everything = "\n".join(name.lower() for name in names)
    assert [word for word in WORDS if word not in everything] == []


def test_the_words_that_said_nothing_are_gone() -> None:
    gone = {"Desk", "House", "Shelf", "Courier", "Herald", "Door", "Purse", "Till", "Ripple", "Remark", "Rhythm"}
    seen = Counter(node.name for tree in trees().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert gone & set(seen) == set()
