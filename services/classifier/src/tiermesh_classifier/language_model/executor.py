"""The model behind `executor.Generate` with the tag `classify`, for one turn. The executor books what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import structlog
from tiermesh.common.v1 import answer_pb2, context_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh_runtime import deadlines
from tiermesh_runtime.channels import abandoning
from tiermesh_runtime.errors import from_call

from tiermesh_classifier.language_model.prompt import Prompt
from tiermesh_classifier.language_model.stage import ModelDeclinedError, ModelUnavailableError, Said

if TYPE_CHECKING:  # known to its stub file only
    from tiermesh.executor.v1.executor_service_pb2_grpc import ExecutorServiceAsyncStub

TAG = "classify"
# About this one text, not about the health of the models: a text must not be able to open the breaker.
_ABOUT_THE_TEXT = frozenset({"CONTENT_REFUSED", "OUTPUT_NOT_VALID", "CONTEXT_TOO_LONG", "INVALID_FIELD"})


@dataclass(frozen=True)
class ExecutorModel:
    """One call, made for the person whose turn it is: principal, request and reservation go along."""

    stub: ExecutorServiceAsyncStub
    context: context_pb2.RequestContext
    max_cost_micros: int

    def seconds_left(self) -> float:
        """Time that the call being served still has."""
        left = deadlines.remaining()
        return math.inf if left is None else left

    async def labels(self, prompt: Prompt, message: str, seconds: float) -> Said:
        """The model's JSON."""
        request = pb.GenerateRequest(
            context=self.context,
            tag=TAG,
            instructions=prompt.instructions,
            json_schema=prompt.json_schema,
            max_cost_micros=self.max_cost_micros,
        )
        request.messages.add(role=answer_pb2.ConversationTurn.ROLE_USER, text=message)
        pieces: list[str] = []
        try:
            async with abandoning(self.stub.Generate(request, timeout=seconds)) as call:
                async for response in call:
                    if response.HasField("done"):
                        return Said("".join(pieces), response.done.model)
                    pieces.append(response.text.text)
        except grpc.aio.AioRpcError as error:
            reason = from_call(error).reason
            structlog.get_logger().warning("language_model_gave_no_labels", reason=reason or error.code().name)
            if reason in _ABOUT_THE_TEXT:
                raise ModelDeclinedError from error
            raise ModelUnavailableError from error
        raise ModelUnavailableError
