"""Opens what the gateway keeps things in and calls: its database and spool, and a channel to every service."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import uuid4

import grpc
from tiermesh_policy import Tier
from tiermesh_runtime.channels import open_channel
from tiermesh_runtime.settings import with_password
from tiermesh_runtime.spool import Spool
from tiermesh_runtime.startup import StartupError

from tiermesh_gateway.adapters.database import Database, open_database
from tiermesh_gateway.adapters.shared import Holders
from tiermesh_gateway.adapters.store import Store
from tiermesh_gateway.adapters.tables import SCHEMA
from tiermesh_gateway.errors import StoreUnavailable
from tiermesh_gateway.settings import GatewaySettings

_WARM_UP_SECONDS = 2.0
_CLASSIFY = ("/tiermesh.classifier.v1.ClassifierService/Classify",)
_PERFORM = ("/tiermesh.aggregator.v1.AggregatorService/PerformAction",)
_RECORD = tuple(f"/tiermesh.insights.v1.InsightsService/Record{kind}" for kind in ("Decisions", "Outcomes", "Pills"))


@dataclass(frozen=True)
class Stores:
    """What outlives a question."""

    database: Database
    spool: Spool
    store: Store
    # The name of this replica at all that replicas share.
    holder: str


@dataclass(frozen=True)
class Channels:
    """The services behind the gateway."""

    classifier: grpc.aio.Channel
    executors: Mapping[Tier, grpc.aio.Channel]
    aggregator: grpc.aio.Channel
    suggester: grpc.aio.Channel
    insights: grpc.aio.Channel


async def open_stores(settings: GatewaySettings, stack: AsyncExitStack) -> Stores:
    """Open database and spool until `stack` closes; StartupError names the setting and the mend."""
    database, spool = await _open_files(settings, stack)
    holder = uuid4().hex
    await stack.enter_async_context(Holders(database, holder).alive())
    store = Store(database, keep_seconds=settings.conversation_hours * 3600, holder=holder)
    return Stores(database, spool, store, holder)


async def open_channels(settings: GatewaySettings, stack: AsyncExitStack) -> Channels:
    """Open the channels until `stack` closes; they are connected where their services answer within two seconds."""
    executors = await _executor_channels(settings, stack)
    aggregator = await _channel(stack, settings, settings.aggregator_address, _PERFORM)
    insights = await _channel(stack, settings, settings.insights_address, _RECORD)
    classifier = await _channel(stack, settings, settings.classifier_address, _CLASSIFY)
    suggester = await _channel(stack, settings, settings.suggester_address)
    await _warm_up([classifier, suggester, aggregator, *executors.values()])
    return Channels(classifier, executors, aggregator, suggester, insights)


async def _open_files(settings: GatewaySettings, stack: AsyncExitStack) -> tuple[Database, Spool]:
    try:
        database = await open_database(with_password(settings.store, settings.store_password_file), SCHEMA)
        stack.push_async_callback(database.close)
        spool = Spool.open(settings.spool)
        stack.push_async_callback(spool.close)
    except StoreUnavailable as error:
        raise StartupError(
            f"TIERMESH_GATEWAY_STORE: {error}; name a file that this process may write, or a PostgreSQL that it may use"
        ) from error
    except (OSError, sqlite3.Error) as error:
        raise StartupError(
            f"TIERMESH_GATEWAY_SPOOL={settings.spool}: {error}; name a file that this process may write"
        ) from error
    return database, spool


async def _executor_channels(settings: GatewaySettings, stack: AsyncExitStack) -> dict[Tier, grpc.aio.Channel]:
    addresses = {
        Tier.ONE: settings.executor_tier1_address,
        Tier.TWO: settings.executor_tier2_address,
        Tier.THREE: settings.executor_tier3_address,
    }
    return {tier: await _channel(stack, settings, address) for tier, address in addresses.items() if address}


async def _channel(
    stack: AsyncExitStack, settings: GatewaySettings, address: str, idempotent: tuple[str, ...] = ()
) -> grpc.aio.Channel:
    credentials = settings.channel_credentials()
    return await stack.enter_async_context(open_channel(address, idempotent=idempotent, credentials=credentials))


async def _warm_up(channels: Sequence[grpc.aio.Channel]) -> None:
    """Connect before the first question: its classification has no time to. Services may still start in any order."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_WARM_UP_SECONDS):
            await asyncio.gather(*(channel.channel_ready() for channel in channels))
