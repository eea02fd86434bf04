"""The client against a gateway whose every word the test decides."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2, routing_pb2
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh.gateway.v1 import gateway_service_pb2_grpc as pb_grpc
from tiermesh_client import RpcError, TiermeshClient
from tiermesh_runtime import call_context
from tiermesh_runtime.server import Registration, ServiceParts, serving

NOT_READY = RpcError(grpc.StatusCode.UNAVAILABLE, "NOT_READY", "Draining.")
FULL = [
    pb.AskResponse(sequence=1, decision=pb.DecisionMade(request_id="r")),
    pb.AskResponse(sequence=2, text=answer_pb2.TextChunk(text="42")),
    pb.AskResponse(sequence=3, receipt=pb.Receipt(complete=True)),
]


class Gateway(pb_grpc.GatewayServiceServicer):
    """Says what `script` holds, one entry per attempt; notes what it was asked."""

    def __init__(self) -> None:
        self.script: list[list[Any]] = [FULL]
        self.asked: list[Any] = []
        self.metadata: list[dict[str, Any]] = []
        self.left: list[float] = []
        self.request_ids: list[str] = []
        self.ended = asyncio.Event()

    def _note(self, request: Any, context: Any) -> None:
        self.asked.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.left.append(context.time_remaining())
        self.request_ids.append(call_context.request_id())

    async def Ask(self, request: pb.AskRequest, context: Any) -> AsyncIterator[pb.AskResponse]:
        self._note(request, context)
        try:
            for each in self.script[min(len(self.asked), len(self.script)) - 1]:
                if isinstance(each, Exception):
                    raise each
                if each is None:
                    await asyncio.Event().wait()
                yield each
        finally:
            self.ended.set()

    async def ConfirmAction(self, request: Any, context: Any) -> pb.ConfirmActionResponse:
        self._note(request, context)
        if request.token == "forged":
            raise RpcError(grpc.StatusCode.FAILED_PRECONDITION, "PROPOSAL_INVALID", "It does not hold.")
        if len(self.asked) == 1:
            raise NOT_READY
        return pb.ConfirmActionResponse(proposal_id="p-1")

    async def RecordFeedback(self, request: Any, context: Any) -> pb.RecordFeedbackResponse:
        self._note(request, context)
        return pb.RecordFeedbackResponse()

    async def GetReceipt(self, request: Any, context: Any) -> pb.GetReceiptResponse:
        self._note(request, context)
        return pb.GetReceiptResponse(receipt=pb.Receipt(request_id=request.request_id))

    async def IssuePrincipal(self, request: Any, context: Any) -> pb.IssuePrincipalResponse:
        return pb.IssuePrincipalResponse(subject="E00001")


Connect = Callable[..., Awaitable[TiermeshClient]]


@pytest.fixture
async def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def connect(gateway: Gateway) -> AsyncIterator[Connect]:
    """Return clients of the gateway."""
    name = "tiermesh.gateway.v1.GatewayService"
    parts = ServiceParts(
        "gateway", [Registration(pb_grpc.add_GatewayServiceServicer_to_server, gateway, name)], audience=None
    )
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(serving(parts))

        async def client(**options: Any) -> TiermeshClient:
            return await stack.enter_async_context(TiermeshClient(running.address, **options))

        yield client


async def test_a_question_comes_back_as_its_events_in_order(gateway: Gateway, connect: Connect) -> None:
    client = await connect(token="t0k3n")
    got = [
        each
        async for each in client.ask(
            "How many?", conversation_id="c-1", min_tier=routing_pb2.TIER_2, no_pills=True, locale="en-GB"
        )
    ]
    assert got == FULL
    [asked] = gateway.asked
    assert (asked.text, asked.conversation_id, asked.min_tier, asked.no_pills, asked.locale) == (
        "How many?",
        "c-1",
        routing_pb2.TIER_2,
        True,
        "en-GB",
    )
    assert gateway.metadata[0]["authorization"] == "Bearer t0k3n"
    assert asked.request_id == gateway.request_ids[0] != ""
    assert 55 < gateway.left[0] < 61, "gRPC sends what is left rounded up by as much as 1 %"


async def test_a_token_that_is_renewed_is_asked_for_before_each_call(gateway: Gateway, connect: Connect) -> None:
    tokens = iter(["first", "second"])
    client = await connect(token=lambda: next(tokens))
    await client.receipt("r-1")
    await client.receipt("r-1")
    assert [each["authorization"] for each in gateway.metadata] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("odd", ["²", "a b", "x" * 65, "line\nbreak"])
async def test_an_id_that_no_header_can_hold_is_refused_by_its_field(connect: Connect, odd: str) -> None:
    client = await connect()
    with pytest.raises(RpcError) as caught:
        await anext(client.ask("How many?", request_id=odd))
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [each.field for each in caught.value.violations] == ["request_id"]


async def test_before_the_first_event_it_is_tried_again_as_the_same_request(gateway: Gateway, connect: Connect) -> None:
    gateway.script = [[NOT_READY], [NOT_READY], FULL]
    client = await connect()
    assert [each async for each in client.ask("Again?", timeout=5)] == FULL
    assert len(gateway.asked) == 3
    assert len({each.request_id for each in gateway.asked}) == 1
    assert gateway.left[2] < gateway.left[0], "the attempts share one deadline"


async def test_it_gives_up_after_three_attempts(gateway: Gateway, connect: Connect) -> None:
    gateway.script = [[NOT_READY]]
    client = await connect()
    with pytest.raises(RpcError) as caught:
        await anext(client.ask("Again?"))
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")
    assert len(gateway.asked) == 3


async def test_after_the_first_event_nothing_is_tried_again(gateway: Gateway, connect: Connect) -> None:
    gateway.script = [[FULL[0], NOT_READY], FULL]
    events = (await connect()).ask("Once?")
    assert await anext(events) == FULL[0]
    with pytest.raises(RpcError) as caught:
        await anext(events)
    assert caught.value.reason == "NOT_READY"
    assert len(gateway.asked) == 1


async def test_a_full_gateway_is_asked_again_when_it_said_to(gateway: Gateway, connect: Connect) -> None:
    overloaded = RpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", "Full.", retry_after=0.01)
    gateway.script = [[overloaded], FULL]
    assert [each async for each in (await connect()).ask("Later?")] == FULL


@pytest.mark.parametrize(
    "refusal",
    [
        RpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXHAUSTED", "Used up."),
        RpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", "Next hour.", retry_after=3600),
        RpcError(grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED", "Sign in."),
    ],
    ids=lambda each: each.reason,
)
async def test_what_cannot_help_is_not_tried_again(gateway: Gateway, connect: Connect, refusal: RpcError) -> None:
    gateway.script = [[refusal], FULL]
    with pytest.raises(RpcError) as caught:
        await anext((await connect()).ask("Now?"))
    assert caught.value.reason == refusal.reason
    assert len(gateway.asked) == 1


@pytest.mark.parametrize("events", [FULL[:2], [FULL[0], FULL[2]], []], ids=["no receipt", "gap", "empty"])
async def test_a_stream_that_is_not_whole_never_passes_for_an_answer(
    gateway: Gateway, connect: Connect, events: list[Any]
) -> None:
    gateway.script = [events]
    with pytest.raises(RpcError) as caught:
        _ = [each async for each in (await connect()).ask("Whole?")]
    assert caught.value.reason == "ANSWER_TRUNCATED"
    assert len(gateway.asked) == 1


async def test_a_deadline_ends_the_question_at_the_gateway_too(gateway: Gateway, connect: Connect) -> None:
    gateway.script = [[FULL[0], None]]
    events = (await connect()).ask("Slow?", timeout=1)
    assert await anext(events) == FULL[0]
    with pytest.raises(RpcError) as caught:
        await anext(events)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(gateway.ended.wait(), 5)


async def test_leaving_the_loop_cancels_the_question(gateway: Gateway, connect: Connect) -> None:
    gateway.script = [[FULL[0], None]]
    client = await connect()
    async for event in client.ask("Never mind?"):
        assert event == FULL[0]
        break
    await asyncio.wait_for(gateway.ended.wait(), 5)


async def test_cancelling_the_task_cancels_the_question(gateway: Gateway, connect: Connect) -> None:
    gateway.script = [[FULL[0], None]]
    client = await connect()
    first = asyncio.Event()

    async def listen() -> None:
        async for _ in client.ask("Never mind?"):
            first.set()

    listening = asyncio.create_task(listen())
    await first.wait()
    listening.cancel()
    await asyncio.wait_for(gateway.ended.wait(), 5)
    with pytest.raises(asyncio.CancelledError):
        await listening


async def test_confirming_is_tried_again_while_the_gateway_is_away(gateway: Gateway, connect: Connect) -> None:
    assert (await (await connect()).confirm("signed")).proposal_id == "p-1"
    assert len(gateway.asked) == 2


async def test_a_refused_confirmation_says_why(connect: Connect) -> None:
    with pytest.raises(RpcError) as caught:
        await (await connect()).confirm("forged")
    assert (caught.value.reason, caught.value.message) == ("PROPOSAL_INVALID", "It does not hold.")


async def test_feedback_arrives_as_given(gateway: Gateway, connect: Connect) -> None:
    await (await connect()).feedback("r-1", pb.RecordFeedbackRequest.VERDICT_BAD, comment="wrong year")
    [asked] = gateway.asked
    assert (asked.request_id, asked.verdict, asked.comment) == (
        "r-1",
        pb.RecordFeedbackRequest.VERDICT_BAD,
        "wrong year",
    )


async def test_a_principal_says_who_the_token_speaks_for(connect: Connect) -> None:
    assert (await (await connect()).issue_principal()).subject == "E00001"


async def test_a_receipt_is_fetched_by_request(connect: Connect) -> None:
    assert (await (await connect()).receipt("r-9")).receipt.request_id == "r-9"


async def test_a_gateway_that_is_not_there_is_unavailable_and_a_bad_address_says_so() -> None:
    async with TiermeshClient("127.0.0.1:1") as client:
        with pytest.raises(RpcError) as caught:
            await anext(client.ask("Anyone?", timeout=5))
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    with pytest.raises(ValueError, match="host:port"):
        TiermeshClient("nowhere")
