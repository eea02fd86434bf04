"""What is said of the results of the suite's tools."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic import AsyncAnthropic

from .listed_tools import TODAY

LEFT = {"name": "remaining_days", "unit": "days"}
PLACES = ["rank", "employee_id", "employee", {"name": "leave_days", "unit": "days"}]
BALANCE = {
    "columns": ["employee_id", "employee", "leave_type", "year", LEFT],
    "rows": [["E1", "Ida", "Annual leave", 2026, "19.00"], ["E1", "Ida", "Study leave", 2026, "5.00"]],
}


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
