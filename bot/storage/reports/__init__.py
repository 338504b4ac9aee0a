"""Reports: figures from rows. A new one is a function under `@report` in a module named here."""

from bot.storage.reports import clauses, compliance, contests, duties, evidence, forms, items, members, record, sittings, warning
from bot.storage.reports.base import REPORTS, Report, report, scope_of

__all__ = [
    "REPORTS",
    "Report",
    "clauses",
    "compliance",
    "contests",
    "duties",
    "evidence",
    "forms",
    "items",
    "members",
    "record",
    "report",
    "scope_of",
    "sittings",
    "warning",
]
