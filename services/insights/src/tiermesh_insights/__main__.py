"""Starts the insights service: settings, store, servicer, serve."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tiermesh.insights.v1.insights_service_pb2_grpc import add_InsightsServiceServicer_to_server
from tiermesh_runtime.server import Registration, ServiceParts, run
from tiermesh_runtime.settings import load_settings
from tiermesh_runtime.startup import StartupError

from tiermesh_insights.servicer import InsightsServicer
from tiermesh_insights.settings import InsightsSettings
from tiermesh_insights.store import Store, StoreUnavailableError


@asynccontextmanager
async def build(settings: InsightsSettings) -> AsyncIterator[ServiceParts]:
    """Open the store and give the service's parts; close the store after the drain."""
    try:
        store = await Store.open(settings.database)
    except StoreUnavailableError as error:
        raise StartupError(f"TIERMESH_INSIGHTS_DATABASE: cannot open {settings.database}: {error}") from error
    try:
        yield ServiceParts(
            name="insights",
            registrations=[
                Registration(
                    add=add_InsightsServiceServicer_to_server,
                    servicer=InsightsServicer(store),
                    full_name="tiermesh.insights.v1.InsightsService",
                )
            ],
            audience="insights",
        )
    finally:
        await store.close()


if __name__ == "__main__":
    sys.exit(run(load_settings(InsightsSettings), build))
