"""The classifier, asked within its budget. Whatever goes wrong there becomes "no scores", and the policy decides."""

from __future__ import annotations

import grpc
import structlog
from tiermesh.classifier.v1 import classifier_service_pb2 as pb
from tiermesh.classifier.v1 import classifier_service_pb2_grpc as rpc
from tiermesh_policy.routes import Depth
from tiermesh_policy.tenant import Strategy
from tiermesh_runtime.errors import from_call

from tiermesh_gateway.adapters.translate import policy_scores, request_context, routing_history
from tiermesh_gateway.approval import approves
from tiermesh_gateway.conversations import Conversation
from tiermesh_gateway.question import Scored, Turn

_DEPTHS = {
    Depth.FULL: pb.DEPTH_FULL,
    Depth.LOCAL: pb.DEPTH_LOCAL,
    Depth.RULES: pb.DEPTH_RULES,
    Depth.LANGUAGE_MODEL: pb.DEPTH_LANGUAGE_MODEL,
}
_ASKS_MODEL = (Depth.FULL, Depth.LANGUAGE_MODEL)


class GrpcClassifier:
    """Scores over gRPC."""

    def __init__(self, channel: grpc.aio.Channel, *, seconds: float) -> None:
        """`seconds` is the time of the local stages, the network included."""
        self._stub = rpc.ClassifierServiceStub(channel)
        self._seconds = seconds
        # What the language-model stage takes, as the last answer said: 0 where that stage is off.
        self._model_seconds = 0.0

    async def classify(self, turn: Turn, conversation: Conversation) -> Scored | None:
        """The scores; None when they did not come in time, whatever the cause."""
        tenant = turn.question.tenant
        request = pb.ClassifyRequest(
            context=request_context(turn),
            text=turn.question.text,
            history=routing_history(conversation),
            depth=_DEPTHS[tenant.policy.strategy.depth],
        )
        try:
            response = await self._stub.Classify(request, timeout=self._patience(tenant.policy.strategy))
        except grpc.aio.AioRpcError as error:
            refusal = from_call(error)
            structlog.get_logger().warning("classifier_gave_nothing", code=refusal.code.name, reason=refusal.reason)
            return None
        # 0 when absent: the classifier was restarted without that stage.
        self._model_seconds = response.language_model_time.ToNanoseconds() / 1e9
        scores = response.scores
        return Scored(
            scores=policy_scores(scores, tenant.vocabulary, approval=approves(turn.question.text)),
            raw=scores,
            slots=scores.scope.slots.SerializeToString(),
            vocabulary_version=scores.vocabulary_version,
        )

    def _patience(self, strategy: Strategy) -> float:
        """How long one turn is waited for: as long as the stages take that its tenant asks for."""
        if strategy.depth not in _ASKS_MODEL:
            return self._seconds
        most = strategy.language_model_seconds
        return self._seconds + (self._model_seconds if most is None else min(most, self._model_seconds))
