"""All tables: the modules of every noun, once; `metadata` is what the migrations are checked against."""

from __future__ import annotations

from sqlmodel import SQLModel

from bot.storage.tables import activity, campaign, certificate, contest, delivery, exam, grading, hours, library, people, study, system

MODULES = (people, library, study, exam, contest, grading, hours, campaign, delivery, activity, certificate, system)
metadata = SQLModel.metadata
