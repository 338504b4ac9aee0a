"""A strict subset of YAML, in which every value knows its line.

It is read from PyYAML's events, so that what is refused is refused before anything is built. Unquoted words stay text: only `true`, `false`,
`null` and whole numbers without leading zeros are anything else, so `no`, `010`, `12:30` and dates are text until a model asks for more.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MAX_DEPTH = 12
MAX_BYTES = 2_000_000
MAX_NODES = 200_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_PLAIN_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True, order=True)
class FileFault:
    """What is wrong, where: a file as the operator knows it, a line from 1 on (0 for the file as a whole), a Chinese sentence."""

    file: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}" if self.line else f"{self.file}: {self.sentence}"


class UnreadableText(Exception):
    """A text that is not read at all: the line and the reason."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.sentence = sentence


@dataclass(slots=True)
class Node:
    """A value and the line it begins on. A mapping holds nodes by key and remembers the lines of its keys; a list holds nodes."""

    value: Any
    line: int
    keys: dict[str, int] = field(default_factory=dict)

    def plain(self) -> Any:
        """The value without lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value

    def line_at(self, path: tuple[str | int, ...]) -> int:
        """The line of the value at a path, or of the nearest thing above it that exists."""
        node = self
        for step in path:
            inside = step in node.value if isinstance(node.value, dict) else isinstance(node.value, list) and step in range(len(node.value))
            if not inside:
                return node.keys.get(str(step), node.line)
            node = node.value[step]
        return node.line


_OS_ERRORS = {
    errno.ENOENT: "没有这个文件或目录",
    errno.EISDIR: "这是目录，不是文件",
    errno.ENOTDIR: "路径里有一段不是目录",
    errno.EACCES: "没有权限",
    errno.EPERM: "没有权限",
    errno.EROFS: "磁盘是只读的",
    errno.ENOSPC: "磁盘满了",
    errno.ENAMETOOLONG: "文件名太长",
    errno.EEXIST: "已经有同名的文件",
}


def os_error_text(error: OSError) -> str:
    """Why the system would not read or write a file, in Chinese; the number of the error where it has no words here."""
    return _OS_ERRORS.get(error.errno or 0, f"系统错误 {error.errno}")


def read_text(path: Path, largest: int = MAX_BYTES) -> str:
    """A file as text with \\n at the ends of its lines. Raises `UnreadableText` for what is too large, not UTF-8 or not readable."""
    try:
        with path.open("rb") as file:
            raw = file.read(largest + 1)
    except OSError as error:
        raise UnreadableText(0, f"读不了这个文件：{os_error_text(error)}") from error
    if len(raw) > largest:
        raise UnreadableText(0, f"文件太大，最多 {largest // 1000} KB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableText(raw[: error.start].count(b"\n") + 1, "不是 UTF-8 编码，请另存为 UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_yaml(text: str, first_line: int = 1) -> Node:
    """The one document in a text. Raises `UnreadableText` with a line counted from `first_line`."""
    if (control := _CONTROL_CHARACTERS.search(text)) is not None:
        raise UnreadableText(first_line + text.count("\n", 0, control.start()), "含有不能使用的控制字符")
    try:
        return _read_document(yaml.parse(text, Loader=_Loader), first_line)
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        raise UnreadableText(first_line + (mark.line if mark else 0), _yaml_error_text(error)) from error
    except yaml.YAMLError as error:
        raise UnreadableText(first_line, "YAML 读不了，请检查是否为纯文本") from error
    except RecursionError as error:
        raise UnreadableText(first_line, f"嵌套太深，最多 {MAX_DEPTH} 层") from error


_YAML_ERRORS = (
    ("mapping values are not allowed", "冒号后有空格的文字要加引号，或者缩进不对"),
    ("cannot start any token", "这里有不能开头的字符（如 @、`、% 或制表符），请加引号或改用空格缩进"),
    ("found a tab", "不能用制表符缩进，请改用空格"),
    ("found unexpected end of stream", "引号没有配对，文件就结束了"),
    ("unexpected end of document", "引号没有配对"),
    ("could not find expected ':'", "缺少冒号，或者多行文字的缩进不对"),
    ("did not find expected key", "缩进不对，或者缺少冒号"),
    ("did not find expected '-' indicator", "列表的缩进不对"),
    ("did not find expected ',' or", "括号没有配对，或者少了逗号"),
    ("did not find expected node content", "这里缺少内容"),
    ("did not find expected <document start>", "文件里只能有一份内容"),
    ("unknown escape character", "双引号里的反斜杠写法不对，请改用单引号"),
    ("nesting", f"嵌套太深，最多 {MAX_DEPTH} 层"),
)


def _yaml_error_text(error: yaml.MarkedYAMLError) -> str:
    message = f"{error.problem or ''} {error.context or ''}"
    return next((f"YAML 写法有误：{sentence}" for part, sentence in _YAML_ERRORS if part in message), "YAML 写法有误，请检查这一行的缩进、冒号和引号")


def _line_of(event: Any, first_line: int) -> int:
    return int(event.start_mark.line) + first_line


class _Budget:
    """How many values a text may still hold."""

    def __init__(self) -> None:
        self.left = MAX_NODES

    def spend(self, line: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise UnreadableText(line, f"内容太多，最多 {MAX_NODES} 项")


def _read_document(events: Iterator[Any], first_line: int) -> Node:
    root: Node | None = None
    budget = _Budget()
    for event in events:
        if isinstance(event, (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentEndEvent)):
            continue
        if isinstance(event, yaml.DocumentStartEvent):
            if root is not None:
                raise UnreadableText(_line_of(event, first_line), "文件里只能有一份内容，请去掉多余的 ---")
            continue
        root = _read_node(event, events, first_line, 1, budget)
    if root is None:
        raise UnreadableText(first_line, "文件是空的")
    return root


def _read_node(event: Any, events: Iterator[Any], first_line: int, depth: int, budget: _Budget) -> Node:
    line = _line_of(event, first_line)
    budget.spend(line)
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        raise UnreadableText(line, "不能使用锚点（&）和引用（*）；要写这个符号请加引号")
    if getattr(event, "tag", None) is not None:
        raise UnreadableText(line, "不能使用类型标签（!）；要写这个符号请加引号")
    if depth > MAX_DEPTH:
        raise UnreadableText(line, f"嵌套太深，最多 {MAX_DEPTH} 层")
    if isinstance(event, yaml.ScalarEvent):
        if _CONTROL_CHARACTERS.search(event.value):
            raise UnreadableText(line, "含有不能使用的控制字符")
        return Node(_scalar_value(event), line)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Node] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_read_node(event, events, first_line, depth + 1, budget))
        return Node(items, line)
    return _read_mapping(events, first_line, line, depth, budget)


def _read_mapping(events: Iterator[Any], first_line: int, line: int, depth: int, budget: _Budget) -> Node:
    values: dict[str, Node] = {}
    keys: dict[str, int] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key_line = _line_of(event, first_line)
        if not isinstance(event, yaml.ScalarEvent) or not event.value:
            raise UnreadableText(key_line, "键只能是一个词")
        _read_node(event, events, first_line, depth + 1, budget)
        if event.value in values:
            raise UnreadableText(key_line, f"键“{event.value[:40]}”重复了，第 {keys[event.value]} 行已经写过")
        keys[event.value] = key_line
        values[event.value] = _read_node(next(events), events, first_line, depth + 1, budget)
    return Node(values, line, keys)


def _scalar_value(event: Any) -> Any:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _PLAIN_WORDS:
        return _PLAIN_WORDS[text]
    return int(text) if _INTEGER.fullmatch(text) else text
