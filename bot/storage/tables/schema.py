"""The tables of every noun, imported once; migrations are checked against `metadata`."""

from __future__ import annotations

from sqlmodel import SQLModel

from bot.storage.tables import activity, campaign, certificate, contest, delivery, exam, grading, hours, library, people, study, system

MODULES = (people, library, study, exam, contest, grading, hours, campaign, delivery, activity, certificate, system)
metadata = SQLModel.metadata
