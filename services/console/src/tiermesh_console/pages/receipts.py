"""Receipts: one decision explained, and what another threshold or policy would have decided."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import grpc
from aiohttp import web
from tiermesh.common.v1 import routing_pb2, scores_pb2
from tiermesh.gateway.v1 import gateway_service_pb2 as gateway
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_runtime.errors import RpcError

from tiermesh_console.context import VISITOR, page, parts

ROUTES = web.RouteTableDef()
# What a page's address carries; a policy's settings are far shorter.
_MOST_SETTINGS = 4_000
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Found:
    """What is known of one question: the asker's own receipt, the log's record, or both."""

    decision: routing_pb2.Decision
    receipt: gateway.Receipt | None
    log: pb.GetDecisionResponse | None


@ROUTES.get("/receipts")
async def find(request: web.Request) -> web.StreamResponse:
    """Ask which one; or go to it."""
    wanted = request.query.get("id", "").strip()
    if wanted and _ID.fullmatch(wanted):
        raise web.HTTPSeeOther(f"/receipts/{wanted}")
    return page(request, "receipts.html", wanted=wanted)


@ROUTES.get("/receipts/{id}")
async def show(request: web.Request) -> web.StreamResponse:
    """Explain one decision; with `threshold` or `settings` in the address, replay it."""
    wanted = request.match_info["id"]
    if not _ID.fullmatch(wanted):
        raise web.HTTPNotFound(text="That is no id of a request or decision.")
    found = await _find(request, wanted)
    threshold = _threshold(request.query.get("threshold", ""))
    settings = request.query.get("settings", "").strip()[:_MOST_SETTINGS]
    replay: pb.ReplayDecisionResponse | RpcError | None = None
    if threshold is not None or settings:
        replay = await _replay(request, found.decision.decision_id, threshold or 0.0, settings)
    return page(
        request,
        "receipt.html",
        id=wanted,
        decision=found.decision,
        receipt=found.receipt,
        log=found.log,
        axes=axes(found.decision.scores) if found.decision.HasField("scores") else (),
        threshold=found.decision.threshold.value if threshold is None else threshold,
        settings=settings,
        replay=replay,
    )


def axes(scores: scores_pb2.Scores) -> list[tuple[str, scores_pb2.AxisScore]]:
    """Return what the classifier said, axis by axis, those without a word left out."""
    scope, talk, hard = scores.scope, scores.conversation, scores.difficulty
    named = [
        ("Intent", scores.intent),
        ("Cardinality", scope.cardinality),
        ("Time range", scope.temporal),
        ("Aggregation", scope.aggregation),
        ("Position", talk.position),
        ("Needs context", talk.needs_context),
        ("Ambiguous", hard.ambiguous),
        ("Several steps", hard.multi_step),
        ("Stakes", hard.stakes),
    ]
    return [(name, score) for name, score in named if score.label]


async def _find(request: web.Request, wanted: str) -> Found:
    """The asker's own receipt from the gateway; beside it, or for others' questions, the log's record."""
    own: gateway.GetReceiptResponse | None = None
    refusal: RpcError | None = None
    try:
        own = await parts(request).client.receipt(wanted)
    except RpcError as error:
        if error.code is not grpc.StatusCode.NOT_FOUND:
            raise
        refusal = error
    log = await _logged(request, wanted, own) if request[VISITOR].may_read_reports else None
    if own is not None:
        return Found(own.decision, own.receipt, log)
    if log is None:
        raise refusal or web.HTTPNotFound()
    return Found(log.record.decision, None, log)


async def _logged(
    request: web.Request, wanted: str, own: gateway.GetReceiptResponse | None
) -> pb.GetDecisionResponse | None:
    insights, visitor = parts(request).insights, request[VISITOR]
    if own is not None:
        ways = [pb.GetDecisionRequest(tenant=visitor.tenant, decision_id=own.decision.decision_id)]
    else:
        ways = [
            pb.GetDecisionRequest(tenant=visitor.tenant, request_id=wanted),
            pb.GetDecisionRequest(tenant=visitor.tenant, decision_id=wanted),
        ]
    for way in ways:
        found = await insights.attempt(insights.stub.GetDecision, way, visitor)
        if not isinstance(found, RpcError):
            return found
        if own is None and found.code is not grpc.StatusCode.NOT_FOUND:
            raise found
    return None


async def _replay(
    request: web.Request, decision_id: str, threshold: float, settings: str
) -> pb.ReplayDecisionResponse | RpcError:
    insights, visitor = parts(request).insights, request[VISITOR]
    message = pb.ReplayDecisionRequest(
        tenant=visitor.tenant, decision_id=decision_id, threshold=threshold, settings=settings
    )
    try:
        return await insights.call(insights.stub.ReplayDecision, message, visitor)
    except RpcError as error:
        return error


def _threshold(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else None
