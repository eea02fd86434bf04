"""Text inside of requests and of models' answers: arguments, variables, headers, addresses, cookies, verdicts.

As in `parsers`, a target raises nothing but what its reader is there to raise.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from functools import cache
from typing import Any
from urllib.parse import quote

from aiohttp.test_utils import make_mocked_request
from opentelemetry import metrics, propagate, trace
from tiermesh_aggregator.answering import Answering, Database
from tiermesh_aggregator.failures import AggregatorError, DatabaseDownError
from tiermesh_aggregator.graph.querying import Graph
from tiermesh_aggregator.handbook import Handbook
from tiermesh_aggregator.query import Moment, Viewer
from tiermesh_aggregator.tools.tool import Call
from tiermesh_aggregator.tools.toolbox import Toolbox
from tiermesh_classifier.language_model import stage
from tiermesh_cli.labelling import judging
from tiermesh_console.pages.compare import read_tables
from tiermesh_console.pages.thresholds import Weights
from tiermesh_console.selection import PERIODS, Chosen
from tiermesh_console.sessions import SessionBook
from tiermesh_executor.bounce import judge as bounce_judge
from tiermesh_executor.generate import schema_of
from tiermesh_executor.schemas import problem_with
from tiermesh_executor.tools.arguments import arguments_of
from tiermesh_executor.tools.catalogue import readable_schema
from tiermesh_insights.judging.judge import read_verdict
from tiermesh_pack import load_pack
from tiermesh_runtime import question_baggage

from tests.fuzzing.parsers import PROJECT
from tests.fuzzing.seeds import DOCUMENTS
from tests.fuzzing.target import Target


def arguments(text: str) -> None:
    """A model's arguments of every tool of the aggregator, up to where the database would be asked."""
    box = _toolbox()
    for name in box.tools:
        with suppress(AggregatorError):
            asyncio.run(box.call(name, text, _CALL))
    known = arguments_of(text)
    assert known is None or isinstance(known, dict)


def variables(text: str) -> None:
    """The first line is GraphQL, the others its variables."""
    document, _, values = text.partition("\n")
    for given in (document, _VARIED):
        with suppress(AggregatorError):
            asyncio.run(_graph().query(given, values, _CALL, is_person=True))


def verdicts(text: str) -> None:
    """What models say in JSON: labels, verdicts of three judges, output after a schema, and schemas themselves."""
    labels = stage._labels(text)
    assert labels is None or isinstance(labels, dict)
    assert bounce_judge._read(text)[0] in ("pass", "fail")
    read_verdict(text, {"right": "Is it right?"})
    judging.read_verdict(text)
    with suppress(ValueError):
        problem_with(text, schema_of(text))
    schema = readable_schema("tool", text)
    if schema is not None:
        problem_with(json.loads(text), schema)


def addresses(text: str) -> None:
    """The console's queries, forms, cookies and headers, each value the text."""
    values = dict.fromkeys(("days", "family", "weight", "loss", "alpha"), text)
    chosen = Chosen.of(values)
    assert chosen.days in PERIODS
    chosen.message(_Visitor())
    assert 0 <= Weights.of(values).quality_weight_micros < 2**63
    read_tables(text)
    line = text.replace("\r", " ").replace("\n", " ").replace("\0", " ")
    headers = {"Cookie": f"tiermesh={line}", "Origin": line, "Sec-Fetch-Site": line, "Host": line}
    request = make_mocked_request("POST", f"/thresholds?{quote(text, errors='replace')}", headers=headers)
    session = _sessions().open(request)
    assert not session.signed_in, "a cookie that nobody sealed was opened"
    assert not _sessions().csrf_holds(session, request, text), "a form was taken without its token"
    assert not _sessions().csrf_holds(session, make_mocked_request("POST", "/", headers={}), text)


def headers(text: str) -> None:
    """Trace context and baggage of a stranger: a bounded context, whatever they hold."""
    lines = [*text.split("\n"), "", "", ""]
    carried = dict(zip(("traceparent", "tracestate", "baggage"), lines, strict=False))
    context = question_baggage.bounded(propagate.extract(carried))
    held = question_baggage.attributes(context)
    assert set(held) <= set(question_baggage.KEYS)
    assert all(len(value) <= 64 for value in held.values())


class _Visitor:
    tenant = "acme"


class _Away:
    """An engine whose database is away: how far a question got is told by the error."""

    system = "duckdb"

    async def fetch(self, *_: object) -> Any:
        raise DatabaseDownError("away")

    estimate = fetch


@cache
def _answering() -> Answering:
    database = Database(_Away(), trace.NoOpTracer(), metrics.NoOpMeter("none"))
    return Answering(load_pack(PROJECT / "packs" / "hr"), database)


@cache
def _toolbox() -> Toolbox:
    pack = load_pack(PROJECT / "packs" / "hr")
    return Toolbox(pack, _answering(), Handbook(pack.handbook))


@cache
def _graph() -> Graph:
    return Graph(_answering(), {})


@cache
def _sessions() -> SessionBook:
    return SessionBook(b"k" * 32, hours=1.0, secure=False)


_CALL = Call(Viewer("E00014", frozenset({"employee", "manager"})), "acme", Moment(date(2026, 11, 27)), 5.0)
_VARIED = "query Q($n: Int, $w: [String!]) { leave(limit: $n, groupBy: $w) { rows { days } } }"
_ARGUMENTS = (
    '{"measures": ["days"], "aggregation": "rank", "group_by": ["department"], "limit": 3}',
    '{"employee": "E00016", "period": {"start": "2026-02-30", "end": "9999-12-31"}}',
    '{"filters": [{"dimension": "department", "operator": "in", "values": ["Sales", ""]}]}',
    '{"query": "How do I apply?", "source": "leave.md"}',
    '{"limit": 1e999, "measures": null, "period": "2026"}',
    "[" * 3_000,
    "9" * 5_000,
)
_VERDICTS = (
    '{"verdict": "good", "right": "yes", "reason": "r"}',
    '{"verdict": ["pass"], "reason": {"a": 1}}',
    '{"verdict": "pass", "reason": null}',
    '{"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}',
    '{"type": "object", "properties": {"a": {"pattern": "(a+)+$", "$ref": "http://x/"}}}',
    '{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a", "type": "object"}',
    '{"type": "object", "$ref": "#/nowhere"}',
    '{"intent": "leave.balance", "cardinality": 7}',
    "[" * 3_000,
    "9" * 5_000,
)
WIRE: Sequence[Target] = (
    Target("arguments", arguments, _ARGUMENTS),
    Target(
        "variables", variables, (*(f"{each}\n{{}}" for each in DOCUMENTS), '\n{"n": 3, "w": ["department"]}', "\n[")
    ),
    Target("verdicts", verdicts, _VERDICTS),
    Target(
        "addresses",
        addresses,
        (
            "²",
            "٣٠",
            "1e999",
            "nan",
            "http://[",
            "http://console",
            "é",
            "same-origin",
            '[{"rows": [[1]], "columns": 7}]',
            '{"rows": [[null]], "columns": [null, {"label": null}]}',
            "[" * 3_000,
            "gAAAAA==",
        ),
    ),
    Target(
        "headers",
        headers,
        (
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\na=1\ntiermesh.tenant=acme,x=%ff;p=1",
            "\n\ngen_ai.conversation.id=" + "c" * 300,
        ),
    ),
)
