"""A platform's contacts: departments and their members, from which bot/services/people/directory.py makes a roster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Department:
    """`parent` is 0, or no department that was listed, for one that stands at the top of what the app may see."""

    id: int
    parent: int
    name: str


@dataclass(frozen=True, slots=True)
class DirectoryMember:
    """A member as the contacts list them; `staff_no` is empty where the contacts do not know it. The first department is the main one."""

    user: str
    name: str
    departments: tuple[int, ...]
    staff_no: str = ""


@dataclass(frozen=True, slots=True)
class Directory:
    """A complete reading: when a page is missing, the reader raises instead of returning a part."""

    channel: str
    departments: tuple[Department, ...]
    entries: tuple[DirectoryMember, ...]
