"""A certificate's number, its check character, and the content that is fixed when it is issued.

The number is public and ends in a check character, so that a typing error is noticed without a look-up. Next to it stands a code that nobody can
guess: whoever has both may see the whole certificate, whoever has only the number sees a masked name (bot/docs/rules.md S22, S23).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date

from bot.domain.message import Refusal
from bot.domain.times import chinese_date

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters of GB 32100-2015: no I, O, S, V, Z, which are read as something else."""
CODE_LENGTH = 10
"""31 ** 10 codes: at the page's pace of guesses (bot/web/certificates.py) nobody finds one in a lifetime."""
HEADINGS = {"exam": "合格证书", "contest": "竞赛证书", "study": "学习证书"}
KINDS = tuple(HEADINGS)
STATE_LABELS = {"valid": "有效", "revoked": "已撤销", "replaced": "已换发"}

_NUMBER = re.compile(rf"XF-?(20\d\d)-?(\d{{6}}|[1-9]\d{{6,8}})-?([{ALPHABET}])(?:-?([{ALPHABET}]{{5}})-?([{ALPHABET}]{{5}}))?")
_MISREAD = str.maketrans({"O": "0", "I": "1", "—": "-", "–": "-", "−": "-"})
_SPACES = re.compile(r"\s+")
_MAX_LENGTHS = {"name": 80, "unit": 200, "title": 120, "result": 120, "hours": 12, "issuer": 80}
_LABELS = {"name": "姓名", "unit": "单位", "title": "名称", "result": "结果", "hours": "学时", "issuer": "发证单位"}
_MAY_BE_EMPTY = ("unit", "result", "hours")


def check_character(text: str) -> str:
    """The check character of GB 32100-2015 (weights 3 ** n modulo 31): any one wrong character and any two exchanged ones change it."""
    total = sum(ALPHABET.index(character) * pow(3, place, 31) for place, character in enumerate(text))
    return ALPHABET[-total % 31]


def certificate_number(year: int, serial: int) -> str:
    """XF-2026-000123-K."""
    body = f"XF{year}{serial:06}"
    return f"XF-{year}-{serial:06}-{check_character(body)}"


def new_code(pick: Callable[[str], str]) -> str:
    """A code of characters that `pick` takes out of the alphabet; it has to be one nobody can foresee (`secrets.choice`)."""
    return "".join(pick(ALPHABET) for _ in range(CODE_LENGTH))


def full_number(number: str, code: str) -> str:
    """Number and code in one: what the link and the QR code carry."""
    return f"{number}-{code}"


def page_path(number: str) -> str:
    """The path of a certificate's page; of a full number, of the whole of it."""
    return f"/certificates/{number}"


def code_text(code: str) -> str:
    """7QK39-MXT2A, easier to type."""
    return f"{code[:5]}-{code[5:]}"


@dataclass(frozen=True, slots=True)
class CertificateQuery:
    """A certificate number in its canonical form; the code is empty when only the number was typed."""

    number: str
    code: str


def parse_number(text: str) -> CertificateQuery | None:
    """What somebody typed or scanned; None when it is no number of ours or its check character does not fit.

    Small letters, full-width ones, missing hyphens, and O and I for 0 and 1 are understood.
    """
    tidy = _SPACES.sub("", unicodedata.normalize("NFKC", text[:100])).upper().translate(_MISREAD)
    match = _NUMBER.fullmatch(tidy)
    if match is None:
        return None
    number = certificate_number(int(match[1]), int(match[2]))
    return None if number[-1] != match[3] else CertificateQuery(number, (match[4] or "") + (match[5] or ""))


def mask_name(name: str) -> str:
    """张** for 张三丰: enough to recognise one's own name, too little to learn a stranger's."""
    return name[:1] + "*" * min(len(name) - 1, 2) if len(name) > 1 else "*"


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate states, as it stood when it was issued.

    `title` names the exam or contest, `day` when it was, `result` is in words ("成绩 92.5 分，考试合格"; empty for taking part), `hours` a number of
    学时 as text (empty for none). Raises `Refusal` for what does not fit on the paper. Characters that show nothing are dropped: they can only
    make one name look like another.
    """

    kind: str
    name: str
    unit: str
    title: str
    day: date
    result: str
    hours: str
    issuer: str

    def __post_init__(self) -> None:
        if self.kind not in HEADINGS:
            raise Refusal(f"没有「{self.kind[:20]}」这种证书，可用的是：{'、'.join(KINDS)}。")
        for field, most in _MAX_LENGTHS.items():
            text = _drop_invisible(getattr(self, field))
            object.__setattr__(self, field, text)
            if not text and field not in _MAY_BE_EMPTY:
                raise Refusal(f"证书缺{_LABELS[field]}，没有签发。")
            if len(text) > most:
                raise Refusal(f"证书的{_LABELS[field]}超过 {most} 个字，没有签发：{text[:20]}…")


def _drop_invisible(text: str) -> str:
    return _SPACES.sub(" ", "".join(character for character in text if unicodedata.category(character) not in ("Cc", "Cf", "Cs"))).strip()


@dataclass(frozen=True, slots=True)
class CertificateBody:
    """The whole of a certificate's content: the facts and the words in which they were put, both kept as they were."""

    facts: CertificateFacts
    heading: str
    before: str
    after: str
    closing: str
    issued_on: date

    def to_json(self) -> str:
        """The JSON text that a row stores."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, default=date.isoformat)

    @property
    def sentence(self) -> str:
        """What the certificate says, in one piece."""
        return f"{self.before}{self.facts.name}{self.after}"


def compose_body(facts: CertificateFacts, issued_on: date) -> CertificateBody:
    """The words of a certificate issued on a day of Shanghai."""
    unit = f"（{facts.unit}）" if facts.unit else ""
    result = f"，{facts.result}" if facts.result else ""
    hours = f"，计 {facts.hours} 学时" if facts.hours else ""
    after = f"同志{unit}于{chinese_date(facts.day)}参加“{facts.title}”{result}{hours}。"
    return CertificateBody(facts, HEADINGS[facts.kind], "兹证明", after, "特发此证。", issued_on)


def body_from_json(body: str) -> CertificateBody:
    """The inverse of `CertificateBody.to_json`."""
    data = json.loads(body)
    facts = data["facts"]
    return CertificateBody(
        CertificateFacts(**{**facts, "day": date.fromisoformat(facts["day"])}),
        data["heading"],
        data["before"],
        data["after"],
        data["closing"],
        date.fromisoformat(data["issued_on"]),
    )


def states_same_achievement(facts: CertificateFacts, other: CertificateFacts) -> bool:
    """Whether both state the same apart from name, unit and issuer, which change over time without any correction."""
    return replace(facts, name=other.name, unit=other.unit, issuer=other.issuer) == other
