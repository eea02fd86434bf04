"""A write is a proposal; the user's word performs it exactly once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc
from tiermesh.common.v1 import context_pb2, scores_pb2
from tiermesh_cli.home import Home
from tiermesh_cli.keys import sign_in_token
from tiermesh_cli.people import find_person
from tiermesh_cli.stack import build_stack, free_ports
from tiermesh_client import TiermeshClient
from tiermesh_runtime.principal import METADATA_KEY, PrincipalSigner

from tests.conftest import PROJECT, Collector, Suite, running_suite


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, seeded: Path, collector: Collector) -> Iterator[Suite]:
    """One of its own: what is written here is not in the copy that other tests hold answers against."""
    with running_suite(tmp_path_factory.mktemp("actions"), seeded, collector) as started:
        yield started


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


@pytest.mark.parametrize(
    ("wish", "action"),
    [
        ("Request a proof of employment letter", "people.letters"),
        ("Change my home address to 14 Millfield Road, Rotherham", "people.update_profile"),
        ("Please open an IT ticket: my badge is lost", "support.ticket"),
    ],
)
def test_what_a_desk_is_asked_for_is_drafted_and_sent_once_it_is_confirmed(suite: Any, wish: str, action: str) -> None:
    events = suite.ask(wish, "--as", "employee")
    (proposal,) = [event for event in events if event["event"] == "proposal"]
    assert proposal["action"] == action
    done = suite.run("confirm", proposal["token"], "--as", "employee")
    assert done.returncode == 0, done.stderr


def test_nobody_else_can_confirm_it(suite: Any) -> None:
    proposal = proposal_of(suite, "employee", "Monday and Tuesday")
    done = suite.run("confirm", proposal["token"], "--as", "lead")
    assert done.returncode == 1
    assert "PROPOSAL_INVALID" in done.stderr


def test_confirmed_at_two_gateways_at_once_it_is_done_once(suite: Any, other_gateway: str) -> None:
    proposal = proposal_of(suite, "employee", "Tuesday and Wednesday")
    before = pending(suite)
    done = asyncio.run(confirmed(suite, [suite.gateway, other_gateway] * 4, proposal["token"]))
    assert sum(not each.repeated for each in done) == 1
    assert len({(each.proposal_id, each.record_id, each.summary) for each in done}) == 1
    assert done[0].record_id
    assert pending(suite) == before + 1
    # And once more, long after.
    (again,) = asyncio.run(confirmed(suite, [other_gateway], proposal["token"]))
    assert (again.repeated, again.record_id) == (True, done[0].record_id)
    assert pending(suite) == before + 1


@pytest.fixture
def other_gateway(suite: Any) -> Iterator[str]:
    """Another process of the gateway, before the same services and with the same store."""
    home = Home(PROJECT, suite.state)
    ports = {**free_ports(), **{name: int(at.rpartition(":")[2]) for name, at in suite.addresses.items()}}
    ports["gateway"] = free_ports()["gateway"]
    gateway = next(
        each for each in build_stack(home, ports, model_key_file=None, model_url=None) if each.name == "gateway"
    )
    spool = {"TIERMESH_GATEWAY_SPOOL": str(suite.state / "spool" / "other-gateway.sqlite")}
    process = subprocess.Popen(
        [sys.executable, "-m", gateway.module],
        env={**os.environ, **gateway.environment, **spool},
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with grpc.insecure_channel(gateway.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=60)
            next(each for each in watch if each.status == health_pb2.HealthCheckResponse.SERVING)
        yield gateway.address
    finally:
        process.terminate()
        process.wait(timeout=30)


async def confirmed(suite: Any, gateways: Sequence[str], token: str) -> list[Any]:
    """Confirm at each of these gateways at once, as the employee."""
    person = find_person(PROJECT / "packs" / "hr", "employee")
    sign_in = sign_in_token(suite.state / "keys", tenant="acme", subject=person.subject, roles=person.roles)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(TiermeshClient(at, token=sign_in)) for at in gateways]
        return await asyncio.gather(*(client.confirm(token, timeout=30) for client in clients))


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
