"""Upgrades and downgrades the schema, on SQLite and PostgreSQL.

Alembic is imported only where a step is to be run: whether the schema fits is one SELECT, which every start of the service and every command makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect, text

from bot.domain.message import Refusal
from bot.storage.db.engine import is_sqlite

HERE = Path(__file__).parent
REVISIONS = ("0012", "0014", "0015", "0016", "0017", "0018")
"""Every revision this program knows, oldest first; a test holds them equal to the files under `versions`."""
HEAD = REVISIONS[-1]


def current(engine: Engine) -> str | None:
    """The revision the database stands at; None for an empty one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return revision


def refuse_unknown(revision: str | None) -> None:
    """Raises `Refusal` with the remedy for a database at a revision that this program does not know; an empty one is fine."""
    if revision is None or revision in REVISIONS:
        return
    if revision < REVISIONS[0]:
        raise Refusal(
            f"数据库停在版本 {revision}，是 0.2.0 以前的程序建的，本程序不能直接升级："
            "请先用 0.2.0 版运行一次 python -m bot migrate，再换上本程序，再运行一次 python -m bot migrate。"
        )
    raise Refusal(f"数据库停在版本 {revision}，本程序不认识：它是更新的程序建的，请升级程序，不要用旧程序打开新库。")


def migrate(engine: Engine, to: str = "head") -> tuple[str | None, str | None]:
    """Bring the schema to a revision (`base`: none); the revisions before and after. Each step is one transaction.

    Raises `Refusal` for an unknown revision, wanted or found.
    """
    before = current(engine)
    refuse_unknown(before)
    if to not in ("head", "base", *REVISIONS):
        raise Refusal(f"没有「{to}」这个版本，已知的有：{'、'.join(REVISIONS)}")
    target = {"head": HEAD, "base": None}.get(to, to)
    if before != target:
        _run_steps(engine, before, to)
    return before, current(engine)


def is_up(before: str | None, to: str) -> bool:
    """True when going from `before` to a revision (or `head`, `base`) is no downgrade."""
    return to != "base" and (to == "head" or before is None or to not in REVISIONS or REVISIONS.index(to) >= REVISIONS.index(before))


def _run_steps(engine: Engine, before: str | None, to: str) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(HERE))
    script = ScriptDirectory.from_config(config)

    def steps(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs(to, revision) if is_up(before, to) else script._downgrade_revs(to, revision)

    with EnvironmentContext(config, script, fn=steps, destination_rev=to) as environment, engine.connect() as connection:
        if is_sqlite(engine):
            # A table that others point to can only be made anew with the foreign keys off, which takes effect outside a transaction only.
            # The connection is not used again (NullPool); every step checks them all before it is committed.
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        environment.configure(connection=connection, transaction_per_migration=True, on_version_apply=_check_foreign_keys)
        with environment.begin_transaction():
            environment.run_migrations()
        connection.commit()


def _check_foreign_keys(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    if ctx.dialect.name == "sqlite" and (orphan := ctx.connection.exec_driver_sql("PRAGMA foreign_key_check").first()) is not None:
        raise RuntimeError(f"a step left a row of {orphan[0]} that points to nothing in {orphan[2]}")
