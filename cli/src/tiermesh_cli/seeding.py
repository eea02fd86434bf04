"""`tiermesh seed-insights`: sends a simulated history to a running insights, through the calls that services use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.errors import RpcError, from_call
from tiermesh_runtime.principal import METADATA_KEY, PrincipalSigner

from tiermesh_cli.history import LABEL, History, Records
from tiermesh_cli.home import Home
from tiermesh_cli.running import RunningSuite

_BATCH = 500
_SAMPLES_BATCH = 50
_CALL_SECONDS = 60.0
PACK_VERSION = "hr@1.0.0"


def seed_insights(
    turns: Annotated[int, typer.Option(min=1, max=100_000, help="Turns to draw.")] = 4000,
    days: Annotated[int, typer.Option(min=1, max=365, help="Days back that they are spread over.")] = 60,
    tenant: Annotated[str, typer.Option(help="Tenant whose history it is.")] = "acme",
    seed: Annotated[int, typer.Option(help="The same seed draws the same turns.")] = 1,
    state: Annotated[Path | None, typer.Option("--state", show_default=".tiermesh")] = None,
) -> None:
    """Fill the running insights with a simulated history, to look at reports. Again on the same day adds nothing."""
    home = Home.find(state)
    running = RunningSuite.read(home.running)
    if running is None:
        typer.echo(f"tiermesh: no suite runs from {home.state}: start one with `make run`", err=True)
        raise typer.Exit(2)
    signer = PrincipalSigner((home.keys / "principal.pem").read_bytes())
    # Until today began: the same seed draws the same records all day, and none is from the future.
    ends_at = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    records = History(tenant, PACK_VERSION, seed, ends_at).draw(turns, days)
    try:
        stored = asyncio.run(send(running.addresses["insights"], signer, tenant, records))
    except RpcError as error:
        typer.echo(f"tiermesh: {error.reason}: {error.message}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{stored} {LABEL} records stored for {tenant} ({turns} turns over {days} days); no model was asked")


async def send(address: str, signer: PrincipalSigner, tenant: str, records: Records) -> int:
    """Deliver everything; return how much was new. Raises RpcError."""
    token = signer.mint(
        tenant=tenant,
        subject=f"{LABEL}-history",
        roles=(),
        audience=("insights",),
        purpose="record",
        pack_version="",
        request_id=LABEL,
    )
    stored = 0
    async with open_channel(address) as channel:
        stub = rpc.InsightsServiceStub(channel)
        for method, request in _requests(stub, records):
            try:
                response = await method(request, timeout=_CALL_SECONDS, metadata=((METADATA_KEY, token),))
            except grpc.aio.AioRpcError as error:
                raise from_call(error) from error
            stored += response.stored
    return stored


def _requests(stub: rpc.InsightsServiceStub, records: Records) -> Iterator[tuple[Any, Any]]:
    for decisions in _batches(records.decisions, _BATCH):
        yield stub.RecordDecisions, pb.RecordDecisionsRequest(decisions=decisions)
    for entries in _batches(records.usage, _BATCH):
        yield stub.RecordUsage, pb.RecordUsageRequest(entries=entries)
    for outcomes in _batches(records.outcomes, _BATCH):
        yield stub.RecordOutcomes, pb.RecordOutcomesRequest(outcomes=outcomes)
    for samples in _batches(records.samples, _SAMPLES_BATCH):
        yield stub.RecordSamples, pb.RecordSamplesRequest(samples=samples)
    for pills in _batches(records.pills, _BATCH):
        yield stub.RecordPills, pb.RecordPillsRequest(pills=pills)


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
