"""Starts one tier's executor: settings, tables, clients, servicer, serve."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from tiermesh.executor.v1.executor_service_pb2_grpc import add_ExecutorServiceServicer_to_server
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.server import Registration, ServiceParts, run
from tiermesh_runtime.settings import load_settings
from tiermesh_runtime.spool import Spool
from tiermesh_runtime.startup import StartupError

from tiermesh_executor.adapters.aggregator import AGGREGATE, GrpcBulkData
from tiermesh_executor.adapters.mcp_server import McpToolServer
from tiermesh_executor.adapters.tool_server import CALL_TOOL, LIST_TOOLS, GrpcToolServer
from tiermesh_executor.adapters.usage import KIND, RECORD_USAGE, SpooledUsage, UsageDelivery
from tiermesh_executor.aggregate import AggregateMode
from tiermesh_executor.answer import AnswerMode
from tiermesh_executor.bounce.calibration import Calibration, load_calibration
from tiermesh_executor.configuration import ConfigurationError
from tiermesh_executor.executor import Executor
from tiermesh_executor.models.breaker import Breakers
from tiermesh_executor.models.calls import ModelCalls
from tiermesh_executor.models.endpoints import Endpoint, open_provider
from tiermesh_executor.models.provider import Provider
from tiermesh_executor.prices import PriceList, load_prices
from tiermesh_executor.prompts import SYSTEM_TEXTS
from tiermesh_executor.servicer import ExecutorServicer
from tiermesh_executor.settings import ExecutorSettings
from tiermesh_executor.tags import TagTable, load_tags
from tiermesh_executor.telemetry import ExecutorTelemetry
from tiermesh_executor.tools.patience import PatientToolServer
from tiermesh_executor.tools.source import ToolSource

T = TypeVar("T")


@asynccontextmanager
async def build(settings: ExecutorSettings, provider: Provider | None = None) -> AsyncIterator[ServiceParts]:
    """Opens what the executor needs and gives the service's parts; closes it after the drain.

    `provider` stands in for the configured one in tests.
    """
    tables = _tables(settings)
    async with AsyncExitStack() as closing:
        providers = (
            {provider.name: provider}
            if provider is not None
            else {name: open_provider(name, endpoint) for name, endpoint in tables.endpoints.items()}
        )
        for opened in providers.values():
            closing.push_async_callback(opened.close)
        telemetry = ExecutorTelemetry()
        breakers = Breakers(
            asyncio.get_running_loop().time,
            on_change=telemetry.circuit_changed,
            open_seconds=settings.circuit_open_seconds,
        )
        models = ModelCalls(tags=tables.tags, providers=providers, tier=settings.tier, breakers=breakers)
        data = await _data(settings, closing)
        executor = Executor(
            tier=settings.tier,
            models=models,
            modes={
                "answer": AnswerMode(
                    models,
                    data.tools,
                    telemetry,
                    fan_out=settings.fan_out_limit,
                    calibration=tables.calibration,
                ),
                "aggregate": AggregateMode(models, data.bulk, data.bulk_tools, telemetry),
            },
            prices=tables.prices,
            sink=await _usage(settings, closing),
            telemetry=telemetry,
        )
        servicer = ExecutorServicer(executor, heartbeat_seconds=settings.heartbeat_seconds)
        registration = Registration(
            add=add_ExecutorServiceServicer_to_server,
            servicer=servicer,
            full_name="tiermesh.executor.v1.ExecutorService",
        )
        yield ServiceParts(name=f"executor-tier{settings.tier}", registrations=[registration], audience="executor")


@dataclass(frozen=True, slots=True)
class _Tables:
    """What is configured in files."""

    tags: TagTable
    prices: PriceList
    endpoints: Mapping[str, Endpoint]
    calibration: Calibration


def _tables(settings: ExecutorSettings) -> _Tables:
    """Raises StartupError with all problems of all files."""
    problems: list[str] = []

    def read(load: Callable[[], T]) -> T | None:
        try:
            return load()
        except ConfigurationError as error:
            problems.extend(error.problems)
            return None

    endpoints = read(settings.endpoints)
    # The table can be checked against no providers when their file is broken: then only that is told.
    known = None if endpoints is None else frozenset(endpoints)
    prompts = frozenset(SYSTEM_TEXTS)
    tags = read(lambda: load_tags(settings.tags, tier=settings.tier, providers=known, prompts=prompts))
    prices = read(lambda: load_prices(settings.prices))
    calibration: Calibration | None = Calibration()
    if tags is not None and settings.stated_calibration is not None:
        path, row = settings.stated_calibration, tags.row("answer-simple")
        asked = {each.model for each in row.candidates if not each.tiers or settings.tier in each.tiers}
        calibration = read(lambda: load_calibration(path, models=asked, prompt_version=row.prompt_version))
    if endpoints is None or tags is None or prices is None or calibration is None:
        raise StartupError("\n  ".join(["the tables cannot be used:", *problems]))
    return _Tables(tags, prices, endpoints, calibration)


@dataclass(frozen=True, slots=True)
class _Data:
    """Where facts come from."""

    # What models are offered.
    tools: ToolSource
    # What one bulk call is made with: the data's own server too, whatever models are offered.
    bulk_tools: ToolSource
    bulk: GrpcBulkData


async def _data(settings: ExecutorSettings, closing: AsyncExitStack) -> _Data:
    own = settings.aggregator_address
    channels = {
        address: await closing.enter_async_context(open_channel(address, idempotent=[AGGREGATE, LIST_TOOLS, CALL_TOOL]))
        for address in dict.fromkeys([own, *settings.all_tool_addresses])
    }
    servers = {address: PatientToolServer(GrpcToolServer(address, channels[address])) for address in channels}
    others = []
    for url in settings.mcp_urls:
        server = McpToolServer(url, token_file=settings.mcp_token_file)
        closing.push_async_callback(server.close)
        others.append(PatientToolServer(server))
    offered = [*(servers[address] for address in settings.all_tool_addresses), *others]
    tools = ToolSource(offered, remember_seconds=settings.tool_list_seconds)
    bulk_tools = tools
    if own not in settings.all_tool_addresses:
        bulk_tools = ToolSource([servers[own], *offered], remember_seconds=settings.tool_list_seconds)
    return _Data(tools, bulk_tools, GrpcBulkData(channels[own]))


async def _usage(settings: ExecutorSettings, closing: AsyncExitStack) -> SpooledUsage:
    try:
        spool = Spool.open(settings.spool, settings.spool_max_bytes)
    except (OSError, sqlite3.Error) as error:
        raise StartupError(
            f"TIERMESH_EXECUTOR_SPOOL: {settings.spool} cannot be opened ({error}); set a file that can be written"
        ) from error
    closing.push_async_callback(spool.close)
    usage = SpooledUsage(spool)
    closing.push_async_callback(usage.close)
    if settings.insights_address:
        channel = await closing.enter_async_context(
            open_channel(
                settings.insights_address, idempotent=[RECORD_USAGE], credentials=settings.channel_credentials()
            )
        )
        stop = asyncio.Event()
        delivery = UsageDelivery(channel, settings.insights_token_file)
        delivering = asyncio.create_task(spool.deliver(KIND, delivery, stop))

        async def end() -> None:
            stop.set()
            await asyncio.wait([delivering], timeout=2.0)
            delivering.cancel()
            await asyncio.wait([delivering])

        closing.push_async_callback(end)
    return usage


if __name__ == "__main__":
    sys.exit(run(load_settings(ExecutorSettings), build))
