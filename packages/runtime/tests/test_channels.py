"""Channels: what every outgoing call carries, and what is tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id
from tiermesh_runtime import channels, errors, testing
from tiermesh_runtime.health import Health

from .toy_service import ROUNDED_UP, every_kind

CLIENT, SERVER = SpanKind.CLIENT, SpanKind.SERVER


async def _finished(spans: testing.SpanSink, count: int) -> dict[SpanKind, Any]:
    """Return spans by kind once `count` have ended; the server may end its own after the client has its answer."""
    await spans.wait_for(count)
    return {each.kind: each for each in spans.get_finished_spans()}


@pytest.mark.parametrize("address", ["", "localhost", "localhost:", ":50051", "host:99999", "http://host:1", "a b:1"])
def test_an_address_that_is_none_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        channels.open_channel(address)


@every_kind
async def test_client_and_server_span_of_a_call_are_parent_and_child(serve: Any, spans: Any, kind: str) -> None:
    await (await serve()).ask(kind)
    ended = await _finished(spans, 2)
    assert ended[SERVER].parent.span_id == ended[CLIENT].context.span_id
    assert ended[SERVER].context.trace_id == ended[CLIENT].context.trace_id
    assert ended[SERVER].name == f"tiermesh.toy.v1.ToyService/{kind}"
    for each in ended.values():
        assert each.attributes["rpc.method"] == f"tiermesh.toy.v1.ToyService/{kind}"
        assert each.attributes["rpc.response.status_code"] == "OK"
        assert each.status.status_code is StatusCode.UNSET


@every_kind
@pytest.mark.parametrize("cause", ["deadline", "cancel", "refused", "fault"])
async def test_both_spans_say_how_a_call_failed(serve: Any, spans: Any, kind: str, cause: str) -> None:
    entered = asyncio.Event()

    async def body(_request: Any, _context: Any) -> None:
        if cause == "refused":
            raise errors.invalid_field("text", "is no question")
        if cause == "fault":
            raise ValueError("ours")
        entered.set()
        await asyncio.Event().wait()

    toy = await serve(body)
    await toy.channel.channel_ready()  # so that the short deadline is spent at the server
    asking = asyncio.create_task(toy.ask(kind, timeout=0.4 if cause == "deadline" else 20))
    if cause == "cancel":
        await entered.wait()
        asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled() or asking.exception() is not None
    ended = await _finished(spans, 2)
    code = {
        "deadline": "DEADLINE_EXCEEDED",
        "cancel": "CANCELLED",
        "refused": "INVALID_ARGUMENT",
        "fault": "INTERNAL",
    }[cause]
    assert {each.attributes["rpc.response.status_code"] for each in ended.values()} == {code}
    assert ended[CLIENT].status.status_code is StatusCode.ERROR
    at_fault = cause in {"deadline", "fault"}
    assert ended[SERVER].status.status_code is (StatusCode.ERROR if at_fault else StatusCode.UNSET)
    assert ended[SERVER].parent.span_id == ended[CLIENT].context.span_id


async def test_a_question_over_three_hops_is_one_trace(serve: Any, spans: Any) -> None:
    last = await serve()

    async def middle_body(_request: Any, _context: Any) -> Any:
        return (await last.ask("stream_stream"))[0]

    middle = await serve(middle_body)

    async def first_body(_request: Any, _context: Any) -> Any:
        return (await middle.ask("unary_stream"))[0]

    await (await serve(first_body)).ask("unary_unary")
    await _finished(spans, 6)
    ended = spans.get_finished_spans()
    assert len({each.context.trace_id for each in ended}) == 1
    by_id = {each.context.span_id: each for each in ended}
    chain, each = [], next(each for each in ended if each.kind is SERVER and each.name.endswith("stream_stream"))
    while each is not None:
        chain.append((each.kind, each.name.rsplit("/", 1)[-1]))
        each = by_id.get(each.parent.span_id) if each.parent else None
    assert chain == [
        (SERVER, "stream_stream"),
        (CLIENT, "stream_stream"),
        (SERVER, "unary_stream"),
        (CLIENT, "unary_stream"),
        (SERVER, "unary_unary"),
        (CLIENT, "unary_unary"),
    ]


async def test_a_broken_traceparent_begins_a_new_trace(serve: Any, spans: Any, toy: Any) -> None:
    served = await serve()
    async with grpc.aio.insecure_channel(served.address) as plain:
        await toy("", plain).ask("unary_unary", metadata=(("traceparent", "00-zz-1-xx"),), timeout=5)
    ended = await _finished(spans, 1)
    assert ended[SERVER].parent is None
    assert int(format_trace_id(ended[SERVER].context.trace_id), 16)


async def test_metadata_of_the_caller_goes_before_ours(serve: Any) -> None:
    async def body(_request: Any, context: Any) -> str:
        return ",".join(str(v) for k, v in context.invocation_metadata() if k in {"traceparent", "x-mine"})

    mine = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    toy = await serve(body)
    assert await toy.ask("unary_unary", metadata=(("traceparent", mine), ("x-mine", "1"))) == [f"{mine},1"]


async def test_every_call_has_a_deadline_also_outside_of_one(serve: Any) -> None:
    async def body(_request: Any, context: Any) -> str:
        return f"{context.time_remaining():.3f}"

    [left] = await (await serve(body)).ask("unary_unary")
    assert 9 < float(left) < 10 * ROUNDED_UP


@pytest.mark.parametrize("repeated", [True, False])
async def test_only_idempotent_methods_are_tried_again(serve: Any, repeated: bool) -> None:
    attempts = []

    async def body(_request: Any, _context: Any) -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise errors.RpcError(grpc.StatusCode.UNAVAILABLE, "NOT_READY", "Not yet.")
        return "third time"

    idempotent = ["/tiermesh.toy.v1.ToyService/unary_unary"] if repeated else []
    toy = await serve(body, idempotent=idempotent)
    if repeated:
        assert await toy.ask("unary_unary") == ["third time"]
    else:
        assert (await toy.refusal("unary_unary")).code() is grpc.StatusCode.UNAVAILABLE
        assert len(attempts) == 1


async def test_no_call_goes_to_a_server_that_says_it_is_not_serving(serve: Any) -> None:
    toy = await serve()
    health: Health = toy.health
    assert await toy.ask("unary_unary") == ["r-1"]
    health.not_serving()
    async with asyncio.timeout(5):
        while toy.channel.get_state() is grpc.ChannelConnectivity.READY:
            await toy.channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
    assert (await toy.refusal("unary_unary")).code() is grpc.StatusCode.UNAVAILABLE
    health.serving(["tiermesh.toy.v1.ToyService"])
    async with asyncio.timeout(5):
        await toy.channel.channel_ready()
    assert await toy.ask("unary_unary") == ["r-1"]
