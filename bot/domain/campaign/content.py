"""What a campaign sends: as a value, as JSON, as the reply that a person sees, and read from what an administrator typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from bot.domain.library.library import Library
from bot.domain.message import Option, Refusal, Reply
from bot.domain.people.person import Learner

CONTENT_KINDS = ("lesson", "daily", "series", "notice", "poll", "reminder", "invitation", "digest")
KIND_LABELS = {
    "lesson": "课程", "daily": "每日一练", "series": "连载", "notice": "通知", "poll": "投票", "reminder": "提醒", "invitation": "邀请",
    "digest": "汇总",
}  # fmt: skip
LETTERS = "ABCDEF"
CORRECTION, NUDGE = NUMBERED_TARGETS = ("更正", "催学")
"""Targets of personal texts that are about something with a number: a correction; a campaign, or 0 for the hours of the year."""
MAX_TEXT_LENGTH = 1500
MAX_TITLE_LENGTH = 80
MAX_PARTS = 200
STUDY_BUTTONS = (Option("学习", "学习"), Option("我的学时", "我的学时"))
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]")


class LibrarySource(Protocol):
    """Whatever holds the library (bot/services/library/catalog.py)."""

    @property
    def library(self) -> Library: ...


@dataclass(frozen=True, slots=True)
class CampaignContent:
    """What is sent. `lesson` is the one of this time (of a series: of this part), `lessons` all parts; `target` the command of an invitation,
    `label` what its button says.

    Of a text that is made for each person when it is sent, `target` says which (更正, 催学, 周报 …) and `about` the number of its subject.

    `options` of a poll stand in the order of their letters; `receipt` asks for 已阅. Raises ValueError for what makes no sense.
    """

    kind: str
    title: str = ""
    text: str = ""
    lesson: str = ""
    lessons: tuple[str, ...] = ()
    part: int = 0
    options: tuple[str, ...] = ()
    receipt: bool = False
    target: str = ""
    label: str = "现在参加"
    about: int = 0

    def __post_init__(self) -> None:
        needed = {
            "lesson": bool(self.lesson),
            "series": 0 < len(self.lessons) <= MAX_PARTS,
            "poll": bool(self.text) and 2 <= len(self.options) <= len(LETTERS),
            "notice": bool(self.text),
            "invitation": bool(self.target),
        }
        if (
            self.kind not in CONTENT_KINDS
            or not needed.get(self.kind, True)
            or len(self.text) > MAX_TEXT_LENGTH
            or len(self.title) > MAX_TITLE_LENGTH
        ):
            raise ValueError(f"not a content: {self.kind}")


def content_json(content: CampaignContent) -> dict[str, Any]:
    """Its fields without those that have their default."""
    defaults = asdict(CampaignContent("daily"))
    return {"kind": content.kind} | {key: value for key, value in asdict(content).items() if value != defaults[key]}


def content_from_json(stored: Mapping[str, Any]) -> CampaignContent:
    """The content of a row. Raises ValueError or TypeError for what is none."""
    fields = dict(stored)
    kind, _, number = str(fields.get("target", "")).partition(":")
    if kind in NUMBERED_TARGETS and number:
        # Rows written before `about` was a field of its own.
        fields |= {"target": kind, "about": int(number) if number.isdigit() else 0}
    for key in ("lessons", "options"):
        fields[key] = tuple(fields.get(key, ()))
    return CampaignContent(**fields)


def content_faults(content: CampaignContent, library: Library) -> str:
    """What of it the library does not have, in a sentence; empty when all is there."""
    missing = [lesson for lesson in (content.lesson, *content.lessons) if lesson and lesson not in library.lessons]
    return f"没有课程 {'、'.join(missing[:5])}，发送「学习 目录」看全部课程。" if missing else ""


def content_texts(content: CampaignContent) -> tuple[str, ...]:
    """What of it is an administrator's own words."""
    return content.title, content.text, *content.options


def content_of_part(content: CampaignContent, part: int) -> CampaignContent:
    """A series as it stands at its nth part, counted from one."""
    return CampaignContent(**{**asdict(content), "lesson": content.lessons[part - 1], "part": part})


def describe_content(content: CampaignContent) -> str:
    """One line for lists and previews."""
    label = KIND_LABELS[content.kind]
    match content.kind:
        case "lesson":
            summary = content.lesson
        case "series":
            summary = f"{content.title or content.lessons[0]}，共 {len(content.lessons)} 讲"
        case "poll":
            summary = f"{content.text[:30]}（{len(content.options)} 项）"
        case "invitation":
            summary = content.target
        case _:
            summary = (content.title or content.text)[:40]
    receipt = "（要回执）" if content.receipt else ""
    return f"{label}{receipt}：{summary}" if summary else label


def render_content(content: CampaignContent, catalog: LibrarySource, person: Learner, occurrence_id: int) -> Reply:
    """Exactly what a person is sent: text, and buttons whose words are commands that can be typed as well.

    `occurrence_id` is what 已阅 and 投票 answer to; 0 is a test send, whose answers count for nothing.
    """
    match content.kind:
        case "lesson" | "series":
            return _lesson_reply(content, catalog.library)
        case "daily":
            text = content.text or "📝 今天的每日一练：5 道题，约 3 分钟。"
            return Reply(text, buttons=(Option("每日", "开始答题"), Option("我的学时", "我的学时")))
        case "notice":
            buttons = (Option(f"已阅 {occurrence_id}", "已阅"),) if content.receipt else ()
            return Reply(_with_heading("📢", content), buttons=buttons)
        case "poll":
            lines = [f"🗳 {content.text}", *(f"{letter}. {option}" for letter, option in zip(LETTERS, content.options, strict=False))]
            lettered_options = zip(LETTERS, content.options, strict=False)
            return Reply(
                "\n".join(lines),
                buttons=tuple(Option(f"投票 {occurrence_id} {letter}", f"{letter}. {option}") for letter, option in lettered_options),
            )
        case "invitation":
            return Reply(_with_heading("🏁", content) or f"🏁 请参加：{content.target}", buttons=(Option(content.target, content.label),))
        case _:
            return Reply(_with_heading("⏰" if content.kind == "reminder" else "🗂", content) or f"{person.name}，您好。", buttons=STUDY_BUTTONS)


def _with_heading(mark: str, content: CampaignContent) -> str:
    head = f"{mark} {content.title}" if content.title else ""
    if not head:
        return f"{mark} {content.text}" if content.text else ""
    return f"{head}\n{content.text}" if content.text else head


def _lesson_reply(content: CampaignContent, library: Library) -> Reply:
    lesson = library.lessons.get(content.lesson)
    name = f"《{lesson.title}》（{lesson.law}，约 {lesson.minutes} 分钟）" if lesson is not None else f"《{content.lesson}》"
    heading = f"📖 {content.title or '连载'} 第 {content.part}/{len(content.lessons)} 讲：{name}" if content.lessons else f"📖 今天学一课：{name}"
    text = f"{content.title}\n{heading}" if content.title and not content.lessons else heading
    return Reply("\n".join(line for line in (text, content.text) if line), buttons=(Option(f"学习 {content.lesson}", "开始学习"),))


# ── Reading ──

CONTENT_EXAMPLES = "每日；课 mfd-1191；连载 民法典；通知 正文；通知（回执）正文；投票 问题/选项一/选项二；邀请 每日 一起来答题"
_CONTENT_PATTERN = re.compile(r"\s*(每日(?:一练)?|课程?|学习|连载|系列|通知|投票|邀请)\s*([(（]\s*(?:要)?回执\s*[)）])?\s*[:：]?\s*(.*)", re.DOTALL)


def clean_content(text: str) -> str:
    """What an administrator wrote for others to read: no characters that cannot be seen, no @ that a platform would take for a call."""
    return _CONTROL_CHARACTERS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).replace("@", "＠").strip()


def clean_title(typed: str, kind: str, library: Library) -> str:
    """The name of a campaign, an exam or a contest (`kind` as people call it), on one line. Raises `Refusal` for its length and a misnamed law."""
    title = clean_content(typed).replace("\n", " ")
    if not 1 <= len(title) <= MAX_TITLE_LENGTH:
        raise Refusal(f"{kind}名称应为 1 到 {MAX_TITLE_LENGTH} 个字。")
    if fault := library.misnomer_fault(title):
        raise Refusal(fault)
    return title


def parse_content(typed: str, library: Library) -> CampaignContent:
    """The content that a person wrote in one piece. Raises `Refusal` with examples for what cannot be read."""
    parsed = _CONTENT_PATTERN.fullmatch(typed)
    if parsed is None:
        raise Refusal(f"没有看懂内容「{typed[:30]}」。可以写：{CONTENT_EXAMPLES}。")
    word, receipt, rest = parsed[1], bool(parsed[2]), clean_content(parsed[3])
    if len(rest) > MAX_TEXT_LENGTH:
        raise Refusal(f"内容太长了（{len(rest)} 字），最多 {MAX_TEXT_LENGTH} 字。")
    if word.startswith("每日"):
        return CampaignContent("daily", text=rest)
    if not rest:
        raise Refusal(f"「{word}」后面要写内容，例如：{CONTENT_EXAMPLES}。")
    match word:
        case "连载" | "系列":
            return _parse_series(rest, library)
        case "通知":
            return CampaignContent("notice", text=rest, receipt=receipt)
        case "投票":
            question, *options = [candidate.strip() for candidate in re.split(r"[/／|｜]", rest)]
            if not question or not 2 <= len(options) <= len(LETTERS) or not all(options) or len(set(options)) < len(options):
                raise Refusal(f"投票要写成 问题/选项一/选项二，2 到 {len(LETTERS)} 个不同的选项。")
            return CampaignContent("poll", text=question, options=tuple(options))
        case "邀请":
            target, _, text = rest.partition(" ")
            return CampaignContent("invitation", target=target, text=text.strip())
    lesson = library.lessons.get(rest.lower()) or next(
        (candidate for candidate in library.lessons.values() if candidate.title == rest.strip("《》")), None
    )
    if lesson is None:
        raise Refusal(f"没有课程「{rest[:30]}」，请写课程编号或全名，例如 课 mfd-1191。")
    return CampaignContent("lesson", lesson=lesson.id)


def _parse_series(typed: str, library: Library) -> CampaignContent:
    ids = tuple(lesson_id for lesson_id in re.split(r"[、,，\s]+", typed.lower()) if lesson_id)
    if ids and all(lesson_id in library.lessons for lesson_id in ids):
        return CampaignContent("series", lessons=ids)
    law_set, law = library.resolve_set(typed), library.resolve_law(typed)
    laws = law_set.laws if law_set is not None else (law.short,) if law is not None else ()
    lessons = tuple(lesson.id for short in laws for lesson in library.lessons.values() if lesson.law == short)
    if not lessons:
        raise Refusal(f"没有「{typed[:30]}」的课程可以连载，请写法律名称、法律组名称，或用顿号隔开的课程编号。")
    return CampaignContent("series", title=typed.strip("《》")[:80], lessons=lessons[:MAX_PARTS])
