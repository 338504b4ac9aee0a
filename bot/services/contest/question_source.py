"""Which questions a contest draws from, and how a set is drawn: the same mix of difficulty for everybody."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from bot.domain.contest.contest import ContestPlan
from bot.domain.message import Refusal
from bot.services.library.catalog import Catalog
from bot.services.study.quiz import TAPPED
from bot.storage.contest.contests import ContestItem


def pool(catalog: Catalog, names: Sequence[str]) -> list[str]:
    """The questions of laws, sets or banks that are answered by a tap and may be drawn, in the order of the files; of all without a name."""
    if not names:
        found = list(catalog.library.questions.values())
    else:
        found = []
        for name in names:
            of_name = catalog.library.questions_of(name)
            if of_name is None:
                raise Refusal(f"没有叫「{name[:40]}」的法律、法律组或题库。现有：{'、'.join(catalog.library.names)}。")
            found += of_name
    return list(dict.fromkeys(one.id for one in found if one.kind in TAPPED and one.id in catalog.drawn))


def draw(catalog: Catalog, names: Sequence[str], size: int, had: Collection[str], rng: random.Random) -> list[str]:
    """`size` questions in random order. Every set of a contest holds as many of each level as every other, by the shares of the pool.

    What somebody has had in this contest comes again only when nothing else of the level is left.
    """
    by_level: dict[int, list[str]] = {}
    for one in pool(catalog, names):
        by_level.setdefault(catalog.library.questions[one].level, []).append(one)
    counts = apportioned({level: len(found) for level, found in by_level.items()}, size)
    drawn: list[str] = []
    for level, wanted in counts.items():
        fresh = [one for one in by_level[level] if one not in had]
        old = [one for one in by_level[level] if one in had]
        rng.shuffle(fresh)
        rng.shuffle(old)
        drawn += (fresh + old)[:wanted]
    rng.shuffle(drawn)
    return drawn


def fixed(catalog: Catalog, plan: ContestPlan, questions: Sequence[str], rng: random.Random) -> list[ContestItem]:
    """The questions of a contest in which all are asked the same: those that were named, else as many as a set has, drawn once. None in a window.

    On a stage a question may be named with its round before it (抢答 jcf-d-01).

    Raises `Refusal` for a question that is not there, or is not answered by a tap.
    """
    if plan.form == "windowed":
        if questions:
            raise Refusal("限时竞赛每人抽题，不能写固定的题（questions）；要所有人同题请用 form: live。")
        return []
    usable = set(pool(catalog, ()))
    parts = [one.rpartition(" ")[0].strip() for one in questions]
    questions = [one.rpartition(" ")[2] for one in questions]
    if any(parts) and plan.form != "onsite":
        raise Refusal("只有现场分轮竞赛（form: onsite）的题可以在前面写轮次，例如「抢答 题目编号」。")
    if wrong := [one for one in questions if one not in usable]:
        raise Refusal(f"题目 {'、'.join(wrong[:5])} 不在题库里、已停用，或不是选择和判断题。")
    if not questions and (there := len(pool(catalog, plan.names))) < plan.rules.size:
        raise Refusal(f"「{'、'.join(plan.names) or '全部题库'}」可用的题只有 {there} 道，不够 {plan.rules.size} 题。")
    names = list(questions) or draw(catalog, plan.names, plan.rules.size, (), rng)
    rounds = parts or [""] * len(names)
    return [ContestItem(n, name, catalog.drawn[name], plan.rules.base, part) for n, (name, part) in enumerate(zip(names, rounds, strict=True), 1)]


def apportioned(there: dict[int, int], size: int) -> dict[int, int]:
    """How many of each level, by largest remainder; never more than there are while others are left."""
    whole = sum(there.values())
    counts = {level: count * size // whole for level, count in there.items()}
    by_rest = sorted(there, key=lambda level: (-(there[level] * size % whole), level))
    for level in by_rest[: size - sum(counts.values())]:
        counts[level] += 1
    return counts
