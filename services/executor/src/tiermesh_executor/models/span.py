"""The span of one model call by the GenAI conventions, for SDKs that make none. No content, ever."""

import time
from types import TracebackType
from typing import Self

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from tiermesh_runtime import semconv, telemetry

from tiermesh_executor.models.events import ModelEvent, Started, Stop, TextDelta, ToolCallStarted, UsageSeen
from tiermesh_executor.models.provider import ProviderError
from tiermesh_executor.models.request import ModelRequest

_PROPAGATOR = TraceContextTextMapPropagator()


class ChatSpan:
    """Around one call. It is never the current span: a generator leaves its caller's context alone."""

    def __init__(self, provider: str, request: ModelRequest) -> None:
        """Starts the span."""
        attributes: dict[str, str | int | bool] = {
            semconv.GEN_AI_OPERATION: "chat",
            semconv.GEN_AI_PROVIDER: provider,
            semconv.GEN_AI_REQUEST_MODEL: request.model,
            semconv.GEN_AI_REQUEST_MAX_TOKENS: request.max_tokens,
            semconv.GEN_AI_REQUEST_STREAM: True,
        }
        if request.conversation_id:
            attributes[semconv.GEN_AI_CONVERSATION] = request.conversation_id
        self._span = telemetry.tracer("tiermesh_executor.models").start_span(
            f"chat {request.model}", kind=trace.SpanKind.CLIENT, attributes=attributes
        )
        self._started = time.perf_counter()
        self._spoke = False

    def headers(self) -> dict[str, str]:
        """The trace context, for a provider that traces too; tenant and conversation are none of its business."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, context=trace.set_span_in_context(self._span))
        return carrier

    def observe(self, event: ModelEvent) -> None:
        """What of an event belongs on the span."""
        match event:
            case Started(model, request_id):
                self._span.set_attribute(semconv.GEN_AI_RESPONSE_MODEL, model)
                self._span.set_attribute(semconv.GEN_AI_RESPONSE_ID, request_id)
            case TextDelta() | ToolCallStarted() if not self._spoke:
                self._spoke = True
                self._span.set_attribute(semconv.GEN_AI_TIME_TO_FIRST_CHUNK, time.perf_counter() - self._started)
            case UsageSeen(usage):
                written = usage.cache_write_5m + usage.cache_write_1h
                self._span.set_attributes(
                    {
                        semconv.GEN_AI_INPUT_TOKENS: usage.prompt,
                        semconv.GEN_AI_OUTPUT_TOKENS: usage.output,
                        semconv.GEN_AI_CACHE_READ_TOKENS: usage.cache_read,
                        semconv.GEN_AI_CACHE_WRITE_TOKENS: written,
                    }
                )
            case Stop(reason):
                self._span.set_attribute(semconv.GEN_AI_FINISH_REASONS, [reason.value])
            case _:
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, ProviderError):
            self._span.set_attribute(semconv.ERROR_TYPE, error.kind.value)
            self._span.set_status(trace.StatusCode.ERROR)
        elif error is not None and not isinstance(error, GeneratorExit):
            self._span.set_attribute(semconv.ERROR_TYPE, type(error).__name__)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()
