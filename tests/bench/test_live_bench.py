"""Two hundred phones in a live contest, one in ten dropping and coming back: nothing lost or double, places as in a reference run."""

from __future__ import annotations

import pytest

from tests.bench.live.play import play


@pytest.mark.parametrize(("where", "replicas", "speed"), [("sqlite", 1, 50), ("postgres", 2, 0)])
def test_two_hundred_phones_stand_where_the_reference_says(where: str, replicas: int, speed: int) -> None:
    played = play(200, 2, replicas=replicas, where=where, speed=speed)

    assert (played.lost, played.double, played.odd, played.misplaced) == (0, 0, 0, 0), str(played)
