"""Certificates as PDF and PNG, drawn by typst from one template, with the Chinese typefaces that this machine has.

A configured typeface comes first, then the freely licensed ones of the system.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

from bot.domain.certificate import code_text, full_number, page_path
from bot.domain.message import Refusal
from bot.domain.times import chinese_date
from bot.storage.certificate import IssuedCertificate

Form = Literal["pdf", "png"]
FORMS: dict[Form, str] = {"pdf": "application/pdf", "png": "image/png"}
PICTURE_PPI = 144
MAX_CACHE_BYTES = 24_000_000

_TEMPLATE = Path(__file__).with_name("certificate.typ").read_bytes()
_UNSHOWN = re.compile(r'text `"(.+?)"` could not be displayed')
NO_GLYPH = "现有字体里没有「{}」这个字，证书的图片和 PDF 没有生成：请安装字数更全的中文字体，或用 BOT_WEB__FONT 指明。"
NOT_INSTALLED = "这台服务器上没有安装 typst，证书的图片和 PDF 没有生成；证书的文字和核验不受影响。"


class CertificatePrinter:
    """Draws certificates, keeps what was drawn last, looks for typefaces once. Plain and slow (a tenth of a second): not for the loop's thread."""

    def __init__(self, font: str = "", *, system: bool = True) -> None:
        """`font` and `system` as `load_typefaces` takes them."""
        self._font = font
        self._system = system
        self._typefaces: Typefaces | None = None
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def draw(self, held: IssuedCertificate, form: Form, pages: str) -> bytes:
        """A certificate that holds; its QR code leads to its page under `pages`, or is its full number where nobody could open one.

        Raises `Refusal`: it does not hold, no typeface, or a character that no typeface has.
        """
        if not held.is_valid:
            raise Refusal(f"证书 {held.number} 已失效，不再提供图片和 PDF。")
        inputs = _template_inputs(held, pages)
        digest = hashlib.sha256(f"{form}\0{inputs['qr']}\0{held.body.to_json()}".encode()).hexdigest()
        with self._lock:
            output = self._kept.get(digest)
            if output is None:
                output = self._drawn(inputs, form, held)
                self._kept[digest] = output
                while len(self._kept) > 1 and sum(map(len, self._kept.values())) > MAX_CACHE_BYTES:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(digest)
        return output

    def _drawn(self, inputs: dict[str, str], form: Form, held: IssuedCertificate) -> bytes:
        try:
            import typst
        except ImportError as error:
            # Not published for every processor of an intranet; all else works without it.
            raise Refusal(NOT_INSTALLED) from error
        if self._typefaces is None:
            self._typefaces = load_typefaces(self._font, system=self._system)
        faces = self._typefaces
        data = json.dumps({**json.loads(inputs["data"]), "fonts": faces.text, "sans": faces.small}, ensure_ascii=False)
        compiler = typst.Compiler(font_paths=faces.loaded, ignore_system_fonts=True, root=str(Path(__file__).parent))
        sys_inputs = {"data": data, "qr": inputs["qr"]}
        try:
            # PDF/A lets no character pass that has no glyph, so it comes first: a picture would show an empty box without a word.
            pdf = compiler.compile(_TEMPLATE, format="pdf", pdf_standards=["a-2u"], sys_inputs=sys_inputs, timestamp=int(held.issued_at.timestamp()))
            output = pdf if form == "pdf" else compiler.compile(_TEMPLATE, format="png", ppi=PICTURE_PPI, sys_inputs=sys_inputs)
        except typst.TypstError as error:
            unshown = _UNSHOWN.search(error.message)
            if unshown is None:
                raise
            raise Refusal(NO_GLYPH.format(unshown[1])) from error
        assert isinstance(output, bytes), "the certificate ran over its one page"
        return output


def _template_inputs(held: IssuedCertificate, pages: str) -> dict[str, str]:
    body, drawing = held.body, BytesIO()
    link = full_number(held.number, held.code)
    import segno

    segno.make(f"{pages}{page_path(link)}" if pages else link, error="m", micro=False).save(drawing, kind="svg", border=0, xmldecl=False)
    data = {
        "number": held.number,
        "heading": body.heading,
        "before": body.before,
        "name": body.facts.name,
        "after": body.after,
        "closing": body.closing,
        "issuer": body.facts.issuer,
        "day": chinese_date(body.issued_on),
        "facts": [["编号", held.number], ["校验码", code_text(held.code)]],
        "scan": "扫码即可核验真伪" if pages else "在发证单位的核验页输入编号和校验码，可验真伪",
    }
    return {"data": json.dumps(data, ensure_ascii=False), "qr": drawing.getvalue().decode()}


if TYPE_CHECKING:
    from typst import Fonts

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
