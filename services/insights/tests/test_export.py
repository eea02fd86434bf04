"""Exports: every row of the tenant and none of another's, in both formats; and questions to train on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from tiermesh.common.v1 import context_pb2, routing_pb2, scores_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_insights import export
from tiermesh_insights.store import Store
from tiermesh_insights.testing import NOW, decision, outcome, sample, usage


@pytest.fixture
async def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    address = f"sqlite:///{tmp_path / 'insights.sqlite'}"
    monkeypatch.setenv("TIERMESH_INSIGHTS_DATABASE", address)
    monkeypatch.setattr(export, "_PAGE", 2)
    store = await Store.open(address)
    yield store
    await store.close()


async def run(*arguments: str) -> int:
    options = export.parser().parse_args(arguments)
    return await export.run(options)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
async def test_every_row_of_the_tenant_is_exported_over_all_pages(database: Store, tmp_path: Path, suffix: str) -> None:
    await database.log.record_decisions([*(decision(number) for number in range(5)), decision(9, tenant="other")])
    out = tmp_path / f"out{suffix}"
    assert await run("decisions", "--tenant", "acme", "--out", str(out)) == 0
    found = duckdb.sql(f"SELECT decision_id, confidence FROM '{out}' ORDER BY 1").fetchall()
    assert found == [(f"d{number}", 0.9) for number in range(5)]


async def test_a_day_narrows_what_is_exported(database: Store, tmp_path: Path) -> None:
    await database.log.record_usage([usage(1), usage(1, entry_id="e2", started_at=NOW + timedelta(days=2))])
    out = tmp_path / "out.jsonl"
    await run("usage", "--tenant", "acme", "--since", "2026-11-21", "--out", str(out))
    (line,) = out.read_text().splitlines()
    assert json.loads(line)["entry_id"] == "e2"


async def test_an_empty_log_is_an_empty_file(database: Store, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert await run("outcomes", "--tenant", "acme", "--out", str(out)) == 0
    assert out.read_text() == ""


def logged(number: int, route: str, temporal: str = "now") -> bytes:
    scores = scores_pb2.Scores(
        intent=scores_pb2.AxisScore(label="leave.balance"),
        scope=scores_pb2.ScopeScores(
            cardinality=scores_pb2.AxisScore(label="one"),
            temporal=scores_pb2.AxisScore(label=temporal),
            aggregation=scores_pb2.AxisScore(label="none"),
        ),
        confidence=scores_pb2.Confidence(value=0.9),
    )
    record = pb.DecisionRecord(
        decision=routing_pb2.Decision(
            decision_id=f"d{number}",
            route=routing_pb2.Route.Value(f"ROUTE_{route.upper()}"),
            scores=scores,
            reasons=[routing_pb2.DecisionReason(rule="confidence_reaches_the_threshold")],
        ),
        context=context_pb2.RequestContext(tenant="acme", request_id=f"r{number}"),
    )
    record.decided_at.FromDatetime(NOW)
    return record.SerializeToString()


async def test_training_data_takes_the_route_that_turned_out_right(database: Store, tmp_path: Path) -> None:
    await database.log.record_decisions([decision(number, record=logged(number, "tier1")) for number in range(4)])
    await database.log.record_decisions([decision(4, record=logged(4, "tier1", "no_signal"))])
    await database.log.record_samples(
        [sample(0), sample(1), sample(2), sample(3, context_json='[["user", "and before?"]]'), sample(4)]
    )
    await database.log.record_outcomes([outcome(0, 1.0), outcome(1, 0.0), outcome(3, 1.0), outcome(4, 1.0)])
    out = tmp_path / "out.jsonl"
    await run("training", "--tenant", "acme", "--out", str(out))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    # The third has no outcome, the fourth leans on earlier turns, on the fifth the classifier was silent on an axis.
    assert [(row["id"], row["route"], row["intent"], row["cardinality"]) for row in rows] == [
        ("d0", "tier1", "leave.balance", "one"),
        ("d1", "tier2", "leave.balance", "one"),
    ]
