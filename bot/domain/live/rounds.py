"""Rounds in a hall (必答, 抢答, 风险, 加赛): every value a parameter, the schemes found in use as presets (features.md G7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

Round = Literal["all", "required", "buzzer", "risk", "tie"]
ROUND_LABELS: Mapping[Round, str] = {"all": "齐答", "required": "必答", "buzzer": "抢答", "risk": "风险", "tie": "加赛"}
"""all: everybody answers on the phone, for themselves; the others are a team's, on the stage."""
By = Literal["one", "any", "agree"]
BY_LABELS: Mapping[By, str] = {"one": "一人独答", "any": "可以商量", "agree": "全队一致才算"}
Stays = Literal["void", "out", "on"]
"""What a false start does beside its points: the item is void, the team is out for this item, or it goes on."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The price of a false start: points (never negative), and what becomes of the item."""

    points: int = 0
    then: Stays = "out"


@dataclass(frozen=True, slots=True)
class Required:
    """必答: a team's own question. Points for right, points lost for wrong, seconds, who answers, how many have to be of one mind."""

    right: int = 10
    wrong: int = 0
    seconds: int = 30
    by: By = "one"
    members: int = 1


@dataclass(frozen=True, slots=True)
class Buzzer:
    """抢答. `reading` allows to press while the question is read; `faults` the price of the first, the second … false start of a team.

    `buzz_seconds` without anybody pressing end the item (0: no limit) and `nobody` says what then; after a wrong answer the item is `over`, or open
    to the `others`, the wrong team out.
    """

    right: int = 10
    wrong: int = 10
    answer_seconds: int = 60
    buzz_seconds: int = 0
    reading: bool = False
    faults: tuple[Fault, ...] = (Fault(),)
    after_wrong: Literal["over", "others"] = "over"
    nobody: Literal["pass", "audience"] = "pass"

    def fault(self, nth: int) -> Fault:
        """The price of a team's n-th false start, counted from 1; after the last it stays at the last."""
        return self.faults[min(nth, len(self.faults)) - 1]


@dataclass(frozen=True, slots=True)
class Risk:
    """风险: a team chooses how many points it stakes, up or down. `order` says who chooses first."""

    stakes: tuple[int, ...] = (10, 30, 50)
    seconds: int = 120
    order: Literal["highest", "lowest"] = "highest"


@dataclass(frozen=True, slots=True)
class SuddenDeath:
    """加赛: the tied teams answer the same question; who alone is right goes before the others, else the next question (at most `most`)."""

    seconds: int = 15
    most: int = 5


@dataclass(frozen=True, slots=True)
class Scheme:
    """The rules of a contest on a stage, as they are read out before it begins."""

    name: str
    start: int = 100
    required: Required = Required()
    buzzer: Buzzer = Buzzer()
    risk: Risk = Risk()
    tie: SuddenDeath = SuddenDeath()


SCHEMES: Mapping[str, Scheme] = {
    one.name: one
    for one in (
        Scheme(
            "方案一",
            start=100,
            required=Required(right=10, wrong=0, seconds=30, by="one"),
            buzzer=Buzzer(right=10, wrong=10, answer_seconds=60, faults=(Fault(10, "void"),)),
            risk=Risk(stakes=(10, 30, 50), seconds=120, order="highest"),
            tie=SuddenDeath(seconds=15),
        ),
        Scheme(
            "方案二",
            start=100,
            required=Required(right=10, wrong=0, seconds=30, by="one"),
            buzzer=Buzzer(right=20, wrong=20, answer_seconds=60, buzz_seconds=15, faults=(Fault(0, "out"), Fault(20, "out")), nobody="audience"),
            risk=Risk(stakes=(20, 40, 60), seconds=120, order="lowest"),
            tie=SuddenDeath(seconds=15),
        ),
        Scheme(
            "方案三",
            start=100,
            required=Required(right=10, wrong=0, seconds=3, by="agree", members=3),
            buzzer=Buzzer(right=10, wrong=10, answer_seconds=60, reading=True, faults=(Fault(0, "on"),), after_wrong="others"),
            risk=Risk(stakes=(10, 30, 50), seconds=120, order="highest"),
            tie=SuddenDeath(seconds=15),
        ),
    )
}
"""The three schemes of G7: the values found there; what a scheme does not state is taken from the first."""


def read_aloud(scheme: Scheme) -> list[str]:
    """The rules in sentences, for the host to read out and for everybody to look up."""
    must, press, risk = scheme.required, scheme.buzzer, scheme.risk
    faults = [_fault(nth, one, last=nth == len(press.faults)) for nth, one in enumerate(press.faults, 1)]
    waits = f"；{press.buzz_seconds} 秒无人抢答{'转观众答题' if press.nobody == 'audience' else '本题过'}" if press.buzz_seconds else ""
    minds = f"，{must.members} 人意见一致才算" if must.by == "agree" else f"，{BY_LABELS[must.by]}"
    return [
        f"每队基础分 {scheme.start} 分。",
        f"必答：答对加 {must.right} 分，答错{_lost(must.wrong)}，限时 {must.seconds} 秒{minds}。",
        f"抢答：答对加 {press.right} 分，答错{_lost(press.wrong)}，限时 {press.answer_seconds} 秒{waits}；"
        f"答错后{'其他队可以再抢，该队本题不再参加' if press.after_wrong == 'others' else '本题结束'}。",
        "读题时可以抢。" if press.reading else f"「开抢」之前抢答为犯规：{'，'.join(faults)}。",
        "先后以服务器收到的时刻为准；时刻相同（同一微秒）的，以先写入数据库者为先。",
        f"风险：{'、'.join(str(one) for one in risk.stakes)} 分任选，答对加、答错扣，限时 {risk.seconds} 秒；"
        f"由得分{'低' if risk.order == 'lowest' else '高'}的队先选。",
        f"同分加赛：每题 {scheme.tie.seconds} 秒，只有一队答对时该队胜出，否则再加一题，最多 {scheme.tie.most} 题。",
        "裁判可以判某题作废，每一项决定都记录在案。",
    ]


def _lost(points: int) -> str:
    return f"扣 {points} 分" if points else "不扣分"


def _fault(nth: int, one: Fault, *, last: bool) -> str:
    then = {"void": "本题作废", "out": "取消该队本题资格", "on": "继续"}[one.then]
    which = "每次" if last and nth == 1 else f"第 {nth} 次{'起' if last else ''}"
    return f"{which}{_lost(one.points)}、{then}"


# ── Buzzers ──


@dataclass(frozen=True, slots=True)
class Buzz:
    """A team pressed: `id` is the database's row, `arrived` microseconds since the epoch on the server's clock at the edge."""

    id: int
    team: int
    arrived: int


def order(buzzes: Sequence[Buzz]) -> list[Buzz]:
    """By arrival at the server; of the same microsecond the row that was written first."""
    return sorted(buzzes, key=lambda one: (one.arrived, one.id))


def first(buzzes: Sequence[Buzz], opened: int | None, out: frozenset[int], rule: Buzzer) -> Buzz | None:
    """Who answers: the first of those who pressed in time and are not out. `opened` is None while the question is still being read."""
    for one in order(buzzes):
        if one.team not in out and (rule.reading or not is_fault(one, opened, rule)):
            return one
    return None


def is_fault(one: Buzz, opened: int | None, rule: Buzzer) -> bool:
    """A false start: pressed before the buzzers were opened, where reading is no time to press."""
    return not rule.reading and (opened is None or one.arrived < opened)


# ── Stakes, order, sudden death ──


def risk_order(scores: Mapping[int, int], rule: Risk) -> list[int]:
    """The teams in the order in which they choose; of equal score the one with the smaller number first."""
    sign = 1 if rule.order == "lowest" else -1
    return sorted(scores, key=lambda team: (sign * scores[team], team))


def round_of(part: str) -> Round:
    """The round that a part of a programme is, by its name (必答, 必答一 …); what has no such name is answered by everybody."""
    return next((kind for kind, label in ROUND_LABELS.items() if kind != "all" and label in part), "all")


def delta(scheme: Scheme, kind: Round, right: bool, stake: int = 0) -> int:
    """Points that a judged answer of a team brings."""
    match kind:
        case "required":
            return scheme.required.right if right else -scheme.required.wrong
        case "buzzer":
            return scheme.buzzer.right if right else -scheme.buzzer.wrong
        case "risk":
            return stake if right else -stake
    return 0


def agreed(choices: Sequence[str], members: int) -> str | None:
    """The team's answer where all have to be of one mind; None when they are not, or not enough have answered."""
    return choices[0] if len(choices) >= members and len(set(choices)) == 1 else None


def survivors(tied: Sequence[int], right: frozenset[int]) -> list[int]:
    """After a question of the sudden death: those who are still level for the place. One left has won it."""
    stayed = [team for team in tied if team in right]
    return stayed or list(tied)


def to_json(scheme: Scheme) -> dict[str, Any]:
    return {one.name: _plain(getattr(scheme, one.name)) for one in fields(scheme)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return {one.name: _plain(getattr(value, one.name)) for one in fields(value)} if hasattr(value, "__dataclass_fields__") else value


def from_json(kept: Mapping[str, Any]) -> Scheme:
    """The scheme of a row. Raises TypeError or KeyError for what no scheme of ours says."""
    buzzer = dict(kept["buzzer"])
    buzzer["faults"] = tuple(Fault(**one) for one in buzzer["faults"])
    risk = dict(kept["risk"])
    risk["stakes"] = tuple(risk["stakes"])
    return Scheme(
        name=kept["name"],
        start=kept["start"],
        required=Required(**kept["required"]),
        buzzer=Buzzer(**buzzer),
        risk=Risk(**risk),
        tie=SuddenDeath(**kept["tie"]),
    )
