"""Deciding an export again under another threshold."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from tiermesh_cli.replay import replay_log
from tiermesh_policy import Axis, Inputs, IntentFacts, Scores, TenantPolicy, Vocabulary


def line(confidence: float, *, day: int = 27, inputs: bytes | None = None) -> str:
    def sure(label: str) -> Axis:
        return Axis(label, 1.0, {label: 1.0})

    scores = Scores(
        intent=sure("leave.balance"),
        cardinality=sure("one"),
        temporal=sure("now"),
        aggregation=sure("none"),
        position=sure("opening"),
        needs_context=sure("no"),
        ambiguous=sure("no"),
        multi_step=sure("no"),
        stakes=sure("low"),
        confidence=confidence,
        vocabulary=Vocabulary({"leave.balance": IntentFacts("leave", "leave")}),
    )
    record = Inputs(scores, TenantPolicy()).dump() if inputs is None else inputs
    row = {"decided_at": f"2026-11-{day}T10:00:00+00:00", "inputs": base64.b64encode(record).decode()}
    return json.dumps(row)


def test_another_threshold_moves_what_lies_between_and_tells_the_cost() -> None:
    replayed = replay_log([line(0.5), line(0.65), line(0.75), line(0.9)], 0.8)
    assert (replayed.decisions, replayed.changed) == (4, 2)
    assert (replayed.escalated_before, replayed.escalated) == (1, 3)
    assert replayed.moves == {"tier1 → tier2": 2}
    assert replayed.cost_change_micros == 2 * (35_000 - 625)


def test_the_threshold_that_decided_changes_nothing() -> None:
    replayed = replay_log([line(0.5), line(0.65)], 0.6)
    assert (replayed.changed, replayed.cost_change_micros) == (0, 0)


def test_what_came_before_the_day_and_what_has_no_record_is_left_out() -> None:
    lines = [line(0.65, day=20), line(0.65), line(0.65, inputs=b""), line(0.65, inputs=b"cut")]
    replayed = replay_log(lines, 0.8, datetime(2026, 11, 25, tzinfo=UTC))
    assert (replayed.decisions, replayed.without_record, replayed.unreadable) == (1, 1, 1)


@pytest.mark.parametrize("bad", ["{cut", "[]", "{}", '{"a":' * 3000, '{"decided_at": "2026-11-27", "inputs": "%"}'])
def test_a_line_that_is_no_decision_is_named(bad: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        replay_log([line(0.5), bad], 0.5)
