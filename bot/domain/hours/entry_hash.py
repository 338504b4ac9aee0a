"""The hash of a ledger entry in the chain: one canonical form, which anybody with the export can hash again.

`hash = H(canonical(entry, previous hash))`. The canonical form holds what `export ledger` prints and nothing else, with the staff number replaced
by a salted hash: a person's name can be cut off later without breaking the chain. The salt is the id and the moment of the first sealed
entry: it differs between installations, cannot change without breaking the chain at its first link, and is in the export.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

GENESIS = "0" * 64
ALGORITHMS = ("sha256", "sm3")


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """A ledger entry as it is exported; `day` and `recorded_at` as their text in the row."""

    id: int
    staff_no: str
    category: str
    credit_seconds: int
    day: str
    source: str
    rule: str
    recorded_at: str
    recorded_by: str
    reverses: int | None

    @property
    def salt(self) -> str:
        return f"{self.id}@{self.recorded_at}"


def is_available(algorithm: str) -> bool:
    """True when this Python's OpenSSL can do it (SM3 is missing from some builds)."""
    return algorithm in ALGORITHMS and algorithm in hashlib.algorithms_available


def source_text(kind: str, source_id: str, law: str, required: int) -> str:
    """A source in one line: kind, id, law tags and whether it was required, unambiguous because a # or % inside is written as %23 or %25."""
    return f"{_escape(kind)}:{_escape(source_id)}#law={_escape(law)}&required={int(required)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("#", "%23")


def rule_text(line: str, version: int) -> str:
    """D2@1: a rule and its version."""
    return f"{line}@{version}"


def pseudonym(staff_no: str, salt: str) -> str:
    """Who an entry belongs to, without saying so: the same for ever within one chain, different in every other."""
    return hashlib.sha256(f"person\n{salt}\n{staff_no}".encode()).hexdigest()


def canonical_entry(entry: SealedEntry, seq: int, previous: str, salt: str, algorithm: str) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8 without escapes."""
    return json.dumps(
        {
            "algorithm": algorithm,
            "category": entry.category,
            "credit_seconds": entry.credit_seconds,
            "day": entry.day,
            "form": 1,
            "id": entry.id,
            "person": pseudonym(entry.staff_no, salt),
            "previous": previous,
            "recorded_at": entry.recorded_at,
            "recorded_by": entry.recorded_by,
            "reverses": entry.reverses,
            "rule": entry.rule,
            "seq": seq,
            "source": entry.source,
        },
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    ).encode()


def chain_hash(entry: SealedEntry, seq: int, previous: str, salt: str, algorithm: str) -> str:
    """The hash of an entry in its place; ValueError for an algorithm that is not known here."""
    if algorithm not in ALGORITHMS:
        raise ValueError(algorithm)
    return hashlib.new(algorithm, canonical_entry(entry, seq, previous, salt, algorithm)).hexdigest()
