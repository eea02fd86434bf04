"""History is portable: what any model made, every candidate of every provider and tier takes."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiermesh_executor.models import anthropic_wire, openai_wire
from tiermesh_executor.models.history import portable
from tiermesh_executor.models.request import (
    Message,
    ModelRequest,
    OpaquePart,
    Prompt,
    TextPart,
    ToolCallPart,
    ToolDefinition,
    ToolResultPart,
)
from tiermesh_executor.prompts import SYSTEM_TEXTS
from tiermesh_executor.tags import load_tags

TAGS = load_tags(
    Path(__file__).parents[1] / "config" / "tags.yaml", tier=1, providers=None, prompts=frozenset(SYSTEM_TEXTS)
)
# One model per tier, each as both providers would name it.
MAKERS = [f"{provider}/{model}" for provider in ("anthropic", "openai") for model in sorted(TAGS.models)]
TOOL = ToolDefinition("find", "Finds.", {"type": "object"})
IDS = st.sampled_from(["call-0", "call-1", "toolu_01", "functions.find:0", "an id with spaces", "x" * 64, ""])
TEXTS = st.sampled_from(["Hello.", "It is 24.5 days. ", "  ", "", "Ünïcode…", "\n"])


def opaque(maker: str) -> OpaquePart:
    return OpaquePart(maker, {"type": "thinking", "thinking": "secret", "signature": f"signed by {maker}"})


@st.composite
def histories(draw: st.DrawFn, makers: st.SearchStrategy[str]) -> list[Message]:
    """What loops of several models leave behind, cut anywhere, with broken pairs too."""
    part = st.one_of(
        TEXTS.map(TextPart),
        makers.map(opaque),
        IDS.map(lambda call_id: ToolCallPart(call_id, "find", {"q": 1})),
    )
    answer = st.one_of(TEXTS.map(TextPart), IDS.map(lambda call_id: ToolResultPart(call_id, "rows")))
    turns = draw(st.lists(st.tuples(st.lists(answer, max_size=4), st.lists(part, max_size=4)), max_size=5))
    messages = [
        message
        for said, made in turns
        for message in (Message("user", said), Message("assistant", made))
    ]  # fmt: skip
    if draw(st.booleans()):
        messages.append(Message("user", draw(st.lists(answer, max_size=3))))
    return messages[draw(st.integers(0, 2)) :]


def request(maker: str, messages: list[Message], *, prefill: bool) -> ModelRequest:
    return ModelRequest(
        model=maker.partition("/")[2],
        prompt=Prompt("Be brief.", messages, [TOOL]),
        max_tokens=100,
        effort=None,
        thinking=None,
        forced_tools=True,
        cache="5m",
        first_token_seconds=1,
        stall_seconds=1,
        expires_at=0,
        prefill=prefill,
    )


@pytest.mark.parametrize("reader", MAKERS)
@settings(max_examples=150, deadline=None)
@given(messages=histories(st.sampled_from(MAKERS)), prefill=st.booleans())
def test_every_history_is_fit_for_every_candidate(reader: str, messages: list[Message], prefill: bool) -> None:
    asked = request(reader, messages, prefill=prefill)
    if reader.startswith("anthropic/"):
        check_messages_body(anthropic_wire.request_body(asked, reader), prefill=prefill)
    else:
        check_chat_body(openai_wire.request_body(asked, reader, max_tokens_as="max_tokens"), prefill=prefill)


def check_messages_body(body: Mapping[str, Any], *, prefill: bool) -> None:
    messages = body["messages"]
    assert messages[0]["role"] == "user"
    assert all(one["role"] != other["role"] for one, other in itertools.pairwise(messages))
    assert prefill or messages[-1]["role"] == "user"
    seen: set[str] = set()
    expected: list[str] = []
    for message in messages:
        assert message["content"], "no message is empty"
        types = [block["type"] for block in message["content"]]
        results = [block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"]
        assert sorted(results) == sorted(expected), "each call has its one result in the next message"
        assert "tool_result" not in types[len(results) :], "results come first"
        calls = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        assert not seen & set(calls)
        seen |= set(calls)
        expected = calls
        for block in message["content"]:
            assert block["type"] != "text" or block["text"].strip()
            assert block["type"] != "tool_use" or (0 < len(block["id"]) <= 40 and " " not in block["id"])
    assert expected == []
    if messages[-1]["role"] == "assistant" and messages[-1]["content"][-1]["type"] == "text":
        assert messages[-1]["content"][-1]["text"] == messages[-1]["content"][-1]["text"].rstrip()


def check_chat_body(body: Mapping[str, Any], *, prefill: bool) -> None:
    system, *messages = body["messages"]
    assert system["role"] == "system"
    assert messages[0]["role"] == "user"
    assert prefill or messages[-1]["role"] in ("user", "tool")
    assert ("extra_body" in body) == (messages[-1]["role"] == "assistant")
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
            continue
        assert waiting == [], "results come right after their calls"
        waiting = [call["id"] for call in message.get("tool_calls", ())]
        assert message["content"] or waiting
        assert "secret" not in str(message)
    assert waiting == []


@pytest.mark.parametrize("reader", MAKERS)
@pytest.mark.parametrize("maker", MAKERS)
def test_signed_thinking_stays_with_its_maker(maker: str, reader: str) -> None:
    question, answer = Message("user", [TextPart("Why?")]), Message("assistant", [opaque(maker), TextPart("So.")])
    asked = request(reader, [question, answer, question], prefill=False)
    if reader.startswith("anthropic/"):
        sent = str(anthropic_wire.request_body(asked, reader))
    else:
        sent = str(openai_wire.request_body(asked, reader, max_tokens_as="max_tokens"))
    assert ("signed by" in sent) == (maker == reader and reader.startswith("anthropic/"))
    assert "So." in sent


@given(histories(st.sampled_from(MAKERS)), st.sampled_from(MAKERS))
def test_what_is_portable_stays_as_it_is(messages: list[Message], maker: str) -> None:
    once = portable(messages, maker, prefill=False)
    assert portable(once, maker, prefill=False) == once


@given(histories(st.sampled_from(MAKERS)), st.sampled_from(MAKERS))
def test_no_result_is_lost(messages: list[Message], maker: str) -> None:
    while messages and messages[0].role == "assistant":
        messages = messages[1:]
    results = sum(isinstance(part, ToolResultPart) for message in messages for part in message.parts)
    sent = str(portable(messages, maker, prefill=False))
    assert sent.count("'rows'") + sent.count("\\nrows\\n") == results


def test_a_candidate_that_refuses_the_beginning_of_its_answer_never_gets_one() -> None:
    messages = [Message("user", [TextPart("Why?")]), Message("assistant", [TextPart("Because ")])]
    assert portable(messages, "m", prefill=False)[-1].role == "user"
    assert portable(messages, "m", prefill=True)[-1] == Message("assistant", [TextPart("Because")])
