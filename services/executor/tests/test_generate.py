"""`Generate` over real gRPC: one tagged call, streamed, its structure checked."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh_executor.models.events import StopReason
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.testing import Client, ScriptedProvider, context, says
from tiermesh_runtime.errors import RpcError, from_call

Deploy = Callable[..., Awaitable[Client]]
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"pills": {"type": "array", "items": {"type": "string", "maxLength": 60}, "maxItems": 3}},
        "required": ["pills"],
        "additionalProperties": False,
    }
)


async def refused(client: Client, **fields: Any) -> RpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.generate(**fields)
    return from_call(caught.value)


async def test_text_is_streamed_and_the_ledger_comes_last(deploy: Deploy) -> None:
    events = await (await deploy(ScriptedProvider(says("One ", "two")), tier=2)).generate(instructions="Be brief.")
    assert "".join(event.text.text for event in events) == "One two"
    done = events[-1].done
    assert (done.model, done.stop_reason) == ("claude-sonnet-5-5", answer_pb2.AnswerDone.STOP_REASON_COMPLETE)
    assert [(entry.tag, entry.prompt_version) for entry in done.ledger] == [("suggest", "caller")]


async def test_instructions_are_the_cached_prefix_and_the_cap_is_the_lower(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("x"), says("x"))
    client = await deploy(provider, tier=2)
    await client.generate(instructions="Be brief.", max_tokens=7)
    await client.generate(max_tokens=60_000)
    assert (provider.requests[0].prompt.system, provider.requests[0].cache) == ("Be brief.", "1h")
    assert [request.max_tokens for request in provider.requests] == [7, 2048]


async def test_output_that_matches_its_schema_is_complete(deploy: Deploy) -> None:
    provider = ScriptedProvider(says('{"pills": ', '["a"]}'))
    events = await (await deploy(provider, tier=2)).generate(json_schema=SCHEMA)
    assert events[-1].done.model
    assert provider.requests[0].prompt.json_schema == json.loads(SCHEMA)


@pytest.mark.parametrize("output", ["not json", '{"pills": "a"}', '{"pills": ["a", "b", "c", "d"]}', '{"pills": ["'])
async def test_output_that_does_not_match_is_an_error(deploy: Deploy, output: str) -> None:
    client = await deploy(ScriptedProvider(says(output, stop=StopReason.MAX_TOKENS)), tier=2)
    error = await refused(client, json_schema=SCHEMA)
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OUTPUT_NOT_VALID")


async def test_an_unknown_tag_is_told_with_those_that_are_known(deploy: Deploy) -> None:
    error = await refused(await deploy(ScriptedProvider()), tag="sing")
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_TAG")
    assert "suggest" in error.message


@pytest.mark.parametrize(
    "schema", ["{", "[]", '{"type": 7}', '{"a":' * 5000, '{"$ref": "#/x"}', '{"$ref": "http://x/"}']
)
async def test_a_schema_that_is_none_is_named(deploy: Deploy, schema: str) -> None:
    error = await refused(await deploy(ScriptedProvider()), json_schema=schema)
    assert error.reason == "INVALID_FIELD"
    assert error.violations[0].field == "json_schema"


async def test_the_last_message_has_to_be_the_users(deploy: Deploy) -> None:
    client = await deploy(ScriptedProvider())
    role = answer_pb2.ConversationTurn
    messages = [pb.GenerateRequest.Message(role=role.ROLE_ASSISTANT, text="I")]
    call: Any = client.stub.Generate(
        pb.GenerateRequest(context=context(), tag="suggest", messages=messages), metadata=client.metadata, timeout=5
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    assert from_call(caught.value).violations[0].field == "messages[0].role"


async def test_a_refusal_is_reported_and_not_routed_around(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("", stop=StopReason.REFUSED))
    error = await refused(await deploy(provider))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CONTENT_REFUSED")
    assert len(provider.requests) == 1


async def test_the_first_cause_is_what_is_told_when_all_models_fail(deploy: Deploy) -> None:
    failures = [
        [ProviderError(ErrorKind.SLOW_FIRST_TOKEN, "the model's first token took longer than 5 s")],
        [ProviderError(ErrorKind.NOT_AVAILABLE, "the provider answered 404 (not_found_error)")],
    ]
    error = await refused(await deploy(ScriptedProvider(*failures), tier=2))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "MODELS_UNAVAILABLE")
    assert error.metadata["first_cause"] == "slow_first_token"
    assert "first token" in error.message


async def test_a_cut_after_text_went_out_is_no_success(deploy: Deploy) -> None:
    cut = [*says("One ")[:-1], ProviderError(ErrorKind.TRUNCATED, "cut")]
    error = await refused(await deploy(ScriptedProvider(cut), tier=2))
    assert (error.code, error.reason) == (grpc.StatusCode.DATA_LOSS, "ANSWER_TRUNCATED")
