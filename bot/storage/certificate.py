"""Rows of certificates, found by number, by person and by what they were issued for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Text, func, select, type_coerce, update
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session

from bot.domain.certificate import CertificateBody, body_from_json
from bot.storage.db.engine import is_sqlite_session
from bot.storage.db.query import Query, bind, binds, columns, insert, table
from bot.storage.tables.certificate import CertificateRow
from bot.storage.tables.people import PersonRow

_certificates, _people = table(CertificateRow), table(PersonRow)
_next = _certificates.alias("next")


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate as its row stands; `replaced_by` is the number of the one issued in its place, empty without one."""

    id: int
    number: str
    code: str
    person_id: int
    staff_no: str
    kind: str
    source_kind: str
    source_id: str
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
    def source(self) -> tuple[str, str]:
        """What it was issued for: (kind, id)."""
        return self.source_kind, self.source_id

    @property
    def is_valid(self) -> bool:
        return self.state == "valid"


class _BodyType(TypeDecorator[CertificateBody]):
    """The content of a certificate as its JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: CertificateBody | None, dialect: Any) -> str | None:
        return None if value is None else value.to_json()

    def process_result_value(self, value: str | None, dialect: Any) -> CertificateBody | None:
        return None if value is None else body_from_json(value)


_OF_SOURCE = (_certificates.c.source_kind == bind("source_kind"), _certificates.c.source_id == bind("source_id"))
_NEWEST = _certificates.c.id.desc()
_SELECT = select(
    *columns(
        _certificates,
        IssuedCertificate,
        staff_no=_people.c.staff_no,
        body=type_coerce(_certificates.c.body, _BodyType),
        cause=func.coalesce(_certificates.c.cause, ""),
        replaced_by=func.coalesce(select(_next.c.number).where(_next.c.replaces == _certificates.c.id).scalar_subquery(), ""),
    )
).join_from(_certificates, _people, _people.c.id == _certificates.c.person_id)
_NEXT_ON_SQLITE = Query(select(func.coalesce(func.max(_certificates.c.id), 0) + 1), gives=int)
_NEXT_ON_POSTGRES = Query(select(func.nextval(func.pg_get_serial_sequence("certificate", "id"))), gives=int)
_ADD = Query(
    insert(_certificates)
    .values(
        binds("id", "number", "code", "person_id", "kind", "source_kind", "source_id", "issued_at", "issued_by", "replaces")
        | {"body": bind("body", _BodyType), "state": "valid", "reason": "", "changed_by": ""}
    )
    .on_conflict_do_nothing(index_elements=["person_id", "source_kind", "source_id"], index_where=_certificates.c.state == "valid")
)
_SET_STATE = Query(
    update(_certificates)
    .values(binds("state", "cause", "reason", "changed_at", "changed_by"))
    .where(_certificates.c.id == bind("certificate_id"), _certificates.c.state == bind("was"))
)
_BY_NUMBER = Query(_SELECT.where(_certificates.c.number == bind("number")), gives=IssuedCertificate)
_LATEST = Query(
    _SELECT.where(_certificates.c.person_id == bind("person_id"), *_OF_SOURCE).order_by(_NEWEST).limit(1),
    gives=IssuedCertificate,
)
_OF_PERSON = Query(
    _SELECT.where(_certificates.c.person_id == bind("person_id")).order_by(_NEWEST).limit(bind("most")),
    gives=IssuedCertificate,
)
_EVERYBODYS = Query(_SELECT.where(*_OF_SOURCE).order_by(_certificates.c.id), gives=IssuedCertificate)
_ASKED = {"staff_no": _people.c.staff_no, "state": _certificates.c.state, "kind": _certificates.c.kind}
_LIST = Query(
    _SELECT.where(*((bind(name, Text) == "") | (column == bind(name)) for name, column in _ASKED.items())).order_by(_NEWEST).limit(bind("most")),
    gives=IssuedCertificate,
)


def next_id(session: Session) -> int:
    """The id of the next certificate, before its row is written, for its number. PostgreSQL gives each to one caller; SQLite has one writer."""
    return (_NEXT_ON_SQLITE if is_sqlite_session(session) else _NEXT_ON_POSTGRES).one(session)


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
    added = _ADD.run(
        session,
        id=ident,
        number=number,
        code=code,
        person_id=person_id,
        kind=body.facts.kind,
        source_kind=source[0],
        source_id=source[1],
        body=body,
        issued_at=at,
        issued_by=by,
        replaces=replaces,
    )
    return added == 1


def set_state(session: Session, certificate: IssuedCertificate, state: str, cause: str, reason: str, at: datetime, by: str) -> bool:
    """True for the one caller who changed it from the state it was read in."""
    changed = _SET_STATE.run(
        session,
        certificate_id=certificate.id,
        was=certificate.state,
        state=state,
        cause=cause,
        reason=reason,
        changed_at=at,
        changed_by=by,
    )
    return changed == 1


def by_number(session: Session, number: str) -> IssuedCertificate | None:
    return _BY_NUMBER.first(session, number=number)


def latest(session: Session, person_id: int, source: tuple[str, str]) -> IssuedCertificate | None:
    """The newest certificate of a source, valid or not; None when there is none."""
    return _LATEST.first(session, person_id=person_id, source_kind=source[0], source_id=source[1])


def of_person(session: Session, person_id: int, most: int = 50) -> list[IssuedCertificate]:
    """Newest first."""
    return _OF_PERSON.all(session, person_id=person_id, most=most)


def of_source(session: Session, source: tuple[str, str]) -> list[IssuedCertificate]:
    """Everybody's certificates of a source, oldest first."""
    return _EVERYBODYS.all(session, source_kind=source[0], source_id=source[1])


def list_certificates(session: Session, staff_no: str = "", state: str = "", kind: str = "", most: int = 1000) -> list[IssuedCertificate]:
    """Newest first; an empty word asks for all."""
    return _LIST.all(session, staff_no=staff_no, state=state, kind=kind, most=most)
