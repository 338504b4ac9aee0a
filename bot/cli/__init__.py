"""The commands of the operator's contract: a few lines each, over the services.

Every module here adds its commands to `cli`; importing them is what makes `python -m bot` know them.
"""

from bot.cli import banks as _banks  # noqa: F401
from bot.cli.common import cli, main

__all__ = ["cli", "main"]
