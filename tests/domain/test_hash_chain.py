"""The written form of the seal: what it hides, what it keeps apart, and that it does not change."""

from __future__ import annotations

import hashlib
import json

import pytest

from bot.domain.hours import entry_hash


def test_the_canonical_form_is_what_it_was() -> None:
    """A chain outlives its program: this form may get a successor, it may not change."""
    entry = entry_hash.SealedEntry(
        7, "1001", "online", 1350, "2026-03-02", "lesson:2026:a#law=民法典&required=1", "D2@1", "2026-03-02T01:00:00.000000Z", "system", None
    )

    written = entry_hash.canonical_entry(entry, 1, entry_hash.GENESIS, entry.salt, "sha256").decode()

    person = "person\n7@2026-03-02T01:00:00.000000Z\n1001"
    assert json.loads(written)["person"] == hashlib.sha256(person.encode()).hexdigest()
    assert written.startswith('{"algorithm":"sha256","category":"online","credit_seconds":1350,"day":"2026-03-02","form":1,"id":7,"person":"')
    assert written.endswith('"recorded_by":"system","reverses":null,"rule":"D2@1","seq":1,"source":"lesson:2026:a#law=民法典&required=1"}')


@pytest.mark.parametrize(("one", "other"), [(("a", "b#law=c", "", 0), ("a", "b", "c", 0)), (("a", "b%23", "", 0), ("a", "b#", "", 0))])
def test_no_two_sources_are_written_alike(one: tuple[str, str, str, int], other: tuple[str, str, str, int]) -> None:
    assert entry_hash.source_text(*one) != entry_hash.source_text(*other)


def test_a_pseudonym_stays_and_differs_between_people_and_houses() -> None:
    assert entry_hash.pseudonym("1001", "s") == entry_hash.pseudonym("1001", "s")
    assert len({entry_hash.pseudonym("1001", "s"), entry_hash.pseudonym("1002", "s"), entry_hash.pseudonym("1001", "t")}) == 3
