"""Channels to other services: no call without a deadline, the question's identity and trace on every call.

The wrapping is done around the channel's callables, not with grpc's client
interceptors: those run each call in a task of its own and every streamed message
through one more generator, and the published tracing ones keep a cancelled call running.

Not here: what to do when a call fails (services), decoding errors (`errors.from_call`).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import grpc
from opentelemetry import propagate, trace

from tiermesh_runtime import call_context, deadlines, semconv, telemetry
from tiermesh_runtime.principal import METADATA_KEY

DEFAULT_TIMEOUT_SECONDS = 10.0
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")

C = TypeVar("C", bound=grpc.aio.Call)


def open_channel(
    address: str,
    *,
    idempotent: Sequence[str] = (),
    health_service: str | None = "",
    default_timeout: float = DEFAULT_TIMEOUT_SECONDS,
    credentials: grpc.ChannelCredentials | None = None,
) -> grpc.aio.Channel:
    """Return a channel to "host:port" that spreads calls over all addresses of the host.

    `idempotent` names the full methods ("/tiermesh.x.v1.XService/Get") that are tried
    again while the service is unreachable. `health_service` is the health name that a
    server must be SERVING to get calls, None to ask none. ValueError for a bad address.
    """
    target = f"dns:///{checked_address(address)}"
    options = [*_OPTIONS, ("grpc.service_config", json.dumps(_service_config(idempotent, health_service)))]
    plain = (
        grpc.aio.insecure_channel(target, options)
        if credentials is None
        else grpc.aio.secure_channel(target, credentials, options)
    )
    return _Channel(plain, default_timeout)


def checked_address(address: str) -> str:
    """Return `address` when it is "host:port"; ValueError that says what it should look like."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise ValueError(f"{address!r} is no address; write host:port, such as 127.0.0.1:50051")
    return address


def tls_credentials(
    ca: Path | None, certificate: Path | None = None, key: Path | None = None
) -> grpc.ChannelCredentials | None:
    """Return what a channel over TLS is opened with: the CA of the callee, and what is shown to one that asks for it.

    None without a CA: plaintext. OSError when a file cannot be read.
    """
    if ca is None:
        return None
    shown = (key.read_bytes(), certificate.read_bytes()) if key and certificate else (None, None)
    return grpc.ssl_channel_credentials(ca.read_bytes(), *shown)


@asynccontextmanager
async def abandoning(call: C) -> AsyncIterator[C]:
    """Cancel `call` on leaving the block: a stream that is merely dropped goes on at the server to its end."""
    try:
        yield call
    finally:
        call.cancel()


_OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.keepalive_time_ms", 10_000),
    # keepalive_timeout_ms has no effect in C-core; this decides when a silent peer is given up.
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.enable_retries", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Despite its name the time that one attempt to connect gets: a callee on a busy core needs more than a moment.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.enable_http_proxy", 0),
)


def _service_config(idempotent: Sequence[str], health_service: str | None) -> dict[str, Any]:
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if health_service is not None:
        config["healthCheckConfig"] = {"serviceName": health_service}
    if idempotent:
        names = [full.lstrip("/").split("/") for full in idempotent]
        config["methodConfig"] = [
            {
                "name": [{"service": service, "method": method} for service, method in names],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 4,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
        config["retryThrottling"] = {"maxTokens": 10, "tokenRatio": 0.1}
    return config


class _Channel(grpc.aio.Channel):
    """A channel whose calls carry deadline, request id, principal and trace."""

    def __init__(self, plain: grpc.aio.Channel, default_timeout: float) -> None:
        self._plain = plain
        self._default_timeout = default_timeout
        self._tracer = telemetry.tracer("tiermesh_runtime.client")
        self._duration = telemetry.duration_histogram(semconv.CLIENT_CALL_DURATION)

    def _method(self, kind: str, method: str, *arguments: Any, **options: Any) -> Any:
        multicallable = getattr(self._plain, kind)(method, *arguments, **options)
        return _Method(multicallable, method, self._default_timeout, self._tracer, self._duration)

    def unary_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._method("unary_unary", method, *arguments, **options)

    def unary_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._method("unary_stream", method, *arguments, **options)

    def stream_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._method("stream_unary", method, *arguments, **options)

    def stream_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._method("stream_stream", method, *arguments, **options)

    async def close(self, grace: float | None = None) -> None:
        await self._plain.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._plain.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._plain.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._plain.channel_ready()

    async def __aenter__(self) -> _Channel:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self._plain.close()


class _Method:
    """One method of a channel: starts calls and sees their end, and stays out of the way in between."""

    def __init__(self, plain: Any, method: str, default_timeout: float, tracer: trace.Tracer, duration: Any) -> None:
        self._plain = plain
        self._name = method.lstrip("/")
        self._hop = self._name.split("/")[0].rsplit(".", 1)[-1].removesuffix("Service").lower()
        self._default_timeout = default_timeout
        self._tracer = tracer
        self._duration = duration
        self._attributes = {semconv.RPC_SYSTEM: semconv.GRPC, semconv.RPC_METHOD: self._name}

    def __call__(
        self, *request: Any, timeout: float | None = None, metadata: Any = None, **options: Any
    ) -> grpc.aio.Call:
        state = call_context.current()
        span = self._tracer.start_span(self._name, kind=trace.SpanKind.CLIENT, attributes=self._attributes)
        started = time.perf_counter()
        try:
            call: grpc.aio.Call = self._plain(
                *request, timeout=self._timeout(timeout), metadata=_metadata(metadata, state, span), **options
            )
        except BaseException as error:  # the channel is closed, or an argument is wrong
            span.set_attribute(semconv.ERROR_TYPE, type(error).__name__)
            span.set_status(trace.StatusCode.ERROR)
            span.end()
            raise
        call.add_done_callback(partial(self._finish, span, started, state))
        return call

    def _timeout(self, timeout: float | None) -> float:
        left = deadlines.remaining()
        if timeout is None:
            return self._default_timeout if left is None else left
        return timeout if left is None else min(timeout, left)

    def _finish(
        self, span: trace.Span, started: float, state: call_context.CallContext | None, call: grpc.aio.Call
    ) -> None:
        code = _code_of(call).name
        span.set_attribute(semconv.RPC_STATUS_CODE, code)
        if code != "OK":
            span.set_attribute(semconv.ERROR_TYPE, code)
            span.set_status(trace.StatusCode.ERROR)
            if state is not None:
                state.failed_hop = self._hop
        span.end()
        self._duration.record(time.perf_counter() - started, {**self._attributes, semconv.RPC_STATUS_CODE: code})


def _metadata(given: Any, state: call_context.CallContext | None, span: trace.Span) -> tuple[tuple[str, Any], ...]:
    carried: dict[str, Any] = {}
    if state is not None:
        if state.request_id:
            carried[call_context.REQUEST_ID_KEY] = state.request_id
        if state.token:
            carried[METADATA_KEY] = state.token
    propagate.inject(carried, trace.set_span_in_context(span))
    if given:
        named = tuple(given)
        for key, _ in named:
            carried.pop(key, None)
        return (*named, *carried.items())
    return tuple(carried.items())


def _code_of(call: grpc.aio.Call) -> grpc.StatusCode:
    """Return the code of a finished call. `code()` has nothing to wait for then, so one step is its whole run."""
    step = call.code()
    try:
        step.send(None)
    except StopIteration as finished:
        code: grpc.StatusCode = finished.value
        return code
    step.close()
    return grpc.StatusCode.UNKNOWN
