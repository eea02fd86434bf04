"""PostgreSQL by asyncpg: read-only transactions, a timeout per statement, a bounded pool."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from asyncpg import exceptions

from tiermesh_aggregator.engines.engine import ConflictError, Fetched, Rows
from tiermesh_aggregator.engines.statement import Statement
from tiermesh_aggregator.failures import DatabaseDownError, StatementTimeoutError

lost = (
    exceptions.PostgresConnectionError,
    exceptions.InterfaceError,
    exceptions.TooManyConnectionsError,
    exceptions.CannotConnectNowError,
    exceptions.AdminShutdownError,
    OSError,
)


class PostgresEngine:
    """A pool of connections. Cancelling a task cancels its statement on the server."""

    system = "postgresql"

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, statement_timeout: float, connections: int = 10) -> "PostgresEngine":
        """Connects. DatabaseDownError when that fails."""
        settings = {
            "application_name": "tiermesh-aggregator",
            "statement_timeout": str(int(statement_timeout * 1000)),
            "idle_in_transaction_session_timeout": "30000",
        }
        try:
            pool = await asyncpg.create_pool(  # type: ignore[no-untyped-call] # published untyped
                url, min_size=1, max_size=connections, server_settings=settings, timeout=10
            )
        except (exceptions.PostgresError, exceptions.InterfaceError, OSError, TimeoutError, ValueError) as error:
            raise DatabaseDownError(f"PostgreSQL cannot be reached: {error}") from error
        return cls(pool)

    async def fetch(self, statement: Statement, timeout: float) -> Fetched:
        """Runs one statement in a read-only transaction of its own."""
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(timeout), self._pool.acquire() as connection:
                begun = time.perf_counter()
                async with connection.transaction(readonly=True):
                    rows = await connection.fetch(statement.sql, *statement.parameters)
        except (TimeoutError, exceptions.QueryCanceledError) as error:
            raise StatementTimeoutError("The statement took too long and was cancelled.") from error
        except lost as error:
            raise DatabaseDownError("The database cannot be reached.") from error
        return Fetched([tuple(row) for row in rows], time.perf_counter() - begun)

    @asynccontextmanager
    async def writing(self, timeout: float) -> AsyncIterator["_PostgresTransaction"]:
        """A transaction that locks what it checks: two confirmations at once see each other."""
        try:
            async with (
                asyncio.timeout(timeout),
                self._pool.acquire() as connection,
                connection.transaction(isolation="serializable"),
            ):
                yield _PostgresTransaction(connection)
        except (
            exceptions.SerializationError,
            exceptions.DeadlockDetectedError,
            exceptions.UniqueViolationError,
        ) as error:
            raise ConflictError(str(error)) from error
        except (TimeoutError, exceptions.QueryCanceledError) as error:
            raise StatementTimeoutError("The statement took too long and was cancelled.") from error
        except lost as error:
            raise DatabaseDownError("The database cannot be reached.") from error

    async def columns(self) -> dict[str, set[str]]:
        """The tables of the current schema."""
        sql = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
        fetched = await self.fetch(Statement(sql, (), ""), 10)
        found: dict[str, set[str]] = {}
        for table, column in fetched.rows:
            found.setdefault(table, set()).add(column)
        return found

    async def close(self) -> None:
        """Closes the pool; waits for what still runs, but not for long."""
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


class _PostgresTransaction:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, statement: Statement) -> Rows:
        rows = await self._connection.fetch(statement.sql, *statement.parameters)
        return [tuple(row) for row in rows]
