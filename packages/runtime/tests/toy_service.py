"""A toy service with all four kinds of call, and a client of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2, context_pb2
from tiermesh_runtime import deadlines, server

SERVICE = "tiermesh.toy.v1.ToyService"
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
VALID = context_pb2.RequestContext(request_id="r-1", tenant="acme", pack_version="hr@1.0.0")
every_kind = pytest.mark.parametrize("kind", KINDS)
# What arrives of a deadline may be longer by so much: gRPC rounds it up at each of at most two hops.
ROUNDED_UP = 1 + 2 * deadlines.ROUNDING
Body = Callable[[Any, Any], Awaitable[Any]]


async def echo(request: Any, _context: Any) -> Any:
    """Answer with the request's id; reads every message of a request stream."""
    if hasattr(request, "__aiter__"):
        return "+".join([each.request_id async for each in request])
    return request.request_id


def _handler(kind: str, body: Body) -> Any:
    async def unary(request: Any, context: Any) -> Any:
        return answer_pb2.TextChunk(text=str(await body(request, context)))

    async def stream(request: Any, context: Any) -> Any:
        yield answer_pb2.TextChunk(text=str(await body(request, context)))

    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(
        stream if kind.endswith("_stream") else unary,
        context_pb2.RequestContext.FromString,
        answer_pb2.TextChunk.SerializeToString,
    )


def toy_parts(
    body: Body = echo,
    *,
    handlers: dict[str, Any] | None = None,
    audience: str | None = None,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
) -> server.ServiceParts:
    """Return a service whose four methods all run `body`, unless `handlers` says otherwise."""
    methods = {kind: _handler(kind, body) for kind in KINDS} | (handlers or {})
    registration = server.Registration(
        lambda _servicer, host: host.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, methods),)
        ),
        object(),
        SERVICE,
    )
    return server.ServiceParts("toy", [registration], audience, interceptors)


@dataclass
class Toy:
    """A client of the toy service."""

    address: str
    channel: grpc.aio.Channel
    health: Any = None

    def method(self, kind: str, *, raw: bool = False) -> Any:
        encode = None if raw else context_pb2.RequestContext.SerializeToString
        return getattr(self.channel, kind)(f"/{SERVICE}/{kind}", encode, answer_pb2.TextChunk.FromString)

    def start(self, kind: str, *requests: Any, raw: bool = False, **options: Any) -> Any:
        """Start a call of any kind and return it."""
        sent = requests or (VALID,)
        return self.method(kind, raw=raw)(list(sent) if kind.startswith("stream") else sent[0], **options)

    async def ask(self, kind: str, *requests: Any, raw: bool = False, **options: Any) -> list[str]:
        """Run a call of any kind to its end; AioRpcError as it comes."""
        call = self.start(kind, *requests, raw=raw, **options)
        if kind.endswith("_stream"):
            return [each.text async for each in call]
        return [(await call).text]

    async def refusal(self, kind: str, *requests: Any, **options: Any) -> grpc.aio.AioRpcError:
        """Run a call that must fail and return the error."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.ask(kind, *requests, **options)
        return caught.value
