"""How results become sentences: figures as they stand, sources named, nothing made up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic import AsyncAnthropic

DAYS = {"name": "leave_days", "unit": "days"}
ROWS = [["Asha Rao", "34.00"], ["Ben Li", "31.00"], ["Chloe Diaz", "29.50"], ["Dan Roe", "1.00"]]


async def narrate(client: AsyncAnthropic, question: str, result: Any) -> str:
    text = f"<rows>\n{result if isinstance(result, str) else json.dumps(result)}\n</rows>"
    message = await client.messages.create(
        model="claude-haiku-5-5",
        max_tokens=500,
        system="You put rows into words.",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Today is 2026-11-22."},
                    {"type": "text", "text": text},
                    {"type": "text", "text": f"<question>\n{question}\n</question>"},
                ],
            }
        ],
    )
    assert message.content[0].type == "text"
    return message.content[0].text


@pytest.mark.parametrize(
    ("question", "result", "answer"),
    [
        (
            "Who applied for the most leave this year?",
            {"columns": ["employee", DAYS], "rows": ROWS},
            "Asha Rao applied for the most leave this year: 34 days, followed by Ben Li (31), Chloe Diaz (29.50) and "
            "Dan Roe (1).",
        ),
        (
            "Leave days by employee",
            {"columns": ["employee", DAYS], "rows": ROWS[2:]},
            "Leave days: Chloe Diaz 29.50 days and Dan Roe 1 day.",
        ),
        (
            "How many leave requests were there?",
            {"columns": ["leave_requests"], "rows": [[412]]},
            "Leave requests: 412.",
        ),
        (
            "Total expenses per department",
            [{"department": "Sales", "amount": "1204.50"}, {"department": "IT", "amount": "88.00"}],
            "Amount: Sales 1204.50 and IT 88.",
        ),
        (
            "Spending by department",
            {"columns": ["department", {"name": "amount", "currency": "EUR"}], "rows": [["Sales", "1200.00"]]},
            "Sales: 1200.00 EUR (amount).",
        ),
        (
            "How did leave develop?",
            {"columns": ["month", DAYS], "rows": [["2026-01", 12], ["2026-02", 40], ["2026-03", 20]]},
            "Leave days went from 12 days in January 2026 to 20 days in March 2026; the highest was 40 days in "
            "February 2026.",
        ),
        ("Who is away?", {"columns": ["employee"], "rows": [["Ben Li"], ["Dan Roe"]]}, "I found: Ben Li and Dan Roe."),
        ("Who is away?", {"columns": ["employee"], "rows": []}, "I found no matching records for that."),
    ],
)
async def test_rows_become_a_sentence_with_their_figures(
    client: AsyncAnthropic, question: str, result: Any, answer: str
) -> None:
    assert await narrate(client, question, result) == answer


async def test_a_cut_result_is_told(client: AsyncAnthropic) -> None:
    text = await narrate(client, "Leave by employee", {"columns": ["employee", DAYS], "rows": ROWS, "truncated": True})
    assert text.endswith("Only the first rows are shown.")


async def test_a_record_answers_with_what_was_asked(client: AsyncAnthropic) -> None:
    row = {"employee_id": "E00001", "full_name": "Asha Rao", "job_title": "Analyst", "email": "asha@example.com"}
    assert await narrate(client, "What is the email of Asha Rao?", [row]) == "Asha Rao: email asha@example.com."


async def test_passages_are_quoted_with_their_source(client: AsyncAnthropic) -> None:
    passages = {
        "passages": [
            {"source": "handbook/travel.md", "title": "Travel", "text": "Trains are preferred."},
            {
                "source": "handbook/leave.md#carry-over",
                "title": "Carry over",
                "text": "Up to 5 days may be carried over. They lapse on 31 March. Ask HR for exceptions.",
            },
        ]
    }
    text = await narrate(client, "How many days may be carried over?", passages)
    assert text == "According to “Carry over”: Up to 5 days may be carried over. They lapse on 31 March."


async def test_a_proposal_is_not_told_as_done(client: AsyncAnthropic) -> None:
    text = await narrate(client, "Book leave", {"proposal": {"summary": "Annual leave on 2026-12-01", "token": "x"}})
    assert text == "I have prepared this for you: Annual leave on 2026-12-01. Nothing is changed until you confirm it."


async def test_a_clarification_is_asked(client: AsyncAnthropic) -> None:
    text = await narrate(
        client, "Asha's leave", {"clarification": {"question": "Which Asha?", "options": ["Asha Rao", "Asha Kumar"]}}
    )
    assert text == "Which Asha (Asha Rao, Asha Kumar)?"


async def test_values_in_proto_json_are_read(client: AsyncAnthropic) -> None:
    table = {
        "table": {
            "columns": [{"name": "employee", "label": "Employee"}, {"name": "days", "label": "Days", "measure": True}],
            "rows": [{"values": [{"text": "Asha Rao"}, {"integer": "34"}]}, {"values": [{"text": "Ben"}, {}]}],
        }
    }
    assert "Asha Rao: 34" in await narrate(client, "Days?", table)


async def test_an_answer_goes_on_from_where_it_stopped(client: AsyncAnthropic) -> None:
    rows = json.dumps({"columns": ["employee", DAYS], "rows": ROWS[:2]})
    said = "Asha Rao took the most leave: 34 days,"
    message = await client.messages.create(
        model="claude-haiku-5-5",
        max_tokens=500,
        messages=[
            {
                "role": "user",
                "content": f"<rows>{rows}</rows><question>Who took the most leave?</question>"
                f"<answer_so_far>\n{said}\n</answer_so_far>",
            }
        ],
    )
    assert message.content[0].text == " followed by Ben Li (31)."
