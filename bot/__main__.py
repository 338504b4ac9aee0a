"""`python -m bot COMMAND`."""

import gc
import os

# Before anything is imported. Most of what a start makes stays to the end, and is not to be looked over again and again;
# and pydantic need not search every installed package for plugins of its own.
gc.set_threshold(50_000, 20, 50)
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from bot.cli.main import main  # noqa: E402 - see above

if __name__ == "__main__":
    try:
        main()
    finally:
        # What is left is given back by the end of the process.
        gc.freeze()
