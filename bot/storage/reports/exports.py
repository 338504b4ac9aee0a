"""Exports of recorded rows as JSON lines for scripts, oldest first; read as a stream within one snapshot of the database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlmodel import Session

from bot.domain.hours.entry_hash import rule_text, source_text
from bot.storage.db.query import Statement, stream
from bot.storage.delivery import outcomes
from bot.storage.study.grades import IS_NEWEST_REMARK
from bot.storage.tables.columns import stamp

ExportLine = dict[str, Any]
Export = Callable[[Session, Mapping[str, str]], Iterator[ExportLine]]

# Bounds that every moment of a row lies between, so that one statement serves with and without them.
EARLIEST, LATEST = "0000", "9999"

_ANSWERS = f"""SELECT a.id, p.staff_no, a.question, v.version, a.sitting_id, a.version_id, a.choice,
                     COALESCE(m.earned, c.earned, a.earned), COALESCE(m.earned, c.earned, a.earned) = 1000,
                     a.recorded_at, a.channel, a.message_id, a.late
              FROM answer a JOIN person p ON p.id = a.person_id JOIN question_version v ON v.id = a.version_id
              LEFT JOIN confirmation c ON c.answer_id = a.id
              LEFT JOIN remark m ON m.sitting_id = a.sitting_id AND m.n = a.n AND {IS_NEWEST_REMARK}
              WHERE a.recorded_at >= :since AND a.recorded_at < :until ORDER BY a.recorded_at, a.id"""  # noqa: S608
_LEDGER = """SELECT l.id, s.seq, p.staff_no, l.category, l.credit_seconds, l.day, l.source_kind, l.source_id, l.law, l.required,
                    l.rule, l.rule_version, l.recorded_at, l.recorded_by, l.reverses, s.algorithm, s.hash
             FROM ledger l JOIN person p ON p.id = l.person_id LEFT JOIN seal s ON s.entry_id = l.id
             WHERE l.recorded_at >= :since AND l.recorded_at < :until ORDER BY l.recorded_at, l.id"""
_AUDIT = """SELECT id, at, actor, via, action, target, outcome, detail FROM audit
            WHERE at >= :since AND at < :until ORDER BY at, id"""
_PEOPLE = """SELECT p.id, p.staff_no, p.name, p.tier, p.joined_on, p.left_on, p.recorded_at FROM person p
             WHERE p.recorded_at >= :since AND p.recorded_at < :until ORDER BY p.recorded_at, p.id"""
_POSTS = Statement("SELECT u.path, t.since, t.until FROM post t JOIN unit u ON u.id = t.unit_id WHERE t.person_id = :id ORDER BY t.since, t.id")
_ROLES = Statement("SELECT r.role, u.path FROM role r LEFT JOIN unit u ON u.id = r.unit_id WHERE r.person_id = :id ORDER BY r.role")
_CHANNELS = Statement("SELECT channel FROM account WHERE person_id = :id ORDER BY channel")
_BODY = Statement("SELECT body FROM question_version WHERE id = :id")


def bounds(since: datetime | None, until: datetime | None) -> dict[str, str]:
    """Recorded at `since` or later and before `until`."""
    return {"since": stamp(since) if since else EARLIEST, "until": stamp(until) if until else LATEST}


def answers(session: Session, between: Mapping[str, str]) -> Iterator[ExportLine]:
    """Each recorded answer with the grade that counts (bot/storage/study/grades.py). `earned` is a share from 0 to 1."""

    @lru_cache(maxsize=4096)
    def kind(version_id: int) -> str:
        return str(json.loads(_BODY.one(session, id=version_id)[0])["kind"])

    for row in stream(session, _ANSWERS, between):
        row_id, staff_no, question, version, sitting, version_id, choice, earned, correct, recorded_at, channel, message_id, late = row
        yield {
            "id": row_id,
            "staff_no": staff_no,
            "question": question,
            "version": version,
            "session": sitting,
            "kind": kind(version_id),
            "choice": choice,
            "correct": bool(correct),
            "earned": earned / 1000,
            "recorded_at": recorded_at,
            "channel": channel,
            "message_id": message_id,
            "late": bool(late),
        }


def ledger(session: Session, between: Mapping[str, str]) -> Iterator[ExportLine]:
    """Each entry with its place in the chain; `seq`, `algorithm` and `hash` are null until it is sealed."""
    for row in stream(session, _LEDGER, between):
        (
            row_id,
            seq,
            staff_no,
            category,
            seconds,
            day,
            kind,
            source,
            law,
            required,
            rule_line,
            version,
            recorded_at,
            by,
            reverses,
            algorithm,
            entry_hash,
        ) = row
        yield {
            "id": row_id,
            "seq": seq,
            "staff_no": staff_no,
            "category": category,
            "credit_seconds": seconds,
            "day": day,
            "source": source_text(kind, source, law, required),
            "rule": rule_text(rule_line, version),
            "recorded_at": recorded_at,
            "recorded_by": by,
            "reverses": reverses,
            "algorithm": algorithm,
            "hash": entry_hash,
        }


def audit(session: Session, between: Mapping[str, str]) -> Iterator[ExportLine]:
    """Each entry of the audit log."""
    keys = ("id", "at", "actor", "via", "action", "target", "outcome", "detail")
    for row in stream(session, _AUDIT, between):
        yield dict(zip(keys, row, strict=True))


def people(session: Session, between: Mapping[str, str]) -> Iterator[ExportLine]:
    """Each person on the roll with all posts, roles and the channels they are bound on (never the accounts)."""
    for row_id, staff_no, name, tier, joined_on, left_on, recorded_at in stream(session, _PEOPLE, between):
        yield {
            "id": row_id,
            "staff_no": staff_no,
            "name": name,
            "tier": tier,
            "posts": [{"unit": path, "since": since, "until": until} for path, since, until in _POSTS.all(session, id=row_id)],
            "roles": [{"role": role, "unit": path} for role, path in _ROLES.all(session, id=row_id)],
            "channels": [channel for (channel,) in _CHANNELS.all(session, id=row_id)],
            "joined_on": joined_on,
            "left_on": left_on,
            "recorded_at": recorded_at,
        }


EXPORTS: dict[str, Export] = {"answers": answers, "ledger": ledger, "people": people, "audit": audit, "deliveries": outcomes.export_lines}
