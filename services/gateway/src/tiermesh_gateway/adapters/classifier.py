"""The classifier, asked within its budget. Whatever goes wrong there becomes "no scores", and the policy decides."""

from __future__ import annotations

import grpc
import structlog
from tiermesh.classifier.v1 import classifier_service_pb2 as pb
from tiermesh.classifier.v1 import classifier_service_pb2_grpc as rpc
from tiermesh_policy.routes import Depth
from tiermesh_runtime.errors import from_call

from tiermesh_gateway.adapters.translate import policy_scores, request_context, routing_history
from tiermesh_gateway.approval import approves
from tiermesh_gateway.conversations import Conversation
from tiermesh_gateway.question import Scored, Turn

_DEPTHS = {Depth.FULL: pb.DEPTH_FULL, Depth.LOCAL: pb.DEPTH_LOCAL, Depth.RULES: pb.DEPTH_RULES}


class GrpcClassifier:
    """Scores over gRPC."""

    def __init__(self, channel: grpc.aio.Channel, *, seconds: float) -> None:
        self._stub = rpc.ClassifierServiceStub(channel)
        self._seconds = seconds

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
            response = await self._stub.Classify(request, timeout=self._seconds)
        except grpc.aio.AioRpcError as error:
            refusal = from_call(error)
            structlog.get_logger().warning("classifier_gave_nothing", code=refusal.code.name, reason=refusal.reason)
            return None
        scores = response.scores
        return Scored(
            scores=policy_scores(scores, tenant.vocabulary, approval=approves(turn.question.text)),
            raw=scores,
            slots=scores.scope.slots.SerializeToString(),
            vocabulary_version=scores.vocabulary_version,
        )
