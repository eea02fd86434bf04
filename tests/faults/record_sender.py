"""The gateway's recording path alone, under load: decisions go into its spool and from there to insights.

Writes the id of each accepted decision to a file, after the spool said yes. SIGTERM ends the load; delivery goes on
until nothing waits. Run by `tests.faults.kills`, which kills it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

from tiermesh.common.v1 import context_pb2, routing_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_gateway.adapters.insights import RecordPrincipal
from tiermesh_gateway.adapters.records import DECISIONS, Delivery
from tiermesh_gateway.adapters.translate import timestamp
from tiermesh_runtime import spool as spooling
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.principal import PrincipalSigner
from tiermesh_runtime.spool import Spool

_AT_ONCE = 5
_PAUSE_SECONDS = 0.01
_RECORD_DECISIONS = "/tiermesh.insights.v1.InsightsService/RecordDecisions"


async def send(spool_path: Path, address: str, key: Path, accepted: Path) -> None:
    """Load until SIGTERM, then deliver what waits."""
    spooling._BACKOFF_LAST = 2.0  # so that a count of kills does not wait half a minute for each
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    file = os.open(accepted, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    spool = Spool.open(spool_path)
    principal = RecordPrincipal(PrincipalSigner(await asyncio.to_thread(key.read_bytes)))
    async with open_channel(address, idempotent=(_RECORD_DECISIONS,)) as channel, Delivery(spool, channel, principal):
        run = uuid.uuid4().hex[:12]
        for first in itertools.count(step=_AT_ONCE):
            if stop.is_set():
                break
            ids = [f"{run}-{first + offset}" for offset in range(_AT_ONCE)]
            taken = await asyncio.gather(*(spool.append(DECISIONS, _decision(each)) for each in ids))
            lines = "".join(f"{each}\n" for each, yes in zip(ids, taken, strict=True) if yes)
            os.write(file, lines.encode())
            await asyncio.sleep(_PAUSE_SECONDS)
        while spool.stored_bytes:  # noqa: ASYNC110 - delivery tells nobody when it is through
            await asyncio.sleep(0.1)
    await spool.close()


def _decision(decision_id: str) -> bytes:
    record = pb.DecisionRecord(
        decision=routing_pb2.Decision(decision_id=decision_id, route=routing_pb2.ROUTE_TIER1, tier=routing_pb2.TIER_1),
        context=context_pb2.RequestContext(request_id=decision_id, tenant="acme", pack_version="hr@1.0.0"),
        decided_at=timestamp(datetime.now(UTC)),
    )
    return record.SerializeToString()


if __name__ == "__main__":
    asyncio.run(send(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))
