"""What a platform's contacts say of an agency: departments and who is in them; bot/services/people/directory.py makes a roster of it."""

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
    """Everything that was read, whole: whoever reads it gives nothing when a page is missing."""

    channel: str
    departments: tuple[Department, ...]
    entries: tuple[DirectoryMember, ...]
