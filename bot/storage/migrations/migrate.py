"""Upgrades and downgrades the schema, on SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

HERE = Path(__file__).parent


def _config(engine: Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["engine"] = engine
    return config


def head() -> str:
    """The newest revision this program knows."""
    revision = ScriptDirectory(str(HERE)).get_current_head()
    if revision is None:
        raise RuntimeError("no migrations are packaged")
    return revision


def known() -> set[str]:
    """Every revision this program knows."""
    return {script.revision for script in ScriptDirectory(str(HERE)).walk_revisions()}


def current(engine: Engine) -> str | None:
    """The revision the database stands at; None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def migrate(engine: Engine, to: str = "head") -> tuple[str | None, str | None]:
    """Bring the schema to a revision (`base`: none); the revisions before and after. Each migration is one transaction."""
    before = current(engine)
    if is_up(before, to):
        command.upgrade(_config(engine), to)
    else:
        command.downgrade(_config(engine), to)
    return before, current(engine)


def is_up(before: str | None, to: str) -> bool:
    """True when going from `before` to a revision (or `head`, `base`) is no downgrade."""
    return to != "base" and (to == "head" or before is None or to == before or _is_newer(to, before))


def _is_newer(to: str, before: str) -> bool:
    script = ScriptDirectory(str(HERE))
    older = {revision.revision for revision in script.iterate_revisions(before, "base")}
    return to not in older
