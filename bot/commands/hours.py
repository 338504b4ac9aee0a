"""我的学时 and 为什么: what was earned, what is missing and by when, and the reason of every minute."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from bot.commands.router import Context, command
from bot.domain.hours import policy
from bot.domain.hours.policy import CATEGORY_LABELS, YearQuotas, hours_text, quotas, shown_hours, total_hours
from bot.domain.message import Option, Refusal, Reply
from bot.domain.study.streak import FREEZES, Streak
from bot.domain.text.numbers import find_row_number
from bot.domain.times import chinese_day, duration_text
from bot.services.hours import forecast
from bot.services.study import streak as study_streak
from bot.storage.hours import ledger
from bot.storage.study import readings

BAR_LENGTH = 10


@command("我的学时", "学时", "学分", "进度")
def my_hours(ctx: Context, _: str) -> Reply:
    """今年各类学时、应达多少、还差多少、哪天截止。"""
    year = ctx.today.year
    seconds = ledger.year_seconds(ctx.session, ctx.me.id, year)
    year_quotas = quotas(ctx.catalog.policy, ctx.today)
    per_hour = year_quotas.seconds_per_hour
    total = total_hours(seconds, per_hour)
    collective = shown_hours(seconds.get("collective", 0), per_hour)
    lines = [f"📊 {ctx.me.name} {year} 年学时（截至{chinese_day(ctx.today)}）", *gap_lines(ctx, total, collective, year_quotas)]
    outlook_line = forecast.outlook_sentence(forecast.outlook_of(ctx.session, ctx.catalog, ctx.me.id, ctx.me.tier, ctx.now))
    lines += [outlook_line] if outlook_line else []
    lines.append(f"合计 {hours_text(total)} 学时（每 {per_hour // 60} 分钟 1 学时，按类向下取到 0.25）")
    for category in CATEGORY_LABELS:
        if seconds.get(category):
            hours = hours_text(shown_hours(seconds[category], per_hour))
            lines.append(f"· {policy.category_label(category)}：{hours} 学时（{duration_text(seconds[category])}）")
    lines.append(_caps_line(ctx, per_hour))
    lines += _streak_lines(ctx)
    return Reply("\n".join(lines), buttons=(Option("学习", "学习"), Option("每日", "每日一练"), Option("为什么", "为什么")))


def _streak_lines(ctx: Context) -> list[str]:
    streak = study_streak.streak_of(ctx.session, ctx.library.calendar, ctx.me.id, ctx.now)
    line = streak_line(streak)
    return [line if streak.done_today else f"{line}（今天的还没有做）"] if line else []


def gap_lines(ctx: Context, total: Decimal, collective: Decimal, year_quotas: YearQuotas) -> list[str]:
    """What is missing and by when, with a bar, and what is owed."""
    need, floor = year_quotas.need(ctx.me.tier), year_quotas.floor(ctx.me.tier)
    if need is None:
        return [f"花名册里没有登记您的层级或该层级没有年度要求（规则 {year_quotas.rule}），如有疑问请联系管理员。"]
    last = date(ctx.today.year, 12, 31)
    missing, short = max(Decimal(0), need - total), max(Decimal(0), floor - collective)
    if not missing and not short:
        head = "✅ 已达标。"
    elif missing:
        head = f"还差 {hours_text(missing)} 学时，{chinese_day(last)}截止（还有 {(last - ctx.today).days + 1} 天）"
    else:
        head = f"总量已够，集体学法还差 {hours_text(short)}，{chinese_day(last)}截止"
    lines = [head, progress_bar(total, need), f"年度应达 {hours_text(need)} 学时（{ctx.me.tier}，规则 {year_quotas.rule}）"]
    if floor:
        lines.append(f"其中集体学法不少于 {hours_text(floor)}，已有 {hours_text(collective)}" + (f"，还差 {hours_text(short)}" if short else ""))
    return lines


def gap_line(ctx: Context) -> str:
    """Where the year stands in one line; empty without a quota."""
    year_quotas, seconds = quotas(ctx.catalog.policy, ctx.today), ledger.year_seconds(ctx.session, ctx.me.id, ctx.today.year)
    need, total = year_quotas.need(ctx.me.tier), total_hours(seconds, year_quotas.seconds_per_hour)
    if need is None:
        return ""
    missing = f"，还差 {hours_text(need - total)}" if need > total else "，总量已够"
    return f"今年 {progress_bar(total, need)}{missing}"


def progress_bar(total: Decimal, need: Decimal) -> str:
    """▰▰▰▱▱▱▱▱▱▱ 12/40 学时: a full bar is the whole need, and only that."""
    filled = BAR_LENGTH if total >= need else int(total * BAR_LENGTH / need)
    return f"{'▰' * filled}{'▱' * (BAR_LENGTH - filled)} {hours_text(total)}/{hours_text(need)} 学时"


def _caps_line(ctx: Context, per_hour: int) -> str:
    online, practice = ctx.catalog.policy.at("D2", ctx.today), ctx.catalog.policy.at("D3", ctx.today)
    used_online = ledger.used_credit(ctx.session, ctx.me.id, "online", ctx.today)
    used_practice = ledger.used_credit(ctx.session, ctx.me.id, "practice", ctx.today)
    return (
        f"今日上限：在线 {duration_text(used_online.day_seconds)}/{duration_text(int(online.number('day_cap') * per_hour))}，"
        f"练习 {duration_text(used_practice.day_seconds)}/{duration_text(int(practice.number('day_cap') * per_hour))}；"
        f"练习全年 {hours_text(shown_hours(used_practice.year_seconds, per_hour))}/{float(practice.number('year_cap')):g} 学时"
    )


@command("为什么", "明细", argument="<流水号>")
def explain_hours(ctx: Context, entry_number: str) -> Reply:
    """最近一课每页看了多久、计了多少、没计的原因；“为什么 12”看某条学时流水。"""
    if any(char.isdigit() for char in entry_number):
        return _explain_entry(ctx, entry_number)
    lines = _last_reading_lines(ctx)
    refused = ledger.refused_credit(ctx.session, ctx.me.id, ctx.today)
    if refused:
        lines += ["", "今天没有计入的："] + [
            f"· {duration_text(entry.seconds)}：{entry.reason}（规则 {entry.rule} 第 {entry.version} 版）" for entry in refused
        ]
    entries = ledger.newest_lines(ctx.session, ctx.me.id, top=5)
    if entries:
        lines += ["", "最近的学时流水："] + [_entry_line(ctx, entry) for entry in entries]
    if not lines:
        return Reply("还没有学习记录。发送「学习」开始第一课。", buttons=(Option("学习", "学习"),))
    return Reply("\n".join(lines).strip())


def _last_reading_lines(ctx: Context) -> list[str]:
    last = readings.last_reading(ctx.session, ctx.me.id)
    if last is None:
        return []
    reading_id, lesson_id, state = last
    lesson = ctx.library.lessons.get(lesson_id)
    pages = readings.pages_read(ctx.session, reading_id)
    lines = [f"《{lesson.title if lesson else lesson_id}》{'' if state == 'done' else '（还没有学完，学完并答完课后题才计）'}"]
    for page in pages:
        lines.append(
            f"第 {page.page} 页：看了 {duration_text(page.seen)}，计 {duration_text(page.credited)}" + (f"——{page.reason}" if page.reason else "")
        )
    seen, credited = sum(page.seen for page in pages), sum(page.credited for page in pages)
    rule = ctx.catalog.policy.at("D2", ctx.today)
    lines.append(
        f"合计看了 {duration_text(seen)}，可计 {duration_text(credited)}，未计 {duration_text(seen - credited)}（规则 {rule.name}：{rule.title}）"
    )
    return lines


def _entry_line(ctx: Context, entry: ledger.LedgerLine) -> str:
    sign = "-" if entry.seconds < 0 else "+"
    source = ledger.source_name(ctx.session, ctx.library, entry.source_kind, entry.source_id)
    return f"· #{entry.id} {entry.day} {policy.category_label(entry.category)} {sign}{duration_text(abs(entry.seconds))} {source}"


def _explain_entry(ctx: Context, entry_number: str) -> Reply:
    number = find_row_number(entry_number)
    entry = None if number is None else ledger.line(ctx.session, ctx.me.id, number)
    if entry is None:
        raise Refusal(f"您的学时流水里没有「{entry_number[:20]}」这一条。发送「为什么」看最近几条的编号。")
    rule = next((version for version in ctx.catalog.policy.versions if version.line == entry.rule and version.version == entry.version), None)
    lines = [_entry_line(ctx, entry).removeprefix("· "), f"规则 {entry.rule} 第 {entry.version} 版：{rule.title if rule else ''}"]
    if entry.reverses:
        lines.append(f"这一条冲销 #{entry.reverses}。")
    if entry.reversed_by:
        lines.append(f"这一条已被 #{entry.reversed_by} 冲销。")
    return Reply("\n".join(lines))


def streak_line(streak: Streak) -> str:
    """连续学法 7 个工作日, with the missed days that are still forgiven where one was spent; empty when there is nothing to count."""
    if not streak.days:
        return ""
    spent = "" if streak.freezes in (0, FREEZES) else f"，还可缺 {streak.freezes} 天"
    return f"🔥 连续学法 {streak.days} 个工作日{spent}"
