"""A question about fifty people that is sent to tier 1 with per-entity tools is one aggregate call all the same.

The decision's lock is open here: no classification came in time and the tenant puts cost first. What is left is the
executor's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import grpc
import pytest
from tiermesh.common.v1 import table_pb2
from tiermesh.tools.v1 import tools_service_pb2 as pb
from tiermesh.tools.v1 import tools_service_pb2_grpc as rpc

from tests.conftest import PROJECT, Collector, running_suite

REPORTS = 50
QUESTION = "Who of my reports took the most leave this year?"


def tool(name: str, description: str, argument: str) -> pb.Tool:
    return pb.Tool(
        name=name,
        description=description,
        input_schema=json.dumps(
            {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
        ),
        kind=pb.TOOL_KIND_ENTITY_LOOKUP,
        entity_argument=argument,
        domain="leave",
    )


@dataclass
class LookUps(rpc.ToolsServiceServicer):
    """Who reports to one person, and the leave of one person."""

    reports: list[str]
    address: str = ""
    called: list[str] = field(default_factory=list)

    def ListTools(self, request: Any, context: Any) -> pb.ListToolsResponse:
        reports = tool(
            "list_reports",
            "Lists all the reports of a manager, such as those who took the most leave this year.",
            "manager",
        )
        leave = tool("leave_taken", "The leave that one employee took this year, in days.", "employee")
        return pb.ListToolsResponse(tools=[reports, leave])

    def CallTool(self, request: pb.CallToolRequest, context: Any) -> pb.CallToolResponse:
        self.called.append(request.name)
        table = table_pb2.Table(columns=[table_pb2.Column(name="employee", label="Employee")])
        for name in self.reports:
            table.rows.add(values=[table_pb2.Value(text=name)])
        return pb.CallToolResponse(table=table)


@pytest.fixture
def look_ups(seeded: Path) -> Iterator[LookUps]:
    with duckdb.connect(str(seeded), read_only=True) as company:
        found = company.execute(
            "SELECT DISTINCT full_name FROM employees WHERE manager_id IS NOT NULL ORDER BY 1 LIMIT ?", [REPORTS]
        )
        servicer = LookUps([name for (name,) in found.fetchall()])
    server = grpc.server(futures.ThreadPoolExecutor(4))
    rpc.add_ToolsServiceServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield servicer
    server.stop(0).wait()


@pytest.fixture
def cost_first(tmp_path: Path) -> Path:
    """A folder of tenants whose one tenant takes tier 1 when there are no scores."""
    folder = tmp_path / "tenants"
    shutil.copytree(PROJECT / "services/gateway/config/tenants", folder)
    policy = folder / "acme.yaml"
    policy.write_text(policy.read_text().replace("quality_first", "cost_first"))
    return folder


def test_a_loop_over_fifty_reports_at_tier_1_becomes_one_aggregate_call(
    tmp_path: Path,
    seeded: Path,
    collector: Collector,
    look_ups: LookUps,
    cost_first: Path,
) -> None:
    with running_suite(
        tmp_path / "state",
        seeded,
        collector,
        TIERMESH_EXECUTOR_TOOL_ADDRESSES=look_ups.address,
        TIERMESH_GATEWAY_TENANTS=str(cost_first),
        # No classification comes in time: the scope is not known to be high.
        TIERMESH_GATEWAY_CLASSIFY_SECONDS="0.0001",
    ) as suite:
        events = suite.ask(QUESTION, "--as", "ceo")
        collector.wait_for_metrics({"tiermesh.executor.fan_out.refused"})
    found = {event["event"]: event for event in events}
    assert (found["decision"]["route"], found["decision"]["bulk_tools_only"]) == ("tier1", False)
    (refused,) = [event for event in events if event["event"] == "tool" and event["state"] == "refused"]
    assert refused["tool"] == "leave_taken"
    assert f"{REPORTS} different entities" in refused["detail"]
    assert (found["route_changed"]["route"], found["route_changed"]["cause"]) == ("aggregate", "fan_out")
    assert [event["statements"] for event in events if event["event"] == "table"] == [1]
    assert len(found["table"]["rows"]) > 3
    assert (found["answer_done"]["complete"], found["receipt"]["route"]) == (True, "aggregate")
    assert look_ups.called == ["list_reports"], "who reports to whom was asked once, and nobody's leave one by one"
