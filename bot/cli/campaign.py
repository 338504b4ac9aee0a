"""`campaign`: what an administrator does in the chat, for scripts and for whoever sits at the shell; it reaches the whole agency.

`campaign push`, `change`, `nudge`: what an administrator says in the chat as 推送, 活动 改 and 催学, for scripts.

`campaign progress`: a bar while a campaign goes out, then who was not reached and why. `campaign budget`: what the platforms still allow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from sqlmodel import Session

from bot.cli.common import Apply, Json, cli, now, open_checked_engine, operator, progress, read_settings, reading, show, writing
from bot.commands.campaign import messages
from bot.domain.campaign import schedule
from bot.domain.campaign.campaign import DELIVERY_LABELS, STATE_LABELS, Author, Campaign, CampaignPreview, content_of
from bot.domain.campaign.content import describe_content, parse_content
from bot.domain.campaign.schedule import at_once, parse_schedule
from bot.domain.delivery.reminders import names_text, read_deadline
from bot.domain.message import Refusal, lettered
from bot.domain.people import audience as people_audience
from bot.domain.people.audience import parse_audience
from bot.domain.people.person import CHANNELS
from bot.domain.times import day_of
from bot.services.campaign import manage, packs
from bot.services.campaign import push as campaign_push
from bot.services.delivery import nudge
from bot.services.delivery import progress as delivery_progress
from bot.services.delivery.progress import DeliveryProgress
from bot.services.library import catalog as library_catalog
from bot.services.library.catalog import Catalog
from bot.storage import campaign
from bot.storage.db.database import Database
from bot.storage.delivery import quota, recipients
from bot.storage.files.loader import home, load_library
from bot.storage.people import audience as audience_rows
from bot.storage.tables.columns import stamp

group = typer.Typer(help="活动：起草、预览、启动、暂停、停止、撤回、活动包。", no_args_is_help=True)
cli.add_typer(group, name="campaign")

Id = Annotated[int, typer.Argument(help="活动编号")]
OPEN = ("draft", "running", "paused")
MISSED = {"补发": "send", "不补": "mark"}


def author() -> Author:
    """Whoever sits at the shell reaches the whole agency."""
    return Author(operator(), "cli")


def with_catalog(work: Callable[[Session, Catalog], Any]) -> Callable[[Session], Any]:
    """Work that needs the library as its files stand, and the limits of the settings."""
    library, faults = load_library(home())
    if faults:
        raise Refusal("内容文件有错，请先运行 python -m bot check：\n" + "\n".join(str(fault) for fault in faults[:5]))
    limits = read_settings().platform_limits
    return lambda session: work(session, replace(library_catalog.stock(session, library), limits=limits))


def _campaign_plain(one: Campaign) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "kind": one.kind,
        "state": one.state,
        "version": one.version,
        "content": describe_content(one.content),
        "rhythm": schedule.describe_schedule(one.rhythm),
        "audience": people_audience.describe_audience(one.audience),
        "clause": one.clause,
        "missed": one.missed,
        "created_by": one.created_by,
    }


def seen_plain(found: CampaignPreview) -> dict[str, Any]:
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
    found = reading(lambda session: manage.listed(session, author()))
    show([_campaign_plain(one) for one in found], as_json, [messages.line(one) for one in found] or ["还没有活动。"])


@group.command("show")
def show_(campaign_id: Id, as_json: Json = False) -> None:
    """一个活动：内容、频次、对象、会收到的人、接下来的时间、最近几次的结果。"""

    def work(session: Session, catalog: Catalog) -> tuple[dict[str, Any], list[str]]:
        one = manage.own(session, author(), campaign_id)
        found = manage.preview(session, catalog, catalog.library.calendar, one.audience, one.rhythm, now(), one.content)
        past = campaign.latest(session, campaign_id)
        counts = {occurrence.id: campaign.progress(session, occurrence.id) for occurrence in past}
        last = [{"id": each.id, "due": stamp(each.due), "state": each.state, "note": each.note, "deliveries": dict(counts[each.id])} for each in past]
        return {**_campaign_plain(one), "preview": seen_plain(found), "occurrences": last}, [
            *messages.plan(one),
            *(messages.seen(found) if one.state in OPEN else []),
            *messages.past(past, counts),
        ]

    result, lines = reading(with_catalog(work))
    show(result, as_json, lines)


@group.command("preview")
def preview(
    to: Annotated[str, typer.Option("--to", help="对象，例如 单位=某局/办公室（含下级） 且 层级=公务员")] = "全员",
    every: Annotated[str, typer.Option("--every", help="频次，例如 每个工作日 09:00")] = "每个工作日 09:00",
    as_json: Json = False,
) -> None:
    """不建活动，只看会发给谁、不发给谁和为什么、接下来什么时候。"""

    def work(session: Session, catalog: Catalog) -> CampaignPreview:
        audience = manage.reach(session, author(), parse_audience(to))
        return manage.preview(session, catalog, catalog.library.calendar, audience, parse_schedule(every), now())

    found = reading(with_catalog(work))
    show(seen_plain(found), as_json, messages.seen(found))


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

    def look(session: Session, catalog: Catalog) -> CampaignPreview:
        content = parse_content(send, catalog.library)
        audience = manage.reach(session, author(), parse_audience(to))
        return manage.preview(session, catalog, catalog.library.calendar, audience, parse_schedule(every), now(), content)

    def make(session: Session, catalog: Catalog) -> int:
        content = parse_content(send, catalog.library)
        return manage.create(
            session,
            catalog,
            author(),
            name,
            content,
            parse_schedule(every),
            parse_audience(to),
            now(),
            clause=clause,
            missed=MISSED.get(missed, missed),
            delivery=read_deadline(deadline, day_of(now())) if deadline else None,
        )

    found = reading(with_catalog(look))
    made = writing(with_catalog(make)) if apply else None
    end = f"已起草，编号 {made}。启动：python -m bot campaign start {made}" if made else "以上是预演，什么都没有写。"
    show({"id": made, "applied": apply, **seen_plain(found)}, as_json, [*messages.seen(found), end])


@group.command("start")
def start(campaign_id: Id, as_json: Json = False) -> None:
    """启动一个草稿；超出平台额度、或没有要发的时间时不启动。"""
    act(campaign_id, as_json, lambda session, catalog: manage.start(session, catalog, author(), campaign_id, now()))


@group.command("pause")
def pause(
    campaign_id: Annotated[int | None, typer.Argument(help="活动编号")] = None,
    everything: Annotated[bool, typer.Option("--all", help="暂停全部推送")] = False,
    reason: Annotated[str, typer.Option("--reason", help="原因")] = "",
    as_json: Json = False,
) -> None:
    """暂停一个活动；--all 在紧急时停下所有推送，答题和考试不受影响。"""
    if everything:
        done = writing(lambda session: manage.pause_all(session, author(), reason, now()))
        show({"paused": True, "changed": done}, as_json, "全部推送已暂停。" if done else "全部推送早已暂停。")
        return
    number = _number(campaign_id)
    act(number, as_json, lambda session, catalog: manage.pause(session, author(), number, reason, now()))


@group.command("resume")
def resume(
    campaign_id: Annotated[int | None, typer.Argument(help="活动编号")] = None,
    everything: Annotated[bool, typer.Option("--all", help="恢复全部推送")] = False,
    as_json: Json = False,
) -> None:
    """恢复一个活动，或用 --all 恢复所有推送。"""
    if everything:
        done = writing(lambda session: manage.resume_all(session, author(), now()))
        show({"paused": False, "changed": done}, as_json, "全部推送已恢复。" if done else "全部推送没有暂停。")
        return
    number = _number(campaign_id)
    act(number, as_json, lambda session, catalog: manage.resume(session, catalog.library.calendar, author(), number, now()))


def _number(given: int | None) -> int:
    if given is None:
        raise typer.BadParameter("请写活动编号，或用 --all。")
    return given


@group.command("stop")
def stop(campaign_id: Id, reason: Annotated[str, typer.Option("--reason", help="原因")] = "", as_json: Json = False) -> None:
    """停止：不再触发，排队的取消。"""
    act(campaign_id, as_json, lambda session, catalog: manage.stop(session, author(), campaign_id, reason, now()))


@group.command("skip")
def skip(campaign_id: Id, day: Annotated[str, typer.Argument(help="日期，如 2026-05-06")], as_json: Json = False) -> None:
    """某一天不发。"""
    try:
        when = date.fromisoformat(day)
    except ValueError:
        raise typer.BadParameter("日期应写作 2026-05-06。") from None
    act(campaign_id, as_json, lambda session, catalog: manage.skip_date(session, catalog, author(), campaign_id, when, now()))


@group.command("recall")
def recall(campaign_id: Id, as_json: Json = False) -> None:
    """最近一次作废：排队的不发，已发的由平台撤回，并告诉收到的人。"""
    found = writing(lambda session: manage.recall(session, author(), campaign_id, now()))
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

    def work(session: Session, catalog: Catalog) -> tuple[str, list[str]]:
        person_id = audience_rows.person_numbered(session, to)
        if person_id is None:
            raise Refusal(f"没有工号 {to}。")
        text = lettered(campaign_push.test_send(session, catalog, campaign_id, person_id))
        return text, campaign_push.try_out(session, author(), campaign_id, person_id, now()) if apply else []

    text, channels = (writing if apply else reading)(with_catalog(work))
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
        made = writing(with_catalog(lambda session, catalog: packs.draft(session, catalog, author(), name, now(), parse_audience(to))))
        show([_campaign_plain(one) for one in made], as_json, [*(messages.line(one) for one in made), "已起草。"])
        return

    def look(session: Session, catalog: Catalog) -> list[tuple[str, str]]:
        head, _, tail = name.rpartition(" ")
        year = int(tail) if head and tail.isdigit() else None
        items = packs.ahead(catalog, packs.find(catalog, head if year else name), now(), year)
        return [(item.name, f"{schedule.describe_schedule(rhythm)}　{describe_content(content_of(item))}") for item, rhythm in items]

    found = reading(with_catalog(look))
    show([{"name": one, "plan": plan} for one, plan in found], as_json, [*(f"{one}　{plan}" for one, plan in found), "以上是预演，什么都没有写。"])


def _list_packs(as_json: bool) -> None:
    library, _ = load_library(home())
    found = [{"name": one.name, "law_day": one.law_day, "items": len(one.items), "about": one.about} for one in library.packs.values()]
    show(found, as_json, [f"{one['name']}：{one['items']} 项，{one['about']}" for one in found])


def act(campaign_id: int, as_json: bool, do: Callable[[Session, Catalog], Any]) -> None:
    """Do it and show the campaign as it stands then."""

    def work(session: Session, catalog: Catalog) -> Campaign:
        do(session, catalog)
        return manage.own(session, author(), campaign_id)

    one = writing(with_catalog(work))
    show(_campaign_plain(one), as_json, f"活动 {one.id}「{one.name}」{STATE_LABELS[one.state]}（第 {one.version} 版）。")


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

    def look(session: Session, catalog: Catalog) -> CampaignPreview:
        content, audience = parse_content(send, catalog.library), manage.reach(session, author(), parse_audience(to))
        return manage.preview(session, catalog, catalog.library.calendar, audience, at_once(now()), now(), content)

    def make(session: Session, catalog: Catalog) -> tuple[int, int, int]:
        made = campaign_push.draft_push(session, catalog, author(), parse_content(send, catalog.library), parse_audience(to), now(), clause)
        fired = campaign_push.confirm_push(session, catalog, catalog.library.calendar, author(), made, now())
        return made, fired.invited, fired.excluded

    found = reading(with_catalog(look))
    if apply and not found.count:
        raise Refusal("没有人会收到，没有发。")
    made = writing(with_catalog(make)) if apply else None
    result = {"id": made[0], "invited": made[1]} if made else {"id": None}
    end = f"推送 {made[0]} 已排队：{made[1]} 人，{made[2]} 人不发。看进度：python -m bot campaign progress {made[0]}" if made else DRY
    show({**result, "applied": apply, **seen_plain(found)}, as_json, [*messages.seen(found), end])


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

    def work(session: Session, catalog: Catalog) -> None:
        changed: dict[str, Any] = {
            **({"name": name} if name else {}),
            **({"content": parse_content(send, catalog.library)} if send else {}),
            **({"rhythm": parse_schedule(every)} if every else {}),
            **({"audience": parse_audience(to)} if to else {}),
            **({"clause": clause} if clause else {}),
            **({"missed": MISSED.get(missed, missed)} if missed else {}),
        }
        if not changed and not deadline:
            raise Refusal("没有写改什么：用 --name --send --every --to --clause --missed --deadline 中的一项或几项。")
        if changed:
            manage.change(session, catalog, author(), campaign_id, now(), **changed)
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
    found = reading(with_catalog(lambda session, catalog: nudge.look(session, catalog, author(), about, now())))

    def send(session: Session, catalog: Catalog) -> int:
        return nudge.confirm(session, catalog, author(), nudge.draft(session, catalog, author(), about, now()).id, now())

    sent = writing(with_catalog(send)) if apply else None
    lines = [
        f"「{found.about}」要催 {len(found.names)} 人：{names_text([f'{name}（{staff_no}）' for name, staff_no in found.names])}",
        *([f"其中 {found.reminded} 人今天已提醒过，不再发第二次。"] if found.reminded else []),
        f"已排队：{sent} 人。" if sent is not None else DRY,
    ]
    people = [{"staff_no": staff_no, "name": name} for name, staff_no in found.names]
    show({"about": found.about, "people": people, "reminded": found.reminded, "applied": apply, "sent": sent}, as_json, lines)


def _list(as_json: bool) -> None:
    found = reading(with_catalog(lambda session, catalog: nudge.open_campaigns(session, catalog, author(), now())))
    plain = [
        {"id": one.campaign.id, "name": one.campaign.name, "content": describe_content(one.task.content), "open": len(one.people)} for one in found
    ]
    lines = [f"{one['id']}. {one['name']}　{one['content']}　还有 {one['open']} 人没完成" for one in plain]
    show(plain, as_json, lines or ["没有活动还有人没完成。"])


EVERY = 0.5
UNITS = {"call": "次调用", "message": "人次"}


def _progress_plain(found: DeliveryProgress) -> dict[str, Any]:
    return {
        "campaign": found.campaign_id,
        "name": found.name,
        "occurrence": found.occurrence_id,
        "due": stamp(found.due),
        "counts": dict(found.counts),
        "whole": found.whole,
        "ended": found.ended,
        "reasons": [{"state": state, "reason": reason, "count": count} for state, reason, count in found.reasons],
        "missed": [asdict(one) for one in found.missed],
    }


@group.command("progress")
def progress_(
    campaign_id: Id,
    watch: Annotated[bool, typer.Option("--watch/--once", help="一直看到发完；--once 只看一眼")] = True,
    as_json: Json = False,
) -> None:
    """看一个活动最近一次发到哪里了：进度条、各状态人数、没有送达的名单和原因。"""
    database = Database(open_checked_engine(read_settings()))
    try:
        found = database.read_now(lambda session: delivery_progress.progress(session, campaign_id))
        if watch and not as_json and not found.is_over and progress.is_terminal:
            found = _watched(database, found)
    finally:
        database.engine.dispose()
    show(_progress_plain(found), as_json, str(found))


@group.command("budget")
def budget_(as_json: Json = False) -> None:
    """各平台的额度：允许多少、机器人最多用多少（80%）、已用多少、还剩多少。"""
    limits = [limit for limit in read_settings().platform_limits if not limit.per_person]

    def look(session: Session) -> list[dict[str, Any]]:
        accounts = recipients.accounts_on(session)
        left = quota.left(session, limits, accounts, now())
        rooms = {limit.key(): limit.room(accounts.get(limit.channel, 0)) for limit in limits}
        return [
            {
                "name": limit.key(),
                "allowed": limit.most,
                "each_account": limit.each_account,
                "room": rooms[limit.key()],
                "used": rooms[limit.key()] - left[limit.key()],
                "left": left[limit.key()],
            }
            for limit in limits
        ]

    found = reading(look)
    lines = [
        f"{CHANNELS[limit.channel]}　{limit.title}　平台允许 {limit.most} {UNITS[limit.unit]}{'（每个账号）' if limit.each_account else ''}，"
        f"最多用 {one['room']}，已用 {one['used']}，还剩 {one['left']}"
        for limit, one in zip(limits, found, strict=True)
    ]
    show(found, as_json, [*lines, "允许数与公开标准不同的，写进 BOT_LIMITS__PLATFORM，例如 dingtalk/corp/month=205000。"])


def _watched(database: Database, found: DeliveryProgress) -> DeliveryProgress:
    """The bar, until everything has ended or somebody presses Ctrl+C."""
    campaign_id = found.campaign_id

    def look(session: Session) -> DeliveryProgress:
        return delivery_progress.progress(session, campaign_id)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[states]}"))
    try:
        with Bar(*columns, console=progress) as shown:
            task = shown.add_task(found.name, total=found.whole, completed=found.ended, states="")
            while not found.is_over:
                time.sleep(EVERY)
                found = database.read_now(look)
                states = " ".join(f"{DELIVERY_LABELS[state]} {count}" for state, count in sorted(found.counts.items()))
                shown.update(task, total=found.whole, completed=found.ended, states=states)
    except KeyboardInterrupt:
        progress.print("不再看了，发送照常进行。", markup=False, highlight=False)
    return found
