"""What surrounds every handler, for all four kinds of call."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tiermesh.common.v1 import answer_pb2, context_pb2
from tiermesh_runtime import call_context, channels, deadlines, errors, interceptors, principal, testing
from tiermesh_runtime.settings import ServiceSettings

every_kind = pytest.mark.parametrize("kind", ["unary_unary", "unary_stream", "stream_unary", "stream_stream"])
SECRET = "password hunter2 in SELECT *"
ROUNDED_UP = 1 + 2 * deadlines.ROUNDING


def details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """Decode a status the way a foreign client does; fails when there is more or less than one ErrorInfo."""
    status = rpc_status.from_call(error)
    assert status is not None
    found: dict[str, Any] = {}
    for packed in status.details:
        kind = getattr(error_details_pb2, packed.TypeName().rsplit(".", 1)[-1])
        message = kind()
        assert packed.Unpack(message)
        assert kind.__name__ not in found
        found[kind.__name__] = message
    assert found["ErrorInfo"].domain == "tiermesh"
    return found


@every_kind
async def test_a_call_of_any_kind_is_answered(serve: Any, kind: str) -> None:
    toy = await serve()
    assert await toy.ask(kind) == ["r-1"]


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


@every_kind
async def test_a_request_that_breaks_a_bound_is_refused_before_the_handler(serve: Any, kind: str) -> None:
    reached = []

    async def body(request: Any, _context: Any) -> None:
        if hasattr(request, "__aiter__"):
            reached.extend([each async for each in request])
        else:
            reached.append(request)

    bad = context_pb2.RequestContext(request_id="no spaces allowed", tenant="ACME", pack_version="hr@1")
    error = await (await serve(body)).refusal(kind, bad)
    found = details(error)
    assert (error.code(), found["ErrorInfo"].reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert [each.field for each in found["BadRequest"].field_violations] == ["request_id", "tenant"]
    assert not reached


@pytest.mark.parametrize("kind", ["stream_unary", "stream_stream"])
async def test_a_later_message_of_a_stream_is_validated_too(serve: Any, valid: Any, kind: str) -> None:
    toy = await serve()
    error = await toy.refusal(kind, valid, context_pb2.RequestContext(request_id="!", tenant="a", pack_version="h@1"))
    assert details(error)["BadRequest"].field_violations[0].field == "request_id"


@every_kind
async def test_bytes_that_are_no_message_are_an_invalid_argument(serve: Any, kind: str) -> None:
    toy = await serve()
    error = await toy.refusal(kind, b"\xff\xff\xff", raw=True)
    found = details(error)
    assert (error.code(), found["ErrorInfo"].reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")


@every_kind
async def test_a_call_without_principal_is_refused(serve: Any, kind: str, key_settings: ServiceSettings) -> None:
    toy = await serve(audience="classifier", settings=key_settings)
    error = await toy.refusal(kind)
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert details(error)["ErrorInfo"].reason == "CREDENTIALS_MISSING"


@every_kind
async def test_the_handler_knows_its_principal(
    serve: Any, kind: str, key_settings: ServiceSettings, keys: testing.Keys
) -> None:
    async def body(_request: Any, _context: Any) -> str:
        return principal.current().subject

    toy = await serve(body, audience="classifier", settings=key_settings)
    metadata = testing.signed_metadata(keys.signer(), subject="E00042")
    assert await toy.ask(kind, metadata=metadata) == ["E00042"]


async def test_a_malformed_message_without_principal_is_refused_for_the_principal(
    serve: Any, key_settings: ServiceSettings
) -> None:
    toy = await serve(audience="classifier", settings=key_settings)
    error = await toy.refusal("unary_unary", b"\xff\xff\xff", raw=True)
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED


@every_kind
async def test_what_exceeds_the_limit_is_shed_with_a_hint_when_to_return(serve: Any, kind: str, toy: Any) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def body(_request: Any, _context: Any) -> str:
        entered.set()
        await leave.wait()
        return "done"

    client = await serve(body, settings=ServiceSettings(port=0, max_in_flight=1))
    first = asyncio.create_task(client.ask("unary_unary", timeout=20))
    await entered.wait()
    error = await client.refusal(kind)
    found = details(error)
    assert (error.code(), found["ErrorInfo"].reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert found["RetryInfo"].retry_delay.ToMilliseconds() > 0
    leave.set()
    assert await first == ["done"]
    assert await client.ask(kind) == ["done"]


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


async def test_a_stream_written_by_the_handler_itself_is_served(serve: Any) -> None:
    async def writing(_request: Any, context: Any) -> None:
        for text in ("a", "b"):
            await context.write(answer_pb2.TextChunk(text=text))

    handler = grpc.unary_stream_rpc_method_handler(
        writing, context_pb2.RequestContext.FromString, answer_pb2.TextChunk.SerializeToString
    )
    client = await serve(handlers={"unary_stream": handler})
    assert await client.ask("unary_stream") == ["a", "b"]


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


@every_kind
async def test_extra_interceptors_of_a_service_run_inside_ours(serve: Any, kind: str) -> None:
    seen = []

    class Extra(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            seen.append(handler_call_details.method)
            return await continuation(handler_call_details)

    assert await (await serve(interceptors=[Extra()])).ask(kind) == ["r-1"]
    assert seen == [f"/tiermesh.toy.v1.ToyService/{kind}"]


async def test_the_request_id_travels_from_hop_to_hop(serve: Any) -> None:
    async def inner(_request: Any, _context: Any) -> str:
        return call_context.request_id()

    below = await serve(inner)

    async def outer(_request: Any, _context: Any) -> str:
        return (await below.ask("unary_unary"))[0]

    top = await serve(outer)
    assert await top.ask("unary_unary", metadata=((call_context.REQUEST_ID_KEY, "q-77"),)) == ["q-77"]
    [made] = await top.ask("unary_unary")
    assert len(made) == 32
    [replaced] = await top.ask("unary_unary", metadata=((call_context.REQUEST_ID_KEY, "bad id!"),))
    assert len(replaced) == 32


async def test_the_principal_travels_from_hop_to_hop(
    serve: Any, key_settings: ServiceSettings, keys: testing.Keys
) -> None:
    async def inner(_request: Any, _context: Any) -> str:
        return principal.current().subject

    below = await serve(inner, audience="aggregator", settings=key_settings)

    async def outer(_request: Any, _context: Any) -> str:
        return (await below.ask("unary_unary"))[0]

    top = await serve(outer, audience="executor", settings=key_settings)
    assert await top.ask("unary_unary", metadata=testing.signed_metadata(keys.signer())) == ["E00001"]


async def test_what_is_left_of_the_deadline_travels_from_hop_to_hop(serve: Any) -> None:
    async def inner(_request: Any, _context: Any) -> str:
        return f"{deadlines.remaining():.3f}"

    below = await serve(inner)

    async def outer(_request: Any, _context: Any) -> str:
        shorter = (await below.ask("unary_unary", timeout=50))[0]
        inherited = (await below.ask("unary_unary"))[0]
        return f"{shorter} {inherited}"

    [both] = await (await serve(outer)).ask("unary_unary", timeout=4)
    assert all(3 < float(each) < 4 * ROUNDED_UP for each in both.split())


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
