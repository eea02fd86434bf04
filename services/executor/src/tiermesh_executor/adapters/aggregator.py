"""The aggregator's bulk call from the classifier's slots."""

import grpc
from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc as rpc
from tiermesh.common.v1 import context_pb2, scores_pb2
from tiermesh_runtime.errors import from_call

from tiermesh_executor.context import CallContext
from tiermesh_executor.failures import DataError
from tiermesh_executor.tools.catalogue import ClarificationResult, TableResult
from tiermesh_executor.wire.tables import table_from

AGGREGATE = "/tiermesh.aggregator.v1.AggregatorService/Aggregate"


class GrpcBulkData:
    """See `aggregate.BulkData`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """A channel to the aggregator."""
        self._stub = rpc.AggregatorServiceStub(channel)

    async def aggregate(
        self, context: CallContext, intent: str, scope: object, timeout: float
    ) -> TableResult | ClarificationResult:
        """Raises DataError."""
        if not isinstance(scope, scores_pb2.ScopeScores) or not isinstance(context.source, context_pb2.RequestContext):
            raise TypeError("scope and context must have come from a request")
        plan = pb.AggregateRequest.Plan(intent=intent, scope=scope)
        try:
            response = await self._stub.Aggregate(
                pb.AggregateRequest(context=context.source, scores=plan), timeout=timeout
            )
        except grpc.aio.AioRpcError as error:
            decoded = from_call(error)
            raise DataError(decoded.reason, decoded.message, missing=decoded.metadata.get("missing", "")) from error
        if response.WhichOneof("outcome") == "clarification":
            return ClarificationResult(response.clarification.question, list(response.clarification.options))
        return TableResult(table_from(response.table))
