"""The service's client in its tests: signs as a person, and the requests that more than one of them sends."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from tiermesh.aggregator.v1 import aggregator_service_pb2 as pb
from tiermesh.common.v1 import context_pb2, scores_pb2
from tiermesh.tools.v1 import tools_service_pb2 as tools_pb
from tiermesh_runtime.errors import from_call
from tiermesh_runtime.testing import Keys, signed_metadata


@dataclass
class Client:
    aggregator: Any
    tools: Any
    keys: Keys
    database: Path
    address: str

    def as_(self, person: str = "E00014", *roles: str, **claims: Any) -> Any:
        return signed_metadata(self.keys.signer(), subject=person, roles=roles or ("employee", "manager"), **claims)

    async def tool(self, name: str, person: str = "E00014", /, *, raw: str | None = None, **arguments: Any) -> Any:
        text = json.dumps(arguments) if raw is None else raw
        request = tools_pb.CallToolRequest(context=context(), name=name, arguments=text)
        return await self.tools.CallTool(request, metadata=self.as_(person), timeout=20)


def context(**more: Any) -> context_pb2.RequestContext:
    made = context_pb2.RequestContext(
        **{"request_id": "r1", "tenant": "acme", "pack_version": "hr@1.0.0", "time_zone": "Europe/Berlin", **more}
    )
    made.asked_at.FromJsonString("2026-11-20T12:00:00Z")
    return made


def scope(aggregation: str = "rank", **slots: Any) -> scores_pb2.ScopeScores:
    def axis(label: str) -> scores_pb2.AxisScore:
        return scores_pb2.AxisScore(label=label, probability=0.9)

    said = scores_pb2.Slots(domain=scores_pb2.Slot(value="leave", confidence=0.9), **slots)
    return scores_pb2.ScopeScores(
        cardinality=axis("team"), temporal=axis("window"), aggregation=axis(aggregation), slots=said
    )


def plan(**slots: Any) -> pb.AggregateRequest:
    return pb.AggregateRequest(
        context=context(), scores=pb.AggregateRequest.Plan(intent="leave.history", scope=scope(**slots))
    )


async def refused(call: Any, code: grpc.StatusCode, reason: str) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    decoded = from_call(error.value)
    assert (decoded.code, decoded.reason) == (code, reason), str(decoded)
    return decoded
