"""Writes the lock files of deploy/lock anew, after a change of the dependencies: `python3 deploy/lock.py [--upgrade]`. Needs uv and a network."""

import os
import shutil
import subprocess
import sys

import _venv

# For every platform, with the hash of every published file, and with neither index nor path in it.
COMPILE = (
    "pip",
    "compile",
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-header",
    "--no-annotate",
)
BUILD = "setuptools\nwheel\n"
SOURCES: "dict[str, tuple[str, ...]]" = {
    "build": ("-",),
    "run": ("pyproject.toml", "--constraints=deploy/lock/build.txt"),
    "fast": ("pyproject.toml", "--extra=fast", "--constraints=deploy/lock/build.txt", "--constraints=deploy/lock/run.txt"),
    "dev": ("pyproject.toml", "--group=dev", "--constraints=deploy/lock/build.txt", "--constraints=deploy/lock/run.txt"),
}


def main(arguments: "list[str]") -> int:
    uv = shutil.which("uv", path=os.pathsep.join([str(_venv.BIN), os.environ.get("PATH", os.defpath)]))
    if uv is None:
        sys.stderr.write("没有找到 uv：请先安装它（pip install uv）。\n")
        return 1
    for name, source in SOURCES.items():
        # --no-config: an index of this machine's own settings must not decide what everybody installs.
        command = [uv, "--no-config", *COMPILE, *source, *arguments, f"--output-file=deploy/lock/{name}.txt"]
        packages = BUILD if name == "build" else None
        done = subprocess.run(command, cwd=_venv.ROOT, input=packages, text=True, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
