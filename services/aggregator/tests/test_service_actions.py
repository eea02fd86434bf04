"""The service in process: proposals performed exactly once, by whom they are for, while they hold."""

import asyncio
from typing import Any

import grpc
import pytest
from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb

from .signed_client import Client, context, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def perform(client: Client, token: str, person: str = "E00014") -> Any:
    request = pb.PerformActionRequest(context=context(), token=token)
    return await client.aggregator.PerformAction(request, metadata=client.as_(person), timeout=20)


async def pending(client: Client) -> list[str]:
    result = await client.tool("leave_requests", leave_status="pending", from_date="2026-12-14", to_date="2026-12-18")
    names = [column.name for column in result.table.columns]
    return [row.values[names.index("leave_request_id")].text for row in result.table.rows]


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
