"""Spans and metrics of the executor's own work. The model calls' spans are the SDK's.

No question, argument, row or answer goes in here.
"""

from contextlib import AbstractContextManager

import structlog
from opentelemetry import trace
from tiermesh_runtime import semconv, telemetry

from tiermesh_executor.ledger import Line, Outcome

NAME = "tiermesh_executor"
TIER = "tiermesh.tier"
MODE = "tiermesh.executor.mode"
TAG = "tiermesh.tag"
MODEL_CALLS = "tiermesh.model_calls"
TOOL_CALLS = "tiermesh.tool_calls"
STATEMENTS = "tiermesh.statements"
BOUNCE_CAUSE = "tiermesh.bounce.cause"
STOP_REASON = "tiermesh.stop_reason"
HELD_BACK_MS = "tiermesh.held_back_ms"
HELD_SENTENCES = "tiermesh.held_sentences"
COST_MICROS = "tiermesh.cost_micros"
CACHE_HIT_SHARE = "tiermesh.cache.hit_share"
TOOL_KIND = "tiermesh.tool.kind"
CIRCUIT_STATE = "tiermesh.circuit.state"
OUTCOME = "tiermesh.outcome"
_BUCKETS = ("input_tokens", "output_tokens", "cache_read.input_tokens", "cache_write.input_tokens")


class ExecutorTelemetry:
    """One per process."""

    def __init__(self) -> None:
        """Instruments of the providers that are set when they are first used."""
        meter = telemetry.meter(NAME)
        self._tracer = telemetry.tracer(NAME)
        self._tools = telemetry.duration_histogram("gen_ai.execute_tool.duration")
        self._fan_out = meter.create_counter("tiermesh.executor.fan_out.refused", unit="{turn}")
        self._bounces = meter.create_counter("tiermesh.executor.bounces", unit="{execution}")
        self._held = meter.create_counter("tiermesh.executor.figures.held", unit="{sentence}")
        self._circuits = meter.create_counter("tiermesh.executor.circuit.changes", unit="{change}")
        self._attempts = meter.create_counter("tiermesh.executor.model.attempts", unit="{attempt}")
        self._durations = telemetry.duration_histogram(semconv.GEN_AI_INFERENCE_DURATION)
        self._first_chunks = telemetry.duration_histogram(semconv.GEN_AI_TIME_TO_FIRST_CHUNK_METRIC)
        self._tokens = {
            bucket: meter.create_counter(f"gen_ai.client.inference.usage.{bucket}", unit="{token}")
            for bucket in _BUCKETS
        }
        self._hit_shares = meter.create_histogram(
            CACHE_HIT_SHARE, unit="1", explicit_bucket_boundaries_advisory=(0, 0.25, 0.5, 0.75, 0.9, 0.95, 1)
        )
        self._log = structlog.get_logger("tiermesh_executor.models")
        self._without_price: set[str] = set()
        self._cost = meter.create_counter("tiermesh.executor.cost", unit="{microdollar}")

    def tool_span(self, tool: str, call_id: str, kind: str) -> AbstractContextManager[trace.Span]:
        """Around one tool call."""
        attributes = {
            semconv.GEN_AI_OPERATION: "execute_tool",
            semconv.GEN_AI_TOOL_NAME: tool,
            semconv.GEN_AI_TOOL_CALL_ID: call_id,
            TOOL_KIND: kind,
        }
        return self._tracer.start_as_current_span(f"execute_tool {tool}", attributes=attributes)

    def tool_called(self, tool: str, error: str, seconds: float) -> None:
        """`error` is empty for a call that answered."""
        attributes = {semconv.GEN_AI_TOOL_NAME: tool, **({semconv.ERROR_TYPE: error} if error else {})}
        self._tools.record(seconds, attributes)

    def fan_out_refused(self, tool: str) -> None:
        """The trap was shut."""
        self._fan_out.add(1, {semconv.GEN_AI_TOOL_NAME: tool})

    def circuit_changed(self, provider: str, model: str, state: str) -> None:
        """A model is left alone, probed, or taken back."""
        self._circuits.add(
            1, {semconv.GEN_AI_PROVIDER: provider, semconv.GEN_AI_REQUEST_MODEL: model, CIRCUIT_STATE: state}
        )
        self._log.warning("circuit_changed", provider=provider, model=model, state=state)

    def attempted(self, line: Line) -> None:
        """One settled attempt at a model."""
        attributes = {TAG: line.tag, semconv.GEN_AI_PROVIDER: line.provider, semconv.GEN_AI_RESPONSE_MODEL: line.model}
        self._attempts.add(1, {**attributes, OUTCOME: line.outcome.value.lower()})
        if not line.price_version and line.model not in self._without_price:
            self._without_price.add(line.model)
            self._log.warning("model_without_a_price", provider=line.provider, model=line.model)
        self._cost.add(line.cost_micros, {TAG: line.tag, semconv.GEN_AI_RESPONSE_MODEL: line.model})
        self._measured(line, attributes)

    def _measured(self, line: Line, attributes: dict[str, str]) -> None:
        """By the conventions; input tokens include the cached ones there."""
        failed = {semconv.ERROR_TYPE: line.outcome.value.lower()} if line.outcome is Outcome.FAILED else {}
        self._durations.record(line.duration, {**attributes, **failed})
        if line.time_to_first_token is not None:
            self._first_chunks.record(line.time_to_first_token, attributes)
        usage = line.usage
        written = usage.cache_write_5m + usage.cache_write_1h
        counts = (usage.prompt, usage.output, usage.cache_read, written)
        for bucket, count in zip(_BUCKETS, counts, strict=True):
            self._tokens[bucket].add(count, attributes)
        if usage.cache_hit_share is not None:
            self._hit_shares.record(usage.cache_hit_share, attributes)

    def bounced(self, cause: str, tier: int) -> None:
        """An execution handed over."""
        self._bounces.add(1, {"cause": cause, TIER: tier})

    def sentences_held(self, count: int) -> None:
        """Sentences whose figures did not hold."""
        if count:
            self._held.add(count)
