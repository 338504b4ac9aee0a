"""Runs what the pipeline runs, on a machine that has only Python: `python3 deploy/test.py [--lint | PYTEST ARGUMENT …]`.

Stops at the first tool that finds something, with its status; pytest comes last and prints the closing line. --lint leaves pytest out.
"""

# Old interpreters must get as far as the sentence about their age: no newer syntax in this file.
import os
import subprocess
import sys

LEAST = (3, 11)
TOOLS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("mypy", "deploy"),
    ("lint-imports",),
    ("deptry", "."),
)


def main(arguments: "list[str]") -> int:
    if sys.version_info[:2] < LEAST:
        sys.stderr.write("需要 Python {}.{} 或更高版本，当前是 {}.{}：请安装新版 Python 后重试。\n".format(*(LEAST + sys.version_info[:2])))
        return 1
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _suite
    import _venv

    python = str(_venv.ready("dev"))
    os.chdir(_venv.ROOT)
    for tool in TOOLS:
        _venv.say("== " + " ".join(tool))
        status = subprocess.call([str(_venv.BIN / tool[0]), *tool[1:]])
        if status:
            _venv.say("{} 没有通过，到此为止。".format(" ".join(tool)))
            return status
    if arguments == ["--lint"]:
        return 0
    _venv.say("== pytest")
    os.execve(python, [python, "-m", "pytest", *(arguments or _suite.SIDE_BY_SIDE)], _suite.environment())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
