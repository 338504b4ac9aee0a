"""The press: a certificate as PDF and as picture, from one template, with what it says handed over as data."""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Literal

import segno

from bot.domain.certificate import full_number, page_of, shown_code
from bot.domain.message import Refusal
from bot.domain.times import chinese_date
from bot.services.certificate import fonts
from bot.services.certificate.fonts import Typefaces
from bot.storage.certificate import Held

Form = Literal["pdf", "png"]
FORMS: dict[Form, str] = {"pdf": "application/pdf", "png": "image/png"}
PICTURE_PPI = 144
KEPT_BYTES = 24_000_000

_TEMPLATE = Path(__file__).with_name("certificate.typ").read_bytes()
_UNSHOWN = re.compile(r'text `"(.+?)"` could not be displayed')
UNSHOWN = "现有字体里没有「{}」这个字，证书的图片和 PDF 没有生成：请安装字数更全的中文字体，或用 BOT_WEB__FONT 指明。"
NOT_INSTALLED = "这台服务器上没有安装 typst，证书的图片和 PDF 没有生成；证书的文字和核验不受影响。"


class Press:
    """Draws certificates, keeps what was drawn last, looks for typefaces once. Plain and slow (a tenth of a second): not for the loop's thread."""

    def __init__(self, font: str = "", *, system: bool = True) -> None:
        """`font` and `system` as `fonts.typefaces` takes them."""
        self._font = font
        self._system = system
        self._typefaces: Typefaces | None = None
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def draw(self, held: Held, form: Form, pages: str) -> bytes:
        """A certificate that holds; its QR code leads to its page under `pages`, or is its full number where nobody could open one.

        Raises `Refusal`: it does not hold, no typeface, or a character that no typeface has.
        """
        if not held.is_valid:
            raise Refusal(f"证书 {held.number} 已失效，不再提供图片和 PDF。")
        inputs = _inputs(held, pages)
        digest = hashlib.sha256(f"{form}\0{inputs['qr']}\0{held.body.to_json()}".encode()).hexdigest()
        with self._lock:
            drawn = self._kept.get(digest)
            if drawn is None:
                drawn = self._drawn(inputs, form, held)
                self._kept[digest] = drawn
                while len(self._kept) > 1 and sum(map(len, self._kept.values())) > KEPT_BYTES:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(digest)
        return drawn

    def _drawn(self, inputs: dict[str, str], form: Form, held: Held) -> bytes:
        try:
            import typst
        except ImportError as wrong:
            # Not there for every processor of an intranet (libraries.md, pitfall 20); all else works without it.
            raise Refusal(NOT_INSTALLED) from wrong
        if self._typefaces is None:
            self._typefaces = fonts.typefaces(self._font, system=self._system)
        faces = self._typefaces
        data = json.dumps({**json.loads(inputs["data"]), "fonts": faces.text, "sans": faces.small}, ensure_ascii=False)
        compiler = typst.Compiler(font_paths=faces.loaded, ignore_system_fonts=True, root=str(Path(__file__).parent))
        given = {"data": data, "qr": inputs["qr"]}
        try:
            # PDF/A lets no character pass that has no glyph, so it comes first: a picture would show an empty box without a word.
            pdf = compiler.compile(_TEMPLATE, format="pdf", pdf_standards=["a-2u"], sys_inputs=given, timestamp=int(held.issued_at.timestamp()))
            made = pdf if form == "pdf" else compiler.compile(_TEMPLATE, format="png", ppi=PICTURE_PPI, sys_inputs=given)
        except typst.TypstError as wrong:
            unshown = _UNSHOWN.search(wrong.message)
            if unshown is None:
                raise
            raise Refusal(UNSHOWN.format(unshown[1])) from wrong
        assert isinstance(made, bytes), "the certificate ran over its one page"
        return made


def _inputs(held: Held, pages: str) -> dict[str, str]:
    body, drawing = held.body, BytesIO()
    link = full_number(held.number, held.code)
    segno.make(f"{pages}{page_of(link)}" if pages else link, error="m", micro=False).save(drawing, kind="svg", border=0, xmldecl=False)
    data = {
        "number": held.number,
        "heading": body.heading,
        "before": body.before,
        "name": body.facts.name,
        "after": body.after,
        "closing": body.closing,
        "issuer": body.facts.issuer,
        "day": chinese_date(body.issued_on),
        "facts": [["编号", held.number], ["校验码", shown_code(held.code)]],
        "scan": "扫码即可核验真伪" if pages else "在发证单位的核验页输入编号和校验码，可验真伪",
    }
    return {"data": json.dumps(data, ensure_ascii=False), "qr": drawing.getvalue().decode()}
