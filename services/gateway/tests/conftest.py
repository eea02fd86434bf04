"""A whole gateway in process, with scripted services behind it over real gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tiermesh.common.v1 import scores_pb2
from tiermesh_runtime.testing import EmbeddedPostgres, embedded_postgres

from .gateway_suite import Suite
from .saying import ExecuteScript, Saying, make_scores, says
from .starting import start_gateway

Change = Callable[..., Awaitable[Suite]]


@pytest.fixture
async def start_suite(tmp_path: Path) -> AsyncIterator[Change]:
    """Start a suite; keywords change the gateway's settings, `policy` adds lines to the tenant's policy."""
    async with AsyncExitStack() as stack:

        async def start(*, policy: str = "", **settings: Any) -> Suite:
            return await start_gateway(stack, tmp_path, policy, settings)

        yield start


@pytest.fixture
async def suite(start_suite: Change) -> Suite:
    return await start_suite()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    with embedded_postgres() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: EmbeddedPostgres) -> str:
    """A database of its own for the test."""
    return postgres_server.new_database()


@pytest.fixture
def say() -> type[Saying]:
    return Saying


@pytest.fixture
def script() -> Callable[..., ExecuteScript]:
    return says


@pytest.fixture
def scores() -> Callable[..., scores_pb2.Scores]:
    return make_scores
