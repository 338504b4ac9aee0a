"""The notice of a correction for one person, made at the moment it is sent."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import Session

from bot.domain.grading.correction import SCOPE_LABELS
from bot.domain.message import Option, Reply
from bot.domain.text.numbers import points_text
from bot.domain.times import duration_text
from bot.services.library import key_visibility
from bot.services.library.catalog import Catalog
from bot.storage.grading import corrections
from bot.storage.grading.corrections import CorrectionEffect, CorrectionRecord

_PASS = {True: "合格", False: "不合格", None: "待阅卷"}


def notices_for(session: Session, catalog: Catalog, correction_id: int, people: Collection[int]) -> dict[int, Reply]:
    """The notice of a correction for each of some people; nobody is in it for whom nothing changed."""
    correction = corrections.get(session, correction_id)
    if correction is None:
        return {}
    stem = catalog.question(session, correction.version_id).stem
    name = corrections.subject_name(session, correction.scope, correction.ref)
    notices: dict[int, Reply] = {}
    for person_id in people:
        effects = [effect for effect in corrections.effects_of(session, correction.id, person_id) if effect.changes]
        if effects:
            notices[person_id] = _notice(
                correction, name, stem, effects, keeps=correction.question in key_visibility.hidden_questions(session, person_id)
            )
    return notices


def _notice(correction: CorrectionRecord, name: str, stem: str, effects: list[CorrectionEffect], *, keeps: bool) -> Reply:
    """`keeps` holds the key back from somebody whose other exam has the question too and can still be sat."""
    label = SCOPE_LABELS[correction.scope]
    explanation = "怎样更正，等您参加的另一场考试结束后可看。" if keeps else f"{correction.amendment}。原因：{correction.reason}"
    lines = [f"📝 {label}《{name}》有一道题更正：", f"「{stem[:60]}{'…' if len(stem) > 60 else ''}」", explanation]
    lines += [f"您的{effect_line(effect)}。" for effect in effects]
    lines.append("您当时的题目和作答原样保留。")
    if correction.scope != "exam":
        return Reply("\n".join(lines), buttons=(Option(f"{label} {correction.ref}", "看一看"),))
    lines.append(f"对结果有异议，可发「申诉 {correction.ref} 原因」。")
    return Reply("\n".join(lines), buttons=(Option(f"考试 {correction.ref} 解析", "看答卷"),))


def effect_line(effect: CorrectionEffect) -> str:
    """成绩 58 → 60，不合格 → 合格，补计学时 90 分钟."""
    return "，".join([f"成绩 {points_text(effect.score_before)} → {points_text(effect.score_after)}", *consequences(effect)])


def consequences(effect: CorrectionEffect) -> list[str]:
    """Pass, credit and certificate of a paper, where they changed."""
    parts = []
    if effect.passed_before != effect.passed_after:
        parts.append(f"{_PASS[effect.passed_before]} → {_PASS[effect.passed_after]}")
    if effect.seconds_after > effect.seconds_before:
        parts.append(f"补计学时 {duration_text(effect.seconds_after - effect.seconds_before)}")
    if effect.seconds_after < effect.seconds_before:
        parts.append(f"冲销学时 {duration_text(effect.seconds_before - effect.seconds_after)}")
    if effect.certificate_before != effect.certificate_after:
        parts.append(f"证书 {effect.certificate_before or '无'} → {effect.certificate_after or '收回'}")
    return parts
