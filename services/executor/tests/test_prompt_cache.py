"""The cached prefix is stable: nothing of a question, a person or a day is in it, and a loop only appends to it."""

import hashlib
import itertools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tiermesh.common.v1 import answer_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh_executor.models.anthropic_wire import request_body
from tiermesh_executor.models.request import Message, ModelRequest, Prompt, TextPart, ToolDefinition
from tiermesh_executor.prompts import SYSTEM_TEXTS
from tiermesh_executor.testing import Backend, Client, ScriptedProvider, calls, context, says, scores
from tiermesh_runtime.testing import span_exporter

Deploy = Callable[..., Awaitable[Client]]
# A text that changes gets a new version: caches are warm for the old one, and the ledger tells them apart.
PINNED = {
    "answer-1": "91016752a1764088",
    "narrate-1": "e0d5a8372c4302d5",
    "rewrite-1": "4b0f445f75382ab9",
    "plan-1": "6d449ec5b232e81b",
}


def test_a_prompt_that_changes_gets_a_new_version() -> None:
    assert {version: digest(text) for version, text in SYSTEM_TEXTS.items()} == PINNED


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sent(request: ModelRequest) -> dict[str, Any]:
    return request_body(request, f"anthropic/{request.model}")


def prefix(request: ModelRequest) -> str:
    """The bytes up to the first breakpoint: tools, then system."""
    body = sent(request)
    return json.dumps([body.get("tools"), body.get("system"), body["model"]], ensure_ascii=False)


async def test_questions_people_days_and_the_servers_order_of_tools_leave_the_prefix_alone(
    deploy: Deploy, backend: Backend
) -> None:
    provider = ScriptedProvider(*[says("Hello there. ")] * 6)
    client = await deploy(provider, tier=2, tool_list_seconds=0)
    another_day = context(request_id="r-2", conversation_id="c-2", locale="de-DE", time_zone="Asia/Tokyo")
    another_day.asked_at.FromJsonString("2027-03-01T23:59:00Z")
    await client.execute("How many leave days do I have left?")
    await client.execute("Wie viele Tage hat Anna noch?", context=another_day)
    backend.tools.reverse()
    await client.execute("Who is away?", prior_findings="Anna is.", max_cost_micros=10_000_000)
    await client.execute("Go on.", continue_from="It is", scores=scores("leave.policy"))
    assert len({prefix(request) for request in provider.requests}) == 1


async def test_a_loop_only_appends_to_what_was_sent_before(deploy: Deploy) -> None:
    rounds = [calls(("leave_balance", {"year": 2020 + number})) for number in range(4)]
    provider = ScriptedProvider(*rounds, says("It is 24.5 days."))
    await (await deploy(provider, tier=2)).execute()
    bodies = [_unmarked(sent(request)) for request in provider.requests]
    assert len(bodies) == 5
    for before, after in itertools.pairwise(bodies):
        assert after["messages"][: len(before["messages"])] == before["messages"]
        assert {key: after[key] for key in ("tools", "system")} == {key: before[key] for key in ("tools", "system")}


def _unmarked(body: dict[str, Any]) -> dict[str, Any]:
    for message in body["messages"]:
        for block in message["content"]:
            block.pop("cache_control", None)
    return body


LONG = "The handbook says many things about leave. " * 200


def request(system: str, *, cache: Any = "5m", turns: int = 1, history: int = 0, minimum: int = 1_024) -> ModelRequest:
    messages = [
        Message("assistant" if number % 2 else "user", [TextPart(f"Turn {number}.")]) for number in range(turns)
    ]
    return ModelRequest(
        model="claude-sonnet-5-5",
        prompt=Prompt(system, messages, [ToolDefinition("find", "Finds.", {"type": "object"})], history=history),
        max_tokens=10,
        effort=None,
        thinking=None,
        forced_tools=True,
        cache=cache,
        cache_minimum_tokens=minimum,
        first_token_seconds=1,
        stall_seconds=1,
        expires_at=0,
    )


def breakpoints(body: dict[str, Any]) -> list[str]:
    blocks = [("system", block) for block in body["system"]]
    blocks += [("messages", block) for message in body["messages"] for block in message["content"]]
    return [place for place, block in blocks if "cache_control" in block]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(LONG), ["system"]),
        (request(LONG, turns=3), ["system", "messages"]),
        (request(LONG, turns=3, history=2), ["system", "messages", "messages"]),
        # Two turns of the user in a row are one message, which the next turn does not say again.
        (request(LONG, turns=2, history=1), ["system", "messages"]),
        (request("Short.", turns=3, history=2), []),
        (request("Short."), []),
        (request("Short.", turns=3), []),
        (request(LONG, minimum=100_000), []),
        (request(LONG, cache=None, turns=3), []),
    ],
)
def test_breakpoints_stand_where_they_pay_and_nowhere_else(asked: ModelRequest, expected: list[str]) -> None:
    body = sent(asked)
    assert breakpoints(body) == expected
    assert len(expected) <= 4, "the provider's limit"
    assert list(body).index("tools") < list(body).index("system")


async def test_the_second_question_reads_what_the_first_wrote_and_ledger_and_span_say_so(
    simulate: Callable[..., Any], deploy: Deploy, backend: Backend, write_settings: Callable[[str, str], Path]
) -> None:
    exporter = span_exporter()
    # Tools as long as a real pack's: below its minimum the provider keeps nothing.
    for tool in backend.tools:
        tool.description += " " + LONG
    async with simulate() as simulator:
        client = await deploy(base_url=simulator.url, tier=2)
        first = await client.execute("Hello, what can you do?", mode=pb.EXECUTE_MODE_ANSWER)
        exporter.clear()
        second = await client.execute("Hello there, who are you?")
    written, read = first.done.ledger[0].usage, second.done.ledger[0].usage
    assert written.cache_write_5m > 1_000
    assert written.cache_read == 0
    assert read.cache_read == written.cache_write_5m
    assert read.cache_write_5m == 0
    assert second.done.ledger[0].cost_micros < first.done.ledger[0].cost_micros / 3
    assert first.done.ledger[0].cache_hit_share == 0.0
    assert second.done.ledger[0].cache_hit_share == pytest.approx(read.cache_read / (read.input + read.cache_read))
    (server,) = [span for span in exporter.get_finished_spans() if span.name.endswith("/Execute")]
    prompt = read.input + read.cache_read
    assert server.attributes is not None
    assert server.attributes["tiermesh.cache.hit_share"] == pytest.approx(read.cache_read / prompt, abs=1e-3)
    assert server.attributes["tiermesh.cache.hit_share"] > 0.9


async def test_a_turn_reads_the_conversation_that_the_turn_before_wrote(
    simulate: Callable[..., Any], deploy: Deploy, backend: Backend
) -> None:
    for tool in backend.tools:
        tool.description += " " + LONG
    said = [("user", "Hello, what can you do?"), ("assistant", LONG), ("user", "Hello again?"), ("assistant", "Hello.")]
    turns = [
        answer_pb2.ConversationTurn(
            role=answer_pb2.ConversationTurn.ROLE_USER
            if role == "user"
            else answer_pb2.ConversationTurn.ROLE_ASSISTANT,
            text=text,
        )
        for role, text in said
    ]
    async with simulate() as simulator:
        client = await deploy(base_url=simulator.url, tier=2)
        usages = [
            (await client.execute("Hello there, who are you?", turns=turns[:count])).done.ledger[0].usage
            for count in (0, 2, 4)
        ]
    alone, second, third = usages
    assert second.cache_read == alone.cache_write_5m
    # The long answer was written once and is read from there on.
    assert third.cache_read > second.cache_read + len(LONG) // 4
    assert third.cache_write_5m < len(LONG) // 8
