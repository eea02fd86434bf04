"""Quality: what judges and people say of the answers, tag by tag, and whether the judge's word counts."""

from __future__ import annotations

import asyncio

from aiohttp import web
from tiermesh.insights.v1 import insights_service_pb2 as pb

from tiermesh_console.context import VISITOR, page, parts
from tiermesh_console.selection import Chosen

ROUTES = web.RouteTableDef()


@ROUTES.get("/quality")
async def show(request: web.Request) -> web.StreamResponse:
    """Show the quality of the period."""
    insights, visitor, chosen = parts(request).insights, request[VISITOR], Chosen.of(request.query)
    selection = chosen.message(visitor)
    report, pills = await asyncio.gather(
        insights.attempt(insights.stub.ReportQuality, pb.ReportQualityRequest(selection=selection), visitor),
        insights.attempt(insights.stub.ReportPills, pb.ReportPillsRequest(selection=selection), visitor),
    )
    return page(request, "quality.html", chosen=chosen, families=(), report=report, pills=pills)
