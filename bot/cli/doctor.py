"""`doctor`: everything an operator would look at by hand, each with its state, its cause and its cure in one Chinese sentence.

Usable before the service has ever run and while it runs: nothing is written, no table is made, and a token is asked of a platform only in the way
that leaves the service's own token valid. A check is a function in `CHECKS`; it answers `ok`, `warning` or `fault` and never raises for what it
looks for. What it needs and cannot have (settings, a database) is said once, by the check that is about it.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import os
import re
import resource
import shutil
import stat
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

import aiohttp
import typer
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from bot import logs
from bot.channels.base import ignore_note
from bot.channels.config import reveal
from bot.channels.outbound.apis import dingtalk_api, dingtalk_old_api, wechat_api, wecom_api
from bot.channels.outbound.client import Outbound
from bot.channels.outbound.errors import PlatformError
from bot.channels.outbound.tokens import SingleRunTokens
from bot.cli.context import EXIT_REFUSED, Json, context, note
from bot.cli.faults import database_fault
from bot.domain.calendar import missing_year_warning
from bot.domain.library.library import Library
from bot.domain.message import Refusal
from bot.domain.times import SHANGHAI, day_of
from bot.services.certificate.typesetter import load_typefaces
from bot.settings import CHANNELS, PREFIX, PROJECT, BadSettings, Settings, blank_setting_faults, is_loopback
from bot.storage.db import backup as db_backup
from bot.storage.db.database import Database
from bot.storage.db.engine import driver_errors, open_engine
from bot.storage.delivery import queue, quota, recipients
from bot.storage.files import loader
from bot.storage.files.policies import load_policy
from bot.storage.files.strict_yaml import FileFault
from bot.storage.hours import seals
from bot.storage.migrations import migrate
from bot.storage.people import accounts
from bot.storage.system import backups, condition, switches

State = Literal["ok", "warning", "fault"]
T = TypeVar("T")

LABELS = {"wecom": "企业微信", "wechat": "微信公众号", "dingtalk": "钉钉", "zwding": "专有钉钉"}
MARKS: dict[State, str] = {"ok": "✓", "warning": "！", "fault": "✗"}
NETWORK_SECONDS = 6.0
CLOCK_WARNING, CLOCK_FAULT = timedelta(seconds=30), timedelta(minutes=5)
"""Callbacks are refused at ten minutes; Stream leases and one-time links suffer before that."""
LEAST_FREE_BYTES, LITTLE_FREE_BYTES = 200 << 20, 2 << 30
LEAST_MEMORY_BYTES = 256 << 20
LARGEST_LOG_BYTES = 512 << 20
LARGEST_SEARCHED_BYTES = 2 << 30
"""An SQLite file up to this size is read through page by page; a larger one is left to the backup, which does it too."""
BACKUP_OVERDUE, SEAL_OVERDUE = timedelta(days=2), timedelta(hours=26)
DELIVERY_OVERDUE_SECONDS = 600
FEWEST_OPEN_FILES = 4096
FEWEST_CONNECTIONS = 10
NETWORK_FILESYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "fuse.sshfs", "lustre")
_ADDRESS = re.compile(r"(?:from ip|invalid ip)\W*([0-9a-fA-F.:]{3,45})", re.IGNORECASE)
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)(?:\s*;\s*(.+?))?\s*\\?$", re.MULTILINE)


class Finding(NamedTuple):
    """What a check found: the state, and one sentence with cause and cure."""

    state: State
    sentence: str


def fine(sentence: str) -> Finding:
    return Finding("ok", sentence)


def warning(sentence: str) -> Finding:
    return Finding("warning", sentence)


def fault(sentence: str) -> Finding:
    return Finding("fault", sentence)


@dataclass
class Answer:
    """What came back from an address: the status (0: nothing), the body, and by how much its clock is before ours."""

    status: int = 0
    body: str = ""
    ahead: timedelta | None = None


@dataclass
class Surroundings:
    """What the checks look at. The network is asked before them, all of it at once."""

    settings: Settings
    now: datetime
    config: Path | None = None
    engine: Engine | None = None
    database_problem: Finding | None = None
    schema_problem: Finding | None = None
    library: Library = field(default_factory=Library)
    library_faults: list[FileFault] = field(default_factory=list)
    platforms: dict[str, PlatformError | None] = field(default_factory=dict)
    service: Answer = field(default_factory=Answer)
    readiness: Answer = field(default_factory=Answer)
    public: Answer = field(default_factory=Answer)
    public_metrics: Answer = field(default_factory=Answer)
    platform_clocks: dict[str, timedelta] = field(default_factory=dict)

    @property
    def database_file(self) -> Path | None:
        """The file of an SQLite database; None on PostgreSQL."""
        path = self.settings.database.removeprefix("sqlite:///")
        return None if path == self.settings.database else Path(path)

    def read(self, work: Callable[[Session], T]) -> T:
        assert self.engine is not None
        return Database(self.engine).read_now(work)


Check = Callable[[Surroundings], Finding]


# ── Settings ──


def check_settings(around: Surroundings) -> Finding:
    if blank := blank_setting_faults(around.settings):
        return warning("；".join(blank) + "。")
    return fine("设置都认得，值也合格。")


def check_settings_file(around: Surroundings) -> Finding:
    """The file with the secrets is nobody else's to read."""
    path = around.config or (Path(os.environ["BOT_CONFIG"]) if os.environ.get("BOT_CONFIG") else None)
    files = [path, Path("/etc/xuefa-bot.env")] if path else [Path("/etc/xuefa-bot.env")]
    readable = [str(file) for file in files if file.is_file() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if readable:
        return warning(f"{'、'.join(readable)} 里有密钥而别的用户能读：请运行 chmod 600 {' '.join(readable)}。")
    return fine("设置文件只有本用户能读，或者没有设置文件。")


def check_operator(around: Surroundings) -> Finding:
    staff_no = around.settings.operator
    if not staff_no:
        return fine("没有设 BOT_OPERATOR，命令行用 --as 写明是谁。")
    learner = around.read(lambda session: accounts.learner_by_staff_no(session, staff_no, day_of(around.now)))
    if learner is None or not learner.roles:
        return fault(f"BOT_OPERATOR 的工号 {staff_no[:40]} 不是在职的管理员或督学，命令都会被拒绝：请改成管理员的工号，或删掉这一项。")
    return fine(f"命令行以 {staff_no[:40]} 的名义。")


def check_channels(around: Surroundings) -> Finding:
    enabled = [LABELS[name] for name in CHANNELS if around.settings.is_on(name)]
    if not enabled:
        return fault("一个渠道也没有开，没有人能和机器人说话：请按 deploy/docs/channels.md 填好至少一个渠道的设置。")
    return fine(f"开着的渠道：{'、'.join(enabled)}。")


def check_public_url(around: Surroundings) -> Finding:
    address = around.settings.public_url
    if not address:
        return warning("没有设 BOT_PUBLIC_URL，考试网页、证书核验和大屏都没有链接：请写成别人访问本服务的地址，例如 https://law.example.gov.cn。")
    parts = urlsplit(address)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return warning("BOT_PUBLIC_URL 不是 https，网页的凭据会明文经过网络：请在反向代理上配证书，并把地址改成 https 开头。")
    if parts.scheme == "https" and is_loopback(parts.hostname or ""):
        return warning("BOT_PUBLIC_URL 是本机地址，别人打不开聊天里的链接：请写成别人访问的地址。")
    return fine(f"链接都以 {address.rstrip('/')}/ 开头。")


def check_public_path(around: Surroundings) -> Finding:
    """The address that links carry leads here, with its path."""
    if not around.settings.public_url:
        return fine("没有对外的地址，没有查。")
    answer = around.public
    if answer.status == 200 and '"status"' in answer.body:
        return fine("从本机访问 BOT_PUBLIC_URL，到的就是本服务。")
    if not around.service.status:
        return fine("服务没有在运行，对外的地址没有查。")
    if not answer.status:
        return warning("从本机打不开 BOT_PUBLIC_URL：请核对域名、证书和反向代理；若只是本机出不去，请在别的电脑上打开它后面加 healthz 的地址。")
    return fault(
        f"BOT_PUBLIC_URL 后面加 healthz 答的是 {answer.status}，到的不是本服务：请让反向代理把这个路径下的请求转给 {around.settings.listen}，"
        "路径原样带上或去掉都可以。"
    )


def check_metrics_address(around: Surroundings) -> Finding:
    if around.public_metrics.status == 200 and "bot_" in around.public_metrics.body:
        return warning("外面能看到 /metrics（用量和渠道）：请在反向代理上挡住它，或用 BOT_METRICS_LISTEN 把它开在另一个地址上。")
    return fine("从对外的地址看不到指标。")


def check_listen(around: Surroundings) -> Finding:
    settings = around.settings
    if around.service.status and '"status"' not in around.service.body:
        return fault(f"{settings.listen} 上是别的程序在答复，服务启动不了：请停掉它，或用 BOT_LISTEN 换一个端口。")
    if not is_loopback(settings.host) and urlsplit(settings.public_url).scheme != "https":
        return warning(f"服务听在 {settings.listen}，别的机器能不经代理直接访问：请改成 127.0.0.1，或用防火墙只放行反向代理。")
    return fine(f"监听 {settings.listen}。")


# ── This machine ──


def check_python(around: Surroundings) -> Finding:
    lock = PROJECT / "deploy" / "lock" / "run.txt"
    if not lock.is_file():
        return fine(f"Python {sys.version_info.major}.{sys.version_info.minor}；没有锁文件可对照。")
    wrong = []
    for name, version, marker in _PINNED.findall(lock.read_text(encoding="utf-8")):
        if marker:  # for another platform or Python
            continue
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "没有"
        if installed != version:
            wrong.append(f"{name} {installed}（应为 {version}）")
    if wrong:
        return warning(f"依赖与锁文件不符（{'、'.join(wrong[:5])}，共 {len(wrong)} 个）：请运行 python3 deploy/_venv.py 重新安装。")
    return fine(f"Python {sys.version_info.major}.{sys.version_info.minor}，依赖与锁文件一致。")


def check_clock(around: Surroundings) -> Finding:
    """Ours beside those of the platforms and of PostgreSQL, and beside what was already recorded."""
    others = {LABELS[name]: ahead for name, ahead in around.platform_clocks.items()}
    if around.engine is not None:
        if (server := around.read(condition.server_clock)) is not None:
            others["PostgreSQL"] = server.astimezone(UTC) - around.now
        heard = around.read(condition.last_heard)
        if heard is not None and heard - around.now > CLOCK_WARNING:
            return fault(
                f"本机时钟比库里最后一条消息还早 {_span(heard - around.now)}，时钟被往回拨过：请用 NTP 对准（timedatectl set-ntp true）再启动服务。"
            )
    worst = max(others, key=lambda name: abs(others[name]), default="")
    if not worst:
        return fine("没有可比的时钟，与库里的记录没有矛盾。")
    off = others[worst]
    direction = "慢" if off > timedelta(0) else "快"
    if abs(off) >= CLOCK_FAULT:
        return fault(f"本机时钟比{worst}{direction} {_span(abs(off))}，相差 10 分钟回调就一概拒收：请用 NTP 对准（timedatectl set-ntp true）。")
    if abs(off) >= CLOCK_WARNING:
        return warning(f"本机时钟比{worst}{direction} {_span(abs(off))}：请用 NTP 对准（timedatectl set-ntp true）。")
    return fine(f"本机时钟与{'、'.join(others)}相差不到 {CLOCK_WARNING.seconds} 秒。")


def check_disk(around: Surroundings) -> Finding:
    folder = _nearest(PROJECT / "var" if around.database_file is None else around.database_file.parent)
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        return fault(f"{folder} 所在的磁盘只剩 {_size(free)}，很快就什么都记不下：请马上腾出空间。")
    if free < LITTLE_FREE_BYTES:
        return warning(f"{folder} 所在的磁盘只剩 {_size(free)}：请腾出空间，至少留 {_size(LITTLE_FREE_BYTES)}。")
    return fine(f"{folder} 所在的磁盘还有 {_size(free)}。")


def check_inodes(around: Surroundings) -> Finding:
    folder = _nearest(PROJECT / "var" if around.database_file is None else around.database_file.parent)
    volume = os.statvfs(folder)
    if volume.f_files and volume.f_favail < 1000:
        return fault(f"{folder} 所在的文件系统只能再建 {volume.f_favail} 个文件：请删掉不用的小文件。")
    return fine("还能建的文件数够用。")


def check_memory(around: Surroundings) -> Finding:
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        found = None
    if found is None:
        return fine("这个系统不报可用内存，没有查。")
    available = int(found[1]) << 10
    if available < LEAST_MEMORY_BYTES:
        return warning(f"可用内存只有 {_size(available)}，服务可能被系统杀掉：请停掉别的程序或加内存。")
    return fine(f"可用内存 {_size(available)}。")


def check_open_files(around: Surroundings) -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FEWEST_OPEN_FILES:
        return warning(f"系统只让一个进程打开 {hard} 个文件，人多时连接不够用：请把 LimitNOFILE（或 ulimit -n）调到 {FEWEST_OPEN_FILES} 以上。")
    return fine("可打开的文件数够用。")


def check_font(around: Surroundings) -> Finding:
    try:
        typefaces = load_typefaces(around.settings.web.font)
    except ImportError:
        return warning("没有装 typst，证书只有网页、没有图片和 PDF：请运行 python3 deploy/_venv.py 重新安装依赖。")
    except Refusal as refusal:
        return warning(str(refusal))
    return fine(f"证书用的字体：{typefaces.text[0]}。")


# ── Content ──


def check_content(around: Surroundings) -> Finding:
    if around.library_faults:
        first = around.library_faults[0]
        return fault(f"内容文件有 {len(around.library_faults)} 处错误（第一处：{first}），服务启动不了：请运行 python -m bot check 逐处改正。")
    library = around.library
    return fine(f"{len(library.lessons)} 课、{len(library.questions)} 题、{len(library.laws)} 部法。")


def check_policy(around: Surroundings) -> Finding:
    policy, faults = load_policy(loader.data_root())
    if policy is None or faults:
        return fault(f"学时规则有错（{faults[0] if faults else '读不了'}），服务启动不了：请运行 python -m bot check 逐处改正。")
    return fine("学时规则读得懂。")


def check_calendar(around: Surroundings) -> Finding:
    if sentence := missing_year_warning(around.library.calendar, day_of(around.now)):
        year = day_of(around.now).year
        return warning(sentence) if around.library.calendar.knows(year) else fault(sentence)
    return fine(f"工作日历有 {'、'.join(map(str, sorted(around.library.calendar.years)))} 年。")


# ── The database ──


def check_database(around: Surroundings) -> Finding:
    if around.database_problem is not None:
        return around.database_problem
    return fine("数据库打得开。" if around.database_file is None else f"数据库是 {around.database_file}。")


def check_schema(around: Surroundings) -> Finding:
    if around.database_problem is not None:
        return fine("没有数据库，没有查。")
    if around.schema_problem is not None:
        return around.schema_problem
    return fine(f"表结构是 {migrate.HEAD}，与程序一致。")


def check_database_file(around: Surroundings) -> Finding:
    file = around.database_file
    if file is None:
        return fine("用 PostgreSQL，没有数据库文件。")
    if not file.exists():
        return fine("还没有数据库文件。")
    exposed = [part.name for part in _parts_of(file) if part.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if exposed:
        return warning(f"{'、'.join(exposed)} 别的用户也能读，里面有姓名和成绩：请在 {file.parent} 里运行 chmod 600 {' '.join(exposed)}。")
    return fine("数据库文件只有本用户能读写。")


def check_database_folder(around: Surroundings) -> Finding:
    if around.database_file is None:
        return fine("用 PostgreSQL，没有数据目录。")
    folder = _nearest(around.database_file.parent)
    if not os.access(folder, os.W_OK | os.X_OK):
        return fault(f"{folder} 本用户写不了，什么都记不下：请用服务的用户运行 doctor，或改目录的主人（chown）。")
    if (kind := _filesystem(folder)) in NETWORK_FILESYSTEMS:
        return fault(f"{folder} 在网络盘（{kind}）上，SQLite 在那里会损坏：请把 BOT_DATABASE_URL 改到本机磁盘，或改用 PostgreSQL。")
    return fine(f"{folder} 写得了，不在网络盘上。")


def check_durability(around: Surroundings) -> Finding:
    if problem := around.read(condition.durability_fault):
        return fault(f"数据库的设置 {problem}，断电会丢已答复的记录：请改回来（SQLite 用 WAL，PostgreSQL 各项为 on）。")
    return fine("说过“已记录”的断电也不丢。")


def check_damage(around: Surroundings) -> Finding:
    assert around.engine is not None
    file = around.database_file
    if file is None:
        return fine("PostgreSQL 自己核对页，没有查。")
    if file.stat().st_size > LARGEST_SEARCHED_BYTES:
        return fine(f"数据库有 {_size(file.stat().st_size)}，太大不在这里逐页读：每次 backup 都会逐页核对。")
    if damage := db_backup.sqlite_damage(around.engine):
        return fault(f"{file} 有损坏（{damage[:120]}）：请停服务，保留这个文件，再用 python -m bot restore 目录 从备份恢复。")
    return fine("数据库逐页读过，没有损坏。")


def check_guards(around: Surroundings) -> Finding:
    """The triggers that refuse to change what was recorded."""
    assert around.engine is not None
    with tempfile.TemporaryDirectory() as folder:
        model = open_engine(f"sqlite:///{folder}/model.db")
        migrate.migrate(model)
        with model.connect() as connection:
            expected = condition.guarded_tables(connection)
        model.dispose()
    with around.engine.connect() as connection:
        missing = expected - condition.guarded_tables(connection)
    if missing:
        return fault(f"{'、'.join(sorted(missing))} 表的防改触发器被去掉了，记录可能被改过：请运行 ledger verify 查明，再从备份恢复或重建触发器。")
    return fine(f"{len(expected)} 张表的记录不能改、不能删。")


def check_write_ahead_log(around: Surroundings) -> Finding:
    file = around.database_file
    log_file = None if file is None else file.with_name(f"{file.name}-wal")
    if log_file is None or not log_file.exists():
        return fine("没有积着的写前日志。")
    if log_file.stat().st_size > LARGEST_LOG_BYTES:
        return warning(f"{log_file.name} 有 {_size(log_file.stat().st_size)}，有程序一直开着旧的读事务：请找出还开着这个库的程序并关掉。")
    return fine(f"写前日志 {_size(log_file.stat().st_size)}。")


def check_connections(around: Surroundings) -> Finding:
    free = around.read(condition.free_connections)
    if free is None:
        return fine("用 SQLite，没有连接数的限制。")
    if free < FEWEST_CONNECTIONS:
        return warning(f"PostgreSQL 只剩 {free} 个连接，每个副本要 6 个：请调大 max_connections，或关掉别的程序的连接。")
    return fine(f"PostgreSQL 还能接 {free} 个连接。")


def check_backup(around: Surroundings) -> Finding:
    latest = around.read(backups.latest)
    if latest is None:
        return warning("从来没有备份过：请运行 python -m bot backup 目录，并装上 deploy/xuefa-backup.timer 每小时一次。")
    age = around.now - latest.taken_at
    if age > BACKUP_OVERDUE:
        return warning(f"最近一次备份是 {_span(age)}前（{_moment(latest.taken_at)}）：请运行 python -m bot backup 目录，并查定时任务为什么没有跑。")
    return fine(f"最近一次备份在 {_moment(latest.taken_at)}，{_size(latest.size)}。")


def check_backup_place(around: Surroundings) -> Finding:
    latest = around.read(backups.latest)
    if latest is None:
        return fine("还没有备份，没有查。")
    folder, file = Path(latest.folder), around.database_file
    if not (folder / "backup.json").is_file():
        return warning(f"最近一次备份 {folder} 不在了，或本用户看不到：若已移到别的机器可以不理，否则请重新备份。")
    if file is not None and file.exists() and folder.stat().st_dev == file.stat().st_dev:
        return warning(f"备份 {folder} 和数据库在同一块磁盘上，磁盘坏了两份都没有：请拷到另一台机器。")
    return fine(f"备份在 {folder}。")


def check_seal(around: Surroundings) -> Finding:
    entries, since = around.read(condition.unsealed)
    sealed_at = around.read(seals.sealed_at)
    if not entries or since is None:
        return fine("学时流水都已封存。" if sealed_at else "还没有学时流水。")
    age = around.now - since
    if age > SEAL_OVERDUE:
        last = f"上次封存在 {_moment(sealed_at)}" if sealed_at else "从来没有封存过"
        return warning(f"{entries} 条学时流水没有封存，最早的已 {_span(age)}，{last}：请运行 python -m bot ledger seal，并让计划任务每小时运行一次。")
    return fine(f"{entries} 条新的流水等着封存，最早的在 {_moment(since)}。")


# ── People, messages ──


def check_people(around: Surroundings) -> Finding:
    count = around.read(lambda session: condition.headcount(session, day_of(around.now)))
    if not count.people:
        return fault("花名册是空的，谁也绑定不了：请运行 python -m bot roster import 花名册.xlsx --apply。")
    if not count.administrators:
        return warning("没有一个在职的管理员，聊天里没有人能排活动、办考试：请在花名册的“角色”列写上管理员，再导入。")
    if not count.bound:
        return warning(f"花名册有 {count.people} 人，还没有一个人绑定：请看 deploy/docs/channels.md 的绑定一步。")
    return fine(f"在职 {count.people} 人，管理员 {count.administrators} 人，已绑定 {count.bound} 人。")


def check_quota(around: Surroundings) -> Finding:
    """Of the platforms that are on: a fifth of what the service allows itself is left."""
    limits = [limit for limit in around.settings.platform_limits if not limit.per_person and around.settings.is_on(limit.channel)]

    def look(session: Session) -> list[tuple[str, int, int]]:
        bound = recipients.count_accounts(session)
        left = quota.remaining(session, limits, bound, around.now)
        return [(limit.title, left[limit.key()], limit.usable(bound.get(limit.channel, 0))) for limit in limits]

    short = [(title, left, usable) for title, left, usable in around.read(look) if usable and left * 5 < usable]
    if short:
        listed = "、".join(f"{title} 还剩 {left}/{usable}" for title, left, usable in short)
        return warning(f"平台额度快用完了（{listed}）：请减少推送，或把买到的额度写进 BOT_LIMITS__PLATFORM。")
    return fine("平台额度够用。" if limits else "没有开渠道，没有查。")


def check_deliveries(around: Surroundings) -> Finding:
    queued, oldest, _ = around.read(queue.queue_depth)
    overdue = 0.0 if oldest is None else (around.now - oldest).total_seconds()
    if overdue > DELIVERY_OVERDUE_SECONDS:
        return warning(f"{queued} 份推送没有发出，最早的已过 {_span(timedelta(seconds=overdue))}：请看服务是否在运行、渠道和额度是否正常。")
    lost = around.read(lambda session: condition.undelivered(session, around.now - timedelta(days=1)))
    if lost:
        return warning(f"近一天有 {lost} 份推送失败或不知送到没有：请用 python -m bot export deliveries 看 error 一栏。")
    return fine(f"等着发的推送 {queued} 份，没有过时的。")


def check_pause(around: Surroundings) -> Finding:
    turned = around.read(lambda session: switches.switch(session, switches.PAUSED))
    if turned is not None and turned.is_on:
        return warning(
            f"{turned.by} 在 {_moment(turned.at)} 停下了全部推送（{turned.reason or '没有写原因'}）：要恢复请运行 campaign resume --all --apply。"
        )
    return fine("推送没有停。")


def check_service(around: Surroundings) -> Finding:
    if not around.service.status:
        return warning(f"{around.settings.listen} 上没有服务在运行：还没有启动可以不理，否则请看日志，再运行 python3 deploy/start.py。")
    if around.readiness.status != 200:
        return fault(f"服务在运行但 /readyz 答 {around.readiness.status}（{around.readiness.body[:80]}）：请看日志里的 not ready 和数据库那几项。")
    return fine("服务在运行，/readyz 是 200。")


# ── Platforms ──


def check_platform(name: str, around: Surroundings) -> Finding:
    """The platform answers, takes id and secret, and lets this machine's address call it."""
    if not around.settings.is_on(name):
        return fine("没有开。")
    wrong = around.platforms.get(name)
    if wrong is None:
        return fine("平台连得上，账号、密钥和出口 IP 都被接受。")
    place = _ADDRESS.search(wrong.message)
    where = f"（{place[1].rstrip('.')}）" if place else ""
    prefix = env_prefix(name)
    if _refuses_address(name, wrong):
        return fault(f"平台不认本机的出口 IP{where}（{wrong.code}）：请在平台后台的可信 IP（IP 白名单）里登记它，约一分钟后生效。")
    match wrong.kind:
        case "config" | "token":
            return fault(f"平台不认账号或密钥（{wrong.code}）：请对照平台后台核对 {prefix} 各项。")
        case "permission":
            return fault(f"应用没有需要的权限（{wrong.code}）：请在平台后台给应用开通接口权限。")
        case "rate" | "quota":
            return warning(f"平台说调用太多（{wrong.code}）：请过一会儿再查，并看额度那一项。")
        case "transient" | "unknown" if wrong.code in ("no-connection", "timeout", "token-timeout", "broken"):
            return fault(f"连不上平台（{wrong.code}）：请检查网络、DNS、防火墙是否放行 {prefix} 里的接口地址。")
        case _:
            return warning(f"平台答复了看不懂的话（{wrong.code}）：请核对 {prefix} 里的接口地址，私有化部署可能没有这个接口。")


def env_prefix(name: str) -> str:
    return f"{PREFIX}{name.upper()}__"


def _refuses_address(name: str, wrong: PlatformError) -> bool:
    return (name, wrong.code) in {("wecom", "60020"), ("wechat", "40164"), ("wechat", "61004")} or (
        name in ("dingtalk", "zwding") and "ip" in re.split(r"[^a-z]+|(?<=ip)(?=not)", f"{wrong.code} {wrong.message}".lower())
    )


CHECKS: tuple[tuple[str, str, Check, bool], ...] = (
    ("settings", "设置", check_settings, False),
    ("settings_file", "设置文件的权限", check_settings_file, False),
    ("channels", "渠道", check_channels, False),
    ("listen", "监听地址", check_listen, False),
    ("public_url", "对外的地址", check_public_url, False),
    ("public_path", "对外的地址通不通", check_public_path, False),
    ("metrics", "指标的可见范围", check_metrics_address, False),
    ("service", "服务", check_service, False),
    ("python", "Python 和依赖", check_python, False),
    ("clock", "时钟", check_clock, False),
    ("disk", "磁盘空间", check_disk, False),
    ("inodes", "可建的文件数", check_inodes, False),
    ("memory", "内存", check_memory, False),
    ("open_files", "可打开的文件数", check_open_files, False),
    ("font", "证书字体", check_font, False),
    ("content", "课程和题库", check_content, False),
    ("policy", "学时规则", check_policy, False),
    ("calendar", "工作日历", check_calendar, False),
    ("database", "数据库", check_database, False),
    ("schema", "表结构", check_schema, False),
    ("database_file", "数据库文件的权限", check_database_file, False),
    ("database_folder", "数据目录", check_database_folder, False),
    ("durability", "断电保护", check_durability, True),
    ("damage", "数据库有没有损坏", check_damage, True),
    ("guards", "防改触发器", check_guards, True),
    ("write_ahead_log", "写前日志", check_write_ahead_log, False),
    ("connections", "数据库连接", check_connections, True),
    ("backup", "最近一次备份", check_backup, True),
    ("backup_place", "备份放在哪里", check_backup_place, True),
    ("seal", "最近一次封存", check_seal, True),
    ("operator", "命令行的名义", check_operator, True),
    ("people", "花名册", check_people, True),
    ("quota", "平台额度", check_quota, True),
    ("deliveries", "推送", check_deliveries, True),
    ("pause", "推送开关", check_pause, True),
    *((name, LABELS[name], partial(check_platform, name), False) for name in CHANNELS),
)
"""Every check: its name for scripts, its title, the function, and whether it needs a database at this program's revision."""


# ── Looking ──


def examine(settings: Settings, now: datetime, config: Path | None = None) -> list[tuple[str, str, Finding]]:
    """Every check with its name, its title and what it found, in the order of `CHECKS`."""
    around = Surroundings(settings, now, config)
    around.library, around.library_faults = loader.load_library(loader.data_root())
    _open_database(around)
    try:
        asyncio.run(_ask_network(around))
        return [(name, title, _look(check, around, needs_database)) for name, title, check, needs_database in CHECKS]
    finally:
        if around.engine is not None:
            around.engine.dispose()


def _look(check: Check, around: Surroundings, needs_database: bool) -> Finding:
    if needs_database and around.engine is None:
        return warning("数据库现在用不了，没有查：请先按“数据库”“表结构”两项处理。")
    try:
        return check(around)
    except DBAPIError as wrong:
        return fault(database_fault(wrong.orig))
    except driver_errors() as wrong:
        return fault(database_fault(wrong))
    except OSError as wrong:
        return warning(f"没有查成（{wrong.filename or type(wrong).__name__}：{os.strerror(wrong.errno or 0)}）：请用服务的用户运行 doctor。")


def _open_database(around: Surroundings) -> None:
    """Open the database, where it stands and is at this program's revision; else say what is wrong. A file that is not there is not made."""
    file = around.database_file
    if file is not None and not file.exists():
        around.database_problem = warning(
            f"还没有数据库 {file}：第一次启动前请运行 python -m bot migrate；若本该有，请从备份恢复（python -m bot restore 目录）。"
        )
        return
    try:
        engine = open_engine(around.settings.database, busy_seconds=around.settings.limits.busy_seconds)
        revision = migrate.current(engine)
    except DBAPIError as wrong:
        around.database_problem = fault(database_fault(wrong.orig))
        return
    except driver_errors() as wrong:
        around.database_problem = fault(database_fault(wrong))
        return
    if revision == migrate.HEAD:
        around.engine = engine
        return
    engine.dispose()
    try:
        migrate.refuse_unknown(revision)
        state = "还没有建表" if revision is None else f"停在版本 {revision}，本程序需要 {migrate.HEAD}"
        around.schema_problem = fault(f"数据库{state}：请先 backup，再运行 python -m bot migrate。")
    except Refusal as refusal:
        around.schema_problem = fault(str(refusal))


async def _ask_network(around: Surroundings) -> None:
    settings = around.settings
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - what is listened on, asked at the loopback
    service = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    async with Outbound(
        tokens=SingleRunTokens(), clock=lambda: around.now, note=ignore_note, holder="doctor", secrets=settings.secrets(), total=NETWORK_SECONDS
    ) as outbound:
        await asyncio.gather(
            _into(around, "service", _get(f"{service}/healthz", around.now)),
            _into(around, "readiness", _get(f"{service}/readyz", around.now)),
            *(
                (
                    _into(around, "public", _get(f"{settings.public_url.rstrip('/')}/healthz", around.now)),
                    _into(around, "public_metrics", _get(f"{settings.public_url.rstrip('/')}/metrics", around.now)),
                )
                if settings.public_url
                else ()
            ),
            *(_ask_platform(around, outbound, name) for name in CHANNELS if settings.is_on(name)),
        )


async def _into(around: Surroundings, name: str, asking: Awaitable[Answer]) -> None:
    setattr(around, name, await asking)


async def _get(address: str, now: datetime) -> Answer:
    """What an address answers; nothing, where nobody does."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=NETWORK_SECONDS), trust_env=False) as session,
            session.get(address, allow_redirects=False) as response,
        ):
            body = (await response.content.read(4096)).decode("utf-8", "replace")
            return Answer(response.status, body, _ahead(response.headers.get("Date"), now))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return Answer()


def _ahead(date: str | None, now: datetime) -> timedelta | None:
    try:
        return None if date is None else parsedate_to_datetime(date).astimezone(UTC) - now
    except ValueError:
        return None


async def _ask_platform(around: Surroundings, outbound: Outbound, name: str) -> None:
    settings = around.settings
    bases = {"wecom": settings.wecom.api_base, "wechat": settings.wechat.api_base, "dingtalk": settings.dingtalk.api_base, "zwding": ""}
    try:
        await _sign_in(settings, outbound, name)
        around.platforms[name] = None
    except PlatformError as wrong:
        around.platforms[name] = wrong
    if bases[name] and (ahead := (await _get(bases[name], around.now)).ahead) is not None:
        around.platform_clocks[name] = ahead


async def _sign_in(settings: Settings, outbound: Outbound, name: str) -> None:
    """Fetch a token, and where the token alone does not show whether our address is allowed, ask for something that changes nothing."""
    if name == "wecom":
        wecom = settings.wecom
        api = wecom_api(base=wecom.api_base, corp_id=wecom.corp_id, agent_id=wecom.agent_id, secret=reveal(wecom.secret))
        await outbound.call(api, "GET", "/cgi-bin/agent/get", params={"agentid": wecom.agent_id})
    elif name == "wechat":
        wechat = settings.wechat
        await outbound.sign_in(wechat_api(base=wechat.api_base, app_id=wechat.app_id, secret=reveal(wechat.secret)))
    elif name == "dingtalk":
        dingtalk = settings.dingtalk
        secret = reveal(dingtalk.client_secret)
        await outbound.sign_in(dingtalk_api(base=dingtalk.api_base, client_id=dingtalk.client_id, client_secret=secret))
        await outbound.sign_in(dingtalk_old_api(base=dingtalk.oapi_base, client_id=dingtalk.client_id, client_secret=secret))
    else:
        from bot.channels.zwding.gateway import build_apis

        try:
            _, api = build_apis(settings.zwding, context.now, lambda: context.rng.randrange(10_000))
        except ValueError as wrong:
            raise PlatformError("config", "ca_file", str(wrong)) from wrong
        await outbound.sign_in(api)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that stands."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())


def _parts_of(file: Path) -> list[Path]:
    return [part for suffix in ("", "-wal", "-shm") if (part := file.with_name(file.name + suffix)).exists()]


def _filesystem(folder: Path) -> str:
    """The kind of file system that a folder is on; empty where the system does not say."""
    try:
        mounts = [line.split(" ") for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    inside = [(mount[1], mount[2]) for mount in mounts if len(mount) > 2 and folder.is_relative_to(mount[1].replace("\\040", " "))]
    return max(inside, key=lambda mount: len(mount[0]), default=("", ""))[1]


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, length in (("天", 86_400), ("小时", 3_600), ("分钟", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} 秒"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


# ── The command ──


def doctor(as_json: Json = False) -> None:
    context.take(as_json=as_json)
    try:
        settings = context.settings()
    except BadSettings as wrong:
        listed = [("settings", "设置", fault(f"{sentence}。")) for sentence in str(wrong).splitlines()]
        note("设置用不了，其余各项没有查。")
    else:
        mask = logs.build_masker(settings.secrets())
        # What the checks say is enough; a call that failed would be said twice.
        logs.configure(settings.secrets(), level=logging.CRITICAL)
        listed = [
            (name, title, found._replace(sentence=mask(found.sentence))) for name, title, found in examine(settings, context.now(), context.config)
        ]
    counts: dict[State, int] = {state: sum(found.state == state for _, _, found in listed) for state in MARKS}
    result = {"checks": [{"name": name, "title": title, **found._asdict()} for name, title, found in listed], "counts": counts}
    lines = [f"{MARKS[found.state]} {title}：{found.sentence}" for _, title, found in listed]
    context.show(result, [*lines, f"共 {len(listed)} 项：正常 {counts['ok']}，提醒 {counts['warning']}，故障 {counts['fault']}。"])
    if counts["fault"]:
        raise typer.Exit(EXIT_REFUSED)
