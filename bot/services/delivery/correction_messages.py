"""What a correction means for one person, in words: the notice, made when it is sent."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import Session

from bot.domain.grading.correction import SCOPE_LABELS
from bot.domain.message import Option, Reply
from bot.domain.text.numbers import points_text
from bot.domain.times import minutes_text
from bot.services.library import key_visibility
from bot.services.library.catalog import Catalog
from bot.storage.grading import corrections
from bot.storage.grading.corrections import CorrectionEffect, CorrectionRecord

TARGET = "更正"
"""What a notice's `target` begins with when its text is made for each person from what a correction changed."""
_PASS = {True: "合格", False: "不合格", None: "待阅卷"}


def target_of(correction_id: int) -> str:
    return f"{TARGET}:{correction_id}"


def notices_for(session: Session, catalog: Catalog, target: str, people: Collection[int]) -> dict[int, Reply]:
    """The notice of a correction for each of some people; nobody is in it for whom nothing changed."""
    found = corrections.get(session, int(target.partition(":")[2]))
    if found is None:
        return {}
    stem = catalog.question(session, found.version_id).stem
    name = corrections.subject_name(session, found.scope, found.ref)
    made: dict[int, Reply] = {}
    for person_id in people:
        changed = [one for one in corrections.effects_of(session, found.id, person_id) if one.changes]
        if changed:
            made[person_id] = _notice(found, name, stem, changed, keeps=found.question in key_visibility.hidden(session, person_id))
    return made


def _notice(found: CorrectionRecord, name: str, stem: str, changed: list[CorrectionEffect], *, keeps: bool) -> Reply:
    """`keeps` holds the key back from somebody whose other exam has the question too and can still be sat."""
    label = SCOPE_LABELS[found.scope]
    how = "怎样更正，等您参加的另一场考试结束后可看。" if keeps else f"{found.amendment}。原因：{found.reason}"
    lines = [f"📝 {label}《{name}》有一道题更正：", f"「{stem[:60]}{'…' if len(stem) > 60 else ''}」", how]
    lines += [f"您的{effect_line(one)}。" for one in changed]
    lines.append("您当时的题目和作答原样保留。")
    if found.scope != "exam":
        return Reply("\n".join(lines), buttons=(Option(f"{label} {found.ref}", "看一看"),))
    lines.append(f"对结果有异议，可发「申诉 {found.ref} 原因」。")
    return Reply("\n".join(lines), buttons=(Option(f"考试 {found.ref} 解析", "看答卷"),))


def effect_line(one: CorrectionEffect) -> str:
    """成绩 58 → 60，不合格 → 合格，补计学时 90 分钟."""
    return "，".join([f"成绩 {points_text(one.score_before)} → {points_text(one.score_after)}", *consequences(one)])


def consequences(one: CorrectionEffect) -> list[str]:
    """Pass, credit and certificate of a paper, where they changed."""
    parts = []
    if one.passed_before != one.passed_after:
        parts.append(f"{_PASS[one.passed_before]} → {_PASS[one.passed_after]}")
    if one.seconds_after > one.seconds_before:
        parts.append(f"补计学时 {minutes_text(one.seconds_after - one.seconds_before)}")
    if one.seconds_after < one.seconds_before:
        parts.append(f"冲销学时 {minutes_text(one.seconds_before - one.seconds_after)}")
    if one.certificate_before != one.certificate_after:
        parts.append(f"证书 {one.certificate_before or '无'} → {one.certificate_after or '收回'}")
    return parts
