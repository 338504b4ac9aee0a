"""The commands of the operator's contract: a few lines each, over the services.

Every module here adds its commands to `cli`; importing them is what makes `python -m bot` know them.
"""

from bot.cli import banks as _banks  # noqa: F401
from bot.cli import campaign as _campaign  # noqa: F401
from bot.cli import certificate as _certificate  # noqa: F401
from bot.cli import chat as _chat  # noqa: F401
from bot.cli import contest as _contest  # noqa: F401
from bot.cli import duty as _duty  # noqa: F401
from bot.cli import exam as _exam  # noqa: F401
from bot.cli import leave as _leave  # noqa: F401
from bot.cli import marking as _marking  # noqa: F401
from bot.cli import people as _people  # noqa: F401
from bot.cli import progress as _progress  # noqa: F401
from bot.cli import public as _public  # noqa: F401
from bot.cli import pushing as _pushing  # noqa: F401
from bot.cli import reports as _reports  # noqa: F401
from bot.cli import serve as _serve  # noqa: F401
from bot.cli import sync as _sync  # noqa: F401
from bot.cli.common import cli, main

__all__ = ["cli", "main"]
