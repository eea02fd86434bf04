"""Thresholds: confidence against outcome, what every threshold would cost and break, proposals, applying, undoing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_runtime.errors import RpcError

from tiermesh_console import charts
from tiermesh_console.context import VISITOR, form, page, parts
from tiermesh_console.insights import PROPOSE_SECONDS
from tiermesh_console.selection import Chosen
from tiermesh_console.troubles import Trouble, trouble_of

ROUTES = web.RouteTableDef()
BANDS = 20
WEIGHTS = ("weight", "loss", "alpha")
# Words after a change, by the key in the address.
DONE = {
    "proposed": "The proposal is below, with its evidence. Nothing has changed yet.",
    "applied": "The threshold is in force. The gateway takes it up without a restart.",
    "undone": "The threshold before is in force again.",
}


@ROUTES.get("/thresholds")
async def show(request: web.Request) -> web.StreamResponse:
    """Show the tenant's threshold and everything it rests on."""
    return await _show(request, request.query)


@ROUTES.post("/thresholds/propose")
async def propose(request: web.Request) -> web.StreamResponse:
    """Have insights propose: the best threshold, or the one that a person dragged to."""
    said = await form(request)
    insights, visitor, chosen = parts(request).insights, request[VISITOR], Chosen.of(said)
    weights = Weights.of(said)
    message = pb.ProposeThresholdRequest(
        selection=chosen.message(visitor),
        quality_weight_micros=weights.quality_weight_micros,
        max_quality_loss=weights.max_quality_loss,
        alpha=weights.alpha,
    )
    wanted = _number(said.get("wanted", ""), most=1.0)
    if wanted is not None:
        message.wanted = wanted
    try:
        answer = await insights.call(insights.stub.ProposeThreshold, message, visitor, timeout=PROPOSE_SECONDS)
    except RpcError as error:
        return await _show(request, said, trouble_of(error))
    if not answer.proposal.proposal_id:
        # One that changes nothing is told and not kept.
        return await _show(request, said, stays=answer.proposal)
    return _back(request, said, "proposed")


@ROUTES.post("/thresholds/apply")
async def apply(request: web.Request) -> web.StreamResponse:
    """Put a proposal in force, by this person's word."""
    said = await form(request)
    insights, visitor = parts(request).insights, request[VISITOR]
    message = pb.ApplyThresholdRequest(tenant=visitor.tenant, proposal_id=said.get("proposal_id", ""))
    try:
        await insights.call(insights.stub.ApplyThreshold, message, visitor)
    except RpcError as error:
        return await _show(request, said, trouble_of(error))
    return _back(request, said, "applied")


@ROUTES.post("/thresholds/undo")
async def undo(request: web.Request) -> web.StreamResponse:
    """Go back to the version before."""
    said = await form(request)
    insights, visitor = parts(request).insights, request[VISITOR]
    message = pb.UndoThresholdRequest(tenant=visitor.tenant, version=said.get("version", ""))
    try:
        await insights.call(insights.stub.UndoThreshold, message, visitor)
    except RpcError as error:
        return await _show(request, said, trouble_of(error))
    return _back(request, said, "undone")


async def _show(
    request: web.Request,
    values: Mapping[str, str],
    problem: Trouble | None = None,
    *,
    stays: pb.ThresholdProposal | None = None,
) -> web.Response:
    insights, visitor, chosen = parts(request).insights, request[VISITOR], Chosen.of(values)
    selection, weights = chosen.message(visitor), Weights.of(values)
    threshold, confidence = await asyncio.gather(
        insights.attempt(
            insights.stub.ReportThreshold,
            pb.ReportThresholdRequest(
                selection=selection,
                quality_weight_micros=weights.quality_weight_micros,
                max_quality_loss=weights.max_quality_loss,
                alpha=weights.alpha,
            ),
            visitor,
        ),
        insights.attempt(
            insights.stub.ReportConfidence, pb.ReportConfidenceRequest(selection=selection, bands=BANDS), visitor
        ),
    )
    drawn = {}
    if not isinstance(confidence, RpcError):
        drawn["confidence"] = charts.confidence(confidence)
        drawn["reliability"] = charts.reliability(confidence)
    if not isinstance(threshold, RpcError):
        drawn["curve"] = charts.curve(threshold)
    return page(
        request,
        "thresholds.html",
        status=problem.status if problem is not None else 200,
        chosen=chosen,
        families=() if isinstance(confidence, RpcError) else confidence.intent_families,
        threshold=threshold,
        confidence=confidence,
        drawn=drawn,
        done=DONE.get(values.get("done", ""), ""),
        problem=problem,
        stays=stays,
        weights={name: values.get(name, "") for name in WEIGHTS},
    )


@dataclass(frozen=True)
class Weights:
    """What a wrong answer costs, how many may be wrong, how sure that must be; 0 takes the deployment's own."""

    quality_weight_micros: int = 0
    max_quality_loss: float = 0.0
    alpha: float = 0.0

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Weights:
        """Read them from an address's query or a form, in dollars and percent."""
        return cls(
            int((_number(values.get("weight", ""), most=1_000_000.0) or 0.0) * 1_000_000),
            (_number(values.get("loss", ""), most=100.0) or 0.0) / 100,
            (_number(values.get("alpha", ""), most=100.0) or 0.0) / 100,
        )


def _number(word: str, *, most: float) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return min(max(value, 0.0), most) if math.isfinite(value) else None


def _back(request: web.Request, form: Mapping[str, str], done: str) -> web.Response:
    kept = {name: form[name] for name in WEIGHTS if form.get(name)}
    query = {**Chosen.of(form).query, **kept, "done": done}
    return web.Response(
        status=303, headers={"Location": str(request.rel_url.with_path("/thresholds").with_query(query))}
    )
