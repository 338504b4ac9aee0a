"""`python -m bot`: registers every group of commands and turns known faults into one sentence and an exit status."""

from __future__ import annotations

import sys

from sqlalchemy.exc import DBAPIError

from bot.cli import activity, campaign, certificate, chat, contest, exam, grading, library, people, public_series, reports, serve, system
from bot.cli.chinese import translate_typer
from bot.cli.common import cli, database_fault, print_error
from bot.domain.message import Refusal
from bot.services import hooks
from bot.settings import BadSettings
from bot.storage.db.engine import DRIVER_ERRORS
from bot.storage.db.writer import Busy

MODULES = (
    serve,
    system,
    chat,
    people,
    library,
    campaign,
    public_series,
    activity,
    exam,
    contest,
    grading,
    certificate,
    reports,
)
"""Modules that register their commands on `cli` when they are imported."""


def main() -> None:
    """Run the command line; a known fault ends in one Chinese sentence and an exit status, never in a stack trace."""
    translate_typer()
    hooks.install()
    try:
        cli()
    except BadSettings as wrong:
        sys.exit(print_error(str(wrong), 2))
    except Refusal as refusal:
        sys.exit(print_error(str(refusal), 1))
    except Busy:
        sys.exit(print_error("数据库正忙或写不了，什么都没有改动，请稍后再试。", 1))
    except DRIVER_ERRORS as wrong:  # raised by statements that go to the driver directly
        sys.exit(print_error(database_fault(wrong), 1))
    except DBAPIError as wrong:
        sys.exit(print_error(database_fault(wrong.orig), 1))
