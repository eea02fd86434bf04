"""Failures of models are survived unseen where that is possible, and told clearly where it is not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2, usage_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh_executor.models.events import StopReason
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import TextPart
from tiermesh_executor.testing import Client, Script, ScriptedProvider, calls, says
from tiermesh_runtime.errors import from_call

Deploy = Callable[..., Awaitable[Client]]
Write = Callable[[str, str], Path]
TAGS = (Path(__file__).parents[1] / "config" / "tags.yaml").read_text(encoding="utf-8")
HAIKU, SONNET = "claude-haiku-5-5", "claude-sonnet-5-5"


def fails(kind: ErrorKind, *said: str, retry_after: float | None = None) -> Script:
    return [*says(*said)[:-1], ProviderError(kind, f"it was {kind}", retry_after=retry_after)]


@pytest.mark.parametrize("kind", [ErrorKind.OVERLOADED, ErrorKind.SERVER, ErrorKind.CONNECTION, ErrorKind.RATE_LIMITED])
async def test_a_passing_fault_is_tried_again_at_the_same_model(deploy: Deploy, kind: ErrorKind) -> None:
    provider = ScriptedProvider(fails(kind), says("Fine."))
    answer = await (await deploy(provider)).execute()
    assert [request.model for request in provider.requests] == [HAIKU, HAIKU]
    assert answer.done.answer.complete
    assert [entry.attempt for entry in answer.done.ledger] == [1, 2]
    assert [entry.outcome for entry in answer.done.ledger] == [
        usage_pb2.CALL_OUTCOME_FAILED,
        usage_pb2.CALL_OUTCOME_SERVED,
    ]


@pytest.mark.parametrize(
    "kind", [ErrorKind.SLOW_FIRST_TOKEN, ErrorKind.STALLED, ErrorKind.NOT_AVAILABLE, ErrorKind.TRUNCATED]
)
async def test_a_silent_or_broken_route_is_left_for_the_next_candidate(deploy: Deploy, kind: ErrorKind) -> None:
    provider = ScriptedProvider(fails(kind), says("Fine."))
    answer = await (await deploy(provider)).execute()
    assert [request.model for request in provider.requests] == [HAIKU, SONNET]
    assert answer.done.answer.model == SONNET


async def test_what_a_failed_attempt_had_said_is_forgotten(deploy: Deploy) -> None:
    provider = ScriptedProvider(fails(ErrorKind.TRUNCATED, "It is not"), says("It is so."))
    answer = await (await deploy(provider)).execute()
    assert answer.text == "It is so."
    assert answer.of("committed")[0].model == SONNET


async def test_tool_calls_of_a_failed_attempt_are_not_made(deploy: Deploy) -> None:
    cut = [*calls(("leave_balance", {}))[:-1], ProviderError(ErrorKind.TRUNCATED, "cut")]
    answer = await (await deploy(ScriptedProvider(cut, says("It is so.")))).execute()
    assert answer.done.tool_calls == 0


async def test_patience_that_is_asked_for_is_had(deploy: Deploy) -> None:
    provider = ScriptedProvider(fails(ErrorKind.RATE_LIMITED, retry_after=0.4), says("Fine."))
    client = await deploy(provider)
    started = time.perf_counter()
    answer = await client.execute()
    assert time.perf_counter() - started >= 0.4
    assert answer.done.answer.complete


async def test_too_much_patience_goes_to_the_next_candidate_at_once(deploy: Deploy) -> None:
    provider = ScriptedProvider(fails(ErrorKind.RATE_LIMITED, retry_after=60), says("Fine."))
    async with asyncio.timeout(5):
        answer = await (await deploy(provider)).execute()
    assert answer.done.answer.model == SONNET


async def test_patience_beyond_the_deadline_is_not_waited_for(deploy: Deploy) -> None:
    provider = ScriptedProvider(fails(ErrorKind.RATE_LIMITED, retry_after=600))
    client = await deploy(provider)
    async with asyncio.timeout(5):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.execute(allowed_models=[HAIKU])
    error = from_call(caught.value)
    assert error.reason == "MODELS_UNAVAILABLE"
    assert error.metadata["first_cause"] == "rate_limited"
    assert error.retry_after == 600


async def test_attempts_are_bounded_and_the_first_cause_is_told(deploy: Deploy) -> None:
    provider = ScriptedProvider(fails(ErrorKind.OVERLOADED), *[fails(ErrorKind.SERVER)] * 9)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (await deploy(provider)).execute()
    assert len(provider.requests) == 4
    assert from_call(caught.value).metadata["first_cause"] == "overloaded"


async def test_models_that_the_tenant_does_not_allow_are_never_asked(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("Fine."))
    await (await deploy(provider)).execute(allowed_models=[SONNET])
    assert [request.model for request in provider.requests] == [SONNET]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (await deploy(provider)).execute(allowed_models=["another"])
    assert from_call(caught.value).metadata["first_cause"] == "none_allowed"


async def test_a_failure_after_the_commit_point_goes_on_from_there_with_the_next_candidate(deploy: Deploy) -> None:
    provider = ScriptedProvider(fails(ErrorKind.TRUNCATED, "It is so. ", "And then "), says("And that is all."))
    answer = await (await deploy(provider)).execute()
    assert answer.done.answer.complete
    assert answer.text.startswith("It is so. And ")
    assert answer.text.endswith("And that is all.")
    assert answer.kinds.count("committed") == 1
    assert answer.of("superseded") == []
    assert answer.done.answer.model == SONNET
    told = provider.requests[1].prompt.messages[-1].parts[-1]
    assert isinstance(told, TextPart)
    assert "<answer_so_far>\nIt is so. And then \n</answer_so_far>" in told.text


async def test_what_was_shown_is_not_said_twice_by_a_model_that_begins_again(deploy: Deploy) -> None:
    provider = ScriptedProvider(
        fails(ErrorKind.STALLED, "It is so. ", "And then "), says("It is so. And th", "en it ends.")
    )
    answer = await (await deploy(provider)).execute()
    assert answer.text == "It is so. And then it ends."


async def test_the_rest_of_a_cut_answer_is_verified_too(deploy: Deploy) -> None:
    provider = ScriptedProvider(
        calls(("leave_balance", {})),
        fails(ErrorKind.TRUNCATED, "Anna has 24.5 days. ", "That"),
        says("She has 99 days. ", "Ask again."),
    )
    answer = await (await deploy(provider)).execute()
    assert answer.text.startswith("Anna has 24.5 days.")
    assert "99" not in answer.text
    assert answer.done.answer.complete


async def test_a_cut_answer_that_nobody_can_go_on_with_says_so_and_how_it_began(deploy: Deploy) -> None:
    provider = ScriptedProvider(fails(ErrorKind.TRUNCATED, "It is so. ", "And then "), *[fails(ErrorKind.SERVER)] * 9)
    answer = await (await deploy(provider)).execute()
    assert answer.text.startswith("It is so.")
    assert not answer.done.answer.complete
    assert answer.done.answer.error_reason == "ANSWER_TRUNCATED"
    assert "it was truncated" in answer.done.answer.error_message
    assert answer.done.answer.stop_reason == answer_pb2.AnswerDone.STOP_REASON_FAILED
    assert [request.model for request in provider.requests] == [HAIKU, SONNET, SONNET, HAIKU]
    assert len(answer.done.ledger) == 4


async def test_a_refusal_in_the_middle_of_an_answer_is_final(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("It is so. ", "And then ", stop=StopReason.REFUSED), says("Never asked."))
    answer = await (await deploy(provider)).execute()
    assert answer.done.answer.stop_reason == answer_pb2.AnswerDone.STOP_REASON_REFUSED
    assert len(provider.requests) == 1


async def test_prose_that_is_generated_goes_on_after_a_cut_and_a_document_does_not(deploy: Deploy) -> None:
    cut = fails(ErrorKind.TRUNCATED, "One and ")
    client = await deploy(ScriptedProvider(cut, says("two."), fails(ErrorKind.TRUNCATED, '{"a": '), says("1}")), tier=2)
    events = await client.generate()
    assert "".join(event.text.text for event in events) == "One and two."
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.generate(json_schema='{"type": "object"}')
    assert from_call(caught.value).reason == "ANSWER_TRUNCATED"


async def test_a_context_that_is_too_long_goes_only_to_a_larger_window(deploy: Deploy, write_settings: Write) -> None:
    table = TAGS.replace("claude-sonnet-5-5: {context_window: 1000000", "claude-sonnet-5-5: {context_window: 2000000")
    larger = write_settings("tags.yaml", table)
    provider = ScriptedProvider(fails(ErrorKind.CONTEXT_TOO_LONG), says("It fits."))
    answer = await (await deploy(provider, tags=larger)).execute()
    assert (answer.done.answer.complete, answer.done.answer.model) == (True, SONNET)
    provider = ScriptedProvider(fails(ErrorKind.CONTEXT_TOO_LONG), says("Never asked."))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (await deploy(provider, tier=2)).execute()
    assert from_call(caught.value).reason == "CONTEXT_TOO_LONG"
    assert len(provider.requests) == 1


async def test_only_a_model_that_takes_it_gets_the_beginning_of_its_answer(
    deploy: Deploy, write_settings: Write
) -> None:
    table = TAGS.replace("claude-sonnet-5-5: {", "claude-sonnet-5-5: {prefill: true, ")
    broken = fails(ErrorKind.TRUNCATED, "It is so. ", "And then ")
    provider = ScriptedProvider(broken, fails(ErrorKind.PREFILL_REFUSED), says("it ends."), broken, says("it ends."))
    client = await deploy(provider, tags=write_settings("tags.yaml", table))
    answer = await client.execute()
    assert answer.done.answer.complete
    assert answer.text == "It is so. And then it ends."
    assert [request.model for request in provider.requests] == [HAIKU, SONNET, SONNET]
    last = [request.prompt.messages[-1] for request in provider.requests]
    assert [message.role for message in last] == ["user", "assistant", "user"]
    assert last[1].parts == [TextPart("It is so. And then")]
    # What it refused once it is never given again.
    await client.execute()
    assert [request.prompt.messages[-1].role for request in provider.requests[3:]] == ["user", "user"]


async def test_the_caller_is_told_every_attempt_when_all_have_failed(deploy: Deploy) -> None:
    provider = ScriptedProvider(fails(ErrorKind.OVERLOADED), *[fails(ErrorKind.SERVER)] * 9)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (await deploy(provider)).execute()
    assert from_call(caught.value).metadata["attempts"] == (
        f"{HAIKU}: overloaded, {HAIKU}: server_error, {SONNET}: server_error, {SONNET}: server_error"
    )


async def test_a_second_call_may_fail_over_though_tables_were_shown(deploy: Deploy) -> None:
    provider = ScriptedProvider(
        calls(("leave_balance", {}), preamble="One moment. I look it up. "),
        fails(ErrorKind.STALLED, "It is"),
        says("It is 24.5 days."),
    )
    request = {"commit_point": pb.COMMIT_POINT_IMMEDIATE}
    answer = await (await deploy(provider)).execute(**request)
    assert answer.done.answer.complete
    assert answer.text.endswith("It is 24.5 days.")


async def test_an_execution_stops_at_what_it_may_cost(deploy: Deploy) -> None:
    provider = ScriptedProvider(calls(("leave_balance", {})), says("Never said."))
    answer = await (await deploy(provider)).execute(max_cost_micros=1)
    assert answer.done.answer.error_reason == "BUDGET_EXHAUSTED"
    assert len(provider.requests) == 1


async def test_too_little_time_is_refused_before_anything_starts(deploy: Deploy) -> None:
    provider = ScriptedProvider()
    client = await deploy(provider)
    call = client.stub.Execute(client.request(), metadata=client.metadata, timeout=0.05)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    assert from_call(caught.value).code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert provider.requests == []
