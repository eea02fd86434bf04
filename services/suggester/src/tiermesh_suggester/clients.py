"""The model and the classifier as the track wants them, over gRPC. All spend is booked by the executor."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import grpc
import structlog
from tiermesh.classifier.v1 import classifier_service_pb2, classifier_service_pb2_grpc
from tiermesh.common.v1 import answer_pb2, context_pb2, history_pb2, usage_pb2
from tiermesh.executor.v1 import executor_service_pb2, executor_service_pb2_grpc
from tiermesh_runtime.channels import abandoning
from tiermesh_runtime.deadlines import budget
from tiermesh_runtime.errors import RpcError, from_call

from tiermesh_suggester.candidates import Candidate
from tiermesh_suggester.leading import Classified
from tiermesh_suggester.prompt import MAX_TOKENS, SCHEMA
from tiermesh_suggester.spend import TenantSpend
from tiermesh_suggester.track import ClassifierFailedError, ModelFailedError
from tiermesh_suggester.translation import labels_of

TAG = "suggest"


@dataclass
class ExecutorModel:
    """Candidates from `executor.Generate` under the tag `suggest`, for one turn. Keeps the ledger entries."""

    stub: executor_service_pb2_grpc.ExecutorServiceAsyncStub
    context: context_pb2.RequestContext
    spend: TenantSpend
    seconds: float
    max_cost_micros: int = 0
    max_cost_per_day_micros: int = 0
    # True when the caller knows that the tenant's money for pills is used up.
    spent: bool = False
    ledger: list[usage_pb2.LedgerEntry] = field(default_factory=list)
    # True when a call was begun whose cost nobody told.
    at_least: bool = False

    async def pieces(self, instructions: str, message: str) -> AsyncGenerator[str, None]:
        """Yield the model's JSON as it comes; raises ModelFailedError with the reason's name."""
        if self.spent:
            raise ModelFailedError("budget")
        reserved = self.spend.reserve(
            self.context.tenant, most_per_call=self.max_cost_micros, most_per_day=self.max_cost_per_day_micros
        )
        if reserved is None:
            raise ModelFailedError("budget")
        cost: int | None = None
        try:
            timeout = budget(self.seconds, reserve=0.2, hop="executor")
            async with abandoning(self.stub.Generate(self._request(instructions, message), timeout=timeout)) as call:
                async for response in call:
                    if response.HasField("done"):
                        self.ledger.extend(response.done.ledger)
                        cost = sum(entry.cost_micros for entry in response.done.ledger)
                        return
                    yield response.text.text
            raise ModelFailedError("truncated")
        except grpc.aio.AioRpcError as error:
            refusal = from_call(error)
            # This code says that nothing was done, so nothing was spent.
            cost = 0 if refusal.code is grpc.StatusCode.UNAVAILABLE else None
            structlog.get_logger().warning("pills_model_failed", reason=refusal.reason)
            raise ModelFailedError(refusal.reason.lower()) from error
        except RpcError as error:
            cost = 0
            raise ModelFailedError(error.reason.lower()) from error
        finally:
            self.at_least |= cost is None
            self.spend.settle(reserved, cost)

    def _request(self, instructions: str, message: str) -> executor_service_pb2.GenerateRequest:
        request = executor_service_pb2.GenerateRequest(
            context=self.context,
            tag=TAG,
            instructions=instructions,
            json_schema=SCHEMA,
            max_tokens=MAX_TOKENS,
            max_cost_micros=self.max_cost_micros,
        )
        request.messages.add(role=answer_pb2.ConversationTurn.ROLE_USER, text=message)
        return request


@dataclass(frozen=True)
class BatchClassifier:
    """All candidates of a wave in one `ClassifyBatch` call, local stages only."""

    stub: classifier_service_pb2_grpc.ClassifierServiceAsyncStub
    context: context_pb2.RequestContext
    # As it will be when a pill is clicked: this turn is part of it.
    history: history_pb2.RoutingHistory
    seconds: float

    async def classify(self, candidates: Sequence[Candidate]) -> list[Classified]:
        """Return each candidate with its labels; raises ClassifierFailedError."""
        request = classifier_service_pb2.ClassifyBatchRequest(
            context=self.context, depth=classifier_service_pb2.DEPTH_LOCAL
        )
        for candidate in candidates:
            request.items.add(text=candidate.text, history=self.history)
        try:
            timeout = budget(self.seconds, reserve=0.1, hop="classifier")
            response = await self.stub.ClassifyBatch(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            structlog.get_logger().warning("pills_classifier_failed", reason=from_call(error).reason)
            raise ClassifierFailedError from error
        except RpcError as error:
            raise ClassifierFailedError from error
        pairs = zip(candidates, response.scores, strict=True)
        return [Classified(candidate, labels_of(candidate.text, scores), scores) for candidate, scores in pairs]
