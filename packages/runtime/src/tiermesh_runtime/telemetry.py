"""Traces, metrics and logs: configured by the standard OTEL_* variables, never in a request's way.

Lives here: providers, exporters, log format. Not here: attribute names (`semconv`),
the spans of calls (`interceptors`, `channels`).
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

import structlog
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tiermesh_runtime import call_context, semconv

EXPORT_SECONDS = 2
SHUTDOWN_SECONDS = 2.0
# From a millisecond to the longest stream.
_DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180)


def tracer(name: str) -> trace.Tracer:
    """Return a tracer of the process's provider, also when that is configured later."""
    return trace.get_tracer(name)


def meter(name: str) -> metrics.Meter:
    """Return a meter of the process's provider, also when that is configured later."""
    return metrics.get_meter(name)


def duration_histogram(name: str) -> metrics.Histogram:
    """Return the histogram `name` in seconds, with bounds that suit calls."""
    return meter("tiermesh_runtime").create_histogram(
        name, unit="s", explicit_bucket_boundaries_advisory=_DURATION_BUCKETS
    )


def observe_in_flight(count: Callable[[], int]) -> None:
    """Report the calls that are being served, read when metrics are collected."""
    meter("tiermesh_runtime").create_observable_up_down_counter(
        semconv.IN_FLIGHT, [lambda _options: [metrics.Observation(count())]], unit="{call}"
    )


@dataclass(frozen=True)
class Telemetry:
    """What was started and has to be flushed at the end."""

    traces: TracerProvider | None
    metrics: MeterProvider | None

    def shutdown(self, seconds: float = SHUTDOWN_SECONDS) -> None:
        """Flush and stop; gives up after `seconds`, whatever the collector does."""
        worker = threading.Thread(target=self._shutdown, daemon=True, name="telemetry-shutdown")
        worker.start()
        worker.join(seconds)

    def _shutdown(self) -> None:
        if self.traces is not None:
            self.traces.shutdown()
        if self.metrics is not None:
            self.metrics.shutdown(timeout_millis=EXPORT_SECONDS * 1000)


def start(service: str, version: str) -> Telemetry:
    """Configure the process's telemetry. Without an OTLP endpoint spans exist but go nowhere."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Telemetry(None, None)
    resource = Resource.create(
        {
            "service.namespace": "tiermesh",
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or f"tiermesh-{service}",
            "service.version": version,
            "service.instance.id": f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
        }
    )
    # Both providers would otherwise flush once more, unbounded, at interpreter exit.
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    if _exports("TRACES"):
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=_export_timeout("TRACES"))))
    trace.set_tracer_provider(traces)
    meters = None
    if _exports("METRICS"):
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=_export_timeout("METRICS")))
        meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        metrics.set_meter_provider(meters)
    return Telemetry(traces, meters)


def _exports(signal: Literal["TRACES", "METRICS"]) -> bool:
    if os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip() == "none":
        return False
    return bool(
        os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    )


def _export_timeout(signal: Literal["TRACES", "METRICS"]) -> int | None:
    """Return our short timeout unless the environment has one of its own."""
    named = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_TIMEOUT") or os.environ.get("OTEL_EXPORTER_OTLP_TIMEOUT")
    return None if named else EXPORT_SECONDS


def version_of(distribution: str) -> str:
    """Return the installed version of a distribution, "0" when it runs from a source tree."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "0"


def configure_logs(service: str, level: str = "INFO", style: Literal["json", "console"] = "json") -> None:
    """Send structlog and the standard library's logging to stderr, one line per event, with trace and request id."""
    number = logging.getLevelNamesMapping()[level]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Stamp(service),
    ]
    # Tracebacks alone, in either style: local variables may be personal.
    renderer: Any = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    if style == "json":
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


@dataclass(frozen=True)
class _Stamp:
    """Adds what tells one line from another: service, request and span."""

    service: str

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        event["service"] = self.service
        request_id = call_context.request_id()
        if request_id:
            event.setdefault("request_id", request_id)
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            event["trace_id"] = trace.format_trace_id(span.trace_id)
            event["span_id"] = trace.format_span_id(span.span_id)
        return event
