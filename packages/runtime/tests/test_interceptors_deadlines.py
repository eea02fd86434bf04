"""Deadlines around handlers of all four kinds of call, and that who goes away stops them."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2, context_pb2
from tiermesh_runtime import call_context, channels, deadlines, errors, interceptors
from tiermesh_runtime.settings import ServiceSettings

from .statuses import details
from .toy_service import ROUNDED_UP, every_kind


@every_kind
async def test_a_call_without_deadline_gets_the_servers(serve: Any, kind: str, toy: Any) -> None:
    async def body(_request: Any, _context: Any) -> str:
        await asyncio.Event().wait()
        return "never"

    served = await serve(body, settings=ServiceSettings(port=0, default_deadline_seconds=0.1))
    async with grpc.aio.insecure_channel(served.address) as plain:
        error = await toy(served.address, plain).refusal(kind)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert details(error)["ErrorInfo"].reason == "DEADLINE_EXCEEDED"


async def test_a_deadline_longer_than_the_maximum_is_cut(serve: Any) -> None:
    async def body(_request: Any, _context: Any) -> str:
        return str((deadlines.remaining() or 0) <= 3)

    toy = await serve(body, settings=ServiceSettings(port=0, max_deadline_seconds=3))
    assert await toy.ask("unary_unary", timeout=500) == ["True"]


async def test_a_call_that_comes_with_no_useful_time_is_refused_before_anything_is_done() -> None:
    class Late:
        def time_remaining(self) -> float:
            return 0.001

    async def proceed(_call: Any) -> None:
        raise AssertionError("must not be reached")

    call = interceptors.ServerCall("m", None, Late(), {}, call_context.CallContext())
    with pytest.raises(errors.RpcError) as caught:
        await interceptors.Deadline(60, 180)(call, proceed)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_TOO_SHORT")


@every_kind
async def test_the_handler_sees_what_is_left_of_the_callers_deadline(serve: Any, kind: str) -> None:
    async def body(_request: Any, _context: Any) -> str:
        return f"{deadlines.remaining():.3f}"

    [left] = await (await serve(body)).ask(kind, timeout=7)
    assert 6 < float(left) < 7 * ROUNDED_UP


@every_kind
async def test_the_callers_deadline_cancels_the_handler(serve: Any, kind: str) -> None:
    cancelled = asyncio.Event()

    async def body(_request: Any, _context: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    toy = await serve(body)
    await toy.channel.channel_ready()  # so that the short deadline is spent at the server
    error = await toy.refusal(kind, timeout=0.4)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(cancelled.wait(), 5)


@every_kind
async def test_a_caller_that_goes_away_cancels_the_handler(serve: Any, kind: str) -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def body(_request: Any, _context: Any) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    client = await serve(body)
    asking = asyncio.create_task(client.ask(kind, timeout=30))
    await entered.wait()
    asking.cancel()
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_wait_for_around_a_unary_call_cancels_the_handler(serve: Any) -> None:
    cancelled = asyncio.Event()

    async def body(_request: Any, _context: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    client = await serve(body)
    await client.channel.channel_ready()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.ask("unary_unary", timeout=30), 0.3)
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_a_stream_that_is_left_is_cancelled_and_its_generator_closed(serve: Any) -> None:
    closed = asyncio.Event()

    async def endless(request: Any, _context: Any) -> Any:
        try:
            while True:
                yield answer_pb2.TextChunk(text="more")
                await asyncio.sleep(0)
        finally:
            closed.set()

    handler = grpc.unary_stream_rpc_method_handler(
        endless, context_pb2.RequestContext.FromString, answer_pb2.TextChunk.SerializeToString
    )
    client = await serve(handlers={"unary_stream": handler})
    async with channels.abandoning(client.start("unary_stream", timeout=60)) as call:
        async for each in call:
            assert each.text == "more"
            break
    await asyncio.wait_for(closed.wait(), 5)
