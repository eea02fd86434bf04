"""The store: once by id, the highest revision stands, all of a batch or nothing; on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tiermesh_insights.records import DecisionRow, OutcomeRow, Selection, Stored, UsageRow
from tiermesh_insights.store import Store, StoreUnavailableError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ACME = Selection("acme")


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
        tag="answer-simple",
        tier=1,
        provider="anthropic",
        model="claude-haiku-5-5",
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


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    database = f"sqlite:///{tmp_path / 'insights.sqlite'}"
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres_database")
    opened = await Store.open(database)
    yield opened
    await opened.close()


async def test_a_record_delivered_again_is_stored_once(store: Store) -> None:
    assert await store.record_decisions([decision(1), decision(2)]) == Stored(2, 0)
    assert await store.record_decisions([decision(2), decision(3), decision(3)]) == Stored(1, 2)
    assert await store.routes(ACME) == {"tier1": 3}


async def test_the_same_batch_from_many_senders_at_once_is_stored_once(store: Store) -> None:
    batches = [store.record_decisions([decision(number) for number in range(20)]) for _ in range(5)]
    stored = await asyncio.gather(*batches)
    assert sum(each.new for each in stored) == 20
    assert await store.routes(ACME) == {"tier1": 20}


async def test_the_settlement_replaces_the_intent_and_never_the_other_way_round(store: Store) -> None:
    await store.record_usage([usage(1, cost_micros=700)])
    await store.record_usage([usage(0, cost_micros=0, outcome="intended")])
    (line,) = await store.cost(ACME)
    assert (line.calls, line.cost_micros) == (1, 700)


async def test_a_higher_revision_counts_also_within_one_batch(store: Store) -> None:
    await store.record_usage([usage(1, cost_micros=700), usage(0, cost_micros=0)])
    (line,) = await store.cost(ACME)
    assert line.cost_micros == 700


async def test_an_outcome_may_come_before_its_decision(store: Store) -> None:
    await store.record_outcomes([outcome(1, 1.0)])
    await store.record_decisions([decision(1)])
    (judged,) = await store.judged(ACME)
    assert (judged.confidence, judged.success, judged.weight) == (0.9, 1.0, 1.0)


async def test_outcomes_of_an_escalated_turn_say_nothing_of_tier_1_unless_it_ran_in_the_shadow(store: Store) -> None:
    await store.record_decisions([decision(1, route="tier2", tier=2), decision(2, route="tier2", tier=2)])
    await store.record_outcomes([outcome(1, 1.0), outcome(2, 0.0, source="shadow")])
    judged = await store.judged(ACME)
    assert sorted(case.success for case in judged if case.success is not None) == [0.0]
    assert len(judged) == 2


async def test_sources_are_weighed_against_each_other(store: Store) -> None:
    await store.record_decisions([decision(1)])
    await store.record_outcomes([outcome(1, 1.0, weight=0.25), outcome(2, 0.0, decision_id="d1", weight=0.75)])
    (judged,) = await store.judged(ACME)
    assert judged.success == pytest.approx(0.25)


async def test_a_tenant_sees_its_own_records_only(store: Store) -> None:
    await store.record_decisions([decision(1), decision(2, tenant="other")])
    await store.record_outcomes([outcome(1, 0.0, tenant="other")])
    (judged,) = await store.judged(ACME)
    assert judged.success is None
    assert await store.routes(Selection("other")) == {"tier1": 1}


async def test_time_and_family_narrow_the_selection(store: Store) -> None:
    await store.record_decisions([decision(1), decision(2), decision(3, family="expenses")])
    later = Selection("acme", start=NOW + timedelta(minutes=2))
    assert await store.routes(later) == {"tier1": 2}
    assert await store.routes(replace(later, family="leave")) == {"tier1": 1}


async def test_records_survive_a_restart(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'insights.sqlite'}"
    first = await Store.open(database)
    await first.record_decisions([decision(1)])
    await first.close()
    second = await Store.open(database)
    assert await second.routes(ACME) == {"tier1": 1}
    await second.close()


async def test_a_database_that_cannot_be_opened_is_named_as_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match=r"no/such does not exist; make it"):
        await Store.open(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.sqlite'}")
