"""Questions that the channel tests ask, and how a card of one is got."""

from __future__ import annotations

from typing import Any

from bot.domain.message import Option, QuestionCard, Reply
from tests.support.platforms.servers import Ear
from tests.support.platforms.wecom import WeComPlatform

Stage = tuple[WeComPlatform, Ear]

QUESTION = QuestionCard(
    "q17",
    "第1/5题 单选",
    "民法典自哪一天起施行？",
    (Option("A", "A. 2020年5月28日"), Option("B", "B. 2021年1月1日"), Option("C", "C. 2021年5月1日")),
)
JUDGE = QuestionCard("q18", "第2/5题 判断", "居住权可以转让。", (Option("对", "对"), Option("错", "错")))
SEVERAL = QuestionCard(
    "q19", "第3/5题 多选", "哪些是担保物权？", (Option("A", "A. 抵押权"), Option("B", "B. 质权"), Option("C", "C. 留置权")), several=True
)


async def card_for(stage: Stage, reply: Reply) -> dict[str, Any]:
    """The card that follows when somebody is told this."""
    platform, ear = stage
    ear.says(reply)
    before = len(platform.cards)
    await platform.say("答题 宪法")
    await platform.until(lambda: len(platform.cards) > before)
    return platform.cards[-1]
