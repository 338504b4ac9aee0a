"""钉钉's old API on the loopback: work notifications with their results, and the contacts (bot/docs/protocols.md#dingtalk-notification)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class OldApi:
    """What was asked of it, and whom it does not reach."""

    invalid: set[str] = field(default_factory=set)
    forbidden: dict[str, str] = field(default_factory=dict)
    notices: list[Json] = field(default_factory=list)
    looks: list[Json] = field(default_factory=list)
    recalls: list[tuple[str, Json]] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)
    departments: dict[int, list[Json]] = field(default_factory=dict)
    users: dict[int, list[Json]] = field(default_factory=dict)

    def old_calls(self) -> dict[str, Callable[[Json], Json]]:
        """The calls of the old API by path (bot/docs/protocols.md#dingtalk-notification)."""

        def notify(body: Json) -> Json:
            users = body["userid_list"].split(",")
            if len(users) > 100 or len(json.dumps(body["msg"], ensure_ascii=False).encode()) > 2048:
                return {"errcode": 40035, "errmsg": "参数错误"}
            self.notices.append(body)
            text = json.dumps(body["msg"], ensure_ascii=False)
            for user in users:
                if (user, text) in self.seen:
                    self.forbidden[user] = "143106"
                self.seen.add((user, text))
            return {"errcode": 0, "errmsg": "ok", "task_id": 1000 + len(self.notices)}

        def result(body: Json) -> Json:
            self.looks.append(body)
            users = self.notices[body["task_id"] - 1001]["userid_list"].split(",")
            gone = {*self.invalid, *self.forbidden}
            listed = [{"code": code, "count": 1, "userid": user} for user, code in self.forbidden.items() if user in users]
            return {
                "errcode": 0,
                "send_result": {
                    "invalid_user_id_list": [user for user in users if user in self.invalid],
                    "forbidden_list": listed,
                    "unread_user_id_list": [user for user in users if user not in gone],
                },
            }

        def take_back(body: Json) -> Json:
            self.recalls.append(("notice", body))
            return {"errcode": 0, "errmsg": "ok"}

        def below(body: Json) -> Json:
            return {"errcode": 0, "result": self.departments.get(body["dept_id"], [])}

        def get(body: Json) -> Json:
            return {"errcode": 0, "result": {"dept_id": body["dept_id"], "name": "某局"}}

        def members(body: Json) -> Json:
            everybody = self.users.get(body["dept_id"], [])
            begin, size = body["cursor"], body["size"]
            if size > 100:
                return {"errcode": 40035, "errmsg": "参数错误"}
            more = begin + size < len(everybody)
            page: Json = {"has_more": more, "list": everybody[begin : begin + size]}
            return {"errcode": 0, "result": page | ({"next_cursor": begin + size} if more else {})}

        return {
            "/topapi/message/corpconversation/asyncsend_v2": notify,
            "/topapi/message/corpconversation/getsendresult": result,
            "/topapi/message/corpconversation/recall": take_back,
            "/topapi/v2/department/get": get,
            "/topapi/v2/department/listsub": below,
            "/topapi/v2/user/list": members,
        }
