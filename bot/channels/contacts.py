"""Reads departments and members of a corporation from WeCom and DingTalk (bot/docs/protocols.md#wecom-contacts, #dingtalk-contacts)."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

from bot.channels.outbound.apis import Api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.domain.people.person import Department, Directory, DirectoryMember

WECOM_DEPARTMENTS = "/cgi-bin/department/list"
WECOM_MEMBERS = "/cgi-bin/user/list"
STAFF_NO = "工号"
LEFT_STATUS = 5


async def read_wecom_directory(outbound: Outbound, api: Api, *, staff_no: str = STAFF_NO) -> Directory:
    """All members the app may see. `staff_no` names the extended attribute that holds the staff number, or is "userid". Raises `PlatformError`."""
    listed = require_list(await outbound.call(api, "GET", WECOM_DEPARTMENTS), "department")
    departments = [Department(require_number(entry, "id"), require_number(entry, "parentid"), require_text(entry, "name")) for entry in listed]
    members: dict[str, DirectoryMember] = {}
    for department in departments:
        answer = await outbound.call(api, "GET", WECOM_MEMBERS, params={"department_id": str(department.id)})
        for entry in require_list(answer, "userlist"):
            user = require_text(entry, "userid").lower()
            if entry.get("status") == LEFT_STATUS:
                continue
            before = members.get(user)
            main = entry.get("main_department")
            main_departments = [main] if isinstance(main, int) and not isinstance(main, bool) else []
            member_of = dict.fromkeys([*main_departments, *(before.departments if before else ()), department.id])
            members[user] = DirectoryMember(user, require_text(entry, "name"), tuple(member_of), _staff_no(entry, user, staff_no))
    known = {department.id for department in departments}
    entries = [replace(member, departments=tuple(number for number in member.departments if number in known)) for member in members.values()]
    return Directory("wecom", tuple(departments), tuple(entries))


def _staff_no(member: dict[str, Any], user: str, attribute: str) -> str:
    if attribute == "userid":
        return user
    extended = member.get("extattr")
    attributes = extended.get("attrs") if isinstance(extended, dict) else None
    for entry in attributes if isinstance(attributes, list) else []:
        if isinstance(entry, dict) and entry.get("name") == attribute:
            text = entry.get("text")
            value = text.get("value") if isinstance(text, dict) else entry.get("value")
            return value.strip() if isinstance(value, str) else ""
    return ""


def require_list(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects in an answer; raises PlatformError otherwise, so that a partial directory is not taken for a complete one."""
    listed = answer.get(name)
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise PlatformError("unknown", "directory", f"the answer has no list named {name}")
    return listed


def require_number(entry: dict[str, Any], name: str) -> int:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise PlatformError("unknown", "directory", f"{name} is no number")
    return value


def require_text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value.strip():
        raise PlatformError("unknown", "directory", f"{name} is missing")
    return value.strip()


DEPARTMENT = "/topapi/v2/department/get"
SUBDEPARTMENTS = "/topapi/v2/department/listsub"
MEMBERS = "/topapi/v2/user/list"
ROOT = 1
PAGE = 100
MOST_PAGES = 1_000


async def read_dingtalk_directory(outbound: Outbound, api: Api, *, staff_no: str = "job_number") -> Directory:
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
        for entry in await _dingtalk_members(outbound, api, department):
            user = require_text(entry, "userid").lower()
            known = members.get(user)
            given = entry.get(staff_no)
            staff_number = given.strip() if isinstance(given, str) else ""
            member_of = dict.fromkeys([*(known.departments if known else ()), department])
            members[user] = DirectoryMember(user, require_text(entry, "name"), tuple(member_of), staff_number)
    return Directory("dingtalk", tuple(departments.values()), tuple(members.values()))


async def _dingtalk_members(outbound: Outbound, api: Api, department: int) -> list[dict[str, Any]]:
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
