"""Delivery: whether, when and where what is owed is said, what it costs, how far it has come. The speaking itself is `bot/jobs/courier.py`."""

from bot.services.delivery.count import Said, Used, count, grant_cards
from bot.services.delivery.plan import Doors, Plan, Ready, plan
from bot.services.delivery.progress import NO_RECALL, Cost, Progress, cost, progress, recalled
from bot.services.delivery.send import Begun, Group, Till, alarm, begin, grouped, recovered, result, settle

__all__ = [
    "NO_RECALL",
    "Begun",
    "Cost",
    "Doors",
    "Group",
    "Plan",
    "Progress",
    "Ready",
    "Said",
    "Till",
    "Used",
    "alarm",
    "begin",
    "cost",
    "count",
    "grant_cards",
    "grouped",
    "plan",
    "progress",
    "recalled",
    "recovered",
    "result",
    "settle",
]
