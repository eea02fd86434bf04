"""The service's client in its tests: signs for those who deliver and for those who read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_insights.board import PolicyBoard
from tiermesh_insights.store import Store
from tiermesh_runtime.errors import RpcError, from_call
from tiermesh_runtime.testing import Keys, signed_metadata


@dataclass
class Insights:
    """The service under test and a signer for its callers."""

    stub: Any
    keys: Keys
    store: Store
    board: PolicyBoard

    def recorder(self, tenant: str = "*") -> Any:
        return signed_metadata(self.keys.signer(), purpose="record", tenant=tenant, subject="gateway", roles=())

    def reader(self, tenant: str = "acme", roles: tuple[str, ...] = ("router_admin",), **claims: Any) -> Any:
        return signed_metadata(self.keys.signer(), tenant=tenant, roles=roles, **claims)

    async def decide(self, *records: pb.DecisionRecord) -> None:
        request = pb.RecordDecisionsRequest(decisions=records)
        await self.stub.RecordDecisions(request, metadata=self.recorder(), timeout=10)

    async def say(self, *outcomes: pb.Outcome) -> None:
        request = pb.RecordOutcomesRequest(outcomes=outcomes)
        await self.stub.RecordOutcomes(request, metadata=self.recorder(), timeout=10)


async def refusal(call: Any) -> RpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_call(refused.value)
