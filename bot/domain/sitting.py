"""What kinds of sittings there are: their names, whose turn comes first, and what an answer in each does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Claim(IntEnum):
    """Whose turn it is among what a person has open; the smaller goes first (product.md, rule 3)."""

    LIVE = 0
    EXAM = 1
    DUE = 2
    DAILY = 3
    STUDY = 4
    REVIEW = 5


HOLDS = Claim.EXAM
"""What claims this much or more is not put down by something that claims less: a person leaves it by their own word only."""


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of sitting.

    `task` is what the person is at while it is in hand (`focus.kind`; commands/tasks.py). `tells` gives the verdict with the answer, `credits`
    lets items earn as practice (D3), `notebook` moves the notebook of mistakes at once, `stays` keeps it open when it is put down, `one_life`
    ends it with the first mistake.
    """

    kind: str
    name: str
    claim: Claim
    task: str = "sitting"
    tells: bool = True
    credits: bool = True
    notebook: bool = True
    stays: bool = True
    one_life: bool = False


FORMS: dict[str, Form] = {
    form.kind: form
    for form in (
        Form("live", "现场竞赛", Claim.LIVE, task="live", tells=False, credits=False, notebook=False),
        Form("match", "对战", Claim.DUE, task="match", credits=False),
        Form("exam", "考试", Claim.EXAM, task="exam", tells=False, credits=False, notebook=False),
        Form("contest", "竞赛", Claim.DUE, credits=False),
        Form("daily", "每日一练", Claim.DAILY),
        Form("lesson", "课后题", Claim.STUDY, credits=False),
        Form("mock", "模拟考试", Claim.REVIEW, tells=False),
        Form("practice", "练习", Claim.REVIEW, stays=False),
        Form("mistakes", "错题重做", Claim.REVIEW, stays=False),
        Form("challenge", "挑战", Claim.REVIEW, stays=False, one_life=True),
    )
}
TASKS = ("reading", *dict.fromkeys(form.task for form in FORMS.values()))
