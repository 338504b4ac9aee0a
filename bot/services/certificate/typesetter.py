"""Draws pages with typst in a child process that ends a while after its last page.

typst keeps what it has loaded and laid out as long as its process lives: 210 MiB with the Chinese typefaces, which the service would never see again
(bot/docs/performance.md). The child, `python -m bot.services.certificate.typesetter`, reads one JSON line a page and answers with one JSON line,
which is followed by the bytes of the page or holds the refusal.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bot.domain.message import Refusal

if TYPE_CHECKING:
    from typst import Fonts

Form = Literal["pdf", "png"]
PICTURE_PPI = 144
IDLE_SECONDS = 60.0
"""Whoever looks at a certificate takes its picture and its PDF, one after the other."""
TIMEOUT_SECONDS = 60.0

_TEMPLATE = Path(__file__).with_name("certificate.typ")
_UNSHOWN = re.compile(r'text `"(.+?)"` could not be displayed')
NO_GLYPH = "现有字体里没有「{}」这个字，证书的图片和 PDF 没有生成：请安装字数更全的中文字体，或用 BOT_WEB__FONT 指明。"
NOT_INSTALLED = "这台服务器上没有安装 typst，证书的图片和 PDF 没有生成；证书的文字和核验不受影响。"
ENDED = "排版程序意外退出，证书的图片和 PDF 没有生成，请稍后再试；证书的文字和核验不受影响。"


# ── In the service ──


@dataclass(frozen=True, slots=True)
class Page:
    """What is drawn: the template's data as JSON, the QR code as SVG, the moment the PDF carries, in Unix seconds."""

    form: Form
    data: str
    qr: str
    timestamp: int


class Typesetter:
    """Draws one page at a time. Plain and slow (a tenth of a second, half of one for the first page after a while): not for the loop's thread."""

    def __init__(self, font: str = "", *, system: bool = True) -> None:
        """`font` and `system` as `load_typefaces` takes them."""
        self._font = font
        self._system = system
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._ending: weakref.finalize[[subprocess.Popen[bytes]], Typesetter] | None = None
        self._idle: threading.Timer | None = None

    def draw(self, page: Page) -> bytes:
        """Raises `Refusal`: no typst, no typeface, or a character that no typeface has."""
        if importlib.util.find_spec("typst") is None:
            # Not published for every processor of an intranet; all else works without it.
            raise Refusal(NOT_INSTALLED)
        job = json.dumps({"font": self._font, "system": self._system, "page": asdict(page)}).encode() + b"\n"
        with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            head, content = self._ask(job)
            if not head:
                self._end()
                raise Refusal(ENDED)
            self._idle = threading.Timer(IDLE_SECONDS, self.close)
            self._idle.daemon = True
            self._idle.start()
        if refused := head.get("refused"):
            raise Refusal(str(refused))
        return content

    def close(self) -> None:
        """End the child; the next page starts another."""
        with self._lock:
            self._end()

    def _ask(self, job: bytes) -> tuple[dict[str, Any], bytes]:
        """The head and the content of the answer; an empty head where the child ended instead."""
        child = self._child or self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        watch = threading.Timer(TIMEOUT_SECONDS, child.kill)
        watch.daemon = True
        watch.start()
        try:
            child.stdin.write(job)
            child.stdin.flush()
            line = child.stdout.readline()
            head: dict[str, Any] = json.loads(line) if line else {}
            return head, child.stdout.read(head.get("bytes", 0))
        except BrokenPipeError:
            return {}, b""
        finally:
            watch.cancel()

    def _start(self) -> subprocess.Popen[bytes]:
        package = Path(__file__).resolve().parents[3]
        own = {name: os.environ[name] for name in ("HOME", "XDG_DATA_HOME", "XDG_DATA_DIRS") if name in os.environ}
        child = subprocess.Popen(
            [sys.executable, "-m", "bot.services.certificate.typesetter"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Where typefaces are looked for depends on the home directory; nothing else of the service is the child's affair.
            env={**own, "PYTHONPATH": str(package), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=True,
        )
        self._child, self._ending = child, weakref.finalize(self, _end, child)
        return child

    def _end(self) -> None:
        if self._ending is not None:
            self._ending()
        if self._idle is not None:
            self._idle.cancel()
        self._child = self._ending = self._idle = None


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    # Leaving the context closes both pipes, of which one may hold what the child no longer read, and waits for the end.
    with contextlib.suppress(BrokenPipeError), child:
        pass


# ── Typefaces ──

SERIF = ("Noto Serif CJK SC", "Noto Serif SC", "Source Han Serif SC", "Source Han Serif CN", "Source Han Serif", "思源宋体")
SANS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Source Han Sans",
    "思源黑体",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
)
"""Only these are taken from a system by themselves: they may be put into a PDF that is handed on. Others have to be configured."""
NO_FONT = "这台服务器上没有可用的中文字体，证书的图片和 PDF 没有生成：请安装 fonts-noto-cjk（或思源、文泉驿字体），或用 BOT_WEB__FONT 指明字体文件。"


@dataclass(frozen=True, slots=True)
class Typefaces:
    """What is loaded, the families to set text in (the first that has a character draws it), and those for small print."""

    loaded: Fonts
    text: tuple[str, ...]
    small: tuple[str, ...]


def load_typefaces(configured: str = "", *, system: bool = True) -> Typefaces:
    """Load the typefaces. `configured` is a file or a folder of them. Raises `Refusal` with what to do where none can draw Chinese."""
    import typst

    chosen = Path(configured).expanduser().resolve() if configured else None
    if chosen is not None and not chosen.exists():
        raise Refusal(f"BOT_WEB__FONT 指明的字体 {configured} 不存在，证书的图片和 PDF 没有生成，请检查路径。")
    folders = [] if chosen is None else [str(chosen if chosen.is_dir() else chosen.parent)]
    loaded = typst.Fonts(include_system_fonts=system, include_embedded_fonts=False, font_paths=folders)
    configured_families = [font.family for font in loaded.fonts() if chosen is not None and font.path and _is_in(Path(font.path), chosen)]
    if chosen is not None and not configured_families:
        raise Refusal(f"BOT_WEB__FONT 指明的 {configured} 不是能用的字体（应为 ttf、otf 或 ttc），证书的图片和 PDF 没有生成。")
    available = set(loaded.families())
    serif, sans = [family for family in SERIF if family in available], [family for family in SANS if family in available]
    text, small = tuple(dict.fromkeys([*configured_families, *serif, *sans])), tuple(dict.fromkeys([*configured_families, *sans, *serif]))
    if not text:
        raise Refusal(NO_FONT)
    return Typefaces(loaded, text, small)


def font_problem(configured: str) -> str:
    """What is wrong with the configured typeface, in a sentence; empty when nothing is, and where there is no typst to draw with."""
    try:
        if configured:
            load_typefaces(configured)
    except ImportError:
        return ""
    except Refusal as refusal:
        return str(refusal)
    return ""


def _is_in(path: Path, chosen: Path) -> bool:
    resolved = path.resolve()
    return resolved == chosen or (chosen.is_dir() and resolved.is_relative_to(chosen))


# ── In the child ──


def _compile(page: Page, faces: Typefaces) -> bytes:
    import typst

    data = json.dumps({**json.loads(page.data), "fonts": faces.text, "sans": faces.small}, ensure_ascii=False)
    compiler = typst.Compiler(font_paths=faces.loaded, ignore_system_fonts=True, root=str(_TEMPLATE.parent))
    template, inputs = _TEMPLATE.read_bytes(), {"data": data, "qr": page.qr}
    try:
        # PDF/A lets no character pass that has no glyph, so it comes first: a picture would show an empty box without a word.
        content = compiler.compile(template, format="pdf", pdf_standards=["a-2u"], sys_inputs=inputs, timestamp=page.timestamp)
        if page.form == "png":
            content = compiler.compile(template, format="png", ppi=PICTURE_PPI, sys_inputs=inputs)
    except typst.TypstError as error:
        unshown = _UNSHOWN.search(error.message)
        if unshown is None:
            raise
        raise Refusal(NO_GLYPH.format(unshown[1])) from error
    assert isinstance(content, bytes), "the certificate ran over its one page"
    return content


def main() -> None:
    faces: Typefaces | None = None
    while line := sys.stdin.buffer.readline():
        job, content = json.loads(line), b""
        try:
            faces = faces or load_typefaces(job["font"], system=job["system"])
            content = _compile(Page(**job["page"]), faces)
            head: dict[str, Any] = {"bytes": len(content)}
        except Refusal as refusal:
            head = {"refused": str(refusal)}
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + content)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
