"""The fields that content and contest files may have, with types and bounds, and the Chinese sentence for each kind of fault."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from bot.domain.library.library import LESSON_TIERS
from bot.domain.times import SHANGHAI
from bot.storage.files.strict_yaml import FileFault, Node

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")


def _as_written(value: Any) -> Any:
    """Words that YAML takes for numbers or truths are words again where words are asked for; nothing is lost, both are read canonically."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


def _as_date(value: Any) -> Any:
    if not isinstance(value, str) or not _ISO.fullmatch(value):
        raise PydanticCustomError("not_a_date", "")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("not_a_date", "") from None


def _as_minute(value: Any) -> Any:
    try:
        return datetime.strptime(str(value), "%Y-%m-%d %H:%M").replace(tzinfo=SHANGHAI)
    except ValueError:
        raise PydanticCustomError("not_a_minute", "") from None


Day = Annotated[date, BeforeValidator(_as_date)]
Minute = Annotated[datetime, BeforeValidator(_as_minute)]
"""A minute in Asia/Shanghai."""
Text = Annotated[str, Field(min_length=1, max_length=2000), BeforeValidator(_as_written)]
Name = Annotated[str, Field(min_length=1, max_length=80), BeforeValidator(_as_written)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$"), BeforeValidator(_as_written)]
ContestQuestionId = Annotated[str, Field(pattern=r"^(?:\S{1,20} )?[a-z0-9][a-z0-9-]{0,47}$"), BeforeValidator(_as_written)]
"""A question of a contest, on a stage with its round before it: 抢答 jcf-d-01."""
Evidence = Annotated[str, Field(min_length=4, max_length=40), BeforeValidator(_as_written)]
Options = Annotated[dict[str, Annotated[str, Field(min_length=1, max_length=200), BeforeValidator(_as_written)]], Field(min_length=3, max_length=5)]


class _FileModel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, str_strip_whitespace=True, hide_input_in_errors=True)


class QuestionEntry(_FileModel):
    id: Id
    kind: str
    level: Annotated[int, Field(ge=1, le=3)]
    case: bool = False
    law: Name
    version: Day
    article: Name
    point: Annotated[str, Field(min_length=1, max_length=20), BeforeValidator(_as_written)]
    stem: Annotated[str, Field(min_length=4, max_length=500), BeforeValidator(_as_written)]
    evidence: Evidence
    source: Text | None = None
    explanation: Annotated[str, Field(min_length=4, max_length=800), BeforeValidator(_as_written)]


class SingleEntry(QuestionEntry):
    options: Options
    key: Annotated[str, Field(pattern="^[A-H]$")]


class MultipleEntry(QuestionEntry):
    options: Annotated[Options, Field(min_length=4)]
    key: Annotated[str, Field(pattern="^[A-H]{2,8}$")]


class JudgeEntry(QuestionEntry):
    key: Literal["对", "错"]


class FillEntry(QuestionEntry):
    key: Annotated[list[Annotated[str, Field(min_length=1, max_length=60), BeforeValidator(_as_written)]], Field(min_length=1, max_length=12)]


class PointEntry(_FileModel):
    say: Annotated[str, Field(min_length=2, max_length=200), BeforeValidator(_as_written)]
    words: Annotated[list[Annotated[str, Field(min_length=2, max_length=12), BeforeValidator(_as_written)]], Field(min_length=1, max_length=20)]


class ShortEntry(QuestionEntry):
    points: Annotated[list[PointEntry], Field(min_length=2, max_length=6)]


ENTRIES: Mapping[str, type[QuestionEntry]] = {
    "single": SingleEntry,
    "multiple": MultipleEntry,
    "judge": JudgeEntry,
    "fill": FillEntry,
    "short": ShortEntry,
}


class BankFile(_FileModel):
    """The frame of a bank; its questions are checked one by one, each by its kind."""

    bank: Id
    title: Name
    questions: Annotated[list[Any], Field(min_length=1, max_length=5000)]


class LessonFront(_FileModel):
    id: Id
    title: Annotated[str, Field(min_length=2, max_length=60), BeforeValidator(_as_written)]
    law: Name
    version: Day
    articles: Annotated[list[Name], Field(min_length=1, max_length=20)]
    source: Text | None = None
    tiers: Annotated[list[Literal["全员", "局党组", "领导干部", "公务员", "事业人员", "执法人员"]], Field(min_length=1)]
    minutes: Annotated[int, Field(ge=1, le=30)]
    valid_from: Day
    valid_to: Day | None = None
    questions: Annotated[list[Id], Field(min_length=1, max_length=3)]


class VersionEntry(_FileModel):
    version: Day
    in_force: Day | None = None
    valid_to: Day | None = None


class LawEntry(_FileModel):
    title: Name
    short: Name
    level: Name
    aliases: list[Name] = []
    misnomers: list[Name] = []
    versions: Annotated[list[VersionEntry], Field(min_length=1)]


class LawsFile(_FileModel):
    laws: Annotated[list[LawEntry], Field(min_length=1, max_length=5000)]


class SetEntry(_FileModel):
    name: Name
    aliases: list[Name] = []
    laws: Annotated[list[Name], Field(min_length=1, max_length=200)]


class SetsFile(_FileModel):
    sets: Annotated[list[SetEntry], Field(max_length=500)]


class HolidayEntry(_FileModel):
    name: Name
    first: Day
    last: Day


class CalendarFile(_FileModel):
    year: Annotated[int, Field(ge=2000, le=2100)]
    source: Text
    holidays: Annotated[list[HolidayEntry], Field(min_length=1, max_length=20)]
    workdays: Annotated[list[Day], Field(max_length=30)]


class PackItemEntry(_FileModel):
    name: Name
    day: Annotated[int, Field(ge=-15, le=15)]
    time: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    kind: Literal["lesson", "daily", "notice", "poll", "invitation"]
    text: Annotated[str, Field(max_length=1500), BeforeValidator(_as_written)] = ""
    lesson: Name = "-"
    options: Annotated[list[Name], Field(max_length=6)] = []
    target: Name = "-"
    receipt: bool = False


class PackFile(_FileModel):
    name: Name
    law_day: Name
    on_holiday: Literal["before", "after", "keep"]
    about: Text
    clause: Text
    items: Annotated[list[PackItemEntry], Field(min_length=1, max_length=20)]


class ContestFile(_FileModel):
    """A contest as an administrator writes it down; what `rules` may say is decided where rules are (bot/domain/contest/contest.py)."""

    name: Name
    form: Literal["windowed", "live", "onsite"] = "windowed"
    opens: Minute | None = None
    closes: Minute | None = None
    of: Annotated[list[Name], Field(max_length=20)] = []
    to: Text = "全员"
    clause: Annotated[str, Field(max_length=200), BeforeValidator(_as_written)] = ""
    rules: dict[str, int | str] = {}
    questions: Annotated[list[ContestQuestionId], Field(max_length=200)] = []


_Model = TypeVar("_Model", bound=BaseModel)


def validate(model: type[_Model], node: Node, file: str, faults: list[FileFault], entry_name: str = "") -> _Model | None:
    """The node as the model has it; None when it is faulty, with every fault noted. `at` says which entry is meant, e.g. 题目 mfd-01."""
    try:
        return model.model_validate(node.plain())
    except ValidationError as failed:
        for error in failed.errors(include_url=False, include_input=False):
            place = tuple(step for step in error["loc"] if step != "[key]")
            faults.append(FileFault(file, node.line_at(place), (f"{entry_name}：" if entry_name else "") + _fault_sentence(place, error)))
        return None


_FIELDS = {
    "id": "编号", "kind": "题型", "level": "级别", "case": "案例", "law": "法律", "version": "版本日期", "article": "条文", "articles": "条文",
    "point": "知识点", "stem": "题干", "options": "选项", "key": "答案", "points": "要点", "say": "要点原句", "words": "关键词", "evidence": "依据",
    "source": "出处", "explanation": "解析", "bank": "题库编号", "title": "名称", "questions": "题目", "tiers": "对象", "minutes": "时长",
    "valid_from": "生效日", "valid_to": "失效日", "in_force": "施行日", "laws": "法律", "short": "简称", "aliases": "别名", "misnomers": "误称",
    "versions": "版本", "sets": "法律组", "name": "名称",
    "year": "年份", "holidays": "放假", "workdays": "调休上班日", "first": "第一天", "last": "最后一天",
    "law_day": "普法日", "on_holiday": "遇假日", "about": "说明", "clause": "依据", "items": "各项", "day": "第几个工作日", "time": "时刻",
    "form": "形式", "opens": "开始", "closes": "截止", "of": "题目范围", "to": "对象", "rules": "规则",
    "text": "正文", "lesson": "课程", "target": "参加的命令", "receipt": "回执",
}  # fmt: skip

_SentenceTemplate = Callable[[str, Mapping[str, Any]], str]
_SENTENCES: Mapping[str, _SentenceTemplate] = {
    "missing": lambda field, _: f"缺少 {field}",
    "extra_forbidden": lambda field, _: f"不认识 {field}，请检查拼写或删去",
    "string_type": lambda field, _: f"{field} 应为文字",
    "string_too_short": lambda field, ctx: f"{field} 太短，至少 {ctx['min_length']} 个字",
    "string_too_long": lambda field, ctx: f"{field} 太长，最多 {ctx['max_length']} 个字",
    "int_type": lambda field, _: f"{field} 应为整数",
    "bool_type": lambda field, _: f"{field} 只能写 true 或 false",
    "list_type": lambda field, _: f"{field} 应为列表",
    "dict_type": lambda field, _: f"{field} 应为一组“键: 值”",
    "model_type": lambda field, _: f"{field} 应为一组“键: 值”",
    "greater_than_equal": lambda field, ctx: f"{field} 不能小于 {ctx['ge']}",
    "less_than_equal": lambda field, ctx: f"{field} 不能大于 {ctx['le']}",
    "too_short": lambda field, ctx: f"{field} 至少 {ctx['min_length']} 项",
    "too_long": lambda field, ctx: f"{field} 最多 {ctx['max_length']} 项",
    "not_a_date": lambda field, _: f"{field} 应为日期，写作 2021-01-01",
    "not_a_minute": lambda field, _: f"{field} 应为时间，写作 2026-07-01 09:00",
    "literal_error": lambda field, _: f"{field} 的写法不对",
    "string_pattern_mismatch": lambda field, _: f"{field} 的写法不对",
}
_FORMS = {
    "id": "小写字母、数字和短横，最多 48 个字符", "bank": "小写字母、数字和短横，最多 48 个字符", "questions": "题目编号，小写字母、数字和短横",
    "key": "单选写一个字母，多选写两个以上字母如 ACD，判断写 对 或 错", "tiers": f"{'、'.join(LESSON_TIERS)} 之一",
}  # fmt: skip


def _fault_sentence(place: tuple[str | int, ...], error: Mapping[str, Any]) -> str:
    template = _SENTENCES.get(error["type"])
    sentence = template(place_text(place), error.get("ctx", {})) if template else f"{place_text(place)} 的值不对"
    form = _FORMS.get(next((step for step in reversed(place) if isinstance(step, str)), ""))
    return f"{sentence}（应为{form}）" if form and error["type"] in ("literal_error", "string_pattern_mismatch") else sentence


def place_text(place: tuple[str | int, ...]) -> str:
    """A place in a file as people say it: `words` 关键词 第 2 项."""
    steps = [
        f"第 {step + 1} 项" if isinstance(step, int) else (f"{step}（{_FIELDS[step]}）" if step in _FIELDS else f"“{step[:40]}”") for step in place
    ]
    return " ".join(steps) or "内容"
