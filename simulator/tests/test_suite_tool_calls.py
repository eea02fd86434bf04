"""Which of the suite's tools a question calls, and with what."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message
from tiermesh_simulator.rules.fitting import fitting, missing

from .listed_tools import BULK, TODAY, closed, tool


async def ask(
    client: AsyncAnthropic, tools: list[dict[str, Any]], question: str, *, earlier: tuple[str, ...] = (), **more: Any
) -> Message:
    turns: list[Any] = []
    for text in earlier:
        turns += [{"role": "user", "content": text}, {"role": "assistant", "content": "You have some."}]
    turns.append({"role": "user", "content": f"{TODAY}\n<question>\n{question}\n</question>"})
    return await client.messages.create(
        model="claude-sonnet-5-5", max_tokens=500, system="You answer.", messages=turns, tools=tools, **more
    )


def calls(message: Message) -> list[tuple[str, Any]]:
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


@pytest.mark.parametrize(
    ("question", "called", "arguments"),
    [
        ("How many leave days do I have left?", "leave_balance", {}),
        ("Was I late yesterday?", "attendance_days", {"from_date": "2026-11-21", "to_date": "2026-11-21"}),
        ("When is the next public holiday?", "public_holidays", {"from_date": "2026-11-22"}),
        ("Can I carry over five days?", "handbook_search", {"query": "Can I carry over five days?"}),
        ("What is the meal allowance?", "handbook_search", {"query": "What is the meal allowance?"}),
        (
            "Book two days off next Thursday and Friday",
            "leave_apply",
            {"leave_type": "annual", "start_date": "2026-11-26", "end_date": "2026-11-27"},
        ),
        (
            "Book three sick days from 21 to 23 December",
            "leave_apply",
            {"leave_type": "sick", "start_date": "2026-12-21", "end_date": "2026-12-23"},
        ),
        (
            "Compare sick leave of Sales and Engineering",
            "leave_team_aggregate",
            {
                "aggregation": "compare",
                "measures": ["leave_days"],
                "filters": [{"field": "leave_type", "values": ["sick"]}],
                "sides": [
                    {"label": "Sales", "departments": ["Sales"]},
                    {"label": "Engineering", "departments": ["Engineering"]},
                ],
            },
        ),
        (
            "How many leave days did Priya's team take in 2025?",
            "leave_team_aggregate",
            {
                "aggregation": "count",
                "measures": ["leave_days"],
                "filters": [{"field": "manager", "values": ["Priya"]}],
                "from_date": "2025-01-01",
                "to_date": "2025-12-31",
            },
        ),
        (
            "Who in my team took the least leave this month?",
            "leave_team_aggregate",
            {
                "aggregation": "rank",
                "measures": ["leave_days"],
                "group_by": ["employee"],
                "from_date": "2026-11-01",
                "to_date": "2026-11-30",
                "population": "all_reports",
                "order_by": [{"field": "leave_days", "descending": False}],
            },
        ),
    ],
)
async def test_the_call_is_the_one_that_fits_and_is_valid(
    client: AsyncAnthropic, suite: list[dict[str, Any]], question: str, called: str, arguments: dict[str, Any]
) -> None:
    made = calls(await ask(client, suite, question))
    assert made == [(called, arguments)]
    schema = next(one["input_schema"] for one in suite if one["name"] == called)
    jsonschema.Draft202012Validator(schema).validate(made[0][1])


async def test_two_periods_become_the_sides_of_a_comparison(
    client: AsyncAnthropic, suite: list[dict[str, Any]]
) -> None:
    ((_, arguments),) = calls(await ask(client, suite, "Compare my team's leave this year with last year"))
    assert [(side["from_date"], side["to_date"]) for side in arguments["sides"]] == [
        ("2026-01-01", "2026-12-31"),
        ("2025-01-01", "2025-12-31"),
    ]
    assert "from_date" not in arguments


async def test_a_supposition_looks_up_what_is_left_now(client: AsyncAnthropic, suite: list[dict[str, Any]]) -> None:
    earlier = ("How many leave days do I have left?",)
    message = await ask(client, suite, "What if I took five days next month instead?", earlier=earlier)
    assert calls(message) == [("leave_balance", {})]


async def test_a_double_question_on_rules_searches_for_both_halves(
    client: AsyncAnthropic, suite: list[dict[str, Any]]
) -> None:
    question = "How do I split parental leave with my partner, and what does that do to my bonus?"
    made = calls(await ask(client, suite, question))
    assert [name for name, _ in made] == ["handbook_search", "handbook_search"]
    assert "parental" in made[1][1]["query"]
    assert "bonus" in made[1][1]["query"]


async def test_a_write_without_its_days_is_asked_back(client: AsyncAnthropic, suite: list[dict[str, Any]]) -> None:
    keyed = tool(
        "leave_cancel",
        "Drafts the withdrawal of one of the caller's leave requests.",
        closed({"leave_request_id": {"type": "string", "maxLength": 40}}, "leave_request_id"),
    )
    message = await ask(client, [keyed], "Cancel my leave request")
    assert calls(message) == []
    assert message.content[0].type == "text"
    assert message.content[0].text == "Which leave request id should I take?"


async def test_a_write_goes_to_the_one_record_that_was_found(
    client: AsyncAnthropic, suite: list[dict[str, Any]]
) -> None:
    keyed = tool(
        "leave_cancel",
        "Drafts the withdrawal of one of the caller's leave requests.",
        closed({"leave_request_id": {"type": "string", "maxLength": 40}}, "leave_request_id"),
    )
    assert [name for name, _ in calls(await ask(client, [*suite, keyed], "Cancel my leave in December"))] == [
        "leave_requests"
    ]
    row = {"columns": ["leave_request_id", "start_date"], "rows": [["LR7", "2026-12-16"]]}
    turns: list[Any] = [
        {"role": "user", "content": f"{TODAY}\n<question>Cancel my leave in December</question>"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "leave_requests", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": json.dumps(row)}]},
    ]
    message = await client.messages.create(
        model="claude-sonnet-5-5", max_tokens=500, system="You answer.", messages=turns, tools=[*suite, keyed]
    )
    assert calls(message) == [("leave_cancel", {"leave_request_id": "LR7"})]


async def test_a_draft_needs_no_look_up(client: AsyncAnthropic, suite: list[dict[str, Any]]) -> None:
    message = await ask(client, suite, "Please draft a thank-you note to my team")
    assert calls(message) == []
    assert message.content[0].type == "text"
    assert message.content[0].text.startswith("Here is a draft of a thank-you note to your team:")


def test_arguments_that_do_not_fit_are_dropped_when_they_may_be_absent() -> None:
    given = {"aggregation": "compare", "sides": [{"from_date": "2026-01-01"}], "outliers": {}, "nonsense": 1}
    assert fitting(BULK, given) == {"aggregation": "compare"}


def test_a_call_without_a_required_argument_is_not_made() -> None:
    assert fitting(BULK, {"measures": ["leave_days"]}) is None
    assert missing(BULK, {"measures": ["leave_days"]}) == ["aggregation"]


DESK = [
    tool(
        "ticket_open",
        "Drafts a ticket to a desk. Nothing is sent before the user confirms.",
        closed({"desk": {"enum": ["it", "hr"]}, "title": {"type": "string", "maxLength": 200}}, "desk", "title"),
    ),
    tool(
        "profile_update",
        "Drafts a change of one's data: home address, bank account (IBAN). Nothing is sent before the user confirms.",
        closed(
            {
                "field": {"enum": ["name", "home_address", "bank_account"]},
                "new_value": {"type": "string", "maxLength": 500},
            },
            "field",
            "new_value",
        ),
    ),
    tool(
        "feedback_give",
        "Drafts feedback or kudos to one colleague. Nothing is sent before the user confirms.",
        closed(
            {
                "employee": {"type": "string", "maxLength": 200},
                "kind": {"enum": ["praise", "thanks"]},
                "text": {"type": "string", "maxLength": 2000},
            },
            "employee",
            "kind",
            "text",
        ),
    ),
    tool("tickets", "The IT and HR tickets of one person.", closed({"ticket_status": {"enum": ["open", "closed"]}})),
]


@pytest.mark.parametrize(
    ("question", "called", "arguments"),
    [
        ("lost my badge, can you make a ticket", "ticket_open", {}),
        ("how many tickets do I have open", "tickets", {"ticket_status": "open"}),
        ("Please change the IBAN for my salary", "profile_update", {"field": "bank_account"}),
        ("new address is 14 Millfield Road", "profile_update", {"field": "home_address"}),
        ('Give Adeline feedback: "Thanks for the help on Saturday"', "feedback_give", {"employee": "Adeline"}),
        ('Give Adeline feedback: "Thanks for it"', "feedback_give", {"kind": "thanks", "text": "Thanks for it"}),
    ],
)
async def test_a_tool_that_drafts_is_known_by_its_description_and_called_for_a_wish_alone(
    client: AsyncAnthropic, suite: list[dict[str, Any]], question: str, called: str, arguments: dict[str, Any]
) -> None:
    [(name, given)] = calls(await ask(client, [*suite, *DESK], question))
    assert name == called
    assert arguments.items() <= given.items()
