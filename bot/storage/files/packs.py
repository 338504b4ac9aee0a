"""The packs for law days: content/packs/*.yaml, one pack a file, each naming lessons that exist."""

from __future__ import annotations

from bot.domain.campaign.pack import content_of
from bot.domain.campaign.schedule import LAW_DAYS
from bot.domain.library.library import Library
from bot.domain.library.pack import LawDayPack, PackItem
from bot.storage.files.models import PackFile, PackItemEntry, validated
from bot.storage.files.strict_yaml import FileFault, Node

FOLDER = "packs"
_NOTHING = "-"


def read_pack(node: Node, file: str, library: Library, faults: list[FileFault]) -> LawDayPack | None:
    """One pack; None with the faults noted."""
    before = len(faults)
    entry = validated(PackFile, node, file, faults)
    if entry is None:
        return None
    if entry.law_day not in LAW_DAYS:
        faults.append(FileFault(file, node.line_at(("law_day",)), f"没有普法日“{entry.law_day}”，可写：{'、'.join(LAW_DAYS)}"))
    items: list[PackItem] = []
    for n, one in enumerate(entry.items):
        line = node.line_at(("items", n))
        if one.lesson not in library.lessons and (one.lesson != _NOTHING or one.kind == "lesson"):
            faults.append(FileFault(file, line, f"{one.name}：没有课程 {one.lesson}"))
        try:
            item = _item(one)
            content_of(item)
            items.append(item)
        except ValueError:
            needs = "notice 要 text，poll 要 text 和 2 到 6 个 options，invitation 要 target"
            faults.append(FileFault(file, line, f"{one.name}：{one.kind} 缺少它要的内容（{needs}）"))
    if len(faults) > before:
        return None
    return LawDayPack(entry.name, entry.law_day, entry.on_holiday, entry.about, entry.clause, tuple(items))


def _item(one: PackItemEntry) -> PackItem:
    return PackItem(
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
