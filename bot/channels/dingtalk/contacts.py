"""Reads departments and members of a corporation from DingTalk (bot/docs/protocols.md#dingtalk-contacts)."""

from __future__ import annotations

from collections import deque
from typing import Any

from bot.channels.outbound.apis import Api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.channels.wecom.contacts import require_list, require_number, require_text
from bot.domain.people.directory import Department, Directory, DirectoryMember

DEPARTMENT = "/topapi/v2/department/get"
SUBDEPARTMENTS = "/topapi/v2/department/listsub"
MEMBERS = "/topapi/v2/user/list"
ROOT = 1
PAGE = 100
MOST_PAGES = 1_000


async def read_directory(outbound: Outbound, api: Api, *, staff_no: str = "job_number") -> Directory:
    """All members the app may see. `staff_no` is the member's field with the staff number: job_number or userid. Raises `PlatformError`."""
    root = _result(await outbound.call(api, "POST", DEPARTMENT, json={"dept_id": ROOT}))
    departments = {ROOT: Department(ROOT, 0, require_text(root, "name"))}
    waiting = deque([ROOT])
    while waiting:
        parent = waiting.popleft()
        for entry in require_list(await outbound.call(api, "POST", SUBDEPARTMENTS, json={"dept_id": parent}), "result"):
            child = Department(require_number(entry, "dept_id"), parent, require_text(entry, "name"))
            if child.id not in departments:
                departments[child.id] = child
                waiting.append(child.id)
    members: dict[str, DirectoryMember] = {}
    for department in departments:
        for entry in await _members(outbound, api, department):
            user = require_text(entry, "userid").lower()
            known = members.get(user)
            given = entry.get(staff_no)
            staff_number = given.strip() if isinstance(given, str) else ""
            member_of = dict.fromkeys([*(known.departments if known else ()), department])
            members[user] = DirectoryMember(user, require_text(entry, "name"), tuple(member_of), staff_number)
    return Directory("dingtalk", tuple(departments.values()), tuple(members.values()))


async def _members(outbound: Outbound, api: Api, department: int) -> list[dict[str, Any]]:
    members: list[dict[str, Any]] = []
    cursor = 0
    for _ in range(MOST_PAGES):
        page = _result(await outbound.call(api, "POST", MEMBERS, json={"dept_id": department, "cursor": cursor, "size": PAGE}))
        members += require_list(page, "list")
        if page.get("has_more") is not True:
            return members
        following = require_number(page, "next_cursor")
        if following <= cursor:
            break
        cursor = following
    raise PlatformError("unknown", "directory", "the pages of a department do not end")


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    result = answer.get("result")
    if not isinstance(result, dict):
        raise PlatformError("unknown", "directory", "the answer has no result")
    return result
