"""A fresh machine gets from Python alone to the service, and hears in one sentence what it lacks."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = {path.stem: path for path in (ROOT / "deploy" / "lock").glob("*.txt")}
PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;]+)(?: ; (?P<marker>[^\\]+))? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")

STAND_IN = """
import signal, sys, time
print(sys.argv[1:], flush=True)
if sys.argv[1] in SLEEPERS:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    print("up", flush=True)
    time.sleep(600)
"""


def pins(lock: str) -> dict[str, str]:
    found = (PIN.fullmatch(line) for line in LOCKS[lock].read_text(encoding="utf-8").splitlines())
    return {match["name"]: match["version"] for match in found if match}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with nothing but deploy/ in it."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("wheelhouse", "__pycache__"))
    return tmp_path


@pytest.fixture
def venv(project: Path) -> Any:
    """That checkout's own _venv module."""
    spec = importlib.util.spec_from_file_location("deploy_venv_copy", project / "deploy" / "_venv.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def installed(project: Path, venv: Any) -> Path:
    """The checkout as it stands after a first start, with a bot that repeats its arguments."""
    venv.BIN.mkdir(parents=True)
    venv.PYTHON.symlink_to(os.path.realpath(sys.executable))
    venv.STAMP.write_text(venv.stamp("run"), encoding="utf-8")
    (project / "bot").mkdir()
    bot_says(project, sleepers=())
    return project


def bot_says(project: Path, sleepers: tuple[str, ...]) -> None:
    (project / "bot" / "__main__.py").write_text(STAND_IN.replace("SLEEPERS", repr(sleepers)), encoding="utf-8")


def start(project: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("BOT_", "PYTHONPATH"))} | settings
    command = [sys.executable, "deploy/start.py", *arguments]
    return subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")


# The lock.


@pytest.mark.parametrize("lock", sorted(LOCKS))
def test_the_lock_names_versions_and_hashes_and_no_host_or_path(lock: str) -> None:
    lines = LOCKS[lock].read_text(encoding="utf-8").splitlines()
    pinned = [number for number, line in enumerate(lines) if PIN.fullmatch(line)]

    assert pinned
    assert [line for line in lines if not PIN.fullmatch(line) and not HASH.fullmatch(line)] == []
    assert all(HASH.fullmatch(lines[number + 1]) for number in pinned)


@pytest.mark.parametrize("lock", ["run", "dev"])
def test_the_lock_holds_every_direct_dependency_at_a_version_that_the_project_accepts(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [Requirement(text) for text in project["project"]["dependencies"] + (project["dependency-groups"]["dev"] if lock == "dev" else [])]
    locked = pins(lock)

    wrong = [str(want) for want in asked if not want.specifier.contains(locked.get(canonicalize_name(want.name), "0"), prereleases=True)]
    assert wrong == [], "run python3 deploy/lock.py"


def test_the_tools_run_beside_the_very_packages_that_the_service_runs_on() -> None:
    assert pins("run").items() <= pins("dev").items()


# The stamp.


def test_a_venv_is_taken_as_it_is_while_lock_and_interpreter_stay(venv: Any, installed: Path) -> None:
    assert venv.stands("run")
    assert not venv.stands("dev")
    assert venv.ready("run") == installed / ".venv" / "bin" / "python"


def test_a_venv_with_the_tools_serves_the_service_too(venv: Any, installed: Path) -> None:
    venv.STAMP.write_text(venv.stamp("dev"), encoding="utf-8")
    assert venv.stands("run")


@pytest.mark.parametrize("lock", ["run", "build"])
def test_a_changed_lock_asks_for_a_new_venv(venv: Any, installed: Path, lock: str) -> None:
    with (venv.LOCKS / f"{lock}.txt").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert not venv.stands("run")


def test_another_interpreter_asks_for_a_new_venv(venv: Any, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv.sysconfig, "get_platform", lambda: "linux-loongarch64")
    assert not venv.stands("run")


def test_an_interpreter_that_was_removed_asks_for_a_new_venv(venv: Any, installed: Path) -> None:
    venv.PYTHON.unlink()
    venv.PYTHON.symlink_to(installed / "gone")
    assert not venv.stands("run")


def test_a_venv_that_was_cut_short_is_made_anew(venv: Any, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = venv.VENV / "left-behind"
    left.touch()
    venv.STAMP.unlink()

    def cut_short(command: list[str], what: str, held: int) -> None:
        if "venv" in command:
            venv._site_packages().mkdir(parents=True)
        if command[-1].endswith("run.txt"):
            raise KeyboardInterrupt

    monkeypatch.setattr(venv, "_run", cut_short)
    with pytest.raises(KeyboardInterrupt):
        venv.ready("run")
    assert not left.exists()
    assert not venv.STAMP.exists()

    monkeypatch.setattr(venv, "_run", lambda command, what, held: venv._site_packages().mkdir(parents=True, exist_ok=True))
    venv.ready("run")
    assert venv.STAMP.read_text(encoding="utf-8") == venv.stamp("run")


def test_a_venv_that_is_a_link_is_never_emptied(venv: Any, project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As in a worktree that borrows the environment of another checkout."""
    other = tmp_path_factory.mktemp("other") / ".venv"
    (other / "bin").mkdir(parents=True)
    (other / "bin" / "python").symlink_to(os.path.realpath(sys.executable))
    (other / "xuefa-bot.stamp").write_text("run 0000", encoding="utf-8")
    venv.VENV.symlink_to(other)

    with pytest.raises(SystemExit, match=r"是指向 .* 的链接.*没有改动它"):
        venv.ready("run")
    done = start(project)
    _, err = done.communicate(timeout=300)
    assert (done.returncode, f"{venv.VENV} 是指向 {other} 的链接" in err, len(err.splitlines())) == (1, True, 1)
    assert venv.VENV.is_symlink()
    assert (other / "xuefa-bot.stamp").read_text(encoding="utf-8") == "run 0000"


@pytest.mark.parametrize("written", ["lib/python3.11/site-packages/xuefa-bot.pth", "pyvenv.cfg"])
def test_a_venv_made_for_another_checkout_is_never_emptied(venv: Any, installed: Path, written: str) -> None:
    venv.STAMP.write_text("run 0000", encoding="utf-8")
    said = {"pyvenv.cfg": "home = /usr/bin\ncommand = /usr/bin/python3 -m venv /srv/other/.venv\n"}.get(written, "/srv/other\n")
    place = venv.VENV / written
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(said, encoding="utf-8")

    with pytest.raises(SystemExit, match=r"是为 /srv/other 建立的，不是为 .*没有改动它"):
        venv.ready("run")
    assert place.read_text(encoding="utf-8") == said
    assert venv.PYTHON.exists()


def test_a_venv_of_its_own_says_so(venv: Any, installed: Path) -> None:
    (venv.VENV / "pyvenv.cfg").write_text(f"command = /usr/bin/python3 -m venv {venv.VENV}\n", encoding="utf-8")
    assert venv.maker() == installed
    venv.need_own()


def test_a_pip_that_outlives_a_killed_start_keeps_the_next_one_waiting(venv: Any, installed: Path) -> None:
    venv.STAMP.unlink()
    with venv._alone() as held:
        orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=(held,))
    with start(installed) as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline() == "另一个进程正在安装依赖，等它完成……\n"
        # Whoever held the lock may have finished the work: then there is nothing left to do.
        venv.STAMP.write_text(venv.stamp("run"), encoding="utf-8")
        orphan.kill()
        orphan.wait(60)
        assert waiting.communicate(timeout=300)[0].splitlines() == ["['migrate']", "['serve', '--demo']"]


# What is missing.


@pytest.mark.parametrize("script", ["start", "test"])
def test_an_old_python_reads_far_enough_to_say_that_it_is_old(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ROOT / "deploy" / f"{script}.py"
    source = path.read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 7))
    assert "from __future__" not in source

    rooms: dict[str, Any] = {"__name__": "script", "__file__": str(path)}
    exec(compile(source, str(path), "exec"), rooms)
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    assert rooms["main"]([]) == 1
    assert capsys.readouterr().err == "需要 Python 3.11 或更高版本，当前是 3.9：请安装新版 Python 后重试。\n"


@pytest.mark.parametrize("part", ["venv", "ensurepip"])
def test_a_python_without_venv_names_the_package_of_debian(venv: Any, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv.importlib.util, "find_spec", lambda name: None if name == part else object())
    with pytest.raises(SystemExit, match=f"缺少 {part} 组件.*apt install python3-venv"):
        venv.ready("run")


def test_a_directory_that_may_not_be_written_is_named(venv: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv.os, "access", lambda place, mode: False)
    with pytest.raises(SystemExit, match=f"目录 {re.escape(str(project))} 当前用户不可写"):
        venv.ready("run")


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (
            "NewConnectionError: Temporary failure in name resolution\nERROR: No matching distribution found for wheel==0.48.0",
            "连不上软件源.*deploy/wheelhouse",
        ),
        ("The virtual environment was not created successfully because ensurepip is not available.", "apt install python3-venv"),
        ("ReadTimeoutError: Read timed out.", "连不上软件源"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "磁盘空间不足"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "校验值不符"),
        ("one\nERROR: something else\n\n", "安装依赖失败：ERROR: something else"),
        ("", "没有给出原因"),
    ],
)
def test_a_failing_pip_is_explained_in_one_sentence(venv: Any, printed: str, said: str) -> None:
    sentence = venv.explained(printed, "安装依赖失败")
    assert re.search(said, sentence)
    assert "\n" not in sentence


def test_an_empty_wheelhouse_is_used_and_found_wanting_without_a_network(venv: Any, project: Path) -> None:
    (project / "deploy" / "wheelhouse").mkdir()

    first = start(project)
    said = first.communicate(timeout=300)[1]

    assert first.returncode == 1
    assert said.splitlines()[-1].startswith("安装依赖失败：deploy/wheelhouse 里缺少适合本机的软件包")
    assert "Traceback" not in said
    assert not venv.stands("run")


# The service.


def test_what_follows_is_passed_on(installed: Path) -> None:
    done = start(installed, "roster", "import", "花名册.xlsx", "--apply")
    assert done.communicate(timeout=300)[0] == "['roster', 'import', '花名册.xlsx', '--apply']\n"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ({}, "['serve', '--demo']"),
        ({"BOT_LISTEN": "127.0.0.1:0"}, "['serve', '--demo']"),
        ({"BOT_LISTEN": "127.0.0.1:0", "BOT_TIMEZONE": "Asia/Shanghai"}, "['serve']"),
        ({"bot_public_url": "https://xuefa.example"}, "['serve']"),
    ],
)
def test_without_settings_but_the_address_it_is_the_demo(installed: Path, settings: dict[str, str], served: str) -> None:
    done = start(installed, **settings)
    assert done.communicate(timeout=300)[0].splitlines() == ["['migrate']", served]


@pytest.mark.parametrize("asleep", ["migrate", "serve"])
def test_a_sigterm_reaches_what_is_running_and_its_status_comes_back(installed: Path, asleep: str) -> None:
    bot_says(installed, sleepers=(asleep,))
    with start(installed) as running:
        assert running.stdout is not None
        while running.stdout.readline() not in ("up\n", ""):
            pass
        running.send_signal(signal.SIGTERM)
        rest = running.communicate(timeout=300)[0]
    assert running.returncode == 7
    assert rest == ""
