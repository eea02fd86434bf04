"""Routing: where the questions went, who decided, what it did to their askers."""

from __future__ import annotations

import asyncio

from aiohttp import web
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_runtime.errors import RpcError

from tiermesh_console import charts, words
from tiermesh_console.context import VISITOR, page, parts
from tiermesh_console.selection import Chosen

ROUTES = web.RouteTableDef()
_TIERS = {"tier1": "Tier 1", "tier2": "Tier 2", "tier3": "Tier 3", "1": "Tier 1", "2": "Tier 2", "3": "Tier 3"}
_RATES = {"escalated": "Escalated", "bounces": "Bounced"}
_ERRORS = {"quality_loss": "Quality loss", "cost_inflation": "Cost inflation"}


@ROUTES.get("/routing")
async def show(request: web.Request) -> web.StreamResponse:
    """Show shares, rates and latencies over the period and as a whole."""
    console, visitor, chosen = parts(request), request[VISITOR], Chosen.of(request.query)
    selection = chosen.message(visitor)
    report = console.insights.stub.ReportRouting
    whole, steps = await asyncio.gather(
        console.insights.attempt(report, pb.ReportRoutingRequest(selection=selection), visitor),
        console.insights.attempt(report, pb.ReportRoutingRequest(selection=selection, step=chosen.step()), visitor),
    )
    aims = dict(console.settings.target_mix)
    drawn = {}
    if not isinstance(steps, RpcError):
        points = steps.points
        drawn = {
            "routes": charts.shares(points, "routes", words.ROUTES, aims),
            "tiers": charts.shares(points, "tiers", _TIERS, {}),
            "stages": charts.shares(points, "stages", words.STAGES, {}),
            "rates": charts.rates(points, _RATES),
            "errors": charts.rates(points, _ERRORS),
        }
    total = None if isinstance(whole, RpcError) or not whole.points else whole.points[0]
    return page(
        request,
        "routing.html",
        chosen=chosen,
        families=(),
        report=whole,
        total=total if total is not None and total.decisions else None,
        aims=aims,
        drawn=drawn,
    )
