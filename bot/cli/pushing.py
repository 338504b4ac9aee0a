"""`campaign push`, `change`, `nudge`: what an administrator says in the chat as 推送, 活动 改 and 催学, for scripts."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlmodel import Session

from bot.cli.campaign import MISSED, Id, act, author, group, seen_plain, with_shelf
from bot.cli.common import Apply, Json, now, reading, show, writing
from bot.commands.campaign import words
from bot.domain.audience import parse_audience
from bot.domain.campaign import Preview
from bot.domain.content import describe, parse_content
from bot.domain.message import Refusal
from bot.domain.reminder import names_text
from bot.domain.rhythm import at_once, parse_rhythm
from bot.services import campaign as service
from bot.services.reminders import nudge
from bot.services.shelf import Shelf

DRY = "以上是预演，什么都没有写，也没有发。"


@group.command("push")
def push(
    send: Annotated[str, typer.Option("--send", help="内容：通知 正文；通知（回执）正文；投票 问题/甲/乙；课 编号；每日")],
    to: Annotated[str, typer.Option("--to", help="对象，例如 单位=某局/办公室（含下级）")],
    clause: Annotated[str, typer.Option("--clause", help="依据，例如 年度要点第二条")] = "",
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """马上发一次；不加 --apply 只看会发给谁、要用多少额度。"""

    def look(session: Session, shelf: Shelf) -> Preview:
        content, audience = parse_content(send, shelf.library), service.reach(session, author(), parse_audience(to))
        return service.preview(session, shelf, shelf.library.calendar, audience, at_once(now()), now(), content)

    def make(session: Session, shelf: Shelf) -> tuple[int, int, int]:
        made = service.draft_push(session, shelf, author(), parse_content(send, shelf.library), parse_audience(to), now(), clause)
        fired = service.confirm_push(session, shelf, shelf.library.calendar, author(), made, now())
        return made, fired.invited, fired.excluded

    found = reading(with_shelf(look))
    if apply and not found.count:
        raise Refusal("没有人会收到，没有发。")
    made = writing(with_shelf(make)) if apply else None
    result = {"id": made[0], "invited": made[1]} if made else {"id": None}
    end = f"推送 {made[0]} 已排队：{made[1]} 人，{made[2]} 人不发。看进度：python -m bot campaign progress {made[0]}" if made else DRY
    show({**result, "applied": apply, **seen_plain(found)}, as_json, [*words.seen(found), end])


@group.command("change")
def change(
    campaign_id: Id,
    name: Annotated[str, typer.Option("--name", help="名称")] = "",
    send: Annotated[str, typer.Option("--send", help="内容")] = "",
    every: Annotated[str, typer.Option("--every", help="频次")] = "",
    to: Annotated[str, typer.Option("--to", help="对象")] = "",
    clause: Annotated[str, typer.Option("--clause", help="依据")] = "",
    missed: Annotated[str, typer.Option("--missed", help="错过了：补发 或 不补")] = "",
    deadline: Annotated[str, typer.Option("--deadline", help="期限：5个工作日、2026-03-20 或 取消")] = "",
    as_json: Json = False,
) -> None:
    """改一个活动，写哪项改哪项；正在进行的马上按新的来。"""

    def work(session: Session, shelf: Shelf) -> None:
        changed: dict[str, Any] = {
            **({"name": name} if name else {}),
            **({"content": parse_content(send, shelf.library)} if send else {}),
            **({"rhythm": parse_rhythm(every)} if every else {}),
            **({"audience": parse_audience(to)} if to else {}),
            **({"clause": clause} if clause else {}),
            **({"missed": MISSED.get(missed, missed)} if missed else {}),
        }
        if not changed and not deadline:
            raise Refusal("没有写改什么：用 --name --send --every --to --clause --missed --deadline 中的一项或几项。")
        if changed:
            service.change(session, shelf, author(), campaign_id, now(), **changed)
        if deadline:
            nudge.set_deadline(session, author(), campaign_id, deadline, now())

    act(campaign_id, as_json, work)


@group.command("nudge")
def nudge_(
    campaign_id: Annotated[int | None, typer.Argument(help="活动编号；不写则列出还有人没完成的活动")] = None,
    hours: Annotated[bool, typer.Option("--hours", help="催今年学时进度落后的人")] = False,
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """催学：没完成的人有哪些；加 --apply 才发，每人每天最多一次提醒。"""
    if campaign_id is None and not hours:
        _list(as_json)
        return
    about = None if hours else campaign_id
    found = reading(with_shelf(lambda session, shelf: nudge.look(session, shelf, author(), about, now())))

    def send(session: Session, shelf: Shelf) -> int:
        return nudge.confirm(session, shelf, author(), nudge.draft(session, shelf, author(), about, now()).id, now())

    sent = writing(with_shelf(send)) if apply else None
    lines = [
        f"「{found.about}」要催 {len(found.names)} 人：{names_text([f'{name}（{staff_no}）' for name, staff_no in found.names])}",
        *([f"其中 {found.reminded} 人今天已提醒过，不再发第二次。"] if found.reminded else []),
        f"已排队：{sent} 人。" if sent is not None else DRY,
    ]
    people = [{"staff_no": staff_no, "name": name} for name, staff_no in found.names]
    show({"about": found.about, "people": people, "reminded": found.reminded, "applied": apply, "sent": sent}, as_json, lines)


def _list(as_json: bool) -> None:
    found = reading(with_shelf(lambda session, shelf: nudge.open_campaigns(session, shelf, author(), now())))
    plain = [{"id": one.campaign.id, "name": one.campaign.name, "content": describe(one.task.content), "open": len(one.people)} for one in found]
    lines = [f"{one['id']}. {one['name']}　{one['content']}　还有 {one['open']} 人没完成" for one in plain]
    show(plain, as_json, lines or ["没有活动还有人没完成。"])
