"""The impact of a correction on scores, credit, certificates and ranks: for the dry run, for the reply after it, for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from bot.domain.grading.correction import SCOPE_LABELS, Amendment, accepted_keys
from bot.domain.library.question import Question
from bot.services.delivery.correction_messages import effect_line
from bot.services.grading.correction_subject import CorrectionSubject
from bot.storage.grading import corrections
from bot.storage.grading.corrections import CorrectionEffect, CorrectionRecord

SHOWN_CHANGES = 30


@dataclass(frozen=True, slots=True)
class CorrectionImpact:
    """One correction of one exam or contest. `papers` were regraded now, `effects` tell of each; `moved` are others whose place changed.

    `is_new` is false where everything was done before, `is_told` while results are not told by the rule and so nobody is told of a change.
    """

    correction: CorrectionRecord
    name: str
    stem: str
    before: tuple[str, ...]
    papers: int
    effects: tuple[CorrectionEffect, ...]
    moved: int
    people: Mapping[int, tuple[str, str]]
    is_new: bool = True
    is_told: bool = True

    @classmethod
    def build(
        cls,
        session: Session,
        subject: CorrectionSubject,
        correction: CorrectionRecord,
        question: Question,
        effects: Sequence[CorrectionEffect],
        papers: int,
        moved: int,
    ) -> CorrectionImpact:
        people = corrections.names_of(session, {effect.person_id for effect in effects})
        keys = () if question.points else accepted_keys(question)
        is_told = subject.is_told(session)
        return cls(correction, subject.name, question.stem, keys, papers, tuple(effects), moved, people, is_told=is_told)

    @property
    def amended(self) -> Amendment:
        return self.correction.amendment

    @property
    def changed(self) -> list[CorrectionEffect]:
        return [effect for effect in self.effects if effect.changes]

    @property
    def figures(self) -> dict[str, int]:
        """How many papers and people: what an administrator decides by."""
        changed = self.changed
        return {
            "papers": self.papers,
            "people": len({effect.person_id for effect in changed}),
            "up": sum(effect.score_after > effect.score_before for effect in changed),
            "down": sum(effect.score_after < effect.score_before for effect in changed),
            "now_pass": sum(effect.passed_after is True and effect.passed_before is not True for effect in changed),
            "now_fail": sum(effect.passed_after is False and effect.passed_before is True for effect in changed),
            "credited": len({effect.person_id for effect in changed if effect.seconds_after > effect.seconds_before}),
            "taken_back": len({effect.person_id for effect in changed if effect.seconds_after < effect.seconds_before}),
            "certificates": sum(effect.certificate_before != effect.certificate_after for effect in changed),
            "places": len({effect.person_id for effect in self.effects if effect.place_before != effect.place_after}) + self.moved,
        }

    @property
    def summary(self) -> str:
        figures = self.figures
        parts = [f"重判 {figures['papers']} 份答卷", f"成绩有变化 {figures['people']} 人（升 {figures['up']} 份、降 {figures['down']} 份）"]
        parts += [f"改为合格 {figures['now_pass']}、改为不合格 {figures['now_fail']}"] if self.correction.scope == "exam" else []
        parts += (
            [f"补计学时 {figures['credited']} 人、冲销学时 {figures['taken_back']} 人", f"证书变动 {figures['certificates']} 张"]
            if self.correction.scope == "exam"
            else []
        )
        parts.append(f"名次变动 {figures['places']} 人")
        return "，".join(parts)

    def as_text(self, shown: int = SHOWN_CHANGES) -> list[str]:
        key = f"（原 {'、'.join(self.before)}）" if self.amended.keys and self.before else ""
        lines = [
            f"{SCOPE_LABELS[self.correction.scope]}「{self.name}」题目 {self.correction.question}：{_short_stem(self.stem)}",
            f"{self.amended}{key}；原因：{self.correction.reason}",
            self.summary + "。",
        ]
        if not self.is_new or not self.papers:
            lines.append("没有要重判的答卷：这次更正已经生效过，什么都没有改动。")
        changed = sorted(self.changed, key=lambda effect: self.people[effect.person_id])
        lines += [f"· {' '.join(self.people[effect.person_id])}：{_effect_text(effect)}" for effect in changed[:shown]]
        if len(changed) > shown:
            lines.append(f"……共 {len(changed)} 份，全部见命令行 exam correct 或导出。")
        return lines

    def as_json(self) -> dict[str, Any]:
        return {
            "correction": self.correction.id,
            "scope": self.correction.scope,
            "ref": self.correction.ref,
            "name": self.name,
            "question": self.correction.question,
            "way": self.amended.way,
            "keys": list(self.amended.keys),
            "keys_before": list(self.before),
            "reason": self.correction.reason,
            **self.figures,
            "changes": [
                {
                    "staff_no": self.people[effect.person_id][0],
                    "name": self.people[effect.person_id][1],
                    "score": [effect.score_before / 1000, effect.score_after / 1000],
                    "place": [effect.place_before, effect.place_after],
                    "passed": [effect.passed_before, effect.passed_after],
                    "credit_seconds": [effect.seconds_before, effect.seconds_after],
                    "certificate": [effect.certificate_before, effect.certificate_after],
                }
                for effect in self.effects
                if effect.changes
            ],
        }


def _short_stem(stem: str) -> str:
    return stem if len(stem) <= 40 else f"{stem[:40]}…"


def _effect_text(effect: CorrectionEffect) -> str:
    """What changed for one paper; the place is for those who decide, nobody else is told it."""
    place = [f"名次 {effect.place_before or '无'} → {effect.place_after or '无'}"] if effect.place_before != effect.place_after else []
    return "，".join([effect_line(effect), *place])
