"""Campaigns: planned in `plan`, brought about in `fire`; what a demo shows in `demo`."""

from bot.services.campaign.demo import demo_campaigns
from bot.services.campaign.fire import announce, calendar_warning, fire_due, tell_calendar, tell_missed
from bot.services.campaign.plan import (
    Recalled,
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
    test_send,
)
from bot.services.campaign.push import confirm_push, draft_push

__all__ = [
    "Recalled",
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
    "test_send",
]
