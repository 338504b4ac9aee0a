"""The process itself: what commands cost to start, when `serve` is ready and what it holds then, and answers while the office works beside them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.databases import ROOT
from tests.bench.load import AES_KEY, AGENT, CORP, SECRET, TOKEN
from tests.bench.server import ALL, LAST, free_port, pin, thread_seconds
from tests.bench.table import Row, note

COMMANDS: tuple[tuple[str, ...], ...] = (("--help",), ("check", "--help"), ("check",), ("report",), ("exam", "list"))


@dataclass(frozen=True, slots=True)
class Ready:
    """What it took until a service was ready."""

    cpu: float
    wall: float
    memory_mib: float


def environment(url: str, port: int) -> Mapping[str, str]:
    """The settings of a command, without those of this machine."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("BOT_")}
    wecom = {"CORP_ID": CORP, "AGENT_ID": AGENT, "SECRET": SECRET, "TOKEN": TOKEN, "AES_KEY": AES_KEY, "API_BASE": "http://127.0.0.1:9"}
    return {**own, "BOT_DATABASE_URL": url, "BOT_LISTEN": f"127.0.0.1:{port}", **{f"BOT_WECOM__{name}": value for name, value in wecom.items()}}


def command_cpu(words: tuple[str, ...], url: str) -> float:
    """CPU seconds of one command, from `python` to its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", *words], cwd=ROOT, env=environment(url, free_port()), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    with process.stdout as stream:
        said = stream.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}: {said[-500:]}")
    return usage.ru_utime + usage.ru_stime


@contextmanager
def serving(url: str, port: int) -> Iterator[tuple[subprocess.Popen[str], Ready]]:
    """`python -m bot serve`, ready; ended afterwards."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "bot", "serve"], cwd=ROOT, env=environment(url, port), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "已启动" in line:
                    break
            else:
                raise RuntimeError(f"serve did not start: {''.join(lines)[-1000:]}")
            wall, cpu = time.perf_counter() - began, sum(thread_seconds(process.pid).values())
            yield process, Ready(cpu, wall, memory_mib(process.pid))
        finally:
            process.terminate()
            process.wait(30)


def memory_mib(pid: int) -> float:
    """What a process holds in memory now."""
    found = re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def start_rows(url: str, rounds: int) -> list[Row]:
    """Commands and the service over a prepared database, everything compiled (the first, uncounted round does that)."""
    pin(ALL)
    costs: dict[tuple[str, ...], list[float]] = {words: [] for words in COMMANDS}
    ready: list[Ready] = []
    for n in range(rounds + 1):
        for words in COMMANDS:
            costs[words].append(command_cpu(words, url))
        with serving(url, free_port()) as (_, taken):
            ready.append(taken)
        note(f"start {n}: " + ", ".join(f"{' '.join(words)} {costs[words][-1]:.2f} s" for words in COMMANDS) + f", serve {ready[-1]}")
    pin(LAST)
    rows = [Row(f"CPU of `python -m bot {' '.join(words)}`", tuple(costs[words][1:]), "{:.2f} s", None, 1.0) for words in COMMANDS]
    walls = sorted(taken.wall for taken in ready[1:])
    cpu, memory = tuple(taken.cpu for taken in ready[1:]), tuple(taken.memory_mib for taken in ready[1:])
    rows.append(Row("CPU until `serve` is ready", cpu, "{:.2f} s", None, 1.5, beside=f"{walls[len(walls) // 2]:.2f} s by the wall"))
    rows.append(Row("memory of `serve` when it is ready", memory, "{:.0f} MiB", None, 128))
    return rows
