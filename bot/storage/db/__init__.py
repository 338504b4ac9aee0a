"""The database: engines that keep the promises of the house, the desk, and the writers behind it."""

from bot.storage.db.desk import Desk
from bot.storage.db.engine import DRIVER_ERRORS, is_sqlite, open_engine, ping
from bot.storage.db.writer import BATCH, Busy, Gauges, Prelock, Stopped, Work

__all__ = ["BATCH", "DRIVER_ERRORS", "Busy", "Desk", "Gauges", "Prelock", "Stopped", "Work", "is_sqlite", "open_engine", "ping"]
