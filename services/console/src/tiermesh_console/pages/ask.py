"""Ask: the page, and the answer as a stream of JSON lines while it is made."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

import structlog
from aiohttp import web
from tiermesh.common.v1 import routing_pb2
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh_client.events import event_values
from tiermesh_runtime.errors import RpcError

from tiermesh_console.context import page, parts
from tiermesh_console.troubles import trouble_of

ROUTES = web.RouteTableDef()
_VERDICTS = {
    "good": pb.RecordFeedbackRequest.VERDICT_GOOD,
    "bad": pb.RecordFeedbackRequest.VERDICT_BAD,
    "pill": pb.RecordFeedbackRequest.VERDICT_PILL_CLICKED,
}
_TIERS = {
    "": routing_pb2.TIER_UNSPECIFIED,
    "1": routing_pb2.TIER_1,
    "2": routing_pb2.TIER_2,
    "3": routing_pb2.TIER_3,
}


@ROUTES.get("/ask")
async def show(request: web.Request) -> web.StreamResponse:
    """Show where questions are asked."""
    return page(request, "ask.html", examples=parts(request).settings.example_questions)


@ROUTES.post("/ask/stream")
async def stream(request: web.Request) -> web.StreamResponse:
    """Ask one question; send its events, one JSON object a line, as they come."""
    asked = await _body(request)
    events = parts(request).client.ask(
        _text(asked, "text"),
        conversation_id=_text(asked, "conversation_id"),
        request_id=_text(asked, "request_id"),
        pill_token=_text(asked, "pill_token"),
        min_tier=_choice(asked, "min_tier", _TIERS),
    )
    async with aclosing(events):
        # A refusal comes instead of the first event, and then the status can still say so.
        first = await anext(events)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        await _line(response, event_values(first))
        try:
            async for event in events:
                if event.WhichOneof("event") != "heartbeat":
                    await _line(response, event_values(event))
        except RpcError as error:
            structlog.get_logger().info("stream_ended", reason=error.reason, code=error.code.name)
            await _line(response, {"event": "trouble", **trouble_of(error).values})
        await response.write_eof()
    return response


@ROUTES.post("/ask/feedback")
async def feedback(request: web.Request) -> web.StreamResponse:
    """Take a person's word on an answer of their own."""
    said = await _body(request)
    await parts(request).client.feedback(
        _text(said, "request_id"),
        _choice(said, "verdict", _VERDICTS),
        comment=_text(said, "comment"),
        pill_id=_text(said, "pill_id"),
    )
    return web.json_response({})


@ROUTES.post("/ask/confirm")
async def confirm(request: web.Request) -> web.StreamResponse:
    """Do what a proposal says, exactly once."""
    done = await parts(request).client.confirm(_text(await _body(request), "token"))
    return web.json_response({"summary": done.summary, "record_id": done.record_id, "repeated": done.repeated})


async def _line(response: web.StreamResponse, values: dict[str, Any]) -> None:
    await response.write(json.dumps(values, ensure_ascii=False).encode() + b"\n")


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        values = json.loads(await request.text())
    except (ValueError, LookupError, RecursionError):  # no JSON, in a character set that there is not, too deep
        values = None
    if not isinstance(values, dict):
        raise web.HTTPBadRequest(text="The request is no JSON object.")
    return values


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name, "")
    if not isinstance(value, str):
        raise web.HTTPBadRequest(text=f"{name} is no text.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise web.HTTPBadRequest(text=f"{name} holds half a character.") from None
    return value


def _choice(values: dict[str, Any], name: str, choices: dict[str, Any]) -> Any:
    value = _text(values, name)
    if value not in choices:
        raise web.HTTPBadRequest(text=f"{name} is none of {', '.join(filter(None, choices))}.")
    return choices[value]
