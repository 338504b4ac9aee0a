"""The course of a live contest, its clock, and the rounds of a stage with the values found in use (bot/docs/rules.md G7)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from bot.domain.contest.live_rules import (
    SCHEME_PARAMETERS,
    SCHEMES,
    Act,
    AnswerWindow,
    Buzz,
    BuzzerRound,
    ContestCourse,
    FalseStart,
    Phase,
    RequiredRound,
    RiskRound,
    Round,
    StageScheme,
    SuddenDeath,
    agreed_choice,
    by_arrival,
    describe_scheme,
    first_valid_buzz,
    is_false_start,
    judged_points,
    parse_scheme,
    remaining_teams,
    risk_choice_order,
    round_of_part,
    scheme_from_json,
    scheme_json,
)
from bot.domain.message import Refusal
from tests.conftest import NOW

ONE, TWO, THREE = SCHEMES["方案一"], SCHEMES["方案二"], SCHEMES["方案三"]


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("phase", "act", "then"),
    [
        ("reading", "buzz", "open"),
        ("open", "close", "closed"),
        ("reading", "close", "closed"),
        ("closed", "board", "board"),
        ("board", "finish", "finished"),
        ("closed", "finish", "finished"),
        ("open", "void", "closed"),
        ("closed", "void", "closed"),
        ("board", "void", "board"),
    ],
)
def test_one_thing_follows_another(phase: Phase, act: Act, then: Phase) -> None:
    assert ContestCourse(phase, 3).after(act) == ContestCourse(then, 3)


@pytest.mark.parametrize(
    ("phase", "act"),
    [
        ("lobby", "close"),
        ("lobby", "void"),
        ("open", "next"),
        ("open", "finish"),
        ("open", "board"),
        ("closed", "close"),
        ("closed", "pause"),
        ("finished", "next"),
        ("finished", "adjust"),
        ("finished", "void"),
    ],
)
def test_what_may_not_be_done_now_is_refused_with_what_may(phase: Phase, act: Act) -> None:
    with pytest.raises(Refusal, match="现在不能"):
        ContestCourse(phase, 3).check(act)


def test_a_pause_is_ended_once_and_begun_once() -> None:
    paused = ContestCourse("open", 1).after("pause")
    assert paused.paused
    with pytest.raises(Refusal, match="已经暂停"):
        paused.after("pause")
    assert paused.after("resume") == ContestCourse("open", 1)
    with pytest.raises(Refusal, match="没有暂停"):
        ContestCourse("open", 1).after("resume")


def test_what_arrives_in_time_counts_whenever_it_is_looked_at() -> None:
    window = AnswerWindow(NOW, NOW + after(30)).closed(NOW + after(40))
    assert window.closed_at == NOW + after(30), "the clock closes at its end, and not when somebody notices it"
    assert [window.accepts(NOW + after(at)) for at in (-0.001, 0, 29.999, 30)] == [False, True, True, False]
    early = AnswerWindow(NOW, NOW + after(30)).closed(NOW + after(10))
    assert [early.accepts(NOW + after(at)) for at in (9.999, 10)] == [True, False]


def test_a_pause_takes_nothing_from_anybody() -> None:
    window = AnswerWindow(NOW, NOW + after(30)).stopped(NOW + after(10))
    assert window.accepts(NOW + after(9)), "said before the pause, read after it"
    assert not window.accepts(NOW + after(11))
    assert not window.is_over(NOW + after(99))
    assert window.left(NOW + after(99)) == after(20)
    window = window.resumed(NOW + after(100))
    assert window.ends_at == NOW + after(120)
    assert not window.accepts(NOW + after(50))
    assert window.accepts(NOW + after(119))
    assert window.elapsed(NOW + after(105)) == after(15)
    assert window.elapsed(NOW + after(5)) == after(5)
    assert window.is_over(NOW + after(120))


def test_a_question_closed_while_it_is_paused_ends_where_it_stopped() -> None:
    window = AnswerWindow(NOW, NOW + after(30)).stopped(NOW + after(10)).closed(NOW + after(60))
    assert window.accepts(NOW + after(9))
    assert not window.accepts(NOW + after(10))


def test_without_a_limit_only_the_host_ends_it() -> None:
    window = AnswerWindow(NOW, None)
    assert window.accepts(NOW + after(9999))
    assert not window.is_over(NOW + after(9999))
    assert window.left(NOW) is None
    assert window.closed(NOW + after(5)).closed_at == NOW + after(5)


# ── The stage ──


def test_every_value_of_a_scheme_can_be_changed_by_a_word() -> None:
    said = {
        "基础分": "200", "必答分": "20", "必答扣": "5", "必答秒": "20", "必答方式": "商量", "必答人数": "2", "抢答分": "30", "抢答扣": "15",
        "抢答秒": "45", "抢限秒": "12", "读题可抢": "是", "犯规": "0取消/20作废", "抢错后": "再抢", "无人抢": "观众", "风险分": "20/40/80",
        "风险秒": "90", "风险先选": "低", "加赛秒": "10", "加赛题数": "3",
    }  # fmt: skip
    assert said.keys() == SCHEME_PARAMETERS.keys(), "a parameter that no word changes"
    changed = parse_scheme("方案一 " + " ".join(f"{key}={value}" for key, value in said.items()))
    assert changed == StageScheme(
        "方案一（有改动）",
        200,
        RequiredRound(20, 5, 20, "any", 2),
        BuzzerRound(30, 15, 45, 12, True, (FalseStart(0, "out"), FalseStart(20, "void")), "others", "audience"),
        RiskRound((20, 40, 80), 90, "lowest"),
        SuddenDeath(10, 3),
    )
    assert scheme_from_json(json.loads(json.dumps(scheme_json(changed)))) == changed
    assert parse_scheme("方案二") == TWO


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("方案四", "没有「方案四」"),
        ("方案一 抢答分=很多", "「抢答分」应是0 到 1000 的整数"),
        ("方案一 必答秒=0", "1 到 1000 的整数"),
        ("方案一 犯规=10罚站", "0取消/20取消"),
        ("方案一 风险分=1/2/3/4/5/6/7", "最多六档"),
        ("方案一 必答方式=抄", "独答、商量、一致 之一"),
        ("方案一 奖金=5", "规则里没有「奖金」"),
        ("方案一 快一点", "写成「抢答分=20」"),
    ],
)
def test_a_rule_that_nobody_knows_is_refused_with_those_there_are(said: str, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        parse_scheme(said)


def test_the_three_schemes_have_the_values_that_were_found() -> None:
    """bot/docs/rules.md G7."""
    assert (ONE.start, ONE.required.right, ONE.required.seconds, ONE.required.by) == (100, 10, 30, "one")
    assert (ONE.buzzer.right, ONE.buzzer.wrong, ONE.buzzer.answer_seconds) == (10, 10, 60)
    assert (ONE.buzzer.fault(1).points, ONE.buzzer.fault(1).then) == (10, "void")
    assert (ONE.risk.stakes, ONE.risk.seconds, ONE.risk.order) == ((10, 30, 50), 120, "highest")
    assert ONE.tie.seconds == 15
    assert (TWO.buzzer.right, TWO.buzzer.wrong, TWO.buzzer.buzz_seconds, TWO.buzzer.nobody) == (20, 20, 15, "audience")
    assert [(TWO.buzzer.fault(n).points, TWO.buzzer.fault(n).then) for n in (1, 2, 3)] == [(0, "out"), (20, "out"), (20, "out")]
    assert (TWO.risk.stakes, TWO.risk.order) == ((20, 40, 60), "lowest")
    assert (THREE.required.seconds, THREE.required.by, THREE.required.members) == (3, "agree", 3)
    assert (THREE.buzzer.reading, THREE.buzzer.after_wrong) == (True, "others")


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_is_read_aloud_and_kept_as_it_is(name: str) -> None:
    scheme = SCHEMES[name]
    assert scheme_from_json(json.loads(json.dumps(scheme_json(scheme)))) == scheme
    said = "".join(describe_scheme(scheme))
    for part in ("必答", "抢答", "风险", "加赛", "同一微秒", "作废"):
        assert part in said


def test_the_first_at_the_server_answers_and_of_the_same_microsecond_the_row_written_first() -> None:
    buzzes = [Buzz(3, 30, 1_000_005), Buzz(2, 20, 1_000_004), Buzz(1, 10, 1_000_004)]
    assert [one.team for one in by_arrival(buzzes)] == [10, 20, 30]
    assert first_valid_buzz(buzzes, 1_000_000, frozenset(), ONE.buzzer) == Buzz(1, 10, 1_000_004)
    assert first_valid_buzz(buzzes, 1_000_000, frozenset({10}), ONE.buzzer) == Buzz(2, 20, 1_000_004)


def test_before_the_buzzers_are_opened_a_press_is_a_false_start_where_reading_is_no_time_to_press() -> None:
    early = Buzz(1, 10, 999_999)
    assert is_false_start(early, 1_000_000, ONE.buzzer)
    assert is_false_start(early, None, ONE.buzzer)
    assert not is_false_start(Buzz(1, 10, 1_000_000), 1_000_000, ONE.buzzer)
    assert not is_false_start(early, None, THREE.buzzer)
    assert first_valid_buzz([early], 1_000_000, frozenset(), ONE.buzzer) is None
    assert first_valid_buzz([early], None, frozenset(), THREE.buzzer) == early


@pytest.mark.parametrize(
    ("scheme", "kind", "right", "stake", "points"),
    [
        (ONE, "required", True, 0, 10),
        (ONE, "required", False, 0, 0),
        (ONE, "buzzer", True, 0, 10),
        (ONE, "buzzer", False, 0, -10),
        (TWO, "buzzer", False, 0, -20),
        (ONE, "risk", True, 50, 50),
        (ONE, "risk", False, 30, -30),
        (ONE, "tie", True, 0, 0),
    ],
)
def test_what_a_judged_answer_brings(scheme: StageScheme, kind: Round, right: bool, stake: int, points: int) -> None:
    assert judged_points(scheme, kind, right, stake) == points


def test_who_chooses_first_follows_the_scheme() -> None:
    scores = {1: 110_000, 2: 90_000, 3: 110_000}
    assert risk_choice_order(scores, ONE.risk) == [1, 3, 2]
    assert risk_choice_order(scores, TWO.risk) == [2, 1, 3]


def test_a_team_of_one_mind_answers_and_another_does_not() -> None:
    assert agreed_choice(["对", "对", "对"], 3) == "对"
    assert agreed_choice(["对", "错", "对"], 3) is None
    assert agreed_choice(["对", "对"], 3) is None


def test_sudden_death_goes_on_while_nobody_is_alone() -> None:
    assert remaining_teams([1, 2, 3], frozenset({2})) == [2]
    assert remaining_teams([1, 2, 3], frozenset({1, 2})) == [1, 2]
    assert remaining_teams([1, 2, 3], frozenset()) == [1, 2, 3]


@pytest.mark.parametrize(("part", "kind"), [("必答一", "required"), ("抢答", "buzzer"), ("风险题", "risk"), ("加赛", "tie"), ("第一轮", "all")])
def test_a_part_of_the_programme_is_a_round_by_its_name(part: str, kind: str) -> None:
    assert round_of_part(part) == kind
