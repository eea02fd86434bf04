"""Puts the service together: opens what it needs, yields its parts when ready, closes in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from tiermesh.insights.v1.insights_service_pb2_grpc import add_InsightsServiceServicer_to_server
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.server import Registration, ServiceParts
from tiermesh_runtime.settings import with_password
from tiermesh_runtime.startup import StartupError

from tiermesh_insights.analysis import Analysis
from tiermesh_insights.audit.auditing import Auditing
from tiermesh_insights.board import PolicyBoard
from tiermesh_insights.judging.model import ExecutorJudge
from tiermesh_insights.judging.work import JudgingWork
from tiermesh_insights.metrics import Metrics
from tiermesh_insights.servicer import InsightsServicer
from tiermesh_insights.settings import InsightsSettings, load_tuning
from tiermesh_insights.store import Store, StoreUnavailableError
from tiermesh_insights.upkeep import Upkeep

_TRY_AGAIN_SECONDS = 1.0
SERVICE = "tiermesh.insights.v1.InsightsService"


@asynccontextmanager
async def build(settings: InsightsSettings) -> AsyncIterator[ServiceParts]:
    """Open the store, start what goes on beside the calls, give the service's parts."""
    tuning = load_tuning(settings.tuning)
    async with AsyncExitStack() as stack:
        store = await _opened(settings)
        stack.push_async_callback(store.close)
        metrics = Metrics()
        analysis = Analysis(store, tuning)
        board = PolicyBoard(store)
        stop = asyncio.Event()
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(stop.set)
        auditing: Auditing | None = None
        if settings.executor_address:
            channel = await stack.enter_async_context(
                open_channel(settings.executor_address, credentials=settings.channel_credentials())
            )
            work = JudgingWork(store, analysis, ExecutorJudge(channel, settings.executor_token_file), metrics)
            auditing = Auditing(store, analysis, work, metrics)
            group.create_task(work.follow(settings.judge_every_seconds, stop))
        group.create_task(board.follow(stop))
        group.create_task(Upkeep(store, analysis, metrics, settings.retention).follow(settings.upkeep_seconds, stop))
        servicer = InsightsServicer(store, analysis, board, metrics, auditing)
        registration = Registration(add_InsightsServiceServicer_to_server, servicer, SERVICE)
        yield ServiceParts(name="insights", registrations=[registration], audience="insights")


async def _opened(settings: InsightsSettings) -> Store:
    """Open the store. A PostgreSQL that is not up yet is waited for as the setting says; not ready meanwhile."""
    address = with_password(settings.database, settings.database_password_file)
    loop = asyncio.get_running_loop()
    give_up = loop.time() + (settings.database_wait_seconds if address.startswith("postgresql://") else 0.0)
    while True:
        try:
            return await Store.open(address, migrate=settings.migrate)
        except StoreUnavailableError as error:
            if loop.time() >= give_up:
                raise StartupError(f"TIERMESH_INSIGHTS_DATABASE: cannot open {settings.database}: {error}") from error
            structlog.get_logger().warning("database_awaited", error=type(error.__cause__ or error).__name__)
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
