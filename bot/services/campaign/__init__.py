"""Campaigns: planned in `plan`, brought about in `fire`; what the house says by itself in `tell`; what a demo shows in `demo`."""

from bot.services.campaign.demo import demo_campaigns
from bot.services.campaign.fire import fire_due
from bot.services.campaign.plan import (
    Recalled,
    affordable,
    author_of,
    change,
    create,
    listed,
    own,
    pause,
    pause_all,
    preview,
    reach,
    recall,
    resume,
    resume_all,
    skip_date,
    start,
    stop,
)
from bot.services.campaign.push import confirm_push, draft_push
from bot.services.campaign.tell import announce, calendar_warning, owe_at_once, tell_calendar, tell_missed, tell_stopped
from bot.services.campaign.trial import test_send, try_out

__all__ = [
    "Recalled",
    "affordable",
    "announce",
    "author_of",
    "calendar_warning",
    "change",
    "confirm_push",
    "create",
    "demo_campaigns",
    "draft_push",
    "fire_due",
    "listed",
    "owe_at_once",
    "own",
    "pause",
    "pause_all",
    "preview",
    "reach",
    "recall",
    "resume",
    "resume_all",
    "skip_date",
    "start",
    "stop",
    "tell_calendar",
    "tell_missed",
    "tell_stopped",
    "test_send",
    "try_out",
]
