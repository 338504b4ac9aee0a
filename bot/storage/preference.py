"""What people chose in 设置; nobody has a row who never chose."""

from __future__ import annotations

from sqlmodel import Session

from bot.domain.preference import Preference
from bot.storage.sql import Sql

_OF = Sql("SELECT push_at, quiet_from, quiet_to, digest, channel FROM preference WHERE person_id = :person_id")
_KEEP = Sql(
    """INSERT INTO preference (person_id, push_at, quiet_from, quiet_to, digest, channel)
       VALUES (:person_id, :push_at, :quiet_from, :quiet_to, :digest, :channel)
       ON CONFLICT (person_id) DO UPDATE SET push_at = excluded.push_at, quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to,
           digest = excluded.digest, channel = excluded.channel"""
)
_CHANNELS = Sql("SELECT channel FROM account WHERE person_id = :person_id ORDER BY channel")


def of(session: Session, person_id: int) -> Preference:
    row = _OF.one(session, person_id=person_id)
    return Preference() if row is None else Preference(row[0], row[1], row[2], bool(row[3]), row[4])


def keep(session: Session, person_id: int, chosen: Preference) -> None:
    _KEEP.run(
        session,
        person_id=person_id,
        push_at=chosen.push_at,
        quiet_from=chosen.quiet_from,
        quiet_to=chosen.quiet_to,
        digest=int(chosen.digest),
        channel=chosen.channel,
    )


def channels(session: Session, person_id: int) -> list[str]:
    """Where a person can be reached."""
    return [row[0] for row in _CHANNELS.all(session, person_id=person_id)]
