"""The rules of a live contest: which act may follow which phase, when an answer counts, and the rounds of a stage (必答, 抢答, 风险, 加赛).

A preset scheme of a stage is taken as it is, or changed by words such as 抢答分=20 风险分=20/40/80 (bot/docs/rules.md G7).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from bot.domain.message import Refusal
from bot.domain.text.numbers import find_whole

# ── Phases and the window of a question ──


Pauses = tuple[tuple[datetime, datetime | None], ...]
"""When a clock stood: (from, to) in order, the last one without an end while it stands."""
Phase = Literal["lobby", "reading", "open", "closed", "board", "finished"]
Act = Literal["next", "buzz", "close", "board", "pause", "resume", "finish", "void", "adjust", "judge", "stake"]

PHASE_LABELS: Mapping[Phase, str] = {
    "lobby": "等待开始",
    "reading": "读题",
    "open": "答题中",
    "closed": "已收题",
    "board": "排行",
    "finished": "已结束",
}
ACT_LABELS: Mapping[Act, str] = {
    "next": "下一题",
    "buzz": "开抢",
    "close": "收题",
    "board": "排行",
    "pause": "暂停",
    "resume": "恢复",
    "finish": "结束",
    "void": "作废",
    "adjust": "改分",
    "judge": "判分",
    "stake": "选分",
}
_ALLOWED_PHASES: Mapping[Act, tuple[Phase, ...]] = {
    "next": ("lobby", "closed", "board"),
    "buzz": ("reading",),
    "close": ("reading", "open"),
    "board": ("closed",),
    "pause": ("reading", "open"),
    "resume": ("reading", "open"),
    "finish": ("lobby", "closed", "board"),
    "void": ("reading", "open", "closed", "board"),
    "adjust": ("lobby", "reading", "open", "closed", "board"),
    "judge": ("open", "closed"),
    "stake": ("lobby", "closed", "board", "reading"),
}
_PHASE_HINTS: Mapping[Phase, str] = {
    "lobby": "竞赛还没有开始，先出第一题",
    "reading": "正在读题，可以开抢或收题",
    "open": "这一题还在答，先收题",
    "closed": "这一题已经收了，可以看排行、出下一题或结束",
    "board": "正在看排行，可以出下一题或结束",
    "finished": "这场竞赛已经结束，结果不再改动",
}


@dataclass(frozen=True, slots=True)
class ContestCourse:
    """Where a contest stands: its phase, the place of the item in hand (0 before the first), whether its clock is stopped."""

    phase: Phase = "lobby"
    item: int = 0
    paused: bool = False

    def check(self, act: Act) -> None:
        """Raises `Refusal` for an act that is not allowed now."""
        if self.phase not in _ALLOWED_PHASES[act]:
            raise Refusal(f"现在不能{ACT_LABELS[act]}：{_PHASE_HINTS[self.phase]}。")
        if act == "pause" and self.paused:
            raise Refusal("已经暂停了，恢复请点「恢复」。")
        if act == "resume" and not self.paused:
            raise Refusal("现在没有暂停。")

    def next(self, item: int, *, read_first: bool) -> ContestCourse:
        """The item comes on; with `read_first` it is read before anybody may press (抢答)."""
        self.check("next")
        return ContestCourse("reading" if read_first else "open", item)

    def after(self, act: Act) -> ContestCourse:
        """The course after an act that has only one outcome. Raises `Refusal` for an act that is not allowed now."""
        self.check(act)
        match act:
            case "buzz":
                return ContestCourse("open", self.item)
            case "close":
                return ContestCourse("closed", self.item)
            case "board":
                return ContestCourse("board", self.item)
            case "finish":
                return ContestCourse("finished", self.item)
            case "pause" | "resume":
                return replace(self, paused=act == "pause")
            case "void":
                # A void question takes no further answers.
                return ContestCourse("closed", self.item) if self.phase in ("reading", "open") else self
        return self


@dataclass(frozen=True, slots=True)
class AnswerWindow:
    """When an item took answers: from its opening to its end, without the pauses; aware UTC, the server's clock at the edge.

    `ends_at` is None where only the host ends it. `pauses` are (from, to) in order, the last one without an end while the clock stands; `ends_at` is
    moved by each pause when it is over.
    """

    opened_at: datetime
    ends_at: datetime | None
    closed_at: datetime | None = None
    pauses: Pauses = ()

    @property
    def paused(self) -> bool:
        return bool(self.pauses) and self.pauses[-1][1] is None

    @property
    def deadline(self) -> datetime | None:
        """From this moment on an answer is late; None while nothing ends it: no limit, or a clock that stands."""
        running = None if self.paused else self.ends_at
        candidates = [moment for moment in (running, self.closed_at) if moment is not None]
        return min(candidates) if candidates else None

    def accepts(self, arrived: datetime) -> bool:
        """True for what arrived while the item was open, whenever it is looked at: the arrival at the edge decides (bot/docs/rules.md S12)."""
        stood = any(since <= arrived and (until is None or arrived < until) for since, until in self.pauses)
        return not stood and self.opened_at <= arrived and (self.deadline is None or arrived < self.deadline)

    def elapsed(self, arrived: datetime) -> timedelta:
        """How long the item had been open, pauses taken out."""
        stood = sum((min(until or arrived, arrived) - since for since, until in self.pauses if since < arrived), timedelta(0))
        return max(timedelta(0), arrived - self.opened_at - stood)

    def left(self, now: datetime) -> timedelta | None:
        """What is left of the clock; while it stands, what was left when it stopped. None without a limit."""
        if self.ends_at is None:
            return None
        return max(timedelta(0), self.ends_at - (self.pauses[-1][0] if self.paused else now))

    def is_over(self, now: datetime) -> bool:
        """True when the clock has run out and nobody has closed the item yet."""
        return self.closed_at is None and self.deadline is not None and now >= self.deadline

    def stopped(self, now: datetime) -> AnswerWindow:
        return replace(self, pauses=(*self.pauses, (now, None)))

    def resumed(self, now: datetime) -> AnswerWindow:
        """The clock goes on with what was left of it."""
        since = self.pauses[-1][0]
        extended = None if self.ends_at is None else self.ends_at + (now - since)
        return replace(self, ends_at=extended, pauses=(*self.pauses[:-1], (since, now)))

    def closed(self, now: datetime) -> AnswerWindow:
        """Closed by the host, or by the clock, which closes at its end and not when somebody notices it."""
        if self.paused:
            return replace(self, pauses=(*self.pauses[:-1], (self.pauses[-1][0], now)), closed_at=self.pauses[-1][0])
        return replace(self, closed_at=now if self.ends_at is None else min(now, self.ends_at))


# ── Rounds of a stage ──


Round = Literal["all", "required", "buzzer", "risk", "tie"]
ROUND_LABELS: Mapping[Round, str] = {"all": "齐答", "required": "必答", "buzzer": "抢答", "risk": "风险", "tie": "加赛"}
"""all: everybody answers on the phone, for themselves; the others are a team's, on the stage."""
AnswerMode = Literal["one", "any", "agree"]
ANSWER_MODE_LABELS: Mapping[AnswerMode, str] = {"one": "一人独答", "any": "可以商量", "agree": "全队一致才算"}
FalseStartEffect = Literal["void", "out", "on"]
"""What a false start does beside its points: the item is void, the team is out for this item, or it goes on."""


@dataclass(frozen=True, slots=True)
class FalseStart:
    """The price of a false start: points (never negative), and what becomes of the item."""

    points: int = 0
    then: FalseStartEffect = "out"


@dataclass(frozen=True, slots=True)
class RequiredRound:
    """必答: a team's own question. Points for right, points lost for wrong, seconds, who answers, how many have to agree."""

    right: int = 10
    wrong: int = 0
    seconds: int = 30
    by: AnswerMode = "one"
    members: int = 1


@dataclass(frozen=True, slots=True)
class BuzzerRound:
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
class RiskRound:
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
class StageScheme:
    """The rules of a contest on a stage, as they are read out before it begins."""

    name: str
    start: int = 100
    required: RequiredRound = RequiredRound()
    buzzer: BuzzerRound = BuzzerRound()
    risk: RiskRound = RiskRound()
    tie: SuddenDeath = SuddenDeath()


SCHEMES: Mapping[str, StageScheme] = {
    scheme.name: scheme
    for scheme in (
        StageScheme(
            "方案一",
            start=100,
            required=RequiredRound(right=10, wrong=0, seconds=30, by="one"),
            buzzer=BuzzerRound(right=10, wrong=10, answer_seconds=60, faults=(FalseStart(10, "void"),)),
            risk=RiskRound(stakes=(10, 30, 50), seconds=120, order="highest"),
            tie=SuddenDeath(seconds=15),
        ),
        StageScheme(
            "方案二",
            start=100,
            required=RequiredRound(right=10, wrong=0, seconds=30, by="one"),
            buzzer=BuzzerRound(
                right=20, wrong=20, answer_seconds=60, buzz_seconds=15, faults=(FalseStart(0, "out"), FalseStart(20, "out")), nobody="audience"
            ),
            risk=RiskRound(stakes=(20, 40, 60), seconds=120, order="lowest"),
            tie=SuddenDeath(seconds=15),
        ),
        StageScheme(
            "方案三",
            start=100,
            required=RequiredRound(right=10, wrong=0, seconds=3, by="agree", members=3),
            buzzer=BuzzerRound(right=10, wrong=10, answer_seconds=60, reading=True, faults=(FalseStart(0, "on"),), after_wrong="others"),
            risk=RiskRound(stakes=(10, 30, 50), seconds=120, order="highest"),
            tie=SuddenDeath(seconds=15),
        ),
    )
}
"""Three schemes found in use: the values found there; what a scheme does not state is taken from the first."""


def describe_scheme(scheme: StageScheme) -> list[str]:
    """The rules in sentences, for the host to read out and for everybody to look up."""
    required, buzzer, risk = scheme.required, scheme.buzzer, scheme.risk
    fault_texts = [_false_start_text(nth, fault, last=nth == len(buzzer.faults)) for nth, fault in enumerate(buzzer.faults, 1)]
    timeout_text = f"；{buzzer.buzz_seconds} 秒无人抢答{'转观众答题' if buzzer.nobody == 'audience' else '本题过'}" if buzzer.buzz_seconds else ""
    agreement_text = f"，{required.members} 人意见一致才算" if required.by == "agree" else f"，{ANSWER_MODE_LABELS[required.by]}"
    return [
        f"每队基础分 {scheme.start} 分。",
        f"必答：答对加 {required.right} 分，答错{_deduction_text(required.wrong)}，限时 {required.seconds} 秒{agreement_text}。",
        f"抢答：答对加 {buzzer.right} 分，答错{_deduction_text(buzzer.wrong)}，限时 {buzzer.answer_seconds} 秒{timeout_text}；"
        f"答错后{'其他队可以再抢，该队本题不再参加' if buzzer.after_wrong == 'others' else '本题结束'}。",
        "读题时可以抢。" if buzzer.reading else f"「开抢」之前抢答为犯规：{'，'.join(fault_texts)}。",
        "先后以服务器收到的时刻为准；时刻相同（同一微秒）的，以先写入数据库者为先。",
        f"风险：{'、'.join(str(stake) for stake in risk.stakes)} 分任选，答对加、答错扣，限时 {risk.seconds} 秒；"
        f"由得分{'低' if risk.order == 'lowest' else '高'}的队先选。",
        f"同分加赛：每题 {scheme.tie.seconds} 秒，只有一队答对时该队胜出，否则再加一题，最多 {scheme.tie.most} 题。",
        "裁判可以判某题作废，每一项决定都记录在案。",
    ]


def _deduction_text(points: int) -> str:
    return f"扣 {points} 分" if points else "不扣分"


def _false_start_text(nth: int, false_start: FalseStart, *, last: bool) -> str:
    consequence = {"void": "本题作废", "out": "取消该队本题资格", "on": "继续"}[false_start.then]
    occasion = "每次" if last and nth == 1 else f"第 {nth} 次{'起' if last else ''}"
    return f"{occasion}{_deduction_text(false_start.points)}、{consequence}"


# ── Buzzers ──


@dataclass(frozen=True, slots=True)
class Buzz:
    """A team pressed: `id` is the database's row, `arrived` microseconds since the epoch on the server's clock at the edge."""

    id: int
    team: int
    arrived: int


def by_arrival(buzzes: Sequence[Buzz]) -> list[Buzz]:
    """By arrival at the server; of the same microsecond the row that was written first."""
    return sorted(buzzes, key=lambda buzz: (buzz.arrived, buzz.id))


def first_valid_buzz(buzzes: Sequence[Buzz], opened: int | None, excluded: frozenset[int], rule: BuzzerRound) -> Buzz | None:
    """Who answers: the first of those who pressed in time and are not out. `opened` is None while the question is still being read."""
    for buzz in by_arrival(buzzes):
        if buzz.team not in excluded and (rule.reading or not is_false_start(buzz, opened, rule)):
            return buzz
    return None


def is_false_start(buzz: Buzz, opened: int | None, rule: BuzzerRound) -> bool:
    """A false start: pressed before the buzzers were opened, where reading is no time to press."""
    return not rule.reading and (opened is None or buzz.arrived < opened)


# ── Stakes, order, sudden death ──


def risk_choice_order(scores: Mapping[int, int], rule: RiskRound) -> list[int]:
    """The teams in the order in which they choose; of equal score the one with the smaller number first."""
    sign = 1 if rule.order == "lowest" else -1
    return sorted(scores, key=lambda team: (sign * scores[team], team))


def round_of_part(part: str) -> Round:
    """The round that a part of a programme is, by its name (必答, 必答一 …); what has no such name is answered by everybody."""
    return next((kind for kind, label in ROUND_LABELS.items() if kind != "all" and label in part), "all")


def judged_points(scheme: StageScheme, kind: Round, right: bool, stake: int = 0) -> int:
    """Points that a judged answer of a team brings."""
    match kind:
        case "required":
            return scheme.required.right if right else -scheme.required.wrong
        case "buzzer":
            return scheme.buzzer.right if right else -scheme.buzzer.wrong
        case "risk":
            return stake if right else -stake
    return 0


def agreed_choice(choices: Sequence[str], members: int) -> str | None:
    """The team's answer where all have to agree; None when they are not, or not enough have answered."""
    return choices[0] if len(choices) >= members and len(set(choices)) == 1 else None


def remaining_teams(tied: Sequence[int], right: frozenset[int]) -> list[int]:
    """After a question of the sudden death: those who are still level for the place. One left has won it."""
    remaining = [team for team in tied if team in right]
    return remaining or list(tied)


def scheme_json(scheme: StageScheme) -> dict[str, Any]:
    return {field.name: _to_json(getattr(scheme, field.name)) for field in fields(scheme)}


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return {field.name: _to_json(getattr(value, field.name)) for field in fields(value)} if hasattr(value, "__dataclass_fields__") else value


def scheme_from_json(values: Mapping[str, Any]) -> StageScheme:
    """The scheme of a row. Raises TypeError or KeyError for a key that a scheme does not have."""
    buzzer = dict(values["buzzer"])
    buzzer["faults"] = tuple(FalseStart(**fault) for fault in buzzer["faults"])
    risk = dict(values["risk"])
    risk["stakes"] = tuple(risk["stakes"])
    return StageScheme(
        name=values["name"],
        start=values["start"],
        required=RequiredRound(**values["required"]),
        buzzer=BuzzerRound(**buzzer),
        risk=RiskRound(**risk),
        tie=SuddenDeath(**values["tie"]),
    )


MAX_VALUE = 1000
_PAIR = re.compile(r"(\S+?)\s*=\s*(\S+)")
_FALSE_START = re.compile(r"(\d{1,4})(作废|取消|继续)")
_FALSE_START_EFFECTS = {"作废": "void", "取消": "out", "继续": "on"}


def _parse_number(text: str) -> int:
    number = find_whole(text, "分", "秒", "题")
    if number is None or not 0 <= number <= MAX_VALUE:
        raise ValueError(f"0 到 {MAX_VALUE} 的整数")
    return number


def _parse_positive(text: str) -> int:
    if (count := _parse_number(text)) < 1:
        raise ValueError(f"1 到 {MAX_VALUE} 的整数")
    return count


def _parse_stakes(text: str) -> tuple[int, ...]:
    stakes = tuple(_parse_positive(part) for part in re.split(r"[/、]", text))
    if len(stakes) > 6:
        raise ValueError("最多六档，例如 10/30/50")
    return stakes


def _parse_false_starts(text: str) -> tuple[FalseStart, ...]:
    matches = [_FALSE_START.fullmatch(part) for part in re.split(r"[/、]", text)]
    if not all(matches) or len(matches) > 6:
        raise ValueError("第一次、第二次……各扣几分和后果，例如 0取消/20取消，或 10作废")
    return tuple(FalseStart(_parse_number(match[1]), _FALSE_START_EFFECTS[match[2]]) for match in matches if match)  # type: ignore[arg-type]


def _parse_choice(**choices: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text not in choices:
            raise ValueError(f"{'、'.join(choices)} 之一")
        return choices[text]

    return read


@dataclass(frozen=True, slots=True)
class SchemeParameter:
    """Where a value stands in a scheme (its round, empty for the scheme itself, and its name there), and how it is read."""

    part: str
    field: str
    read: Callable[[str], Any]


SCHEME_PARAMETERS: Mapping[str, SchemeParameter] = {
    "基础分": SchemeParameter("", "start", _parse_number),
    "必答分": SchemeParameter("required", "right", _parse_number),
    "必答扣": SchemeParameter("required", "wrong", _parse_number),
    "必答秒": SchemeParameter("required", "seconds", _parse_positive),
    "必答方式": SchemeParameter("required", "by", _parse_choice(独答="one", 商量="any", 一致="agree")),
    "必答人数": SchemeParameter("required", "members", _parse_positive),
    "抢答分": SchemeParameter("buzzer", "right", _parse_number),
    "抢答扣": SchemeParameter("buzzer", "wrong", _parse_number),
    "抢答秒": SchemeParameter("buzzer", "answer_seconds", _parse_number),
    "抢限秒": SchemeParameter("buzzer", "buzz_seconds", _parse_number),
    "读题可抢": SchemeParameter("buzzer", "reading", _parse_choice(是=True, 否=False)),
    "犯规": SchemeParameter("buzzer", "faults", _parse_false_starts),
    "抢错后": SchemeParameter("buzzer", "after_wrong", _parse_choice(结束="over", 再抢="others")),
    "无人抢": SchemeParameter("buzzer", "nobody", _parse_choice(过="pass", 观众="audience")),
    "风险分": SchemeParameter("risk", "stakes", _parse_stakes),
    "风险秒": SchemeParameter("risk", "seconds", _parse_positive),
    "风险先选": SchemeParameter("risk", "order", _parse_choice(高="highest", 低="lowest")),
    "加赛秒": SchemeParameter("tie", "seconds", _parse_positive),
    "加赛题数": SchemeParameter("tie", "most", _parse_positive),
}


def parse_scheme(text: str) -> StageScheme:
    """方案二, or 方案二 抢答分=30 犯规=0取消/20取消. Raises `Refusal` for an unknown scheme or parameter, or a bad value."""
    name, _, rest = text.strip().partition(" ")
    scheme = SCHEMES.get(name)
    if scheme is None:
        raise Refusal(f"没有「{name[:20]}」这套规则，可以选：{'、'.join(SCHEMES)}。")
    pairs = _PAIR.findall(rest)
    if _PAIR.sub("", rest).strip():
        raise Refusal(f"规则的改动写成「抢答分=20」这样，用空格隔开。可以改：{'、'.join(SCHEME_PARAMETERS)}。")
    for key, value in pairs:
        scheme = _with_parameter(scheme, key, value)
    return replace(scheme, name=f"{name}（有改动）") if pairs else scheme


def _with_parameter(scheme: StageScheme, key: str, value: str) -> StageScheme:
    parameter = SCHEME_PARAMETERS.get(key)
    if parameter is None:
        raise Refusal(f"规则里没有「{key[:20]}」。可以改：{'、'.join(SCHEME_PARAMETERS)}。")
    try:
        parsed = parameter.read(value)
    except ValueError as error:
        raise Refusal(f"「{key}」应是{error}，现在写的是「{value[:20]}」。") from error
    if not parameter.part:
        return replace(scheme, **{parameter.field: parsed})
    return replace(scheme, **{parameter.part: replace(getattr(scheme, parameter.part), **{parameter.field: parsed})})
