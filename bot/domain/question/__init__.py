"""Questions: what each kind asks, how an answer to it is heard, and what the answer earns.

A question is a value and never changes: a file edited on disk is another version of it, told apart by its digest. A new kind is a class under
`@kind` in kinds.py.
"""

from bot.domain.question.base import BLANK, KINDS, M1, RIGHT, WRONG, KeyPoint, Mark, MarkRule, Question, Words, kind
from bot.domain.question.body import canonical, digest, from_body, to_body
from bot.domain.question.hearing import LONGEST_ANSWER, normalised, parse_numbered
from bot.domain.question.kinds import Fill, Judge, Multiple, Short, Single

__all__ = [
    "BLANK",
    "KINDS",
    "LONGEST_ANSWER",
    "M1",
    "RIGHT",
    "WRONG",
    "Fill",
    "Judge",
    "KeyPoint",
    "Mark",
    "MarkRule",
    "Multiple",
    "Question",
    "Short",
    "Single",
    "Words",
    "canonical",
    "digest",
    "from_body",
    "kind",
    "normalised",
    "parse_numbered",
    "to_body",
]
