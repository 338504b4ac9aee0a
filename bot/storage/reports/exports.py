"""Exports of recorded rows as JSON lines for scripts, oldest first; read as a stream within one snapshot of the database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, and_, case, func, literal, select, type_coerce
from sqlmodel import Session

from bot.domain.hours.entry_hash import rule_text, source_text
from bot.storage.db.query import Query, bind, table
from bot.storage.delivery import outcomes
from bot.storage.study.grades import REGRADE, is_newest_regrade_of
from bot.storage.tables.columns import FlagType, stamp
from bot.storage.tables.grading import ConfirmationRow
from bot.storage.tables.hours import EntryRow, SealRow
from bot.storage.tables.library import QuestionVersionRow
from bot.storage.tables.people import AccountRow, PersonRow, PostRow, RoleRow, UnitRow
from bot.storage.tables.study import AnswerRow
from bot.storage.tables.system import AuditRow

_ANSWER, _VERSION, _CONFIRMATION, _ENTRY, _SEAL, _AUDIT = (
    table(row) for row in (AnswerRow, QuestionVersionRow, ConfirmationRow, EntryRow, SealRow, AuditRow)
)
_PERSON, _POST, _ROLE, _UNIT, _ACCOUNT = (table(row) for row in (PersonRow, PostRow, RoleRow, UnitRow, AccountRow))

ExportLine = dict[str, Any]
Export = Callable[[Session, Mapping[str, str]], Iterator[ExportLine]]

# Bounds that every moment of a row lies between, so that one statement serves with and without them.
EARLIEST, LATEST = "0000", "9999"


def _raw(column: Any) -> ColumnElement[str]:
    """A moment or a day as the text that stands in the row: scripts read it as it is kept."""
    return type_coerce(column, Text)


def _between(recorded_at: Any) -> ColumnElement[bool]:
    return and_(_raw(recorded_at) >= bind("since"), _raw(recorded_at) < bind("until"))


_EARNED = func.coalesce(REGRADE.c.earned, _CONFIRMATION.c.earned, _ANSWER.c.earned)
_ANSWERS = Query(
    select(
        _ANSWER.c.id,
        _PERSON.c.staff_no,
        _ANSWER.c.question,
        _VERSION.c.version,
        _ANSWER.c.sitting_id.label("session"),
        _ANSWER.c.version_id.label("kind"),
        _ANSWER.c.choice,
        case((_EARNED == 1000, literal(True, FlagType)), else_=literal(False, FlagType)).label("correct"),
        _EARNED.label("earned"),
        _raw(_ANSWER.c.recorded_at).label("recorded_at"),
        _ANSWER.c.channel,
        _ANSWER.c.message_id,
        _ANSWER.c.late,
    )
    .join_from(_ANSWER, _PERSON, _PERSON.c.id == _ANSWER.c.person_id)
    .join(_VERSION, _VERSION.c.id == _ANSWER.c.version_id)
    .outerjoin(_CONFIRMATION, _CONFIRMATION.c.answer_id == _ANSWER.c.id)
    .outerjoin(REGRADE, is_newest_regrade_of(_ANSWER))
    .where(_between(_ANSWER.c.recorded_at))
    .order_by(_ANSWER.c.recorded_at, _ANSWER.c.id),
    gives=dict,
)
_LEDGER = Query(
    select(
        _ENTRY.c.id,
        _SEAL.c.seq,
        _PERSON.c.staff_no,
        _ENTRY.c.category,
        _ENTRY.c.credit_seconds,
        _raw(_ENTRY.c.day).label("day"),
        _ENTRY.c.source_kind.label("source"),
        _ENTRY.c.rule,
        _raw(_ENTRY.c.recorded_at).label("recorded_at"),
        _ENTRY.c.recorded_by,
        _ENTRY.c.reverses,
        _SEAL.c.algorithm,
        _SEAL.c.hash,
        _ENTRY.c.source_id,
        _ENTRY.c.law,
        type_coerce(_ENTRY.c.required, Integer).label("required"),
        _ENTRY.c.rule_version,
    )
    .join_from(_ENTRY, _PERSON, _PERSON.c.id == _ENTRY.c.person_id)
    .outerjoin(_SEAL, _SEAL.c.entry_id == _ENTRY.c.id)
    .where(_between(_ENTRY.c.recorded_at))
    .order_by(_ENTRY.c.recorded_at, _ENTRY.c.id),
    gives=dict,
)
_AUDIT_LINES = Query(
    select(
        _AUDIT.c.id,
        _raw(_AUDIT.c.at).label("at"),
        _AUDIT.c.actor,
        _AUDIT.c.via,
        _AUDIT.c.action,
        _AUDIT.c.target,
        _AUDIT.c.outcome,
        _AUDIT.c.detail,
    )
    .where(_between(_AUDIT.c.at))
    .order_by(_AUDIT.c.at, _AUDIT.c.id),
    gives=dict,
)
_PEOPLE = Query(
    select(
        _PERSON.c.id,
        _PERSON.c.staff_no,
        _PERSON.c.name,
        _PERSON.c.tier,
        *(_raw(_PERSON.c[name]).label(name) for name in ("joined_on", "left_on", "recorded_at")),
    )
    .where(_between(_PERSON.c.recorded_at))
    .order_by(_PERSON.c.recorded_at, _PERSON.c.id),
    gives=dict,
)
_POSTS = Query(
    select(_UNIT.c.path.label("unit"), _raw(_POST.c.since).label("since"), _raw(_POST.c.until).label("until"))
    .join_from(_POST, _UNIT, _UNIT.c.id == _POST.c.unit_id)
    .where(_POST.c.person_id == bind("id"))
    .order_by(_POST.c.since, _POST.c.id),
    gives=dict,
)
_ROLES = Query(
    select(_ROLE.c.role, _UNIT.c.path.label("unit"))
    .join_from(_ROLE, _UNIT, _UNIT.c.id == _ROLE.c.unit_id, isouter=True)
    .where(_ROLE.c.person_id == bind("id"))
    .order_by(_ROLE.c.role),
    gives=dict,
)
_CHANNELS = Query(select(_ACCOUNT.c.channel).where(_ACCOUNT.c.person_id == bind("id")).order_by(_ACCOUNT.c.channel), gives=str)
_BODY = Query(select(_VERSION.c.body).where(_VERSION.c.id == bind("id")), gives=str)


def bounds(since: datetime | None, until: datetime | None) -> dict[str, str]:
    """Recorded at `since` or later and before `until`."""
    return {"since": stamp(since) if since else EARLIEST, "until": stamp(until) if until else LATEST}


def answers(session: Session, between: Mapping[str, str]) -> Iterator[ExportLine]:
    """Each recorded answer with the grade that counts (bot/storage/study/grades.py). `earned` is a share from 0 to 1."""

    @lru_cache(maxsize=4096)
    def kind(version_id: int) -> str:
        return str(json.loads(_BODY.one(session, id=version_id))["kind"])

    for line in _ANSWERS.stream(session, **between):
        yield {**line, "kind": kind(line["kind"]), "earned": line["earned"] / 1000}


def ledger(session: Session, between: Mapping[str, str]) -> Iterator[ExportLine]:
    """Each entry with its place in the chain; `seq`, `algorithm` and `hash` are null until it is sealed."""
    for line in _LEDGER.stream(session, **between):
        line["source"] = source_text(line["source"], line.pop("source_id"), line.pop("law"), line.pop("required"))
        line["rule"] = rule_text(line["rule"], line.pop("rule_version"))
        yield line


def audit(session: Session, between: Mapping[str, str]) -> Iterator[ExportLine]:
    """Each entry of the audit log."""
    return _AUDIT_LINES.stream(session, **between)


def people(session: Session, between: Mapping[str, str]) -> Iterator[ExportLine]:
    """Each person on the roll with all posts, roles and the channels they are bound on (never the accounts)."""
    for person in _PEOPLE.stream(session, **between):
        own = {
            "posts": _POSTS.all(session, id=person["id"]),
            "roles": _ROLES.all(session, id=person["id"]),
            "channels": _CHANNELS.all(session, id=person["id"]),
        }
        dates = {name: person.pop(name) for name in ("joined_on", "left_on", "recorded_at")}
        yield {**person, **own, **dates}


EXPORTS: dict[str, Export] = {"answers": answers, "ledger": ledger, "people": people, "audit": audit, "deliveries": outcomes.export_lines}
