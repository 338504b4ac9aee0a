"""Fills deploy/wheelhouse for machines without a network: run it on one of the same kind that has one, then copy the directory over.

`python3 deploy/wheelhouse.py [--dev]`; --dev adds the tools that deploy/test.py needs.
"""

import shutil
import subprocess
import sys

import _venv


def main(arguments: "list[str]") -> int:
    if arguments not in ([], ["--dev"]):
        sys.stderr.write("用法：python3 deploy/wheelhouse.py [--dev]\n")
        return 2
    if _venv.WHEELHOUSE.exists():
        sys.stderr.write(f"{_venv.WHEELHOUSE} 已存在：请先移走或删除它，再重新制作。\n")
        return 1
    # pip downloads a source package only where it can read it, and that takes the locked build packages of .venv.
    _venv.ready("run")
    unfinished = _venv.VENV / "wheelhouse.part"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    for lock in ("build", "dev" if arguments else "run"):
        command = [*_venv.pip("download"), "--dest", str(unfinished), "-r", str(_venv.LOCKS / f"{lock}.txt")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_venv.pip_environment())
        if done.returncode:
            raise SystemExit(_venv.explained(done.stdout + done.stderr, "下载依赖失败"))
    unfinished.rename(_venv.WHEELHOUSE)
    print(f"已备好 {len(list(_venv.WHEELHOUSE.iterdir()))} 个软件包：把 deploy/wheelhouse 拷到目标机器的同一位置即可离线安装。")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
