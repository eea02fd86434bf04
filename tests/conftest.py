"""A whole suite of processes for tests that cross services: seeded, on the simulator, traced into a collector here.

One suite serves a test session. Tests that stop or kill a process start one of their own (`own_suite`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2
from tiermesh_cli.home import Home
from tiermesh_cli.testing import COMMAND, running

PROJECT = Path(__file__).parents[1]


@dataclass
class Collector:
    """An OTLP/gRPC receiver in a thread of the test process."""

    endpoint: str = ""
    spans_seen: list[tuple[str, trace_pb2.Span]] = field(default_factory=list)
    metrics_seen: set[str] = field(default_factory=set)
    exemplars_seen: set[tuple[str, str]] = field(default_factory=set)  # metric, trace id
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def Export(self, request: Any, context: Any) -> Any:
        if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest):
            with self.arrived:
                for resource in request.resource_metrics:
                    metrics = [metric for scope in resource.scope_metrics for metric in scope.metrics]
                    self.metrics_seen |= {metric.name for metric in metrics}
                    self.exemplars_seen |= {
                        (metric.name, exemplar.trace_id.hex())
                        for metric in metrics
                        for point in metric.histogram.data_points
                        for exemplar in point.exemplars
                    }
                self.arrived.notify_all()
            return metrics_service_pb2.ExportMetricsServiceResponse()
        with self.arrived:
            for resource in request.resource_spans:
                names = [a.value.string_value for a in resource.resource.attributes if a.key == "service.name"]
                self.spans_seen += [(names[0], span) for scope in resource.scope_spans for span in scope.spans]
            self.arrived.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def trace(self, trace_id: str) -> list[tuple[str, trace_pb2.Span]]:
        """Return (service, span) of one trace as far as it came in."""
        return [(service, span) for service, span in self.spans_seen if span.trace_id.hex() == trace_id]

    def wait_for(self, trace_id: str, enough: Callable[[list[tuple[str, trace_pb2.Span]]], bool]) -> None:
        """Return when `enough(spans of the trace)` holds; fails after 20 s, naming what came."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: enough(self.trace(trace_id)), timeout=20):
                came = sorted({(service, span.name) for service, span in self.trace(trace_id)})
                pytest.fail(f"of trace {trace_id} only these spans came: {came}")

    def wait_for_exemplars(self, metrics: set[str], trace_id: str) -> None:
        """Return when a bucket of each histogram has named the trace; fails after 30 s, saying which did not."""
        wanted = {(name, trace_id) for name in metrics}
        with self.arrived:
            if not self.arrived.wait_for(lambda: wanted <= self.exemplars_seen, timeout=30):
                pytest.fail(f"no exemplar of {trace_id} in: {sorted(wanted - self.exemplars_seen)}")

    def wait_for_metrics(self, names: set[str]) -> None:
        """Return when each was exported once; fails after 30 s, naming those that were not."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: names <= self.metrics_seen, timeout=30):
                pytest.fail(f"never exported: {sorted(names - self.metrics_seen)}")


@dataclass
class Suite:
    """A running suite."""

    state: Path
    process: subprocess.Popen[str]
    gateway: str
    addresses: Mapping[str, str]
    pids: Mapping[str, int]
    # A copy of the seeded database, for plain SQL beside the aggregator.
    database: Path

    def run(self, *arguments: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command against this suite."""
        return subprocess.run(
            [*COMMAND, *arguments, "--state", str(self.state)],
            cwd=PROJECT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def ask(self, question: str, *options: str) -> list[dict[str, Any]]:
        """Ask and return the events; fails when the command does."""
        done = self.run("ask", question, "--json", *options)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return [json.loads(line) for line in done.stdout.splitlines()]

    def log(self, name: str) -> str:
        """Return a process's log."""
        return (self.state / "logs" / f"{name}.log").read_text()


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    sink = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(sink, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(sink, server)
    sink.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield sink
    server.stop(0).wait()


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small seeded company, made once."""
    state = tmp_path_factory.mktemp("seeded")
    subprocess.run(
        [*COMMAND, "seed", "--employees", "150", "--years", "2", "--state", str(state)],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return state / "data" / "hr.duckdb"


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory, seeded: Path, collector: Collector) -> Iterator[Suite]:
    with running_suite(tmp_path_factory.mktemp("suite"), seeded, collector) as started:
        yield started


@pytest.fixture
def own_suite(tmp_path: Path, seeded: Path, collector: Collector) -> Iterator[Suite]:
    """A suite that the test may break."""
    with running_suite(tmp_path, seeded, collector) as started:
        yield started


@contextmanager
def running_suite(state: Path, seeded: Path, collector: Collector, **settings: str) -> Iterator[Suite]:
    """Run `tiermesh up` while the block runs, with more settings in its environment."""
    (state / "data").mkdir(parents=True)
    shutil.copy(seeded, state / "data" / "hr.duckdb")
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        # A loaded test machine is no reason to take the failure policy.
        "TIERMESH_GATEWAY_CLASSIFY_SECONDS": "5",
        "TIERMESH_SUGGESTER_CLASSIFY_SECONDS": "10",
        **settings,
    }
    with running(Home(PROJECT, state), environment) as (process, note):
        yield Suite(state, process, note.gateway, note.addresses, note.pids, seeded)
