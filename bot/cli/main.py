"""`python -m bot`: every group of commands, once, and what becomes of a fault that a person can do something about."""

from __future__ import annotations

import sys

from sqlalchemy.exc import DBAPIError

from bot.cli import activity, campaign, certificate, chat, contest, exam, grading, library, people, public_series, reports, serve
from bot.cli.chinese import translate_typer
from bot.cli.common import cli, database_fault, print_error
from bot.domain.message import Refusal
from bot.services import hooks
from bot.settings import BadSettings
from bot.storage.db.engine import DRIVER_ERRORS
from bot.storage.db.writer import Busy

MODULES = (
    serve,
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
"""What adds commands to `cli`, by being imported here."""


def main() -> None:
    """Run the command line; what goes wrong is one Chinese sentence and a status, never a stack trace for a known fault."""
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
    except DRIVER_ERRORS as wrong:  # from the statements that go to the driver directly
        sys.exit(print_error(database_fault(wrong), 1))
    except DBAPIError as wrong:
        sys.exit(print_error(database_fault(wrong.orig), 1))
