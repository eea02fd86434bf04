"""Rows as tests of insights want them: a plain one each, with what a test changes. Only tests import this module."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tiermesh_insights.records import DecisionRow, OutcomeRow, SampleRow, UsageRow

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def decision(number: int, **changes: object) -> DecisionRow:
    row = DecisionRow(
        decision_id=f"d{number}",
        tenant="acme",
        request_id=f"r{number}",
        conversation_id="c1",
        turn=1,
        decided_at=NOW + timedelta(minutes=number),
        subject_hash="abc",
        route="tier1",
        tier=1,
        intent="leave.balance",
        family="leave",
        stage="trained",
        position="opening",
        confidence=0.9,
        threshold=0.8,
        threshold_version="v1",
        base_threshold=0.8,
        settled_by="confidence_reaches_the_threshold",
        high_scope=False,
        estimated_cost_micros=600,
        other_cost_micros=35_000,
        policy_version="v1",
        pack_version="hr@1.0.0",
        record=b"",
    )
    return replace(row, **changes)  # type: ignore[arg-type] # changes are named as the fields are


def usage(revision: int, **changes: object) -> UsageRow:
    row = UsageRow(
        entry_id="e1",
        revision=revision,
        tenant="acme",
        request_id="r1",
        conversation_id="c1",
        tag="answer-simple",
        tier=1,
        provider="anthropic",
        model="claude-haiku-5-5",
        prompt_version="answer-1",
        attempt=1,
        input_tokens=100,
        cache_write_5m_tokens=0,
        cache_write_1h_tokens=0,
        cache_read_tokens=50,
        output_tokens=10,
        cost_micros=revision * 100,
        at_least=False,
        outcome="served",
        started_at=NOW,
        record=b"",
    )
    return replace(row, **changes)  # type: ignore[arg-type] # changes are named as the fields are


def outcome(number: int, success: float, **changes: object) -> OutcomeRow:
    row = OutcomeRow(f"o{number}", f"d{number}", "acme", "thumb", success, 1.0, NOW)
    return replace(row, **changes)  # type: ignore[arg-type] # changes are named as the fields are


def sample(number: int, **changes: object) -> SampleRow:
    row = SampleRow(
        sample_id=f"s{number}",
        decision_id=f"d{number}",
        tenant="acme",
        subject_hash="abc",
        at=NOW + timedelta(minutes=number),
        kind="served",
        intent="leave.balance",
        route="tier1",
        tier=1,
        model="claude-haiku-5-5",
        tag="answer-simple",
        prompt_version="answer-1",
        question="How many leave days do I have left?",
        context_json="[]",
        answer="You have 12 days left.",
        tables_json='[{"days": 12}]',
        drawn_with=0.2,
    )
    return replace(row, **changes)  # type: ignore[arg-type] # changes are named as the fields are
