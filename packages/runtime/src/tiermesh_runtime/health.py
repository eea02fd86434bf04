"""The standard health service, telling the truth from before the first call until after the last.

Own servicer: the published one says SERVING from construction, and forgets the other
watchers of a service when one of them leaves, so that they never learn of a shutdown.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health(health_pb2_grpc.HealthServicer):
    """Answers for "" (the process) and for each service by name."""

    def __init__(self) -> None:
        """Start NOT_SERVING."""
        self._statuses: dict[str, Any] = {"": NOT_SERVING}
        self._changed = asyncio.Event()
        self._closed = False

    def serving(self, services: Iterable[str]) -> None:
        """Say SERVING for the process and for `services`."""
        self._set(dict.fromkeys(["", *services], SERVING))

    def not_serving(self) -> None:
        """Say NOT_SERVING for everything."""
        self._set(dict.fromkeys(self._statuses, NOT_SERVING))

    def close(self) -> None:
        """End the watchers' streams; open ones would hold up the drain."""
        self._closed = True
        self._set({})

    def _set(self, statuses: dict[str, Any]) -> None:
        self._statuses.update(statuses)
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(  # noqa: N802 - the RPC's name
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthCheckResponse:
        """Return the status of one service; NOT_FOUND for a name that is not served."""
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802 - the RPC's name
        self, request: health_pb2.HealthCheckRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Send the status at once and whenever it changes."""
        last: Any = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
            if status != last:
                yield health_pb2.HealthCheckResponse(status=status)
                last = status
            if self._closed:
                return
            await changed.wait()
