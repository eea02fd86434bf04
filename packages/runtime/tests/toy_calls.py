"""Calls to a toy service on a plain channel, and what its health says."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tiermesh.common.v1 import answer_pb2, context_pb2

from .toy_service import SERVICE, VALID

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def status(channel: grpc.aio.Channel, service: str = "") -> Any:
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5, wait_for_ready=True)).status


def call_toy(channel: grpc.aio.Channel, kind: str, method: str, metadata: Any = ()) -> Any:
    start = getattr(channel, kind)(
        f"/{SERVICE}/{method}", context_pb2.RequestContext.SerializeToString, answer_pb2.TextChunk.FromString
    )
    return start(VALID, timeout=15, metadata=metadata)
