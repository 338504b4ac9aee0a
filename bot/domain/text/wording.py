"""What people put around the words they mean: punctuation, pictures, courtesy; and how near a misspelt word comes to a right one."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator

_LEAD = re.compile(
    r"(?:请问|请|麻烦(?:你|您)?|劳驾|拜托|帮我|帮忙|给我|让我|我(?:的|就|还|也)?(?:想|要|来|去)?要?|本人|想要?|要|能不能|能否|可以|能|那就|那|就|嗯+|哦|好的?|ok|"
    r"你好|您好|现在|今天的?|今日|(?:再|快)?来|去|看一?看|看一?下|查看|查一?查|查一?下|查询|了解一?下|打开|点开|进入|进|开始|参加|做一?做|做|弄|一?下|一?个|一次|,|\s)",
    re.IGNORECASE,
)
_TAIL = re.compile(r"(?:可以吗|好吗|行吗|好不好|行不行|谢谢你?您?|谢了|拜托了?|一下|看看|一次|页面|功能|[吧呢吗么啊呀哦噢啦了嘛哈呗哟喽的]|,|\s)$")
MAX_COURTESY = 5
"""How many such words one text begins or ends with."""
_TRADITIONAL = str.maketrans(
    "學習練題錯戰競賽設絕續進為麼時試證書幫單頁過該嗎從現開始認識紀錄報糾應際課檢查簡歷",
    "学习练题错战竞赛设绝续进为么时试证书帮单页过该吗从现开始认识纪录报纠应际课检查简历",
)
_CONFUSED = tuple(
    map(frozenset, re.split(" ", "日曰目 助住注祝 时识实是事十 题体提替 试式视室 错措搓 学雪血 习息席西 战站 赛塞 证正 行形 续绪 页业夜叶 挑跳 炼练"))
)
"""Characters that are typed for each other, by sound or by sight."""


def trim(text: str) -> str:
    """The text without punctuation, pictures and spaces at its ends."""
    first, last = 0, len(text)
    while first < last and unicodedata.category(text[first])[0] in "PSZ":
        first += 1
    while last > first and (unicodedata.category(text[last - 1])[0] in "PSZ" or text[last - 1] in "\ufe0f\u200d"):
        last -= 1
    return text[first:last]


def simplified(text: str) -> str:
    """The characters of our commands in the simplified form."""
    return text.translate(_TRADITIONAL)


def without_lead(text: str) -> Iterator[str]:
    """The text, then what is left when the courtesies it begins with are taken off, one after the other."""
    yield text
    for _ in range(MAX_COURTESY):
        match = _LEAD.match(text)
        if match is None or match.end() == len(text):
            return
        text = text[match.end() :]
        yield text


def without_tail(text: str) -> Iterator[str]:
    """As `without_lead`, of what it ends with."""
    yield text
    for _ in range(MAX_COURTESY):
        match = _TAIL.search(text)
        if match is None or match.start() == 0:
            return
        text = text[: match.start()]
        yield text


def cores(text: str) -> Iterator[str]:
    """The text with less and less courtesy around it."""
    yield from itertools.chain.from_iterable(map(without_tail, without_lead(text)))


def is_courtesy(text: str) -> bool:
    """Whether a text is nothing but punctuation, particles and polite words."""
    plain = trim(text)
    return not plain or any(re.fullmatch(f"(?:{pattern.pattern.removesuffix('$')})+", plain) is not None for pattern in (_LEAD, _TAIL))


def is_near(typed: str, word: str) -> bool:
    """Whether one slip makes the one of the other: a character more, less or displaced; another one in four, or of like sound."""
    if typed == word or min(len(typed), len(word)) < 2 or abs(len(typed) - len(word)) > 1:
        return False
    if len(typed) != len(word):
        longer, shorter = sorted((typed, word), key=len, reverse=True)
        return len(longer) > 2 and any(longer[:place] + longer[place + 1 :] == shorter for place in range(len(longer)))
    differing = [place for place in range(len(word)) if typed[place] != word[place]]
    if len(differing) == 1:
        pair = {typed[differing[0]], word[differing[0]]}
        return len(word) >= 4 or any(pair <= group for group in _CONFUSED)
    if len(differing) != 2 or differing[1] != differing[0] + 1:
        return False
    first, second = differing
    return (typed[first], typed[second]) == (word[second], word[first])


def nearest(typed: str, words: Iterable[str], most: int = 2) -> list[str]:
    """The words that a text is one slip away from."""
    return list(itertools.islice((word for word in words if is_near(typed, word)), most))
