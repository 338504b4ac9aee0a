"""A certificate is drawn with every character of a name, obeys none of them, and says what is missing instead of drawing empty boxes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace as other
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from subprocess import Popen
from time import sleep
from typing import Any

import pytest
import typst

from bot.domain.certificate import CertificateFacts, certificate_number, compose_body
from bot.domain.message import Refusal
from bot.services.certificate import pdf, typesetter
from bot.services.certificate.pdf import CertificatePrinter
from bot.storage.certificate import IssuedCertificate

PAGES = "https://xuefa.example"
FACTS = CertificateFacts("exam", "学员甲", "办公室", "年度学法考试", date(2026, 3, 1), "成绩 92 分，考试合格", "2", "某局")


@cache
def chinese() -> tuple[str, ...]:
    """The free Chinese typefaces of this machine, as files."""
    there = typst.Fonts(include_system_fonts=True, include_embedded_fonts=False).fonts()
    return tuple(sorted({one.path for one in there if one.path and one.family in (*typesetter.SERIF, *typesetter.SANS)}))


needs_chinese = pytest.mark.skipif(not chinese(), reason="no free Chinese typeface on this machine: apt install fonts-noto-cjk")


def held(state: str = "valid", **facts: Any) -> IssuedCertificate:
    said = compose_body(other(FACTS, **facts), date(2026, 3, 2))
    return IssuedCertificate(
        id=123,
        number=certificate_number(2026, 123),
        code="7QK39MXT2A",
        person_id=1,
        staff_no="1001",
        kind="exam",
        source_kind="sitting",
        source_id="1",
        body=said,
        issued_at=datetime(2026, 3, 2, 1, tzinfo=UTC),
        issued_by="system",
        replaces=None,
        state=state,
        cause="",
        reason="",
        changed_at=None,
        changed_by="",
        replaced_by="",
    )


@pytest.fixture(scope="module")
def good() -> Iterator[CertificatePrinter]:
    printer = CertificatePrinter()
    yield printer
    printer.close()


@needs_chinese
@pytest.mark.parametrize("name", ["䶮", "㛃", "𬱖", "张䶮㛃𬱖", "阿卜杜勒·买买提"])
def test_rare_names_are_drawn(good: CertificatePrinter, name: str) -> None:
    assert good.draw(held(name=name), "pdf", PAGES).startswith(b"%PDF-")
    assert good.draw(held(name=name), "png", PAGES).startswith(b"\x89PNG")


@needs_chinese
def test_a_character_that_no_typeface_has_is_named_and_nothing_is_drawn(good: CertificatePrinter) -> None:
    for form in ("pdf", "png"):
        with pytest.raises(Refusal, match="没有「🦄」这个字"):
            good.draw(held(name="某🦄"), form, PAGES)


@needs_chinese
@pytest.mark.parametrize("field", ["name", "unit", "title", "result", "issuer"])
@pytest.mark.parametrize(
    "markup", ['#panic("x")', '#import "a"', "#{1/0}", "= 甲 $x$ <b> @c *d* _e_ `f` \\ [ ] { }", '"; #panic()', '#read("/etc/passwd")']
)
def test_what_looks_like_markup_is_text(good: CertificatePrinter, field: str, markup: str) -> None:
    assert good.draw(held(**{field: markup}), "pdf", PAGES).startswith(b"%PDF-")


@needs_chinese
def test_stars_around_a_name_are_seen_and_not_obeyed(good: CertificatePrinter) -> None:
    assert good.draw(held(name="*甲*"), "png", PAGES) != good.draw(held(name="甲"), "png", PAGES)


@needs_chinese
def test_the_longest_of_everything_stays_on_its_one_page(good: CertificatePrinter) -> None:
    most = held(name="长" * 80, unit="长" * 200, title="长" * 120, result="长" * 120, issuer="长" * 80, hours="12.25")
    assert good.draw(most, "png", PAGES).startswith(b"\x89PNG")


@needs_chinese
def test_the_code_to_scan_carries_the_address(good: CertificatePrinter) -> None:
    assert good.draw(held(), "png", PAGES) != good.draw(held(), "png", "https://other.example")
    assert good.draw(held(), "png", "") != good.draw(held(), "png", PAGES)


@needs_chinese
def test_the_same_certificate_is_drawn_once_and_byte_for_byte_the_same_elsewhere(good: CertificatePrinter) -> None:
    first = good.draw(held(), "pdf", PAGES)
    assert good.draw(held(), "pdf", PAGES) is first
    assert CertificatePrinter().draw(held(), "pdf", PAGES) == first


@needs_chinese
def test_what_is_kept_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_CACHE_BYTES", 1)
    made = CertificatePrinter()
    first = made.draw(held(), "pdf", PAGES)
    made.draw(held(name="学员乙"), "pdf", PAGES)
    assert made.draw(held(), "pdf", PAGES) is not first


@needs_chinese
def test_the_configured_typeface_is_used_although_the_system_has_others() -> None:
    faces = typesetter.load_typefaces(chinese()[0])
    assert next(one.path for one in faces.loaded.fonts() if one.family == faces.text[0]) == str(Path(chinese()[0]).resolve())
    assert CertificatePrinter(chinese()[0], system=False).draw(held(), "pdf", PAGES).startswith(b"%PDF-")


def test_without_a_chinese_typeface_nothing_is_drawn_and_the_way_out_is_told() -> None:
    with pytest.raises(Refusal, match=r"没有可用的中文字体.*fonts-noto-cjk.*BOT_WEB__FONT"):
        CertificatePrinter(system=False).draw(held(), "png", PAGES)


@pytest.mark.parametrize(("name", "says"), [("nowhere.ttf", "不存在"), ("words.ttf", "不是能用的字体"), ("", "不是能用的字体")])
def test_a_configured_typeface_that_is_none_is_named(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "words.ttf").write_text("no typeface", encoding="utf-8")
    with pytest.raises(Refusal, match=says):
        CertificatePrinter(str(tmp_path / name)).draw(held(), "png", PAGES)


def test_where_typst_cannot_be_installed_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(Refusal, match="没有安装 typst"):
        CertificatePrinter().draw(held(), "png", PAGES)


@pytest.mark.parametrize("state", ["revoked", "replaced"])
def test_what_no_longer_holds_is_not_drawn(good: CertificatePrinter, state: str) -> None:
    with pytest.raises(Refusal, match="已失效"):
        good.draw(held(state), "pdf", PAGES)


# ── The process that draws ──


def child(printer: CertificatePrinter) -> Popen[bytes]:
    found = printer._typesetter._child
    assert found is not None
    return found


@needs_chinese
def test_pages_are_drawn_by_one_process_which_the_service_does_not_become(good: CertificatePrinter) -> None:
    good.draw(held(name="学员丙"), "pdf", PAGES)
    first = child(good).pid
    good.draw(held(name="学员丁"), "pdf", PAGES)

    assert child(good).pid == first != os.getpid()


@needs_chinese
def test_a_process_that_was_killed_costs_one_page_and_no_other(good: CertificatePrinter) -> None:
    good.draw(held(name="学员戊"), "pdf", PAGES)
    child(good).kill()
    child(good).wait(10)

    with pytest.raises(Refusal, match="意外退出"):
        good.draw(held(name="学员己"), "pdf", PAGES)
    assert good.draw(held(name="学员己"), "pdf", PAGES).startswith(b"%PDF-")


@needs_chinese
def test_a_process_without_pages_ends_and_the_next_page_starts_another(good: CertificatePrinter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typesetter, "IDLE_SECONDS", 0.01)
    good.draw(held(name="学员庚"), "pdf", PAGES)
    for _ in range(1000):
        if good._typesetter._child is None:
            break
        sleep(0.01)

    assert good._typesetter._child is None
    assert good.draw(held(name="学员辛"), "pdf", PAGES).startswith(b"%PDF-")


@needs_chinese
def test_a_page_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typesetter, "TIMEOUT_SECONDS", 0.0)
    with pytest.raises(Refusal, match="意外退出"):
        CertificatePrinter().draw(held(), "pdf", PAGES)
