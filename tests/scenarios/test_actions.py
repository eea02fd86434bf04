"""A write is a proposal; the user's word performs it exactly once."""

from __future__ import annotations

from concurrent import futures
from typing import Any

import grpc
from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc
from tiermesh.common.v1 import context_pb2, scores_pb2
from tiermesh_runtime.principal import METADATA_KEY, PrincipalSigner


def proposal_of(suite: Any, person: str, days: str) -> dict[str, Any]:
    events = suite.ask(f"Book two days off next {days}", "--as", person)
    assert next(event for event in events if event["event"] == "answer_done")["complete"]
    found = [event for event in events if event["event"] == "proposal"]
    assert len(found) == 1
    return dict(found[0])


def test_nothing_is_written_without_the_user_and_once_with_it(suite: Any) -> None:
    proposal = proposal_of(suite, "employee", "Thursday and Friday")
    assert proposal["action"] == "leave.apply"
    before = pending(suite)
    with futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: suite.run("confirm", proposal["token"], "--as", "employee"), range(4)))
    assert [each.returncode for each in done] == [0, 0, 0, 0], [each.stderr for each in done]
    assert sum("had been done before" not in each.stdout for each in done) == 1
    assert pending(suite) == before + 1


def test_nobody_else_can_confirm_it(suite: Any) -> None:
    proposal = proposal_of(suite, "employee", "Monday and Tuesday")
    done = suite.run("confirm", proposal["token"], "--as", "lead")
    assert done.returncode == 1
    assert "PROPOSAL_INVALID" in done.stderr


def pending(suite: Any) -> int:
    """Return how many requests of the employee wait, as the aggregator counts them."""
    employee = next(line.split()[1] for line in suite.run("people").stdout.splitlines() if line.startswith("employee "))
    signer = PrincipalSigner((suite.state / "keys" / "principal.pem").read_bytes())
    token = signer.mint(
        tenant="acme",
        subject=employee,
        roles=("employee",),
        audience=("aggregator",),
        pack_version="hr@1.0.0",
        request_id="count",
    )
    query = pb.AggregateQuery(
        domain="leave",
        aggregation=pb.AGGREGATION_COUNT,
        measures=["leave_requests"],
        population=pb.POPULATION_SELF,
        date_range=scores_pb2.DateRange(start="2020-01-01", end="2040-01-01"),
    )
    query.filters.add(field="leave_status", operator=pb.AggregateQuery.Filter.OPERATOR_IN, values=["pending"])
    request = pb.AggregateRequest(
        context=context_pb2.RequestContext(request_id="count", tenant="acme", pack_version="hr@1.0.0"), query=query
    )
    with grpc.insecure_channel(suite.addresses["aggregator"]) as channel:
        stub = aggregator_service_pb2_grpc.AggregatorServiceStub(channel)
        (row,) = stub.Aggregate(request, metadata=((METADATA_KEY, token),), timeout=10).table.rows
    return next(value.integer for value in row.values if value.HasField("integer"))
