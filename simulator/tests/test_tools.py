"""Which tool is called with which arguments, from the request alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message
from tiermesh_simulator.rules.courtesy import bare
from tiermesh_simulator.rules.entities import people_in

Tools = list[dict[str, Any]]


async def ask(client: AsyncAnthropic, question: str, tools: Tools, **more: Any) -> Message:
    given: dict[str, Any] = {
        "model": "claude-sonnet-5",
        "max_tokens": 2000,
        "system": "Today is 2026-11-22.",
        "messages": [{"role": "user", "content": question}],
        **more,
    }
    async with client.messages.stream(tools=tools, **given) as stream:
        return await stream.get_final_message()


def calls(message: Message) -> list[tuple[str, Any]]:
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


YEAR = {"from": "2026-01-01", "to": "2026-12-31"}


@pytest.mark.parametrize(
    ("question", "tool", "arguments"),
    [
        (
            "Who applied for the most leave this year?",
            "leave_team_aggregate",
            {"measure": "leave_days", "group_by": ["employee"], "order": "desc", **YEAR},
        ),
        (
            "Top 5 late arrivals by employee last month",
            "attendance_team_aggregate",
            {
                "measure": "late_minutes",
                "group_by": ["employee"],
                "from": "2026-10-01",
                "to": "2026-10-31",
                "limit": 5,
            },
        ),
        (
            "average hours worked per department last quarter",
            "attendance_team_aggregate",
            {"measure": "hours_worked", "group_by": ["department"], "from": "2026-07-01", "to": "2026-09-30"},
        ),
        ("How many leave days do I have left?", "leave_balance", {"employee": "me"}),
        ("What is Asha Rao's leave balance?", "leave_balance", {"employee": "Asha Rao"}),
        ("What if I took five days next month instead?", "leave_simulate", {"days": 5, "from": "2026-12-01"}),
        (
            "Book sick leave from 2026-12-01 to 2026-12-03",
            "leave_apply",
            {"leave_type": "sick", "start_date": "2026-12-01", "end_date": "2026-12-03"},
        ),
        (
            "How many days can I carry over according to policy?",
            "handbook_search",
            {"query": "How many days can I carry over according to policy?"},
        ),
    ],
)
async def test_the_tool_and_its_arguments_follow_the_question(
    client: AsyncAnthropic, tools: Tools, question: str, tool: str, arguments: dict[str, Any]
) -> None:
    message = await ask(client, question, tools)
    assert message.stop_reason == "tool_use"
    assert calls(message) == [(tool, arguments)]


async def test_the_same_request_gets_the_same_reply(client: AsyncAnthropic, tools: Tools) -> None:
    first, second = [await ask(client, "Who took the most leave this year?", tools) for _ in range(2)]
    assert first.content == second.content


async def test_the_day_can_stand_in_the_users_message(client: AsyncAnthropic, tools: Tools) -> None:
    text = [
        {"type": "text", "text": "Today is 2025-03-04 (Tuesday), 10:00 in the user's time zone."},
        {"type": "text", "text": "<question>\nWho took the most leave this year?\n</question>"},
    ]
    message = await ask(client, "", tools, system="Be brief.", messages=[{"role": "user", "content": text}])
    assert calls(message)[0][1]["from"] == "2025-01-01"


async def test_exclusive_ends_are_honoured(client: AsyncAnthropic, tools: Tools) -> None:
    system = "Today is 2026-11-22. Ends of periods are exclusive."
    message = await ask(client, "Who took the most leave this year?", tools, system=system)
    assert calls(message)[0][1]["to"] == "2027-01-01"


async def test_a_forced_tool_is_called_whatever_is_asked(client: AsyncAnthropic, tools: Tools) -> None:
    choice = {"type": "tool", "name": "handbook_search"}
    message = await ask(client, "hello", tools, tool_choice=choice)
    assert calls(message) == [("handbook_search", {"query": "hello"})]


async def test_any_calls_some_tool_and_none_calls_none(client: AsyncAnthropic, tools: Tools) -> None:
    some = await ask(client, "hello", tools, tool_choice={"type": "any"})
    none = await ask(client, "How many leave days do I have left?", tools, tool_choice={"type": "none"})
    assert len(calls(some)) == 1
    assert calls(none) == []
    assert none.stop_reason == "end_turn"


async def test_two_questions_call_two_tools_at_once(client: AsyncAnthropic, tools: Tools) -> None:
    question = "How many leave days do I have left and what is the policy on carry over?"
    both = await ask(client, question, tools)
    one = await ask(client, question, tools, tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert [name for name, _ in calls(both)] == ["leave_balance", "handbook_search"]
    assert len({block.id for block in both.content}) == 2
    assert len(calls(one)) == 1


async def test_several_people_are_looked_up_one_by_one(client: AsyncAnthropic, tools: Tools) -> None:
    message = await ask(client, "What is the leave balance of Asha Rao, Ben Li and Chloe Diaz?", tools)
    assert [arguments["employee"] for _, arguments in calls(message)] == ["Asha Rao", "Ben Li", "Chloe Diaz"]


async def test_a_small_model_hands_over_what_is_hard(client: AsyncAnthropic, tools: Tools) -> None:
    question = "Why is overtime so high, and should I change the roster?"
    small = await ask(client, question, tools, model="claude-haiku-4-5")
    large = await ask(client, question, tools)
    assert calls(small)[0][0] == "escalate"
    assert calls(small)[0][1]["reason"].startswith("multi_step")
    assert "escalate" not in [name for name, _ in calls(large)]


async def test_a_follow_up_takes_up_what_went_before(client: AsyncAnthropic, tools: Tools) -> None:
    message = await ask(
        client,
        "",
        tools,
        messages=[
            {"role": "user", "content": "Who took the most leave this year?"},
            {"role": "assistant", "content": "Asha Rao did."},
            {"role": "user", "content": "What about last year?"},
        ],
    )
    name, arguments = calls(message)[0]
    assert name == "leave_team_aggregate"
    assert (arguments["from"], arguments["group_by"]) == ("2025-01-01", ["employee"])


async def test_out_of_scope_is_declined_and_small_talk_answered(client: AsyncAnthropic, tools: Tools) -> None:
    declined = await ask(client, "What's the capital of France?", tools)
    greeted = await ask(client, "Thanks, that's all", tools)
    assert calls(declined) == calls(greeted) == []
    assert "outside what I can help with" in declined.content[0].text
    assert "welcome" in greeted.content[0].text


async def turn(client: AsyncAnthropic, tools: Tools, question: str, *results: dict[str, Any]) -> Message:
    """Ask, answer each round of calls with the next result, return the last message."""
    said: list[Any] = [{"role": "user", "content": question}]
    message = await ask(client, "", tools, messages=said)
    for result in results:
        uses = [block for block in message.content if block.type == "tool_use"]
        answers = [{"type": "tool_result", "tool_use_id": use.id, **result} for use in uses]
        said += [{"role": "assistant", "content": [u.model_dump(exclude_none=True) for u in uses]}]
        said += [{"role": "user", "content": answers}]
        message = await ask(client, "", tools, messages=said)
    return message


async def test_a_refused_call_is_mended_once_by_the_nearest_value(client: AsyncAnthropic, tools: Tools) -> None:
    refusal = {
        "content": json.dumps(
            {"refusal": {"message": "unknown employee", "argument": "employee", "nearest": ["Asha Rao", "Asha Ray"]}}
        ),
        "is_error": True,
    }
    question = "What is Asha Ro's leave balance?"
    assert calls(await turn(client, tools, question, refusal)) == [("leave_balance", {"employee": "Asha Rao"})]
    gave_up = await turn(client, tools, question, refusal, refusal)
    assert calls(gave_up) == []
    assert gave_up.content[0].text == "I could not look that up. Did you mean Asha Rao or Asha Ray?"


async def test_an_error_is_told_without_its_own_words(client: AsyncAnthropic, tools: Tools) -> None:
    message = await turn(
        client, tools, "What is Asha Rao's leave balance?", {"content": "The database is away.", "is_error": True}
    )
    assert message.content[0].text == "I could not look that up."


async def test_a_list_of_people_without_figures_becomes_a_loop(client: AsyncAnthropic, tools: Tools) -> None:
    reports = {
        "name": "list_reports",
        "description": "Lists the employees who report to the asker.",
        "input_schema": {"type": "object", "properties": {}},
    }
    only_entities = [reports, next(tool for tool in tools if tool["name"] == "leave_balance")]
    rows = {"content": json.dumps({"columns": ["employee"], "rows": [[f"Person {chr(65 + n)}"] for n in range(12)]})}
    message = await turn(client, only_entities, "Which of my reports has the most leave remaining?", rows)
    if not calls(message):
        pytest.fail("no loop was planned")
    assert [name for name, _ in calls(message)] == ["leave_balance"] * 12


async def test_a_refusal_as_plain_error_json_is_mended_too(client: AsyncAnthropic, tools: Tools) -> None:
    refusal = {
        "content": '{"error":"no measure leave_dys","argument":"measure","nearest":["sick_days"]}',
        "is_error": True,
    }
    message = await turn(client, tools, "Who took the most leave this year?", refusal)
    assert calls(message)[0][1]["measure"] == "sick_days"


async def test_a_model_that_is_told_to_always_call_the_tool_does(client: AsyncAnthropic, tools: Tools) -> None:
    message = await ask(client, "and Ben?", tools[:1], system="Always call the tool, once, and write nothing else.")
    assert [name for name, _ in calls(message)] == ["leave_team_aggregate"]


async def test_findings_of_another_model_do_not_replace_a_look_up(client: AsyncAnthropic, tools: Tools) -> None:
    text = (
        '<unverified_findings>{"columns":["employee"],"rows":[["Ben"]]}</unverified_findings>'
        "<question>How many leave days do I have left?</question>"
    )
    assert calls(await ask(client, text, tools)) == [("leave_balance", {"employee": "me"})]


async def test_what_stands_in_a_department_is_no_person(client: AsyncAnthropic, tools: Tools) -> None:
    message = await ask(client, "Who took the most leave in Sales this year?", tools)
    assert calls(message)[0][1]["department"] == "Sales"


@pytest.mark.parametrize(
    ("said", "question"),
    [
        ("Dear People Team, how many leave days do I have left? With best wishes, Henrietta", "leave days do I have"),
        ("Hi, hope your week is going well! Who is away? Cheers, and sorry for the bother, Lorraine", "Who is away?"),
        ("Thank you kindly.", "Thank you kindly."),
        ("Draft a thank you note to Anna", "Draft a thank you note to Anna"),
    ],
)
def test_courtesies_around_a_question_are_no_part_of_it(said: str, question: str) -> None:
    found = bare(said)
    assert question in found
    assert not {"Henrietta", "Lorraine", "People Team"} & set(people_in(found))


@pytest.mark.parametrize(
    ("question", "people"),
    [
        ("Adeline out which days in Aug?", ["Adeline"]),
        ("Cheapest quarter for travel?", []),
        ("Need a letter for my bank", []),
        ("pull the payslip for April, Margaret needs it for the mortgage", []),
        ("claims filed by the Singapore and Kuala Lumpur offices", []),
        ("Is Baumann's spending out of line?", ["Baumann"]),
    ],
)
def test_a_capital_alone_makes_no_person(question: str, people: list[str]) -> None:
    assert people_in(question) == people


def nobody(name: str, *nearest: str) -> dict[str, Any]:
    error = {"error": f'"{name}" is no person whose records you may see.', "argument": "employee", "nearest": nearest}
    return {"content": json.dumps(error), "is_error": True}


async def test_nobody_else_is_looked_up_for_somebody_who_is_not_known(client: AsyncAnthropic, tools: Tools) -> None:
    stranger = await turn(client, tools, "What is Leeds' leave balance?", nobody("Leeds", "Sales"))
    assert calls(stranger) == []
    assert stranger.content[0].text == (
        "I could not find “Leeds” among the records that you may see. Did you mean Sales?"
    )
    slip = await turn(client, tools, "What is Asha Roa's leave balance?", nobody("Asha Roa", "Asha Rao"))
    assert calls(slip) == [("leave_balance", {"employee": "Asha Rao"})]


SEARCH = {
    "name": "handbook_search",
    "description": "Searches the handbook.",
    "input_schema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
}


async def test_with_documents_alone_they_are_searched_whatever_is_asked(client: AsyncAnthropic) -> None:
    message = await ask(client, "does that half hour count double", [SEARCH])
    assert [name for name, _ in calls(message)] == ["handbook_search"]


async def test_silent_documents_make_a_small_model_hand_over_and_no_answer(
    client: AsyncAnthropic, tools: Tools
) -> None:
    offered = [SEARCH, next(tool for tool in tools if tool["name"] == "escalate")]
    offered.append(next(tool for tool in tools if tool["name"] == "leave_balance"))
    said: list[Any] = [{"role": "user", "content": "Where does my promotion case stand?"}]
    first = await ask(client, "", offered, messages=said, model="claude-haiku-4-5")
    (use,) = [block for block in first.content if block.type == "tool_use"]
    assert use.name == "handbook_search"
    passages = json.dumps({"passages": [{"title": "Travel", "text": "Trains are preferred."}]})
    said += [{"role": "assistant", "content": [use.model_dump(exclude_none=True)]}]
    said += [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": passages}]}]
    second = await ask(client, "", offered, messages=said, model="claude-haiku-4-5")
    assert [name for name, _ in calls(second)] == ["escalate"]
    large = await ask(client, "", offered, messages=said)
    assert calls(large) == []
    cases = {
        "name": "promotion_cases",
        "description": "Where the promotion cases of one person stand.",
        "input_schema": {"type": "object", "properties": {"employee": {"type": "string"}}},
    }
    better_off = await ask(client, "", [*offered, cases], messages=said)
    assert [name for name, _ in calls(better_off)] == ["promotion_cases"], "it has a tool that the small one lacked"


async def test_one_fitting_tool_alone_is_called(client: AsyncAnthropic) -> None:
    tickets = {
        "name": "tickets",
        "description": "Tickets of one person.",
        "input_schema": {
            "type": "object",
            "properties": {"status": {"enum": ["open", "closed"]}, "employee": {"type": "string"}},
        },
    }
    message = await ask(client, "how many tickets do I have open", [tickets])
    assert calls(message) == [("tickets", {"status": "open"})]


async def test_to_plan_is_hard_and_a_plan_is_a_thing(client: AsyncAnthropic, tools: Tools) -> None:
    thing = await ask(client, "Show the bonus plan for my team", tools, model="claude-haiku-4-5")
    work = await ask(client, "Please plan my leave around the holidays", tools, model="claude-haiku-4-5")
    assert "escalate" not in [name for name, _ in calls(thing)]
    assert [name for name, _ in calls(work)] == ["escalate"]
