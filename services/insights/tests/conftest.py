"""A real PostgreSQL for the tests that want one: an embedded server, one database per test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tiermesh_runtime.testing import EmbeddedPostgres, embedded_postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    with embedded_postgres() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: EmbeddedPostgres) -> str:
    return postgres_server.new_database()
