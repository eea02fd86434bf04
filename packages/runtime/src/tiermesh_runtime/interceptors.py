"""What happens around every handler: one ordered list of layers, the same for all four kinds of call.

A layer is `async (call, proceed) -> response`; it acts before, after or around
`await proceed(call)`. Streamed responses are written to the context by the innermost
step, so that no layer costs anything per message except validation.

Not here: how errors look on the wire (`errors`), what a token must hold (`principal`),
starting and stopping (`server`).
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
import protovalidate
import structlog
from google.protobuf import descriptor_pool, message, message_factory
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace

from tiermesh_runtime import call_context, deadlines, errors, question_baggage, semconv, telemetry
from tiermesh_runtime.call_context import CallContext
from tiermesh_runtime.errors import FieldViolation, RpcError
from tiermesh_runtime.moments import broken_moments
from tiermesh_runtime.principal import METADATA_KEY, PrincipalVerifier

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Health and reflection answer without principal, limits and spans.
_PLATFORM_PREFIX = "/grpc."
# A span is an error when the server is to blame, as the RPC conventions list it.
_SERVER_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class ServerCall:
    """One call on its way through the layers. `request` is a message, or an async iterator of them."""

    method: str  # "tiermesh.classifier.v1.ClassifierService/Classify"
    request: Any
    context: Context
    metadata: dict[str, Any]
    state: CallContext
    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""


Proceed = Callable[[ServerCall], Awaitable[Any]]
Layer = Callable[[ServerCall, Proceed], Awaitable[Any]]
Encode = Callable[[Any], bytes]


async def request_identity(call: ServerCall, proceed: Proceed) -> Any:
    """Give the call its request id: the caller's when it has the right form, else a new one."""
    given = call.metadata.get(call_context.REQUEST_ID_KEY, "")
    valid = isinstance(given, str) and _REQUEST_ID.fullmatch(given)
    call.state.request_id = given if valid else uuid.uuid4().hex
    call_context.enter(call.state)
    return await proceed(call)


@dataclass(slots=True)
class Telemetry:
    """A SERVER span over the call's whole life, and its duration.

    `inside` says that only services of the suite can call: their baggage is believed, a stranger's is left behind.
    """

    inside: bool = False
    tracer: trace.Tracer = field(default_factory=lambda: telemetry.tracer("tiermesh_runtime.server"))
    duration: Any = field(default_factory=lambda: telemetry.duration_histogram(semconv.SERVER_CALL_DURATION))

    async def __call__(self, call: ServerCall, proceed: Proceed) -> Any:
        parent = self._parent(call.metadata)
        span = self.tracer.start_span(
            call.method,
            parent,
            trace.SpanKind.SERVER,
            {
                semconv.RPC_SYSTEM: semconv.GRPC,
                semconv.RPC_METHOD: call.method,
                semconv.REQUEST_ID: call.state.request_id,
                **question_baggage.attributes(parent),
            },
        )
        # The task ends with the call, and the attached context with the task.
        otel_context.attach(trace.set_span_in_context(span, parent))
        started = time.perf_counter()
        try:
            return await proceed(call)
        finally:
            self._finish(call, span, time.perf_counter() - started)

    def _parent(self, metadata: dict[str, Any]) -> otel_context.Context:
        if "traceparent" not in metadata:
            return otel_context.Context()
        parent = propagate.extract(metadata)
        return question_baggage.bounded(parent) if self.inside else question_baggage.without(parent)

    def _finish(self, call: ServerCall, span: trace.Span, seconds: float) -> None:
        code = call.code.name
        span.set_attribute(semconv.RPC_STATUS_CODE, code)
        if call.code is not grpc.StatusCode.OK:
            span.set_attribute(semconv.ERROR_TYPE, code)
            if call.reason:
                span.set_attribute(semconv.REASON, call.reason)
            if code in _SERVER_FAULTS:
                span.set_status(trace.StatusCode.ERROR)
        attributes = {
            semconv.RPC_SYSTEM: semconv.GRPC,
            semconv.RPC_METHOD: call.method,
            semconv.RPC_STATUS_CODE: code,
        }
        self.duration.record(seconds, attributes)
        span.end()


async def error_translation(call: ServerCall, proceed: Proceed) -> Any:
    """Turn whatever was raised into a Status that tells the caller what to do and nothing else."""
    try:
        return await proceed(call)
    except grpc.aio.AbortError:
        call.code = grpc.StatusCode.UNKNOWN  # grpc does not say which; our own code never aborts
        raise
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            call.code = grpc.StatusCode.DEADLINE_EXCEEDED if deadlines.spent() else grpc.StatusCode.CANCELLED
            raise
        # Nobody cancelled this call: grpc would leave the client hanging until its deadline.
        refusal = _unexpected(call, cancelled)
    except Exception as error:
        refusal = _translated(call, error)
    call.code, call.reason = refusal.code, refusal.reason
    return await call.context.abort_with_status(errors.to_status(refusal))


def _translated(call: ServerCall, error: Exception) -> RpcError:
    root: Exception = error
    while isinstance(root, ExceptionGroup) and len(root.exceptions) == 1:  # what a TaskGroup wraps
        root = root.exceptions[0]
    refusal = root if isinstance(root, RpcError) else None
    if isinstance(root, grpc.aio.AioRpcError):
        downstream = errors.from_call(root)
        if downstream.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
            downstream.metadata.setdefault("hop", call.state.failed_hop)
            refusal = downstream
    if refusal is None:
        return _unexpected(call, error)
    structlog.get_logger().info("call_refused", method=call.method, code=refusal.code.name, reason=refusal.reason)
    return refusal


def _unexpected(call: ServerCall, error: BaseException) -> RpcError:
    structlog.get_logger().error("call_failed", method=call.method, exc_info=error)
    return errors.internal(call.state.request_id)


@dataclass(slots=True)
class LoadLimit:
    """Sheds what exceeds `most` calls in flight, before any work is done for it."""

    most: int
    in_flight: int = 0

    async def __call__(self, call: ServerCall, proceed: Proceed) -> Any:
        if self.in_flight >= self.most:
            raise RpcError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "OVERLOADED",
                "The service is serving as many calls as it can; try again shortly.",
                retry_after=0.5,
            )
        self.in_flight += 1
        try:
            return await proceed(call)
        finally:
            self.in_flight -= 1


@dataclass(slots=True)
class Deadline:
    """Gives every call a deadline: the caller's, the default when there is none, never more than the maximum."""

    default: float
    maximum: float

    async def __call__(self, call: ServerCall, proceed: Proceed) -> Any:
        given = call.context.time_remaining()
        limit = self.default if given is None else min(given, self.maximum)
        if limit < deadlines.USEFUL_SECONDS:
            raise deadlines.too_short()
        call.state.limit, call.state.expires_at = limit, time.monotonic() + limit
        if limit == given:  # grpc itself cancels the handler then
            return await proceed(call)
        try:
            async with asyncio.timeout(limit) as scope:
                return await proceed(call)
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise RpcError(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                "DEADLINE_EXCEEDED",
                f"The server ends this call after {limit:g} seconds.",
            ) from error


@dataclass(slots=True)
class Authentication:
    """Lets a call in only with a principal that was signed for this service."""

    verifier: PrincipalVerifier

    async def __call__(self, call: ServerCall, proceed: Proceed) -> Any:
        token = call.metadata.get(METADATA_KEY, "")
        call.state.principal = self.verifier.verify(token if isinstance(token, str) else "")
        call.state.token = token
        return await proceed(call)


class Malformed:
    """Stands in for a message that could not be decoded, until validation refuses it."""


@dataclass(slots=True)
class Validation:
    """Holds every request message against the bounds of its proto."""

    validator: protovalidate.Validator = field(default_factory=protovalidate.Validator)

    async def __call__(self, call: ServerCall, proceed: Proceed) -> Any:
        if isinstance(call.request, message.Message | Malformed):
            self.check(call.request)
        else:
            call.request = self._checked(call.request)
        return await proceed(call)

    async def _checked(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for each in requests:
            self.check(each)
            yield each

    def warm(self, service: str) -> None:
        """Compile the rules of a service's requests now: the first message of a type costs 9 ms otherwise."""
        try:
            methods = descriptor_pool.Default().FindServiceByName(service).methods
        except KeyError:  # not generated from protos
            return
        for each in methods:
            self.validator.collect_violations(message_factory.GetMessageClass(each.input_type)())

    def check(self, request: message.Message | Malformed) -> None:
        """Raise MALFORMED_MESSAGE or INVALID_FIELD when the message is no good."""
        if isinstance(request, Malformed):
            raise RpcError(
                grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE", "The request message could not be decoded."
            )
        found = [
            FieldViolation(_path(each.proto.field), each.proto.message or each.proto.rule_id)
            for each in self.validator.collect_violations(request)
        ]
        found += broken_moments(request)
        if found:
            raise errors.invalid_fields(found)


def _path(path: Any) -> str:
    """Return a protovalidate field path as people write it: "turns[0].intent"."""
    words = ""
    for element in path.elements if path is not None else ():
        words += f".{element.field_name}" if words else str(element.field_name)
        if element.subscript is not None:
            words += f"[{element.subscript.value}]"
    return words


class CallChain(grpc.aio.ServerInterceptor):
    """Runs the layers around every handler. Until `open` is called, every call is refused as NOT_READY."""

    def __init__(self) -> None:
        """Start closed."""
        self._layers: Sequence[Layer] | None = None
        self._inner: Sequence[grpc.aio.ServerInterceptor] = ()
        self._wrapped: dict[str, tuple[Any, Any]] = {}
        self._not_ready: Any = grpc.stream_stream_rpc_method_handler(_refuse_not_ready)

    def open(self, layers: Sequence[Layer], inner: Sequence[grpc.aio.ServerInterceptor] = ()) -> None:
        """Let calls in; `layers` are outermost first, `inner` sit between them and the handler."""
        self._layers = layers
        self._inner = inner

    async def intercept_service(self, continuation: Any, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the wrapped handler of the method; wrapped once, then kept."""
        method: str = handler_call_details.method
        if method.startswith(_PLATFORM_PREFIX):
            return await continuation(handler_call_details)
        if self._layers is None:
            return self._not_ready
        for each in reversed(self._inner):
            continuation = partial(each.intercept_service, continuation)
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        known = self._wrapped.get(method)
        if known is None or known[0] is not handler:
            known = self._wrapped[method] = (handler, _wrap(handler, method.lstrip("/"), self._layers))
        return known[1]


async def _refuse_not_ready(_requests: Any, context: Context) -> None:
    refusal = RpcError(grpc.StatusCode.UNAVAILABLE, "NOT_READY", "The service is starting; try again shortly.")
    await context.abort_with_status(errors.to_status(refusal))


def _wrap(handler: Any, method: str, layers: Sequence[Layer]) -> Any:
    if handler.request_streaming:
        kind = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        behaviour = handler.stream_stream if handler.response_streaming else handler.stream_unary
    else:
        kind = (
            grpc.unary_stream_rpc_method_handler if handler.response_streaming else grpc.unary_unary_rpc_method_handler
        )
        behaviour = handler.unary_stream if handler.response_streaming else handler.unary_unary
    encode = handler.response_serializer or bytes
    proceed: Proceed = partial(_stream_out if handler.response_streaming else _answer, behaviour, encode)
    for layer in reversed(layers):
        proceed = partial(_apply, layer, proceed)

    async def entry(request: Any, context: Context) -> Any:
        metadata = dict(context.invocation_metadata() or ())
        return await proceed(ServerCall(method, request, context, metadata, CallContext()))

    return kind(entry, partial(_decoded, handler.request_deserializer), partial(_encoded, encode))


def _apply(layer: Layer, proceed: Proceed, call: ServerCall) -> Awaitable[Any]:
    return layer(call, proceed)


def _decoded(decode: Callable[[bytes], Any] | None, raw: bytes) -> Any:
    try:
        return decode(raw) if decode is not None else raw
    except Exception:  # protobuf's implementations raise different types; grpc would send their text as UNKNOWN
        return Malformed()


def _encoded(encode: Encode, response: Any) -> bytes:
    return response if isinstance(response, bytes) else encode(response)


# Responses are encoded in here, so that one of a wrong type is a fault like any other: grpc would send its text.
async def _answer(behaviour: Callable[[Any, Context], Awaitable[Any]], encode: Encode, call: ServerCall) -> bytes:
    return encode(await behaviour(call.request, call.context))


async def _stream_out(behaviour: Callable[[Any, Context], Any], encode: Encode, call: ServerCall) -> None:
    produced = behaviour(call.request, call.context)
    if not hasattr(produced, "__aiter__"):
        await produced  # a handler that writes to the context by itself
        return
    try:
        async for each in produced:
            await call.context.write(encode(each))
    finally:
        if hasattr(produced, "aclose"):
            await produced.aclose()
