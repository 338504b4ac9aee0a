"""`certificate render`: a certificate as a PDF or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.context import As, Json, context
from bot.domain.message import Misuse, Refusal
from bot.services.certificate import certificates
from bot.services.certificate.pdf import FORMS, CertificatePrinter
from bot.services.certificate.typesetter import Form
from bot.storage.files.strict_yaml import os_error_text


def render(
    number: Annotated[str, typer.Argument(metavar="证书编号", help="证书编号，例如 XF-2026-000123-K")],
    out: Annotated[Path, typer.Argument(metavar="文件", help="写到哪个文件，以 .pdf 或 .png 结尾")],
    acting_as: As = "",
    as_json: Json = False,
) -> None:
    """生成一份证书的 PDF 或图片。"""
    context.take(acting_as=acting_as, as_json=as_json)
    form = out.suffix.lower().removeprefix(".")
    if form not in FORMS:
        raise Misuse("文件名应以 .pdf 或 .png 结尾。")
    context.require_whole_agency()
    settings = context.settings()
    held = context.reading(lambda session: certificates.require_certificate(session, number))
    content = CertificatePrinter(settings.web.font).draw(held, _form(form), settings.public_url.rstrip("/"))
    try:
        out.write_bytes(content)
    except OSError as wrong:
        raise Refusal(f"写不了 {out}（{os_error_text(wrong)}），请检查路径和权限。") from wrong
    context.show({"number": held.number, "file": str(out), "bytes": len(content)}, f"已生成 {out}（{held.body.facts.name}，{held.number}）。")


def _form(word: str) -> Form:
    return "pdf" if word == "pdf" else "png"


CLI = {"certificate render": render}
