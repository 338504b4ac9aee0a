"""A lawful row of every table, and for every rule of every table the rows that break it and nothing else."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Connection, Table, text

from bot.storage.tables import metadata

AT = "2026-03-02T01:00:00.000000Z"
Row = dict[str, Any]

GOOD: dict[str, Row] = {
    "unit": {"id": 900, "name": "某局", "path": "某局900"},
    "person": {"id": 900, "staff_no": "P900", "name": "某人", "tier": "", "recorded_at": AT},
    "post": {"person_id": 900, "unit_id": 900, "since": "2026-01-01"},
    "role": {"person_id": 900, "role": "admin"},
    "account": {"channel": "local", "user": "p900", "person_id": 900, "bound_at": AT, "bound_by": "test"},
    "bind_code": {"person_id": 900, "salt": "s", "hash": "h", "made_at": AT, "expires_at": AT, "tries": 0},
    "bind_guard": {"channel": "wechat", "user": "x", "fails": 0, "heard": ""},
    "rule": {"line": "D99", "version": 1, "valid_from": "2026-01-01", "digest": "d", "body": "{}", "loaded_at": AT},
    "question_version": {"id": 900, "question": "q", "version": 1, "bank": "b", "digest": "0" * 64, "body": "{}", "loaded_at": AT},
    "question_state": {"question": "q", "version_id": 900, "state": "active", "reason": "", "changed_at": AT},
    "reading": {"id": 900, "person_id": 900, "lesson": "l", "digest": "d", "page": 1, "state": "open", "opened_at": AT},
    "page_view": {"id": 900, "reading_id": 900, "page": 1, "sent_at": AT, "reason": ""},
    "sitting": {"id": 900, "person_id": 900, "kind": "practice", "scope": "s", "size": 2, "next": 1, "state": "open", "opened_at": AT},
    "sitting_item": {"sitting_id": 900, "n": 1, "question": "q", "version_id": 900, "points": 2000, "shuffle": "BADC"},
    "answer": {
        "id": 900, "person_id": 900, "sitting_id": 900, "n": 1, "question": "q", "version_id": 900, "choice": "A", "correct": 1, "earned": 1000,
        "provisional": 0, "channel": "local", "message_id": "m", "arrived_at": AT, "recorded_at": AT, "late": 0,
    },
    "confirmation": {"answer_id": 900, "earned": 1000, "confirmed_by": 900, "confirmed_at": AT},
    "notebook_card": {
        "person_id": 900, "question": "q", "entered_at": AT, "right_in_a_row": 0, "state": 2, "stability": 2.3065, "difficulty": 6.4133,
        "due_at": AT, "reviewed_at": AT,
    },
    "exam_goal": {"person_id": 900, "day": "2026-12-04", "minutes": 4, "target": 90},
    "report": {"person_id": 900, "version_id": 900, "said": "", "reported_at": AT, "answered": ""},
    "focus": {"person_id": 900, "kind": "sitting", "ref": 900, "since": AT},
    "ledger": {
        "id": 900, "person_id": 900, "category": "online", "credit_seconds": 60, "day": "2026-03-02", "law": "", "required": 0,
        "source_kind": "lesson", "source_id": "1", "rule": "D2", "rule_version": 1, "recorded_at": AT, "recorded_by": "system",
    },
    "uncredited": {
        "person_id": 900, "source_kind": "lesson", "source_id": "1", "seconds": 1, "day": "2026-03-02", "rule": "D2", "rule_version": 1, "reason": "",
        "at": AT,
    },
    "year_total": {"person_id": 900, "year": 2026, "category": "online", "seconds": 0, "items": 0},
    "day_total": {"person_id": 900, "day": "2026-03-02", "category": "online", "seconds": 0},
    "seal": {"seq": 900, "entry_id": 900, "algorithm": "sha256", "hash": "h", "sealed_at": AT},
    "inbox": {"channel": "local", "app": "a", "sender": "s", "message_id": "m", "person_id": 900, "arrived_at": AT, "reply": "{}"},
    "audit": {"at": AT, "actor": "a", "via": "v", "action": "x", "target": "", "outcome": "done", "detail": ""},
    "platform_token": {"name": "n", "sealed": "", "holder": ""},
    "tally": {"day": "2026-03-02", "what": "w", "n": 0},
    "campaign": {
        "id": 900, "name": "周五一学", "kind": "notice", "content": "{}", "rhythm": "{}", "audience": "{}", "delivery": "{}", "missed": "send",
        "clause": "", "state": "running", "version": 1, "created_by": "t", "created_at": AT, "changed_at": AT,
    },
    "occurrence": {
        "id": 900, "campaign_id": 900, "due": AT, "fired_at": AT, "state": "fired", "part": 0, "content": "", "invited": 1, "excluded": 0, "note": "",
    },
    "delivery": {
        "id": 900, "campaign_id": 900, "occurrence_id": 900, "person_id": 900, "state": "queued", "channel": "", "tries": 0, "created_at": AT,
        "not_before": AT, "holder": "", "platform_id": "", "error": "",
    },
    "budget": {"name": "wecom/send", "began": AT, "used": 0},
    "absence": {"person_id": 900, "kind": "leave", "since": "2026-03-02", "recorded_by": "t", "recorded_at": AT},
    "tag": {"person_id": 900, "tag": "党员"},
    "preference": {"person_id": 900, "push_at": "08:30", "quiet_from": "21:00", "quiet_to": "08:00", "digest": 1, "channel": ""},
    "vote": {"occurrence_id": 900, "person_id": 900, "choice": "A", "voted_at": AT},
    "switch": {"name": "quiet", "is_on": 0, "turned_by": "t", "turned_at": AT, "reason": ""},
    "duty": {
        "id": 900, "year": 2026, "law": "民法典", "unit_id": 900, "form": "讲座", "count": 1, "deadline": "2026-12-31", "clause": "",
        "recorded_at": AT,
    },
    "correction": {
        "id": 900, "scope": "exam", "ref": 1, "question": "q", "version_id": 900, "way": "rekey", "keys": "B", "reason": "r", "state": "proposed",
        "proposed_by": "9001", "proposed_at": AT,
    },
    "remark": {"correction_id": 900, "sitting_id": 900, "n": 1, "answer_id": 900, "earned": 1000, "counts": 1, "marked_at": AT},
    "ripple": {
        "correction_id": 900, "sitting_id": 900, "person_id": 900, "score_before": 0, "score_after": 1000, "passed_before": 0, "passed_after": 1,
        "seconds_before": 0, "seconds_after": 5400, "certificate_before": "", "certificate_after": "", "made_at": AT,
    },
    "appeal": {"id": 900, "person_id": 900, "sitting_id": 900, "said": "s", "appealed_at": AT, "due_at": AT, "answered": ""},
    "outside_exam": {
        "id": 900, "name": "外部考试", "held_on": "2026-03-02", "pass_line": 60000, "total": 100000, "recorded_by": "t", "recorded_at": AT,
    },
    "outside_result": {
        "outside_id": 900, "person_id": 900, "score": 60000, "passed": 1, "file": "f.xlsx", "row": 2, "recorded_by": "t", "recorded_at": AT,
    },
    "planned": {"id": 900, "duty_id": 900, "n": 1, "name": "讲座", "due_on": "2026-05-01", "state": "planned", "note": ""},
    "certificate": {
        "id": 900, "number": "XF-2026-000900-K", "code": "7QK39MXT2A", "person_id": 900, "kind": "exam", "source_kind": "sitting", "source_id": "900",
        "body": "{}", "issued_at": AT, "issued_by": "system", "state": "valid", "reason": "", "changed_by": "",
    },
    "exam": {
        "id": 900, "name": "年度学法考试", "state": "published", "blueprint": "{}", "audience": "{}", "gate": "{}", "opens_at": AT,
        "closes_at": "2026-03-02T03:00:00.000000Z", "minutes": 60, "attempts": 1, "pass_line": 60000, "total": 100000, "results": "after_close",
        "grace_seconds": 0, "clause": "", "created_by": "t", "created_at": AT, "changed_at": AT,
    },
    "attempt": {
        "sitting_id": 900, "exam_id": 900, "person_id": 900, "n": 1, "started_at": AT, "deadline": "2026-03-02T02:00:00.000000Z", "state": "open",
        "difficulty": 300,
    },
    "extension": {"id": 900, "sitting_id": 900, "kind": "time", "minutes": 10, "reason": "断网", "asked_by": "9001", "asked_at": AT},
    "contest": {
        "id": 900, "name": "七一知识竞赛", "form": "windowed", "state": "open", "version": 1, "rules": "{}", "source": "{}", "audience": "{}",
        "clause": "", "opens_at": AT, "closes_at": "2026-03-09T01:00:00.000000Z", "created_by": "t", "created_at": AT, "changed_at": AT, "board": "",
    },
    "contest_item": {"contest_id": 900, "n": 1, "question": "q", "version_id": 900, "points": 1000, "part": ""},
    "team": {"id": 900, "contest_id": 900, "name": "一队", "unit_id": 900},
    "team_member": {"contest_id": 900, "person_id": 900, "team_id": 900},
    "participation": {
        "contest_id": 900, "person_id": 900, "joined_at": AT, "unit_id": 900, "strength": 0, "points": 0, "correct": 0, "millis": 0,
    },
    "contest_set": {
        "sitting_id": 900, "contest_id": 900, "person_id": 900, "day": "2026-03-02", "n": 1, "whole": 0, "points": 0, "correct": 0, "millis": 0,
    },
    "duel": {"id": 900, "size": 2, "invited": 0, "state": "calling", "made_by": 900, "made_at": AT, "until": AT},
    "duel_player": {"duel_id": 900, "person_id": 900, "state": "ready", "correct": 0, "millis": 0},
    "link": {
        "id": 900, "hash": "0" * 64, "purpose": "exam", "ref": "1", "person_id": 900, "channel": "local", "user": "p900", "made_at": AT,
        "expires_at": AT,
    },
    "visit": {"id": 900, "link_id": 900, "hash": "0" * 64, "began_at": AT, "seen_at": AT, "expires_at": AT},
}  # fmt: skip


# What a rule cannot be told by its form for: (table, what is wrong, the rule).
BAD: list[tuple[str, Row, str]] = [
    ("unit", {"name": ""}, "name_fits"),
    ("unit", {"name": "长" * 81}, "name_fits"),
    ("unit", {"parent_id": 900}, "not_its_own_parent"),
    ("person", {"staff_no": ""}, "staff_no_fits"),
    ("person", {"staff_no": "9" * 41}, "staff_no_fits"),
    ("person", {"name": ""}, "name_fits"),
    ("person", {"joined_on": "2026-03-02", "left_on": "2026-03-01"}, "leaves_after_joining"),
    ("post", {"until": "2025-12-31"}, "ends_after_it_begins"),
    ("account", {"user": ""}, "user_fits"),
    ("account", {"user": "u" * 201}, "user_fits"),
    ("bind_code", {"tries": 6}, "tries_are_few"),
    ("bind_code", {"tries": -1}, "tries_are_few"),
    ("bind_guard", {"fails": -1}, "fails_count_up"),
    ("rule", {"version": 0}, "versions_count_from_one"),
    ("question_version", {"version": 0}, "versions_count_from_one"),
    ("question_version", {"digest": "0" * 63}, "digest_is_sha256"),
    ("reading", {"page": 0}, "pages_count_from_one"),
    ("reading", {"state": "done"}, "closed_when_over"),
    ("reading", {"closed_at": AT}, "closed_when_over"),
    ("page_view", {"asked_at": AT, "seen": -1, "credited": 0}, "never_more_than_seen"),
    ("page_view", {"asked_at": AT, "seen": 5, "credited": 6}, "never_more_than_seen"),
    ("page_view", {"seen": 5, "credited": 5}, "seen_when_asked"),
    ("sitting", {"size": 0}, "next_is_inside"),
    ("sitting", {"next": 0}, "next_is_inside"),
    ("sitting", {"next": 4}, "next_is_inside"),
    ("sitting", {"state": "done"}, "closed_when_over"),
    ("sitting_item", {"n": 0}, "items_count_from_one"),
    ("sitting_item", {"points": -1}, "points_are_not_negative"),
    ("sitting_item", {"shuffle": "ABCDEFGHI"}, "shuffle_fits"),
    ("answer", {"earned": 1001, "correct": 0}, "earned_is_a_share"),
    ("answer", {"earned": -1, "correct": 0}, "earned_is_a_share"),
    ("answer", {"earned": 999}, "correct_earns_all"),
    ("confirmation", {"earned": 1001}, "earned_is_a_share"),
    ("notebook_card", {"right_in_a_row": -1}, "right_counts_up"),
    ("notebook_card", {"state": 4, "step": 0}, "one_of_fsrs_states"),
    ("notebook_card", {"step": 0}, "steps_while_learning"),
    ("notebook_card", {"state": 1}, "steps_while_learning"),
    ("notebook_card", {"state": 3, "step": -1}, "steps_while_learning"),
    ("notebook_card", {"stability": 0}, "stability_is_positive"),
    ("notebook_card", {"difficulty": 0.9}, "difficulty_is_in_range"),
    ("notebook_card", {"difficulty": 10.1}, "difficulty_is_in_range"),
    ("exam_goal", {"minutes": 0}, "minutes_of_a_day"),
    ("exam_goal", {"minutes": 61}, "minutes_of_a_day"),
    ("exam_goal", {"target": 49}, "target_is_a_percentage"),
    ("exam_goal", {"target": 100}, "target_is_a_percentage"),
    ("report", {"said": "长" * 501}, "said_fits"),
    ("report", {"answered_at": AT}, "answered_by_somebody"),
    ("ledger", {"credit_seconds": 0}, "a_reversal_takes_back"),
    ("ledger", {"credit_seconds": -60}, "a_reversal_takes_back"),
    ("ledger", {"credit_seconds": 60, "reverses": 900}, "a_reversal_takes_back"),
    ("ledger", {"credit_seconds": 604_801}, "credit_is_plausible"),
    ("ledger", {"credit_seconds": -60, "reverses": 901}, "does_not_reverse_itself"),
    ("uncredited", {"seconds": -1}, "refused_is_not_negative"),
    ("year_total", {"seconds": -1}, "totals_are_not_negative"),
    ("year_total", {"items": -1}, "totals_are_not_negative"),
    ("day_total", {"seconds": -1}, "totals_are_not_negative"),
    ("seal", {"seq": 0}, "places_count_from_one"),
    ("inbox", {"message_id": ""}, "message_id_fits"),
    ("inbox", {"message_id": "m" * 301}, "message_id_fits"),
    ("tally", {"n": -1}, "counts_up"),
    ("campaign", {"name": ""}, "name_fits"),
    ("campaign", {"name": "长" * 81}, "name_fits"),
    ("delivery", {"tries": -1}, "tries_count_up"),
    ("delivery", {"state": "sending"}, "a_lease_while_sending"),
    ("delivery", {"lease_until": AT}, "a_lease_while_sending"),
    ("budget", {"used": -1}, "used_counts_up"),
    ("absence", {"until": "2026-03-01"}, "ends_after_it_begins"),
    ("tag", {"tag": ""}, "tag_fits"),
    ("tag", {"tag": "长" * 41}, "tag_fits"),
    ("preference", {"push_at": "8:30"}, "push_at_is_a_time"),
    ("preference", {"quiet_from": "abends"}, "quiet_from_is_a_time"),
    ("preference", {"quiet_to": ""}, "quiet_to_is_a_time"),
    ("duty", {"count": 0}, "count_is_positive"),
    ("link", {"hash": "0" * 63}, "hash_is_sha256"),
    ("link", {"purpose": ""}, "purpose_fits"),
    ("link", {"purpose": "p" * 21}, "purpose_fits"),
    ("link", {"ref": "r" * 81}, "ref_fits"),
    ("visit", {"hash": "0" * 63}, "hash_is_sha256"),
    ("planned", {"state": "done"}, "done_on_a_day"),
    ("correction", {"reason": ""}, "reason_fits"),
    ("correction", {"reason": "长" * 501}, "reason_fits"),
    ("correction", {"keys": ""}, "keys_where_the_way_has_some"),
    ("correction", {"way": "void"}, "keys_where_the_way_has_some"),
    ("correction", {"state": "applied"}, "decided_by_somebody"),
    ("correction", {"decided_by": "9002"}, "decided_by_somebody"),
    ("remark", {"earned": 1001}, "earned_is_a_share"),
    ("ripple", {"seconds_after": -1}, "credit_is_not_negative"),
    ("appeal", {"said": ""}, "said_fits"),
    ("appeal", {"said": "长" * 501}, "said_fits"),
    ("appeal", {"answered": "长" * 501}, "answer_fits"),
    ("appeal", {"answered_at": AT}, "answered_by_somebody"),
    ("appeal", {"granted": 1}, "answered_by_somebody"),
    ("outside_exam", {"name": ""}, "name_fits"),
    ("outside_exam", {"name": "长" * 81}, "name_fits"),
    ("outside_exam", {"pass_line": 0}, "pass_line_is_inside"),
    ("outside_exam", {"pass_line": 100001}, "pass_line_is_inside"),
    ("outside_result", {"score": -1}, "score_is_not_negative"),
    ("certificate", {"number": "XF-2026"}, "number_fits"),
    ("certificate", {"code": "7QK39MXT2"}, "code_fits"),
    ("certificate", {"reason": "长" * 201}, "reason_fits"),
    ("certificate", {"state": "revoked", "cause": "decision"}, "changed_when_it_no_longer_holds"),
    ("certificate", {"changed_at": AT}, "changed_when_it_no_longer_holds"),
    ("certificate", {"state": "revoked", "changed_at": AT}, "changed_when_it_no_longer_holds"),
    ("certificate", {"replaces": 901}, "replaces_an_older_one"),
    ("planned", {"done_on": "2026-05-01"}, "done_on_a_day"),
    ("exam", {"name": ""}, "name_fits"),
    ("exam", {"name": "长" * 81}, "name_fits"),
    ("exam", {"closes_at": AT}, "window_is_open"),
    ("exam", {"minutes": 0}, "minutes_are_plausible"),
    ("exam", {"minutes": 1441}, "minutes_are_plausible"),
    ("exam", {"late_minutes": -1}, "late_minutes_are_not_negative"),
    ("exam", {"attempts": 0}, "attempts_are_few"),
    ("exam", {"attempts": 21}, "attempts_are_few"),
    ("exam", {"pass_line": 0}, "pass_line_is_inside"),
    ("exam", {"pass_line": 100001}, "pass_line_is_inside"),
    ("exam", {"cap": 0}, "cap_is_inside"),
    ("exam", {"cap": 100001}, "cap_is_inside"),
    ("exam", {"grace_seconds": -1}, "grace_is_short"),
    ("exam", {"grace_seconds": 61}, "grace_is_short"),
    ("exam", {"makeup_of": 901}, "not_its_own_makeup"),
    ("exam", {"state": "closed"}, "closed_when_over"),
    ("exam", {"closed_at": AT}, "closed_when_over"),
    ("exam", {"state": "released", "closed_at": AT}, "released_when_told"),
    ("exam", {"state": "closed", "closed_at": AT, "released_at": AT}, "released_when_told"),
    ("attempt", {"n": 0}, "attempts_count_from_one"),
    ("attempt", {"deadline": AT}, "time_is_given"),
    ("attempt", {"state": "closed"}, "closed_by_somebody"),
    ("attempt", {"closed_at": AT, "closed_by": "self"}, "closed_by_somebody"),
    ("attempt", {"state": "closed", "closed_at": AT}, "closed_by_somebody"),
    ("attempt", {"score": -1}, "score_is_not_negative"),
    ("attempt", {"difficulty": 1001}, "difficulty_is_a_share"),
    ("attempt", {"difficulty": -1}, "difficulty_is_a_share"),
    ("extension", {"minutes": 0}, "minutes_are_plausible"),
    ("extension", {"minutes": 601}, "minutes_are_plausible"),
    ("extension", {"reason": ""}, "reason_fits"),
    ("extension", {"reason": "长" * 301}, "reason_fits"),
    ("extension", {"approved_by": "9001", "approved_at": AT}, "two_people"),
    ("extension", {"approved_by": "9002"}, "approved_by_somebody"),
    ("contest", {"name": ""}, "name_fits"),
    ("contest", {"name": "长" * 81}, "name_fits"),
    ("contest", {"version": 0}, "versions_count_from_one"),
    ("contest", {"closes_at": None}, "a_window_has_two_ends"),
    ("contest", {"opens_at": None}, "a_window_has_two_ends"),
    ("contest", {"closes_at": AT}, "closes_after_it_opens"),
    ("contest", {"state": "cancelled"}, "closed_when_over"),
    ("contest", {"closed_at": AT}, "closed_when_over"),
    ("contest", {"state": "closed", "closed_at": AT}, "frozen_when_closed"),
    ("contest", {"board": "{}"}, "frozen_when_closed"),
    ("contest_item", {"n": 0}, "items_count_from_one"),
    ("contest_item", {"points": -1}, "points_are_not_negative"),
    ("contest_item", {"part": "长" * 41}, "part_fits"),
    ("team", {"name": ""}, "name_fits"),
    ("team", {"name": "长" * 401}, "name_fits"),
    ("participation", {"correct": -1}, "counts_are_not_negative"),
    ("participation", {"millis": -1}, "counts_are_not_negative"),
    ("participation", {"strength": 1001}, "strength_is_a_share"),
    ("participation", {"place": 0}, "places_count_from_one"),
    ("contest_set", {"n": 0}, "sets_count_from_one"),
    ("contest_set", {"correct": -1}, "counts_are_not_negative"),
    ("contest_set", {"millis": -1}, "counts_are_not_negative"),
    ("duel", {"size": 1}, "two_to_four_play"),
    ("duel", {"size": 5}, "two_to_four_play"),
    ("duel", {"state": "off"}, "over_when_it_ended"),
    ("duel", {"over_at": AT}, "over_when_it_ended"),
    ("duel", {"state": "running"}, "started_when_it_runs"),
    ("duel_player", {"correct": -1}, "counts_are_not_negative"),
    ("duel_player", {"millis": -1}, "counts_are_not_negative"),
    ("duel_player", {"place": 1}, "points_with_a_place"),
    ("duel_player", {"points": 3}, "points_with_a_place"),
    ("duel_player", {"place": 5, "points": 1}, "place_is_one_of_four"),
]

# A rule by its form, as base.py makes it: what breaks it in whatever column.
FORMS: dict[str, tuple[object, ...]] = {
    "_is_a_moment": ("2026-03-02", "2026-03-02 01:00:00.000000+00:00", "9"),
    "_is_a_day": ("2026/03/02", "2026-3-2", "9"),
    "_is_known": ("nothing of the kind", ""),
    "_is_a_flag": (2, -1),
}

# What another rule of the table asks for beside a column, so that only the rule under test is broken.
BESIDE: dict[tuple[str, str], Row] = {
    ("reading", "closed_at"): {"state": "done"},
    ("sitting", "closed_at"): {"state": "done"},
    ("sitting", "state"): {"closed_at": AT},
    ("page_view", "asked_at"): {"seen": 1, "credited": 1},
    ("report", "answered_at"): {"answered_by": 900},
    ("delivery", "lease_until"): {"state": "sending"},
    ("planned", "done_on"): {"state": "done"},
    ("correction", "decided_at"): {"state": "applied", "decided_by": "9002"},
    ("correction", "state"): {"decided_at": AT, "decided_by": "9002"},
    ("appeal", "answered_at"): {"answered_by": 900, "granted": 0},
    ("appeal", "granted"): {"answered_by": 900, "answered_at": AT},
    ("correction", "way"): {"keys": ""},
    ("certificate", "state"): {"changed_at": AT, "cause": "decision"},
    ("certificate", "cause"): {"state": "revoked", "changed_at": AT},
    ("certificate", "changed_at"): {"state": "revoked", "cause": "decision"},
    ("exam", "closed_at"): {"state": "closed"},
    ("exam", "released_at"): {"state": "released", "closed_at": AT},
    ("attempt", "state"): {"closed_at": AT, "closed_by": "self"},
    ("attempt", "closed_at"): {"state": "closed", "closed_by": "self"},
    ("attempt", "closed_by"): {"state": "closed", "closed_at": AT},
    ("extension", "approved_at"): {"approved_by": "9002"},
    ("contest", "opens_at"): {"form": "live", "closes_at": None},
    ("contest", "closes_at"): {"form": "live", "opens_at": None},
    ("contest", "closed_at"): {"state": "cancelled"},
    ("duel", "over_at"): {"state": "off"},
}

# What makes a second row of a table lawful but for the fault under test, so that no uniqueness speaks first.
SECOND: dict[str, Row] = {
    "unit": {"path": "某局901"},
    "person": {"id": 901, "staff_no": "P901"},
    "ledger": {"id": 901, "source_id": "2"},
    "answer": {"id": 901, "n": 2},
    "correction": {"id": 901, "ref": 2},
    "remark": {"n": 2, "answer_id": None},
    "ripple": {"sitting_id": 901},
    "appeal": {"id": 901, "sitting_id": 901},
    "outside_exam": {"id": 901, "name": "另一场"},
    "outside_result": {"person_id": 901},
    "certificate": {"id": 901, "number": "XF-2026-000901-K", "source_id": "901"},
    "exam": {"id": 901},
    "attempt": {"sitting_id": 901, "n": 2},
    "link": {"id": 901, "hash": "1" * 64},
    "visit": {"id": 901, "hash": "1" * 64},
}


def rules(table: Table) -> set[str]:
    """The names of a table's CHECK constraints."""
    return {str(constraint.name) for constraint in table.constraints if isinstance(constraint, CheckConstraint)}


def bad_rows() -> list[tuple[str, Row, str]]:
    """(table, row, the rule it breaks), for all rules."""
    found = [(table, {**wrong}, rule) for table, wrong, rule in BAD]
    for table in metadata.sorted_tables:
        for rule in sorted(rules(table)):
            form = next((form for form in FORMS if rule.endswith(form)), None)
            if form is not None:
                column = rule.removesuffix(form)
                found += [(table.name, {column: wrong, **BESIDE.get((table.name, column), {})}, rule) for wrong in FORMS[form]]
    return [(table, {**GOOD[table], **SECOND.get(table, {}), **wrong}, rule) for table, wrong, rule in found]


def put(connection: Connection, table: str, row: Row, how: str = "INSERT") -> None:
    names = ", ".join(f'"{name}"' for name in row)
    connection.execute(text(f'{how} INTO "{table}" ({names}) VALUES ({", ".join(f":{name}" for name in row)})'), row)


def put_good(connection: Connection) -> None:
    """One lawful row in every table."""
    for table in metadata.sorted_tables:
        put(connection, table.name, GOOD[table.name])
