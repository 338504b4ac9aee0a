"""证书 in the chat: what one has, with the number and the way to the page."""

from __future__ import annotations

from datetime import date, timedelta

from sqlmodel import Session

from bot.domain.certificate import full_number
from bot.domain.times import day_of
from bot.services.certificate import certificates
from bot.storage.certificate import IssuedCertificate
from bot.storage.people.accounts import find_learner
from tests.conftest import NOW, Chat, enroll


def give(chat: Chat, title: str = "年度学法考试", staff_no: str = "1001") -> IssuedCertificate:
    def work(session: Session) -> IssuedCertificate:
        who = find_learner(session, chat.message("").sender, date(2026, 3, 2)) if staff_no == "1001" else None
        person = who.id if who is not None else enroll(session, staff_no, "别人")
        facts = certificates.build_facts(session, person, "exam", title, day_of(NOW), result="成绩 92 分，考试合格")
        return certificates.issue(session, person, ("sitting", title), facts, NOW)

    return chat.dispatcher.database.write_now(work)


async def test_who_has_none_is_told_how_one_comes(chat: Chat) -> None:
    assert "还没有证书" in await chat.say("证书")


async def test_my_certificates_come_with_number_code_and_link(chat: Chat) -> None:
    chat.dispatcher.pages = "https://xuefa.example"
    mine, other = give(chat), give(chat, staff_no="1002")
    told = await chat.say("证书")
    assert mine.number in told
    assert f"https://xuefa.example/certificates/{full_number(mine.number, mine.code)}" in told
    assert other.number not in told


async def test_without_a_public_address_the_number_and_code_stand_alone(chat: Chat) -> None:
    mine = give(chat)
    told = await chat.say("我的证书")
    assert (mine.number in told, "/certificates/" in told) == (True, False)


async def test_the_owner_is_told_why_one_no_longer_holds_and_what_came_instead(chat: Chat) -> None:
    chat.dispatcher.pages = "https://xuefa.example"
    first, second = give(chat), give(chat, "七一竞赛")
    database, later = chat.dispatcher.database, NOW + timedelta(days=3)
    new = database.write_now(lambda session: certificates.replace(session, first, first.body.facts, "姓名有误", later, by="9001", via="cli"))
    database.write_now(lambda session: certificates.revoke(session, second, "重复发放", later, by="9001", via="cli"))
    told = await chat.say("证书")
    assert f"编号 {first.number}：已换发（2026年3月5日，原因：姓名有误），新编号 {new.number}" in told
    assert f"编号 {second.number}：已撤销（2026年3月5日，原因：重复发放）" in told
    assert full_number(second.number, second.code) not in told
    assert told.index(new.number) < told.index(first.number), "what holds comes first"
