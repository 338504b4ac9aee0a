"""The rules of contests: points, sets that count, ties, teams fair to small ones, and nobody named below the middle."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.contest import duel
from bot.domain.contest.contest import ContestRules, describe_rules, rules_from_json, rules_json
from bot.domain.contest.leaderboard import (
    ContestResult,
    FinishedSet,
    RankedPlayer,
    ScoredAnswer,
    answer_points,
    band_label,
    overall_result,
    publishable_entries,
    rank_players,
    rank_teams,
    set_result,
    split_into_leagues,
    team_heading,
    upper_half_size,
)
from bot.domain.message import Refusal

AT = datetime(2026, 7, 1, 1, 0, tzinfo=UTC)
RIGHT, WRONG = ScoredAnswer(1000, True, 4000), ScoredAnswer(0, False, 4000)
PLAIN = ContestRules(finish=0, base=1000)


def person(n: int, points: int = 0, correct: int = 0, millis: int = 0, after: int = 0, **more: object) -> RankedPlayer:
    return RankedPlayer(n, f"员{n:03}", ContestResult(points, correct, millis, AT + timedelta(seconds=after)), **more)  # type: ignore[arg-type]


# ── Points ──


def test_by_default_a_set_is_worth_eight_for_doing_it_and_two_for_being_right() -> None:
    best = set_result(ContestRules(), [RIGHT] * 5, AT, is_whole=True)
    worst = set_result(ContestRules(), [WRONG] * 5, AT, is_whole=True)
    assert (best.points, worst.points) == (10_000, 8_000), "at most two points separate the best from the worst"


def test_speed_counts_for_nothing_unless_the_rules_say_so() -> None:
    assert answer_points(PLAIN, ScoredAnswer(1000, True, 1)) == answer_points(PLAIN, ScoredAnswer(1000, True, 29_000)) == 1000


@pytest.mark.parametrize(("millis", "points"), [(0, 1000), (500, 1000), (3000, 950), (15_000, 750), (30_000, 500), (90_000, 500)])
def test_at_half_weight_a_right_answer_keeps_at_least_half(millis: int, points: int) -> None:
    rules = ContestRules(finish=0, base=1000, speed=50, seconds=30)
    assert answer_points(rules, ScoredAnswer(1000, True, millis)) == points


def test_a_partly_right_answer_earns_its_share_and_a_wrong_one_costs_nothing() -> None:
    assert answer_points(PLAIN, ScoredAnswer(500, False, 0)) == 500
    assert answer_points(PLAIN, WRONG, in_a_row=3) == 0


def test_a_row_of_right_answers_adds_only_where_the_rules_say_so() -> None:
    said = [RIGHT, RIGHT, WRONG, RIGHT, RIGHT]
    assert set_result(PLAIN, said, AT, is_whole=True).points == 4000
    assert set_result(ContestRules(finish=0, base=1000, streak=100), said, AT, is_whole=True).points == 4200


def test_a_set_that_was_not_finished_keeps_what_was_answered() -> None:
    assert set_result(ContestRules(), [RIGHT, RIGHT], AT, is_whole=False) == ContestResult(800, 2, 8000, AT)


# ── Sets that count ──


def done(day: int, points: int, after: int = 0) -> FinishedSet:
    return FinishedSet(date(2026, 7, day), ContestResult(points, points // 1000, 1000, AT + timedelta(seconds=after)))


@pytest.mark.parametrize(
    ("rules", "points"),
    [
        (ContestRules(sets_a_day=3, counted_a_day=1), 9000 + 8000),
        (ContestRules(sets_a_day=3, counted_a_day=2), 9000 + 7000 + 8000),
        (ContestRules(sets_a_day=3, counted_a_day=1, take="best"), 9000),
    ],
)
def test_of_each_day_the_best_sets_count_together_or_the_best_alone(rules: ContestRules, points: int) -> None:
    assert overall_result(rules, [done(1, 5000), done(1, 9000), done(1, 7000), done(2, 8000)]).points == points


def test_whoever_did_nothing_has_nothing() -> None:
    assert overall_result(ContestRules(), []) == ContestResult()


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 10_000)), max_size=12), st.randoms())
def test_the_order_in_which_sets_arrive_changes_nothing(sets: list[tuple[int, int]], rng: random.Random) -> None:
    rules = ContestRules(sets_a_day=5, counted_a_day=2)
    shuffled = [done(day, points, after=n) for n, (day, points) in enumerate(sets)]
    before = overall_result(rules, shuffled)
    rng.shuffle(shuffled)
    assert overall_result(rules, shuffled) == before


# ── Places ──


def test_ties_are_broken_by_right_answers_then_time_then_who_was_done_first() -> None:
    board = rank_players(
        [
            person(1, 9000, 4, 60_000, after=9),
            person(2, 9000, 5, 90_000, after=9),
            person(3, 9000, 5, 80_000, after=9),
            person(4, 9000, 5, 80_000, after=5),
            person(5, 9500, 1, 99_000, after=99),
        ]
    )
    assert [one.player.id for one in board] == [5, 4, 3, 2, 1]
    assert [one.place for one in board] == [1, 2, 3, 4, 5]


def test_whoever_the_rule_cannot_tell_apart_shares_the_place_and_the_next_is_left_out() -> None:
    board = rank_players([person(1, 9000), person(2, 9000), person(3, 8000)])
    assert [(one.place, one.player.id) for one in board] == [(1, 1), (1, 2), (3, 3)]


def test_who_did_not_take_part_has_no_place() -> None:
    assert [one.player.id for one in rank_players([person(1, 1), person(2, took_part=False)])] == [1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), max_size=30), st.randoms())
def test_a_board_is_the_same_in_whatever_order_the_rows_come(rows: list[tuple[int, int, int]], rng: random.Random) -> None:
    players = [person(n, *row) for n, row in enumerate(rows)]
    before = rank_players(players)
    rng.shuffle(players)
    assert rank_players(players) == before


# ── Teams ──


def test_a_small_unit_is_measured_by_those_it_has() -> None:
    """Six of two hundred and all of three: the mean of the best five, or of as many as there are (bot/docs/rules.md S17)."""
    small = [person(n, 9000, team_id=1) for n in range(3)]
    large = [person(100 + n, 9500 if n < 4 else 1000, team_id=2) for n in range(200)]
    board = rank_teams(ContestRules(teams="unit", best=5), {1: "小处", 2: "大处"}, [*small, *large])
    assert [(one.name, one.score, one.counted) for one in board] == [("小处", 9000, 3), ("大处", 7800, 5)]


def test_in_a_mean_over_all_who_stays_away_counts_as_nought() -> None:
    players = [person(1, 10_000, team_id=1), person(2, team_id=1, took_part=False), person(3, 6000, team_id=2)]
    board = rank_teams(ContestRules(teams="unit"), {1: "一处", 2: "二处"}, players)
    assert [(one.name, one.score, one.members, one.present) for one in board] == [("二处", 6000, 1, 1), ("一处", 5000, 2, 1)]


def test_in_a_mean_of_the_best_five_staying_away_helps_nobody() -> None:
    players = [person(1, 10_000, team_id=1), *(person(n, team_id=1, took_part=False) for n in range(2, 9))]
    assert rank_teams(ContestRules(teams="unit", best=5), {1: "一处"}, players)[0].score == 2000


def test_the_heading_names_how_a_team_is_scored() -> None:
    assert "最高 5 人的平均分" in team_heading(ContestRules(teams="unit", best=5))
    assert "全队人均分" in team_heading(ContestRules(teams="unit"))


# ── Who is named ──


def test_by_default_nobody_is_named() -> None:
    assert publishable_entries(ContestRules(), rank_players([person(n, n) for n in range(10)])) == []


@pytest.mark.parametrize(("people", "shown"), [(1, 1), (2, 1), (3, 2), (30, 15), (31, 16)])
def test_the_middle_and_above_are_named_and_nobody_below(people: int, shown: int) -> None:
    board = rank_players([person(n, n) for n in range(people)])
    assert len(publishable_entries(ContestRules(board="upper"), board)) == upper_half_size(board) == shown


def test_a_place_that_reaches_over_the_middle_is_named_whole() -> None:
    board = rank_players([person(1, 9), person(2, 5), person(3, 5), person(4, 1)])
    assert [one.player.id for one in publishable_entries(ContestRules(board="upper"), board)] == [1, 2, 3]


def test_bands_are_said_instead_of_places() -> None:
    assert [band_label(place, 100) for place in (1, 10, 11, 30, 31, 60, 61, 100)] == [
        "第一档", "第一档", "第二档", "第二档", "第三档", "第三档", "第四档", "第四档",
    ]  # fmt: skip
    assert band_label(1, 1) == "第一档"


@pytest.mark.parametrize(("people", "sizes"), [(0, []), (7, [7]), (44, [44]), (46, [23, 23]), (95, [32, 32, 31])])
def test_groups_among_equals_hold_about_thirty(people: int, sizes: list[int]) -> None:
    groups = split_into_leagues([person(n, strength=n) for n in range(people)], 30)
    assert [len(group) for group in groups] == sizes
    for upper, lower in itertools.pairwise(groups):
        assert min(one.strength for one in upper) >= max(one.strength for one in lower)


# ── As data ──


def test_rules_go_into_a_row_and_come_out_the_same() -> None:
    rules = ContestRules(size=10, speed=20, teams="listed", best=3, board="upper", league=30)
    assert rules_from_json(rules_json(rules)) == rules
    assert rules_from_json({}) == ContestRules()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"speed": 51}, "速度权重"),
        ({"speed": True}, "速度权重"),
        ({"size": 0}, "每套题数"),
        ({"size": "5"}, "每套题数"),
        ({"board": "shame"}, "排行"),
        ({"take": "worst"}, "取分办法"),
        ({"sets_a_day": 1, "counted_a_day": 2}, "每天计分套数"),
        ({"base": 0, "finish": 0}, "不能都是 0"),
        ({"league": 3}, "分组人数"),
        ({"league": 30, "board": "all"}, "只能公布中位以上"),
        ({"points": 3}, "没有「points」"),
    ],
)
def test_a_rule_out_of_bounds_is_refused_by_name(given: dict[str, object], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        rules_from_json(given)


def test_the_rules_are_said_before_anybody_starts_with_the_rule_for_ties() -> None:
    said = "\n".join(describe_rules(ContestRules(sets_a_day=3, counted_a_day=1, speed=30, teams="unit", best=5, board="upper")))
    for part in (
        "每天 3 套",
        "最高的 1 套",
        "做完一套得 8 分",
        "一套最高 10 分",
        "匀降到 70%",
        "同分时",
        "最高 5 人的平均分",
        "公布中位以上",
        "第一次提交",
    ):
        assert part in said


# ── Matches ──


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 180_000)), min_size=2, max_size=4))
def test_a_match_never_parts_first_and_last_by_more_than_two_points(results: list[tuple[int, int]]) -> None:
    ended = duel.rank_players([(n, ContestResult(0, correct, millis, AT)) for n, (correct, millis) in enumerate(results)])
    points = [one.points for one in ended]
    assert max(points) - min(points) <= 2
    assert min(points) >= 1, "who plays gets something"
    assert sorted(points, reverse=True) == points
    assert ended[0].place == 1


def test_a_match_is_won_by_right_answers_and_among_equals_by_time() -> None:
    ended = duel.rank_players(
        [(1, ContestResult(0, 4, 9000, AT)), (2, ContestResult(0, 5, 80_000, AT)), (3, ContestResult(0, 4, 8000, AT)), (4, ContestResult())]
    )
    assert [(one.player, one.place, one.points) for one in ended] == [(2, 1, 3), (3, 2, 2), (1, 3, 2), (4, 4, 1)]


def test_equals_share_the_better_place_of_a_match() -> None:
    ended = duel.rank_players([(1, ContestResult(0, 4, 9000, AT)), (2, ContestResult(0, 4, 9000, AT))])
    assert [(one.place, one.points) for one in ended] == [(1, 3), (1, 3)]


def test_who_answered_nothing_is_last_though_it_took_no_time() -> None:
    ended = duel.rank_players([(1, ContestResult()), (2, ContestResult(0, 0, 60_000, AT))])
    assert [one.player for one in ended] == [2, 1]


def test_of_each_day_the_first_two_matches_count() -> None:
    monday, tuesday = date(2026, 3, 2), date(2026, 3, 3)
    assert duel.scored_points([(monday, 3), (monday, 1), (monday, 3), (tuesday, 3)]) == 7
