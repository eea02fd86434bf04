"""The Messages API as the SDK sees it: shapes, errors, limits, counting."""

from __future__ import annotations

import io
from typing import Any

import aiohttp
import anthropic
import pytest
from anthropic import AsyncAnthropic

HELLO: dict[str, Any] = {
    "model": "claude-sonnet-5",
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "hello"}],
}
POLICY = "What can you do?"


async def test_a_message_is_whole_and_says_that_no_model_made_it(client: AsyncAnthropic) -> None:
    raw = await client.messages.with_raw_response.create(**HELLO)
    message = await raw.parse()
    assert raw.headers["x-tiermesh-simulator"] == "no-model"
    assert raw.headers["request-id"].startswith("req_")
    assert (message.role, message.type, message.stop_reason, message.model) == (
        "assistant",
        "message",
        "end_turn",
        "claude-sonnet-5",
    )
    assert message.content[0].type == "text"
    assert message.content[0].text.startswith("Hello")
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


async def test_a_stream_has_the_events_of_the_real_one_in_their_order(base_url: str) -> None:
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/v1/messages", json={**HELLO, "stream": True}, headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [line[7:] for line in (await answer.text()).splitlines() if line.startswith("event: ")]
    deltas = events.count("content_block_delta")
    assert deltas >= 1
    assert events == [
        "message_start",
        "content_block_start",
        "ping",
        *["content_block_delta"] * deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_streamed_and_whole_answers_are_the_same(client: AsyncAnthropic) -> None:
    whole = await client.messages.create(**HELLO)
    async with client.messages.stream(**HELLO) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert text == whole.content[0].text
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.usage.input_tokens == whole.usage.input_tokens
    assert final.stop_reason == "end_turn"


async def test_max_tokens_cuts_the_text_and_says_so(client: AsyncAnthropic) -> None:
    async with client.messages.stream(
        model="claude-sonnet-5", max_tokens=10, messages=[{"role": "user", "content": POLICY}]
    ) as stream:
        message = await stream.get_final_message()
    assert message.stop_reason == "max_tokens"
    assert 0 < len(message.content[0].text) <= 28
    assert message.usage.output_tokens <= 10


async def test_a_tool_call_that_max_tokens_cuts_is_marked(
    client: AsyncAnthropic, tools: list[dict[str, Any]], today: str
) -> None:
    message = await client.messages.create(
        model="claude-sonnet-5",
        max_tokens=12,
        system=today,
        tools=tools,
        messages=[{"role": "user", "content": "Who took the most leave this year?"}],
    )
    assert message.stop_reason == "max_tokens"


async def test_a_stop_sequence_ends_the_text_before_it(client: AsyncAnthropic) -> None:
    message = await client.messages.create(
        model="claude-sonnet-5",
        max_tokens=200,
        stop_sequences=["attendance"],
        messages=[{"role": "user", "content": POLICY}],
    )
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "attendance")
    assert message.content[0].text == "I can look up leave, "


async def test_count_tokens_agrees_with_usage(client: AsyncAnthropic, tools: list[dict[str, Any]], today: str) -> None:
    asked: dict[str, Any] = {
        "model": "claude-sonnet-5",
        "system": today,
        "tools": tools,
        "messages": [{"role": "user", "content": "hello"}],
    }
    counted = await client.messages.count_tokens(**asked)
    message = await client.messages.create(max_tokens=50, **asked)
    assert counted.input_tokens == message.usage.input_tokens
    more = await client.messages.count_tokens(
        model="claude-sonnet-5", messages=[{"role": "user", "content": "hello" + "x" * 400}]
    )
    less = await client.messages.count_tokens(model="claude-sonnet-5", messages=[{"role": "user", "content": "hello"}])
    assert more.input_tokens - less.input_tokens == 100


async def test_without_a_key_the_answer_is_401(base_url: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/v1/messages", json=HELLO, headers={"anthropic-version": "2023-06-01"}) as answer,
    ):
        body = await answer.json()
        assert answer.status == 401
        assert body["type"] == "error"
        assert body["error"]["type"] == "authentication_error"
        assert body["request_id"] == answer.headers["request-id"]


async def test_a_bearer_token_is_a_key_too(base_url: str) -> None:
    async with AsyncAnthropic(base_url=base_url, auth_token="token", max_retries=0) as sdk:
        assert (await sdk.messages.create(**HELLO)).stop_reason == "end_turn"


async def test_an_unknown_model_is_404(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        await client.messages.create(**{**HELLO, "model": "gpt-7"})
    assert caught.value.type == "not_found_error"
    assert caught.value.api_message == "model: gpt-7"


async def test_an_unknown_path_is_404_with_the_error_body(base_url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{base_url}/v2/nothing") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["type"] == "not_found_error"
        assert answer.headers["x-tiermesh-simulator"] == "no-model"


async def test_a_body_over_32_mib_is_413(base_url: str) -> None:
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/v1/messages", data=io.BytesIO(b" " * (33 * 1024 * 1024)), headers=headers) as answer,
    ):
        assert answer.status == 413
        assert (await answer.json())["error"]["type"] == "request_too_large"


USE = {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
ASK = {"role": "user", "content": "hello"}
TOOL = {"name": "t", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "user", "content": ""}]}, "non-empty"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "  "}]}]}, "non-whitespace"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "first message"),
        ({"messages": [ASK, {"role": "assistant", "content": [USE]}, ASK]}, "without `tool_result`"),
        (
            {"messages": [ASK, {"role": "assistant", "content": "x"}, {"role": "user", "content": [RESULT]}]},
            "unexpected",
        ),
        ({"messages": [ASK, {"role": "assistant", "content": "Once "}], "model": "claude-haiku-4-5"}, "trailing"),
        ({"messages": [ASK, {"role": "assistant", "content": "Once"}]}, "does not support assistant message prefill"),
        ({"max_tokens": 999_999}, "maximum allowed number of output tokens"),
        ({"extra_body": {"surprise": 1}}, "surprise: Extra inputs are not permitted"),
        ({"tools": [TOOL, TOOL]}, "unique"),
        ({"tools": [{**TOOL, "name": "a b"}]}, "pattern"),
        ({"tool_choice": {"type": "any"}}, "while providing tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "z"}}, "'z' not found"),
        ({"tools": [TOOL], "tool_choice": {"type": "any"}, "model": "claude-sonnet-5-5"}, "forced tool use"),
        ({"thinking": {"type": "disabled"}, "model": "claude-opus-5-5"}, "thinking.type.disabled"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, "additionalProperties"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "integer", "minimum": 1}}}},
            "minimum are not supported",
        ),
    ],
)
async def test_what_the_real_api_refuses_is_refused_with_its_words(
    client: AsyncAnthropic, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        await client.messages.create(**{**HELLO, **change})
    assert caught.value.type == "invalid_request_error"
    assert words in (caught.value.api_message or "")


async def test_a_prompt_over_the_window_is_refused(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        await client.messages.create(
            model="claude-haiku-4-5", max_tokens=10, messages=[{"role": "user", "content": "word " * 200_000}]
        )


async def test_a_prefill_is_continued_where_the_model_takes_one(client: AsyncAnthropic) -> None:
    message = await client.messages.create(
        model="claude-haiku-4-5", max_tokens=50, messages=[ASK, {"role": "assistant", "content": "Hello!"}]
    )
    assert message.content[0].text == " What would you like to know?"
