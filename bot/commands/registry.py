"""Lists every module that declares commands of the chat or acts of administrators, in the order of the help, and connects the services."""

from __future__ import annotations

from bot.commands import activity, certificate, delivery, help, hours, links, people, questions, reports, router
from bot.commands.campaign import manage as campaign_manage
from bot.commands.campaign import push
from bot.commands.contest import duel, live_host, play
from bot.commands.contest import manage as contest_manage
from bot.commands.exam import manage as exam_manage
from bot.commands.exam import sit
from bot.commands.grading import appeals, corrections, outside_results, question_reports, short_answers
from bot.commands.router import Heard
from bot.commands.study import lessons, mistakes, quiz
from bot.services import hooks

MODULES = (
    quiz,
    mistakes,
    lessons,
    sit,
    exam_manage,
    play,
    duel,
    campaign_manage,
    push,
    live_host,
    contest_manage,
    hours,
    certificate,
    question_reports,
    short_answers,
    appeals,
    corrections,
    outside_results,
    delivery,
    activity,
    people,
    reports,
    links,
    questions,
    help,
)

router.order_commands(MODULES)
hooks.install()


def find(text: str) -> Heard | None:
    """What a text is heard as, among all that is listed here."""
    return router.find(text)
