"""The service over real gRPC on a database of its own; a real PostgreSQL for the tests that want one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_insights.analysis import Analysis
from tiermesh_insights.board import PolicyBoard
from tiermesh_insights.metrics import Metrics
from tiermesh_insights.servicer import InsightsServicer
from tiermesh_insights.settings import InsightsSettings, TenantTuning, Tuning
from tiermesh_insights.store import Store
from tiermesh_runtime.server import Registration, ServiceParts, serving
from tiermesh_runtime.testing import EmbeddedPostgres, embedded_postgres, new_keys

from .signed_client import Insights

TUNING = Tuning(tenants={"acme": TenantTuning(minimum_sample=200, max_quality_loss=0.15, largest_step=0.1)})


@pytest.fixture
async def insights(tmp_path: Path) -> AsyncIterator[Insights]:
    keys = new_keys()
    store = await Store.open(f"sqlite:///{tmp_path / 'insights.sqlite'}")
    settings = InsightsSettings(port=0, principal_public_key=keys.write_public(tmp_path))
    board = PolicyBoard(store)
    servicer = InsightsServicer(store, Analysis(store, TUNING), board, Metrics())
    registration = Registration(
        rpc.add_InsightsServiceServicer_to_server, servicer, "tiermesh.insights.v1.InsightsService"
    )
    parts = ServiceParts(name="insights", registrations=[registration], audience="insights")
    async with serving(parts, settings) as server, grpc.aio.insecure_channel(server.address) as channel:
        yield Insights(rpc.InsightsServiceStub(channel), keys, store, board)
    await store.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    with embedded_postgres() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: EmbeddedPostgres) -> str:
    return postgres_server.new_database()
