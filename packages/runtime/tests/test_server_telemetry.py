"""What a service's process tells: spans and metrics to a collector, lines to the log."""

from __future__ import annotations

import json
import socket
import time

import grpc
from tiermesh_runtime import testing

from .spawned import Spawn
from .toy_calls import call_toy
from .toy_service import SERVICE


async def test_a_dead_collector_delays_neither_requests_nor_the_end(spawn: Spawn) -> None:
    with socket.socket() as black_hole:
        black_hole.bind(("127.0.0.1", 0))
        black_hole.listen()  # takes connections and never says a word
        process = await spawn(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{black_hole.getsockname()[1]}")
        async with grpc.aio.insecure_channel(await process.address()) as channel:
            await call_toy(channel, "unary_unary", "whoami")
            started = time.monotonic()
            for _ in range(20):
                await call_toy(channel, "unary_unary", "whoami")
            assert time.monotonic() - started < 1
        started = time.monotonic()
        process.child.terminate()
        assert await process.end() == 0
        assert time.monotonic() - started < 4


async def test_spans_and_metrics_reach_a_collector(spawn: Spawn) -> None:
    async with testing.OtlpReceiver.running() as collector:
        process = await spawn(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
        async with grpc.aio.insecure_channel(await process.address()) as channel:
            await call_toy(channel, "unary_unary", "whoami")
        process.child.terminate()
        assert await process.end() == 0
        await collector.wait_for(lambda got: bool(got.spans() and got.metrics))
        [(service, span)] = collector.spans()
        assert (service, span.name) == ("tiermesh-toy", f"{SERVICE}/whoami")
        names = {
            metric.name
            for request in collector.metrics
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }
        assert {"rpc.server.call.duration", "tiermesh.server.in_flight"} <= names


async def test_every_log_line_carries_service_request_and_trace(spawn: Spawn) -> None:
    process = await spawn()
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with grpc.aio.insecure_channel(await process.address()) as channel:
        await call_toy(
            channel,
            "unary_unary",
            "whoami",
            metadata=(("traceparent", f"00-{trace}-b7ad6b7169203331-01"), ("tiermesh-request-id", "q-9")),
        )
    for words in ('"asked"', '"also asked"'):
        line = json.loads(await process.line_with(words))
        assert (line["service"], line["request_id"], line["trace_id"]) == ("toy", "q-9", trace)
        assert line["span_id"] != "b7ad6b7169203331"
        assert {"timestamp", "level"} <= line.keys()


async def test_logs_for_people_have_the_same_words(spawn: Spawn) -> None:
    process = await spawn(TIERMESH_TOY_LOG_FORMAT="console")
    assert "address" in await process.line_with("serving")
    process.child.terminate()
    assert await process.end() == 0
