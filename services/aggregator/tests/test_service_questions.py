"""The service in process: plans, queries and graph documents, and errors as they travel."""

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.trace import SpanKind
from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb
from tiermesh.common.v1 import scores_pb2
from tiermesh_aggregator.refresh import main as refresh
from tiermesh_runtime.testing import span_exporter

from .signed_client import Client, context, plan, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_plan_is_answered_by_one_statement_in_one_span(client: Client) -> None:
    spans = span_exporter()
    measure = scores_pb2.Slot(value="leave_days_applied", confidence=0.9)
    response = await client.aggregator.Aggregate(plan(measures=[measure]), metadata=client.as_(), timeout=20)
    assert response.table.statements == 1
    assert response.table.rows
    assert response.resolved.date_range.start == "2026-01-01"
    statements = [
        one for one in spans.get_finished_spans() if one.kind is SpanKind.CLIENT and "db.system.name" in one.attributes
    ]
    assert len(statements) == 1
    attributes = dict(statements[0].attributes)
    assert attributes["tiermesh.db.fingerprint"] == response.table.statement_fingerprint
    assert attributes["db.response.returned_rows"] >= len(response.table.rows)
    assert "E00014" not in str(attributes)


async def test_incomplete_slots_name_what_lacks(client: Client) -> None:
    request = plan(measures=[scores_pb2.Slot(value="leave_days", confidence=0.1)])
    call = client.aggregator.Aggregate(request, metadata=client.as_(), timeout=20)
    error = await refused(call, grpc.StatusCode.FAILED_PRECONDITION, "SLOTS_INCOMPLETE")
    assert error.metadata["missing"] == "measures"


async def test_words_that_are_no_name_leave_the_slots_incomplete(client: Client) -> None:
    request = plan(people=[scores_pb2.Slot(value="Dear Assistant", confidence=0.6)])
    call = client.aggregator.Aggregate(request, metadata=client.as_(), timeout=20)
    error = await refused(call, grpc.StatusCode.FAILED_PRECONDITION, "SLOTS_INCOMPLETE")
    assert error.metadata["missing"] == "people"


async def test_an_unknown_name_comes_with_the_nearest(client: Client) -> None:
    query = pb.AggregateQuery(domain="leave", aggregation=pb.AGGREGATION_SUM, measures=["leave_dayz"])
    call = client.aggregator.Aggregate(
        pb.AggregateRequest(context=context(), query=query), metadata=client.as_(), timeout=20
    )
    error = await refused(call, grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_NAME")
    assert "leave_days" in error.metadata["nearest"]
    assert error.violations[0].field == "query.measures[0]"


async def test_a_day_that_does_not_exist_is_a_bad_range(client: Client) -> None:
    query = pb.AggregateQuery(
        domain="leave", aggregation=pb.AGGREGATION_SUM, date_range=scores_pb2.DateRange(start="2026-02-31")
    )
    call = client.aggregator.Aggregate(
        pb.AggregateRequest(context=context(), query=query), metadata=client.as_(), timeout=20
    )
    await refused(call, grpc.StatusCode.INVALID_ARGUMENT, "BAD_DATE_RANGE")


async def test_an_ambiguous_name_is_a_clarification(client: Client) -> None:
    query = pb.AggregateQuery(domain="leave", aggregation=pb.AGGREGATION_SUM, people=["Anna"])
    response = await client.aggregator.Aggregate(
        pb.AggregateRequest(context=context(), query=query), metadata=client.as_(), timeout=20
    )
    assert len(response.clarification.options) >= 2


async def test_a_resolved_question_can_be_asked_again(client: Client) -> None:
    first = await client.aggregator.Aggregate(plan(), metadata=client.as_(), timeout=20)
    again = pb.AggregateRequest(context=context(), query=first.resolved)
    second = await client.aggregator.Aggregate(again, metadata=client.as_(), timeout=20)
    assert second.table.rows == first.table.rows
    assert second.table.statement_fingerprint == first.table.statement_fingerprint


async def test_a_view_is_refreshed_by_its_job_alone_and_answers_with_its_date(client: Client, tmp_path: Path) -> None:
    request = pb.RefreshViewRequest(context=context(), name="leave_applied_monthly")
    call = client.aggregator.RefreshView(request, metadata=client.as_("E00007", "hr_admin"), timeout=20)
    await refused(call, grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED")
    token = client.as_("service:views", purpose="refresh-views")[0][1]
    (tmp_path / "token").write_text(token)
    arguments = ["--address", client.address, "--token-file", str(tmp_path / "token"), "--pack-version", "hr@1.0.0"]
    assert await asyncio.to_thread(refresh, arguments) == 0
    assert await asyncio.to_thread(refresh, [*arguments, "--view", "leave_aplied_monthly"]) == 1
    measure = scores_pb2.Slot(value="leave_days_applied", confidence=0.9)
    question = plan(measures=[measure])
    answer = await client.aggregator.Aggregate(question, metadata=client.as_(), timeout=20)
    listed = await client.aggregator.ListViews(pb.ListViewsRequest(context=context()), metadata=client.as_(), timeout=5)
    view = next(one for one in listed.views if one.name == "leave_applied_yearly")
    assert (answer.view, answer.table.as_of) == (view.name, view.as_of)
    assert (view.fresh, view.rows > 100, view.domain) == (True, True, "leave")
    question.max_staleness.FromMilliseconds(1)
    tables = await client.aggregator.Aggregate(question, metadata=client.as_(), timeout=20)
    assert tables.view == ""
    assert tables.table.rows == answer.table.rows


async def test_a_graph_document_is_answered_with_data_and_tables_or_refused_by_a_named_gate(client: Client) -> None:
    document = "{ leave(population: ALL_REPORTS) { rows { employee leave_days } } }"

    async def ask(**request: str) -> Any:
        message = pb.QueryGraphRequest(context=context(), **request)
        return await client.aggregator.QueryGraph(message, metadata=client.as_(), timeout=20)

    answer = await ask(document=document)
    assert len(json.loads(answer.data)["leave"]["rows"]) == len(answer.tables[0].rows) > 3
    kept = await ask(operation="my_team_at_a_glance", variables='{"from": "2026-01-01"}')
    assert (len(kept.tables), kept.statements) == (3, 3)
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    error = await refused(ask(document="{ leave { rows { salary } } }"), invalid, "GRAPH_REFUSED")
    assert error.metadata["gate"] == "validate"
    for both_or_none in ({}, {"document": document, "operation": "my_team_at_a_glance"}):
        error = await refused(ask(**both_or_none), invalid, "GRAPH_REFUSED")
        assert error.metadata["gate"] == "operation"
