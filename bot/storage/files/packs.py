"""The packs for law days: content/packs/*.yaml, one pack a file, each naming lessons that exist."""

from __future__ import annotations

from bot.domain.library import Library
from bot.domain.pack import Item, Pack
from bot.domain.pack_days import content_of
from bot.domain.rhythm import LAW_DAYS
from bot.storage.files.models import PackFile, PackItemEntry, validated
from bot.storage.files.strict import Fault, Node

FOLDER = "packs"
_NOTHING = "-"


def read(node: Node, file: str, library: Library, faults: list[Fault]) -> Pack | None:
    """One pack; None with the faults noted."""
    before = len(faults)
    entry = validated(PackFile, node, file, faults)
    if entry is None:
        return None
    if entry.law_day not in LAW_DAYS:
        faults.append(Fault(file, node.line_at(("law_day",)), f"没有普法日“{entry.law_day}”，可写：{'、'.join(LAW_DAYS)}"))
    items: list[Item] = []
    for n, one in enumerate(entry.items):
        line = node.line_at(("items", n))
        if one.lesson not in library.lessons and (one.lesson != _NOTHING or one.kind == "lesson"):
            faults.append(Fault(file, line, f"{one.name}：没有课程 {one.lesson}"))
        try:
            item = _item(one)
            content_of(item)
            items.append(item)
        except ValueError:
            needs = "notice 要 text，poll 要 text 和 2 到 6 个 options，invitation 要 target"
            faults.append(Fault(file, line, f"{one.name}：{one.kind} 缺少它要的内容（{needs}）"))
    if len(faults) > before:
        return None
    return Pack(entry.name, entry.law_day, entry.on_holiday, entry.about, entry.clause, tuple(items))


def _item(one: PackItemEntry) -> Item:
    return Item(
        one.name,
        one.day,
        one.time,
        one.kind,
        text=one.text.strip(),
        options=tuple(one.options),
        receipt=one.receipt,
        lesson=one.lesson.removeprefix(_NOTHING),
        target=one.target.removeprefix(_NOTHING),
    )
