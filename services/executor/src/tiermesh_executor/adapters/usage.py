"""Ledger lines on their way to insights: spooled on disk, delivered in the background, at least once."""

import asyncio
from pathlib import Path

import grpc
import structlog
from google.protobuf.message import DecodeError
from tiermesh.common.v1 import usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_runtime.principal import METADATA_KEY
from tiermesh_runtime.spool import RejectedError, Spool

from tiermesh_executor.ledger import Line
from tiermesh_executor.wire.ledger import entry_of

RECORD_USAGE = "/tiermesh.insights.v1.InsightsService/RecordUsage"
KIND = "usage"
_DELIVERY_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
# The receiver will never take these as they are.
_HOPELESS = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE})


class SpooledUsage:
    """A `UsageSink` over a spool."""

    def __init__(self, spool: Spool) -> None:
        """The spool stays the caller's to close, after `close` here."""
        self._spool = spool
        self._writing: set[asyncio.Task[bool]] = set()

    async def record(self, line: Line) -> None:
        """Returns when the line is on disk."""
        await self._spool.append(KIND, entry_of(line).SerializeToString())

    def record_soon(self, line: Line) -> None:
        """In a task of its own: the call that it is about may be being cancelled."""
        task = asyncio.create_task(self._spool.append(KIND, entry_of(line).SerializeToString()))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Waits for what is being written."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=_CLOSE_SECONDS)


class UsageDelivery:
    """Hands spooled lines to insights."""

    def __init__(self, channel: grpc.aio.Channel, token_file: Path | None) -> None:
        """`token_file` holds a service principal of purpose "record"; it is read anew for each batch."""
        self._stub = rpc.InsightsServiceStub(channel)
        self._token_file = token_file
        self._log = structlog.get_logger("tiermesh_executor.usage")

    async def __call__(self, payloads: list[bytes]) -> None:
        """Raises RejectedError for what insights will never take, anything else for another try."""
        try:
            entries = [usage_pb2.LedgerEntry.FromString(payload) for payload in payloads]
        except DecodeError as error:
            raise RejectedError("not a ledger entry") from error
        try:
            await self._stub.RecordUsage(
                pb.RecordUsageRequest(entries=entries), timeout=_DELIVERY_SECONDS, metadata=await self._metadata()
            )
        except grpc.aio.AioRpcError as error:
            if error.code() in _HOPELESS:
                raise RejectedError(f"insights answered {error.code().name}") from error
            raise
        self._log.debug("usage_delivered", entries=len(entries))

    async def _metadata(self) -> tuple[tuple[str, str], ...]:
        if self._token_file is None:
            return ()
        token = await asyncio.to_thread(self._token_file.read_text, "utf-8")
        return ((METADATA_KEY, token.strip()),)
