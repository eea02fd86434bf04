"""The simulated history: the same for the same seed, within the contract's bounds, and labelled as what it is."""

from __future__ import annotations

from datetime import UTC, datetime

import protovalidate
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_cli.history import History, Records

END = datetime(2026, 11, 20, tzinfo=UTC)


def draw(seed: int = 1, turns: int = 300) -> Records:
    return History("acme", "hr@1.0.0", seed, END).draw(turns, 30)


def test_the_same_seed_draws_the_same_records_and_another_others() -> None:
    assert draw() == draw()
    assert draw().decisions[5] != draw(2).decisions[5]


def test_records_keep_the_bounds_of_the_contract_and_come_from_the_past() -> None:
    records = draw()
    validator = protovalidate.Validator()
    for request in (
        pb.RecordDecisionsRequest(decisions=records.decisions),
        pb.RecordUsageRequest(entries=records.usage[:1000]),
        pb.RecordOutcomesRequest(outcomes=records.outcomes[:1000]),
        pb.RecordSamplesRequest(samples=records.samples[:50]),
        pb.RecordPillsRequest(pills=records.pills[:1000]),
    ):
        assert validator.collect_violations(request) == []
    assert len(records.decisions) == 300
    assert all(each.decided_at.ToDatetime(UTC) <= END for each in records.decisions)


def test_everything_says_that_it_is_simulated() -> None:
    records = draw()
    for decision in records.decisions:
        assert decision.decision.decision_id.startswith("simulated-")
        assert decision.decision.policy_version == "simulated"
        assert decision.subject_hash == "simulated"
    assert all(entry.model.startswith("simulated-") for entry in records.usage)


def test_every_page_has_something_to_show() -> None:
    records = draw(turns=2000)
    routes = {each.decision.route for each in records.decisions}
    sources = {each.source for each in records.outcomes}
    assert routes == {1, 2, 3}
    assert {pb.Outcome.SOURCE_THUMB, pb.Outcome.SOURCE_BOUNCE, pb.Outcome.SOURCE_COMPLETION} <= sources
    assert {each.state for each in records.pills} == {pb.PillRecord.STATE_SHOWN, pb.PillRecord.STATE_CLICKED}
    assert {each.kind for each in records.samples} == {pb.Sample.KIND_SERVED, pb.Sample.KIND_SHADOW}
