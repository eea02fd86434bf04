"""Blind comparison: two answers to one question without their tiers, and a person's word on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import grpc
from aiohttp import web
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_runtime.errors import RpcError

from tiermesh_console.context import VISITOR, form, page, parts

ROUTES = web.RouteTableDef()
_WORDS = {
    "first": pb.RecordPreferenceRequest.PREFERENCE_FIRST,
    "second": pb.RecordPreferenceRequest.PREFERENCE_SECOND,
    "equal": pb.RecordPreferenceRequest.PREFERENCE_EQUAL,
    "both_bad": pb.RecordPreferenceRequest.PREFERENCE_BOTH_BAD,
}


@dataclass(frozen=True)
class Table:
    """A table that came with an answer."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


@ROUTES.get("/quality/compare")
async def show(request: web.Request) -> web.StreamResponse:
    """Show the next pair."""
    return await _next(request)


@ROUTES.post("/quality/compare")
async def prefer(request: web.Request) -> web.StreamResponse:
    """Take the word, say what the two were, show the next pair."""
    said, insights, visitor = await form(request), parts(request).insights, request[VISITOR]
    word = said.get("preference", "")
    if word not in _WORDS:
        raise web.HTTPBadRequest(text="Say which of the two is better, that they are equal, or that both are bad.")
    message = pb.RecordPreferenceRequest(
        tenant=visitor.tenant, comparison_id=said.get("comparison_id", ""), preference=_WORDS[word]
    )
    revealed = await insights.call(insights.stub.RecordPreference, message, visitor)
    return await _next(request, revealed, word)


async def _next(
    request: web.Request, revealed: pb.RecordPreferenceResponse | None = None, word: str = ""
) -> web.Response:
    insights, visitor = parts(request).insights, request[VISITOR]
    found = await insights.attempt(
        insights.stub.NextComparison, pb.NextComparisonRequest(tenant=visitor.tenant), visitor
    )
    if isinstance(found, RpcError) and found.code is not grpc.StatusCode.NOT_FOUND:
        raise found
    pair = None if isinstance(found, RpcError) else found
    sides = [] if pair is None else [("A", "first", pair.first), ("B", "second", pair.second)]
    return page(
        request,
        "compare.html",
        pair=pair,
        sides=[(letter, name, answer.text, read_tables(answer.tables_json)) for letter, name, answer in sides],
        revealed=revealed,
        word=word,
    )


def read_tables(words: str) -> list[Table]:
    """Return the tables that a sample kept as JSON; what has another form is left out."""
    try:
        values = json.loads(words) if words else []
    except (ValueError, RecursionError):
        return []
    found = values if isinstance(values, list) else [values]
    return [_table(each) for each in found if isinstance(each, dict) and isinstance(each.get("rows"), list)]


def _table(values: dict[str, Any]) -> Table:
    named = values.get("columns")
    columns = [
        str(each.get("label") or each.get("name", "")) if isinstance(each, dict) else str(each)
        for each in (named if isinstance(named, list) else [])
    ]
    rows = [["—" if cell is None else str(cell) for cell in row] for row in values["rows"] if isinstance(row, list)]
    return Table(str(values.get("caption", "")), columns, rows)
