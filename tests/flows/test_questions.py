"""What people ask in their own words has an answer from the data. The sentences are our own, beside those that the trial tried."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.commands import registry, router
from bot.commands.router import QUESTIONS
from bot.dispatch import Dispatcher
from tests.conftest import Chat, Clock, enroll
from tests.flows.test_daily import question_in_hand, right_answer, rows
from tests.flows.test_exam import NEW, begun, published

TRIED = {
    "谢谢": ["谢谢", "谢谢你", "👍"],
    "你是谁": ["你是谁"],
    "你会什么": ["你会什么"],
    "今天": ["今天星期几"],
    "人工": ["人工", "人工客服", "投诉"],
    "改密码": ["修改密码"],
    "休假": ["我下周休假"],
    "少收消息": ["取消提醒", "不要再发了"],
    "补考": ["我要补考", "补考", "缺考了怎么办"],
    "考了多少分": ["我考了多少分"],
    "怎么达标": ["怎么才能达标"],
    "还差多少": ["我达标了吗", "还差几个学时啊", "嗯嗯帮我看一下我今年学了多少了"],
    "学时怎么算": ["学时怎么算", "规则"],
    "法律问题": ["公司拖欠工资怎么办", "老板不给钱我能告他吗", "邻居装修太吵怎么办", "什么是监察法", "民法典第1191条", "公务员能不能炒股"],
}
OURS = {
    "谢谢": ["多谢啦", "感谢！", "辛苦了", "谢谢老师", "thanks"],
    "第几页": ["第 2 页", "第二页", "看第3页"],
    "再见": ["再见", "拜拜", "晚安", "明天见"],
    "你是谁": ["你叫什么名字", "你是机器人吗", "请问你是真人吗", "你是什么东西"],
    "你会什么": ["你能做什么", "这个怎么用", "有什么功能", "你都能干啥", "机器人会干什么", "怎么操作呀", "使用说明"],
    "今天": ["今天是几号", "今天上班吗", "现在几点", "今天是工作日吗"],
    "我是谁": ["我是谁", "我的工号是多少", "我绑定了吗", "查一下我的单位", "绑定成功了吗"],
    "学时怎么算": [
        "学时是怎么计算的",
        "多少分钟算一个学时",
        "怎么得学时",
        "做几道题一个学时",
        "学分怎么换算",
        "学时规则",
        "怎么赚学时",
        "学时封顶是多少",
        "学时如何获得",
        "每天有上限吗",
    ],
    "学时不对": [
        "我的学时不对",
        "学时怎么没加",
        "为什么不计学时",
        "学了一课没给学时",
        "学时少了",
        "今天的学时没到账",
        "我的记录有误",
        "进度没变",
        "为什么没有学时",
        "怎么才计这么点学时",
    ],
    "怎么达标": [
        "怎样才能完成任务",
        "如何达标",
        "来得及吗",
        "我今年还来得及吗",
        "还要学多少才行",
        "怎么补学时",
        "还需要学几课",
        "会达标吗",
        "怎么学够40个学时",
        "如何补齐学时",
    ],
    "还差多少": [
        "我还差多少",
        "还缺几个学时",
        "离达标还差多少",
        "今年学了多少学时",
        "学时够不够",
        "我的学时有多少",
        "查询学时多少",
        "我完成了吗",
        "我拿了几个学时",
        "学了多久了",
        "我现在有几个学时",
        "学时情况",
        "任务完成了没有",
    ],
    "连续": ["我连续几天了", "连续学习多少天", "坚持几天了", "打卡几天了", "连续天数"],
    "今天做什么": ["今天要做什么", "接下来做什么", "有什么任务", "我的任务", "还有哪些没做完", "有没有待办", "今天该学什么"],
    "补考": ["不及格怎么办", "没考过可以重考吗", "考试错过了", "不合格怎么办", "能补考吗", "我没参加考试", "上次缺考了", "怎么申请补考"],
    "考了多少分": ["我的成绩", "成绩出来了吗", "考试及格了吗", "得了几分", "查成绩", "我通过了吗", "分数多少", "成绩怎么样"],
    "什么时候考试": ["什么时候考试", "考试时间", "考试是哪天", "有什么考试", "在哪里考试", "怎么参加考试", "几号考试呀"],
    "证书在哪": ["证书在哪里", "怎么下载证书", "证书怎么打印", "哪里领证书"],
    "错题在哪": ["怎么看错题", "错题在哪里", "我做错的题在哪看"],
    "题目有错": ["这题有错", "答案不对吧", "题目有问题", "解析错了", "怎么纠错", "这道题答案有误"],
    "改密码": ["忘记密码了", "密码是多少", "登录不了", "怎么登录"],
    "换绑": ["怎么换绑", "我换手机了", "解除绑定", "我换单位了", "名字错了", "换微信号怎么办", "部门不对"],
    "休假": ["我要请假", "明天出差", "我休产假", "怎么请假", "下个月休年假", "这周不在单位"],
    "少收消息": ["别再发消息了", "提醒太多了", "关闭推送", "没收到推送", "推送几点", "怎么取消通知"],
    "人工": [
        "转人工",
        "找管理员",
        "管理员是谁",
        "我要投诉",
        "有问题找谁",
        "页面打不开",
        "联系谁",
        "我有个建议要反馈给人工",
        "链接打不开",
        "管理员电话",
    ],
    "法律问题": ["什么是行政处罚", "合同没签怎么办", "房东不退押金怎么办", "酒驾会被处分吗", "离婚后房子怎么办", "民法典讲什么", "监察法第三条"],
}
SENTENCES = [(sentence, name) for table in (TRIED, OURS) for name, sentences in table.items() for sentence in sentences]


def test_a_hundred_sentences_of_our_own_are_tried() -> None:
    assert sum(map(len, OURS.values())) > 100
    assert {name for _, entry in QUESTIONS for name in entry.words} == set(OURS), "every question that is answered is asked"


@pytest.mark.parametrize(("sentence", "name"), SENTENCES)
def test_what_people_ask_is_heard(sentence: str, name: str) -> None:
    heard = registry.find(sentence)
    assert heard is not None
    assert heard.command.name == name


@pytest.mark.parametrize(
    "sentence",
    [
        "今天下雨了",
        "哈哈哈",
        "张三",
        "12345",
        "。。。",
        "不知道",
        "我不会",
        "提示",
        "解释一下",
        "太长了",
        "午饭吃什么",
        "A或者B",
        "好难",
        "123",
        "测试",
        "没看懂",
        "等一下",
        "你吃了吗",
        "开会去了",
        "收到",
    ],
)
def test_what_asks_nothing_is_not_answered_as_if_it_did(sentence: str) -> None:
    assert registry.find(sentence) is None


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("纠错 答案不对吧", "纠错"),
        ("申诉 3 分数不对", "申诉"),
        ("考试 12", "考试"),
        ("学习 民法典", "学习"),
        ("设置 免打扰 20:00-08:00", "设置"),
        ("考试 12 解析", "考试"),
    ],
)
def test_a_command_with_what_it_takes_is_no_question(typed: str, command: str) -> None:
    heard = registry.find(typed)
    assert heard is not None
    assert heard.command.name == command


ANSWERS = [
    ("怎么才能达标", ("还差 40 学时", "▱▱▱▱▱▱▱▱▱▱ 0/40 学时", "每 10 题 0.25 学时", "合格一场 2 学时")),
    ("还差几个学时", ("还差 40 学时，12月31日截止（还有 305 天）",)),
    ("我达标了吗", ("还差 40 学时",)),
    ("学时怎么算", ("45 分钟折 1 学时", "每 10 题计 0.25 学时", "D3 第 1 版")),
    ("我考了多少分", ("还没有考过的考试",)),
    ("我要补考", ("现在没有给您安排补考", "管理员甲（某局）")),
    ("人工", ("管理员甲（某局）", "申诉")),
    ("投诉", ("管理员甲（某局）",)),
    ("修改密码", ("这里没有密码", "管理员甲（某局）")),
    ("我下周休假", ("由管理员登记", "管理员甲（某局）")),
    ("怎么换绑", ("管理员甲（某局）",)),
    ("谢谢", ("不客气",)),
    ("你是谁", ("学法机器人",)),
    ("你会什么", ("可以这样说",)),
    ("今天星期几", ("3月2日，星期一，工作日",)),
    ("我的工号", ("学员甲，工号 1001，公务员",)),
    ("为什么没有学时", ("还没有学习记录",)),
    ("连续几天了", ("还没有连续的天数",)),
    ("今天要做什么", ("每日一练还没有做",)),
    ("什么时候考试", ("现在没有要参加的考试",)),
    ("证书在哪里", ("证书",)),
    ("怎么看错题", ("错题本",)),
    ("这题有错", ("纠错 哪里不对",)),
    ("不要再发了", ("您的设置",)),
    ("公司拖欠工资怎么办", ("法律问题我还答不了",)),
    ("再见", ("再见",)),
]


async def test_each_question_is_answered_from_the_data(chat: Chat) -> None:
    chat.dispatcher.database.write_now(lambda session: enroll(session, "9001", "管理员甲", unit="某局", roles=("admin",)))
    chat.dispatcher.database.write_now(_give_unit_to_admins)
    for sentence, fragments in ANSWERS:
        said = await chat.say(sentence)
        assert [fragment for fragment in fragments if fragment not in said] == [], (sentence, said)
    assert rows(chat.dispatcher.database, "SELECT COUNT(*) FROM audit WHERE outcome = 'refused'") == [(0,)]


def _give_unit_to_admins(session: Session) -> None:
    session.execute(text("UPDATE role SET unit_id = (SELECT id FROM unit WHERE path = '某局') WHERE role = 'admin'"))


async def test_nobody_is_named_who_does_not_look_after_the_sender(chat: Chat) -> None:
    chat.dispatcher.database.write_now(lambda session: enroll(session, "9002", "别局管理员", unit="别局", roles=("admin",)))
    chat.dispatcher.database.write_now(lambda session: session.execute(text("UPDATE role SET unit_id = (SELECT id FROM unit WHERE path = '别局')")))
    said = await chat.say("人工")
    assert "别局管理员" not in said
    assert "本单位的学法管理员" in said


async def test_a_failed_exam_is_known_to_its_questions(chat: Chat, dispatcher: Dispatcher, clock: Clock) -> None:
    dispatcher.database.write_now(lambda session: enroll(session, "9001", "管理员甲", roles=("admin",)))
    admin = Chat(dispatcher, clock, "9001")
    exam_id = await published(admin, f"{NEW}；出分=立即")
    await begun(chat, exam_id)
    await chat.say("交卷")
    await chat.say("确认")
    said = await chat.say("我考了多少分")
    assert re.search(r"您的成绩：\n· 考试 1《年度学法考试》已交卷，得分 0/10 分，不合格", said), said
    assert "《年度学法考试》没有合格，还没有安排补考" in await chat.say("我要补考")


async def test_a_question_in_the_middle_of_a_set_is_answered_and_the_set_stays_open(chat: Chat) -> None:
    await chat.say("每日")
    question = question_in_hand(chat)
    card = chat.last.card
    assert "还差 40 学时" in await chat.say("还差几个学时")
    chat.last = type(chat.last)(card=card)
    assert (await chat.say(right_answer(question))).startswith("已记录")


def test_no_pattern_is_caught_by_a_plain_answer() -> None:
    for typed in ("A", "AC", "对", "错", "是", "否", "选B", "3B", "第一个", "正确", "不对", "ABCD", "十五日", "30", "以上都对"):
        assert router.find(typed) is None, typed
