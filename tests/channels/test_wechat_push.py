"""Pushes to followers over the loopback: inside their window, beyond it, and the public series (bot/docs/protocols.md#wechat-push)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any

import pytest

from bot.channels.outbound.errors import PlatformError
from bot.channels.wechat.push import JobResult, TemplateNotice
from bot.channels.wechat.series import ReaderCounts, SeriesArticle
from bot.domain.message import Address, Option, OutboundMessage, Reply, SendReceipt
from tests.support.platforms.envelopes import cdata
from tests.support.platforms.faults import Fault, cut, delivered_then_silent, html, refuses, slow
from tests.support.platforms.questions import QUESTION
from tests.support.platforms.servers import Ear, wechat_stands
from tests.support.platforms.wechat import APP, FOLLOWER, WeChatPlatform

Stage = tuple[WeChatPlatform, Ear]
CUSTOM, TEMPLATE = "/cgi-bin/message/custom/send", "/cgi-bin/message/template/send"
PAGE = "https://law.example.gov.cn/chat"
LESSON = Reply("今天学习民法典总则编第一章的全部内容，约需六分钟\n第一课：基本规定", buttons=(Option("学习 mfd-1191", "开始学习"),))
FIELDS = "thing1:title,thing2:text,time3:time,phrase4:=学法"


NOTICE: dict[str, Any] = {"template": "tpl-1", "template_fields": FIELDS, "template_url": PAGE}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with wechat_stands(verified=True, **NOTICE) as standing:
        yield standing


def parcel(user: str = FOLLOWER, reply: Reply = LESSON, mark: str = "7:1") -> OutboundMessage:
    return OutboundMessage(Address("wechat", APP, user), reply, mark)


def outcomes(receipts: Sequence[SendReceipt]) -> list[str]:
    return [one.outcome for one in receipts]


async def test_inside_the_window_the_whole_text_and_its_list_are_said(stage: Stage) -> None:
    platform, ear = stage
    assert outcomes(await ear.channel.push([parcel(reply=Reply("开始", card=QUESTION))])) == ["sent"]
    assert [message["msgtype"] for message in platform.sent] == ["text", "msgmenu"]
    assert platform.noticed == []


async def test_beyond_the_window_the_template_is_sent_and_fits_its_keywords(stage: Stage) -> None:
    platform, ear = stage
    platform.quiet = {FOLLOWER}
    [receipt] = await ear.channel.push([parcel()])

    assert (receipt.outcome, receipt.platform_id) == ("sent", "t:200001")
    [sent] = platform.noticed
    assert (sent["touser"], sent["template_id"], sent["url"]) == (FOLLOWER, "tpl-1", PAGE + "?say=%E5%AD%A6%E4%B9%A0%20mfd-1191")
    assert {name: one["value"] for name, one in sent["data"].items()} == {
        "thing1": "今天学习民法典总则编第一章的全部内容，…",
        "thing2": "第一课：基本规定",
        "time3": "2026-11-23 09:00",
        "phrase4": "学法",
    }


async def test_the_same_parcel_is_known_again_by_its_mark(stage: Stage) -> None:
    platform, ear = stage
    platform.quiet = {FOLLOWER}
    for mark in ("7:1", "7:1", "8:1"):
        await ear.channel.push([parcel(mark=mark)])
    marks = [sent["client_msg_id"] for sent in platform.noticed]
    assert marks[0] == marks[1] != marks[2]


async def test_who_is_known_to_be_beyond_the_window_costs_no_refused_call() -> None:
    asked: list[tuple[str, int]] = []

    async def window_open(user: str, count: int) -> bool:
        asked.append((user, count))
        return user == FOLLOWER

    async with wechat_stands(verified=True, **NOTICE, window_open=window_open) as (platform, ear):
        assert outcomes(await ear.channel.push([parcel(), parcel("oOther")])) == ["sent", "sent"]
        assert sorted(asked) == [(FOLLOWER, 2), ("oOther", 2)]
        assert platform.faults.count(CUSTOM) == 2
        assert [sent["touser"] for sent in platform.noticed] == ["oOther"]


async def test_without_a_template_the_subscription_is_used_and_a_spent_consent_is_final() -> None:
    subscription: dict[str, Any] = {"subscription": "sub-1", "subscription_fields": "thing1:title", "subscription_page": "pages/index"}
    async with wechat_stands(verified=True, **subscription) as (
        platform,
        ear,
    ):
        platform.quiet = {FOLLOWER}
        assert outcomes(await ear.channel.push([parcel()])) == ["sent"]
        assert platform.subscribed[0]["page"] == "pages/index?say=%E5%AD%A6%E4%B9%A0%20mfd-1191"
        platform.faults.on("/cgi-bin/message/subscribe/bizsend", refuses(43101))
        [receipt] = await ear.channel.push([parcel(mark="8:1")])
        assert (receipt.outcome, "43101" in receipt.error) == ("failed", True)


async def test_a_channel_says_whether_it_reaches_beyond_the_window(stage: Stage) -> None:
    _, ear = stage
    assert ear.channel.beyond_window
    async with wechat_stands(verified=True) as (_, plain), wechat_stands(**NOTICE) as (_, unverified):
        assert not plain.channel.beyond_window
        assert not unverified.channel.beyond_window


async def test_with_neither_the_person_cannot_be_reached_here() -> None:
    async with wechat_stands(verified=True) as (platform, ear):
        platform.quiet = {FOLLOWER}
        [receipt] = await ear.channel.push([parcel()])
        assert (receipt.outcome, receipt.error.startswith("window ")) == ("failed", True)


async def test_an_account_that_is_not_verified_pushes_nothing() -> None:
    async with wechat_stands() as (platform, ear):
        assert outcomes(await ear.channel.push([parcel()])) == ["failed"]
        assert platform.faults.calls == []


@pytest.mark.parametrize(
    ("fault", "outcome", "stop"),
    [
        (refuses(42001), "sent", False),
        (refuses(45047), "sent", False),
        (refuses(45009), "later", False),
        (refuses(45011), "later", False),
        (refuses(43004), "failed", False),
        (refuses(48001), "later", True),
        (refuses(40164), "later", True),
        (refuses(-1), "sent", False),
        (html, "unknown", False),
        (cut, "unknown", False),
        (delivered_then_silent, "unknown", False),
        (slow(0.5), "sent", False),
    ],
)
async def test_each_trouble_has_its_outcome_and_nothing_arrives_twice(stage: Stage, fault: Fault, outcome: str, stop: bool) -> None:
    platform, ear = stage
    platform.faults.on(CUSTOM, fault)
    [receipt] = await ear.channel.push([parcel(reply=Reply("通知"))])
    assert (receipt.outcome, receipt.stop) == (outcome, stop)
    assert len(platform.sent) + len(platform.noticed) <= 1


async def test_the_days_quota_holds_back_everybody_who_has_not_begun(stage: Stage) -> None:
    platform, ear = stage
    platform.fault = lambda message: {"errcode": 45009, "errmsg": "reach max api daily quota limit"}
    receipts = await ear.channel.push([parcel(f"o{n}", mark=f"7:{n}") for n in range(40)])
    assert set(outcomes(receipts)) == {"later"}
    assert platform.faults.count(CUSTOM) <= 8
    assert min(one.retry_after or 0 for one in receipts) > 3600


async def test_a_broken_template_fails_only_its_parcel(stage: Stage) -> None:
    platform, ear = stage
    platform.quiet = {FOLLOWER}
    platform.faults.on(TEMPLATE, refuses(47003))
    assert outcomes(await ear.channel.push([parcel()])) == ["failed"]


@pytest.mark.parametrize("fields", ["thing1", "thing1:nothing", "1:title", "thing1:=", "thing1:title,,"])
def test_fields_that_cannot_be_read_are_refused_at_the_start(fields: str) -> None:
    with pytest.raises(ValueError, match="template fields"):
        TemplateNotice.parse("tpl-1", fields, "")


async def test_what_became_of_a_template_and_of_a_mass_send_is_heard() -> None:
    jobs: list[JobResult] = []
    told = asyncio.Event()

    async def finished(job: JobResult) -> None:
        jobs.append(job)
        told.set()

    async with wechat_stands(verified=True, on_job_result=finished) as (platform, ear):
        failed = cdata(Event="TEMPLATESENDJOBFINISH", Status="failed:user block") + "<MsgID>200001</MsgID>"
        counted = "<TotalCount>500</TotalCount><FilterCount>480</FilterCount><SentCount>470</SentCount><ErrorCount>10</ErrorCount>"
        done = cdata(Event="MASSSENDJOBFINISH", Status="send success") + f"<MsgID>34182</MsgID>{counted}"
        for rest in (failed, done):
            told.clear()
            assert (await platform.push(platform.message("event", rest))).text == "success"
            await asyncio.wait_for(told.wait(), 60)
        assert jobs == [
            JobResult("template", "200001", False, "failed:user block"),
            JobResult("mass", "34182", True, "send success", 500, 480, 470, 10),
        ]
        assert ear.heard == []


async def test_the_public_series_goes_out_once_and_its_readers_are_nobody_on_the_roll(stage: Stage) -> None:
    platform, ear = stage
    series = ear.channel.series
    media = await series.create_draft([SeriesArticle("宪法日里说宪法", "<p>正文</p>", "cover-1", digest="摘要")])
    await series.preview(media, FOLLOWER)
    first = await series.send_all(media, "series-3-2026-12-04")
    second = await series.send_all(media, "series-3-2026-12-04")

    assert (first.outcome, first.platform_id, second.outcome) == ("sent", "m:34182", "sent")
    assert [(one["filter"], one["mpnews"]) for one in platform.masses] == [({"is_to_all": True}, {"media_id": "media-1"})]
    assert platform.previews[0]["touser"] == FOLLOWER
    platform.articles = [
        {
            "ref_date": "2026-12-04",
            "title": "宪法日里说宪法",
            "details": [
                {"stat_date": "2026-12-05", "target_user": 470, "int_page_read_user": 120, "int_page_read_count": 150},
                {"stat_date": "2026-12-04", "target_user": 470, "int_page_read_user": 80, "int_page_read_count": 90},
            ],
        }
    ]
    assert await series.readers(date(2026, 12, 4)) == [ReaderCounts("宪法日里说宪法", 470, 120, 150)]
    assert ear.heard == []


async def test_a_mass_send_to_a_tag_in_doubt_is_not_repeated(stage: Stage) -> None:
    platform, ear = stage
    platform.faults.on("/cgi-bin/message/mass/sendall", delivered_then_silent)
    receipt = await ear.channel.series.send_all("media-1", "mark", tag=2)
    assert receipt.outcome == "unknown"
    assert [one["filter"] for one in platform.masses] == [{"is_to_all": False, "tag_id": 2}]


async def test_only_a_mass_send_can_be_taken_back(stage: Stage) -> None:
    platform, ear = stage
    assert outcomes(await ear.channel.recall(["m:34182", "t:200001"])) == ["sent", "failed"]
    assert platform.deleted == [{"msg_id": 34182, "article_idx": 0}]


async def test_a_draft_without_a_cover_is_not_even_asked_for(stage: Stage) -> None:
    platform, ear = stage
    with pytest.raises(PlatformError) as caught:
        await ear.channel.series.create_draft([SeriesArticle("标题", "<p/>", "")])
    assert caught.value.kind == "content"
    assert platform.faults.count("/cgi-bin/draft/add") == 0
