"""Seals ledger entries into the hash chain, and verifies it: finds what was changed, removed, inserted or moved."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.domain.hours import entry_hash
from bot.domain.hours.entry_hash import GENESIS, SealedEntry
from bot.domain.message import Refusal
from bot.domain.reports import ChainHead
from bot.storage.hours import seals
from bot.storage.hours.seals import SealedLine
from bot.storage.tables.columns import moment

BATCH_SIZE = 5_000
# From the arrival of a message to its commit pass seconds; an entry older than this that an earlier sealing did not meet was not there then.
MAX_COMMIT_DELAY = timedelta(minutes=10)
_HEAD = re.compile(r"[0-9a-f]{16,64}")


@dataclass(frozen=True, slots=True)
class ChainFault:
    """The first thing wrong: what (changed, missing, inserted, reordered, head), where (place in the chain, entry), and a sentence."""

    kind: str
    seq: int | None
    entry_id: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What a look along the whole chain found: its length, its head, how many entries wait, the first fault if there is one."""

    sealed: int
    head: ChainHead | None
    loose: int
    fault: ChainFault | None = None
    note: str = ""


def seal_entries(session: Session, now: datetime, algorithm: str = "sha256", top: int = BATCH_SIZE) -> int:
    """Give the next unsealed entries their place, oldest first; returns how many there were. One call, one transaction, one sealer at a time."""
    if not entry_hash.is_available(algorithm):
        raise Refusal(
            f"这台机器不能用算法 {algorithm[:20]}，可用的有：{'、'.join(name for name in entry_hash.ALGORITHMS if entry_hash.is_available(name))}"
        )
    seals.lock(session)
    head, salt = seals.head(session), seals.salt(session)
    seq, previous = (head.seq, head.hash) if head else (0, GENESIS)
    entries = seals.next_unsealed(session, top)
    for entry in entries:
        salt = salt or entry.salt
        seq += 1
        previous = entry_hash.chain_hash(entry, seq, previous, salt, algorithm)
        seals.add_seal(session, seq, entry.id, algorithm, previous, now)
    return len(entries)


def head(session: Session) -> ChainHead | None:
    """The end of the chain, to be printed and kept elsewhere; None before anything is sealed."""
    return seals.head(session)


def verify(session: Session, known_head: str = "") -> ChainCheck:
    """Hash the whole chain again and look for entries beside it.

    `known_head` is a head kept outside, which must still be in the chain: as a report prints it, or at least its first 16 digits.
    """
    wanted = known_head.strip().lower().rpartition(":")[2]
    if known_head and not _HEAD.fullmatch(wanted):
        raise Refusal("链头应是 64 位十六进制数，或至少写出前 16 位。")
    check = _walk_chain(session, wanted)
    if check.fault is not None:
        return check
    return _check_unsealed(session, check)


@dataclass(slots=True)
class _ChainWalk:
    salt: str = ""
    previous: str = GENESIS
    sealed: int = 0
    sealed_at: datetime | None = None
    previous_sealed_at: datetime | None = None
    """When the sealing before the one in hand took place."""

    def step(self, place: SealedLine) -> ChainFault | None:
        """The fault of the next place, or None and one step further."""
        expected = self.sealed + 1
        if place.seq != expected:
            return ChainFault("missing", expected, None, f"第 {expected} 号缺失：封存从第 {self.sealed} 号直接跳到第 {place.seq} 号。")
        entry = place.entry
        if entry is None:
            return ChainFault("missing", expected, place.entry_id, f"第 {expected} 号（流水 #{place.entry_id}）缺失：流水已被删除。")
        salt = self.salt or entry.salt
        if not entry_hash.is_available(place.algorithm) or entry_hash.chain_hash(entry, expected, self.previous, salt, place.algorithm) != place.hash:
            return ChainFault("changed", expected, entry.id, f"第 {expected} 号（流水 #{entry.id}）被改动：内容与封存时不符。")
        if self.sealed_at is not None and place.sealed_at > self.sealed_at:
            self.previous_sealed_at = self.sealed_at
        if self.previous_sealed_at is not None and moment(entry.recorded_at) < self.previous_sealed_at - MAX_COMMIT_DELAY:
            return _inserted_fault(entry, expected, self.previous_sealed_at)
        self.salt, self.previous, self.sealed, self.sealed_at = salt, place.hash, expected, place.sealed_at
        return None


def _walk_chain(session: Session, known_head: str) -> ChainCheck:
    walk, head_seen, last = _ChainWalk(), False, None
    for place in seals.chain(session):
        fault = walk.step(place)
        if fault is not None:
            if fault.kind == "changed":
                fault = _find_moved(seals.chain(session), place, walk) or fault
            return ChainCheck(walk.sealed, last, 0, fault)
        last = ChainHead(place.seq, place.hash, place.algorithm)
        if known_head and place.hash.startswith(known_head):
            head_seen = True
    note = ""
    if known_head and not head_seen:
        sentence = "给出的链头不在链中：链被重新计算过，或尾部被截去。"
        return ChainCheck(walk.sealed, last, 0, ChainFault("head", None, None, sentence))
    if known_head and last is not None and not last.hash.startswith(known_head):
        note = "给出的链头在链中，此后又有新的封存。"
    return ChainCheck(walk.sealed, last, 0, None, note)


def _find_moved(chain: Iterable[SealedLine], bad: SealedLine, walk: _ChainWalk) -> ChainFault | None:
    """Whether the entry found in a place belongs to another one (reordered), or the next entry belongs here (this one was inserted)."""
    assert bad.entry is not None
    previous, inserted = GENESIS, None
    for place in chain:
        if place.seq != bad.seq and _fits(bad.entry, place.seq, {previous, place.hash, bad.hash}, {place.hash, bad.hash}, walk, place):
            return ChainFault("reordered", bad.seq, bad.entry.id, f"第 {bad.seq} 号被调换：这里的流水 #{bad.entry.id} 原在第 {place.seq} 号。")
        if place.seq == bad.seq + 1 and place.entry is not None and _fits(place.entry, bad.seq, {walk.previous}, {place.hash}, walk, place):
            sentence = f"第 {bad.seq} 号（流水 #{bad.entry.id}）是后来插入的：原在这里的是流水 #{place.entry_id}。"
            inserted = ChainFault("inserted", bad.seq, bad.entry.id, sentence)
        previous = place.hash
    return inserted


def _fits(entry: SealedEntry, seq: int, previous: set[str], hashes: set[str], walk: _ChainWalk, place: SealedLine) -> bool:
    """True when the entry, put in a place, gives one of the hashes; the salt of a chain whose first link is broken may be any of the two at hand."""
    if not entry_hash.is_available(place.algorithm):
        return False
    salts = {walk.salt} if walk.salt else {entry.salt, place.entry.salt if place.entry else entry.salt}
    return any(entry_hash.chain_hash(entry, seq, candidate, salt, place.algorithm) in hashes for candidate in previous for salt in salts)


def _inserted_fault(entry: SealedEntry, seq: int | None, sealed_at: datetime) -> ChainFault:
    where = f"第 {seq} 号（流水 #{entry.id}）" if seq else f"流水 #{entry.id}"
    return ChainFault("inserted", seq, entry.id, f"{where}是后来插入的：记录时间早于 {sealed_at:%Y-%m-%dT%H:%MZ} 的封存，当时却不在库中。")


def _check_unsealed(session: Session, check: ChainCheck) -> ChainCheck:
    """What has no place: waiting for the next sealing, or slipped in behind the last."""
    loose, fault, last = 0, None, None
    sealed_at = seals.sealed_at(session)
    for entry in seals.unsealed_entries(session):
        loose += 1
        last = entry
        if fault is None and sealed_at is not None and moment(entry.recorded_at) < sealed_at - MAX_COMMIT_DELAY:
            fault = _inserted_fault(entry, None, sealed_at)
    if fault is None and (unequal := seals.first_unequal_total(session)) is not None:
        staff_no, year, category, entries, total = unequal
        which = f"末笔未封存流水 #{last.id}；" if last is not None else ""
        sentence = (
            f"工号 {staff_no} {year} 年 {category} 的流水合计 {entries} 秒，与累计数 {total} 秒不符：{which}有流水不是由程序写入的，或累计数被改动。"
        )
        fault = ChainFault("inserted", None, last.id if last is not None else None, sentence)
    return ChainCheck(check.sealed, check.head, loose, fault, check.note)
