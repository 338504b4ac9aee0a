"""How far a campaign has come, who was not reached and why; what the next one will cost; what was recalled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from sqlmodel import Session

from bot.domain.campaign import DELIVERY_LABELS
from bot.domain.delivery import bar
from bot.domain.limits import LIMITS, Calendar, Limit, of_channel
from bot.domain.message import Refusal
from bot.domain.parcel import Receipt
from bot.domain.preference import CHANNELS
from bot.domain.times import SHANGHAI
from bot.storage import budget, outcomes, recipients
from bot.storage.outcomes import Missed

SHOWN = 10
ENDED = ("sent", "failed", "unknown", "skipped")


@dataclass(frozen=True, slots=True)
class Progress:
    """One time that a campaign fell due, as it stands: people by state, reasons by state, and those not reached by name."""

    campaign_id: int
    name: str
    occurrence_id: int
    due: datetime
    counts: Mapping[str, int]
    reasons: Sequence[tuple[str, str, int]]
    missed: Sequence[Missed]

    @property
    def whole(self) -> int:
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        return sum(self.counts.get(state, 0) for state in ENDED)

    @property
    def share(self) -> float:
        return self.ended / self.whole if self.whole else 1.0

    @property
    def is_over(self) -> bool:
        return self.ended == self.whole

    def __str__(self) -> str:
        due = self.due.astimezone(SHANGHAI).strftime("%m-%d %H:%M")
        states = "、".join(f"{label} {self.counts[state]}" for state, label in DELIVERY_LABELS.items() if self.counts.get(state))
        lines = [f"活动 {self.campaign_id}「{self.name}」{due} 这一次：", f"{bar(self.share)} {self.ended}/{self.whole}", states or "没有可发的人"]
        lines += [f"· {DELIVERY_LABELS[state]}：{reason} {count} 人" for state, reason, count in self.reasons[:SHOWN]]
        if self.missed:
            names = "、".join(f"{one.name}（{one.staff_no}）" for one in self.missed[:SHOWN])
            more = f" 等 {len(self.missed)} 人" if len(self.missed) > SHOWN else ""
            lines.append(f"没有送达：{names}{more}")
        return "\n".join(lines)


def progress(session: Session, campaign_id: int) -> Progress:
    """The last time a campaign fell due. Raises `Refusal` when there is no such campaign, or it has not fallen due yet."""
    last = outcomes.last(session, campaign_id)
    if last is None:
        raise Refusal(f"没有编号为 {campaign_id} 的活动。")
    name, occurrence_id, due = last
    if occurrence_id is None or due is None:
        raise Refusal(f"活动 {campaign_id}「{name}」还没有发过，没有进度可看。")
    counts = outcomes.counts(session, occurrence_id)
    return Progress(campaign_id, name, occurrence_id, due, counts, outcomes.reasons(session, occurrence_id), outcomes.missed(session, occurrence_id))


# ── Before it begins ──


@dataclass(frozen=True, slots=True)
class Cost:
    """What sending to so many will take of the budgets, in a sentence; `fits` is False when a day's or a month's rest is too small."""

    fits: bool
    text: str


def cost(
    session: Session,
    by_channel: Mapping[str, int],
    now: datetime,
    *,
    messages: int = 1,
    times_a_month: int = 1,
    limits: tuple[Limit, ...] = LIMITS,
) -> Cost:
    """`by_channel` counts people; `messages` what one person gets each time; `times_a_month` how often it still falls due this month."""
    accounts = recipients.accounts_on(session)
    left = budget.left(session, limits, accounts, now)
    fits, lines = True, []
    for channel, people in by_channel.items():
        if not people:
            continue
        table = [limit for limit in of_channel(channel, limits) if not limit.per_person]
        called = max((limit.taken(people, messages) for limit in table if limit.unit == "call"), default=0)
        said = [f"{people} 人" + (f"，{called} 次调用" if called else "")]
        seconds = 0.0
        for limit in table:
            needed = limit.taken(people, messages)
            if isinstance(limit.window, Calendar):
                needed *= times_a_month if limit.window.unit == "month" else 1
                period, rest = "本月" if limit.window.unit == "month" else "今天", left[limit.key()]
                unit = "次调用" if limit.unit == "call" else "人次"
                said.append(f"{period}需 {needed} {unit}，还剩 {rest}" + ("" if needed <= rest else "，不够"))
                fits = fits and needed <= rest
            else:
                seconds = max(seconds, needed / limit.room(accounts.get(channel, 0)) * limit.window.seconds)
        lines.append(f"{CHANNELS.get(channel, channel)}：{'；'.join(said)}；至少 {_lasting(seconds)}")
    return Cost(fits, "\n".join(lines) or "没有可发的人")


def _lasting(seconds: float) -> str:
    return f"{max(1, ceil(seconds))} 秒" if seconds < 120 else f"{ceil(seconds / 60)} 分钟"


# ── Taking back ──

NO_RECALL = "该通道不能撤回"


def recalled(session: Session, receipts: Mapping[int, Receipt]) -> Counter[str]:
    """Write down what became of recalls, by delivery; how many of each."""
    words = {ident: "已撤回" if one.outcome == "sent" else f"撤回失败：{one.error or one.outcome}" for ident, one in receipts.items()}
    outcomes.noted(session, words)
    return Counter(words.values())
