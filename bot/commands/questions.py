"""What people ask in their own words, answered from the data: hours, results, make-up exams, whom to turn to; and courtesies.

A question is heard by a pattern (`router.asked`), in the text without its courtesies; the first that fits answers. Patterns ask for two words that
belong together, so that no sentence is caught by one of them alone.
"""

from __future__ import annotations

from bot.commands import hours
from bot.commands.exam import messages as exam_messages
from bot.commands.help import show_help
from bot.commands.router import COMMANDS, Context, asked
from bot.domain.calendar import UnknownYear
from bot.domain.hours.policy import quotas, shown_hours, total_hours
from bot.domain.message import Option, Reply
from bot.domain.times import chinese_day
from bot.services.exam.own_exams import list_own_exams
from bot.services.hours import forecast
from bot.services.study import current_task, streak
from bot.storage.hours import ledger
from bot.storage.people import roster

MAX_CONTACTS = 3
HOURS, WHY, DAILY, LEARN = Option("我的学时", "我的学时"), Option("为什么", "为什么"), Option("每日", "每日一练"), Option("学习", "学习")
EXAMS, HELP, SETTINGS = Option("考试", "我的考试"), Option("帮助", "帮助"), Option("设置", "设置")


def _contacts(ctx: Context) -> str:
    """Who looks after the sender, the nearest first."""
    contacts = roster.admins_of(ctx.session, ctx.me.id, ctx.today)
    if not contacts:
        return "请联系本单位的学法管理员（花名册里还没有登记是谁）"
    names = "、".join(f"{name}（{unit}）" if unit else name for name, unit in contacts[:MAX_CONTACTS])
    return f"请联系管理员 {names}{'等' if len(contacts) > MAX_CONTACTS else ''}"


# ── Courtesies ──


@asked("谢谢", r"^(?:谢谢|多谢|感谢|谢了|辛苦了|thank)|^(?:👍|👌|🙏|❤|💪)")
def thanks(ctx: Context, _: str) -> Reply:
    """To thanks."""
    return Reply("不客气，随时找我。", buttons=(DAILY, HOURS))


@asked("再见", r"^(?:再见|拜拜|bye|晚安|明天见|回头见)")
def goodbye(ctx: Context, _: str) -> Reply:
    """To a goodbye."""
    return Reply("再见，已答的都记着，随时回来接着学。")


@asked("你是谁", r"你(?:是谁|是什么|叫什么|是不是(?:机器人|真人|人)|是机器人|是真人)|是(?:真人|机器人)[吗嘛]")
def who_are_you(ctx: Context, _: str) -> Reply:
    """What this is."""
    return Reply("我是学法机器人，不是真人：帮您学法、做题、考试、记学时。发「帮助」看看能做什么。", buttons=(HELP, DAILY))


@asked(
    "你会什么",
    r"(?:你|这里|机器人|这个).{0,4}(?:会|能)(?:做|干|帮我做|帮我干)?(?:些)?(?:什么|啥)|能干[嘛啥]|怎么(?:用|玩|操作|使用)|(?:使用)?(?:说明|教程)$|有(?:什么|哪些)功能",
)
def what_can_you_do(ctx: Context, _: str) -> Reply:
    """The help."""
    return show_help(ctx, "")


@asked("今天", r"(?:今天|现在|今日)(?:是)?(?:星期|周|礼拜|几号|几月|什么日子|几点|上班|工作日)")
def what_day_is_it(ctx: Context, _: str) -> Reply:
    """The day, and whether it is a working day."""
    try:
        kind = "工作日" if ctx.library.calendar.is_workday(ctx.today) else "休息日"
    except UnknownYear:
        kind = "今年的放假安排还没有录入"
    return Reply(f"今天是{chinese_day(ctx.today)}，星期{'一二三四五六日'[ctx.today.weekday()]}，{kind}。", buttons=(DAILY,))


@asked("我是谁", r"(?:我是谁|我的(?:工号|单位|身份|账号|信息|资料)|绑定(?:了)?(?:谁|没有|没|了吗|成功)|我绑定)")
def who_am_i(ctx: Context, _: str) -> Reply:
    """Who the sender is to us."""
    tier = f"，{ctx.me.tier}" if ctx.me.tier else ""
    return Reply(f"您是{ctx.me.name}，工号 {ctx.me.staff_no}{tier}，账号已绑定。不对的话，{_contacts(ctx)}。", buttons=(HOURS,))


# ── Hours ──


@asked(
    "学时怎么算",
    r"(?:学时|学分|课时|时长|分数?).{0,4}(?:怎么|如何|咋|怎样)(?:算|计算|计|记|折算|得|来|拿|赚|获得|换)|(?:怎么|如何|咋|怎样).{0,3}(?:算|计|赚|拿|挣|获得|得).{0,2}(?:学时|学分|课时)|^(?:学时|计分|积分)?(?:规则|标准|办法)$|(?:多少|几)(?:分钟|题|道题).{0,4}(?:一|1|多少|几)个?学时|封顶|上限",
)
def how_hours_count(ctx: Context, _: str) -> Reply:
    """The rules of the day in their own words."""
    rules = [ctx.catalog.policy.at(line, ctx.today) for line in ("D1", "D2", "D3", "D4", "D5", "D11")]
    lines = ["📐 学时这样算（今天有效的规则）：", *(f"· {rule.title}（{rule.name}）" for rule in rules)]
    return Reply("\n".join([*lines, "自己每一分钟怎么计的，发「为什么」。"]), buttons=(WHY, HOURS))


@asked(
    "学时不对",
    r"(?:学时|时长|课时|进度|记录).{0,6}(?:不对|有误|错了|少了|没加|没有加|没增加|没涨|没记|没有记|没计|没到账|不见|丢了|没变|不变|没动)|(?:为什么|怎么|为何|咋).{0,8}(?:没有?(?:加|计|记|给|算|得).{0,4}(?:学时|分)?|没有?.{0,3}学时|不[计加算记].{0,2}学时|才.{0,4}学时)|学了.{0,8}没.{0,3}学时",
)
def hours_look_wrong(ctx: Context, _: str) -> Reply:
    """Where each minute stands, and whom to tell that it is wrong."""
    explained = hours.explain_hours(ctx, "")
    text = f"每一笔的依据和没有计入的原因在下面。仍有不对的，{_contacts(ctx)}，告诉他流水的编号。\n\n{explained.text}"
    return Reply(text, buttons=(WHY, HOURS))


@asked(
    "怎么达标",
    r"(?:怎么|如何|怎样|咋|要).{0,6}(?:达标|完成(?:任务|学时|指标)|学够|学完|修满|补学时|补齐)|(?:来得及|来不及|能不能达标|能达标|会达标)|还(?:要|需要?)(?:学|做|读|考|修).{0,4}(?:多少|几|什么|哪些)",
)
def how_to_comply(ctx: Context, _: str) -> Reply:
    """The gap, the pace that closes it, and what earns how much."""
    policy, year_quotas = ctx.catalog.policy, quotas(ctx.catalog.policy, ctx.today)
    online, practice, exam, contest = (policy.at(line, ctx.today) for line in ("D2", "D3", "D4", "D5"))
    outlook = forecast.outlook_sentence(forecast.outlook_of(ctx.session, ctx.catalog, ctx.me.id, ctx.me.tier, ctx.now))
    lines = [*_gap_lines(ctx), *([outlook] if outlook else [])]
    if year_quotas.need(ctx.me.tier) is not None:
        lines += [
            "能得学时的：",
            f"· 「学习」读课，每天最多 {online.number_text('day_cap')} 学时",
            f"· 「每日」「练习」每 {int(practice.number('items'))} 题 {practice.number_text('hours')} 学时，"
            f"每天最多 {practice.number_text('day_cap')}、每年最多 {practice.number_text('year_cap')}",
            f"· 「考试」合格一场 {exam.number_text('pass')} 学时；「竞赛」参加一次 {contest.number_text('join')} 学时",
            "· 单位组织的集体学法、培训，由管理员登记",
        ]
    return Reply("\n".join(lines), buttons=(LEARN, DAILY, HOURS))


def _gap_lines(ctx: Context) -> list[str]:
    year_quotas, seconds = quotas(ctx.catalog.policy, ctx.today), ledger.year_seconds(ctx.session, ctx.me.id, ctx.today.year)
    per_hour = year_quotas.seconds_per_hour
    collective = shown_hours(seconds.get("collective", 0), per_hour)
    return hours.gap_lines(ctx, total_hours(seconds, per_hour), collective, year_quotas)


@asked(
    "还差多少",
    r"(?:还|差|缺|欠|剩).{0,4}(?:多少|几|啥|什么)个?.{0,3}(?:学时|学分|课时|达标|任务|分钟)?$|(?:达标|完成)(?:了)?(?:没有|没|吗|了吗)|(?:学时|学分).{0,4}(?:够|满)|(?:学|修|拿|攒|得|有)(?:了|到|过)?(?:多少|几)个?(?:学时|学分|课时|小时)|(?:学时|学分|课时|进度|任务).{0,6}(?:多少|几个|怎么样|如何|情况|查询)|学了多(?:少|久)",
)
def how_much_is_missing(ctx: Context, _: str) -> Reply:
    """The hours of the year."""
    return hours.my_hours(ctx, "")


@asked("连续", r"(?:连续|坚持|打卡).{0,4}(?:几|多少)天|连续(?:天数|学习)|断(?:了)?(?:没有|吗|签)")
def how_long_a_streak(ctx: Context, _: str) -> Reply:
    """The streak, and what counts for it."""
    line = hours.streak_line(streak.streak_of(ctx.session, ctx.library.calendar, ctx.me.id, ctx.now))
    return Reply(f"{line or '还没有连续的天数'}。只有「每日」算连续；休息日不断，读课、练习不算。", buttons=(DAILY, HOURS))


@asked(
    "今天做什么",
    r"(?:今天|现在|接下来|下一步).{0,4}(?:要?(?:做|学|干|完成)|该)(?:什么|啥|哪些)|有(?:什么|哪些|没有?)(?:任务|待办|要做的|没做)|(?:我的)?(?:任务|待办)$|没做完",
)
def what_is_to_do(ctx: Context, _: str) -> Reply:
    """Today's set, what waits, and the exams to come."""
    waiting = current_task.waiting(ctx.session, ctx.catalog, ctx.me.id)
    coming, _past = list_own_exams(ctx.session, ctx.catalog, ctx.me.id, ctx.now)
    done_today = streak.streak_of(ctx.session, ctx.library.calendar, ctx.me.id, ctx.now).done_today
    lines = ["今天的每日一练已经完成。" if done_today else "今天的每日一练还没有做（5 题，约 3 分钟）。"]
    lines += [f"没做完的：{'、'.join(task.name for task in waiting[:3])}。"] if waiting else []
    lines += [exam_messages.own_exam_line(own_exam, ctx.now).removeprefix("· ") for own_exam in coming[:3]]
    buttons = (*(() if done_today else (DAILY,)), *((Option("继续", "继续"),) if waiting else (LEARN,)), *((EXAMS,) if coming else ()))
    return Reply("\n".join(lines), buttons=buttons)


# ── Exams ──


@asked(
    "补考",
    r"补考|重考|再考一次|缺考|没(?:赶上|参加|去|来得及).{0,3}考试|(?:不及格|不合格|没及格|没过|没考过|挂科?了?)(?:怎么办|咋办|能|可以|还)?|(?:考试|错过).{0,3}(?:错过|忘了?|忘记)",
)
def make_up_exam(ctx: Context, _: str) -> Reply:
    """The make-up exams and second tries that are open to the sender; where there are none, who arranges them."""
    coming, past = list_own_exams(ctx.session, ctx.catalog, ctx.me.id, ctx.now)
    makeups = [own for own in coming if own.exam.makeup_of is not None or own.counts is not None]
    buttons = tuple(Option(f"考试 {own.exam.id}", own.exam.name[:12]) for own in (makeups or coming)[:3])
    if makeups:
        lines = ["您可以补考或再考：", *(exam_messages.own_exam_line(own, ctx.now) for own in makeups)]
        return Reply("\n".join(lines), buttons=buttons)
    failed = [own for own in past if own.counts is not None and own.counts.passed is False]
    head = f"《{failed[0].exam.name}》没有合格，还没有安排补考" if failed else "现在没有给您安排补考"
    lines = [f"{head}。补考由组织考试的管理员安排，安排好会通知您；着急的话，{_contacts(ctx)}。"]
    lines += ["还可以参加的：", *(exam_messages.own_exam_line(own, ctx.now) for own in coming)] if coming else []
    return Reply("\n".join(lines), buttons=(*buttons, Option("错题", "先练错题"), Option("练习 模拟", "做一套模拟卷"))[:4])


@asked(
    "考了多少分",
    r"(?:考|得|拿)(?:了|到)?(?:多少|几)分|(?:我的)?(?:成绩|分数|考分|得分)(?:多少|怎么样|如何|呢|查询|出来|公布|单)?|(?:考试)?(?:及格|合格|考过|通过)(?:了)?(?:没有|没|吗|了吗)|成绩",
)
def exam_results(ctx: Context, _: str) -> Reply:
    """The results of the exams that were sat, as far as they are told."""
    _coming, past = list_own_exams(ctx.session, ctx.catalog, ctx.me.id, ctx.now)
    if not past:
        return Reply("您还没有考过的考试，没有成绩。", buttons=(EXAMS, Option("练习 模拟", "做一套模拟卷")))
    buttons = tuple(Option(f"考试 {own.exam.id} 解析", f"{own.exam.name[:8]}解析") for own in past if own.exam.tells_keys)[:3]
    return Reply("\n".join(["您的成绩：", *(exam_messages.own_exam_line(own, ctx.now) for own in past)]), buttons=buttons or (EXAMS,))


@asked(
    "什么时候考试",
    r"(?:什么时候|何时|几号|哪天|几点|啥时候).{0,4}(?:考试|开考|考$)|考试.{0,3}(?:时间|什么时候|哪天|几号|几点|安排)|(?:有|要).{0,2}(?:什么|哪些|没有|几场)考试|怎么(?:参加)?考试|在哪(?:里|儿)?考",
)
def when_is_the_exam(ctx: Context, _: str) -> Reply:
    """The exams to come."""
    return COMMANDS["考试"].handler(ctx, "")


@asked("证书在哪", r"证书.{0,4}(?:在哪|怎么|哪里|如何|下载|打印|领)|(?:怎么|哪里|如何).{0,4}(?:证书|证明)")
def where_is_the_certificate(ctx: Context, _: str) -> Reply:
    """The certificates."""
    return COMMANDS["证书"].handler(ctx, "")


# ── Questions and answers ──


@asked("错题在哪", r"(?:怎么|哪里|如何|在哪).{0,4}错题|错题.{0,3}(?:在哪|怎么|哪里)|(?:做|答)错.{0,3}(?:题|的).{0,4}(?:在哪|怎么|哪里|看)")
def where_are_mistakes(ctx: Context, _: str) -> Reply:
    """The notebook."""
    return COMMANDS["错题"].handler(ctx, "")


@asked("题目有错", r"(?:题目?|答案|解析|这题|这道题).{0,4}(?:有错|错了|不对|有误|有问题|有异议|过时)|(?:怎么|如何|在哪).{0,3}(?:纠错|报错|反馈)")
def a_question_is_wrong(ctx: Context, _: str) -> Reply:
    """How a question is reported."""
    return Reply(
        "请发「纠错 哪里不对」，例如“纠错 B 项也成立”：管理员会看到题目、您的作答和这句话，答复发到这里。", buttons=(Option("纠错", "报告这道题"),)
    )


# ── Whom to turn to ──


@asked("改密码", r"(?:密码|口令).{0,6}|登录不了|登不上|怎么登录")
def no_password(ctx: Context, _: str) -> Reply:
    """That there is none."""
    return Reply(f"这里没有密码：聊天账号和花名册对上就能用，网页用聊天里发的一次性链接打开。账号有问题，{_contacts(ctx)}。")


@asked(
    "换绑",
    r"(?:换|改|解除?|取消|重新).{0,2}(?:绑定?|绑)|换(?:了)?(?:手机|微信|号|账号|单位|部门|岗位)|(?:调动|调岗|借调)(?:了)?$|(?:姓名|名字|单位|部门|层级).{0,3}(?:错|不对|改|变)",
)
def change_of_person(ctx: Context, _: str) -> Reply:
    """Who changes an account, a unit, a name."""
    return Reply(f"换绑、解绑、改单位和姓名都由管理员在花名册里办，{_contacts(ctx)}。学时按人记，换手机、换账号都不会丢。")


@asked(
    "休假",
    r"(?:我|下周|明天|最近|这周|下个?月|这几天|后天).{0,6}(?:休假|请假|年假|产假|病假|事假|出差|住院|不在)|(?:怎么|如何)请假|^(?:休假|请假|产假|病假|年假|出差)$",
)
def on_leave(ctx: Context, _: str) -> Reply:
    """Who records leave, and what it changes."""
    return Reply(
        f"请假、借调由管理员登记，登记后这段时间不推送、不催学，学时要求按规则办；{_contacts(ctx)}。只想少收消息可以发「设置」。", buttons=(SETTINGS,)
    )


@asked(
    "少收消息",
    r"(?:取消|关闭?|停止?|退订|不要再?|别再?|不想).{0,4}(?:提醒|推送|通知|消息|打扰|发)|(?:提醒|推送|通知|消息).{0,4}(?:太多|关|取消|几点|时间)|(?:没|没有)收到(?:推送|提醒|通知|消息)|免打扰",
)
def fewer_messages(ctx: Context, _: str) -> Reply:
    """The settings."""
    return COMMANDS["设置"].handler(ctx, "")


@asked(
    "人工",
    r"^(?:人工|真人|客服|转人工|投诉|举报|管理员|联系人|建议|反馈|意见|求助|帮忙)|人工(?:客服|服务|处理)?$|(?:找|联系|问)(?:谁|人|管理员|客服)|(?:管理员|负责人|联系人|主持人).{0,2}(?:是谁|电话|在哪|怎么联系)|(?:想|要)投诉|(?:打不开|进不去|用不了|闪退|没反应|出错|卡住|坏了|报错了)",
)
def a_person(ctx: Context, _: str) -> Reply:
    """Who looks after the sender, and what can be done here."""
    lines = [
        f"要找人，{_contacts(ctx)}。",
        "先看看这里能不能直接办：题目有错发「纠错 哪里不对」，对考试结果有异议发「申诉 考试编号 理由」，学时怎么来的发「为什么」。",
    ]
    return Reply("\n".join(lines), buttons=(WHY, Option("申诉", "申诉"), HELP))


# ── Law ──


@asked(
    "法律问题",
    r"第\s*[\d一二三四五六七八九十百千零〇]+\s*条|(?:违法|犯法|合法|犯罪|处罚|处分|赔偿|起诉|告他|告他们|拖欠|工资|合同|离婚|继承|邻居|物业|噪音|装修|酒驾|留置|监察|公务员|民法典?|刑法|宪法|欠钱|借钱|租房|房东|老板|公司)"
    r".{0,20}(?:能不能.{1,8}|吗|么|怎么办|咋办|是什么|什么意思|怎么处理|怎么算|怎么判|多久|多少|哪些|如何|能不能|可不可以|可以.{1,6}吗)|^什么是.{2,12}|^.{2,10}(?:法|条例)(?:是|讲|规定)(?:的)?什么",
)
def law_question(ctx: Context, _: str) -> Reply:
    """Goes to 问法 where that is; otherwise it is said that nobody answers it here, and where the law is studied."""
    if (ask := COMMANDS.get("问法")) is not None:
        return ask.handler(ctx, ctx.incoming.text.strip())
    laws = sorted((name for name in ctx.library.names if name in ctx.incoming.text), key=len, reverse=True)
    buttons = (Option(f"学习 {laws[0]}", f"学《{laws[0]}》"), Option(f"练习 {laws[0]}", "做题")) if laws else (Option("学习 目录", "看有哪些课"),)
    return Reply(f"法律问题我还答不了，怕答错误事；具体的事请问单位法制机构或法律顾问。{'这部法可以学、可以练。' if laws else ''}", buttons=buttons)
