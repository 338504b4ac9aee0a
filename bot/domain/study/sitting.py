"""The kinds of sittings: their names, which of them comes first, and what an answer in each does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class TaskClaim(IntEnum):
    """Whose turn it is among what a person has open; the smaller goes first (bot/docs/rules.md#one-open-task-at-a-time)."""

    LIVE = 0
    EXAM = 1
    DUE = 2
    DAILY = 3
    STUDY = 4
    REVIEW = 5


HOLDING_CLAIM = TaskClaim.EXAM
"""What claims this much or more is not paused for something that claims less: a person leaves it by their own word only."""


@dataclass(frozen=True, slots=True)
class SittingForm:
    """One kind of sitting.

    `task` is the kind of task while it is in hand (`focus.kind`; bot/commands/tasks.py). `shows_verdict` gives the verdict with the answer,
    `earns_credit` lets items earn as practice (rule D3), `updates_notebook` moves the notebook of mistakes at once, `one_life` ends it with the
    first mistake. `resumable` keeps it open when its person leaves it by their own word; put down for something else it waits in any case, what is
    not resumable to the end of its day.
    """

    kind: str
    name: str
    claim: TaskClaim
    task: str = "sitting"
    shows_verdict: bool = True
    earns_credit: bool = True
    updates_notebook: bool = True
    resumable: bool = True
    one_life: bool = False


FORMS: dict[str, SittingForm] = {
    form.kind: form
    for form in (
        SittingForm("live", "现场竞赛", TaskClaim.LIVE, task="live", shows_verdict=False, earns_credit=False, updates_notebook=False),
        SittingForm("match", "对战", TaskClaim.DUE, task="match", earns_credit=False),
        SittingForm("exam", "考试", TaskClaim.EXAM, task="exam", shows_verdict=False, earns_credit=False, updates_notebook=False),
        SittingForm("contest", "竞赛", TaskClaim.DUE, earns_credit=False),
        SittingForm("daily", "每日一练", TaskClaim.DAILY),
        SittingForm("lesson", "课后题", TaskClaim.STUDY, earns_credit=False),
        SittingForm("mock", "模拟考试", TaskClaim.REVIEW, shows_verdict=False),
        SittingForm("practice", "练习", TaskClaim.REVIEW, resumable=False),
        SittingForm("mistakes", "错题重做", TaskClaim.REVIEW, resumable=False),
        SittingForm("challenge", "挑战", TaskClaim.REVIEW, resumable=False, one_life=True),
    )
}
TASK_KINDS = ("reading", *dict.fromkeys(form.task for form in FORMS.values()))
