"""Tools as the suite lists them: bulk tools with sides and filters, look-ups, a handbook, drafts of writes."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message
from tiermesh_simulator.rules.fitting import fitting, missing

TODAY = "Today is 2026-11-22."
DAY = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
NAMES = {"type": "array", "maxItems": 50, "items": {"type": "string", "minLength": 1}}
POPULATION = {"enum": ["self", "direct_reports", "all_reports", "department", "company"]}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **({"required": list(required)} if required else {}),
    }


BULK = closed(
    {
        "aggregation": {"enum": ["list", "count", "sum", "average", "rank", "compare", "trend", "outliers"]},
        "measures": {
            "type": "array",
            "items": {"enum": ["leave_days", "leave_requests", "remaining_days", "requests"]},
            "description": "Absent takes the default. leave_days: Leave days taken (days); leave_requests: Requests "
            "(requests). For aggregation list, one of: requests: Leave requests.",
        },
        "group_by": {"type": "array", "items": {"enum": ["leave_type", "employee", "manager", "department", "month"]}},
        "filters": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["field", "values"],
                "properties": {
                    "field": {"enum": ["leave_type", "leave_status", "employee", "manager", "country"]},
                    "values": {**NAMES, "minItems": 1},
                },
            },
            "description": "Values: leave_type: annual, sick, parental; country: DE, IN; leave_status: pending, "
            "approved.",
        },
        "from_date": DAY,
        "to_date": DAY,
        "population": POPULATION,
        "people": NAMES,
        "departments": NAMES,
        "order_by": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field"],
                "properties": {"field": {"type": "string"}, "descending": {"type": "boolean", "default": False}},
            },
        },
        "sides": {
            "type": "array",
            "minItems": 2,
            "items": {
                "type": "object",
                "minProperties": 1,
                "properties": {
                    "label": {"type": "string"},
                    "from_date": DAY,
                    "to_date": DAY,
                    "population": POPULATION,
                    "people": NAMES,
                    "departments": NAMES,
                },
            },
        },
        "outliers": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": {"over_limit": {"const": True}, "duplicates": {"const": True}},
        },
    },
    "aggregation",
)
PERSON = {"employee": {"type": "string", "description": "Name or id of one person; absent is the caller."}}
LIMIT = {"limit": {"type": "integer", "minimum": 1, "maximum": 200}}


def tool(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "input_schema": schema}


@pytest.fixture
def suite() -> list[dict[str, Any]]:
    kind = {"leave_type": {"enum": ["annual", "sick", "parental"], "description": "Leave type"}}
    period = {"from_date": DAY, "to_date": DAY}
    return [
        tool("leave_team_aggregate", "One bulk call over the leave of many people: totals, rankings, lists.", BULK),
        tool(
            "attendance_days",
            "The attendance of one person day by day: status, punches, hours, lateness, overtime, shift.",
            closed({**PERSON, **period, "shift": {"enum": ["day shift", "late shift"]}, **LIMIT}),
        ),
        tool(
            "leave_balance",
            "The leave balance of one person, by leave type, with days entitled, taken, pending and left.",
            closed({**PERSON, **period, **kind, **LIMIT}),
        ),
        tool(
            "leave_requests",
            "The leave requests of one person with their numbers, dates, days and status.",
            closed({**PERSON, **period, "leave_status": {"enum": ["pending", "approved", "cancelled"]}, **LIMIT}),
        ),
        tool(
            "public_holidays",
            "The public holidays that apply to one person.",
            closed({**PERSON, **period, **LIMIT}),
        ),
        tool(
            "handbook_read",
            "One section of the handbook by its source.",
            closed({"source": {"type": "string", "maxLength": 1000}}, "source"),
        ),
        tool(
            "handbook_search",
            "Full-text search of the company's handbook: rules of leave, expenses, pay.",
            closed({"query": {"type": "string"}, "limit": {"type": "integer"}}, "query"),
        ),
        tool(
            "leave_apply",
            "Drafts the caller's request for leave.",
            closed(
                {
                    "leave_type": {"type": "string", "maxLength": 40, "description": "Such as annual or sick."},
                    "start_date": {**DAY, "description": "First day off."},
                    "end_date": {**DAY, "description": "Last day off, included."},
                    "half_day": {"type": "boolean", "description": "True for half of a single day."},
                },
                "leave_type",
                "start_date",
                "end_date",
            ),
        ),
    ]


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


async def answered(client: AsyncAnthropic, suite: list[dict[str, Any]], question: str, *results: Any) -> str:
    used = [{"type": "tool_use", "id": f"toolu_{n}", "name": "leave_balance", "input": {}} for n in range(len(results))]
    said = [
        {
            "type": "tool_result",
            "tool_use_id": f"toolu_{n}",
            "content": result if isinstance(result, str) else json.dumps(result),
            "is_error": isinstance(result, dict) and "error" in result,
        }
        for n, result in enumerate(results)
    ]
    turns: list[Any] = [
        {"role": "user", "content": f"{TODAY}\n<question>\n{question}\n</question>"},
        {"role": "assistant", "content": used},
        {"role": "user", "content": said},
    ]
    message = await client.messages.create(
        model="claude-sonnet-5-5", max_tokens=500, system="You answer.", messages=turns, tools=suite
    )
    assert message.content[0].type == "text", message.content
    return message.content[0].text


LEFT = {"name": "remaining_days", "unit": "days"}
PLACES = ["rank", "employee_id", "employee", {"name": "leave_days", "unit": "days"}]
BALANCE = {
    "columns": ["employee_id", "employee", "leave_type", "year", LEFT],
    "rows": [["E1", "Ida", "Annual leave", 2026, "19.00"], ["E1", "Ida", "Study leave", 2026, "5.00"]],
}


@pytest.mark.parametrize(
    ("question", "result", "words"),
    [
        (
            "Who applied for the most leave this year?",
            {"columns": PLACES, "rows": [[1, "E00015", "Anna Müller", "46.5"], [2, "E00018", "Anna Krüger", "43.00"]]},
            "Anna Müller applied for the most leave this year: 46.5 days, followed by Anna Krüger (43).",
        ),
        (
            "How many leave days do I have left?",
            BALANCE,
            "Remaining days: Annual leave 19 days and Study leave 5 days.",
        ),
        (
            "What if I took five days next month?",
            BALANCE,
            "You have 19 days of annual leave left; five more days would fit.",
        ),
        (
            "When is the next public holiday?",
            {"columns": ["day", "name"], "rows": [["2026-10-03", "Unity Day"], ["2026-12-25", "Christmas Day"]]},
            "Christmas Day on 2026-12-25.",
        ),
        (
            "Who is my manager?",
            {"columns": ["employee_id", "employee", "manager_id", "manager"], "rows": [["E1", "Ida", "E2", "Julia"]]},
            "Your manager is Julia.",
        ),
        (
            "Where does my expense claim stand?",
            {
                "columns": ["claim_id", "submitted_on", "claim_status", "purpose"],
                "rows": [["C1", "2026-10-01", "paid", "Airport"], ["C2", "2026-09-01", "paid", "Conference"]],
            },
            "I found: Airport (paid) and Conference (paid).",
        ),
        (
            "Compare leave of this year with last year",
            {
                "columns": [
                    "side",
                    {"name": "leave_days", "unit": "days"},
                    {"name": "leave_days_difference", "unit": "days"},
                ],
                "rows": [["this year", "60.00", "0"], ["last year", "63.5", "3.5"]],
            },
            "Leave days: this year 60 days and last year 63.5 days.",
        ),
        (
            "What is the late rate?",
            {"columns": ["team", {"name": "late_rate", "unit": "share"}], "rows": [["A", "0.125"], ["B", "0.04"]]},
            "Late rate: A 12.5 % and B 4 %.",
        ),
        (
            "Can I carry over days?",
            {
                "passages": [
                    {"source": "leave/a", "title": "Leave: Sickness", "text": "Call in. Bring a note. Rest."},
                    {
                        "source": "leave/b",
                        "title": "Leave: Carry over",
                        "text": "Ask early. Up to 5 days carry over. They lapse in March. Carry over needs no form.",
                    },
                ]
            },
            "According to “Leave: Carry over”: Up to 5 days carry over. Carry over needs no form.",
        ),
        (
            "How much leave?",
            {"error": "sides: [{'from_date': '2026-12-01'}] is too short."},
            "I could not look that up.",
        ),
        (
            "How much leave?",
            {"error": "There is a request for then."},
            "I could not do that: There is a request for then.",
        ),
    ],
)
async def test_results_are_told_in_plain_words(
    client: AsyncAnthropic, suite: list[dict[str, Any]], question: str, result: Any, words: str
) -> None:
    assert await answered(client, suite, question, result) == words


async def test_a_handbook_that_is_silent_is_not_quoted(client: AsyncAnthropic, suite: list[dict[str, Any]]) -> None:
    found = {"passages": [{"source": "a", "title": "Parking", "text": "Cars stand in the yard."}]}
    said = await answered(client, suite, "What should I do when a colleague insults me?", found)
    assert said == "I found nothing on that in the handbook. Your HR contact can tell you more."


async def test_a_proposal_is_told_without_what_was_looked_up_for_it(
    client: AsyncAnthropic, suite: list[dict[str, Any]]
) -> None:
    drafted = {"proposal": "leave.cancel", "summary": "Cancel annual leave"}
    assert await answered(client, suite, "Cancel my leave", BALANCE, drafted) == (
        "I have prepared this for you: Cancel annual leave. Nothing is changed until you confirm it."
    )


def test_arguments_that_do_not_fit_are_dropped_when_they_may_be_absent() -> None:
    given = {"aggregation": "compare", "sides": [{"from_date": "2026-01-01"}], "outliers": {}, "nonsense": 1}
    assert fitting(BULK, given) == {"aggregation": "compare"}


def test_a_call_without_a_required_argument_is_not_made() -> None:
    assert fitting(BULK, {"measures": ["leave_days"]}) is None
    assert missing(BULK, {"measures": ["leave_days"]}) == ["aggregation"]
