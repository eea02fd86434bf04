"""OpenAI-compatible servers over real sockets: what goes out, what comes back, and what is booked of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tiermesh_executor.models.events import (
    ModelEvent,
    Started,
    Stop,
    StopReason,
    TextDelta,
    ToolCall,
    ToolCallStarted,
    Usage,
    UsageSeen,
)
from tiermesh_executor.models.openai_provider import OpenAIProvider
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import Message, ModelRequest, Prompt, TextPart, ToolDefinition
from tiermesh_executor.testing import Client
from tiermesh_runtime import question_baggage
from tiermesh_runtime.testing import span_exporter

web = pytest.importorskip("aiohttp.web")
Deploy = Callable[..., Awaitable[Client]]
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 9,
    "total_tokens": 109,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
}


def chunk(delta: dict[str, Any] | None = None, *, finish: str | None = None, usage: Any = None) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    made = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "local-7b", "choices": choices}
    return made if usage is None else {**made, "usage": usage}


def call_chunk(index: int, arguments: str, *, name: str | None = None, call_id: str | None = None) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return chunk({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})


class Server:
    """Says what a test wrote down."""

    def __init__(self, chunks: Sequence[dict[str, Any]], *, done: bool = True) -> None:
        self.chunks = chunks
        self.done = done
        self.url = ""
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    async def answer(self, request: Any) -> Any:
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        response = web.StreamResponse(headers={"content-type": "text/event-stream", "x-request-id": "req-7"})
        await response.prepare(request)
        for one in self.chunks:
            await response.write(f"data: {json.dumps(one)}\n\n".encode())
        if self.done:
            await response.write(b"data: [DONE]\n\n")
        return response


@asynccontextmanager
async def serving(*chunks: dict[str, Any], done: bool = True) -> AsyncIterator[Server]:
    server = Server(chunks, done=done)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()


FIND = ToolDefinition("find", "Finds.", {"type": "object", "properties": {"q": {"type": "string"}}})


def request(**fields: Any) -> ModelRequest:
    prompt = Prompt("Be brief.", [Message("user", [TextPart("Hello?")])], fields.pop("tools", ()), **fields)
    return ModelRequest(
        model="local-7b",
        prompt=prompt,
        max_tokens=50,
        effort="low",
        thinking=None,
        temperature=0.2,
        forced_tools=True,
        cache="5m",
        first_token_seconds=20,
        stall_seconds=20,
        expires_at=asyncio.get_running_loop().time() + 40,
    )


async def said(server: Server, asked: ModelRequest | None = None) -> list[ModelEvent]:
    provider = OpenAIProvider(api_key="any", base_url=server.url, name="local", max_tokens_as="max_tokens")
    try:
        async with aclosing(provider.stream(asked or request())) as events:
            return [event async for event in events]
    finally:
        await provider.close()


async def test_prose_comes_with_its_usage_in_buckets_that_do_not_overlap() -> None:
    spans = span_exporter()
    pieces = [chunk({"role": "assistant", "content": ""}), chunk({"content": "It is "}), chunk({"content": "so."})]
    question_baggage.carry("acme", "c-1")
    async with serving(*pieces, chunk({}, finish="stop"), chunk(usage=USAGE)) as server:
        events = await said(server)
    assert events == [
        Started("local-7b", "req-7"),
        TextDelta("It is "),
        TextDelta("so."),
        UsageSeen(Usage(input=30, cache_write_5m=10, cache_read=60, output=9)),
        Stop(StopReason.COMPLETE),
    ]
    (body,) = server.bodies
    assert (body["max_tokens"], body["temperature"], body["reasoning_effort"]) == (50, 0.2, "low")
    assert body["stream_options"] == {"include_usage": True}
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}]
    (span,) = spans.get_finished_spans()
    assert span.name == "chat local-7b"
    assert span.attributes is not None
    assert span.attributes["gen_ai.usage.input_tokens"] == 100, "cached ones included"
    assert span.attributes["gen_ai.usage.cache_read.input_tokens"] == 60
    assert "Hello" not in str(span.attributes)
    assert f"{span.context.trace_id:032x}" in server.headers[0]["traceparent"]
    assert "baggage" not in server.headers[0], "a provider learns neither tenant nor conversation"


async def test_calls_that_come_in_pieces_and_side_by_side_are_put_together() -> None:
    pieces = [
        call_chunk(0, "", name="find", call_id="call_a"),
        call_chunk(0, '{"q": '),
        call_chunk(1, "{}", name="find", call_id="call_b"),
        call_chunk(0, '"x"}'),
    ]
    # Some servers say "stop" after calls too.
    async with serving(*pieces, chunk({}, finish="stop")) as server:
        events = await said(server, request(tools=[FIND], tool_choice="find"))
    assert [event for event in events if isinstance(event, ToolCallStarted | ToolCall)] == [
        ToolCallStarted("call_a", "find"),
        ToolCallStarted("call_b", "find"),
        ToolCall("call_a", "find", '{"q": "x"}'),
        ToolCall("call_b", "find", "{}"),
    ]
    assert events[-1] == Stop(StopReason.TOOL_CALLS)
    assert server.bodies[0]["tool_choice"] == {"type": "function", "function": {"name": "find"}}


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("length", StopReason.MAX_TOKENS), ("content_filter", StopReason.REFUSED), ("anything", StopReason.COMPLETE)],
)
async def test_each_reason_to_stop_is_known(finish: str, reason: StopReason) -> None:
    async with serving(chunk({"content": "It"}), chunk({}, finish=finish)) as server:
        assert (await said(server))[-1] == Stop(reason)


async def test_a_refusal_in_words_is_a_refusal() -> None:
    async with serving(chunk({"refusal": "I will not."}), chunk({}, finish="stop")) as server:
        events = await said(server)
    assert events[-1] == Stop(StopReason.REFUSED)
    assert not any(isinstance(event, TextDelta) for event in events)


async def test_what_comes_after_the_end_is_no_part_of_the_answer() -> None:
    twice = [chunk({"content": "Once."}), chunk({}, finish="stop"), chunk({"content": "Once."}), chunk(usage=USAGE)]
    async with serving(*twice) as server:
        events = await said(server)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Once."]
    assert UsageSeen(Usage(input=30, cache_write_5m=10, cache_read=60, output=9)) in events


@pytest.mark.parametrize(
    ("chunks", "kind"),
    [
        ([chunk({"content": "It is"})], ErrorKind.TRUNCATED),
        ([], ErrorKind.TRUNCATED),
        ([call_chunk(0, '{"q"')], ErrorKind.MALFORMED),
        ([{"choices": 7}], ErrorKind.MALFORMED),
        ([{"no": "choices"}], ErrorKind.MALFORMED),
        (["text"], ErrorKind.MALFORMED),
        ([{"error": {"type": "server_overloaded", "message": "busy"}}], ErrorKind.OVERLOADED),
        ([{"error": {"message": "it broke"}}], ErrorKind.SERVER),
        ([{"error": {"code": "content_filter", "message": "no"}}], ErrorKind.REFUSED),
        ([call_chunk(n, "{}", name="find") for n in range(200)], ErrorKind.MALFORMED),
        ([call_chunk(0, "x" * 70_000, name="find")], ErrorKind.MALFORMED),
    ],
)
async def test_no_broken_stream_is_taken_for_success(chunks: list[Any], kind: ErrorKind) -> None:
    async with serving(*chunks) as server:
        with pytest.raises(ProviderError) as caught:
            await said(server)
    assert caught.value.kind is kind


async def test_an_answer_without_figures_is_booked_as_at_least(
    deploy: Deploy, write_settings: Callable[[str, str], Path]
) -> None:
    table = (Path(__file__).parents[1] / "config" / "tags.yaml").read_text(encoding="utf-8")
    async with serving(chunk({"content": "Hello there. "}), chunk({}, finish="stop")) as server:
        client = await deploy(
            tier=2,
            tags=write_settings("tags.yaml", table.replace("provider: anthropic", "provider: local")),
            providers=write_settings(
                "providers.yaml", f"providers: {{local: {{protocol: chat-completions, base_url: '{server.url}'}}}}"
            ),
        )
        answer = await client.execute()
    assert answer.done.answer.complete
    (entry,) = answer.done.ledger
    assert (entry.provider, entry.at_least) == ("local", True)
