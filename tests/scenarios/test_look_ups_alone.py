"""Where only look-ups of one person are offered, a question about many is one aggregate call all the same."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import table_pb2
from tiermesh.tools.v1 import tools_service_pb2 as pb
from tiermesh.tools.v1 import tools_service_pb2_grpc as rpc

from tests.conftest import Collector, running_suite


@dataclass
class LookUps(rpc.ToolsServiceServicer):
    """One tool, for one person a call."""

    address: str = ""
    called: list[str] = field(default_factory=list)

    def ListTools(self, request: Any, context: Any) -> pb.ListToolsResponse:
        schema = '{"type": "object", "properties": {"employee": {"type": "string"}}, "required": ["employee"]}'
        tool = pb.Tool(
            name="leave_taken",
            description="The leave that one employee took this year, in days.",
            input_schema=schema,
            kind=pb.TOOL_KIND_ENTITY_LOOKUP,
            entity_argument="employee",
            domain="leave",
        )
        return pb.ListToolsResponse(tools=[tool])

    def CallTool(self, request: pb.CallToolRequest, context: Any) -> pb.CallToolResponse:
        self.called.append(request.arguments)
        return pb.CallToolResponse(table=table_pb2.Table())


@pytest.fixture
def look_ups() -> Iterator[LookUps]:
    servicer = LookUps()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    rpc.add_ToolsServiceServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield servicer
    server.stop(0).wait()


def test_a_manager_s_question_about_all_reports_is_one_aggregate_call_and_no_look_up(
    tmp_path: Path, seeded: Path, collector: Collector, look_ups: LookUps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERMESH_EXECUTOR_TOOL_ADDRESSES", look_ups.address)
    with running_suite(tmp_path, seeded, collector) as suite:
        events = suite.ask("Who of my reports took the most leave this year?")
    tables = [event for event in events if event["event"] == "table"]
    assert [table["statements"] for table in tables] == [1]
    assert len(tables[0]["rows"]) > 3
    assert next(event for event in events if event["event"] == "answer_done")["complete"]
    assert look_ups.called == []
