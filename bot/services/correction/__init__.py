"""A wrong key put right after an exam or a contest: proposed, rehearsed, applied by a second name, told; the old answers stay as they were.

`carry` does it for any subject (`base`); `exam` and `contest` are the subjects there are; `impact` is what an administrator decides by.
"""

from bot.services.correction import contest, exam
from bot.services.correction.base import load
from bot.services.correction.carry import Wanted, apply, drop, look, named_version, names_needed, own, propose, rehearse
from bot.services.correction.impact import Impact

__all__ = [
    "Impact",
    "Wanted",
    "apply",
    "contest",
    "drop",
    "exam",
    "load",
    "look",
    "named_version",
    "names_needed",
    "own",
    "propose",
    "rehearse",
]
