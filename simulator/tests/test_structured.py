"""Structured output: it fits the schema, and its content goes by the prompt."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from anthropic import AsyncAnthropic
from pydantic import BaseModel
from tiermesh_simulator.settings import SimulatorSettings
from tiermesh_simulator.testing import running

KINDS = ["drill_down", "compare", "act", "explain"]


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


PILLS = closed(
    pills={
        "type": "array",
        "items": closed(text={"type": "string"}, kind={"type": "string", "enum": KINDS}),
    }
)


async def write(client: AsyncAnthropic, schema: dict[str, Any], text: str, system: str = "Today is 2026-11-22.") -> Any:
    async with client.messages.stream(
        model="claude-sonnet-5",
        max_tokens=4000,
        system=system,
        messages=[{"role": "user", "content": text}],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    ) as stream:
        message = await stream.get_final_message()
    assert message.stop_reason == "end_turn"
    value = json.loads(message.content[0].text)
    jsonschema.validate(value, schema)
    return value


async def test_pills_are_short_sensible_and_of_every_kind(client: AsyncAnthropic) -> None:
    pills = (await write(client, PILLS, "Who took the most leave this year?"))["pills"]
    assert [pill["kind"] for pill in pills] == KINDS
    assert pills[0]["text"] == "Split leave by department"
    assert pills[1]["text"] == "Compare with last year"
    assert all(0 < len(pill["text"]) <= 60 for pill in pills)


async def test_the_prompt_says_how_many_pills(client: AsyncAnthropic) -> None:
    pills = (await write(client, PILLS, "How much overtime last month?", "Write 6 pills."))["pills"]
    assert len(pills) == 6
    assert len({pill["text"] for pill in pills}) == 6
    texts = [pill["text"] for pill in pills]
    assert "Compare with the month before" in texts
    assert any(text.startswith("Split attendance by ") for text in texts)
    assert {pill["kind"] for pill in pills} == {"drill_down", "compare", "act", "explain"}
    assert all(len(text) <= 60 for text in texts)


async def test_two_questions_on_one_topic_get_different_pills(client: AsyncAnthropic) -> None:
    questions = ("Who took the most leave?", "How many sick days were there?", "Who is away next week?", "List leave")
    seen = [
        frozenset(pill["text"] for pill in (await write(client, PILLS, question, "Write 6 pills."))["pills"])
        for question in questions
    ]
    assert len(set(seen)) > 2


async def test_what_the_table_shows_already_is_no_drill_down(client: AsyncAnthropic) -> None:
    text = (
        "<question>Who took the most leave?</question>\n<answer-table rows=3>department, location, month</answer-table>"
    )
    pills = (await write(client, PILLS, text, "Write 6 pills."))["pills"]
    split = [pill["text"] for pill in pills if pill["kind"] == "drill_down"]
    assert split
    assert not any(word in text for text in split for word in ("department", "location", "month"))


async def test_a_pill_that_was_there_already_is_not_made_again(client: AsyncAnthropic) -> None:
    text = "<question>Who took the most leave?</question>\nShown already: Split leave by department"
    pills = (await write(client, PILLS, text))["pills"]
    assert "Split leave by department" not in [pill["text"] for pill in pills]


async def test_ones_own_records_are_not_split_by_department(client: AsyncAnthropic) -> None:
    pills = (await write(client, PILLS, "How many leave days do I have left?"))["pills"]
    assert pills[0]["text"] == "Split leave by leave type"
    assert not any("department" in pill["text"] for pill in pills)


LABELS = closed(
    intent={"type": "string", "enum": ["leave.balance", "attendance.summary", "chat.greeting", "out_of_scope"]},
    cardinality={"type": "string", "enum": ["one", "team", "org"]},
    temporal={"type": "string", "enum": ["now", "window", "multi_year"]},
    aggregation={"type": "string", "enum": ["none", "count", "sum", "average", "rank", "compare", "trend"]},
    multi_step={"type": "string", "enum": ["yes", "no"]},
    confidence={"type": "number"},
)
VOCABULARY = "- leave.balance: days left or accrued\n- attendance.summary: lateness, hours, remote days, overtime"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How many leave days do I have left?", ("leave.balance", "one", "now", "none", "no")),
        ("Who was late most often last month?", ("attendance.summary", "team", "window", "rank", "no")),
        ("Why is overtime up in all departments?", ("attendance.summary", "org", "now", "none", "yes")),
        ("hello", ("chat.greeting", "one", "now", "none", "no")),
        ("capital of France?", ("out_of_scope", "one", "now", "none", "no")),
    ],
)
async def test_labels_are_chosen_by_the_words(client: AsyncAnthropic, text: str, expected: tuple[str, ...]) -> None:
    value = await write(client, LABELS, text, VOCABULARY)
    found = tuple(value[name] for name in ("intent", "cardinality", "temporal", "aggregation", "multi_step"))
    assert found == expected
    assert 0 <= value["confidence"] <= 1


JUDGE = closed(
    verdict={"type": "string", "enum": ["pass", "fail"]},
    score={"type": "integer", "description": "from 1 to 5"},
    grounded={"type": "boolean"},
    reason={"type": "string"},
)


async def test_a_judge_believes_what_the_evidence_backs(client: AsyncAnthropic) -> None:
    evidence = "<evidence>Asha Rao took 34 leave days.</evidence>"
    good = await write(client, JUDGE, f"{evidence}<answer>Asha Rao took 34 days.</answer>")
    wrong = await write(client, JUDGE, f"{evidence}<answer>Asha Rao took 43 days.</answer>")
    empty = await write(client, JUDGE, f"{evidence}<answer>I cannot answer.</answer>")
    assert (good["verdict"], good["score"], good["grounded"]) == ("pass", 5, True)
    assert (wrong["verdict"], wrong["score"], wrong["grounded"]) == ("fail", 1, False)
    assert empty["verdict"] == "fail"
    assert good["reason"]


class Slot(BaseModel):
    domain: str
    people: list[str]
    limit: int | None
    starts: str | None


class Plan(BaseModel):
    slots: list[Slot]
    ranked: bool
    mode: None = None


async def test_the_sdk_parses_a_pydantic_model(client: AsyncAnthropic) -> None:
    message = await client.messages.parse(
        model="claude-sonnet-5",
        max_tokens=500,
        messages=[{"role": "user", "content": "Compare leave of Asha Rao and Ben Li, top 3"}],
        output_format=Plan,
    )
    plan = message.parsed_output
    assert plan is not None
    assert plan.slots[0].people == ["Asha Rao", "Ben Li"]
    assert plan.slots[0].limit == 3


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 5}, "minItems": 2},
        {"anyOf": [{"type": "null"}, closed(a={"const": 7}, b={"enum": [1, "x", None]})]},
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]},
        {"allOf": [{"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}]},
        {"type": "string", "minLength": 30, "maxLength": 31},
        {"type": "string", "format": "date-time"},
        {
            "$ref": "#/$defs/node",
            "$defs": {"node": closed(next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]})},
        },
    ],
)
async def test_whatever_the_schema_the_output_fits_it(schema: dict[str, Any]) -> None:
    async with (
        running(SimulatorSettings(port=0, time_scale=0, strict=False)) as url,
        AsyncAnthropic(base_url=url, api_key="k") as sdk,
    ):
        await write(sdk, schema, "Who took the most leave?")


async def test_pills_that_are_to_begin_with_their_kind_do(client: AsyncAnthropic) -> None:
    schema = {
        "type": "object",
        "properties": {"pills": {"type": "array", "items": {"type": "string", "description": "kind: question"}}},
        "required": ["pills"],
        "additionalProperties": False,
    }
    pills = (await write(client, schema, "Who took the most leave this year?", "Write 6 pills."))["pills"]
    assert len(pills) == 6
    assert {pill.partition(": ")[0] for pill in pills} == {"drill_down", "compare", "act", "explain"}
