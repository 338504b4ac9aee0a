"""`campaign`: what an administrator does in the chat, for scripts and at the shell, where it reaches the whole agency.

`progress` shows a bar while a campaign goes out, then who was not reached and why; `budget` what the platforms still allow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from sqlmodel import Session

from bot.cli.common import Apply, Json, cli, now, open_checked_engine, operator, progress, read_settings, reading, show, writing
from bot.cli.dry_run import with_catalog
from bot.commands.campaign import messages
from bot.domain.campaign.campaign import DELIVERY_LABELS, STATE_LABELS, Author, Campaign, CampaignPreview, pack_item_content
from bot.domain.campaign.content import describe_content, parse_content
from bot.domain.campaign.schedule import describe_schedule, immediate_schedule, parse_schedule
from bot.domain.delivery.reminders import names_text, parse_deadline
from bot.domain.message import Refusal, plain_text
from bot.domain.people import audience as people_audience
from bot.domain.people.audience import parse_audience
from bot.domain.people.person import CHANNELS
from bot.domain.times import day_of
from bot.services.campaign import manage, packs
from bot.services.campaign import push as campaign_push
from bot.services.delivery import nudge
from bot.services.delivery import progress as delivery_progress
from bot.services.delivery.progress import DeliveryProgress
from bot.services.library.catalog import Catalog
from bot.storage import campaign
from bot.storage.db.database import Database
from bot.storage.delivery import outcomes, quota, recipients
from bot.storage.files.loader import data_root, load_library
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


def _campaign_json(row: Campaign) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "state": row.state,
        "version": row.version,
        "content": describe_content(row.content),
        "rhythm": describe_schedule(row.schedule),
        "audience": people_audience.describe_audience(row.audience),
        "clause": row.clause,
        "missed": row.missed,
        "created_by": row.created_by,
    }


def preview_json(preview: CampaignPreview) -> dict[str, Any]:
    """A preview for scripts."""
    return {
        "count": preview.count,
        "names": list(preview.names),
        "excluded": [{"staff_no": staff_no, "name": name, "reason": reason} for staff_no, name, reason in preview.excluded],
        "due": [stamp(due_at) for due_at in preview.due],
        "asks": preview.asks,
        "cost": preview.cost,
        "fits": preview.fits,
    }


@group.command("list")
def list_(as_json: Json = False) -> None:
    """全部活动，新的在前。"""
    campaigns = reading(lambda session: manage.visible_campaigns(session, author()))
    show([_campaign_json(row) for row in campaigns], as_json, [messages.campaign_line(row) for row in campaigns] or ["还没有活动。"])


@group.command("show")
def show_(campaign_id: Id, as_json: Json = False) -> None:
    """一个活动：内容、频次、对象、会收到的人、接下来的时间、最近几次的结果。"""

    def work(session: Session, catalog: Catalog) -> tuple[dict[str, Any], list[str]]:
        row = manage.require_campaign(session, author(), campaign_id)
        campaign_preview = manage.preview(session, catalog, catalog.library.calendar, row.audience, row.schedule, now(), row.content)
        past = campaign.latest_occurrences(session, campaign_id)
        counts = {occurrence.id: outcomes.count_by_state(session, occurrence.id) for occurrence in past}
        last = [
            {
                "id": occurrence.id,
                "due": stamp(occurrence.due),
                "state": occurrence.state,
                "note": occurrence.note,
                "deliveries": dict(counts[occurrence.id]),
            }
            for occurrence in past
        ]
        return {**_campaign_json(row), "preview": preview_json(campaign_preview), "occurrences": last}, [
            *messages.campaign_lines(row),
            *(messages.preview_lines(campaign_preview) if row.state in OPEN else []),
            *messages.occurrence_lines(past, counts),
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
        audience = manage.reachable_audience(session, author(), parse_audience(to))
        return manage.preview(session, catalog, catalog.library.calendar, audience, parse_schedule(every), now())

    campaign_preview = reading(with_catalog(work))
    show(preview_json(campaign_preview), as_json, messages.preview_lines(campaign_preview))


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
        audience = manage.reachable_audience(session, author(), parse_audience(to))
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
            delivery=parse_deadline(deadline, day_of(now())) if deadline else None,
        )

    campaign_preview = reading(with_catalog(look))
    campaign_id = writing(with_catalog(make)) if apply else None
    end = f"已起草，编号 {campaign_id}。启动：python -m bot campaign start {campaign_id}" if campaign_id else "以上是预演，什么都没有写。"
    show({"id": campaign_id, "applied": apply, **preview_json(campaign_preview)}, as_json, [*messages.preview_lines(campaign_preview), end])


@group.command("start")
def start(campaign_id: Id, as_json: Json = False) -> None:
    """启动一个草稿；超出平台额度、或没有要发的时间时不启动。"""
    change_and_show(campaign_id, as_json, lambda session, catalog: manage.start(session, catalog, author(), campaign_id, now()))


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
    change_and_show(number, as_json, lambda session, catalog: manage.pause(session, author(), number, reason, now()))


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
    change_and_show(number, as_json, lambda session, catalog: manage.resume(session, catalog.library.calendar, author(), number, now()))


def _number(given: int | None) -> int:
    if given is None:
        raise typer.BadParameter("请写活动编号，或用 --all。")
    return given


@group.command("stop")
def stop(campaign_id: Id, reason: Annotated[str, typer.Option("--reason", help="原因")] = "", as_json: Json = False) -> None:
    """停止：不再触发，排队的取消。"""
    change_and_show(campaign_id, as_json, lambda session, catalog: manage.stop(session, author(), campaign_id, reason, now()))


@group.command("skip")
def skip(campaign_id: Id, day: Annotated[str, typer.Argument(help="日期，如 2026-05-06")], as_json: Json = False) -> None:
    """某一天不发。"""
    try:
        when = date.fromisoformat(day)
    except ValueError:
        raise typer.BadParameter("日期应写作 2026-05-06。") from None
    change_and_show(campaign_id, as_json, lambda session, catalog: manage.skip_date(session, catalog, author(), campaign_id, when, now()))


@group.command("recall")
def recall(campaign_id: Id, as_json: Json = False) -> None:
    """最近一次作废：排队的不发，已发的由平台撤回，并告诉收到的人。"""
    recalled = writing(lambda session: manage.recall(session, author(), campaign_id, now()))
    sent = [{"delivery": delivery, "channel": channel, "platform_id": platform_id} for delivery, channel, platform_id in recalled.sent]
    show({"skipped": recalled.skipped, "sent": sent}, as_json, f"最近一次已作废：{recalled.skipped} 条未发，{len(sent)} 条已发出。")


@group.command("test")
def try_(
    campaign_id: Id,
    to: Annotated[str, typer.Option("--to", help="工号")],
    apply: Annotated[bool, typer.Option("--apply", help="真的发给这个人，他绑定的每个渠道各一条；不加则只打印")] = False,
    as_json: Json = False,
) -> None:
    """打印某人会看到的原样；加 --apply 就在他绑定的每个渠道上各试发一条。"""

    def work(session: Session, catalog: Catalog) -> tuple[str, list[str]]:
        person_id = audience_rows.find_person_id(session, to)
        if person_id is None:
            raise Refusal(f"没有工号 {to}。")
        text = plain_text(campaign_push.render_trial(session, catalog, campaign_id, person_id))
        return text, campaign_push.send_trial(session, author(), campaign_id, person_id, now()) if apply else []

    text, channels = (writing if apply else reading)(with_catalog(work))
    sent = [f"已排队试发：{'、'.join(CHANNELS[channel] for channel in channels)}" if channels else "没有绑定任何渠道，没有发。"] if apply else []
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
        drafts = writing(with_catalog(lambda session, catalog: packs.draft_pack(session, catalog, author(), name, now(), parse_audience(to))))
        show([_campaign_json(draft) for draft in drafts], as_json, [*(messages.campaign_line(draft) for draft in drafts), "已起草。"])
        return

    def look(session: Session, catalog: Catalog) -> list[tuple[str, str]]:
        head, _, tail = name.rpartition(" ")
        year = int(tail) if head and tail.isdigit() else None
        items = packs.upcoming_items(catalog, packs.find_pack(catalog, head if year else name), now(), year)
        return [(item.name, f"{describe_schedule(schedule)}　{describe_content(pack_item_content(item))}") for item, schedule in items]

    planned = reading(with_catalog(look))
    lines = [*(f"{item_name}　{plan}" for item_name, plan in planned), "以上是预演，什么都没有写。"]
    show([{"name": item_name, "plan": plan} for item_name, plan in planned], as_json, lines)


def _list_packs(as_json: bool) -> None:
    library, _ = load_library(data_root())
    packs_json = [
        {"name": pack_json.name, "law_day": pack_json.law_day, "items": len(pack_json.items), "about": pack_json.about}
        for pack_json in library.packs.values()
    ]
    show(packs_json, as_json, [f"{pack_json['name']}：{pack_json['items']} 项，{pack_json['about']}" for pack_json in packs_json])


def change_and_show(campaign_id: int, as_json: bool, do: Callable[[Session, Catalog], Any]) -> None:
    """Do it and show the campaign as it stands then."""

    def work(session: Session, catalog: Catalog) -> Campaign:
        do(session, catalog)
        return manage.require_campaign(session, author(), campaign_id)

    changed = writing(with_catalog(work))
    show(_campaign_json(changed), as_json, f"活动 {changed.id}「{changed.name}」{STATE_LABELS[changed.state]}（第 {changed.version} 版）。")


DRY_RUN_NOTE = "以上是预演，什么都没有写，也没有发。"


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
        content, audience = parse_content(send, catalog.library), manage.reachable_audience(session, author(), parse_audience(to))
        return manage.preview(session, catalog, catalog.library.calendar, audience, immediate_schedule(now()), now(), content)

    def make(session: Session, catalog: Catalog) -> tuple[int, int, int]:
        campaign_id = campaign_push.draft_push(session, catalog, author(), parse_content(send, catalog.library), parse_audience(to), now(), clause)
        fired = campaign_push.confirm_push(session, catalog, catalog.library.calendar, author(), campaign_id, now())
        return campaign_id, fired.invited, fired.excluded

    campaign_preview = reading(with_catalog(look))
    if apply and not campaign_preview.count:
        raise Refusal("没有人会收到，没有发。")
    sent = writing(with_catalog(make)) if apply else None
    result = {"id": sent[0], "invited": sent[1]} if sent else {"id": None}
    end = f"推送 {sent[0]} 已排队：{sent[1]} 人，{sent[2]} 人不发。看进度：python -m bot campaign progress {sent[0]}" if sent else DRY_RUN_NOTE
    show({**result, "applied": apply, **preview_json(campaign_preview)}, as_json, [*messages.preview_lines(campaign_preview), end])


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
            **({"schedule": parse_schedule(every)} if every else {}),
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

    change_and_show(campaign_id, as_json, work)


@group.command("nudge")
def nudge_(
    campaign_id: Annotated[int | None, typer.Argument(help="活动编号；不写则列出还有人没完成的活动")] = None,
    hours: Annotated[bool, typer.Option("--hours", help="催今年学时进度落后的人")] = False,
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """催学：没完成的人有哪些；加 --apply 才发，每人每天最多一次提醒。"""
    if campaign_id is None and not hours:
        _list_open(as_json)
        return
    about = None if hours else campaign_id
    nudge_preview = reading(with_catalog(lambda session, catalog: nudge.preview(session, catalog, author(), about, now())))

    def send(session: Session, catalog: Catalog) -> int:
        return nudge.confirm(session, catalog, author(), nudge.draft(session, catalog, author(), about, now()).id, now())

    sent = writing(with_catalog(send)) if apply else None
    names = names_text([f"{name}（{staff_no}）" for name, staff_no in nudge_preview.names])
    lines = [
        f"「{nudge_preview.about}」要催 {len(nudge_preview.names)} 人：{names}",
        *([f"其中 {nudge_preview.reminded} 人今天已提醒过，不再发第二次。"] if nudge_preview.reminded else []),
        f"已排队：{sent} 人。" if sent is not None else DRY_RUN_NOTE,
    ]
    people = [{"staff_no": staff_no, "name": name} for name, staff_no in nudge_preview.names]
    show({"about": nudge_preview.about, "people": people, "reminded": nudge_preview.reminded, "applied": apply, "sent": sent}, as_json, lines)


def _list_open(as_json: bool) -> None:
    open_campaigns = reading(with_catalog(lambda session, catalog: nudge.open_campaigns(session, catalog, author(), now())))
    open_json = [
        {"id": item.campaign.id, "name": item.campaign.name, "content": describe_content(item.task.content), "open": len(item.people)}
        for item in open_campaigns
    ]
    lines = [f"{item['id']}. {item['name']}　{item['content']}　还有 {item['open']} 人没完成" for item in open_json]
    show(open_json, as_json, lines or ["没有活动还有人没完成。"])


REFRESH_SECONDS = 0.5
UNITS = {"call": "次调用", "message": "人次"}


def _progress_json(latest: DeliveryProgress) -> dict[str, Any]:
    return {
        "campaign": latest.campaign_id,
        "name": latest.name,
        "occurrence": latest.occurrence_id,
        "due": stamp(latest.due),
        "counts": dict(latest.counts),
        "whole": latest.total,
        "ended": latest.ended,
        "reasons": [{"state": state, "reason": reason, "count": count} for state, reason, count in latest.reasons],
        "missed": [asdict(person) for person in latest.missed],
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
        latest = database.read_now(lambda session: delivery_progress.latest_progress(session, campaign_id))
        if watch and not as_json and not latest.is_over and progress.is_terminal:
            latest = _watch(database, latest)
    finally:
        database.engine.dispose()
    show(_progress_json(latest), as_json, str(latest))


@group.command("budget")
def budget_(as_json: Json = False) -> None:
    """各平台的额度：允许多少、机器人最多用多少（80%）、已用多少、还剩多少。"""
    limits = [limit for limit in read_settings().platform_limits if not limit.per_person]

    def look(session: Session) -> list[dict[str, Any]]:
        accounts = recipients.count_accounts(session)
        left = quota.remaining(session, limits, accounts, now())
        rooms = {limit.key(): limit.usable(accounts.get(limit.channel, 0)) for limit in limits}
        return [
            {
                "name": limit.key(),
                "allowed": limit.allowed,
                "each_account": limit.each_account,
                "room": rooms[limit.key()],
                "used": rooms[limit.key()] - left[limit.key()],
                "left": left[limit.key()],
            }
            for limit in limits
        ]

    usage = reading(look)
    lines = [
        f"{CHANNELS[limit.channel]}　{limit.title}　平台允许 {limit.allowed} {UNITS[limit.unit]}{'（每个账号）' if limit.each_account else ''}，"
        f"最多用 {used['room']}，已用 {used['used']}，还剩 {used['left']}"
        for limit, used in zip(limits, usage, strict=True)
    ]
    show(usage, as_json, [*lines, "允许数与公开标准不同的，写进 BOT_LIMITS__PLATFORM，例如 dingtalk/corp/month=205000。"])


def _watch(database: Database, latest: DeliveryProgress) -> DeliveryProgress:
    """The bar, until everything has ended or somebody presses Ctrl+C."""
    campaign_id = latest.campaign_id

    def look(session: Session) -> DeliveryProgress:
        return delivery_progress.latest_progress(session, campaign_id)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[states]}"))
    try:
        with Bar(*columns, console=progress) as bar:
            task = bar.add_task(latest.name, total=latest.total, completed=latest.ended, states="")
            while not latest.is_over:
                time.sleep(REFRESH_SECONDS)
                latest = database.read_now(look)
                states = " ".join(f"{DELIVERY_LABELS[state]} {count}" for state, count in sorted(latest.counts.items()))
                bar.update(task, total=latest.total, completed=latest.ended, states=states)
    except KeyboardInterrupt:
        progress.print("不再看了，发送照常进行。", markup=False, highlight=False)
    return latest
