"""The language model behind the executor: what goes out, and what each failure means."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2
from tiermesh.common.v1.context_pb2 import RequestContext
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh.executor.v1.executor_service_pb2_grpc import (
    ExecutorServiceServicer,
    ExecutorServiceStub,
    add_ExecutorServiceServicer_to_server,
)
from tiermesh_classifier.language_model.executor import ExecutorModel
from tiermesh_classifier.language_model.prompt import Prompt
from tiermesh_classifier.language_model.stage import ModelDeclinedError, ModelUnavailableError, Said
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.server import Registration, ServiceParts, serving
from tiermesh_runtime.settings import ServiceSettings

PROMPT = Prompt("the vocabulary", json.dumps({"type": "object"}))
CONTEXT = RequestContext(request_id="r1", tenant="acme", pack_version="hr@1.0.0")


class FakeExecutor(ExecutorServiceServicer):
    """Answers in two pieces, or fails as it is told to."""

    def __init__(self, failure: RpcError | None, *, done: bool) -> None:
        self.requests: list[pb.GenerateRequest] = []
        self._failure = failure
        self._done = done

    async def Generate(self, request: pb.GenerateRequest, context: object) -> AsyncIterator[pb.GenerateResponse]:
        self.requests.append(request)
        for piece in ('{"intent": ', '"leave.balance"}'):
            yield pb.GenerateResponse(text=answer_pb2.TextChunk(text=piece))
        if self._failure is not None:
            raise self._failure
        if self._done:
            yield pb.GenerateResponse(done=pb.GenerateDone(model="small-model"))


@asynccontextmanager
async def model(
    failure: RpcError | None = None, *, done: bool = True
) -> AsyncIterator[tuple[ExecutorModel, FakeExecutor]]:
    servicer = FakeExecutor(failure, done=done)
    registration = Registration(add_ExecutorServiceServicer_to_server, servicer, "tiermesh.executor.v1.ExecutorService")
    parts = ServiceParts("executor", [registration], audience=None)
    async with serving(parts, ServiceSettings(port=0)) as running, open_channel(running.address) as channel:
        yield ExecutorModel(ExecutorServiceStub(channel), CONTEXT, 500), servicer


async def test_the_vocabulary_is_the_prefix_and_the_question_the_message() -> None:
    async with model() as (asking, executor):
        said = await asking.labels(PROMPT, "<question>", 30.0)

    request = executor.requests[0]
    assert said == Said('{"intent": "leave.balance"}', "small-model")
    assert (request.tag, request.instructions, request.json_schema) == (
        "classify",
        "the vocabulary",
        PROMPT.json_schema,
    )
    assert [message.text for message in request.messages] == ["<question>"]
    assert (request.context, request.max_cost_micros) == (CONTEXT, 500)


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, "CONTENT_REFUSED", ModelDeclinedError),
        (grpc.StatusCode.FAILED_PRECONDITION, "OUTPUT_NOT_VALID", ModelDeclinedError),
        (grpc.StatusCode.UNAVAILABLE, "MODELS_UNAVAILABLE", ModelUnavailableError),
    ],
)
async def test_a_refused_text_is_not_held_against_the_model(
    code: grpc.StatusCode, reason: str, kind: Callable[[], Exception]
) -> None:
    async with model(RpcError(code, reason, "no")) as (asking, _):
        with pytest.raises(kind):
            await asking.labels(PROMPT, "text", 30.0)


async def test_a_stream_that_ends_without_its_last_event_gave_nothing() -> None:
    async with model(done=False) as (asking, _):
        with pytest.raises(ModelUnavailableError):
            await asking.labels(PROMPT, "text", 30.0)
