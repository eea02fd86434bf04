"""Calls to insights in a person's name: a deadline, the principal, and errors as RpcError. No report is read here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_runtime.errors import RpcError, from_call
from tiermesh_runtime.principal import METADATA_KEY

from tiermesh_console.identity import Visitor

READ_SECONDS = 15.0
# A proposal replays the log.
PROPOSE_SECONDS = 60.0
_SERVICE = "/tiermesh.insights.v1.InsightsService/"
# Each may be called again with the same effect as once.
IDEMPOTENT = tuple(
    _SERVICE + method
    for method in (
        "ReportConfidence",
        "ReportRouting",
        "ReportCost",
        "ReportQuality",
        "ReportPills",
        "ReportThreshold",
        "GetDecision",
        "ReplayDecision",
        "ReplayPolicy",
        "NextComparison",
        "RecordPreference",
        "ApplyThreshold",
        "UndoThreshold",
    )
)

R = TypeVar("R")


class Insights:
    """The service as one visitor at a time reaches it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.stub = rpc.InsightsServiceStub(channel)

    async def call(
        self,
        method: Callable[..., Awaitable[R]],
        request: Message,
        visitor: Visitor,
        *,
        timeout: float = READ_SECONDS,
    ) -> R:
        """Return what `method` (of `stub`) answers the visitor. RpcError when it does not."""
        try:
            return await method(request, timeout=timeout, metadata=((METADATA_KEY, visitor.principal),))
        except grpc.aio.AioRpcError as error:
            raise from_call(error) from error

    async def attempt(self, method: Callable[..., Awaitable[R]], request: Message, visitor: Visitor) -> R | RpcError:
        """Return the answer or the refusal: for pages that show what there is when a part of it is missing."""
        try:
            return await self.call(method, request, visitor)
        except RpcError as error:
            if error.code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
                raise
            return error
