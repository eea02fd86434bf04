"""What the gateway calls insights with, and the thresholds that insights sets at run time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import grpc
import structlog
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_runtime.channels import abandoning
from tiermesh_runtime.principal import METADATA_KEY, PrincipalSigner

from tiermesh_gateway.adapters.thresholds import KeptThresholds
from tiermesh_gateway.errors import StoreUnavailable
from tiermesh_gateway.tenants import LiveThreshold

_TOKEN_SECONDS = 300.0
# Insights ends a stream in good order before this; the next one is opened at once.
_STREAM_SECONDS = 240.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0

SetThreshold = Callable[[str, LiveThreshold | None], bool]


class RecordPrincipal:
    """A service principal for recording, of no tenant: a batch holds records of many. Renewed by halves of its life."""

    def __init__(self, signer: PrincipalSigner) -> None:
        self._signer = signer
        self._token = ""
        self._until = 0.0

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with a call."""
        now = time.monotonic()
        if now >= self._until:
            self._token = self._signer.mint(
                tenant="*",
                subject="tiermesh-gateway",
                roles=(),
                audience=("insights",),
                purpose="record",
                pack_version="",
                request_id="",
                ttl=_TOKEN_SECONDS,
            )
            self._until = now + _TOKEN_SECONDS / 2
        return ((METADATA_KEY, self._token),)


class PolicyFollower:
    """Follows the thresholds of all tenants for as long as the process lives; without insights the last ones stand."""

    def __init__(
        self, channel: grpc.aio.Channel, principal: RecordPrincipal, set_threshold: SetThreshold, kept: KeptThresholds
    ) -> None:
        """What was kept of the last process is set at once: insights may be away for long."""
        self._stub = rpc.InsightsServiceStub(channel)
        self._principal = principal
        self._set_threshold = set_threshold
        self._kept = kept

    async def follow(self) -> None:
        """Follow until cancelled."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                async with abandoning(
                    self._stub.WatchPolicies(
                        pb.WatchPoliciesRequest(), timeout=_STREAM_SECONDS, metadata=self._principal.metadata()
                    )
                ) as changes:
                    async for change in changes:
                        pause = _FIRST_PAUSE_SECONDS
                        await self._take(change.policy)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    structlog.get_logger().info("policies_not_followed", code=error.code().name, again_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def restore(self) -> None:
        """Set what was kept. StoreUnavailable."""
        for tenant, live in (await self._kept.load()).items():
            if self._set_threshold(tenant, live):
                structlog.get_logger().info("threshold_restored", tenant=tenant, version=live.version)

    async def _take(self, policy: pb.PolicySnapshot) -> None:
        live = LiveThreshold(policy.threshold, policy.version) if policy.applied else None
        if not self._set_threshold(policy.tenant, live):
            return
        try:
            await self._kept.keep(policy.tenant, live, policy.set_at.ToMicroseconds() / 1e6)
        except StoreUnavailable as error:
            structlog.get_logger().warning("threshold_not_kept", tenant=policy.tenant, problem=str(error))
        structlog.get_logger().info(
            "threshold_set", tenant=policy.tenant, applied=policy.applied, version=policy.version
        )
