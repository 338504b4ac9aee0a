"""Every value of a stage's rules in a word: a preset is taken as it is, or changed by 抢答分=20 风险分=20/40/80."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.domain.live.rounds import SCHEMES, Fault, Scheme
from bot.domain.message import Refusal

MOST = 1000
_PAIR = re.compile(r"(\S+?)\s*=\s*(\S+)")
_FAULT = re.compile(r"(\d{1,4})(作废|取消|继续)")
_THEN = {"作废": "void", "取消": "out", "继续": "on"}


def _number(said: str) -> int:
    if not said.isdigit() or int(said) > MOST:
        raise ValueError(f"0 到 {MOST} 的整数")
    return int(said)


def _counted(said: str) -> int:
    if (count := _number(said)) < 1:
        raise ValueError(f"1 到 {MOST} 的整数")
    return count


def _stakes(said: str) -> tuple[int, ...]:
    found = tuple(_counted(one) for one in re.split(r"[/、]", said))
    if len(found) > 6:
        raise ValueError("最多六档，例如 10/30/50")
    return found


def _faults(said: str) -> tuple[Fault, ...]:
    found = [_FAULT.fullmatch(one) for one in re.split(r"[/、]", said)]
    if not all(found) or len(found) > 6:
        raise ValueError("第一次、第二次……各扣几分和后果，例如 0取消/20取消，或 10作废")
    return tuple(Fault(_number(one[1]), _THEN[one[2]]) for one in found if one)  # type: ignore[arg-type]


def _one_of(**known: Any) -> Callable[[str], Any]:
    def read(said: str) -> Any:
        if said not in known:
            raise ValueError(f"{'、'.join(known)} 之一")
        return known[said]

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


def parse_scheme(said: str) -> Scheme:
    """方案二, or 方案二 抢答分=30 犯规=0取消/20取消. Raises `Refusal` for a scheme, a value or a name that nobody knows."""
    name, _, rest = said.strip().partition(" ")
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
        read = parameter.read(value)
    except ValueError as wrong:
        raise Refusal(f"「{key}」应是{wrong}，现在写的是「{value[:20]}」。") from wrong
    if not parameter.part:
        return replace(scheme, **{parameter.field: read})
    return replace(scheme, **{parameter.part: replace(getattr(scheme, parameter.part), **{parameter.field: read})})
