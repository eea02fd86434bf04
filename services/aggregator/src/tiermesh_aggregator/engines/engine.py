"""What every engine can do. Implementations: `duck`, `postgres`."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from tiermesh_aggregator.engines.identity import Identity, nobody
from tiermesh_aggregator.engines.statement import Statement

Rows = Sequence[Sequence[Any]]


class ConflictError(Exception):
    """Two write transactions touched the same rows; this one was rolled back and may be tried again."""


@dataclass(frozen=True)
class Fetched:
    """Rows and the time that the database took."""

    rows: Rows
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """What the database expects of a statement: rows read from tables, and its cost where it has a unit of it."""

    rows: float
    cost: float = 0.0


class Transaction(Protocol):
    """A write transaction: it commits when its block ends well, and rolls back otherwise."""

    async def fetch(self, statement: Statement) -> Rows:
        """Runs a statement inside the transaction."""
        ...


class Engine(Protocol):
    """A database. Its errors are DatabaseDownError and StatementTimeoutError; anything else is a fault of ours."""

    system: str
    """Name in telemetry: "duckdb" or "postgresql"."""

    secured: bool
    """Whether the database itself holds every statement to the rows of its identity."""

    async def fetch(self, statement: Statement, timeout: float, identity: Identity = nobody) -> Fetched:
        """Runs one read-only statement; cancelling the task stops it in the database."""
        ...

    async def estimate(self, statement: Statement, timeout: float, identity: Identity = nobody) -> Estimate:
        """Plans a statement without running it."""
        ...

    def writing(self, timeout: float, identity: Identity = nobody) -> AbstractAsyncContextManager[Transaction]:
        """Opens a write transaction; one at a time where the engine wants it so."""
        ...

    async def columns(self) -> dict[str, set[str]]:
        """The tables that exist, with their columns."""
        ...

    async def close(self) -> None:
        """Lets go of everything."""
        ...
