"""What is measured of model calls, by the GenAI conventions."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tiermesh_executor.context import CallContext
from tiermesh_executor.ledger import Line, Outcome
from tiermesh_executor.models.events import Usage
from tiermesh_executor.telemetry import ExecutorTelemetry
from tiermesh_runtime import telemetry

CONTEXT = CallContext("r-1", "acme", "", "c-1", "", datetime.now(UTC), "en", frozenset(), None)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> InMemoryMetricReader:
    found = InMemoryMetricReader()
    provider = MeterProvider([found])
    monkeypatch.setattr(telemetry, "meter", provider.get_meter)
    return found


def measured(reader: InMemoryMetricReader) -> dict[str, Any]:
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: metric.data.data_points
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_an_attempt_is_measured_with_cached_tokens_in_its_input(reader: InMemoryMetricReader) -> None:
    usage = Usage(input=10, cache_write_5m=20, cache_read=70, output=5)
    line = Line("e", CONTEXT, "narrate", 1, "anthropic", "m", "v", 1, datetime.now(UTC), usage=usage)
    ExecutorTelemetry().attempted(_settled(line, Outcome.SERVED))
    found = measured(reader)
    names = ("input_tokens", "output_tokens", "cache_read.input_tokens", "cache_write.input_tokens")
    totals = [found[f"gen_ai.client.inference.usage.{name}"][0].value for name in names]
    assert totals == [100, 5, 70, 20]
    (shares,) = found["tiermesh.cache.hit_share"]
    assert (shares.count, shares.sum) == (1, 0.7)
    assert found["gen_ai.client.inference.duration"][0].sum == 2.0
    assert found["gen_ai.client.inference.time_to_first_chunk"][0].sum == 0.5
    (attempts,) = found["tiermesh.executor.model.attempts"]
    assert attempts.attributes["tiermesh.outcome"] == "served"


def test_a_failed_attempt_and_a_changed_circuit_are_counted(reader: InMemoryMetricReader) -> None:
    line = Line("e", CONTEXT, "narrate", 1, "anthropic", "m", "v", 1, datetime.now(UTC))
    executor = ExecutorTelemetry()
    executor.attempted(_settled(line, Outcome.FAILED))
    executor.circuit_changed("anthropic", "m", "open")
    found = measured(reader)
    assert "tiermesh.cache.hit_share" not in found, "no prompt was reported: there is no share"
    assert found["gen_ai.client.inference.duration"][0].attributes["error.type"] == "failed"
    assert found["tiermesh.executor.circuit.changes"][0].attributes["tiermesh.circuit.state"] == "open"


def test_a_loop_that_was_stopped_and_what_was_handed_over_or_held_are_counted(reader: InMemoryMetricReader) -> None:
    executor = ExecutorTelemetry()
    executor.fan_out_refused("leave_balance")
    executor.bounced("fan_out", 1)
    executor.sentences_held(2)
    found = measured(reader)
    (refused,), (bounced,) = found["tiermesh.executor.fan_out.refused"], found["tiermesh.executor.bounces"]
    assert (refused.value, refused.attributes["gen_ai.tool.name"]) == (1, "leave_balance")
    assert (bounced.value, bounced.attributes["cause"]) == (1, "fan_out")
    assert found["tiermesh.executor.figures.held"][0].value == 2


def _settled(line: Line, outcome: Outcome) -> Line:
    return replace(line, revision=1, outcome=outcome, duration=2.0, time_to_first_token=0.5, price_version="2026-01-01")
