"""How far a campaign's last occurrence has been delivered, who was not reached and why; and what became of recalls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.domain.campaign.campaign import DELIVERY_LABELS
from bot.domain.message import Refusal, SendReceipt
from bot.domain.times import SHANGHAI
from bot.storage.delivery import outcomes
from bot.storage.delivery.outcomes import MissedPerson

LINES_SHOWN = 10
ENDED_STATES = ("sent", "failed", "unknown", "skipped")


@dataclass(frozen=True, slots=True)
class DeliveryProgress:
    """One time that a campaign fell due, as it stands: people by state, reasons by state, and those not reached by name."""

    campaign_id: int
    name: str
    occurrence_id: int
    due: datetime
    counts: Mapping[str, int]
    reasons: Sequence[tuple[str, str, int]]
    missed: Sequence[MissedPerson]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        return sum(self.counts.get(state, 0) for state in ENDED_STATES)

    @property
    def share(self) -> float:
        return self.ended / self.total if self.total else 1.0

    @property
    def is_over(self) -> bool:
        return self.ended == self.total

    def __str__(self) -> str:
        due = self.due.astimezone(SHANGHAI).strftime("%m-%d %H:%M")
        states = "、".join(f"{label} {self.counts[state]}" for state, label in DELIVERY_LABELS.items() if self.counts.get(state))
        lines = [
            f"活动 {self.campaign_id}「{self.name}」{due} 这一次：",
            f"{_progress_bar(self.share)} {self.ended}/{self.total}",
            states or "没有可发的人",
        ]
        lines += [f"· {DELIVERY_LABELS[state]}：{reason} {count} 人" for state, reason, count in self.reasons[:LINES_SHOWN]]
        if self.missed:
            names = "、".join(f"{person.name}（{person.staff_no}）" for person in self.missed[:LINES_SHOWN])
            more = f" 等 {len(self.missed)} 人" if len(self.missed) > LINES_SHOWN else ""
            lines.append(f"没有送达：{names}{more}")
        return "\n".join(lines)


def latest_progress(session: Session, campaign_id: int) -> DeliveryProgress:
    """The last time a campaign fell due. Raises `Refusal` when there is no such campaign, or it has not fallen due yet."""
    last_occurrence = outcomes.last_occurrence(session, campaign_id)
    if last_occurrence is None:
        raise Refusal(f"没有编号为 {campaign_id} 的活动。")
    name, occurrence_id, due = last_occurrence
    if occurrence_id is None or due is None:
        raise Refusal(f"活动 {campaign_id}「{name}」还没有发过，没有进度可看。")
    counts = outcomes.count_by_state(session, occurrence_id)
    return DeliveryProgress(
        campaign_id, name, occurrence_id, due, counts, outcomes.count_reasons(session, occurrence_id), outcomes.missed_people(session, occurrence_id)
    )


def _progress_bar(share: float, width: int = 20) -> str:
    """▓▓▓▓░░░░ for a share from 0 to 1."""
    full = round(max(0.0, min(1.0, share)) * width)
    return "▓" * full + "░" * (width - full)


# ── Recalls ──

NO_RECALL = "该通道不能撤回"


def record_recalls(session: Session, receipts: Mapping[int, SendReceipt]) -> Counter[str]:
    """Write down what became of recalls, by delivery; how many of each."""
    notes = {
        delivery_id: "已撤回" if receipt.outcome == "sent" else f"撤回失败：{receipt.error or receipt.outcome}"
        for delivery_id, receipt in receipts.items()
    }
    outcomes.write_notes(session, notes)
    return Counter(notes.values())
