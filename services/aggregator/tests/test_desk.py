"""What the HR and IT desks are asked for, and feedback: drafted, confirmed once, seen by whom it concerns alone."""

from typing import Any

import pytest
from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb

from .signed_client import Client, context

pytestmark = pytest.mark.asyncio(loop_scope="module")
valid, mistyped = "DE44 5001 0517 5407 3249 31", "DE44 5001 0517 5407 3249 13"


async def confirmed(client: Client, proposal: Any, person: str = "E00014") -> Any:
    request = pb.PerformActionRequest(context=context(), token=proposal.token)
    return await client.aggregator.PerformAction(request, metadata=client.as_(person), timeout=20)


async def tickets(client: Client, person: str = "E00014", **arguments: Any) -> list[list[str]]:
    found = await client.tool("tickets", person, limit=200, **arguments)
    return [[value.text for value in row.values] for row in found.table.rows]


def fields(proposal: Any) -> dict[str, str]:
    return {one.name: one.value for one in proposal.fields}


async def test_a_ticket_is_open_at_its_desk_once_it_is_confirmed(client: Client) -> None:
    title = "Badge lost on the way in"
    proposal = (await client.tool("ticket_open", desk="it", title=f" {title}\n", details="Second time")).proposal
    assert proposal.summary == f"IT ticket: {title}"
    assert not any(title in row for row in await tickets(client)), "a proposal writes nothing"
    done = await confirmed(client, proposal)
    assert (await confirmed(client, proposal)).repeated
    mine = [row for row in await tickets(client, ticket_status="open", ticket_kind="IT ticket") if title in row]
    assert len(mine) == 1
    assert done.record_id in mine[0]


async def test_a_letter_is_asked_for_with_the_handbook_s_time(client: Client) -> None:
    visa = (await client.tool("letter_request", letter="visa", addressed_to="the Embassy of Canada")).proposal
    assert visa.summary == "Visa letter for the Embassy of Canada, issued within 2 working days"
    reference = (await client.tool("letter_request", letter="reference")).proposal
    assert fields(reference)["issued_within"] == "10 working days"
    done = await confirmed(client, visa)
    [row] = [row for row in await tickets(client, ticket_kind="HR ticket") if done.record_id in row]
    assert "Visa letter" in row


async def test_a_change_of_personal_data_reaches_the_desk_and_is_in_no_list(client: Client) -> None:
    account = (
        await client.tool("profile_update", field="bank_account", new_value=valid, valid_from="2026-12-01")
    ).proposal
    assert fields(account)["new_value"] == valid.replace(" ", "")
    assert "DE44" not in account.summary
    done = await confirmed(client, account)
    manager = "E00001"
    for person in ("E00014", manager):
        rows = [row for row in await tickets(client, person, employee="E00014") if done.record_id in row]
        assert len(rows) == 1, "the change is seen"
        assert not any("DE44" in value for value in rows[0]), "what it changes to is not"


@pytest.mark.parametrize(
    ("tool", "arguments", "argument"),
    [
        ("profile_update", {"field": "bank_account", "new_value": mistyped}, "new_value"),
        ("profile_update", {"field": "salary", "new_value": "100000"}, "field"),
        ("profile_update", {"field": "phone", "new_value": "\x00 \u200b"}, "new_value"),
        ("profile_update", {"field": "phone", "new_value": "1", "valid_from": "2026-02-30"}, "valid_from"),
        ("profile_update", {"field": "phone", "new_value": "1", "valid_from": "2036-01-01"}, "valid_from"),
        ("ticket_open", {"desk": "facilities", "title": "Lamp"}, "desk"),
        ("ticket_open", {"desk": "it", "title": " \n\t "}, "title"),
        ("letter_request", {"letter": "love"}, "letter"),
        ("feedback_give", {"employee": "Nobody Atall", "kind": "praise", "text": "Well done"}, "employee"),
        ("feedback_give", {"employee": "me", "kind": "praise", "text": "Well done"}, "employee"),
        ("feedback_give", {"employee": "E00001", "kind": "praise", "text": "  "}, "text"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused_by_its_argument(
    client: Client, tool: str, arguments: dict[str, str], argument: str
) -> None:
    result = await client.tool(tool, **arguments)
    assert result.refusal.argument == argument
    assert result.refusal.message


async def test_what_is_no_iban_is_left_to_the_desk(client: Client) -> None:
    number = "ACC 0012-3345, HDFC0000123"
    proposal = (await client.tool("profile_update", field="bank_account", new_value=number)).proposal
    assert fields(proposal)["new_value"] == number


async def received(client: Client, person: str) -> list[list[str]]:
    found = await client.tool("feedback", person, limit=200)
    return [[value.text for value in row.values] for row in found.table.rows]


async def test_feedback_reaches_a_colleague_who_is_nobody_of_the_giver_s_line(client: Client, frames: Any) -> None:
    people = frames["employees"]
    active = people[people.left_on.isna()]
    giver = active.iloc[-1]
    strangers = active[(active.department_id != giver.department_id) & (active.manager_id != giver.employee_id)]
    receiver = strangers[~strangers.full_name.duplicated(keep=False)].iloc[-1]
    words = "Thanks for saving the migration on Saturday"
    asked = {"employee": receiver.full_name, "kind": "thanks", "text": words}
    proposal = (await client.tool("feedback_give", giver.employee_id, **asked)).proposal
    assert proposal.summary == f"Thanks for {receiver.full_name}"
    await confirmed(client, proposal, giver.employee_id)
    assert any(words in row for row in await received(client, receiver.employee_id))
    others = strangers[(strangers.manager_id == receiver.manager_id) & (strangers.employee_id != receiver.employee_id)]
    for other in others.employee_id[:3]:
        assert not any(words in row for row in await received(client, other))


async def test_two_colleagues_of_one_name_are_asked_back(client: Client, frames: Any) -> None:
    people = frames["employees"]
    first = people[people.left_on.isna()].full_name.str.split().str[0]
    name = first.value_counts().index[0]
    assert first.value_counts().iloc[0] > 1
    result = await client.tool("feedback_give", kind="praise", text="Well done", employee=name)
    assert len(result.clarification.options) > 1
