"""The simulation of an exam day runs, and every plan in it is given the same minutes."""

from __future__ import annotations

import pytest

from tests.bench import memory


@pytest.mark.parametrize("learner", [memory.OtherNumbers, memory.OtherShape])
def test_every_plan_has_the_minutes_of_the_others_and_no_more(learner: type[memory.Learner]) -> None:
    rows = {plan: memory.run(learner, (12, 6, 2), plan, 2) for plan in memory.PLANS}

    assert {plan: row.reviews for plan, row in rows.items() if plan != "aimed at the day"} == dict.fromkeys(
        ("plain FSRS", "cramming, 1 day", "cramming, 3 days"), 24
    )
    assert rows["aimed at the day"].reviews <= 24
    assert all(0 < known < 1 for row in rows.values() for known in row.known)


def test_the_same_seeds_give_the_same_table() -> None:
    assert memory.report(2, ((8, 4, 1),)) == memory.report(2, ((8, 4, 1),))
