"""The model and the classifier as the track wants them, over gRPC. All spend is booked by the executor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
import structlog
from tiermesh.classifier.v1 import classifier_service_pb2, classifier_service_pb2_grpc
from tiermesh.common.v1 import answer_pb2, context_pb2, history_pb2, scores_pb2, usage_pb2
from tiermesh.executor.v1 import executor_service_pb2, executor_service_pb2_grpc
from tiermesh_runtime.channels import abandoning
from tiermesh_runtime.deadlines import budget
from tiermesh_runtime.errors import RpcError, from_call

from tiermesh_suggester.candidates import Candidate
from tiermesh_suggester.prompt import SCHEMA
from tiermesh_suggester.track import ClassifierFailedError, ModelFailedError
from tiermesh_suggester.visibility import Classified

TAG = "suggest"


@dataclass
class ExecutorModel:
    """Candidates from `executor.Generate` under the tag `suggest`, for one turn. Keeps the ledger entries."""

    stub: executor_service_pb2_grpc.ExecutorServiceAsyncStub
    context: context_pb2.RequestContext
    seconds: float
    max_cost_micros: int
    ledger: list[usage_pb2.LedgerEntry] = field(default_factory=list)

    async def candidates(self, instructions: str, message: str) -> str:
        """Return the model's JSON; raises ModelFailedError with the reason's name."""
        request = executor_service_pb2.GenerateRequest(
            context=self.context,
            tag=TAG,
            instructions=instructions,
            json_schema=SCHEMA,
            max_cost_micros=self.max_cost_micros,
        )
        request.messages.add(role=answer_pb2.ConversationTurn.ROLE_USER, text=message)
        pieces = []
        try:
            timeout = budget(self.seconds, reserve=0.2, hop="executor")
            async with abandoning(self.stub.Generate(request, timeout=timeout)) as call:
                async for response in call:
                    pieces.append(response.text.text)
                    if response.HasField("done"):
                        self.ledger.extend(response.done.ledger)
                        return "".join(pieces)
        except grpc.aio.AioRpcError as error:
            reason = from_call(error).reason
            structlog.get_logger().warning("pills_model_failed", reason=reason)
            raise ModelFailedError(reason.lower()) from error
        except RpcError as error:
            raise ModelFailedError(error.reason.lower()) from error
        raise ModelFailedError("truncated")


@dataclass(frozen=True)
class BatchClassifier:
    """All candidates of a turn in one `ClassifyBatch` call, local stages only."""

    stub: classifier_service_pb2_grpc.ClassifierServiceAsyncStub
    context: context_pb2.RequestContext
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
        return [_classified(*pair) for pair in zip(candidates, response.scores, strict=True)]


def _classified(candidate: Candidate, scores: scores_pb2.Scores) -> Classified:
    return Classified(
        candidate=candidate,
        intent=scores.intent.label,
        probability=scores.intent.probability,
        cardinality=scores.scope.cardinality.label,
        ambiguous=scores.difficulty.ambiguous.label == "yes",
    )
