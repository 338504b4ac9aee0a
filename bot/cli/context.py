"""What all commands at the shell share, in one object: settings, clock, who acts, the database, and how results and refusals are printed."""

from __future__ import annotations

import getpass
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bot.domain.message import Refusal

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy import Engine
    from sqlmodel import Session

    from bot.domain.campaign.campaign import Author
    from bot.domain.people.person import RoleName
    from bot.domain.reports import Scope
    from bot.services.library.catalog import Catalog
    from bot.settings import Settings

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="输出 JSON，供脚本使用；被拒时也是")]
Apply = Annotated[bool, typer.Option("--apply", help="真正执行；不加则只预演，什么都不写")]
As = Annotated[str, typer.Option("--as", metavar="工号", help="以谁的名义：权限、范围和留痕都是这个人的；不写即 BOT_OPERATOR")]

EXIT_REFUSED, EXIT_USAGE, EXIT_PARTLY = 1, 2, 3
DRY_RUN_NOTE = "以上是预演，什么都没有写；加 --apply 生效。"
VIA = "cli"


@dataclass
class CliContext:
    """One run of the command line. Tests set its clock, its user and its sleep; nothing else of the command line knows the time or the user."""

    config: Path | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    user: Callable[[], str] = getpass.getuser
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.SystemRandom)
    acting_as: str = ""
    as_json: bool = False

    def begin(self, arguments: Sequence[str]) -> None:
        """A new run: whatever the last one was told is forgotten; a refusal before the options are read is JSON too where it was asked for."""
        self.config, self.acting_as, self.as_json = None, "", "--json" in arguments

    def take(self, *, acting_as: str = "", as_json: bool = False) -> None:
        """The options that every command has."""
        self.acting_as, self.as_json = acting_as, as_json

    def now(self) -> datetime:
        return self.clock()

    # ── Settings and the database ──

    def settings(self, **overrides: Any) -> Settings:
        from bot import settings

        return settings.load(self.config, **overrides)

    def engine(self, settings: Settings | None = None) -> Engine:
        """The engine of the settings. Raises `Refusal` with the remedy when its schema is not at this program's revision."""
        from bot.storage.db.engine import open_engine
        from bot.storage.migrations import migrate

        found = settings or self.settings()
        engine = open_engine(found.database, busy_seconds=found.limits.busy_seconds)
        revision = migrate.current(engine)
        if revision != migrate.HEAD:
            engine.dispose()
            migrate.refuse_unknown(revision)
            state = "还没有建表" if revision is None else f"停在版本 {revision}，本程序需要 {migrate.HEAD}"
            raise Refusal(f"数据库{state}，请先运行 python -m bot migrate")
        return engine

    def reading(self, work: Callable[[Session], T]) -> T:
        """Run read-only work on a database opened for it."""
        from bot.storage.db.database import Database

        database = Database(self.engine())
        try:
            return database.read_now(work)
        finally:
            database.engine.dispose()

    def writing(self, work: Callable[[Session], T]) -> T:
        """Run work in one transaction on a database opened for it; an exception rolls it back."""
        from bot.services import hooks
        from bot.storage.db.database import Database

        hooks.install()
        database = Database(self.engine())
        try:
            return database.write_now(work)
        finally:
            database.engine.dispose()

    def catalog(self, session: Session) -> Catalog:
        """The content files as they stand, with the limits of the settings. Raises `Refusal` when any of it is wrong."""
        from bot.services.library import catalog
        from bot.storage.files.loader import data_root, load_library

        library, faults = load_library(data_root())
        if faults:
            raise Refusal("内容文件有错，请先运行 python -m bot check：\n" + "\n".join(str(fault) for fault in faults[:5]))
        return replace(catalog.read_catalog(session, library), limits=self.settings().platform_limits)

    # ── Who acts ──

    def operator(self) -> str:
        """The staff number that was given with --as or BOT_OPERATOR; without one the user of the operating system, who is nobody in the agency."""
        return self.staff_no() or self.shell_user()

    def staff_no(self) -> str:
        return self.acting_as or self.settings().operator

    def shell_user(self) -> str:
        try:
            return f"{VIA}:{self.user()}"
        except (KeyError, OSError):
            return f"{VIA}:unknown"

    def author(self, session: Session, role: RoleName | None = None) -> Author:
        """Who acts, with what they reach: everything for the user of the system. Raises `Refusal` for a staff number without the role."""
        from bot.domain.campaign.campaign import Author
        from bot.domain.people.person import RoleName
        from bot.domain.times import day_of
        from bot.services.campaign.manage import author_of
        from bot.storage.people import accounts

        staff_no, asked = self.staff_no(), role or RoleName.ADMIN
        if not staff_no:
            return Author(self.shell_user(), VIA)
        learner = accounts.learner_by_staff_no(session, staff_no, day_of(self.now()))
        if learner is None or not learner.may(asked):
            raise Refusal(f"「{staff_no[:40]}」不是在职的{asked.label}，什么都没有改动：请核对 --as 或 BOT_OPERATOR。")
        return author_of(session, learner, VIA)

    def scope(self, session: Session) -> Scope:
        """Which people a report may speak of: of an administrator those they look after, of a supervisor those they supervise; else everybody."""
        from bot.domain.people.person import RoleName
        from bot.domain.reports import Scope
        from bot.domain.times import day_of
        from bot.services.delivery.nudge import author_scope
        from bot.storage.people import accounts
        from bot.storage.reports.scope import scope_of

        if not self.staff_no():
            return Scope()
        today = day_of(self.now())
        learner = accounts.learner_by_staff_no(session, self.staff_no(), today)
        if learner is not None and learner.may(RoleName.SUPERVISOR):
            return scope_of(session, learner.id, today)
        return author_scope(session, self.author(session))

    def require_whole_agency(self) -> None:
        """Raises `Refusal` where whoever acts looks after some units only."""
        if self.staff_no() and self.reading(self.author).roots is not None:
            raise Refusal("这件事关系到全单位，只有全局的管理员可以做。")

    def record(self, action: str, target: str = "", detail: str = "") -> None:
        """An audit line of its own transaction: what cannot be written down is not done or shown. Raises `Refusal` as `author` does."""
        from bot.storage.system import audit

        self.writing(lambda session: audit.record(session, self.now(), self.actor(session), VIA, action, target, detail=detail))

    def actor(self, session: Session) -> str:
        """Who is written into the audit. Raises `Refusal` for a staff number that is neither an administrator's nor a supervisor's."""
        from bot.domain.people.person import RoleName
        from bot.domain.times import day_of
        from bot.storage.people import accounts

        if not self.staff_no():
            return self.shell_user()
        learner = accounts.learner_by_staff_no(session, self.staff_no(), day_of(self.now()))
        if learner is None or not (learner.may(RoleName.ADMIN) or learner.may(RoleName.SUPERVISOR)):
            raise Refusal(f"「{self.staff_no()[:40]}」不是在职的管理员或督学，什么都没有改动：请核对 --as 或 BOT_OPERATOR。")
        return learner.staff_no

    # ── Printing ──

    def show(self, result: Any, text: str | Iterable[str]) -> None:
        """Print the result as JSON for a script or as text for a person."""
        if self.as_json:
            print(json.dumps(result, ensure_ascii=False, indent=None, default=str))
        else:
            print(text if isinstance(text, str) else "\n".join(text))

    def print_refusal(self, refusal: Exception) -> None:
        """The sentence on standard error; for a script also an object that says which rows were at fault."""
        if self.as_json:
            faults = [{"row": fault.row, "column": fault.column, "reason": fault.reason} for fault in getattr(refusal, "faults", ())]
            print(json.dumps({"applied": False, "refused": str(refusal), "faults": faults}, ensure_ascii=False))
        print(refusal, file=sys.stderr)


context = CliContext()
"""The run that is under way."""


def note(sentence: str) -> None:
    """A line of progress, on standard error: standard output is for results."""
    print(sentence, file=sys.stderr)


def console() -> Console:
    """A terminal for what moves and shines."""
    from rich.console import Console

    return Console(stderr=True)
