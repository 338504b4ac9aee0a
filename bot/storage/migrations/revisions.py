"""Which revision a database stands at and which this program needs, without loading the migration tool: every command asks before it begins."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from sqlalchemy import Engine, inspect, text

VERSIONS = Path(__file__).parent / "versions"
_LINE = re.compile(r"^(revision|down_revision)(?:: [^=]+)? = (?:\"([^\"]+)\"|None)", re.MULTILINE)


@cache
def head() -> str:
    """The newest revision this program knows: the one that no other follows."""
    following: dict[str, str | None] = {}
    for path in VERSIONS.glob("*.py"):
        lines = {name: revision or None for name, revision in _LINE.findall(path.read_text(encoding="utf-8"))}
        if (revision := lines.get("revision")) is not None:
            following[revision] = lines.get("down_revision")
    heads = set(following) - set(following.values())
    if len(heads) != 1:
        raise RuntimeError(f"the packaged migrations end in {sorted(heads)}, not in one")
    return heads.pop()


def current(engine: Engine) -> str | None:
    """The revision the database stands at; None for an empty one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
