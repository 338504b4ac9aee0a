"""The registry of reports, in the order in which they are listed. A new report is a function under `@report` in a module named here."""

from __future__ import annotations

from bot.storage.reports import activities, exam_analysis, exam_results, forecast, hours, scope
from bot.storage.reports.scope import ReportKind

MODULES = (hours, forecast, exam_results, exam_analysis, activities)
_ORDER = {module.__name__: place for place, module in enumerate(MODULES)}

REPORTS: dict[str, ReportKind] = dict(sorted(scope.REGISTERED.items(), key=lambda entry: _ORDER[entry[1].run.__module__]))
"""By name. KeyError at import for a report whose module is not listed."""
