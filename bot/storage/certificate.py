"""Rows of certificates, found by number, by person and by what they were issued for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.domain.certificate import CertificateBody, body_from_json
from bot.storage.db.query import Statement
from bot.storage.tables.columns import moment, stamp

_HELD = """SELECT c.id, c.number, c.code, c.person_id, c.kind, c.source_kind, c.source_id, c.body, c.issued_at, c.issued_by, c.replaces,
              c.state, c.cause, c.reason, c.changed_at, c.changed_by, (SELECT n.number FROM certificate n WHERE n.replaces = c.id), p.staff_no
             FROM certificate c JOIN person p ON p.id = c.person_id WHERE """
_NEXT_ON_SQLITE = Statement("SELECT COALESCE(MAX(id), 0) + 1 FROM certificate")
_NEXT_ON_POSTGRES = Statement("SELECT nextval(pg_get_serial_sequence('certificate', 'id'))")
_ADD = Statement(
    """INSERT INTO certificate (id, number, code, person_id, kind, source_kind, source_id, body, issued_at, issued_by, replaces, state, cause, reason,
                                changed_at, changed_by)
       VALUES (:id, :number, :code, :person_id, :kind, :source_kind, :source_id, :body, :at, :by, :replaces, 'valid', NULL, '', NULL, '')
       ON CONFLICT (person_id, source_kind, source_id) WHERE state = 'valid' DO NOTHING"""
)
_END = Statement(
    """UPDATE certificate SET state = :state, cause = :cause, reason = :reason, changed_at = :at, changed_by = :by
       WHERE id = :id AND state = :was"""
)
_BY_NUMBER = Statement(_HELD + "c.number = :number")
_LATEST = Statement(_HELD + "c.person_id = :person_id AND c.source_kind = :source_kind AND c.source_id = :source_id ORDER BY c.id DESC LIMIT 1")
_OF_PERSON = Statement(_HELD + "c.person_id = :person_id ORDER BY c.id DESC LIMIT :most")
_OF_SOURCE = Statement(_HELD + "c.source_kind = :source_kind AND c.source_id = :source_id ORDER BY c.id")
_ALL = Statement(
    _HELD
    + """(:staff_no = '' OR p.staff_no = :staff_no) AND (:state = '' OR c.state = :state) AND (:kind = '' OR c.kind = :kind)
         ORDER BY c.id DESC LIMIT :most"""
)
_HEAD = Statement("SELECT name FROM unit WHERE parent_id IS NULL ORDER BY id LIMIT 1")
_STAFF_NO = Statement("SELECT staff_no FROM person WHERE id = :id")
_HOLDER = Statement("SELECT id, name FROM person WHERE staff_no = :staff_no")


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate as its row stands; `replaced_by` is the number of the one issued in its place, empty without one."""

    id: int
    number: str
    code: str
    person_id: int
    staff_no: str
    kind: str
    source: tuple[str, str]
    body: CertificateBody
    issued_at: datetime
    issued_by: str
    replaces: int | None
    state: str
    cause: str
    reason: str
    changed_at: datetime | None
    changed_by: str
    replaced_by: str

    @property
    def is_valid(self) -> bool:
        return self.state == "valid"


def _certificate(row: Any) -> IssuedCertificate:
    ident, number, code, person_id, kind, source_kind, source_id, body, issued_at, issued_by, replaces = row[:11]
    state, cause, reason, changed_at, changed_by, replaced_by, staff_no = row[11:]
    changed_on = None if changed_at is None else moment(changed_at)
    issued, source = moment(issued_at), (source_kind, source_id)
    return IssuedCertificate(
        ident, number, code, person_id, staff_no, kind, source, body_from_json(body), issued, issued_by, replaces,
        state, cause or "", reason, changed_on, changed_by, replaced_by or "",
    )  # fmt: skip


def next_id(session: Session) -> int:
    """The id of the next certificate, before its row is written, for its number. PostgreSQL gives each to one caller; SQLite has one writer."""
    statement = _NEXT_ON_SQLITE if session.get_bind().dialect.name == "sqlite" else _NEXT_ON_POSTGRES
    return int(statement.one(session)[0])


def add(
    session: Session,
    ident: int,
    number: str,
    code: str,
    person_id: int,
    source: tuple[str, str],
    body: CertificateBody,
    at: datetime,
    by: str,
    replaces: int | None = None,
) -> bool:
    """False when the person already has a valid certificate of the source; then nothing was written."""
    return (
        _ADD.run(
            session,
            id=ident,
            number=number,
            code=code,
            person_id=person_id,
            kind=body.facts.kind,
            source_kind=source[0],
            source_id=source[1],
            body=body.to_json(),
            at=stamp(at),
            by=by,
            replaces=replaces,
        )
        == 1
    )


def set_state(session: Session, certificate: IssuedCertificate, state: str, cause: str, reason: str, at: datetime, by: str) -> bool:
    """True for the one caller who changed it from the state it was read in."""
    return _END.run(session, id=certificate.id, was=certificate.state, state=state, cause=cause, reason=reason, at=stamp(at), by=by) == 1


def by_number(session: Session, number: str) -> IssuedCertificate | None:
    row = _BY_NUMBER.one(session, number=number)
    return None if row is None else _certificate(row)


def latest(session: Session, person_id: int, source: tuple[str, str]) -> IssuedCertificate | None:
    """The newest certificate of a source, valid or not; None when there is none."""
    row = _LATEST.one(session, person_id=person_id, source_kind=source[0], source_id=source[1])
    return None if row is None else _certificate(row)


def of_person(session: Session, person_id: int, most: int = 50) -> list[IssuedCertificate]:
    """Newest first."""
    return [_certificate(row) for row in _OF_PERSON.all(session, person_id=person_id, most=most)]


def of_source(session: Session, source: tuple[str, str]) -> list[IssuedCertificate]:
    """Everybody's certificates of a source, oldest first."""
    return [_certificate(row) for row in _OF_SOURCE.all(session, source_kind=source[0], source_id=source[1])]


def list_certificates(session: Session, staff_no: str = "", state: str = "", kind: str = "", most: int = 1000) -> list[IssuedCertificate]:
    """Newest first; an empty word asks for all."""
    return [_certificate(row) for row in _ALL.all(session, staff_no=staff_no, state=state, kind=kind, most=most)]


def root_unit_name(session: Session) -> str:
    """The name of the unit at the root of the tree; empty while there is none."""
    row = _HEAD.one(session)
    return "" if row is None else str(row[0])


def staff_no_of(session: Session, person_id: int) -> str:
    return str(_STAFF_NO.one(session, id=person_id)[0])


def person_by_staff_no(session: Session, staff_no: str) -> tuple[int, str] | None:
    """The id and name behind a staff number, in office or not."""
    row = _HOLDER.one(session, staff_no=staff_no)
    return None if row is None else (int(row[0]), str(row[1]))
