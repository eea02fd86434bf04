"""What is let through to a handler, of all four kinds of call: valid messages, from somebody, within the limit."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2, context_pb2
from tiermesh_runtime import principal, testing
from tiermesh_runtime.settings import ServiceSettings

from .statuses import details
from .toy_service import every_kind


@every_kind
async def test_a_call_of_any_kind_is_answered(serve: Any, kind: str) -> None:
    toy = await serve()
    assert await toy.ask(kind) == ["r-1"]


async def test_a_stream_written_by_the_handler_itself_is_served(serve: Any) -> None:
    async def writing(_request: Any, context: Any) -> None:
        for text in ("a", "b"):
            await context.write(answer_pb2.TextChunk(text=text))

    handler = grpc.unary_stream_rpc_method_handler(
        writing, context_pb2.RequestContext.FromString, answer_pb2.TextChunk.SerializeToString
    )
    client = await serve(handlers={"unary_stream": handler})
    assert await client.ask("unary_stream") == ["a", "b"]


@every_kind
async def test_extra_interceptors_of_a_service_run_inside_ours(serve: Any, kind: str) -> None:
    seen = []

    class Extra(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            seen.append(handler_call_details.method)
            return await continuation(handler_call_details)

    assert await (await serve(interceptors=[Extra()])).ask(kind) == ["r-1"]
    assert seen == [f"/tiermesh.toy.v1.ToyService/{kind}"]


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
