"""The pages say what stands: whatever refers to a page or a file finds it, and everything an operator can type or set is described."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from bot.cli.main import every_command
from bot.commands import registry, router
from bot.settings import Settings
from bot.storage.reports.registry import REPORTS
from bot.storage.tables.schema import metadata
from tests.conftest import ROOT

NAMED_FILE = re.compile(r"(?<![\w/.-])((?:bot|tests|deploy|content)/[\w/.-]+\.(?:py|yaml|toml|js|css|html|typ|txt))\b")
KINDS = (".py", ".js", ".css", ".toml", ".yaml", ".html", ".md", ".service")
WRITTEN = ("bot", "tests", "deploy", "content", ".ci")
PAGES = [*sorted((ROOT / "bot" / "docs").rglob("*.md")), *sorted((ROOT / "deploy" / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
OPERATE = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "deploy" / "docs").glob("*.md")))


def files() -> Iterator[Path]:
    for folder in WRITTEN:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in KINDS and "wheelhouse" not in path.parts and "versions" not in path.parts:
                yield path
    yield from sorted(ROOT.glob("*.md"))
    yield ROOT / "pyproject.toml"


def slug(heading: str) -> str:
    """A heading's anchor, as the sites make it that show Markdown."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(line.lstrip("#")) for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")}


def test_every_page_that_something_refers_to_is_in_the_repository() -> None:
    missing = []
    for path in files():
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(r"(?<![\w/.*{-])((?:\.\./|[\w.-]+/)*\w[\w-]*\.md)(?:#([\w-]+))?", text):
            named, anchor = found[1], found[2]
            page = next(
                (
                    place
                    for place in (ROOT / named, path.parent / named, ROOT / "bot" / "docs" / named, ROOT / "deploy" / "docs" / named)
                    if place.is_file()
                ),
                None,
            )
            if page is None:
                if not named.startswith(("content/lessons/", "a.md", "b.md")) and "test" not in path.stem:
                    missing.append(f"{path.relative_to(ROOT)}: {named}")
            elif anchor and anchor not in anchors(page):
                missing.append(f"{path.relative_to(ROOT)}: {named}#{anchor}")
    assert missing == []


def test_every_file_of_the_code_that_a_comment_or_a_page_names_is_there() -> None:
    missing = []
    for path in files():
        for found in NAMED_FILE.finditer(path.read_text(encoding="utf-8")):
            if not (ROOT / found[1]).is_file() and not found[1].startswith("content/calendar/"):
                missing.append(f"{path.relative_to(ROOT)}: {found[1]}")
    assert missing == []


def test_links_between_pages_lead_somewhere() -> None:
    wrong = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                wrong.append(f"{page.relative_to(ROOT)}: {target}")
    assert wrong == []


def test_numbers_of_rules_in_comments_stand_beside_their_page() -> None:
    rules = (ROOT / "bot" / "docs" / "rules.md").read_text(encoding="utf-8")
    reliability = (ROOT / "bot" / "docs" / "reliability.md").read_text(encoding="utf-8")
    unknown = []
    for path in files():
        if path.suffix != ".py":
            continue
        for page, numbers in re.findall(r"bot/docs/(rules|reliability)\.md[ ,]+((?:[A-Z]\d{1,2}[, ]*(?:and )?)+)", path.read_text(encoding="utf-8")):
            known = rules if page == "rules" else reliability
            unknown += [
                f"{path.relative_to(ROOT)}: {page} {number}"
                for number in re.findall(r"[A-Z]\d{1,2}", numbers)
                if not re.search(rf"\b{number}\b", known)
            ]
    assert unknown == []


def keys(model: type[BaseModel], before: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind, f"{before}{name.upper()}__")
        else:
            yield f"{before}{name.upper()}"


def test_every_command_of_the_command_line_is_described() -> None:
    every = list(every_command())
    assert len(every) > 60
    # `leave import` may stand in a row of `leave` as `import`.
    assert [name for name in every if name not in OPERATE and f"`{name.rsplit(' ', 1)[-1]}`" not in OPERATE] == []


def test_every_command_of_the_chat_is_described() -> None:
    assert registry.MODULES
    assert [word for word in router.COMMANDS if word not in OPERATE] == []


def test_every_setting_is_described() -> None:
    every = list(keys(Settings, "BOT_"))
    assert len(every) > 60
    assert [key for key in every if key not in OPERATE and not described_in_a_row(key)] == []


def described_in_a_row(key: str) -> bool:
    """Settings of one section may share a row: `BOT_WECOM__CORP_ID` … `AGENT_ID`."""
    section, _, name = key.rpartition("__")
    return bool(section) and section in OPERATE and re.search(rf"`[^`]*\b{name}\b[^`]*`", OPERATE) is not None


def test_every_report_is_described() -> None:
    assert [name for name in REPORTS if name not in OPERATE] == []


def test_every_table_is_described() -> None:
    model = (ROOT / "bot" / "docs" / "data-model.md").read_text(encoding="utf-8")
    assert [table.name for table in metadata.sorted_tables if f"`{table.name}`" not in model] == []


def test_the_generated_parts_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "deploy/generate_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def identifiers() -> set[str]:
    names: set[str] = set()
    for path in (ROOT / "bot").rglob("*.py"):
        names.add(path.stem)
        names.update(path.relative_to(ROOT / "bot").parts)
        names.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    return names


def test_the_glossary_names_what_the_code_names() -> None:
    page = ROOT / "bot" / "docs" / "glossary.md"
    if not page.is_file():
        pytest.fail("the glossary is missing")
    known = identifiers()
    wrong = []
    for line in page.read_text(encoding="utf-8").partition("\n## Words we do not use")[0].splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 4 and "`" in cells[2]:
            for code in re.findall(r"`([^`]+)`", cells[2]):
                wrong += [f"{cells[1]}: {code}" for part in re.findall(r"[A-Za-z_]\w*", code) if part not in known]
    assert wrong == []
