"""The Chinese typefaces this machine has for a certificate: the configured one, then the free ones of the system (libraries.md, pitfalls 15–17)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.domain.message import Refusal

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


def typefaces(configured: str = "", *, system: bool = True) -> Typefaces:
    """Load the typefaces. `configured` is a file or a folder of them. Raises `Refusal` with what to do where none can draw Chinese."""
    import typst

    chosen = Path(configured).expanduser().resolve() if configured else None
    if chosen is not None and not chosen.exists():
        raise Refusal(f"BOT_WEB__FONT 指明的字体 {configured} 不存在，证书的图片和 PDF 没有生成，请检查路径。")
    folders = [] if chosen is None else [str(chosen if chosen.is_dir() else chosen.parent)]
    loaded = typst.Fonts(include_system_fonts=system, include_embedded_fonts=False, font_paths=folders)
    own = [one.family for one in loaded.fonts() if chosen is not None and one.path and _is_in(Path(one.path), chosen)]
    if chosen is not None and not own:
        raise Refusal(f"BOT_WEB__FONT 指明的 {configured} 不是能用的字体（应为 ttf、otf 或 ttc），证书的图片和 PDF 没有生成。")
    there = set(loaded.families())
    serif, sans = [one for one in SERIF if one in there], [one for one in SANS if one in there]
    text, small = tuple(dict.fromkeys([*own, *serif, *sans])), tuple(dict.fromkeys([*own, *sans, *serif]))
    if not text:
        raise Refusal(NO_FONT)
    return Typefaces(loaded, text, small)


def wrong(configured: str) -> str:
    """What is wrong with the configured typeface, in a sentence; empty when nothing is, and where there is no typst to draw with."""
    try:
        if configured:
            typefaces(configured)
    except ImportError:
        return ""
    except Refusal as refusal:
        return str(refusal)
    return ""


def _is_in(path: Path, chosen: Path) -> bool:
    there = path.resolve()
    return there == chosen or (chosen.is_dir() and there.is_relative_to(chosen))
