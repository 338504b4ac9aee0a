"""Starts the service on a machine that has only Python: `python3 deploy/start.py [COMMAND …]`.

Without arguments: the schema, then the service (the demo when nothing is set). With arguments: that command of `python -m bot`.
"""

# Old interpreters must get as far as the sentence about their age: no newer syntax in this file.
import os
import signal
import subprocess
import sys

LEAST = (3, 11)


def main(arguments: "list[str]") -> int:
    if sys.version_info[:2] < LEAST:
        sys.stderr.write("需要 Python {}.{} 或更高版本，当前是 {}.{}：请安装新版 Python 后重试。\n".format(*(LEAST + sys.version_info[:2])))
        return 1
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _venv

    bot = [str(_venv.ready("run")), "-m", "bot"]
    if arguments:
        os.execv(bot[0], [*bot, *arguments])
    os.chdir(_venv.ROOT)
    # Where it listens and who types says nothing about whom it serves.
    demo = not any(key.upper().startswith("BOT_") and key.upper() not in ("BOT_LISTEN", "BOT_OPERATOR") for key in os.environ)
    if demo:
        var = _venv.ROOT / "var"
        _venv.need_writable(var if var.exists() else _venv.ROOT)
    status = attend([*bot, "migrate"])
    if status:
        return status
    # The service takes this process over: signals reach it, and its exit status is the one that the caller sees.
    os.execv(bot[0], [*bot, "serve", *(["--demo"] if demo else [])])
    return 0


def attend(command: "list[str]") -> int:
    """The exit status of a child that hears our SIGTERM; Ctrl-C reaches it from the terminal by itself."""
    child = subprocess.Popen(command)
    before = signal.signal(signal.SIGTERM, lambda number, _: child.send_signal(number)), signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = child.wait()
    # What is ignored stays ignored through exec.
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGINT, before[1])
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
