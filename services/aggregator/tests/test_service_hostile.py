"""The service in process: other tenants, worn-out principals, hostile text and absurd sizes get nothing."""

from typing import Any

import grpc
import pytest
from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb
from tiermesh.common.v1 import scores_pb2
from tiermesh_runtime.errors import from_call

from .signed_client import Client, context, plan, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

injection = "x'; DROP TABLE employees; -- \" OR 1=1 $1 \\"
denied = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)


def with_text(text: str) -> list[pb.AggregateQuery]:
    """A query per string field that a caller can fill, each with `text` in that field alone."""

    def query(**fields: Any) -> pb.AggregateQuery:
        return pb.AggregateQuery(**{"domain": "leave", "aggregation": pb.AGGREGATION_SUM, **fields})

    compare = {"aggregation": pb.AGGREGATION_COMPARE}
    known = pb.AggregateQuery.Side(people=["E00014"])
    in_it = pb.AggregateQuery.Filter.OPERATOR_IN
    return [
        query(domain=text),
        query(measures=[text]),
        query(group_by=[text]),
        query(filters=[pb.AggregateQuery.Filter(field=text, operator=in_it, values=["x"])]),
        query(filters=[pb.AggregateQuery.Filter(field="job_title", operator=in_it, values=[text])]),
        query(filters=[pb.AggregateQuery.Filter(field="employee", operator=in_it, values=[text])]),
        query(date_range=scores_pb2.DateRange(start=text)),
        query(order_by=[pb.AggregateQuery.Ordering(field=text)]),
        query(people=[text]),
        query(departments=[text]),
        query(teams=[text]),
        query(**compare, sides=[known, pb.AggregateQuery.Side(label=text, people=[text])]),
        query(**compare, sides=[known, pb.AggregateQuery.Side(departments=[text])]),
        query(**compare, sides=[known, pb.AggregateQuery.Side(teams=[text])]),
    ]


async def test_other_tenants_and_packs_are_refused(client: Client) -> None:
    denied, failed = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.FAILED_PRECONDITION
    list_views = client.aggregator.ListViews
    other = pb.ListViewsRequest(context=context(tenant="globex"))
    await refused(list_views(other, metadata=client.as_(), timeout=5), denied, "NOT_ALLOWED")
    await refused(list_views(other, metadata=client.as_(tenant="globex"), timeout=5), denied, "NOT_ALLOWED")
    newer = pb.ListViewsRequest(context=context(pack_version="hr@2.0.0"))
    await refused(list_views(newer, metadata=client.as_(), timeout=5), failed, "PACK_VERSION_MISMATCH")
    mine = pb.ListViewsRequest(context=context())
    await refused(list_views(mine, timeout=5), grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")
    assert (await list_views(mine, metadata=client.as_(), timeout=5)).views


async def test_a_principal_of_yesterday_or_without_a_person_gets_nothing(client: Client) -> None:
    request = plan(measures=[scores_pb2.Slot(value="leave_days_applied", confidence=0.9)])
    late = client.aggregator.Aggregate(request, metadata=client.as_(ttl=-60.0), timeout=20)
    await refused(late, grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")
    for subject in ("", "E00001\x00", "service:nobody"):
        metadata = client.as_(subject, "employee", "manager")
        answer = await client.aggregator.Aggregate(request, metadata=metadata, timeout=20)
        assert len(answer.table.rows) == 0


@pytest.mark.parametrize("text", [injection, "a\x00b", "a" * 10_000, "\u202e\ufeff%_"])
async def test_hostile_text_in_any_field_is_refused_or_finds_nothing(client: Client, text: str) -> None:
    for query in with_text(text):
        request = pb.AggregateRequest(context=context(), query=query)
        try:
            answer = await client.aggregator.Aggregate(request, metadata=client.as_(), timeout=20)
        except grpc.aio.AioRpcError as error:
            decoded = from_call(error)
            assert decoded.code in denied, (query, decoded)
            assert "DROP" not in str(decoded.metadata.get("nearest", ""))
        else:
            assert not any(value.text not in ("", "0") for row in answer.table.rows for value in row.values), query
    people = pb.AggregateQuery(domain="people", aggregation=pb.AGGREGATION_COUNT)
    left = await client.aggregator.Aggregate(
        pb.AggregateRequest(context=context(), query=people), metadata=client.as_(), timeout=20
    )
    assert left.table.rows[0].values[0].integer > 40


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"group_by": ["employee"] * 1000}, "INVALID_FIELD"),
        ({"measures": ["leave_days"] * 1000}, "INVALID_FIELD"),
        ({"limit": 0}, "INVALID_FIELD"),
        ({"limit": 1_000_000_000}, "INVALID_FIELD"),
        ({"people": ["E00014"] * 1000}, "INVALID_FIELD"),
        ({"date_range": scores_pb2.DateRange(start="2026-05-01", end="2026-04-01")}, "BAD_DATE_RANGE"),
        ({"date_range": scores_pb2.DateRange(start="0001-01-01", end="9999-12-31")}, "BAD_DATE_RANGE"),
        ({"date_range": scores_pb2.DateRange(start="2026-13-45")}, "BAD_DATE_RANGE"),
        (
            {
                "aggregation": pb.AGGREGATION_TREND,
                "measures": ["people_on_leave"],
                "group_by": ["day"],
                "date_range": scores_pb2.DateRange(start="1950-01-01", end="2027-01-01"),
            },
            "BAD_DATE_RANGE",
        ),
    ],
)
async def test_absurd_sizes_and_ranges_are_refused(client: Client, fields: dict[str, Any], reason: str) -> None:
    query = pb.AggregateQuery(**{"domain": "leave", "aggregation": pb.AGGREGATION_SUM, **fields})
    call = client.aggregator.Aggregate(
        pb.AggregateRequest(context=context(), query=query), metadata=client.as_(), timeout=20
    )
    await refused(call, grpc.StatusCode.INVALID_ARGUMENT, reason)
