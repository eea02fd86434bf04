"""Baggage says whose question it is, and nothing that somebody outside of the suite wrote."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from opentelemetry.trace import SpanKind
from tiermesh_runtime import question_baggage, testing
from tiermesh_runtime.settings import ServiceSettings

TRACE = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
OURS = "tiermesh.tenant=acme,gen_ai.conversation.id=c-1"


async def _heard(_request: Any, context: Any) -> str:
    return ",".join(sorted(str(v) for k, v in context.invocation_metadata() if k == "baggage"))


async def test_tenant_and_conversation_reach_the_last_hop_and_its_span(
    serve: Any, spans: Any, key_settings: ServiceSettings, keys: testing.Keys
) -> None:
    last = await serve(_heard, audience="executor", settings=key_settings)
    signed = testing.signed_metadata(keys.signer())

    async def middle_body(_request: Any, _context: Any) -> Any:
        return (await last.ask("unary_unary"))[0]

    middle = await serve(middle_body, audience="suggester", settings=key_settings)

    async def edge_body(_request: Any, _context: Any) -> Any:
        question_baggage.carry("acme", "c-1")
        return (await middle.ask("unary_unary", metadata=signed))[0]

    edge = await serve(edge_body)
    assert await edge.ask("unary_unary", metadata=(TRACE, ("baggage", "user.email=e.kern@acme.example"))) == [OURS]
    await spans.wait_for(6)
    served = [each for each in spans.get_finished_spans() if each.kind is SpanKind.SERVER]
    named = [each.attributes.get("gen_ai.conversation.id") for each in served]
    assert named == ["c-1", "c-1", None], "the two inner services, and not the edge by a caller's word"
    assert "kern" not in str([each.to_json() for each in spans.get_finished_spans()])


@pytest.mark.parametrize("said", ["tiermesh.tenant=other", "anything=else", "tiermesh.tenant=acme,name=Kern"])
async def test_what_a_stranger_sends_ends_at_the_edge(serve: Any, toy: Any, said: str) -> None:
    last = await serve(_heard)

    async def edge_body(_request: Any, _context: Any) -> Any:
        return (await last.ask("unary_unary"))[0]

    edge = await serve(edge_body)
    async with grpc.aio.insecure_channel(edge.address) as plain:
        answered = await toy("", plain).ask("unary_unary", metadata=(TRACE, ("baggage", said)), timeout=10)
    assert answered == [""]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (OURS, OURS),
        (f"{OURS},user.name=Kern", OURS),
        ("tiermesh.tenant=Eva%20Kern", ""),
        (f"tiermesh.tenant={'a' * 65}", ""),
        ("no baggage at all", ""),
    ],
)
async def test_inside_only_ids_under_our_two_keys_go_on(
    serve: Any, key_settings: ServiceSettings, keys: testing.Keys, said: str, kept: str
) -> None:
    last = await serve(_heard)

    async def inner_body(_request: Any, _context: Any) -> Any:
        return (await last.ask("unary_unary"))[0]

    inner = await serve(inner_body, audience="executor", settings=key_settings)
    signed = testing.signed_metadata(keys.signer())
    assert await inner.ask("unary_unary", metadata=(*signed, TRACE, ("baggage", said))) == [kept]
