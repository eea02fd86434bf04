"""Cost: what the questions came to, per session, per tag and over time."""

from __future__ import annotations

from aiohttp import web
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_runtime.errors import RpcError

from tiermesh_console import charts
from tiermesh_console.context import VISITOR, page, parts
from tiermesh_console.selection import Chosen

ROUTES = web.RouteTableDef()
SESSIONS = 20


@ROUTES.get("/cost")
async def show(request: web.Request) -> web.StreamResponse:
    """Show the spend of the period."""
    insights, visitor, chosen = parts(request).insights, request[VISITOR], Chosen.of(request.query)
    message = pb.ReportCostRequest(selection=chosen.message(visitor), step=chosen.step(), sessions=SESSIONS)
    report = await insights.attempt(insights.stub.ReportCost, message, visitor)
    drawn = {} if isinstance(report, RpcError) else {"spend": charts.spend(report)}
    return page(request, "cost.html", chosen=chosen, families=(), report=report, drawn=drawn)
