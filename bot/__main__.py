"""`python -m bot COMMAND`."""

import gc

# Before anything is imported: most of what a start makes stays to the end, and is not to be looked over again and again.
gc.set_threshold(50_000, 20, 50)

from bot.cli.main import main  # noqa: E402 - see above

if __name__ == "__main__":
    try:
        main()
    finally:
        # What is left is given back by the end of the process.
        gc.freeze()
