"""The register of laws and the sets of laws, from their two files."""

from __future__ import annotations

from bot.domain.library.library import Law, LawSet, LawVersion, Library, folded_name
from bot.storage.files.banks import name_faults
from bot.storage.files.models import LawEntry, LawsFile, SetsFile, validated
from bot.storage.files.strict_yaml import FileFault, Node


def read_laws(node: Node, file: str, faults: list[FileFault]) -> dict[str, Law]:
    """Laws by short title; empty with the faults noted when one name could mean two laws or anything else is wrong."""
    before = len(faults)
    entries = validated(LawsFile, node, file, faults)
    if entries is None:
        return {}
    taken: dict[str, str] = {}
    for number, entry in enumerate(entries.laws):
        line = node.line_at(("laws", number))
        for name in dict.fromkeys(map(folded_name, (entry.title, entry.short, *entry.aliases, *entry.misnomers))):
            if name in taken:
                faults.append(FileFault(file, line, f"“{entry.short}”与“{taken[name]}”有相同的名称“{name}”"))
            taken.setdefault(name, entry.short)
        names = {folded_name(name) for name in (entry.title, entry.short, *entry.aliases)}
        faults.extend(FileFault(file, line, f"“{wrong}”既是名称又是误称") for wrong in entry.misnomers if folded_name(wrong) in names)
        days = [one.version for one in entry.versions]
        if sorted(set(days)) != days:
            faults.append(FileFault(file, node.line_at(("laws", number, "versions")), f"“{entry.short}”的版本应按日期从旧到新各写一次"))
    return {entry.short: _law(entry) for entry in entries.laws} if len(faults) == before else {}


def _law(entry: LawEntry) -> Law:
    return Law(
        title=entry.title,
        short=entry.short,
        level=entry.level,
        aliases=tuple(entry.aliases),
        misnomers=tuple(entry.misnomers),
        versions=tuple(LawVersion(one.version, one.in_force, one.valid_to) for one in entry.versions),
    )


def read_sets(node: Node, file: str, laws: Library, faults: list[FileFault]) -> dict[str, LawSet]:
    """Sets by name; empty with the faults noted when a name is taken or a law is not in the register."""
    before = len(faults)
    entries = validated(SetsFile, node, file, faults)
    if entries is None:
        return {}
    taken: set[str] = set()
    for number, entry in enumerate(entries.sets):
        for name in (entry.name, *entry.aliases):
            if folded_name(name) in taken or laws.resolve_law(name) is not None:
                faults.append(FileFault(file, node.line_at(("sets", number, "name")), f"名称“{name}”已经用过"))
            taken.add(folded_name(name))
        for place, law in enumerate(entry.laws):
            for where, sentence in name_faults(law, laws, ("sets", number, "laws", place)):
                faults.append(FileFault(file, node.line_at(where), f"法律组“{entry.name}”：{sentence}"))
    return {entry.name: LawSet(entry.name, tuple(entry.laws), tuple(entry.aliases)) for entry in entries.sets} if len(faults) == before else {}
