"""Corrections from proposal to effect: results frozen, a dry run, confirmation by a second administrator; applying twice changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from bot.domain.campaign.campaign import Author, is_person
from bot.domain.campaign.content import CORRECTION, CampaignContent
from bot.domain.grading.correction import SCOPE_LABELS, Amendment, regrade
from bot.domain.library.question import Question
from bot.domain.message import Refusal
from bot.domain.text import segmentation
from bot.domain.times import day_of
from bot.services.campaign.notifications import notify, notify_named, send_notice
from bot.services.grading.correction_impact import CorrectionImpact
from bot.services.grading.correction_subject import CorrectionAct, CorrectionSubject, PaperStanding, load_subject
from bot.services.library.catalog import Catalog
from bot.storage.db.engine import rehearse as run_and_roll_back
from bot.storage.grading import corrections
from bot.storage.grading.corrections import CorrectionEffect, CorrectionRecord
from bot.storage.study import sittings
from bot.storage.system import audit

TWO_NAMES = 2
MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class WantedCorrection:
    """What is to be put right: the question of an exam or contest, how, why, and the reader's report it came from."""

    scope: str
    ref: int
    question: str
    amended: Amendment
    reason: str
    report_id: int | None = None


def sole_version(session: Session, subject: CorrectionSubject, question: str) -> int:
    """The version of a question in the papers of an exam. Raises `Refusal` where no paper has it, or where it changed in between."""
    version_ids = corrections.version_ids(session, subject.scope, subject.ref, question)
    if not version_ids:
        raise Refusal(f"{SCOPE_LABELS[subject.scope]}「{subject.name}」的答卷里没有题目 {question[:40]}，请核对题目编号。")
    if len(version_ids) > 1:
        # Papers drawn before and after a new edition: which of the two is wrong, nobody may guess.
        names = "、".join(f"{question}@{version_id}" for version_id in version_ids)
        raise Refusal(f"题目 {question} 在这场{SCOPE_LABELS[subject.scope]}里有 {len(version_ids)} 个版本，请写明版本：{names}。")
    return version_ids[0]


def named_version(session: Session, subject: CorrectionSubject, name: str) -> int:
    """The version row that "jcf-4-01" or "jcf-4-01@12" names within an exam. Raises `Refusal`."""
    question, _, version = name.strip().partition("@")
    if not version:
        return sole_version(session, subject, question)
    version_ids = corrections.version_ids(session, subject.scope, subject.ref, question)
    if not version.isascii() or not version.isdigit() or int(version) not in version_ids:
        raise Refusal(f"{SCOPE_LABELS[subject.scope]}「{subject.name}」的答卷里没有题目 {name[:40]}，请核对。")
    return int(version)


def names_needed(catalog: Catalog, now: datetime) -> int:
    """How many people a correction takes (rule R1); two where no rule says so."""
    try:
        return int(catalog.policy.at("R1", day_of(now)).number("names"))
    except KeyError:
        return TWO_NAMES


# ── Rehearsed ──


def rehearse(session: Session, catalog: Catalog, author: Author, wanted: WantedCorrection, now: datetime) -> CorrectionImpact:
    """Exactly what `apply` would change, done and rolled back within the caller's transaction; nothing of it stays.

    Raises `Refusal` for what is not there, still running, or cannot be amended so.
    """

    def work() -> CorrectionImpact:
        correction_id, _ = _ensure_proposed(session, catalog, author, wanted, now)
        return _carry_out(session, catalog, author, correction_id, now, rehearsal=True)

    return run_and_roll_back(session, work)


def view_correction(
    session: Session, catalog: Catalog, author: Author, correction_id: int, now: datetime
) -> tuple[CorrectionRecord, CorrectionImpact]:
    """A correction with what it would change, or has changed."""
    correction = require_correction(session, author, correction_id)
    if correction.state == "proposed":
        return correction, run_and_roll_back(session, lambda: _carry_out(session, catalog, author, correction_id, now, rehearsal=True))
    subject, question = load_subject(session, author, correction.scope, correction.ref), catalog.question(session, correction.version_id)
    effects = corrections.list_effects(session, correction_id)
    return correction, CorrectionImpact.build(session, subject, correction, question, effects, corrections.count_regraded(session, correction_id), 0)


# ── Proposed, applied, dropped ──


def require_correction(session: Session, author: Author, correction_id: int) -> CorrectionRecord:
    """A correction that an administrator may see and decide."""
    correction = corrections.get(session, correction_id)
    if correction is None:
        raise Refusal(f"没有编号为 {correction_id} 的更正。发送「更正」看列表。")
    try:
        load_subject(session, author, correction.scope, correction.ref)
    except Refusal:
        raise Refusal(f"没有编号为 {correction_id} 的更正。发送「更正」看列表。") from None
    return correction


def propose(session: Session, catalog: Catalog, author: Author, wanted: WantedCorrection, now: datetime, *, asks: bool = False) -> CorrectionRecord:
    """Hold the results back for a second name; the one that waits already, or that holds already, is given instead of a new one.

    With `asks` the administrators are told that it waits, because until then nobody sees a result.
    """
    correction_id, is_new = _ensure_proposed(session, catalog, author, wanted, now)
    correction = _require(session, correction_id)
    if asks and is_new and names_needed(catalog, now) >= TWO_NAMES:
        name = load_subject(session, author, correction.scope, correction.ref).name
        text = (
            f"{SCOPE_LABELS[correction.scope]}「{name}」的一道题有更正待确认（{author.actor} 提出），"
            f"确认前成绩不公布。发「更正 {correction_id}」看影响。"
        )
        send_notice(session, "更正待确认", text, now)
        notify_named(session, author, f"提出了更正 {correction_id}（{name}）", now)
    return correction


def adopt(session: Session, catalog: Catalog, author: Author, correction_id: int, now: datetime) -> bool:
    """Put one's name to a proposal of the shell that nobody put theirs to; true where that is all that was done.

    Where the rule (R1) asks for two names, such a proposal has none: the first who confirms it proposes it, and the next one's word applies it.
    """
    correction = require_correction(session, author, correction_id)
    if correction.state != "proposed" or is_person(correction.proposed_by) or not author.is_own_word or names_needed(catalog, now) < TWO_NAMES:
        return False
    if not corrections.adopt(session, correction, author.actor):
        raise Refusal(f"更正 {correction_id} 刚刚已有人具名，请再看一遍。")
    detail = f"更正 {correction_id}；{correction.amendment}；原由 {correction.proposed_by} 提出；原因：{correction.reason}"
    audit.record(session, now, author.actor, author.via, "具名提出更正", f"{correction.scope}:{correction.ref} {correction.question}", detail=detail)
    return True


def apply(session: Session, catalog: Catalog, author: Author, correction_id: int, now: datetime) -> CorrectionImpact:
    """Mark anew, work out again, take back and credit, tell whoever it touches; once, and again only for papers that came in later.

    Raises `Refusal` where the rule (R1) asks for two names and there is one: two people, of whom the second says so themselves.
    """
    correction = require_correction(session, author, correction_id)
    if correction.state == "dropped":
        raise Refusal(f"更正 {correction_id} 已经撤回，要改请重新提出。")
    if correction.state == "proposed" and names_needed(catalog, now) >= TWO_NAMES:
        _require_two_names(author, correction)
    is_first = corrections.decide(session, correction_id, "applied", author.actor, now)
    impact = _carry_out(session, catalog, author, correction_id, now, rehearsal=False)
    if not is_first and not impact.papers:
        return replace(impact, is_new=False)
    detail = f"提出 {correction.proposed_by}，确认 {author.actor if is_first else correction.decided_by}；{impact.summary}；原因：{correction.reason}"
    audit.record(session, now, author.actor, author.via, "更正题目", f"{correction.scope}:{correction.ref} {correction.question}", detail=detail)
    if load_subject(session, author, correction.scope, correction.ref).is_told(session):
        _notify(session, correction, impact, now)
    if correction.report_id is not None and is_first:
        answered_by = corrections.person_of_staff_no(session, author.actor)
        if answered_by is not None:
            sittings.answer_report(session, correction.report_id, answered_by, f"您报告得对，已更正：{correction.amendment}。谢谢。", now)
    return impact


def waits_for(correction: CorrectionRecord) -> str:
    """Whose word a proposal still needs, where the rule asks for two names."""
    if is_person(correction.proposed_by):
        return f"请另一位管理员本人在聊天里发「更正 确认 {correction.id}」。"
    return f"提出时没有具名，要两位管理员先后在聊天里发「更正 确认 {correction.id}」。"


def _require_two_names(author: Author, correction: CorrectionRecord) -> None:
    if not author.is_own_word:
        raise Refusal(f"按规则 R1，确认要由本人说，命令行不能代：{waits_for(correction)}")
    if author.actor == correction.proposed_by:
        raise Refusal(f"更正 {correction.id} 是您提出的，按规则 R1 须由另一位管理员确认：请对方发送「更正 确认 {correction.id}」。")
    if not is_person(correction.proposed_by):
        raise Refusal(f"更正 {correction.id} 只有一个名字：{waits_for(correction)}")


def drop(session: Session, author: Author, correction_id: int, now: datetime) -> CorrectionRecord:
    """A proposal is taken back; results are told again."""
    correction = require_correction(session, author, correction_id)
    if not corrections.decide(session, correction_id, "dropped", author.actor, now):
        raise Refusal(f"更正 {correction_id} {'已经生效，不能撤回；要改回请另提一次更正' if correction.state == 'applied' else '已经撤回'}。")
    _unfreeze(session, load_subject(session, author, correction.scope, correction.ref))
    audit.record(
        session,
        now,
        author.actor,
        author.via,
        "撤回更正",
        f"{correction.scope}:{correction.ref} {correction.question}",
        detail=f"更正 {correction_id}",
    )
    return correction


def regrade_late_papers(session: Session, catalog: Catalog, subject: CorrectionSubject, now: datetime) -> set[int]:
    """Mark papers that came in after a correction by it too; which they are. Their results are for the caller to work out."""
    late_papers: set[int] = set()
    for correction in corrections.list_in_force(session, subject.scope, subject.ref):
        late_papers |= set(_regrade_places(session, subject, correction, catalog.question(session, correction.version_id), now))
    return late_papers


def _ensure_proposed(session: Session, catalog: Catalog, author: Author, wanted: WantedCorrection, now: datetime) -> tuple[int, bool]:
    """The correction of these very words: a new one, or the one that there is. Raises `Refusal` for another one that waits."""
    reason = wanted.reason.strip()
    if not 1 <= len(reason) <= MAX_REASON:
        raise Refusal(f"请写明更正的原因（不超过 {MAX_REASON} 字）。")
    subject = load_subject(session, author, wanted.scope, wanted.ref)
    subject.lock(session)
    version_id = named_version(session, subject, wanted.question)
    newest = corrections.find_applied(session, wanted.scope, wanted.ref, version_id)
    if newest is not None and newest.amendment == wanted.amended:
        return newest.id, False
    waiting = corrections.find_proposed(session, wanted.scope, wanted.ref, version_id)
    if waiting is not None:
        if waiting.amendment != wanted.amended:
            raise Refusal(f"这道题已有一次更正等确认（编号 {waiting.id}，{waiting.amendment}），请先确认或撤回它。")
        return waiting.id, False
    question = wanted.question.partition("@")[0].strip()
    scope = (wanted.scope, wanted.ref)
    correction_id = corrections.propose(session, scope, question, version_id, wanted.amended, reason, wanted.report_id, author.actor, now)
    subject.freeze(session, now)
    detail = f"更正 {correction_id}；{wanted.amended}；{reason}"
    audit.record(session, now, author.actor, author.via, "提出更正", f"{wanted.scope}:{wanted.ref} {question}", detail=detail)
    return correction_id, True


def _carry_out(session: Session, catalog: Catalog, author: Author, correction_id: int, now: datetime, *, rehearsal: bool) -> CorrectionImpact:
    correction = _require(session, correction_id)
    subject = load_subject(session, author, correction.scope, correction.ref)
    subject.lock(session)
    question = catalog.question(session, correction.version_id)
    before = subject.standings(session)
    touched = _regrade_places(session, subject, correction, question, now)
    subject.freeze(session, None)
    effects: list[CorrectionEffect] = []
    moved = 0
    if touched:
        foreseen = subject.recompute(
            session, catalog, touched, CorrectionAct(f"更正 {correction_id}：{correction.amendment}", author, now, rehearsal)
        )
        after = subject.standings(session)
        keys = subject.affected(before, touched)
        effects = [
            _effect(sitting, standing, after[sitting], foreseen.get(sitting, after[sitting].certificate))
            for sitting, standing in before.items()
            if sitting in keys and sitting in after
        ]
        moved = sum(1 for sitting, standing in before.items() if sitting in after and sitting not in keys and after[sitting].place != standing.place)
    if not rehearsal:
        corrections.add_effects(session, correction_id, effects, now)
        if corrections.count_proposed(session, correction.scope, correction.ref):
            # Held back again for another proposal, but only now: hours that are not booked with this one nobody would book later.
            subject.freeze(session, now)
    return CorrectionImpact.build(session, subject, correction, question, effects, len(touched), moved)


def _effect(sitting: int, before: PaperStanding, after: PaperStanding, certificate: str) -> CorrectionEffect:
    score, place, passed = (before.score, after.score), (before.place, after.place), (before.passed, after.passed)
    return CorrectionEffect(sitting, before.person_id, *score, *place, *passed, before.seconds, after.seconds, before.certificate, certificate)


def _regrade_places(session: Session, subject: CorrectionSubject, correction: CorrectionRecord, question: Question, now: datetime) -> dict[int, int]:
    """Regrade the places that this correction has not graded yet: sitting -> person."""
    segmenter = segmentation.cut_words if question.points else None
    blanks = correction.amendment.way in ("full", "void") or corrections.previous_applied(session, correction) is not None
    touched: dict[int, int] = {}
    grades = []
    for place in corrections.ungraded_places(session, subject.scope, subject.ref, correction.version_id, correction.id):
        if place.choice is None and not blanks:
            # A place left blank is worth nothing either way; ungraded, it stays open to an answer after a reopening.
            continue
        grade = regrade(question, correction.amendment, place.choice, segmenter)
        grades.append((place.sitting_id, place.n, place.answer_id, grade.earned, grade.counts))
        touched[place.sitting_id] = place.person_id
    corrections.add_regrades(session, correction.id, grades, now)
    return touched


def _unfreeze(session: Session, subject: CorrectionSubject) -> None:
    """Results are told again, unless another proposal still waits."""
    if not corrections.count_proposed(session, subject.scope, subject.ref):
        subject.freeze(session, None)


def _notify(session: Session, correction: CorrectionRecord, impact: CorrectionImpact, now: datetime) -> None:
    """One notice of the app for the correction; what each person reads is made when it is sent (bot/services/delivery/correction_messages.py)."""
    people = sorted({effect.person_id for effect in impact.effects if effect.changes})
    text = f"{impact.name}有题目更正，您的成绩有变化。"
    content = CampaignContent("notice", title="成绩更正", text=text, target=CORRECTION, about=correction.id)
    notify(session, people, content, once=f"correction:{correction.id}", now=now, name=f"成绩更正：{impact.name}")


def _require(session: Session, correction_id: int) -> CorrectionRecord:
    correction = corrections.get(session, correction_id)
    assert correction is not None
    return correction
