"""YAML and plain files: what is read as it is written, and what is refused before anything is built of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.storage.files.strict_yaml import UnreadableText, parse_yaml, read_text


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("a: &x 1", 1, "锚点"),
        ("a: 1\nb: *x", 2, "锚点"),
        ("a: !!python/object/apply:os.system [id]", 1, "类型标签"),
        ("a: !x 1", 1, "类型标签"),
        ("a: 1\nb:\n  c: 1\n  c: 2", 4, "重复"),
        ("{" * 100_000, 1, ""),
        ("[" * 100_000, 1, "嵌套太深"),
        ("- " * 100_000, 1, "嵌套太深"),
        ("\n".join(" " * depth + "a:" for depth in range(30)), 13, "嵌套太深"),
        ("a: 1\n---\nb: 2", 2, "只能有一份"),
        ("", 1, "空的"),
        ("# 只有注释", 1, "空的"),
        ("a: 1\n\tb: 2", 2, "YAML 写法有误"),
        ('a: "\\0"', 1, "控制字符"),
        ("a: 1\nb: \x00", 2, "控制字符"),
        ("? [a]\n: 1", 1, "键只能是一个词"),
        ("a: @x", 1, "不能开头的字符"),
        ("a: [1, 2", 1, "括号没有配对"),
    ],
)
@pytest.mark.timeout(60)
def test_yaml_that_is_more_than_plain_data_is_refused_with_its_line(text: str, line: int, sentence: str) -> None:
    with pytest.raises(UnreadableText) as refused:
        parse_yaml(text)
    assert abs(refused.value.line - line) <= 1
    assert sentence in refused.value.sentence


def test_more_values_than_anybody_writes_are_refused() -> None:
    with pytest.raises(UnreadableText, match="内容太多"):
        parse_yaml("[" + "1," * 200_001 + "1]")


def test_plain_words_stay_words() -> None:
    text = "{a: no, b: 010, c: 12:30, d: 2020-01-01, e: on, f: 1.5, g: 0x10, h: '7', i: 7, j: -3, k: true, l: null, m: 1_000, n: .inf}"
    assert parse_yaml(text).plain() == {
        **{"a": "no", "b": "010", "c": "12:30", "d": "2020-01-01", "e": "on", "f": "1.5", "g": "0x10", "h": "7"},
        **{"i": 7, "j": -3, "k": True, "l": None, "m": "1_000", "n": ".inf"},
    }


def test_keys_are_words_too() -> None:
    assert parse_yaml("{no: 1, 1: 2, <<: 3}").plain() == {"no": 1, "1": 2, "<<": 3}


@pytest.mark.parametrize(
    ("raw", "line", "sentence"),
    [(b"a" * 2_000_001, 0, "文件太大"), ("题".encode("gbk"), 1, "UTF-8"), (b"a\nb\n\xff", 3, "UTF-8"), (b"\xff\xfea\x00", 1, "UTF-8")],
)
def test_a_file_that_is_too_large_or_in_another_encoding_is_refused(tmp_path: Path, raw: bytes, line: int, sentence: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(raw)
    with pytest.raises(UnreadableText) as refused:
        read_text(path)
    assert refused.value.line == line
    assert sentence in refused.value.sentence
