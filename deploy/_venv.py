"""Makes .venv from the lock files, once, and says in one Chinese sentence what stands in the way.

The lock is four requirement files with hashes in deploy/lock, written by deploy/lock.py: run.txt, dev.txt (all of run.txt and the tools), fast.txt
(all of run.txt and uvloop, for who installs it by hand) and build.txt (what builds the one source package). Plain pip reads them as they are,
they
name no index, and so a mirror or a wheelhouse serves as well as the public one: the hashes decide. A uv.lock would carry the address of
every file
and would need a translator on a machine that has nothing but pip.

Run as a script it prepares .venv and does nothing else (for images and for services whose user may not write here); `_venv.py dev` adds the tools.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "deploy" / "lock"
WHEELHOUSE = ROOT / "deploy" / "wheelhouse"
VENV = ROOT / ".venv"
BIN = VENV / "bin"
PYTHON = BIN / "python"
STAMP = VENV / "xuefa-bot.stamp"
PIP_LOG = VENV / "pip.log"

# Published as source only; everything else must come as a wheel, for nothing here can compile Rust or C.
SOURCE_ONLY = "jieba"
NO_VENV = "这台机器的 Python 缺少 {} 组件，无法建立虚拟环境：请先安装 Debian 软件包 python3-venv（apt install python3-venv）。"
OFFLINE_SIGNS = ("connection", "max retries", "name resolution", "timed out", "timeout", "proxyerror", "sslerror", "no matching distribution")


def stamp(kind: str) -> str:
    """What .venv must have been made of: the lock, the interpreter's binary kind, and the place (scripts carry it in their first line)."""
    digest = hashlib.sha256()
    for name in ("build", kind):
        digest.update((LOCKS / f"{name}.txt").read_bytes())
    digest.update(f"{sys.implementation.cache_tag} {sysconfig.get_platform()} {ROOT}".encode())
    return f"{kind} {digest.hexdigest()}"


def stands(kind: str) -> bool:
    """True when .venv was finished from this very lock; one with the tools serves for running too."""
    if not PYTHON.exists() or not STAMP.is_file():
        return False
    made = STAMP.read_text(encoding="utf-8")
    return made == stamp(kind) or (kind == "run" and made == stamp("dev"))


def ready(kind: str) -> Path:
    """The interpreter of a .venv that holds the locked packages of `kind` ("run" or "dev"); SystemExit with a sentence when it cannot be had."""
    if stands(kind):
        return PYTHON
    need_parts()
    need_writable(ROOT)
    if VENV.exists():
        need_writable(VENV)
    need_own()
    with _alone() as held:
        # Another start may have made it while this one waited.
        if not stands(kind):
            _make(kind, held)
    return PYTHON


def need_parts() -> None:
    for part in ("venv", "ensurepip"):
        if importlib.util.find_spec(part) is None:
            raise SystemExit(NO_VENV.format(part))


def need_writable(place: Path) -> None:
    if not os.access(place, os.W_OK | os.X_OK):
        raise SystemExit(f"目录 {place} 当前用户不可写：请改用拥有该目录的用户运行，或把项目放到可写的目录。")


def need_own() -> None:
    """Refuses a .venv that is not this checkout's own to empty: a link leads to somebody else's, and one made for another place serves there."""
    if VENV.is_symlink():
        raise SystemExit(f"{VENV} 是指向 {os.path.realpath(VENV)} 的链接，那里的环境可能正被别处使用，没有改动它：请删除这个链接后重试。")
    if not VENV.exists():
        return
    made_for = maker()
    if made_for is not None and made_for != ROOT:
        raise SystemExit(f"{VENV} 是为 {made_for} 建立的，不是为 {ROOT}，没有改动它：请移走它，或确认没有用处后手动删除，再重试。")


def maker() -> Path | None:
    """The checkout that a .venv was made for: the one on its path, or beside which it was made; None where neither is written down."""
    paths = sorted(VENV.glob("lib/python*/site-packages/xuefa-bot.pth"))
    if paths and (named := paths[0].read_text(encoding="utf-8").strip()):
        return Path(named)
    config = VENV / "pyvenv.cfg"
    for line in config.read_text(encoding="utf-8").splitlines() if config.is_file() else []:
        key, _, command = line.partition("=")
        if key.strip() == "command" and " -m venv " in command:
            return Path(command.rpartition(" -m venv ")[2].split("--")[-1].strip()).parent
    return None


@contextmanager
def _alone() -> Iterator[int]:
    """One builder at a time. The lock goes on to the pip that is started under it, which may outlive a start that is killed: the system
    lets go of it when the last of them has ended."""
    held = os.open(LOCKS, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("另一个进程正在安装依赖，等它完成……")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield held
    finally:
        os.close(held)


def _make(kind: str, held: int) -> None:
    grown = kind == "dev" and stands("run")
    # The stamp goes first and comes last: whatever is cut short in between is made anew next time.
    STAMP.unlink(missing_ok=True)
    if not grown:
        try:
            if VENV.is_file():
                VENV.unlink()
            elif VENV.exists():
                shutil.rmtree(VENV)
        except OSError as wrong:
            raise SystemExit(f"旧的虚拟环境 {VENV} 删不掉（{wrong.strerror}：{wrong.filename}）：请手动删除它后重试。") from None
        say(f"正在建立虚拟环境 {VENV} ……")
        _run([_base(), "-I", "-m", "venv", str(VENV)], "建立虚拟环境失败", held)
    say("正在从 deploy/wheelhouse 安装依赖……" if WHEELHOUSE.is_dir() else "正在安装依赖（首次约需一两分钟）……")
    for lock in ("build", kind):
        offline = ["--no-index", "--find-links", str(WHEELHOUSE)] if WHEELHOUSE.is_dir() else []
        _run([*pip("install"), "-r", str(LOCKS / f"{lock}.txt"), *offline], "安装依赖失败", held)
    # `import bot` works from any directory, as `python -m bot` is used afterwards.
    (_site_packages() / "xuefa-bot.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    STAMP.write_text(stamp(kind), encoding="utf-8")


def _base() -> str:
    """Started from the .venv that has just been removed, the interpreter that it was made of is still there."""
    return str(getattr(sys, "_base_executable", sys.executable)) if Path(sys.prefix) == VENV else sys.executable


def _run(command: list[str], what: str, held: int) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=pip_environment(), pass_fds=(held,))
    output = done.stdout + done.stderr
    if VENV.is_dir():
        with PIP_LOG.open("a", encoding="utf-8") as log:
            log.write(output)
    if done.returncode:
        raise SystemExit(explained(output, what))


def pip(verb: str) -> list[str]:
    """The start of a pip command that takes nothing but locked files. The build packages stand in .venv already (from build.txt), so that
    pip has no reason to fetch unlocked ones for the source package."""
    # -I: a PYTHONPATH or PYTHONDONTWRITEBYTECODE of the caller's changes neither what is installed nor that it is compiled.
    start = [str(PYTHON), "-I", "-m", "pip", verb, "--disable-pip-version-check", "--no-input", "--quiet", "--progress-bar=off"]
    return [*start, "--require-hashes", "--use-pep517", "--no-build-isolation", "--only-binary=:all:", f"--no-binary={SOURCE_ONLY}"]


def pip_environment() -> dict[str, str]:
    """The caller's, mirrors and certificates included, less what would send the packages somewhere else."""
    return {key: value for key, value in os.environ.items() if key not in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")} | {"PIP_USER": "0"}


def explained(output: str, what: str) -> str:
    """One sentence on why pip or venv failed, from what it printed."""
    low = output.lower()
    if "ensurepip" in low:
        return NO_VENV.format("ensurepip")
    if "no space left" in low:
        return f"{what}：磁盘空间不足，请清理后重试（约需 400 MB）。"
    if "do not match the hashes" in low:
        return f"{what}：下载的文件与锁文件的校验值不符，请检查软件源或 deploy/wheelhouse 是否被改动。"
    if WHEELHOUSE.is_dir() and "no matching distribution" in low:
        return f"{what}：deploy/wheelhouse 里缺少适合本机的软件包，请在同类且联网的机器上运行 python3 deploy/wheelhouse.py 重新制作。"
    if any(sign in low for sign in OFFLINE_SIGNS):
        advice = "无网络的机器请先在联网机器上用 python3 deploy/wheelhouse.py 制作 deploy/wheelhouse，再拷到这里"
        return f"{what}：连不上软件源，请检查网络或 pip 的镜像设置；{advice}。"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"{what}：{lines[-1] if lines else '没有给出原因'}" + (f"（详见 {PIP_LOG}）。" if PIP_LOG.exists() else "。")


def _site_packages() -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(VENV), "platbase": str(VENV)}))


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    ready("dev" if sys.argv[1:] == ["dev"] else "run")
