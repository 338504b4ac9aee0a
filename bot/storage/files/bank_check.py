"""Question banks checked against the texts of the laws: each question is right, wrong, stale, or cannot be verified."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from bot.domain.library import statute
from bot.domain.library.library import Library
from bot.domain.library.statute import CitationFinding, StatuteEdition
from bot.storage.files.strict_yaml import UnreadableText, read_text

MAX_LAW_BYTES = 5_000_000
SCREEN_LINES = 20
"""Lines of details after which the first line is out of sight."""
_FILE = re.compile(r"(.+)[((](\d{4}-\d{2}-\d{2})[))]\.(?:md|txt)")
_FINDING_LABELS = {
    CitationFinding.RIGHT: "相符",
    CitationFinding.WRONG: "不符",
    CitationFinding.STALE: "过时",
    CitationFinding.UNVERIFIABLE: "无法核对",
}


@dataclass(frozen=True, slots=True)
class BankCheckRow:
    """One question and what the texts say about it."""

    bank: str
    question: str
    law: str
    version: date
    article: str
    finding: CitationFinding
    reason: str


@dataclass(frozen=True, slots=True)
class BankCheck:
    """Every question of every bank. `unread` names files of texts that could not be read."""

    rows: tuple[BankCheckRow, ...]
    unread: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """True when nothing is wrong or stale: the exit status of `bank check`."""
        return not any(row.finding in (CitationFinding.WRONG, CitationFinding.STALE) for row in self.rows)

    def counts(self, bank: str | None = None) -> dict[str, int]:
        """How many of each finding, in all banks or in one."""
        findings = Counter(row.finding for row in self.rows if bank in (None, row.bank))
        return {finding.value: findings[finding] for finding in CitationFinding}

    @property
    def banks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.bank for row in self.rows))

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        rows = [
            {
                "bank": row.bank,
                "question": row.question,
                "law": row.law,
                "version": row.version.isoformat(),
                "article": row.article,
                "verdict": row.finding.value,
                "reason": row.reason,
            }
            for row in self.rows
        ]
        return {"total": self.counts(), "banks": {bank: self.counts(bank) for bank in self.banks}, "rows": rows, "unread": list(self.unread)}

    def lines(self) -> list[str]:
        """For people: a line a bank, then a line for each question that is not right, the worst first; the total again where it has scrolled away."""
        report_lines = [f"{bank}：{_counts_text(self.counts(bank))}" for bank in self.banks]
        total = f"合计：{_counts_text(self.counts())}"
        head = len(report_lines)
        report_lines.append(total)
        report_lines += [f"文本读不了：{file}" for file in self.unread]
        order = (CitationFinding.WRONG, CitationFinding.STALE, CitationFinding.UNVERIFIABLE)
        report_lines += [
            f"[{_FINDING_LABELS[row.finding]}] {row.question}：{row.reason}" for finding in order for row in self.rows if row.finding == finding
        ]
        return [*report_lines, total] if len(report_lines) - head > SCREEN_LINES else report_lines


def _counts_text(counts: dict[str, int]) -> str:
    return "，".join(f"{_FINDING_LABELS[finding]} {counts[finding.value]}" for finding in CitationFinding)


def check_banks(library: Library, laws_dir: Path | None, day: date) -> BankCheck:
    """Each question of each bank against the texts in a folder, as things stand on a day. Without a folder nothing is verifiable."""
    unread: list[str] = []
    wanted = {question.law for question in library.questions.values() if question.evidence}
    texts = {} if laws_dir is None else read_editions(library, laws_dir, wanted, unread)
    rows: list[BankCheckRow] = []
    for bank in library.banks.values():
        for question_id in bank.questions:
            question = library.questions[question_id]
            law = library.laws.get(question.law)
            in_force = law.in_force(day) if law else None
            verdict = statute.verify_citation(question, texts, day, in_force.version if in_force else None)
            rows.append(BankCheckRow(bank.id, question_id, question.law, question.version, question.article, verdict.finding, verdict.reason))
    return BankCheck(tuple(rows), tuple(unread))


def read_editions(library: Library, laws_dir: Path, wanted: set[str], unread: list[str]) -> dict[str, list[StatuteEdition]]:
    """The editions of the wanted laws in a folder whose files are named 民法典(2020-05-28).md; files that name no law of the register are left."""
    by_law: dict[str, list[StatuteEdition]] = {}
    for path in sorted(laws_dir.iterdir()):
        match = _FILE.fullmatch(path.name)
        law = library.resolve_law(match.group(1)) if match else None
        if match is None or law is None or law.short not in wanted:
            continue
        try:
            version = date.fromisoformat(match.group(2))
            articles = statute.read_statute(read_text(path, MAX_LAW_BYTES))
        except (UnreadableText, ValueError) as error:
            unread.append(f"{path.name}：{error}")
            continue
        if not articles:
            unread.append(f"{path.name}：里面没有找到条文")
            continue
        known = law.version_of(version)
        by_law.setdefault(law.short, []).append(StatuteEdition(version, articles, known.valid_from if known else None))
    return by_law
