"""The codec's benchmark measures what it says: two paths that say the same."""

from __future__ import annotations

from tests.bench.codec import SAID, measure, paths, said_in


def test_the_two_paths_answer_every_message_alike() -> None:
    ours, wechatpys = paths(8)
    assert {said_in(ours()) for _ in range(8)} == {said_in(wechatpys()) for _ in range(8)} == {SAID}


def test_the_benchmark_gives_both_times_and_their_ratio() -> None:
    found = measure(messages=5, rounds=2)
    assert found.ours_us > 0
    assert found.wechatpy_us > 0
    assert found.ratio > 0
