"""What callers are told of errors, for all four kinds of call: the typed ones whole, of all others nothing."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2, context_pb2
from tiermesh_runtime import call_context, channels, errors

from .statuses import details
from .toy_service import every_kind

SECRET = "password hunter2 in SELECT *"


@every_kind
async def test_a_typed_error_arrives_with_code_reason_and_metadata(serve: Any, kind: str) -> None:
    async def body(_request: Any, _context: Any) -> None:
        raise errors.RpcError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "RATE_LIMITED",
            "Too many questions.",
            metadata={"limit": "5"},
            retry_after=1.5,
        )

    error = await (await serve(body)).refusal(kind)
    found = details(error)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == "Too many questions."
    assert found["ErrorInfo"].reason == "RATE_LIMITED"
    assert dict(found["ErrorInfo"].metadata) == {"limit": "5"}
    assert found["RetryInfo"].retry_delay.ToMilliseconds() == 1500
    decoded = errors.from_call(error)
    assert (decoded.reason, decoded.retry_after, decoded.metadata) == ("RATE_LIMITED", 1.5, {"limit": "5"})


@every_kind
async def test_an_unknown_exception_tells_the_caller_nothing_but_the_request_id(
    serve: Any, kind: str, logged: list[Any]
) -> None:
    async def body(_request: Any, _context: Any) -> None:
        raise ValueError(SECRET)

    error = await (await serve(body)).refusal(kind, metadata=((call_context.REQUEST_ID_KEY, "find-me"),))
    info = details(error)["ErrorInfo"]
    assert (error.code(), info.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert info.metadata["request_id"] == "find-me"
    assert "hunter2" not in repr(error)
    failed = next(each for each in logged if each["event"] == "call_failed")
    assert SECRET in str(failed["exc_info"])


@every_kind
async def test_a_cancelled_error_that_nobody_caused_is_an_internal_error_at_once(serve: Any, kind: str) -> None:
    async def body(_request: Any, _context: Any) -> None:
        raise asyncio.CancelledError

    started = time.monotonic()
    error = await (await serve(body)).refusal(kind, timeout=20)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert time.monotonic() - started < 5


@every_kind
async def test_an_error_inside_a_task_group_keeps_its_type(serve: Any, kind: str) -> None:
    async def refuse() -> None:
        raise errors.invalid_field("text", "is no question")

    async def body(_request: Any, _context: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(refuse())

    error = await (await serve(body)).refusal(kind)
    assert details(error)["BadRequest"].field_violations[0].field == "text"


async def test_an_error_in_the_middle_of_a_stream_ends_it_with_its_reason(serve: Any) -> None:
    async def breaking(_request: Any, _context: Any) -> Any:
        yield answer_pb2.TextChunk(text="first")
        raise errors.RpcError(grpc.StatusCode.DATA_LOSS, "ANSWER_TRUNCATED", "The answer was cut.")

    handler = grpc.unary_stream_rpc_method_handler(
        breaking, context_pb2.RequestContext.FromString, answer_pb2.TextChunk.SerializeToString
    )
    call = (await serve(handlers={"unary_stream": handler})).start("unary_stream")
    assert (await call.read()).text == "first"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert details(caught.value)["ErrorInfo"].reason == "ANSWER_TRUNCATED"


@every_kind
async def test_a_downstream_service_that_is_gone_is_named_and_its_text_is_not(serve: Any, kind: str, toy: Any) -> None:
    async with channels.open_channel("127.0.0.1:1", health_service=None) as dead:

        async def body(_request: Any, _context: Any) -> None:
            await toy("", dead).ask("unary_unary", timeout=2)

        error = await (await serve(body)).refusal(kind, timeout=20)
    info = details(error)["ErrorInfo"]
    assert (error.code(), info.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")
    assert info.metadata["hop"] == "toy"
    assert "127.0.0.1" not in repr(error.details())


@every_kind
async def test_any_other_downstream_error_becomes_internal(serve: Any, kind: str) -> None:
    async def inner(_request: Any, _context: Any) -> None:
        raise errors.RpcError(grpc.StatusCode.FAILED_PRECONDITION, "SLOTS_INCOMPLETE", SECRET)

    below = await serve(inner)

    async def body(_request: Any, _context: Any) -> None:
        await below.ask("unary_unary")

    error = await (await serve(body)).refusal(kind)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "hunter2" not in repr(error)


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
async def test_a_response_of_a_wrong_type_is_an_internal_error_that_says_no_more(serve: Any, kind: str) -> None:
    async def wrong(_request: Any, _context: Any) -> Any:
        return SECRET

    async def wrong_stream(_request: Any, _context: Any) -> Any:
        yield SECRET

    make = getattr(grpc, f"{kind}_rpc_method_handler")
    handler = make(
        wrong if kind == "unary_unary" else wrong_stream,
        context_pb2.RequestContext.FromString,
        answer_pb2.TextChunk.SerializeToString,
    )
    error = await (await serve(handlers={kind: handler})).refusal(kind)
    assert (error.code(), details(error)["ErrorInfo"].reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "str" not in str(error.details()).split()
