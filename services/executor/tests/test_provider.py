"""The Messages API over real sockets: the whole path on the simulator, and every way in which a stream goes wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh_executor.models.anthropic_provider import AnthropicProvider, messages_api
from tiermesh_executor.models.events import ModelEvent, Stop, TextDelta, ToolCall, UsageSeen
from tiermesh_executor.models.http_client import is_loopback
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import Message, ModelRequest, Prompt, TextPart, ToolDefinition
from tiermesh_executor.testing import Client, scores
from tiermesh_runtime.testing import span_exporter

Deploy = Callable[..., Awaitable[Client]]
QUESTION = Prompt("Today is 2026-11-22.", [Message("user", [TextPart("Hello, what can you do?")])])


def request(prompt: Prompt = QUESTION, **fields: Any) -> ModelRequest:
    usual: dict[str, Any] = {
        "model": "claude-haiku-5-5",
        "prompt": prompt,
        "max_tokens": 500,
        "effort": None,
        "thinking": None,
        "forced_tools": True,
        "cache": None,
        "first_token_seconds": 5.0,
        "stall_seconds": 5.0,
        "expires_at": asyncio.get_running_loop().time() + 10,
    }
    return ModelRequest(**{**usual, **fields})


@asynccontextmanager
async def provider_at(url: str) -> AsyncIterator[AnthropicProvider]:
    provider = AnthropicProvider(messages_api("any", url))
    try:
        yield provider
    finally:
        await provider.close()


async def all_of(provider: AnthropicProvider, asked: ModelRequest) -> list[ModelEvent]:
    async with aclosing(provider.stream(asked)) as events:
        return [event async for event in events]


async def test_a_stream_is_translated_to_its_end(simulate: Callable[..., Any]) -> None:
    async with simulate() as simulator, provider_at(simulator.url) as provider:
        events = await all_of(provider, request())
    assert isinstance(events[-1], Stop)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)).startswith("I can look up leave")
    last = [event.usage for event in events if isinstance(event, UsageSeen)][-1]
    assert last.input > 0
    assert last.output > 0


async def test_a_forced_tool_is_called_with_its_arguments(simulate: Callable[..., Any]) -> None:
    schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    prompt = Prompt(QUESTION.system, QUESTION.messages, [ToolDefinition("find", "Finds.", schema)], tool_choice="find")
    async with simulate() as simulator, provider_at(simulator.url) as provider:
        forced = await all_of(provider, request(prompt))
        # These models refuse to be forced: then the tool is only offered.
        await all_of(provider, request(prompt, model="claude-sonnet-5-5", forced_tools=False, thinking="between_tools"))
    assert [event.name for event in forced if isinstance(event, ToolCall)] == ["find"]


async def test_a_schema_goes_out_without_what_the_provider_refuses(simulate: Callable[..., Any]) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    async with simulate() as simulator, provider_at(simulator.url) as provider:
        await all_of(provider, request(Prompt("", QUESTION.messages, json_schema=schema)))
        (seen,) = await simulator.seen(bodies=True)
    sent = seen["body"]["output_config"]["format"]["schema"]
    assert sent["additionalProperties"] is False
    assert "minimum" not in sent["properties"]["n"]


async def test_the_prefix_is_cached_in_its_stable_order(simulate: Callable[..., Any]) -> None:
    tools = [ToolDefinition("find", "Finds. " * 400, {"type": "object"})]
    prompts = [
        Prompt("Be brief. " * 1_500, [Message("user", [TextPart(f"Hello {name}")])], tools) for name in ("A", "B")
    ]
    async with simulate() as simulator, provider_at(simulator.url) as provider:
        first, second = [await all_of(provider, request(prompt, cache="5m")) for prompt in prompts]
    written = [event.usage for event in first if isinstance(event, UsageSeen)][-1]
    read = [event.usage for event in second if isinstance(event, UsageSeen)][-1]
    assert written.cache_write_5m > 2_000
    assert read.cache_read == written.cache_write_5m
    assert read.input < 100


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429;retry_after=2", ErrorKind.RATE_LIMITED),
        ("429", ErrorKind.RATE_LIMITED),
        ("500", ErrorKind.SERVER),
        ("503", ErrorKind.OVERLOADED),
        ("529", ErrorKind.OVERLOADED),
        ("401", ErrorKind.NOT_AVAILABLE),
        ("404", ErrorKind.NOT_AVAILABLE),
        ("400", ErrorKind.INVALID_REQUEST),
        ("reset", ErrorKind.CONNECTION),
        ("hang", ErrorKind.SLOW_FIRST_TOKEN),
        ("prompt_too_long", ErrorKind.CONTEXT_TOO_LONG),
        ("slow_first_token;seconds=30", ErrorKind.SLOW_FIRST_TOKEN),
        ("cut;after=2", ErrorKind.TRUNCATED),
        ("reset_mid;after=2", ErrorKind.TRUNCATED),
        ("stall;after=2;seconds=30", ErrorKind.STALLED),
        ("malformed;after=2", ErrorKind.MALFORMED),
        ("invalid_utf8;after=2", ErrorKind.MALFORMED),
        ("no_stop", ErrorKind.TRUNCATED),
        ("error_event;after=2", ErrorKind.OVERLOADED),
        ("wrong_order", ErrorKind.MALFORMED),
        ("duplicate_start", ErrorKind.MALFORMED),
    ],
)
async def test_each_fault_has_its_kind_and_none_is_taken_for_success(
    simulate: Callable[..., Any], fault: str, kind: ErrorKind
) -> None:
    async with simulate() as simulator, provider_at(simulator.url) as provider:
        await simulator.arm(fault)
        with pytest.raises(ProviderError) as caught:
            await all_of(provider, request(first_token_seconds=0.5, stall_seconds=0.5))
    assert caught.value.kind is kind
    if "retry_after" in fault:
        assert caught.value.retry_after == 2


async def test_the_deadline_ends_a_call_that_only_crawls(simulate: Callable[..., Any]) -> None:
    async with simulate() as simulator, provider_at(simulator.url) as provider:
        await simulator.arm("stall;after=2;seconds=30")
        with pytest.raises(ProviderError) as caught:
            await all_of(provider, request(expires_at=asyncio.get_running_loop().time() + 0.5))
    assert caught.value.kind is ErrorKind.DEADLINE


async def test_a_proxy_of_the_environment_does_not_catch_a_local_server(
    simulate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with simulate() as simulator, provider_at(simulator.url) as provider:
        assert isinstance((await all_of(provider, request()))[-1], Stop)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("http://localhost", True),
        ("https://a.b", False),
        (None, False),
    ],
)
def test_a_local_server_is_known_by_its_address(url: str | None, local: bool) -> None:
    assert is_loopback(url) is local


async def test_a_client_that_goes_reaches_the_provider_within_a_second(
    simulate: Callable[..., Any], deploy: Deploy
) -> None:
    async with simulate(time_scale=1, first_token_ms=10, chunk_ms=400, chunk_chars=4) as simulator:
        client = await deploy(base_url=simulator.url)
        ask = client.request("Hello, what can you do?", commit_point=pb.COMMIT_POINT_IMMEDIATE)
        call: Any = client.stub.Execute(ask, metadata=client.metadata, timeout=30)
        async for event in call:
            if event.WhichOneof("event") == "text":
                break
        call.cancel()
        (seen,) = await simulator.until(lambda requests: requests[-1]["outcome"] != "running", seconds=1.0)
    assert seen["outcome"] == "disconnected"


async def test_a_deadline_of_the_caller_reaches_the_provider(simulate: Callable[..., Any], deploy: Deploy) -> None:
    async with simulate() as simulator:
        client = await deploy(base_url=simulator.url)
        await simulator.arm("hang", count=None)
        call: Any = client.stub.Execute(client.request("Hello there"), metadata=client.metadata, timeout=0.8)
        with contextlib.suppress(Exception):
            async for _ in call:
                pass
        seen = await simulator.until(lambda found: all(one["outcome"] != "running" for one in found), seconds=1.0)
    assert {one["outcome"] for one in seen} == {"disconnected"}


async def test_a_question_is_answered_over_the_real_path_with_tools(
    simulate: Callable[..., Any], deploy: Deploy
) -> None:
    async with simulate() as simulator:
        client = await deploy(base_url=simulator.url)
        answer = await client.execute("What is my leave balance?")
    assert answer.done.answer.complete, answer.done
    assert "24.5" in answer.text
    assert [entry.outcome for entry in answer.done.ledger] == [2, 2]
    assert all(entry.cost_micros > 0 and entry.provider_request_id for entry in answer.done.ledger)


async def test_rows_are_narrated_over_the_real_path_and_a_wrong_figure_is_caught(
    simulate: Callable[..., Any], deploy: Deploy
) -> None:
    async with simulate() as simulator:
        client = await deploy(base_url=simulator.url)
        right = await client.aggregate()
        await simulator.arm("wrong_figure")
        wrong = await client.aggregate()
    assert "24.5" in right.text
    assert right.done.answer.complete
    assert "31" not in wrong.text
    assert "Anna Schmidt" in wrong.text


async def test_a_fault_before_the_commit_point_is_survived_unseen(simulate: Callable[..., Any], deploy: Deploy) -> None:
    async with simulate() as simulator:
        client = await deploy(base_url=simulator.url)
        for fault in ("429;retry_after=0", "cut;after=2", "no_stop"):
            await simulator.arm(fault)
            answer = await client.execute("What is my leave balance?")
            assert answer.done.answer.complete, fault
            assert "24.5" in answer.text
            assert answer.text.count("24.5") == 1
            assert 6 in [entry.outcome for entry in answer.done.ledger]


async def test_the_models_span_stands_in_the_callers_trace_without_content(
    simulate: Callable[..., Any], deploy: Deploy
) -> None:
    exporter = span_exporter()
    async with simulate() as simulator:
        client = await deploy(base_url=simulator.url)
        await client.execute("What is my leave balance?", scores=scores("leave.balance"))
    spans = {span.name: span for span in exporter.get_finished_spans()}
    server = spans["tiermesh.executor.v1.ExecutorService/Execute"]
    model = next(span for name, span in spans.items() if name.startswith(("anthropic.messages", "chat")))
    tool = spans["execute_tool leave_balance"]
    assert model.parent is not None
    assert tool.parent is not None
    assert {model.parent.span_id, tool.parent.span_id} == {server.context.span_id}
    assert server.attributes is not None
    assert server.attributes["tiermesh.tier"] == 1
    assert server.attributes["tiermesh.tool_calls"] == 1
    written = " ".join(str(span.attributes) + str(span.events) for span in exporter.get_finished_spans())
    assert "balance?" not in written
    assert "24.5" not in written


async def test_a_confidence_is_stated_and_read_over_the_real_path(simulate: Callable[..., Any], deploy: Deploy) -> None:
    async with simulate(escalate=False) as simulator:
        client = await deploy(base_url=simulator.url)
        sure = await client.execute("What is my leave balance?", least_stated_confidence=0.8)
        unsure = await client.execute("What is my leave balance?", least_stated_confidence=0.95)
    assert "24.5" in sure.text
    assert "confidence" not in sure.text
    assert sure.done.answer.complete
    assert unsure.bounce.cause == "low_confidence"
