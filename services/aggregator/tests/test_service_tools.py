"""The service in process: tools as they are listed, called, and refused with the nearest name."""

import json
from typing import Any

import grpc
import pytest
from tiermesh.tools.v1 import tools_service_pb2 as tools_pb

from .signed_client import Client, context, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_tools_are_listed_with_valid_schemas_and_their_intents(client: Client, pack: Any) -> None:
    import jsonschema

    listed = await client.tools.ListTools(
        tools_pb.ListToolsRequest(context=context()), metadata=client.as_(), timeout=5
    )
    by_name = {tool.name: tool for tool in listed.tools}
    for tool in listed.tools:
        jsonschema.Draft202012Validator.check_schema(json.loads(tool.input_schema))
        assert tool.intents, "an empty list would mean every intent"
    bulk = [tool for tool in listed.tools if tool.kind == tools_pb.TOOL_KIND_BULK]
    assert {tool.domain for tool in bulk} == set(pack.semantic.domains)
    measures = json.loads(by_name["leave_team_aggregate"].input_schema)["properties"]["measures"]["items"]["enum"]
    assert set(pack.semantic.domains["leave"].measures) <= set(measures)
    lookup = by_name["leave_balance"]
    assert (lookup.kind, lookup.entity_argument) == (tools_pb.TOOL_KIND_ENTITY_LOOKUP, "employee")
    assert lookup.bulk_alternative == "leave_team_aggregate"
    named = {tool for intent in pack.vocabulary.intents.values() for tool in intent.tools}
    assert named <= by_name.keys(), "an intent whose tools nobody has is handed from tier to tier for nothing"


async def test_every_look_up_answers_for_its_caller(client: Client) -> None:
    listed = await client.tools.ListTools(
        tools_pb.ListToolsRequest(context=context()), metadata=client.as_(), timeout=5
    )
    lookups = [tool.name for tool in listed.tools if tool.kind == tools_pb.TOOL_KIND_ENTITY_LOOKUP]
    for name in lookups:
        result = await client.tool(name)
        assert result.WhichOneof("result") == "table", name
        names = [column.name for column in result.table.columns]
        if "employee_id" in names and name != "reporting_line":
            people = {row.values[names.index("employee_id")].text for row in result.table.rows}
            assert people <= {"E00014"}, name
    assert len((await client.tool("leave_balance")).table.rows) >= 2


async def test_a_look_up_of_somebody_unseen_is_refused(client: Client) -> None:
    result = await client.tool("leave_balance", "E00016", employee="E00002")
    assert result.refusal.argument == "employee"
    assert "may see" in result.refusal.message
    assert result.refusal.unknown_name == "E00002"


async def test_a_bulk_tool_answers_as_aggregate_does(client: Client) -> None:
    arguments = {"aggregation": "rank", "measures": ["leave_days_applied"], "population": "all_reports", "limit": 3}
    result = await client.tool("leave_team_aggregate", from_date="2026-01-01", to_date="2026-12-31", **arguments)
    assert len(result.table.rows) >= 3
    assert result.table.statements == 1


@pytest.mark.parametrize(
    ("name", "arguments", "argument", "close"),
    [
        ("leave_team_aggregate", {"aggregation": "rank", "group_by": ["emploee"]}, "group_by[0]", "employee"),
        ("leave_team_aggregate", {"aggregation": "rnk"}, "aggregation", "rank"),
        ("leave_team_aggregate", {"aggregation": "sum", "measure": "x"}, "measure", "measures"),
        ("leave_team_aggregate", {}, "aggregation", "aggregation"),
        ("leave_balance", {"leave_type": "sikc"}, "leave_type", "sick"),
        (
            "leave_apply",
            {"leave_type": "anual", "start_date": "2026-12-07", "end_date": "2026-12-08"},
            "leave_type",
            "annual",
        ),
    ],
)
async def test_wrong_arguments_are_refused_with_the_nearest(
    client: Client, name: str, arguments: dict[str, Any], argument: str, close: str
) -> None:
    refusal = (await client.tool(name, **arguments)).refusal
    assert refusal.argument == argument
    assert close in list(refusal.nearest)
    # Other words may do: this is nothing that only the user can settle.
    assert refusal.unknown_name == ""


@pytest.mark.parametrize("raw", ["", "[]", "{", "nul", '"' * 50, "[" * 50_000])
async def test_arguments_that_are_no_object_are_refused(client: Client, raw: str) -> None:
    result = await client.tool("leave_team_aggregate", raw=raw)
    assert result.refusal.message


async def test_an_unknown_tool_names_the_nearest(client: Client) -> None:
    error = await refused(client.tool("leave_balanse"), grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_TOOL")
    assert "leave_balance" in error.metadata["nearest"]


async def test_the_handbook_answers_with_passages_and_their_sources(client: Client) -> None:
    result = await client.tool("handbook_search", query="How many days can I carry over into the next year?")
    best = result.passages.passages[0]
    assert best.source.startswith("handbook/leave/")
    whole = await client.tool("handbook_read", source=best.source)
    assert whole.passages.passages[0].text == best.text
    nothing = await client.tool("handbook_search", query='zzzq "OR" NEAR( *')
    assert len(nothing.passages.passages) == 0
