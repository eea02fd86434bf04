"""The one server that all services are: health, reflection, layers, signals, drain.

`run` is what a service's `__main__` ends with; `serving` is the same server inside a
test. Not here: what happens around a handler (`interceptors`), several processes (`workers`).
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import structlog
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tiermesh_runtime import interceptors, telemetry, workers
from tiermesh_runtime.health import Health
from tiermesh_runtime.principal import PrincipalVerifier
from tiermesh_runtime.settings import ServiceSettings, env_prefix
from tiermesh_runtime.startup import EXIT_CANNOT_START, StartupError

LONGEST_STREAM_SECONDS = 200
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_MOST_PROBES = 20
# Between NOT_SERVING and closing: callers that watch health turn elsewhere, and what is on its way is taken.
_TAKING_SECONDS = 0.25
# A call makes a few thousand objects, hardly any of them in cycles: looking every 700, as is usual, finds nothing.
_ALLOCATIONS_PER_COLLECTION = 20_000

S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True)
class Registration:
    """One gRPC service: the generated add function, its servicer and its full name."""

    add: Callable[[Any, grpc.aio.Server], None]
    servicer: object
    full_name: str  # "tiermesh.classifier.v1.ClassifierService"


@dataclass(frozen=True)
class ServiceParts:
    """What a service is made of once its clients and models are ready."""

    name: str
    registrations: Sequence[Registration]
    audience: str | None  # what principals must be meant for; None asks for no principal (the gateway)
    interceptors: Sequence[grpc.aio.ServerInterceptor] = ()  # extra, innermost


@dataclass(frozen=True)
class RunningServer:
    """A server that serves."""

    address: str
    health: Health


def run(settings: S, build: Callable[[S], AbstractAsyncContextManager[ServiceParts]]) -> int:
    """Serve until SIGTERM or SIGINT, then drain; return the exit code. `build` closes its things after the drain."""
    telemetry.configure_logs(settings.service_name, settings.log_level, settings.log_format)
    try:
        if settings.workers > 1 and not workers.is_worker():
            return workers.supervise(settings)
        started = telemetry.start(settings.service_name, telemetry.version_of(f"tiermesh-{settings.service_name}"))
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_run(settings, build))
        finally:
            started.shutdown()
    except StartupError as error:
        sys.stderr.write(f"tiermesh-{settings.service_name} cannot start: {error}\n")
        return EXIT_CANNOT_START


def _spare_what_stays() -> None:
    """Keep the collector of cycles away from models, packs and tables, which live as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION, 20, 20)


async def _run(settings: S, build: Callable[[S], AbstractAsyncContextManager[ServiceParts]]) -> int:
    host = _Host(settings)
    stop = asyncio.Event()
    main = asyncio.current_task()
    ready = False

    def on_signal() -> None:
        if not ready and main is not None and not stop.is_set():
            main.cancel()
        stop.set()

    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, on_signal)
    workers.on_parent_gone(loop, on_signal)
    log = structlog.get_logger()
    try:
        await host.start(settings.port)
        async with build(settings) as parts:
            host.open(parts)
            _spare_what_stays()
            ready = True
            log.info("serving", address=host.address, services=[each.full_name for each in parts.registrations])
            await stop.wait()
            log.info("draining", seconds=settings.drain_seconds)
            await host.drain(settings.drain_seconds)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    finally:
        await host.stop(0)
    log.info("stopped")
    return 0


@asynccontextmanager
async def serving(
    parts: ServiceParts, settings: ServiceSettings | None = None, *, port: int = 0
) -> AsyncIterator[RunningServer]:
    """Serve `parts` in this process, with everything around them that `run` has except signals and telemetry set-up."""
    host = _Host(settings or ServiceSettings(port=port))
    await host.start(port)
    try:
        host.open(parts)
        yield RunningServer(host.address, host.health)
    finally:
        await host.stop(1.0)


class _Host:
    """A grpc server from NOT_SERVING through SERVING to drained."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._chain = interceptors.CallChain()
        self._handlers = _LateHandlers()
        self._server = grpc.aio.server(
            handlers=[self._handlers],
            interceptors=[self._chain],
            options=_options(settings.max_in_flight, workers.is_worker()),
        )
        # A server of its own: another port of the same one would let every call in without a certificate.
        self._probed = grpc.aio.server(options=_options(_MOST_PROBES, workers.is_worker()))
        self._stopped = False
        self.health = Health()
        self.address = ""

    async def start(self, port: int) -> None:
        """Listen, answering health with NOT_SERVING and everything else with NOT_READY."""
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)  # type: ignore[no-untyped-call] # published untyped
        bound = self._listen("PORT", workers.shared_port() or port, self._bind)
        self.address = f"{self._settings.host}:{bound}"
        await self._server.start()
        if self._settings.health_port:
            health_pb2_grpc.add_HealthServicer_to_server(self.health, self._probed)  # type: ignore[no-untyped-call] # published untyped
            self._listen("HEALTH_PORT", self._settings.health_port, self._probed.add_insecure_port)
            await self._probed.start()

    def _listen(self, setting: str, port: int, bind: Callable[[str], int]) -> int:
        wanted = f"{self._settings.host}:{port}"
        try:
            return bind(wanted)
        except RuntimeError as error:
            variable = env_prefix(type(self._settings))
            raise StartupError(
                f"{variable}{setting}: cannot listen on {wanted}: the port is in use, or not allowed; "
                f"stop what uses it or set {variable}{setting} (and {variable}HOST) to something else"
            ) from error

    def _bind(self, wanted: str) -> int:
        settings = self._settings
        if settings.tls_certificate is None or settings.tls_key is None:
            return self._server.add_insecure_port(wanted)
        ca = settings.tls_client_ca.read_bytes() if settings.tls_client_ca is not None else None
        credentials = grpc.ssl_server_credentials(
            [(settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes())],
            root_certificates=ca,
            require_client_auth=ca is not None,
        )
        return self._server.add_secure_port(wanted, credentials)

    def open(self, parts: ServiceParts) -> None:
        """Let calls in."""
        names = [each.full_name for each in parts.registrations]
        for each in parts.registrations:
            each.add(each.servicer, self._handlers.as_server())
        if self._settings.reflection:
            known = (*names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(known, self._handlers.as_server())  # type: ignore[no-untyped-call] # published untyped
        self._chain.open(_layers(self._settings, parts), parts.interceptors)
        self.health.serving(names)

    async def drain(self, seconds: float) -> None:
        """Say NOT_SERVING, take what has arrived, then `stop`: the library drops a call that no handler has taken."""
        self.health.not_serving()
        taking = min(_TAKING_SECONDS, seconds)
        await asyncio.sleep(taking)
        await self.stop(seconds - taking)

    async def stop(self, grace: float) -> None:
        """Say NOT_SERVING, let running calls finish for `grace` seconds, then end the rest. Works once."""
        if self._stopped:
            return
        self._stopped = True
        self.health.not_serving()
        stopping = asyncio.ensure_future(self._server.stop(grace))
        self.health.close()
        await stopping
        await self._probed.stop(0)


def _layers(settings: ServiceSettings, parts: ServiceParts) -> Sequence[interceptors.Layer]:
    """Return what surrounds every handler, outermost first. The order is the README's, with its reasons."""
    limit = interceptors.LoadLimit(settings.max_in_flight)
    telemetry.observe_in_flight(lambda: limit.in_flight)
    layers: list[interceptors.Layer] = [
        interceptors.request_identity,
        interceptors.Telemetry(inside=parts.audience is not None),
        interceptors.error_translation,
        limit,
        interceptors.Deadline(settings.default_deadline_seconds, settings.max_deadline_seconds),
    ]
    if parts.audience is not None:
        layers.append(interceptors.Authentication(_verifier(settings, parts.audience)))
    validation = interceptors.Validation()
    for each in parts.registrations:
        validation.warm(each.full_name)
    layers.append(validation)
    return layers


def _verifier(settings: ServiceSettings, audience: str) -> PrincipalVerifier:
    variable = f"{env_prefix(type(settings))}PRINCIPAL_PUBLIC_KEY"
    path = settings.principal_public_key
    if path is None:
        raise StartupError(f"{variable} is not set; name the PEM file with the gateway's Ed25519 public key")
    try:
        return PrincipalVerifier(path.read_bytes(), audience)
    except (OSError, ValueError) as error:
        raise StartupError(f"{variable}: {path} is no readable Ed25519 public key in PEM form") from error


def _options(max_in_flight: int, shared_port: bool) -> list[tuple[str, Any]]:
    return [
        ("grpc.so_reuseport", int(shared_port)),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.http2.ping_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.max_connection_age_ms", 300_000),
        ("grpc.max_connection_age_grace_ms", LONGEST_STREAM_SECONDS * 1000),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # More than are served, so that what exceeds the limit is refused at once and does not queue at the client.
        ("grpc.max_concurrent_streams", max_in_flight + 100),
    ]


class _LateHandlers(grpc.GenericRpcHandler):
    """Handlers that can be added to a server that has started: grpc wants its own before."""

    def __init__(self) -> None:
        self._handlers: list[grpc.GenericRpcHandler] = []

    def as_server(self) -> Any:
        """Return what the generated add functions take for a server."""
        return self

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Called by generated code."""
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, _service: str, _handlers: object) -> None:
        """Called by generated code; the same handlers come through the other way too."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a method, None when nobody has one."""
        for each in self._handlers:
            found = each.service(handler_call_details)
            if found is not None:
                return found
        return None
