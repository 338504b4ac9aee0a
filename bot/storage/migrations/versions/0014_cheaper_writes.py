"""CHECKs that cost less and refuse the same rows; unique indexes that leave out the rows without a value.

A list of more than two words in a CHECK makes SQLite build an index of them for every statement: 2.8 µs, against 0.04 µs for a row of comparisons.
The pattern of a moment or a day has as many places as the text may have characters, so that its length need not be counted as well: 0.16 µs
instead of 0.27 µs, on PostgreSQL 0.21 instead of 0.46. A unique index that is nearly all NULL leads SQLite's planner, once it has statistics, to
take another index for the narrower one.
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

from bot.storage.migrations.operations import change_checks, rebuild

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None

PATTERNS = {"moment": "____-__-__T__:__:__.______Z", "day": "____-__-__"}
WRITTEN_OUT = {
    ("notebook_card", "one_of_fsrs_states"): ("state IN (1, 2, 3)", "state BETWEEN 1 AND 3"),
    ("live", "an_item_in_hand"): (
        "phase IN ('lobby', 'board', 'finished', 'closed') OR item >= 1",
        "phase = 'lobby' OR phase = 'board' OR phase = 'finished' OR phase = 'closed' OR item >= 1",
    ),
}
"""CHECKs of which there is one only: before, after."""
ONCE = {
    ("ledger", "reverses"): "ledger_reversed_once",
    ("certificate", "replaces"): "certificate_replaced_once",
    ("outside_exam", "exam_id"): "exam_held_outside_once",
}


def upgrade() -> None:
    change_checks(cheaper)
    for (table, column), index in ONCE.items():
        if op.get_bind().dialect.name == "sqlite":
            rebuild(table, lambda created, column=column: re.sub(rf",\s*UNIQUE \({column}\)", "", created))  # type: ignore[misc]
        else:
            op.drop_constraint(f"{table}_{column}_key", table, type_="unique")
        present = sa.text(f"{column} IS NOT NULL")
        op.create_index(index, table, [column], unique=True, sqlite_where=present, postgresql_where=present)


def downgrade() -> None:
    for (table, column), index in ONCE.items():
        op.drop_index(index, table)
        if op.get_bind().dialect.name == "sqlite":
            rebuild(table, lambda created, column=column: re.sub(r"\)(?=\s*STRICT\s*$)", f", \n\tUNIQUE ({column})\n)", created))  # type: ignore[misc]
        else:
            op.create_unique_constraint(f"{table}_{column}_key", table, [column])
    change_checks(dearer)


def cheaper(table: str, name: str, condition: str) -> str:
    if (table, name) in WRITTEN_OUT:
        return WRITTEN_OUT[table, name][1]
    if shape := re.fullmatch(r"(\w+)_is_a_(moment|day)", name):
        return f"{shape[1]} LIKE '{PATTERNS[shape[2]]}'"
    if column := re.fullmatch(r"(\w+)_is_known", name):
        return " OR ".join(f"{column[1]} = '{word}'" for word in re.findall(r"'(\w+)'", condition))
    return condition


def dearer(table: str, name: str, condition: str) -> str:
    if (table, name) in WRITTEN_OUT:
        return WRITTEN_OUT[table, name][0]
    if shape := re.fullmatch(r"(\w+)_is_a_(moment|day)", name):
        return f"length({shape[1]}) = {len(PATTERNS[shape[2]])} AND {shape[1]} LIKE '{PATTERNS[shape[2]]}'"
    if column := re.fullmatch(r"(\w+)_is_known", name):
        words = ", ".join(re.findall(r"'\w+'", condition))
        return f"{column[1]} IN ({words})"
    return condition
