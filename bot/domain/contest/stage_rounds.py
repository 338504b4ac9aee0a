"""Rounds in a hall (必答, 抢答, 风险, 加赛): every value a parameter, the schemes found in use as presets (bot/docs/rules.md G7).

Every value of a stage's rules in a word: a preset is taken as it is, or changed by 抢答分=20 风险分=20/40/80.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from bot.domain.message import Refusal

Round = Literal["all", "required", "buzzer", "risk", "tie"]
ROUND_LABELS: Mapping[Round, str] = {"all": "齐答", "required": "必答", "buzzer": "抢答", "risk": "风险", "tie": "加赛"}
"""all: everybody answers on the phone, for themselves; the others are a team's, on the stage."""
By = Literal["one", "any", "agree"]
BY_LABELS: Mapping[By, str] = {"one": "一人独答", "any": "可以商量", "agree": "全队一致才算"}
Stays = Literal["void", "out", "on"]
"""What a false start does beside its points: the item is void, the team is out for this item, or it goes on."""


@dataclass(frozen=True, slots=True)
class FalseStart:
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
    faults: tuple[FalseStart, ...] = (FalseStart(),)
    after_wrong: Literal["over", "others"] = "over"
    nobody: Literal["pass", "audience"] = "pass"

    def fault(self, nth: int) -> FalseStart:
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
    scheme.name: scheme
    for scheme in (
        Scheme(
            "方案一",
            start=100,
            required=Required(right=10, wrong=0, seconds=30, by="one"),
            buzzer=Buzzer(right=10, wrong=10, answer_seconds=60, faults=(FalseStart(10, "void"),)),
            risk=Risk(stakes=(10, 30, 50), seconds=120, order="highest"),
            tie=SuddenDeath(seconds=15),
        ),
        Scheme(
            "方案二",
            start=100,
            required=Required(right=10, wrong=0, seconds=30, by="one"),
            buzzer=Buzzer(
                right=20, wrong=20, answer_seconds=60, buzz_seconds=15, faults=(FalseStart(0, "out"), FalseStart(20, "out")), nobody="audience"
            ),
            risk=Risk(stakes=(20, 40, 60), seconds=120, order="lowest"),
            tie=SuddenDeath(seconds=15),
        ),
        Scheme(
            "方案三",
            start=100,
            required=Required(right=10, wrong=0, seconds=3, by="agree", members=3),
            buzzer=Buzzer(right=10, wrong=10, answer_seconds=60, reading=True, faults=(FalseStart(0, "on"),), after_wrong="others"),
            risk=Risk(stakes=(10, 30, 50), seconds=120, order="highest"),
            tie=SuddenDeath(seconds=15),
        ),
    )
}
"""Three schemes found in use: the values found there; what a scheme does not state is taken from the first."""


def read_aloud(scheme: Scheme) -> list[str]:
    """The rules in sentences, for the host to read out and for everybody to look up."""
    required, buzzer, risk = scheme.required, scheme.buzzer, scheme.risk
    fault_texts = [_fault(nth, fault, last=nth == len(buzzer.faults)) for nth, fault in enumerate(buzzer.faults, 1)]
    timeout_text = f"；{buzzer.buzz_seconds} 秒无人抢答{'转观众答题' if buzzer.nobody == 'audience' else '本题过'}" if buzzer.buzz_seconds else ""
    agreement_text = f"，{required.members} 人意见一致才算" if required.by == "agree" else f"，{BY_LABELS[required.by]}"
    return [
        f"每队基础分 {scheme.start} 分。",
        f"必答：答对加 {required.right} 分，答错{_lost(required.wrong)}，限时 {required.seconds} 秒{agreement_text}。",
        f"抢答：答对加 {buzzer.right} 分，答错{_lost(buzzer.wrong)}，限时 {buzzer.answer_seconds} 秒{timeout_text}；"
        f"答错后{'其他队可以再抢，该队本题不再参加' if buzzer.after_wrong == 'others' else '本题结束'}。",
        "读题时可以抢。" if buzzer.reading else f"「开抢」之前抢答为犯规：{'，'.join(fault_texts)}。",
        "先后以服务器收到的时刻为准；时刻相同（同一微秒）的，以先写入数据库者为先。",
        f"风险：{'、'.join(str(stake) for stake in risk.stakes)} 分任选，答对加、答错扣，限时 {risk.seconds} 秒；"
        f"由得分{'低' if risk.order == 'lowest' else '高'}的队先选。",
        f"同分加赛：每题 {scheme.tie.seconds} 秒，只有一队答对时该队胜出，否则再加一题，最多 {scheme.tie.most} 题。",
        "裁判可以判某题作废，每一项决定都记录在案。",
    ]


def _lost(points: int) -> str:
    return f"扣 {points} 分" if points else "不扣分"


def _fault(nth: int, false_start: FalseStart, *, last: bool) -> str:
    consequence = {"void": "本题作废", "out": "取消该队本题资格", "on": "继续"}[false_start.then]
    occasion = "每次" if last and nth == 1 else f"第 {nth} 次{'起' if last else ''}"
    return f"{occasion}{_lost(false_start.points)}、{consequence}"


# ── Buzzers ──


@dataclass(frozen=True, slots=True)
class Buzz:
    """A team pressed: `id` is the database's row, `arrived` microseconds since the epoch on the server's clock at the edge."""

    id: int
    team: int
    arrived: int


def order(buzzes: Sequence[Buzz]) -> list[Buzz]:
    """By arrival at the server; of the same microsecond the row that was written first."""
    return sorted(buzzes, key=lambda buzz: (buzz.arrived, buzz.id))


def first(buzzes: Sequence[Buzz], opened: int | None, excluded: frozenset[int], rule: Buzzer) -> Buzz | None:
    """Who answers: the first of those who pressed in time and are not out. `opened` is None while the question is still being read."""
    for buzz in order(buzzes):
        if buzz.team not in excluded and (rule.reading or not is_fault(buzz, opened, rule)):
            return buzz
    return None


def is_fault(buzz: Buzz, opened: int | None, rule: Buzzer) -> bool:
    """A false start: pressed before the buzzers were opened, where reading is no time to press."""
    return not rule.reading and (opened is None or buzz.arrived < opened)


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
    remaining = [team for team in tied if team in right]
    return remaining or list(tied)


def scheme_json(scheme: Scheme) -> dict[str, Any]:
    return {field.name: _plain(getattr(scheme, field.name)) for field in fields(scheme)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)} if hasattr(value, "__dataclass_fields__") else value


def scheme_from_json(values: Mapping[str, Any]) -> Scheme:
    """The scheme of a row. Raises TypeError or KeyError for what no scheme of ours says."""
    buzzer = dict(values["buzzer"])
    buzzer["faults"] = tuple(FalseStart(**fault) for fault in buzzer["faults"])
    risk = dict(values["risk"])
    risk["stakes"] = tuple(risk["stakes"])
    return Scheme(
        name=values["name"],
        start=values["start"],
        required=Required(**values["required"]),
        buzzer=Buzzer(**buzzer),
        risk=Risk(**risk),
        tie=SuddenDeath(**values["tie"]),
    )


MOST = 1000
_PAIR = re.compile(r"(\S+?)\s*=\s*(\S+)")
_FAULT = re.compile(r"(\d{1,4})(作废|取消|继续)")
_THEN = {"作废": "void", "取消": "out", "继续": "on"}


def _number(text: str) -> int:
    if not text.isdigit() or int(text) > MOST:
        raise ValueError(f"0 到 {MOST} 的整数")
    return int(text)


def _counted(text: str) -> int:
    if (count := _number(text)) < 1:
        raise ValueError(f"1 到 {MOST} 的整数")
    return count


def _stakes(text: str) -> tuple[int, ...]:
    stakes = tuple(_counted(part) for part in re.split(r"[/、]", text))
    if len(stakes) > 6:
        raise ValueError("最多六档，例如 10/30/50")
    return stakes


def _faults(text: str) -> tuple[FalseStart, ...]:
    matches = [_FAULT.fullmatch(part) for part in re.split(r"[/、]", text)]
    if not all(matches) or len(matches) > 6:
        raise ValueError("第一次、第二次……各扣几分和后果，例如 0取消/20取消，或 10作废")
    return tuple(FalseStart(_number(match[1]), _THEN[match[2]]) for match in matches if match)  # type: ignore[arg-type]


def _one_of(**choices: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text not in choices:
            raise ValueError(f"{'、'.join(choices)} 之一")
        return choices[text]

    return read


@dataclass(frozen=True, slots=True)
class Parameter:
    """Where a value stands in a scheme (its round, empty for the scheme itself, and its name there), and how it is read."""

    part: str
    field: str
    read: Callable[[str], Any]


PARAMETERS: Mapping[str, Parameter] = {
    "基础分": Parameter("", "start", _number),
    "必答分": Parameter("required", "right", _number),
    "必答扣": Parameter("required", "wrong", _number),
    "必答秒": Parameter("required", "seconds", _counted),
    "必答方式": Parameter("required", "by", _one_of(独答="one", 商量="any", 一致="agree")),
    "必答人数": Parameter("required", "members", _counted),
    "抢答分": Parameter("buzzer", "right", _number),
    "抢答扣": Parameter("buzzer", "wrong", _number),
    "抢答秒": Parameter("buzzer", "answer_seconds", _number),
    "抢限秒": Parameter("buzzer", "buzz_seconds", _number),
    "读题可抢": Parameter("buzzer", "reading", _one_of(是=True, 否=False)),
    "犯规": Parameter("buzzer", "faults", _faults),
    "抢错后": Parameter("buzzer", "after_wrong", _one_of(结束="over", 再抢="others")),
    "无人抢": Parameter("buzzer", "nobody", _one_of(过="pass", 观众="audience")),
    "风险分": Parameter("risk", "stakes", _stakes),
    "风险秒": Parameter("risk", "seconds", _counted),
    "风险先选": Parameter("risk", "order", _one_of(高="highest", 低="lowest")),
    "加赛秒": Parameter("tie", "seconds", _counted),
    "加赛题数": Parameter("tie", "most", _counted),
}


def parse_scheme(text: str) -> Scheme:
    """方案二, or 方案二 抢答分=30 犯规=0取消/20取消. Raises `Refusal` for a scheme, a value or a name that nobody knows."""
    name, _, rest = text.strip().partition(" ")
    scheme = SCHEMES.get(name)
    if scheme is None:
        raise Refusal(f"没有「{name[:20]}」这套规则，可以选：{'、'.join(SCHEMES)}。")
    pairs = _PAIR.findall(rest)
    if _PAIR.sub("", rest).strip():
        raise Refusal(f"规则的改动写成「抢答分=20」这样，用空格隔开。可以改：{'、'.join(PARAMETERS)}。")
    for key, value in pairs:
        scheme = _changed(scheme, key, value)
    return replace(scheme, name=f"{name}（有改动）") if pairs else scheme


def _changed(scheme: Scheme, key: str, value: str) -> Scheme:
    parameter = PARAMETERS.get(key)
    if parameter is None:
        raise Refusal(f"规则里没有「{key[:20]}」。可以改：{'、'.join(PARAMETERS)}。")
    try:
        parsed = parameter.read(value)
    except ValueError as error:
        raise Refusal(f"「{key}」应是{error}，现在写的是「{value[:20]}」。") from error
    if not parameter.part:
        return replace(scheme, **{parameter.field: parsed})
    return replace(scheme, **{parameter.part: replace(getattr(scheme, parameter.part), **{parameter.field: parsed})})
