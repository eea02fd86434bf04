"""The service in process: identity, plans, tools, proposals performed exactly once, errors as they travel."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from opentelemetry.trace import SpanKind
from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc as stubs
from tiermesh.common.v1 import context_pb2, scores_pb2
from tiermesh.tools.v1 import tools_service_pb2 as tools_pb
from tiermesh.tools.v1 import tools_service_pb2_grpc as tools_stubs
from tiermesh_aggregator.building import build
from tiermesh_aggregator.refresh import main as refresh
from tiermesh_aggregator.settings import AggregatorSettings
from tiermesh_runtime.errors import from_call
from tiermesh_runtime.server import serving
from tiermesh_runtime.testing import Keys, new_keys, signed_metadata, span_exporter

root = Path(__file__).parents[3]


@dataclass
class Client:
    aggregator: Any
    tools: Any
    keys: Keys
    database: Path
    address: str

    def as_(self, person: str = "E00014", *roles: str, **claims: Any) -> Any:
        return signed_metadata(self.keys.signer(), subject=person, roles=roles or ("employee", "manager"), **claims)

    async def tool(self, name: str, person: str = "E00014", /, *, raw: str | None = None, **arguments: Any) -> Any:
        text = json.dumps(arguments) if raw is None else raw
        request = tools_pb.CallToolRequest(context=context(), name=name, arguments=text)
        return await self.tools.CallTool(request, metadata=self.as_(person), timeout=20)


def context(**more: Any) -> context_pb2.RequestContext:
    made = context_pb2.RequestContext(
        **{"request_id": "r1", "tenant": "acme", "pack_version": "hr@1.0.0", "time_zone": "Europe/Berlin", **more}
    )
    made.asked_at.FromJsonString("2026-11-20T12:00:00Z")
    return made


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(params=["duckdb", "postgresql"], scope="module", loop_scope="module")
async def client(
    request: pytest.FixtureRequest,
    duck_file: Path,
    postgres_copy: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Client]:
    """Over copies of the company: here things are written."""
    keys = new_keys()
    tmp_path = tmp_path_factory.mktemp("service")
    copy = tmp_path / "company.duckdb"
    shutil.copy(duck_file, copy)
    (tmp_path / "action.key").write_bytes(b"k" * 64)
    settings = AggregatorSettings(
        port=0,
        pack=root / "packs" / "hr",
        database=f"duckdb:///{copy}" if request.param == "duckdb" else postgres_copy,
        principal_public_key=keys.write_public(tmp_path),
        action_key_file=tmp_path / "action.key",
    )
    async with (
        build(settings) as parts,
        serving(parts, settings) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield Client(
            stubs.AggregatorServiceStub(channel), tools_stubs.ToolsServiceStub(channel), keys, copy, server.address
        )


def scope(aggregation: str = "rank", **slots: Any) -> scores_pb2.ScopeScores:
    def axis(label: str) -> scores_pb2.AxisScore:
        return scores_pb2.AxisScore(label=label, probability=0.9)

    said = scores_pb2.Slots(domain=scores_pb2.Slot(value="leave", confidence=0.9), **slots)
    return scores_pb2.ScopeScores(
        cardinality=axis("team"), temporal=axis("window"), aggregation=axis(aggregation), slots=said
    )


def plan(**slots: Any) -> pb.AggregateRequest:
    return pb.AggregateRequest(
        context=context(), scores=pb.AggregateRequest.Plan(intent="leave.history", scope=scope(**slots))
    )


async def refused(call: Any, code: grpc.StatusCode, reason: str) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    decoded = from_call(error.value)
    assert (decoded.code, decoded.reason) == (code, reason), str(decoded)
    return decoded


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


async def perform(client: Client, token: str, person: str = "E00014") -> Any:
    request = pb.PerformActionRequest(context=context(), token=token)
    return await client.aggregator.PerformAction(request, metadata=client.as_(person), timeout=20)


async def pending(client: Client) -> list[str]:
    result = await client.tool("leave_requests", leave_status="pending", from_date="2026-12-14", to_date="2026-12-18")
    names = [column.name for column in result.table.columns]
    return [row.values[names.index("leave_request_id")].text for row in result.table.rows]


async def test_leave_is_applied_for_exactly_once_and_can_be_withdrawn(client: Client) -> None:
    dates = {"leave_type": "unpaid", "start_date": "2026-12-14", "end_date": "2026-12-15"}
    proposal = (await client.tool("leave_apply", **dates)).proposal
    assert "2 working days" in proposal.summary
    assert await pending(client) == [], "a proposal writes nothing"
    results = await asyncio.gather(*(perform(client, proposal.token) for _ in range(6)))
    assert sorted(result.repeated for result in results) == [False] + [True] * 5
    assert {result.record_id for result in results} == set(await pending(client))
    assert len(await pending(client)) == 1
    overlap = await client.tool("leave_apply", **dates)
    assert overlap.refusal.argument == "start_date"
    withdrawal = (await client.tool("leave_cancel", leave_request_id=results[0].record_id)).proposal
    await perform(client, withdrawal.token)
    assert await pending(client) == []
    assert (await perform(client, proposal.token)).repeated, "an old token repeats its result and writes nothing"
    assert await pending(client) == []


async def test_a_proposal_that_no_longer_holds_is_not_performed(client: Client) -> None:
    dates = {"leave_type": "unpaid", "start_date": "2026-12-16", "end_date": "2026-12-16"}
    first, second = [(await client.tool("leave_apply", **dates)).proposal.token for _ in range(2)]
    done = await perform(client, first)
    await refused(perform(client, second), grpc.StatusCode.FAILED_PRECONDITION, "PROPOSAL_INVALID")
    withdrawal = (await client.tool("leave_cancel", leave_request_id=done.record_id)).proposal
    await perform(client, withdrawal.token)


async def test_a_token_is_good_for_its_person_only(client: Client) -> None:
    dates = {"leave_type": "unpaid", "start_date": "2026-12-17", "end_date": "2026-12-17"}
    token = (await client.tool("leave_apply", **dates)).proposal.token
    invalid = grpc.StatusCode.FAILED_PRECONDITION
    await refused(perform(client, token, "E00016"), invalid, "PROPOSAL_INVALID")
    await refused(perform(client, token[:-4] + "AAAA"), invalid, "PROPOSAL_INVALID")
    assert await pending(client) == []


async def test_an_expense_claim_is_filed_with_its_lines(client: Client) -> None:
    lines = [
        {"category": "taxi", "spent_on": "2026-11-18", "amount": 20},
        {"category": "hotel", "spent_on": "2026-11-18", "amount": "900.50", "merchant": "Grand"},
    ]
    proposal = (await client.tool("expense_submit", purpose="Fair in Leipzig", lines=lines)).proposal
    assert "920.50 EUR" in proposal.summary
    assert "1 over the limit" in proposal.summary
    done = await perform(client, proposal.token)
    found = await client.tool("expense_lines", from_date="2026-11-18", to_date="2026-11-18")
    names = [column.name for column in found.table.columns]
    amounts = [
        row.values[names.index("amount_eur")].text
        for row in found.table.rows
        if row.values[names.index("claim_id")].text == done.record_id
    ]
    assert sorted(amounts) == ["20.00", "900.50"]
    late = [{"category": "taxi", "spent_on": "2026-01-05", "amount": 20}]
    assert (await client.tool("expense_submit", purpose="Old", lines=late)).refusal.argument == "lines[0].spent_on"


def below(frames: Any, manager: str) -> list[str]:
    people = frames["employees"]
    return list(people[(people.manager_id == manager) & people.left_on.isna()].employee_id)


async def rows(client: Client, tool: str, person: str, **arguments: Any) -> list[dict[str, Any]]:
    table = (await client.tool(tool, person, **arguments)).table
    names = [column.name for column in table.columns]
    return [
        {
            name: getattr(value, value.WhichOneof("kind") or "text")
            for name, value in zip(names, row.values, strict=True)
        }
        for row in table.rows
    ]


async def test_a_manager_decides_on_leave_of_reports_once_and_nobody_else_does(client: Client, frames: Any) -> None:
    report = below(frames, "E00014")[0]
    dates = {"leave_type": "unpaid", "start_date": "2026-12-21", "end_date": "2026-12-22"}
    asked = await perform(client, (await client.tool("leave_apply", report, **dates)).proposal.token, report)
    decision = {"leave_request_ids": [asked.record_id.lower()], "decision": "approve"}
    for stranger in (report, "E00060"):
        refusal = (await client.tool("leave_decide", stranger, **decision)).refusal
        assert refusal.argument == "leave_request_ids[0]"
    proposal = (await client.tool("leave_decide", "E00014", **decision)).proposal
    other = (await client.tool("leave_decide", "E00014", **{**decision, "decision": "reject"})).proposal
    assert "Approve request" in proposal.summary
    done = await asyncio.gather(*(perform(client, proposal.token) for _ in range(4)))
    assert sorted(one.repeated for one in done) == [False, True, True, True]
    await refused(perform(client, other.token), grpc.StatusCode.FAILED_PRECONDITION, "PROPOSAL_INVALID")
    mine = await rows(client, "leave_requests", report, from_date="2026-12-21", to_date="2026-12-22")
    assert [one["leave_status"] for one in mine if one["leave_request_id"] == asked.record_id] == ["approved"]
    assert (await client.tool("leave_decide", "E00014", **decision)).refusal.message, "it is decided already"


async def test_approving_takes_days_from_the_balance_and_rejecting_gives_pending_ones_back(
    client: Client, frames: Any
) -> None:
    balances, requests = frames["leave_balances"], frames["leave_requests"]
    left = balances[(balances.leave_type == "annual") & (balances.year == 2026)]
    free = set(left[left.remaining_days - left.pending_days >= 3].employee_id)
    free -= set(requests[(requests.end_date >= "2026-12-20") & (requests.start_date <= "2027-01-05")].employee_id)
    people = frames["employees"][frames["employees"].left_on.isna() & frames["employees"].manager_id.notna()]
    manager, report = next(
        (str(one.manager_id), one.employee_id) for one in people.itertuples() if one.employee_id in free
    )

    async def balance() -> dict[str, Any]:
        found = await rows(client, "leave_balance", report, leave_type="annual")
        return next(one for one in found if "annual" in str(one["leave_type"]).lower())

    before = await balance()
    keys = []
    for day in ("2026-12-29", "2026-12-30"):
        dates = {"leave_type": "annual", "start_date": day, "end_date": day}
        answer = await client.tool("leave_apply", report, **dates)
        assert answer.proposal.token, answer.refusal.message
        keys.append((await perform(client, answer.proposal.token, report)).record_id)
    for key, verdict in zip(keys, ("approve", "reject"), strict=True):
        arguments = {"leave_request_ids": [key], "decision": verdict}
        await perform(client, (await client.tool("leave_decide", manager, **arguments)).proposal.token, manager)
    after = await balance()
    assert float(after["remaining_days"]) == float(before["remaining_days"]) - 1
    assert float(after["taken_days"]) == float(before["taken_days"]) + 1
    assert float(after["pending_days"]) == float(before["pending_days"])


async def test_a_dear_claim_is_decided_by_the_head_of_the_department(client: Client, frames: Any) -> None:
    heads = set(frames["departments"].head_employee_id)
    people = frames["employees"].set_index("employee_id")
    active = people[people.left_on.isna() & people.manager_id.notna()]
    report = next(one for one in active.index if active.manager_id[one] not in heads | {"E00001"} and one not in heads)
    manager = str(active.manager_id[report])
    head = str(frames["departments"].set_index("department_id").head_employee_id[active.department_id[report]])
    keys = []
    for amount in (1200, 30):
        lines = [{"category": "flight", "spent_on": "2026-11-18", "amount": amount}]
        proposal = (await client.tool("expense_submit", report, purpose="Fair", lines=lines)).proposal
        keys.append((await perform(client, proposal.token, report)).record_id)
    both = {"claim_ids": keys, "decision": "approve"}
    assert "head of the department" in (await client.tool("expense_decide", manager, **both)).refusal.message
    assert (await client.tool("expense_decide", report, **both)).refusal.argument == "claim_ids[0]"
    small = (await client.tool("expense_decide", manager, claim_ids=keys[1:], decision="approve")).proposal
    await perform(client, small.token, manager)
    dear = (await client.tool("expense_decide", head, claim_ids=keys[:1], decision="reject")).proposal
    await perform(client, dear.token, head)
    found = {one["claim_id"]: one["claim_status"] for one in await rows(client, "expense_claims", report, limit=200)}
    assert [found[key] for key in keys] == ["rejected", "approved"]


async def test_a_missing_punch_is_corrected_within_its_days(client: Client, frames: Any) -> None:
    days = frames["attendance_days"]
    recent = days[(days.status == "present") & (days["shift"] == "day") & (days.day >= "2026-11-16")].iloc[0]
    person, day = str(recent.employee_id), str(recent.day)[:10]
    times = {"day": day, "clock_in": "09:00", "clock_out": "17:30", "reason": "terminal was down"}
    proposal = (await client.tool("attendance_regularize", person, **times)).proposal
    assert "8.00 hours" in proposal.summary
    await perform(client, proposal.token, person)
    row = (await rows(client, "attendance_days", person, from_date=day, to_date=day))[0]
    assert float(row["hours_worked"]) == 8
    refusals = {
        "day": {"day": "2026-10-01"},
        "clock_out": {"clock_in": "09:00", "clock_out": "08:00"},
        "clock_in": {"clock_in": "25:00"},
        "arguments": {"clock_in": None, "clock_out": None},
    }
    for argument, change in refusals.items():
        changed = {name: value for name, value in {**times, **change}.items() if value is not None}
        refusal = (await client.tool("attendance_regularize", person, **changed)).refusal
        assert refusal.argument == argument, (argument, refusal)


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


async def test_a_principal_of_yesterday_or_without_a_person_gets_nothing(client: Client) -> None:
    request = plan(measures=[scores_pb2.Slot(value="leave_days_applied", confidence=0.9)])
    late = client.aggregator.Aggregate(request, metadata=client.as_(ttl=-60.0), timeout=20)
    await refused(late, grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")
    for subject in ("", "E00001\x00", "service:nobody"):
        metadata = client.as_(subject, "employee", "manager")
        answer = await client.aggregator.Aggregate(request, metadata=metadata, timeout=20)
        assert len(answer.table.rows) == 0
