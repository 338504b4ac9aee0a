"""Certificates as PDF and PNG, from one template, with the Chinese typefaces that this machine has; what was drawn last is kept.

A configured typeface comes first, then the freely licensed ones of the system.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from io import BytesIO
from threading import Lock

from bot.domain.certificate import code_text, full_number, page_path
from bot.domain.message import Refusal
from bot.domain.times import chinese_date
from bot.services.certificate.typesetter import Form, Page, Typesetter
from bot.storage.certificate import IssuedCertificate

FORMS: dict[Form, str] = {"pdf": "application/pdf", "png": "image/png"}
MAX_CACHE_BYTES = 24_000_000


class CertificatePrinter:
    """Draws certificates and keeps what was drawn last. Plain and slow (a tenth of a second): not for the loop's thread."""

    def __init__(self, font: str = "", *, system: bool = True) -> None:
        """`font` and `system` as `typesetter.load_typefaces` takes them."""
        self._typesetter = Typesetter(font, system=system)
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def close(self) -> None:
        """End the typesetter's process; what is drawn later starts another."""
        self._typesetter.close()

    def draw(self, held: IssuedCertificate, form: Form, pages: str) -> bytes:
        """A certificate that holds; its QR code leads to its page under `pages`, or is its full number where nobody could open one.

        Raises `Refusal`: it does not hold, no typeface, or a character that no typeface has.
        """
        if not held.is_valid:
            raise Refusal(f"证书 {held.number} 已失效，不再提供图片和 PDF。")
        page = _page(held, form, pages)
        digest = hashlib.sha256(f"{form}\0{page.qr}\0{held.body.to_json()}".encode()).hexdigest()
        with self._lock:
            output = self._kept.get(digest)
            if output is None:
                output = self._kept[digest] = self._typesetter.draw(page)
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > MAX_CACHE_BYTES:
                self._kept.popitem(last=False)
            self._kept.move_to_end(digest)
        return output


def _page(held: IssuedCertificate, form: Form, pages: str) -> Page:
    # Loaded when a certificate is drawn: the service starts without it.
    import segno

    body, drawing = held.body, BytesIO()
    link = full_number(held.number, held.code)
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
    return Page(form, json.dumps(data, ensure_ascii=False), drawing.getvalue().decode(), int(held.issued_at.timestamp()))
