"""The contacts of a corporation as WeCom lists them: departments, then the members of each (bot/docs/protocols.md#wecom-contacts)."""

from __future__ import annotations

from typing import Any

from bot.channels.outbound.apis import Api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.domain.people.directory import Department, Directory, DirectoryMember

DEPARTMENTS = "/cgi-bin/department/list"
MEMBERS = "/cgi-bin/user/list"
STAFF_NO = "工号"
LEFT = 5


async def contacts(outbound: Outbound, api: Api, *, staff_no: str = STAFF_NO) -> Directory:
    """Everybody the app may see. `staff_no` names the extended attribute that holds the staff number, or is "userid". Raises `PlatformError`."""
    listed = rows(await outbound.call(api, "GET", DEPARTMENTS), "department")
    departments = [Department(number(one, "id"), number(one, "parentid"), word(one, "name")) for one in listed]
    found: dict[str, DirectoryMember] = {}
    for department in departments:
        answer = await outbound.call(api, "GET", MEMBERS, params={"department_id": str(department.id)})
        for one in rows(answer, "userlist"):
            user = word(one, "userid").lower()
            if one.get("status") == LEFT:
                continue
            had = found.get(user)
            main = one.get("main_department")
            own = [main] if isinstance(main, int) and not isinstance(main, bool) else []
            into = dict.fromkeys([*own, *(had.departments if had else ()), department.id])
            found[user] = DirectoryMember(user, word(one, "name"), tuple(into), _staff_no(one, user, staff_no))
    known = {department.id for department in departments}
    entries = [DirectoryMember(one.user, one.name, tuple(d for d in one.departments if d in known), one.staff_no) for one in found.values()]
    return Directory("wecom", tuple(departments), tuple(entries))


def _staff_no(member: dict[str, Any], user: str, attribute: str) -> str:
    if attribute == "userid":
        return user
    extended = member.get("extattr")
    attributes = extended.get("attrs") if isinstance(extended, dict) else None
    for one in attributes if isinstance(attributes, list) else []:
        if isinstance(one, dict) and one.get("name") == attribute:
            text = one.get("text")
            value = text.get("value") if isinstance(text, dict) else one.get("value")
            return value.strip() if isinstance(value, str) else ""
    return ""


def rows(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects, or PlatformError: half a directory must not pass for a whole one."""
    found = answer.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise PlatformError("unknown", "directory", f"the answer has no list named {name}")
    return found


def number(one: dict[str, Any], name: str) -> int:
    found = one.get(name)
    if isinstance(found, bool) or not isinstance(found, int):
        raise PlatformError("unknown", "directory", f"{name} is no number")
    return found


def word(one: dict[str, Any], name: str) -> str:
    found = one.get(name)
    if not isinstance(found, str) or not found.strip():
        raise PlatformError("unknown", "directory", f"{name} is missing")
    return found.strip()
