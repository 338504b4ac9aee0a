"""Dry runs of commands: the work runs in one transaction that is rolled back unless --apply is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from sqlmodel import Session

from bot.cli.common import read_settings, writing
from bot.domain.message import Refusal
from bot.services.library import catalog
from bot.services.library.catalog import Catalog
from bot.storage.files.loader import data_root, load_library

T = TypeVar("T")
DRY_RUN_NOTE = "以上是预演，什么都没有写；加 --apply 生效。"


class _RolledBack(Exception):
    """Raised to roll the transaction of a dry run back."""


def with_catalog(work: Callable[[Session, Catalog], T]) -> Callable[[Session], T]:
    """The work with the catalog as its second argument: the content files as they stand, and the platform limits of the settings.

    Raises `Refusal` when a file is wrong.
    """
    library, faults = load_library(data_root())
    if faults:
        raise Refusal("内容文件有错，请先运行 python -m bot check：\n" + "\n".join(str(fault) for fault in faults[:5]))
    limits = read_settings().platform_limits
    return lambda session: work(session, replace(catalog.read_catalog(session, library), limits=limits))


def run_or_rehearse(work: Callable[[Session, Catalog], T], *, apply: bool) -> T:
    """The outcome of the work; its writes are committed only with `apply`."""
    outcome: list[T] = []

    def run(session: Session, catalog: Catalog) -> T:
        outcome.append(work(session, catalog))
        if not apply:
            raise _RolledBack
        return outcome[0]

    try:
        return writing(with_catalog(run))
    except _RolledBack:
        return outcome[0]
