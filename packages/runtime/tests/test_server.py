"""A service's life: starting, serving, draining, ending; in this process and as one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tiermesh.common.v1 import answer_pb2, context_pb2
from tiermesh_runtime import channels, server, testing
from tiermesh_runtime.settings import ServiceSettings
from tiermesh_runtime.startup import StartupError

DAY = datetime.timedelta(days=1)
SERVICE = "tiermesh.toy.v1.ToyService"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
VALID = context_pb2.RequestContext(request_id="r-1", tenant="acme", pack_version="hr@1.0.0")


@dataclass
class Process:
    """A running toy service."""

    child: asyncio.subprocess.Process
    said: list[str]

    async def line_with(self, words: str) -> str:
        """Return the next line of stderr that has `words`; fails when the process ends before."""
        assert self.child.stderr is not None
        async with asyncio.timeout(20):
            while line := (await self.child.stderr.readline()).decode():
                self.said.append(line)
                if words in line:
                    return line
        raise AssertionError(f"never said {words!r}: {''.join(self.said)}")

    async def address(self) -> str:
        """Return where it serves, once it does."""
        return str(json.loads(await self.line_with('"serving"'))["address"])

    async def end(self) -> int:
        """Return the exit code; everything said until then is in `said`."""
        assert self.child.stderr is not None
        async with asyncio.timeout(20):
            self.said.append((await self.child.stderr.read()).decode())
            return await self.child.wait()

    @property
    def text(self) -> str:
        return "".join(self.said)


Spawn = Callable[..., Awaitable[Process]]


@pytest.fixture
async def spawn() -> AsyncIterator[Spawn]:
    """Start toy services as processes; what is left of them is killed at the end."""
    children: list[asyncio.subprocess.Process] = []

    async def start(**environment: str) -> Process:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "TIERMESH_"))}
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).parent / "toy_process.py"),
            env=inherited | environment,
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        children.append(child)
        return Process(child, [])

    yield start
    for child in children:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


@dataclass
class Road:
    """A connection's way to a process, which counts what has reached the other side's socket."""

    address: str = ""
    delivered: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def has_delivered(self, count: int) -> None:
        """Return when so many bytes have gone to the process."""
        async with asyncio.timeout(20):
            while self.delivered < count:
                self.more.clear()
                await self.more.wait()

    async def carry(self, there: asyncio.StreamReader, back: asyncio.StreamWriter, *, counted: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await there.read(65536):
                back.write(piece)
                await back.drain()
                if counted:
                    self.delivered += len(piece)
                    self.more.set()
        back.close()


@contextlib.asynccontextmanager
async def _road(address: str) -> AsyncIterator[Road]:
    host, _, port = address.rpartition(":")
    road = Road()

    async def travel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(
            road.carry(reader, far_writer, counted=True), road.carry(far_reader, writer, counted=False)
        )

    listener = await asyncio.start_server(travel, "127.0.0.1", 0)
    road.address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield road


async def _status(channel: grpc.aio.Channel, service: str = "") -> Any:
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5, wait_for_ready=True)).status


def _call(channel: grpc.aio.Channel, kind: str, method: str, metadata: Any = ()) -> Any:
    start = getattr(channel, kind)(
        f"/{SERVICE}/{method}", context_pb2.RequestContext.SerializeToString, answer_pb2.TextChunk.FromString
    )
    return start(VALID, timeout=15, metadata=metadata)


async def test_health_tells_the_truth_over_the_whole_life(parts: Any) -> None:
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(server.serving(parts()))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.address))
        assert [await _status(channel, each) for each in ("", SERVICE)] == [SERVING, SERVING]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _status(channel, "no.such.Service")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        running.health.not_serving()
        assert [await _status(channel, each) for each in ("", SERVICE)] == [NOT_SERVING, NOT_SERVING]


async def test_every_watcher_learns_of_the_end_also_after_another_has_left(parts: Any) -> None:
    async with contextlib.AsyncExitStack() as stack:
        serving = server.serving(parts())
        running = await serving.__aenter__()
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.address))
        stub = health_pb2_grpc.HealthStub(channel)
        leaver = stub.Watch(health_pb2.HealthCheckRequest(), timeout=30)
        stayer = aiter(stub.Watch(health_pb2.HealthCheckRequest(), timeout=30))
        assert (await leaver.read()).status == (await anext(stayer)).status == SERVING
        leaver.cancel()
        await _status(channel)  # on the same connection, so the cancellation arrived before it
        started = time.monotonic()
        await serving.__aexit__(None, None, None)
        assert time.monotonic() - started < 0.9, "an open watch must not hold up the drain"
        assert [each.status async for each in stayer] == [NOT_SERVING]


async def test_reflection_names_the_services_unless_switched_off(parts: Any) -> None:
    async def names(settings: ServiceSettings) -> list[str]:
        async with server.serving(parts(), settings) as running, grpc.aio.insecure_channel(running.address) as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            call = stub.ServerReflectionInfo([reflection_pb2.ServerReflectionRequest(list_services="")], timeout=5)
            return [each.name for answer in [a async for a in call] for each in answer.list_services_response.service]

    assert set(await names(ServiceSettings(port=0))) >= {SERVICE, "grpc.health.v1.Health"}
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await names(ServiceSettings(port=0, reflection=False))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_service_that_checks_principals_does_not_start_without_key(parts: Any, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="TIERMESH_SERVICE_PRINCIPAL_PUBLIC_KEY is not set"):
        async with server.serving(parts(audience="classifier")):
            pass
    (tmp_path / "key.pem").write_text("no key")
    settings = ServiceSettings(port=0, principal_public_key=tmp_path / "key.pem")
    with pytest.raises(StartupError, match="no readable Ed25519 public key"):
        async with server.serving(parts(audience="classifier"), settings):
            pass


async def test_a_busy_port_is_a_start_up_error_that_names_the_setting(spawn: Spawn) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for workers in ("1", "2"):
            process = await spawn(TIERMESH_TOY_PORT=port, TIERMESH_TOY_WORKERS=workers)
            assert await process.end() == 2
            assert f"TIERMESH_TOY_PORT: cannot listen on 127.0.0.1:{port}" in process.text
            assert "Traceback" not in process.text


async def test_a_start_up_error_is_one_line_and_exit_code_2(spawn: Spawn) -> None:
    process = await spawn(TOY_FAIL="1")
    assert await process.end() == 2
    assert "tiermesh-toy cannot start: packs/hr/pack.yaml: no such file; run make setup\n" in process.text
    assert "Traceback" not in process.text


async def test_while_it_starts_it_says_not_serving_and_can_be_stopped(spawn: Spawn) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await spawn(TOY_SLOW="1", TIERMESH_TOY_PORT=str(port))
    await process.line_with("building")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await _status(channel) == NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _call(channel, "unary_unary", "whoami")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "The service is starting; try again shortly."
    process.child.terminate()
    assert await process.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_what_runs_and_ends_with_0(spawn: Spawn, number: int) -> None:
    process = await spawn()
    async with grpc.aio.insecure_channel(await process.address()) as channel:
        call = aiter(_call(channel, "unary_stream", "ticks"))
        got = [(await anext(call)).text]
        process.child.send_signal(number)
        await process.line_with("draining")
        got += [each.text async for each in call]
    assert got == [str(each) for each in range(10)]
    assert await process.end() == 0
    assert process.text.index("parts closed") > process.text.index("draining")


async def test_what_had_arrived_when_the_signal_came_is_served_also_by_a_busy_process(spawn: Spawn) -> None:
    process = await spawn()
    async with _road(await process.address()) as road, grpc.aio.insecure_channel(road.address) as channel:
        sizes = []
        for _ in range(8):
            before = road.delivered
            await _call(channel, "unary_unary", "whoami")
            sizes.append(road.delivered - before)
        busy = asyncio.ensure_future(_call(channel, "unary_unary", "busy"))
        await process.line_with("busy")
        before = road.delivered
        waiting = [asyncio.ensure_future(_call(channel, "unary_unary", "whoami")) for _ in range(20)]
        # The first ones are larger: headers that came before are told by their number.
        await road.has_delivered(before + 20 * min(sizes))
        process.child.terminate()
        assert process.child.stdin is not None
        process.child.stdin.write(b"look up\n")
        answers = await asyncio.gather(*waiting)
        await busy
    assert len({each.text for each in answers}) == 1
    assert await process.end() == 0


async def test_what_does_not_end_in_time_is_ended(spawn: Spawn) -> None:
    process = await spawn(TIERMESH_TOY_DRAIN_SECONDS="0.1")
    async with grpc.aio.insecure_channel(await process.address()) as channel:
        call = aiter(_call(channel, "unary_stream", "ticks"))
        await anext(call)
        process.child.terminate()
        with pytest.raises(grpc.aio.AioRpcError):
            assert len([each async for each in call]) < 9
    assert await process.end() == 0


async def test_a_dead_collector_delays_neither_requests_nor_the_end(spawn: Spawn) -> None:
    with socket.socket() as black_hole:
        black_hole.bind(("127.0.0.1", 0))
        black_hole.listen()  # takes connections and never says a word
        process = await spawn(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{black_hole.getsockname()[1]}")
        async with grpc.aio.insecure_channel(await process.address()) as channel:
            await _call(channel, "unary_unary", "whoami")
            started = time.monotonic()
            for _ in range(20):
                await _call(channel, "unary_unary", "whoami")
            assert time.monotonic() - started < 1
        started = time.monotonic()
        process.child.terminate()
        assert await process.end() == 0
        assert time.monotonic() - started < 4


async def test_spans_and_metrics_reach_a_collector(spawn: Spawn) -> None:
    async with testing.OtlpReceiver.running() as collector:
        process = await spawn(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
        async with grpc.aio.insecure_channel(await process.address()) as channel:
            await _call(channel, "unary_unary", "whoami")
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


async def test_several_workers_share_one_port_and_drain_together(spawn: Spawn) -> None:
    process = await spawn(TIERMESH_TOY_WORKERS="2")
    address = await process.address()
    assert await process.address() == address
    pids = set()
    async with asyncio.timeout(20):
        while len(pids) < 2:  # the kernel spreads connections, not calls
            options = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.insecure_channel(address, options) as channel:
                pids.add((await _call(channel, "unary_unary", "whoami")).text)
    assert str(process.child.pid) not in pids
    process.child.terminate()
    assert await process.end() == 0
    assert process.text.count('"stopped"') == 2


async def test_a_dead_worker_ends_all_with_1(spawn: Spawn) -> None:
    process = await spawn(TIERMESH_TOY_WORKERS="2")
    async with grpc.aio.insecure_channel(await process.address()) as channel:
        victim = int((await _call(channel, "unary_unary", "whoami")).text)
    os.kill(victim, signal.SIGKILL)
    assert await process.end() == 1
    assert f'"pid": {victim}' in process.text


async def test_workers_end_when_their_parent_is_killed(spawn: Spawn) -> None:
    process = await spawn(TIERMESH_TOY_WORKERS="2")
    await process.address()
    await process.address()
    process.child.kill()
    assert await process.end() == -signal.SIGKILL  # stderr ends only when the last worker has closed it
    assert process.text.count('"stopped"') == 2


def certified(folder: Path) -> dict[str, Path]:
    """Write a certificate for localhost that is its own CA; return the settings that name it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    (folder / "cert.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {"tls_certificate": folder / "cert.pem", "tls_key": folder / "key.pem"}


async def test_with_a_certificate_only_tls_is_served(parts: Any, toy: Any, tmp_path: Path) -> None:
    settings = ServiceSettings(host="localhost", port=0, **certified(tmp_path))
    async with server.serving(parts(), settings) as running:
        credentials = ServiceSettings(port=0, peer_ca=tmp_path / "cert.pem").channel_credentials()
        async with channels.open_channel(running.address, credentials=credentials) as channel:
            assert await toy(running.address, channel).ask("unary_unary") == ["r-1"]
        async with channels.open_channel(running.address) as plain:
            error = await toy(running.address, plain).refusal("unary_unary", timeout=5)
        assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_with_a_client_ca_only_callers_with_a_certificate_get_in(parts: Any, toy: Any, tmp_path: Path) -> None:
    own = certified(tmp_path)
    ca = tmp_path / "cert.pem"
    settings = ServiceSettings(host="localhost", port=0, tls_client_ca=ca, peer_ca=ca, **own)
    async with server.serving(parts(), settings) as running:
        async with channels.open_channel(running.address, credentials=settings.channel_credentials()) as channel:
            assert await toy(running.address, channel).ask("unary_unary") == ["r-1"]
        nobody = ServiceSettings(port=0, peer_ca=ca).channel_credentials()
        async with channels.open_channel(running.address, credentials=nobody) as channel:
            error = await toy(running.address, channel).refusal("unary_unary", timeout=5)
        assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_probes_without_a_certificate_have_a_port_that_serves_health_alone(
    parts: Any, toy: Any, tmp_path: Path
) -> None:
    ca = tmp_path / "cert.pem"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        free_port = free.getsockname()[1]
    settings = ServiceSettings(host="localhost", port=0, health_port=free_port, tls_client_ca=ca, **certified(tmp_path))
    async with server.serving(parts(), settings), grpc.aio.insecure_channel(f"localhost:{free_port}") as plain:
        probe = health_pb2_grpc.HealthStub(plain)
        named = health_pb2.HealthCheckRequest(service=SERVICE)
        assert (await probe.Check(named, timeout=10)).status == SERVING
        error = await toy("", plain).refusal("unary_unary", timeout=10)
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_without_a_ca_channels_are_plaintext() -> None:
    assert ServiceSettings(port=0).channel_credentials() is None


async def test_every_log_line_carries_service_request_and_trace(spawn: Spawn) -> None:
    process = await spawn()
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with grpc.aio.insecure_channel(await process.address()) as channel:
        await _call(
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
