"""The schema of version 0.2.0, as one step: the twelve steps before it are gone, and a database that stands at their last one goes on from here.

Below is SQL that both databases read, with a few words that are spelled out when it is run (`ddl`): KEY, MOMENT, DAY, FLAG, WORDS, and what only
SQLite has behind a table. It stays as it was released; `bot/storage/tables` is what holds today.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from alembic import op

revision = "0012"
down_revision = None
branch_labels = None
depends_on = None

KEPT = {
    "ledger": "the ledger is put right by reversal only",
    "audit": "the audit is never changed",
    "answer": "a recorded answer stands",
    "question_version": "a version that was shown stays as it was",
    "confirmation": "a confirmation stands",
    "uncredited": "a refusal keeps its reason",
    "seal": "a seal is never moved",
    "remark": "a new mark stands beside the old one",
    "ripple": "what a correction changed stays as it was",
    "outside_result": "a result from elsewhere stands as it came",
    "live_decision": "a decision stands",
}
"""Tables whose rows are never changed and never deleted, and what the database says to whoever tries."""
CONTENT = "id, number, code, person_id, kind, source_kind, source_id, body, issued_at, issued_by, replaces"
CERTIFICATE = {
    "stays": ("DELETE", "", "a certificate stays"),
    "keeps_its_words": (f"UPDATE OF {CONTENT}", "", "a certificate keeps its words"),
    "is_never_valid_again": ("UPDATE", "OLD.state = 'replaced' OR NEW.state = 'valid'", "a certificate is never made valid again"),
}
"""A certificate may be revoked or replaced, and nothing else: the trigger's name, the act, when, why."""
RULES = {
    "MOMENT": "CONSTRAINT {0}_is_a_moment CHECK (length({0}) = 27 AND {0} LIKE '____-__-__T__:__:__.______Z')",
    "DAY": "CONSTRAINT {0}_is_a_day CHECK (length({0}) = 10 AND {0} LIKE '____-__-__')",
    "FLAG": "CONSTRAINT {0}_is_a_flag CHECK ({0} IN (0, 1))",
}
REFUSE_CHANGE = (
    "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$"
)


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in (*ddl(sqlite), *triggers(sqlite)):
        op.execute(statement)


def downgrade() -> None:
    # A table takes its indexes and triggers with it.
    for table in reversed(re.findall(r"CREATE TABLE (\w+)", TABLES)):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION refuse_change()")


def ddl(sqlite: bool) -> Iterator[str]:
    """The statements that make tables and indexes, with the shorthand spelled out for one database."""
    written = re.sub(r"(?<!PRIMARY )KEY,", "INTEGER NOT NULL PRIMARY KEY," if sqlite else "SERIAL PRIMARY KEY,", TABLES)
    written = re.sub(r"\b(MOMENT|DAY|FLAG) \(([^)]*)\)", _spelled_out, written)
    written = re.sub(r"\bWORDS (\w+) (\([^)]*\))", r"CONSTRAINT \1_is_known CHECK (\1 IN \2)", written)
    # A rule a line, as SQLAlchemy writes them and reads them back.
    written = re.sub(r", (?=CONSTRAINT|UNIQUE)", ",\n    ", written)
    if not sqlite:
        written = re.sub(r"\) STRICT.*;", ");", written).replace(" REAL ", " DOUBLE PRECISION ")
    return iter(written.strip().removesuffix(";").split(";\n"))


def _spelled_out(shorthand: re.Match[str]) -> str:
    return ", ".join(RULES[shorthand[1]].format(column) for column in shorthand[2].split(", "))


def triggers(sqlite: bool) -> Iterator[str]:
    if not sqlite:
        yield REFUSE_CHANGE
    for table, why in KEPT.items():
        if sqlite:
            for act in ("UPDATE", "DELETE"):
                yield f"CREATE TRIGGER {table}_refuses_{act.lower()} BEFORE {act} ON {table} BEGIN SELECT RAISE(ABORT, '{why}'); END"
        else:
            yield (
                f"CREATE TRIGGER {table}_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('{why}')"
            )
    for name, (act, when, why) in CERTIFICATE.items():
        condition = f" WHEN ({when})" if when else ""
        if sqlite:
            yield f"CREATE TRIGGER certificate_{name} BEFORE {act} ON certificate{condition} BEGIN SELECT RAISE(ABORT, '{why}'); END"
        else:
            acts = f"{act} OR TRUNCATE" if act == "DELETE" else act
            each = f"FOR EACH {'ROW' if when else 'STATEMENT'}{condition}"
            yield f"CREATE TRIGGER certificate_{name} BEFORE {acts} ON certificate {each} EXECUTE FUNCTION refuse_change('{why}')"


TABLES = """
CREATE TABLE audit (
    id KEY, at TEXT NOT NULL, actor TEXT NOT NULL, via TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    MOMENT (at), WORDS outcome ('done', 'refused', 'failed')
) STRICT;
CREATE INDEX audit_in_time ON audit (at);
CREATE TABLE bind_guard (
    channel TEXT NOT NULL, "user" TEXT NOT NULL, fails INTEGER NOT NULL, wait_until TEXT, heard TEXT NOT NULL, PRIMARY KEY (channel, "user"),
    MOMENT (wait_until), CONSTRAINT fails_count_up CHECK (fails >= 0)
) STRICT;
CREATE TABLE person (
    id KEY, staff_no TEXT NOT NULL, name TEXT NOT NULL, tier TEXT NOT NULL, joined_on TEXT, left_on TEXT, recorded_at TEXT NOT NULL,
    MOMENT (recorded_at), DAY (joined_on, left_on),
    CONSTRAINT leaves_after_joining CHECK (left_on IS NULL OR joined_on IS NULL OR left_on >= joined_on),
    CONSTRAINT name_fits CHECK (length(name) BETWEEN 1 AND 60), CONSTRAINT staff_no_fits CHECK (length(staff_no) BETWEEN 1 AND 40),
    UNIQUE (staff_no)
) STRICT;
CREATE TABLE platform_token (
    name TEXT NOT NULL PRIMARY KEY, sealed TEXT NOT NULL, expires_at TEXT, holder TEXT NOT NULL, lease_until TEXT,
    MOMENT (expires_at, lease_until)
) STRICT;
CREATE TABLE question_version (
    id KEY, question TEXT NOT NULL, version INTEGER NOT NULL, bank TEXT NOT NULL, digest TEXT NOT NULL, body TEXT NOT NULL, loaded_at TEXT NOT NULL,
    MOMENT (loaded_at), CONSTRAINT digest_is_sha256 CHECK (length(digest) = 64), CONSTRAINT versions_count_from_one CHECK (version >= 1),
    UNIQUE (question, version)
) STRICT;
CREATE TABLE rule (
    id KEY, line TEXT NOT NULL, version INTEGER NOT NULL, valid_from TEXT NOT NULL, digest TEXT NOT NULL, body TEXT NOT NULL,
    loaded_at TEXT NOT NULL,
    MOMENT (loaded_at), DAY (valid_from), CONSTRAINT versions_count_from_one CHECK (version >= 1), UNIQUE (line, version)
) STRICT;
CREATE TABLE tally (
    day TEXT NOT NULL, what TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (day, what),
    DAY (day), CONSTRAINT counts_up CHECK (n >= 0)
) STRICT;
CREATE TABLE unit (
    id KEY, parent_id INTEGER REFERENCES unit (id), name TEXT NOT NULL, path TEXT NOT NULL,
    CONSTRAINT name_fits CHECK (length(name) BETWEEN 1 AND 80), CONSTRAINT not_its_own_parent CHECK (parent_id IS NULL OR parent_id <> id),
    UNIQUE (path)
) STRICT;
CREATE INDEX ix_unit_parent_id ON unit (parent_id);
CREATE TABLE account (
    id KEY, channel TEXT NOT NULL, "user" TEXT NOT NULL, person_id INTEGER NOT NULL REFERENCES person (id), bound_at TEXT NOT NULL,
    bound_by TEXT NOT NULL,
    MOMENT (bound_at), WORDS channel ('wecom', 'wechat', 'dingtalk', 'zwding', 'local'),
    CONSTRAINT user_fits CHECK (length("user") BETWEEN 1 AND 200), UNIQUE (channel, person_id), UNIQUE (channel, "user")
) STRICT;
CREATE INDEX ix_account_person_id ON account (person_id);
CREATE TABLE bind_code (
    person_id INTEGER NOT NULL PRIMARY KEY REFERENCES person (id), salt TEXT NOT NULL, hash TEXT NOT NULL, made_at TEXT NOT NULL,
    expires_at TEXT NOT NULL, tries INTEGER NOT NULL, used_at TEXT,
    MOMENT (expires_at, made_at, used_at), CONSTRAINT tries_are_few CHECK (tries BETWEEN 0 AND 5)
) STRICT;
CREATE TABLE day_total (
    person_id INTEGER NOT NULL REFERENCES person (id), day TEXT NOT NULL, category TEXT NOT NULL, seconds INTEGER NOT NULL,
    PRIMARY KEY (person_id, day, category),
    DAY (day), WORDS category ('online', 'practice', 'exam', 'contest', 'collective', 'external'),
    CONSTRAINT totals_are_not_negative CHECK (seconds >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE focus (
    person_id INTEGER NOT NULL PRIMARY KEY REFERENCES person (id), kind TEXT NOT NULL, ref INTEGER NOT NULL, since TEXT NOT NULL,
    MOMENT (since), WORDS kind ('reading', 'live', 'match', 'exam', 'sitting')
) STRICT;
CREATE TABLE inbox (
    channel TEXT NOT NULL, app TEXT NOT NULL, sender TEXT NOT NULL, message_id TEXT NOT NULL, person_id INTEGER NOT NULL REFERENCES person (id),
    arrived_at TEXT NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (channel, app, sender, message_id),
    MOMENT (arrived_at), CONSTRAINT message_id_fits CHECK (length(message_id) BETWEEN 1 AND 300)
) STRICT;
CREATE INDEX ix_inbox_arrived_at ON inbox (arrived_at);
CREATE TABLE ledger (
    id KEY, person_id INTEGER NOT NULL REFERENCES person (id), category TEXT NOT NULL, credit_seconds INTEGER NOT NULL, day TEXT NOT NULL,
    law TEXT NOT NULL, required INTEGER NOT NULL, source_kind TEXT NOT NULL, source_id TEXT NOT NULL, rule TEXT NOT NULL,
    rule_version INTEGER NOT NULL, recorded_at TEXT NOT NULL, recorded_by TEXT NOT NULL, reverses INTEGER REFERENCES ledger (id),
    MOMENT (recorded_at), DAY (day), FLAG (required), WORDS category ('online', 'practice', 'exam', 'contest', 'collective', 'external'),
    CONSTRAINT a_reversal_takes_back CHECK ((reverses IS NULL AND credit_seconds > 0) OR (reverses IS NOT NULL AND credit_seconds < 0)),
    CONSTRAINT credit_is_plausible CHECK (abs(credit_seconds) <= 604800),
    CONSTRAINT does_not_reverse_itself CHECK (reverses IS NULL OR reverses <> id), UNIQUE (reverses)
) STRICT;
CREATE INDEX ledger_in_time ON ledger (recorded_at);
CREATE INDEX ledger_of_person ON ledger (person_id, day);
CREATE UNIQUE INDEX one_source_earns_once ON ledger (person_id, source_kind, source_id) WHERE reverses IS NULL;
CREATE TABLE post (
    id KEY, person_id INTEGER NOT NULL REFERENCES person (id), unit_id INTEGER NOT NULL REFERENCES unit (id), since TEXT NOT NULL, until TEXT,
    DAY (since, until), CONSTRAINT ends_after_it_begins CHECK (until IS NULL OR until >= since), UNIQUE (person_id, unit_id, since)
) STRICT;
CREATE INDEX post_of_unit ON post (unit_id, until);
CREATE TABLE question_state (
    question TEXT NOT NULL PRIMARY KEY, version_id INTEGER NOT NULL REFERENCES question_version (id), state TEXT NOT NULL, reason TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    MOMENT (changed_at), WORDS state ('active', 'withdrawn')
) STRICT;
CREATE TABLE reading (
    id KEY, person_id INTEGER NOT NULL REFERENCES person (id), lesson TEXT NOT NULL, digest TEXT NOT NULL, page INTEGER NOT NULL,
    state TEXT NOT NULL, opened_at TEXT NOT NULL, closed_at TEXT,
    MOMENT (closed_at, opened_at), CONSTRAINT closed_when_over CHECK ((state IN ('done', 'left')) = (closed_at IS NOT NULL)),
    WORDS state ('open', 'asking', 'done', 'left'), CONSTRAINT pages_count_from_one CHECK (page >= 1)
) STRICT;
CREATE INDEX reading_of_person ON reading (person_id, state);
CREATE UNIQUE INDEX reading_open_once ON reading (person_id, lesson) WHERE state IN ('open', 'asking');
CREATE TABLE role (
    id KEY, person_id INTEGER NOT NULL REFERENCES person (id), role TEXT NOT NULL, unit_id INTEGER REFERENCES unit (id),
    WORDS role ('admin', 'supervisor'), UNIQUE (person_id, role)
) STRICT;
CREATE TABLE sitting (
    id KEY, person_id INTEGER NOT NULL REFERENCES person (id), kind TEXT NOT NULL, scope TEXT NOT NULL, size INTEGER NOT NULL,
    next INTEGER NOT NULL, state TEXT NOT NULL, opened_at TEXT NOT NULL, closed_at TEXT,
    MOMENT (closed_at, opened_at), CONSTRAINT closed_when_over CHECK ((state = 'open') = (closed_at IS NULL)),
    WORDS kind ('live', 'match', 'exam', 'contest', 'daily', 'lesson', 'mock', 'practice', 'mistakes', 'challenge'),
    WORDS state ('open', 'done', 'left'), CONSTRAINT next_is_inside CHECK (size >= 1 AND next BETWEEN 1 AND size + 1)
) STRICT;
CREATE INDEX sitting_of_person ON sitting (person_id, kind, scope);
CREATE UNIQUE INDEX sitting_open_once ON sitting (person_id, kind, scope) WHERE state = 'open';
CREATE TABLE uncredited (
    id KEY, person_id INTEGER NOT NULL REFERENCES person (id), source_kind TEXT NOT NULL, source_id TEXT NOT NULL, seconds INTEGER NOT NULL,
    day TEXT NOT NULL, rule TEXT NOT NULL, rule_version INTEGER NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL,
    MOMENT (at), DAY (day), CONSTRAINT refused_is_not_negative CHECK (seconds >= 0)
) STRICT;
CREATE INDEX uncredited_of_person ON uncredited (person_id, day);
CREATE TABLE year_total (
    person_id INTEGER NOT NULL REFERENCES person (id), year INTEGER NOT NULL, category TEXT NOT NULL, seconds INTEGER NOT NULL,
    items INTEGER NOT NULL, PRIMARY KEY (person_id, year, category),
    WORDS category ('online', 'practice', 'exam', 'contest', 'collective', 'external'),
    CONSTRAINT totals_are_not_negative CHECK (seconds >= 0 AND items >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE answer (
    id KEY, person_id INTEGER NOT NULL REFERENCES person (id), sitting_id INTEGER NOT NULL REFERENCES sitting (id), n INTEGER NOT NULL,
    question TEXT NOT NULL, version_id INTEGER NOT NULL REFERENCES question_version (id), choice TEXT NOT NULL, correct INTEGER NOT NULL,
    earned INTEGER NOT NULL, provisional INTEGER NOT NULL, channel TEXT NOT NULL, message_id TEXT NOT NULL, arrived_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL, late INTEGER NOT NULL,
    MOMENT (arrived_at, recorded_at), FLAG (correct, late, provisional), CONSTRAINT correct_earns_all CHECK (correct = 0 OR earned = 1000),
    CONSTRAINT earned_is_a_share CHECK (earned BETWEEN 0 AND 1000), UNIQUE (sitting_id, n)
) STRICT;
CREATE INDEX answer_in_time ON answer (recorded_at);
CREATE INDEX answer_of_person ON answer (person_id, question);
CREATE INDEX answer_provisional ON answer (id) WHERE provisional = 1;
CREATE TABLE page_view (
    id KEY, reading_id INTEGER NOT NULL REFERENCES reading (id), page INTEGER NOT NULL, sent_at TEXT NOT NULL, asked_at TEXT, seen INTEGER,
    credited INTEGER, reason TEXT NOT NULL,
    MOMENT (asked_at, sent_at), CONSTRAINT seen_when_asked CHECK ((asked_at IS NULL) = (seen IS NULL)),
    CONSTRAINT never_more_than_seen CHECK (seen IS NULL OR (seen >= 0 AND credited BETWEEN 0 AND seen))
) STRICT;
CREATE INDEX page_view_of_reading ON page_view (reading_id, page);
CREATE TABLE seal (
    seq KEY, entry_id INTEGER NOT NULL REFERENCES ledger (id), algorithm TEXT NOT NULL, hash TEXT NOT NULL, sealed_at TEXT NOT NULL,
    MOMENT (sealed_at), CONSTRAINT places_count_from_one CHECK (seq >= 1), UNIQUE (entry_id)
) STRICT;
CREATE TABLE sitting_item (
    sitting_id INTEGER NOT NULL REFERENCES sitting (id), n INTEGER NOT NULL, question TEXT NOT NULL,
    version_id INTEGER NOT NULL REFERENCES question_version (id), points INTEGER DEFAULT '0' NOT NULL, shuffle TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (sitting_id, n),
    CONSTRAINT items_count_from_one CHECK (n >= 1), CONSTRAINT points_are_not_negative CHECK (points >= 0),
    CONSTRAINT shuffle_fits CHECK (length(shuffle) <= 8)
) STRICT, WITHOUT ROWID;
CREATE TABLE confirmation (
    answer_id INTEGER NOT NULL PRIMARY KEY REFERENCES answer (id), earned INTEGER NOT NULL, confirmed_by INTEGER NOT NULL REFERENCES person (id),
    confirmed_at TEXT NOT NULL,
    MOMENT (confirmed_at), CONSTRAINT earned_is_a_share CHECK (earned BETWEEN 0 AND 1000)
) STRICT;
CREATE TABLE report (
    id KEY, person_id INTEGER NOT NULL REFERENCES person (id), version_id INTEGER NOT NULL REFERENCES question_version (id),
    answer_id INTEGER REFERENCES answer (id), said TEXT NOT NULL, reported_at TEXT NOT NULL, answered_by INTEGER REFERENCES person (id),
    answered_at TEXT, answered TEXT NOT NULL, seen_at TEXT,
    MOMENT (answered_at, reported_at, seen_at), CONSTRAINT answered_by_somebody CHECK ((answered_at IS NULL) = (answered_by IS NULL)),
    CONSTRAINT said_fits CHECK (length(said) <= 500)
) STRICT;
CREATE INDEX ix_report_person_id ON report (person_id);
CREATE TABLE budget (
    name TEXT NOT NULL, began TEXT NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (name, began),
    MOMENT (began), CONSTRAINT used_counts_up CHECK (used >= 0)
) STRICT;
CREATE TABLE campaign (
    id KEY, name TEXT NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL, rhythm TEXT NOT NULL, audience TEXT NOT NULL, delivery TEXT NOT NULL,
    missed TEXT NOT NULL, clause TEXT NOT NULL, state TEXT NOT NULL, version INTEGER NOT NULL, created_by TEXT NOT NULL, created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL, planned_until TEXT,
    MOMENT (changed_at, created_at, planned_until), WORDS kind ('lesson', 'daily', 'series', 'notice', 'poll', 'reminder', 'invitation', 'digest'),
    WORDS missed ('send', 'mark'), WORDS state ('draft', 'running', 'paused', 'stopped', 'done'),
    CONSTRAINT name_fits CHECK (length(name) BETWEEN 1 AND 80)
) STRICT;
CREATE TABLE switch (
    name TEXT NOT NULL PRIMARY KEY, is_on INTEGER NOT NULL, turned_by TEXT NOT NULL, turned_at TEXT NOT NULL, reason TEXT NOT NULL,
    MOMENT (turned_at), FLAG (is_on)
) STRICT;
CREATE TABLE absence (
    id KEY, person_id INTEGER NOT NULL REFERENCES person (id), kind TEXT NOT NULL, since TEXT NOT NULL, until TEXT, recorded_by TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    MOMENT (recorded_at), DAY (since, until), WORDS kind ('leave', 'secondment'),
    CONSTRAINT ends_after_it_begins CHECK (until IS NULL OR until >= since)
) STRICT;
CREATE INDEX ix_absence_person_id ON absence (person_id);
CREATE TABLE duty (
    id KEY, year INTEGER NOT NULL, law TEXT NOT NULL, unit_id INTEGER NOT NULL REFERENCES unit (id), form TEXT NOT NULL, count INTEGER NOT NULL,
    deadline TEXT NOT NULL, liaison_id INTEGER REFERENCES person (id), clause TEXT NOT NULL, recorded_at TEXT NOT NULL,
    MOMENT (recorded_at), DAY (deadline), CONSTRAINT count_is_positive CHECK (count >= 1), UNIQUE (year, unit_id, law, form)
) STRICT;
CREATE TABLE occurrence (
    id KEY, campaign_id INTEGER NOT NULL REFERENCES campaign (id), due TEXT NOT NULL, fired_at TEXT NOT NULL, state TEXT NOT NULL,
    part INTEGER NOT NULL, content TEXT NOT NULL, invited INTEGER NOT NULL, excluded INTEGER NOT NULL, note TEXT NOT NULL,
    MOMENT (due, fired_at), WORDS state ('fired', 'missed', 'void'), UNIQUE (campaign_id, due)
) STRICT;
CREATE TABLE preference (
    person_id INTEGER NOT NULL PRIMARY KEY REFERENCES person (id), push_at TEXT, quiet_from TEXT, quiet_to TEXT, digest INTEGER NOT NULL,
    channel TEXT NOT NULL,
    FLAG (digest), CONSTRAINT push_at_is_a_time CHECK (push_at IS NULL OR push_at LIKE '__:__'),
    CONSTRAINT quiet_from_is_a_time CHECK (quiet_from IS NULL OR quiet_from LIKE '__:__'),
    CONSTRAINT quiet_to_is_a_time CHECK (quiet_to IS NULL OR quiet_to LIKE '__:__')
) STRICT;
CREATE TABLE tag (
    person_id INTEGER NOT NULL REFERENCES person (id), tag TEXT NOT NULL, PRIMARY KEY (person_id, tag),
    CONSTRAINT tag_fits CHECK (length(tag) BETWEEN 1 AND 40)
) STRICT;
CREATE TABLE delivery (
    id KEY, campaign_id INTEGER NOT NULL REFERENCES campaign (id), occurrence_id INTEGER NOT NULL REFERENCES occurrence (id),
    person_id INTEGER NOT NULL REFERENCES person (id), state TEXT NOT NULL, channel TEXT NOT NULL, tries INTEGER NOT NULL,
    created_at TEXT NOT NULL, not_before TEXT NOT NULL, lease_until TEXT, holder TEXT NOT NULL, sent_at TEXT, read_at TEXT,
    platform_id TEXT NOT NULL, error TEXT NOT NULL,
    MOMENT (created_at, lease_until, not_before, read_at, sent_at),
    CONSTRAINT a_lease_while_sending CHECK ((state = 'sending') = (lease_until IS NOT NULL)),
    WORDS state ('queued', 'sending', 'sent', 'failed', 'unknown', 'skipped'), CONSTRAINT tries_count_up CHECK (tries >= 0),
    UNIQUE (occurrence_id, person_id)
) STRICT;
CREATE INDEX delivery_of_person ON delivery (person_id, state);
CREATE INDEX delivery_queued ON delivery (not_before) WHERE state = 'queued';
CREATE INDEX delivery_sending ON delivery (lease_until) WHERE state = 'sending';
CREATE TABLE planned (
    id KEY, duty_id INTEGER NOT NULL REFERENCES duty (id), n INTEGER NOT NULL, name TEXT NOT NULL, due_on TEXT NOT NULL, state TEXT NOT NULL,
    done_on TEXT, campaign_id INTEGER REFERENCES campaign (id), note TEXT NOT NULL,
    DAY (done_on, due_on), CONSTRAINT done_on_a_day CHECK ((state = 'done') = (done_on IS NOT NULL)), WORDS state ('planned', 'done', 'cancelled')
) STRICT;
CREATE INDEX ix_planned_duty_id ON planned (duty_id);
CREATE TABLE vote (
    occurrence_id INTEGER NOT NULL REFERENCES occurrence (id), person_id INTEGER NOT NULL REFERENCES person (id), choice TEXT NOT NULL,
    voted_at TEXT NOT NULL, PRIMARY KEY (occurrence_id, person_id),
    MOMENT (voted_at)
) STRICT;
CREATE TABLE notebook_card (
    person_id INTEGER NOT NULL REFERENCES person (id), question TEXT NOT NULL, entered_at TEXT NOT NULL, right_in_a_row INTEGER NOT NULL,
    left_at TEXT, state INTEGER NOT NULL, step INTEGER, stability REAL NOT NULL, difficulty REAL NOT NULL, due_at TEXT NOT NULL,
    reviewed_at TEXT NOT NULL, PRIMARY KEY (person_id, question),
    MOMENT (entered_at, left_at, due_at, reviewed_at), CONSTRAINT right_counts_up CHECK (right_in_a_row >= 0),
    CONSTRAINT one_of_fsrs_states CHECK (state IN (1, 2, 3)),
    CONSTRAINT steps_while_learning CHECK ((state = 2) = (step IS NULL) AND (step IS NULL OR step >= 0)),
    CONSTRAINT stability_is_positive CHECK (stability > 0), CONSTRAINT difficulty_is_in_range CHECK (difficulty BETWEEN 1 AND 10)
) STRICT, WITHOUT ROWID;
CREATE TABLE exam_goal (
    person_id INTEGER NOT NULL PRIMARY KEY REFERENCES person (id), day TEXT, minutes INTEGER NOT NULL, target INTEGER NOT NULL,
    DAY (day), CONSTRAINT minutes_of_a_day CHECK (minutes BETWEEN 1 AND 60), CONSTRAINT target_is_a_percentage CHECK (target BETWEEN 50 AND 99)
) STRICT;
CREATE TABLE exam (
    id KEY, name TEXT NOT NULL, state TEXT NOT NULL, blueprint TEXT NOT NULL, audience TEXT NOT NULL, gate TEXT NOT NULL, opens_at TEXT NOT NULL,
    closes_at TEXT NOT NULL, minutes INTEGER NOT NULL, late_minutes INTEGER, attempts INTEGER NOT NULL, pass_line INTEGER NOT NULL,
    total INTEGER NOT NULL, results TEXT NOT NULL, grace_seconds INTEGER NOT NULL, makeup_of INTEGER REFERENCES exam (id), cap INTEGER,
    clause TEXT NOT NULL, campaign_id INTEGER REFERENCES campaign (id), created_by TEXT NOT NULL, created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL, closed_at TEXT, released_at TEXT, frozen_at TEXT,
    MOMENT (opens_at, closes_at, created_at, changed_at, closed_at, released_at, frozen_at),
    WORDS state ('draft', 'published', 'closed', 'released', 'cancelled'), WORDS results ('at_once', 'after_close', 'after_release'),
    CONSTRAINT name_fits CHECK (length(name) BETWEEN 1 AND 80), CONSTRAINT minutes_are_plausible CHECK (minutes BETWEEN 1 AND 1440),
    CONSTRAINT late_minutes_are_not_negative CHECK (late_minutes >= 0), CONSTRAINT attempts_are_few CHECK (attempts BETWEEN 1 AND 20),
    CONSTRAINT pass_line_is_inside CHECK (pass_line BETWEEN 1 AND total), CONSTRAINT cap_is_inside CHECK (cap BETWEEN 1 AND total),
    CONSTRAINT grace_is_short CHECK (grace_seconds BETWEEN 0 AND 60), CONSTRAINT not_its_own_makeup CHECK (makeup_of <> id),
    CONSTRAINT closed_when_over CHECK ((state IN ('closed', 'released')) = (closed_at IS NOT NULL)),
    CONSTRAINT released_when_told CHECK ((state = 'released') = (released_at IS NOT NULL)), CONSTRAINT window_is_open CHECK (closes_at > opens_at)
) STRICT;
CREATE UNIQUE INDEX exam_makeup_once ON exam (makeup_of) WHERE makeup_of IS NOT NULL AND state <> 'cancelled';
CREATE TABLE attempt (
    sitting_id INTEGER NOT NULL PRIMARY KEY REFERENCES sitting (id), exam_id INTEGER NOT NULL REFERENCES exam (id),
    person_id INTEGER NOT NULL REFERENCES person (id), n INTEGER NOT NULL, started_at TEXT NOT NULL, deadline TEXT NOT NULL, state TEXT NOT NULL,
    closed_at TEXT, closed_by TEXT, score INTEGER, passed INTEGER, difficulty INTEGER NOT NULL, told_at TEXT,
    MOMENT (started_at, deadline, closed_at, told_at), FLAG (passed), WORDS state ('open', 'closed'), WORDS closed_by ('self', 'clock', 'staff'),
    CONSTRAINT attempts_count_from_one CHECK (n >= 1),
    CONSTRAINT closed_by_somebody CHECK ((state = 'open') = (closed_at IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)),
    CONSTRAINT score_is_not_negative CHECK (score >= 0), CONSTRAINT difficulty_is_a_share CHECK (difficulty BETWEEN 0 AND 1000),
    CONSTRAINT time_is_given CHECK (deadline > started_at), UNIQUE (exam_id, person_id, n)
) STRICT;
CREATE INDEX attempt_open ON attempt (deadline) WHERE state = 'open';
CREATE INDEX attempt_of_person ON attempt (person_id, started_at);
CREATE INDEX attempt_untold ON attempt (exam_id, sitting_id) WHERE state = 'closed' AND told_at IS NULL;
CREATE TABLE extension (
    id KEY, sitting_id INTEGER NOT NULL REFERENCES attempt (sitting_id), kind TEXT NOT NULL, minutes INTEGER NOT NULL, reason TEXT NOT NULL,
    asked_by TEXT NOT NULL, asked_at TEXT NOT NULL, approved_by TEXT, approved_at TEXT,
    MOMENT (asked_at, approved_at), WORDS kind ('time', 'reopen'), CONSTRAINT minutes_are_plausible CHECK (minutes BETWEEN 1 AND 600),
    CONSTRAINT reason_fits CHECK (length(reason) BETWEEN 1 AND 300), CONSTRAINT two_people CHECK (asked_by <> approved_by),
    CONSTRAINT approved_by_somebody CHECK ((approved_by IS NULL) = (approved_at IS NULL))
) STRICT;
CREATE INDEX ix_extension_sitting_id ON extension (sitting_id);
CREATE TABLE link (
    id KEY, hash TEXT NOT NULL, purpose TEXT NOT NULL, ref TEXT NOT NULL, person_id INTEGER NOT NULL REFERENCES person (id), channel TEXT NOT NULL,
    "user" TEXT NOT NULL, made_at TEXT NOT NULL, expires_at TEXT NOT NULL, used_at TEXT,
    MOMENT (made_at, expires_at, used_at), CONSTRAINT hash_is_sha256 CHECK (length(hash) = 64),
    CONSTRAINT purpose_fits CHECK (length(purpose) BETWEEN 1 AND 20), CONSTRAINT ref_fits CHECK (length(ref) <= 80), UNIQUE (hash)
) STRICT;
CREATE INDEX ix_link_person_id ON link (person_id);
CREATE INDEX ix_link_expires_at ON link (expires_at);
CREATE TABLE visit (
    id KEY, link_id INTEGER NOT NULL REFERENCES link (id), hash TEXT NOT NULL, began_at TEXT NOT NULL, seen_at TEXT NOT NULL,
    expires_at TEXT NOT NULL, ended_at TEXT,
    MOMENT (began_at, seen_at, expires_at, ended_at), CONSTRAINT hash_is_sha256 CHECK (length(hash) = 64), UNIQUE (hash), UNIQUE (link_id)
) STRICT;
CREATE TABLE correction (
    id KEY, scope TEXT NOT NULL, ref INTEGER NOT NULL, question TEXT NOT NULL, version_id INTEGER NOT NULL REFERENCES question_version (id),
    way TEXT NOT NULL, keys TEXT NOT NULL, reason TEXT NOT NULL, report_id INTEGER REFERENCES report (id), state TEXT NOT NULL,
    proposed_by TEXT NOT NULL, proposed_at TEXT NOT NULL, decided_by TEXT, decided_at TEXT,
    MOMENT (decided_at, proposed_at),
    CONSTRAINT decided_by_somebody CHECK ((state = 'proposed') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)),
    CONSTRAINT keys_where_the_way_has_some CHECK ((way IN ('rekey', 'accept')) = (keys <> '')),
    CONSTRAINT reason_fits CHECK (length(reason) BETWEEN 1 AND 500), WORDS scope ('exam', 'contest'), WORDS state ('proposed', 'applied', 'dropped'),
    WORDS way ('rekey', 'accept', 'full', 'void')
) STRICT;
CREATE INDEX correction_of_scope ON correction (scope, ref);
CREATE UNIQUE INDEX one_correction_at_a_time ON correction (scope, ref, version_id) WHERE state = 'proposed';
CREATE TABLE remark (
    correction_id INTEGER NOT NULL REFERENCES correction (id), sitting_id INTEGER NOT NULL REFERENCES sitting (id), n INTEGER NOT NULL,
    answer_id INTEGER REFERENCES answer (id), earned INTEGER NOT NULL, counts INTEGER NOT NULL, marked_at TEXT NOT NULL,
    PRIMARY KEY (correction_id, sitting_id, n),
    MOMENT (marked_at), FLAG (counts), CONSTRAINT earned_is_a_share CHECK (earned BETWEEN 0 AND 1000), UNIQUE (sitting_id, n, correction_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE ripple (
    correction_id INTEGER NOT NULL REFERENCES correction (id), sitting_id INTEGER NOT NULL REFERENCES sitting (id),
    person_id INTEGER NOT NULL REFERENCES person (id), score_before INTEGER NOT NULL, score_after INTEGER NOT NULL, place_before INTEGER,
    place_after INTEGER, passed_before INTEGER, passed_after INTEGER, seconds_before INTEGER NOT NULL, seconds_after INTEGER NOT NULL,
    certificate_before TEXT NOT NULL, certificate_after TEXT NOT NULL, made_at TEXT NOT NULL, PRIMARY KEY (correction_id, sitting_id),
    MOMENT (made_at), FLAG (passed_after, passed_before), CONSTRAINT credit_is_not_negative CHECK (seconds_before >= 0 AND seconds_after >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX ripple_of_sitting ON ripple (sitting_id);
CREATE TABLE appeal (
    id KEY, person_id INTEGER NOT NULL REFERENCES person (id), sitting_id INTEGER NOT NULL REFERENCES sitting (id), said TEXT NOT NULL,
    appealed_at TEXT NOT NULL, due_on TEXT NOT NULL, granted INTEGER, answered TEXT NOT NULL, answered_by INTEGER REFERENCES person (id),
    answered_at TEXT, correction_id INTEGER REFERENCES correction (id),
    MOMENT (answered_at, appealed_at), DAY (due_on), FLAG (granted), CONSTRAINT answer_fits CHECK (length(answered) <= 500),
    CONSTRAINT answered_by_somebody CHECK ((answered_at IS NULL) = (answered_by IS NULL) AND (answered_at IS NULL) = (granted IS NULL)),
    CONSTRAINT said_fits CHECK (length(said) BETWEEN 1 AND 500)
) STRICT;
CREATE INDEX appeal_of_person ON appeal (person_id);
CREATE UNIQUE INDEX one_open_appeal ON appeal (sitting_id) WHERE answered_at IS NULL;
CREATE TABLE outside_exam (
    id KEY, name TEXT NOT NULL, held_on TEXT NOT NULL, pass_line INTEGER NOT NULL, total INTEGER NOT NULL, exam_id INTEGER REFERENCES exam (id),
    recorded_by TEXT NOT NULL, recorded_at TEXT NOT NULL,
    MOMENT (recorded_at), DAY (held_on), CONSTRAINT name_fits CHECK (length(name) BETWEEN 1 AND 80),
    CONSTRAINT pass_line_is_inside CHECK (total > 0 AND pass_line BETWEEN 1 AND total), UNIQUE (name), UNIQUE (exam_id)
) STRICT;
CREATE TABLE outside_result (
    outside_id INTEGER NOT NULL REFERENCES outside_exam (id), person_id INTEGER NOT NULL REFERENCES person (id), score INTEGER NOT NULL,
    passed INTEGER NOT NULL, file TEXT NOT NULL, "row" INTEGER NOT NULL, recorded_by TEXT NOT NULL, recorded_at TEXT NOT NULL,
    PRIMARY KEY (outside_id, person_id),
    MOMENT (recorded_at), FLAG (passed), CONSTRAINT score_is_not_negative CHECK (score >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE certificate (
    id KEY, number TEXT NOT NULL, code TEXT NOT NULL, person_id INTEGER NOT NULL REFERENCES person (id), kind TEXT NOT NULL,
    source_kind TEXT NOT NULL, source_id TEXT NOT NULL, body TEXT NOT NULL, issued_at TEXT NOT NULL, issued_by TEXT NOT NULL,
    replaces INTEGER REFERENCES certificate (id), state TEXT NOT NULL, cause TEXT, reason TEXT NOT NULL, changed_at TEXT, changed_by TEXT NOT NULL,
    MOMENT (issued_at, changed_at), WORDS kind ('exam', 'contest', 'study'), WORDS state ('valid', 'revoked', 'replaced'),
    WORDS cause ('decision', 'correction'), CONSTRAINT number_fits CHECK (length(number) BETWEEN 16 AND 20),
    CONSTRAINT code_fits CHECK (length(code) = 10), CONSTRAINT reason_fits CHECK (length(reason) <= 200),
    CONSTRAINT changed_when_it_no_longer_holds CHECK ((state = 'valid') = (changed_at IS NULL) AND (state = 'valid') = (cause IS NULL)),
    CONSTRAINT replaces_an_older_one CHECK (replaces IS NULL OR replaces < id), UNIQUE (number), UNIQUE (replaces)
) STRICT;
CREATE UNIQUE INDEX one_source_one_valid_certificate ON certificate (person_id, source_kind, source_id) WHERE state = 'valid';
CREATE INDEX certificate_of_source ON certificate (source_kind, source_id);
CREATE INDEX certificate_of_person ON certificate (person_id);
CREATE TABLE contest (
    id KEY, name TEXT NOT NULL, form TEXT NOT NULL, state TEXT NOT NULL, version INTEGER NOT NULL, rules TEXT NOT NULL, source TEXT NOT NULL,
    audience TEXT NOT NULL, clause TEXT NOT NULL, opens_at TEXT, closes_at TEXT, created_by TEXT NOT NULL, created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL, closed_at TEXT, board TEXT NOT NULL,
    MOMENT (changed_at, closed_at, closes_at, created_at, opens_at),
    CONSTRAINT a_window_has_two_ends CHECK (form <> 'windowed' OR (opens_at IS NOT NULL AND closes_at IS NOT NULL)),
    CONSTRAINT closed_when_over CHECK ((state IN ('closed', 'cancelled')) = (closed_at IS NOT NULL)),
    CONSTRAINT closes_after_it_opens CHECK (closes_at > opens_at), WORDS form ('windowed', 'live', 'onsite'),
    CONSTRAINT frozen_when_closed CHECK ((state = 'closed') = (board <> '')), CONSTRAINT name_fits CHECK (length(name) BETWEEN 1 AND 80),
    WORDS state ('draft', 'open', 'closed', 'cancelled'), CONSTRAINT versions_count_from_one CHECK (version >= 1)
) STRICT;
CREATE INDEX contest_in_state ON contest (state, closes_at);
CREATE TABLE contest_item (
    contest_id INTEGER NOT NULL REFERENCES contest (id), n INTEGER NOT NULL, question TEXT NOT NULL,
    version_id INTEGER NOT NULL REFERENCES question_version (id), points INTEGER NOT NULL, part TEXT NOT NULL, PRIMARY KEY (contest_id, n),
    CONSTRAINT items_count_from_one CHECK (n >= 1), CONSTRAINT part_fits CHECK (length(part) <= 40),
    CONSTRAINT points_are_not_negative CHECK (points >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE team (
    id KEY, contest_id INTEGER NOT NULL REFERENCES contest (id), name TEXT NOT NULL, unit_id INTEGER REFERENCES unit (id),
    CONSTRAINT name_fits CHECK (length(name) BETWEEN 1 AND 400), UNIQUE (contest_id, name)
) STRICT;
CREATE TABLE team_member (
    contest_id INTEGER NOT NULL REFERENCES contest (id), person_id INTEGER NOT NULL REFERENCES person (id),
    team_id INTEGER NOT NULL REFERENCES team (id), PRIMARY KEY (contest_id, person_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX team_member_of_team ON team_member (team_id);
CREATE TABLE participation (
    contest_id INTEGER NOT NULL REFERENCES contest (id), person_id INTEGER NOT NULL REFERENCES person (id), joined_at TEXT NOT NULL,
    unit_id INTEGER REFERENCES unit (id), strength INTEGER NOT NULL, points INTEGER NOT NULL, correct INTEGER NOT NULL, millis INTEGER NOT NULL,
    finished_at TEXT, place INTEGER, PRIMARY KEY (contest_id, person_id),
    MOMENT (finished_at, joined_at), CONSTRAINT counts_are_not_negative CHECK (correct >= 0 AND millis >= 0),
    CONSTRAINT places_count_from_one CHECK (place >= 1), CONSTRAINT strength_is_a_share CHECK (strength BETWEEN 0 AND 1000)
) STRICT, WITHOUT ROWID;
CREATE INDEX participation_of_person ON participation (person_id);
CREATE TABLE contest_set (
    sitting_id INTEGER NOT NULL PRIMARY KEY REFERENCES sitting (id), contest_id INTEGER NOT NULL REFERENCES contest (id),
    person_id INTEGER NOT NULL REFERENCES person (id), day TEXT NOT NULL, n INTEGER NOT NULL, whole INTEGER NOT NULL, points INTEGER NOT NULL,
    correct INTEGER NOT NULL, millis INTEGER NOT NULL, over_at TEXT,
    MOMENT (over_at), DAY (day), FLAG (whole), CONSTRAINT counts_are_not_negative CHECK (correct >= 0 AND millis >= 0),
    CONSTRAINT sets_count_from_one CHECK (n >= 1), UNIQUE (contest_id, person_id, day, n)
) STRICT;
CREATE TABLE duel (
    id KEY, size INTEGER NOT NULL, invited INTEGER NOT NULL, state TEXT NOT NULL, made_by INTEGER NOT NULL REFERENCES person (id),
    made_at TEXT NOT NULL, until TEXT NOT NULL, started_at TEXT, over_at TEXT,
    MOMENT (made_at, over_at, started_at, until), FLAG (invited),
    CONSTRAINT over_when_it_ended CHECK ((state IN ('over', 'off')) = (over_at IS NOT NULL)),
    CONSTRAINT started_when_it_runs CHECK (state NOT IN ('running', 'over') OR started_at IS NOT NULL),
    WORDS state ('calling', 'running', 'over', 'off'), CONSTRAINT two_to_four_play CHECK (size BETWEEN 2 AND 4)
) STRICT;
CREATE INDEX duel_in_state ON duel (state, until);
CREATE TABLE duel_player (
    duel_id INTEGER NOT NULL REFERENCES duel (id), person_id INTEGER NOT NULL REFERENCES person (id), state TEXT NOT NULL,
    sitting_id INTEGER REFERENCES sitting (id), correct INTEGER NOT NULL, millis INTEGER NOT NULL, place INTEGER, points INTEGER, owed TEXT,
    PRIMARY KEY (duel_id, person_id),
    CONSTRAINT counts_are_not_negative CHECK (correct >= 0 AND millis >= 0), WORDS owed ('invited', 'begun', 'off', 'over'),
    CONSTRAINT place_is_one_of_four CHECK (place BETWEEN 1 AND 4), CONSTRAINT points_with_a_place CHECK ((place IS NULL) = (points IS NULL)),
    WORDS state ('invited', 'ready', 'playing', 'done', 'declined')
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX duel_player_at_one ON duel_player (person_id) WHERE state IN ('ready', 'playing');
CREATE INDEX duel_player_owed ON duel_player (duel_id, person_id) WHERE owed IS NOT NULL;
CREATE TABLE live (
    contest_id INTEGER NOT NULL PRIMARY KEY REFERENCES contest (id), code TEXT NOT NULL, secret TEXT NOT NULL, phase TEXT NOT NULL,
    item INTEGER NOT NULL, paused INTEGER NOT NULL, version INTEGER NOT NULL, host_id INTEGER REFERENCES person (id), host_at TEXT,
    scheme TEXT NOT NULL, opened_at TEXT NOT NULL, changed_at TEXT NOT NULL,
    MOMENT (changed_at, host_at, opened_at), FLAG (paused), CONSTRAINT a_host_since_when CHECK ((host_id IS NULL) = (host_at IS NULL)),
    CONSTRAINT an_item_in_hand CHECK (phase IN ('lobby', 'board', 'finished', 'closed') OR item >= 1),
    CONSTRAINT code_has_six_digits CHECK (length(code) = 6), CONSTRAINT items_count_up CHECK (item >= 0),
    WORDS phase ('lobby', 'reading', 'open', 'closed', 'board', 'finished'), CONSTRAINT secret_fits CHECK (length(secret) = 12),
    CONSTRAINT versions_count_from_one CHECK (version >= 1), UNIQUE (code)
) STRICT;
CREATE INDEX live_in_phase ON live (phase);
CREATE TABLE live_item (
    contest_id INTEGER NOT NULL REFERENCES live (contest_id), n INTEGER NOT NULL, round TEXT NOT NULL, seconds INTEGER NOT NULL,
    team_id INTEGER REFERENCES team (id), holder_id INTEGER REFERENCES team (id), stake INTEGER NOT NULL, opened_at TEXT NOT NULL, buzz_at TEXT,
    ends_at TEXT, closed_at TEXT, pauses TEXT NOT NULL, void TEXT NOT NULL, PRIMARY KEY (contest_id, n),
    MOMENT (buzz_at, closed_at, ends_at, opened_at), CONSTRAINT items_count_from_one CHECK (n >= 1),
    WORDS round ('all', 'required', 'buzzer', 'risk', 'tie'), CONSTRAINT seconds_are_not_negative CHECK (seconds >= 0),
    CONSTRAINT stake_is_not_negative CHECK (stake >= 0), CONSTRAINT void_fits CHECK (length(void) <= 200)
) STRICT, WITHOUT ROWID;
CREATE TABLE live_buzz (
    id KEY, contest_id INTEGER NOT NULL REFERENCES live (contest_id), n INTEGER NOT NULL, team_id INTEGER NOT NULL REFERENCES team (id),
    person_id INTEGER NOT NULL REFERENCES person (id), arrived_at TEXT NOT NULL, fault INTEGER NOT NULL,
    MOMENT (arrived_at), FLAG (fault), UNIQUE (contest_id, n, team_id)
) STRICT;
CREATE TABLE live_decision (
    id KEY, contest_id INTEGER NOT NULL REFERENCES live (contest_id), decided_at TEXT NOT NULL, actor TEXT NOT NULL, act TEXT NOT NULL,
    n INTEGER NOT NULL, team_id INTEGER REFERENCES team (id), person_id INTEGER REFERENCES person (id), points INTEGER NOT NULL, why TEXT NOT NULL,
    MOMENT (decided_at), CONSTRAINT act_fits CHECK (length(act) BETWEEN 1 AND 20),
    CONSTRAINT points_go_to_one CHECK (points = 0 OR (team_id IS NULL) <> (person_id IS NULL)), CONSTRAINT why_fits CHECK (length(why) <= 200)
) STRICT;
CREATE INDEX live_decision_of_contest ON live_decision (contest_id, id);
CREATE TABLE live_call (
    contest_id INTEGER NOT NULL REFERENCES live (contest_id), n INTEGER NOT NULL, what TEXT NOT NULL, holder TEXT NOT NULL, began_at TEXT NOT NULL,
    ended_at TEXT, people INTEGER NOT NULL, sent INTEGER NOT NULL, failed INTEGER NOT NULL, PRIMARY KEY (contest_id, n, what),
    MOMENT (began_at, ended_at), CONSTRAINT counts_are_not_negative CHECK (people >= 0 AND sent >= 0 AND failed >= 0),
    WORDS what ('ask', 'told', 'end')
) STRICT, WITHOUT ROWID;
"""
