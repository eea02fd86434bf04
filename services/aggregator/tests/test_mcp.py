"""The tools over MCP with the SDK's own client: the same answers, by the principal of each request and no other."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from opentelemetry import metrics, trace
from tiermesh_aggregator.answering import Answering, Database
from tiermesh_aggregator.engines.duck import DuckEngine
from tiermesh_aggregator.gatekeeping import Gatekeeper
from tiermesh_aggregator.handbook import Handbook
from tiermesh_aggregator.mcp_serving import listening
from tiermesh_aggregator.mcp_tools import McpTools, Verifier
from tiermesh_aggregator.query import ResultTable
from tiermesh_aggregator.settings import AggregatorSettings
from tiermesh_aggregator.tools.toolbox import Toolbox
from tiermesh_pack.pack import Pack
from tiermesh_runtime.principal import PrincipalVerifier
from tiermesh_runtime.startup import StartupError
from tiermesh_runtime.testing import Keys, new_keys, signed_metadata

root = Path(__file__).parents[3]


class Served:
    """The tools behind one port, and tokens for it."""

    def __init__(self, url: str, keys: Keys, toolbox: Toolbox) -> None:
        self.url = url
        self.toolbox = toolbox
        self._keys = keys

    def token(self, person: str = "E00014", *roles: str, **claims: Any) -> str:
        claims = {"pack_version": "hr@1.0.0", **claims}
        return signed_metadata(self._keys.signer(), subject=person, roles=roles or ("employee",), **claims)[0][1]

    @asynccontextmanager
    async def as_(self, person: str = "E00014", *roles: str, token: str = "", **claims: Any) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {token or self.token(person, *roles, **claims)}"}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http,
            Client(streamable_http_client(self.url, http_client=http)) as client,
        ):
            yield client


@pytest.fixture
async def served(pack: Pack, duck_file: Path) -> AsyncIterator[Served]:
    keys = new_keys()
    engine = DuckEngine(duck_file, memory="512MB")
    handbook = Handbook(pack.handbook)
    answering = Answering(pack, Database(engine, trace.get_tracer("test"), metrics.get_meter("test")))
    gatekeeper = Gatekeeper("acme", pack.identity, 20)
    toolbox = Toolbox(pack, answering, handbook)
    verifier = Verifier(PrincipalVerifier(keys.public_pem, "aggregator"), gatekeeper)
    settings = AggregatorSettings(port=0, mcp_port=0, drain_seconds=1)
    async with listening(McpTools(toolbox, gatekeeper, verifier, pack.defaults), verifier, settings) as where:
        yield Served(where.url, keys, toolbox)
    handbook.close()
    await engine.close()


async def test_every_tool_is_listed_with_its_schema(served: Served) -> None:
    async with served.as_() as client:
        listed = (await client.list_tools()).tools
    assert {tool.name: tool.input_schema for tool in listed} == {
        name: tool.schema for name, tool in served.toolbox.tools.items()
    }


async def test_a_tool_answers_with_the_rows_that_the_caller_may_see(served: Served, visible: Any) -> None:
    arguments = {"aggregation": "rank", "measures": ["leave_days_applied"], "all_time": True, "limit": 100}
    for person in ("E00014", "E00060"):
        async with served.as_(person) as client:
            result = await client.call_tool("leave_team_aggregate", arguments)
        assert not result.is_error
        names = [column["name"] for column in result.structured_content["columns"]]
        people = {row[names.index("employee_id")] for row in result.structured_content["rows"]}
        assert people
        assert people <= visible(person)
        assert result.structured_content["statements"] == 1


async def test_wrong_arguments_are_refused_with_the_nearest_and_unknown_tools_with_theirs(served: Served) -> None:
    async with served.as_() as client:
        wrong = await client.call_tool("leave_team_aggregate", {"aggregation": "rank", "group_by": ["emploee"]})
        assert wrong.is_error
        assert wrong.structured_content["argument"] == "group_by[0]"
        assert "employee" in wrong.structured_content["nearest"]
        unclear = await client.call_tool("leave_team_aggregate", {"aggregation": "sum", "people": ["Anna"]})
        assert unclear.is_error
        with pytest.raises(MCPError, match="leave_team_aggregate"):
            await client.call_tool("leave_team_agregate", {})
        found = await client.call_tool("handbook_search", {"query": "carry over leave"})
        assert found.structured_content["passages"][0]["source"].startswith("handbook/")


@pytest.mark.parametrize(
    "claims", [{"tenant": "globex"}, {"audience": ("insights",)}, {"ttl": -60.0}, {"pack_version": "hr@9.0.0"}]
)
async def test_a_principal_of_others_or_of_yesterday_gets_nothing(served: Served, claims: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {served.token(**claims)}", "Accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        assert (await http.post(served.url, json=body, headers=headers)).status_code == 401
        del headers["Authorization"]
        assert (await http.post(served.url, json=body, headers=headers)).status_code == 401
        headers["Authorization"] = "Bearer nonsense"
        assert (await http.post(served.url, json=body, headers=headers)).status_code == 401


async def test_a_page_of_another_origin_is_refused(served: Served) -> None:
    headers = {
        "Authorization": f"Bearer {served.token()}",
        "Accept": "application/json, text/event-stream",
        "Origin": "https://evil.example",
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        assert (await http.post(served.url, json=body, headers=headers)).status_code == 403


async def test_a_caller_who_leaves_stops_the_tool(served: Served) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def endless(arguments: Any, call: Any) -> ResultTable:
        begun.set()
        try:
            await asyncio.sleep(300)
        finally:
            stopped.set()
        raise AssertionError("nobody waits this long")

    name = "handbook_read"
    object.__setattr__(served.toolbox.tools[name], "run", endless)
    async with served.as_() as client:
        calling = asyncio.create_task(client.call_tool(name, {"source": "x"}))
        await begun.wait()
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
    await asyncio.wait_for(stopped.wait(), 20)


async def test_answers_are_not_held_back_by_the_network_stack(served: Served) -> None:
    """With Nagle's algorithm on, each call waits for the peer's delayed acknowledgement: 40 ms at least."""
    async with served.as_() as client:
        await client.call_tool("handbook_search", {"query": "leave"})
        times = []
        for _ in range(15):
            begun = time.perf_counter()
            await client.call_tool("handbook_search", {"query": "leave"})
            times.append(time.perf_counter() - begun)
    assert min(times) < 0.04


async def test_a_port_that_is_taken_is_told_at_start(served: Served) -> None:
    port = int(served.url.rsplit(":", 1)[1].split("/")[0])
    settings = AggregatorSettings(port=0, mcp_port=port)
    with pytest.raises(StartupError, match="MCP_PORT"):
        async with listening(None, None, settings):  # type: ignore[arg-type] # it does not get that far
            pass
