"""`campaign`: what an administrator does in the chat, for scripts and for whoever sits at the shell; it reaches the whole agency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Annotated, Any

import typer
from sqlmodel import Session

from bot.cli.common import Apply, Json, cli, now, operator, read_settings, reading, show, writing
from bot.commands.campaign import words
from bot.domain import audience as audiences
from bot.domain import rhythm as rhythms
from bot.domain.audience import parse_audience
from bot.domain.campaign import STATE_LABELS, Author, Campaign, Preview
from bot.domain.content import describe, parse_content
from bot.domain.message import Refusal, lettered
from bot.domain.pack_days import content_of
from bot.domain.preference import CHANNELS
from bot.domain.reminder import read_deadline
from bot.domain.rhythm import parse_rhythm
from bot.domain.times import day_of
from bot.services import campaign as service
from bot.services import pack as packs
from bot.services import shelf as shelves
from bot.services.shelf import Shelf
from bot.storage import audience as people
from bot.storage import campaign as rows
from bot.storage.files import home, load_library
from bot.storage.tables import stamp

group = typer.Typer(help="活动：起草、预览、启动、暂停、停止、撤回、活动包。", no_args_is_help=True)
cli.add_typer(group, name="campaign")

Id = Annotated[int, typer.Argument(help="活动编号")]
OPEN = ("draft", "running", "paused")
MISSED = {"补发": "send", "不补": "mark"}


def author() -> Author:
    """Whoever sits at the shell reaches the whole agency."""
    return Author(operator(), "cli")


def with_shelf(work: Callable[[Session, Shelf], Any]) -> Callable[[Session], Any]:
    """Work that needs the library as its files stand, and the limits of the settings."""
    library, faults = load_library(home())
    if faults:
        raise Refusal("内容文件有错，请先运行 python -m bot check：\n" + "\n".join(str(fault) for fault in faults[:5]))
    limits = read_settings().platform_limits
    return lambda session: work(session, replace(shelves.stock(session, library), limits=limits))


def _plain(one: Campaign) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "kind": one.kind,
        "state": one.state,
        "version": one.version,
        "content": describe(one.content),
        "rhythm": rhythms.describe(one.rhythm),
        "audience": audiences.describe(one.audience),
        "clause": one.clause,
        "missed": one.missed,
        "created_by": one.created_by,
    }


def seen_plain(found: Preview) -> dict[str, Any]:
    """A preview for scripts."""
    return {
        "count": found.count,
        "names": list(found.names),
        "excluded": [{"staff_no": staff_no, "name": name, "reason": reason} for staff_no, name, reason in found.excluded],
        "due": [stamp(at) for at in found.due],
        "asks": found.asks,
        "cost": found.cost,
        "fits": found.fits,
    }


@group.command("list")
def list_(as_json: Json = False) -> None:
    """全部活动，新的在前。"""
    found = reading(lambda session: service.listed(session, author()))
    show([_plain(one) for one in found], as_json, [words.line(one) for one in found] or ["还没有活动。"])


@group.command("show")
def show_(campaign_id: Id, as_json: Json = False) -> None:
    """一个活动：内容、频次、对象、会收到的人、接下来的时间、最近几次的结果。"""

    def work(session: Session, shelf: Shelf) -> tuple[dict[str, Any], list[str]]:
        one = service.own(session, author(), campaign_id)
        found = service.preview(session, shelf, shelf.library.calendar, one.audience, one.rhythm, now(), one.content)
        past = rows.latest(session, campaign_id)
        counts = {occurrence.id: rows.progress(session, occurrence.id) for occurrence in past}
        last = [{"id": each.id, "due": stamp(each.due), "state": each.state, "note": each.note, "deliveries": dict(counts[each.id])} for each in past]
        return {**_plain(one), "preview": seen_plain(found), "occurrences": last}, [
            *words.plan(one),
            *(words.seen(found) if one.state in OPEN else []),
            *words.past(past, counts),
        ]

    result, lines = reading(with_shelf(work))
    show(result, as_json, lines)


@group.command("preview")
def preview(
    to: Annotated[str, typer.Option("--to", help="对象，例如 单位=某局/办公室（含下级） 且 层级=公务员")] = "全员",
    every: Annotated[str, typer.Option("--every", help="频次，例如 每个工作日 09:00")] = "每个工作日 09:00",
    as_json: Json = False,
) -> None:
    """不建活动，只看会发给谁、不发给谁和为什么、接下来什么时候。"""

    def work(session: Session, shelf: Shelf) -> Preview:
        audience = service.reach(session, author(), parse_audience(to))
        return service.preview(session, shelf, shelf.library.calendar, audience, parse_rhythm(every), now())

    found = reading(with_shelf(work))
    show(seen_plain(found), as_json, words.seen(found))


@group.command("new")
def new(
    name: Annotated[str, typer.Option("--name", help="名称")],
    send: Annotated[str, typer.Option("--send", help="内容：每日；课 编号；连载 法律；通知 正文；投票 问题/甲/乙")],
    every: Annotated[str, typer.Option("--every", help="频次，例如 每个工作日 09:00；国家宪法日 09:00；2026-03-05 09:00")],
    to: Annotated[str, typer.Option("--to", help="对象")] = "全员",
    clause: Annotated[str, typer.Option("--clause", help="依据，例如 年度要点第二条")] = "",
    missed: Annotated[str, typer.Option("--missed", help="错过了：补发 或 不补")] = "补发",
    deadline: Annotated[str, typer.Option("--deadline", help="期限：5个工作日 或 2026-03-20，到期前后自动提醒")] = "",
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """起草一个活动；不加 --apply 只预览。起草后用 campaign start 启动。"""

    def look(session: Session, shelf: Shelf) -> Preview:
        content = parse_content(send, shelf.library)
        audience = service.reach(session, author(), parse_audience(to))
        return service.preview(session, shelf, shelf.library.calendar, audience, parse_rhythm(every), now(), content)

    def make(session: Session, shelf: Shelf) -> int:
        content = parse_content(send, shelf.library)
        return service.create(
            session,
            shelf,
            author(),
            name,
            content,
            parse_rhythm(every),
            parse_audience(to),
            now(),
            clause=clause,
            missed=MISSED.get(missed, missed),
            delivery=read_deadline(deadline, day_of(now())) if deadline else None,
        )

    found = reading(with_shelf(look))
    made = writing(with_shelf(make)) if apply else None
    end = f"已起草，编号 {made}。启动：python -m bot campaign start {made}" if made else "以上是预演，什么都没有写。"
    show({"id": made, "applied": apply, **seen_plain(found)}, as_json, [*words.seen(found), end])


@group.command("start")
def start(campaign_id: Id, as_json: Json = False) -> None:
    """启动一个草稿；超出平台额度、或没有要发的时间时不启动。"""
    act(campaign_id, as_json, lambda session, shelf: service.start(session, shelf, author(), campaign_id, now()))


@group.command("pause")
def pause(
    campaign_id: Annotated[int | None, typer.Argument(help="活动编号")] = None,
    everything: Annotated[bool, typer.Option("--all", help="暂停全部推送")] = False,
    reason: Annotated[str, typer.Option("--reason", help="原因")] = "",
    as_json: Json = False,
) -> None:
    """暂停一个活动；--all 在紧急时停下所有推送，答题和考试不受影响。"""
    if everything:
        done = writing(lambda session: service.pause_all(session, author(), reason, now()))
        show({"paused": True, "changed": done}, as_json, "全部推送已暂停。" if done else "全部推送早已暂停。")
        return
    number = _number(campaign_id)
    act(number, as_json, lambda session, shelf: service.pause(session, author(), number, reason, now()))


@group.command("resume")
def resume(
    campaign_id: Annotated[int | None, typer.Argument(help="活动编号")] = None,
    everything: Annotated[bool, typer.Option("--all", help="恢复全部推送")] = False,
    as_json: Json = False,
) -> None:
    """恢复一个活动，或用 --all 恢复所有推送。"""
    if everything:
        done = writing(lambda session: service.resume_all(session, author(), now()))
        show({"paused": False, "changed": done}, as_json, "全部推送已恢复。" if done else "全部推送没有暂停。")
        return
    number = _number(campaign_id)
    act(number, as_json, lambda session, shelf: service.resume(session, shelf.library.calendar, author(), number, now()))


def _number(given: int | None) -> int:
    if given is None:
        raise typer.BadParameter("请写活动编号，或用 --all。")
    return given


@group.command("stop")
def stop(campaign_id: Id, reason: Annotated[str, typer.Option("--reason", help="原因")] = "", as_json: Json = False) -> None:
    """停止：不再触发，排队的取消。"""
    act(campaign_id, as_json, lambda session, shelf: service.stop(session, author(), campaign_id, reason, now()))


@group.command("skip")
def skip(campaign_id: Id, day: Annotated[str, typer.Argument(help="日期，如 2026-05-06")], as_json: Json = False) -> None:
    """某一天不发。"""
    try:
        when = date.fromisoformat(day)
    except ValueError:
        raise typer.BadParameter("日期应写作 2026-05-06。") from None
    act(campaign_id, as_json, lambda session, shelf: service.skip_date(session, shelf, author(), campaign_id, when, now()))


@group.command("recall")
def recall(campaign_id: Id, as_json: Json = False) -> None:
    """最近一次作废：排队的不发，已发的由平台撤回，并告诉收到的人。"""
    found = writing(lambda session: service.recall(session, author(), campaign_id, now()))
    sent = [{"delivery": delivery, "channel": channel, "platform_id": platform_id} for delivery, channel, platform_id in found.sent]
    show({"skipped": found.skipped, "sent": sent}, as_json, f"最近一次已作废：{found.skipped} 条未发，{len(sent)} 条已发出。")


@group.command("test")
def try_(
    campaign_id: Id,
    to: Annotated[str, typer.Option("--to", help="工号")],
    apply: Annotated[bool, typer.Option("--apply", help="真的发给这个人，他绑定的每个渠道各一条；不加则只打印")] = False,
    as_json: Json = False,
) -> None:
    """打印某人会看到的原样；加 --apply 就在他绑定的每个渠道上各试发一条。"""

    def work(session: Session, shelf: Shelf) -> tuple[str, list[str]]:
        person_id = people.person_numbered(session, to)
        if person_id is None:
            raise Refusal(f"没有工号 {to}。")
        text = lettered(service.test_send(session, shelf, campaign_id, person_id))
        return text, service.try_out(session, author(), campaign_id, person_id, now()) if apply else []

    text, channels = (writing if apply else reading)(with_shelf(work))
    sent = [f"已排队试发：{'、'.join(CHANNELS[one] for one in channels)}" if channels else "没有绑定任何渠道，没有发。"] if apply else []
    show({"text": text, "channels": channels}, as_json, [text, *sent])


@group.command("pack")
def pack(
    name: Annotated[str, typer.Argument(help="活动包名称，如 国家宪法日；不写则列出")] = "",
    to: Annotated[str, typer.Option("--to", help="对象")] = "全员",
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """普法日活动包：列出各项和日期；加 --apply 一次起草。"""
    if not name:
        _list_packs(as_json)
        return
    if apply:
        made = writing(with_shelf(lambda session, shelf: packs.draft(session, shelf, author(), name, now(), parse_audience(to))))
        show([_plain(one) for one in made], as_json, [*(words.line(one) for one in made), "已起草。"])
        return

    def look(session: Session, shelf: Shelf) -> list[tuple[str, str]]:
        head, _, tail = name.rpartition(" ")
        year = int(tail) if head and tail.isdigit() else None
        items = packs.ahead(shelf, packs.find(shelf, head if year else name), now(), year)
        return [(item.name, f"{rhythms.describe(rhythm)}　{describe(content_of(item))}") for item, rhythm in items]

    found = reading(with_shelf(look))
    show([{"name": one, "plan": plan} for one, plan in found], as_json, [*(f"{one}　{plan}" for one, plan in found), "以上是预演，什么都没有写。"])


def _list_packs(as_json: bool) -> None:
    library, _ = load_library(home())
    found = [{"name": one.name, "law_day": one.law_day, "items": len(one.items), "about": one.about} for one in library.packs.values()]
    show(found, as_json, [f"{one['name']}：{one['items']} 项，{one['about']}" for one in found])


def act(campaign_id: int, as_json: bool, do: Callable[[Session, Shelf], Any]) -> None:
    """Do it and show the campaign as it stands then."""

    def work(session: Session, shelf: Shelf) -> Campaign:
        do(session, shelf)
        return service.own(session, author(), campaign_id)

    one = writing(with_shelf(work))
    show(_plain(one), as_json, f"活动 {one.id}「{one.name}」{STATE_LABELS[one.state]}（第 {one.version} 版）。")
