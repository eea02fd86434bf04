"""DuckDB, embedded: statements run in threads, a cursor each, and are interrupted when nobody waits any more."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from tiermesh_aggregator.engines.engine import ConflictError, Estimate, Fetched, Rows
from tiermesh_aggregator.engines.identity import Identity, nobody
from tiermesh_aggregator.engines.statement import Statement
from tiermesh_aggregator.failures import DatabaseDownError, StatementTimeoutError

T = TypeVar("T")

interrupt_seconds = 0.005
"""An interrupt is lost before execution has begun, so it is repeated until the thread is done."""


class DuckEngine:
    """One database file, owned by this process alone. Reads run side by side, writes one after the other."""

    system = "duckdb"
    secured = False
    """An embedded file knows no roles: here the compiler's scope stands alone."""

    def __init__(self, path: Path, *, memory: str, threads: int = 2, concurrency: int = 8) -> None:
        """Opens the file and locks the configuration: no files, no network, no extensions from there on."""
        config: dict[str, str | bool | int | float | list[str]] = {
            "enable_external_access": "false",
            "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false",
            "memory_limit": memory,
            "threads": str(threads),
            "lock_configuration": "true",
        }
        try:
            self._connection = duckdb.connect(str(path), config=config)
        except duckdb.Error as error:
            raise DatabaseDownError(f"{path} cannot be opened: {str(error).splitlines()[0]}") from error
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="duckdb")
        self._writer = asyncio.Lock()

    async def fetch(self, statement: Statement, timeout: float, identity: Identity = nobody) -> Fetched:
        """Runs one statement in a read-only transaction of its own."""
        cursor = self._connection.cursor()

        def read() -> Fetched:
            begun = time.perf_counter()
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            try:
                rows = cursor.execute(statement.sql, list(statement.parameters)).fetchall()
            finally:
                cursor.execute("ROLLBACK")
            return Fetched(rows, time.perf_counter() - begun)

        try:
            return await self._run(cursor, read, timeout)
        finally:
            cursor.close()

    async def estimate(self, statement: Statement, timeout: float, identity: Identity = nobody) -> Estimate:
        """DuckDB expects rows; it has no unit of cost."""
        explained = Statement(f"EXPLAIN (FORMAT json) {statement.sql}", statement.parameters, statement.fingerprint)
        fetched = await self.fetch(explained, timeout, identity)
        return Estimate(sum(map(_rows_read, json.loads(fetched.rows[0][1]))))

    @asynccontextmanager
    async def writing(self, timeout: float, identity: Identity = nobody) -> AsyncIterator["_DuckTransaction"]:
        """One write transaction at a time: concurrent updates of a row would conflict."""
        async with self._writer:
            cursor = self._connection.cursor()
            transaction = _DuckTransaction(self, cursor, timeout)
            await transaction.command("BEGIN TRANSACTION")
            try:
                yield transaction
                await transaction.command("COMMIT")
            except BaseException:
                with contextlib.suppress(ConflictError):  # a conflict has rolled back already
                    await asyncio.shield(transaction.command("ROLLBACK"))
                raise
            finally:
                cursor.close()

    async def columns(self) -> dict[str, set[str]]:
        """The tables of the main schema."""
        sql = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'main'"
        fetched = await self.fetch(Statement(sql, (), ""), 10)
        found: dict[str, set[str]] = {}
        for table, column in fetched.rows:
            found.setdefault(table, set()).add(column)
        return found

    async def close(self) -> None:
        """Closes the file; what still runs is interrupted."""
        self._connection.interrupt()
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        self._connection.close()

    async def _run(self, cursor: duckdb.DuckDBPyConnection, work: Callable[[], T], timeout: float) -> T:
        running = self._pool.submit(work)
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(asyncio.wrap_future(running))
        except TimeoutError:
            await _stopped(cursor, running)
            raise StatementTimeoutError("The statement took too long and was cancelled.") from None
        except asyncio.CancelledError:
            await _stopped(cursor, running)
            raise
        except duckdb.OutOfMemoryException as error:
            raise DatabaseDownError("The question needs more memory than the database may use.") from error
        except (duckdb.TransactionException, duckdb.ConstraintException) as error:
            raise ConflictError(str(error)) from error
        except (duckdb.IOException, duckdb.ConnectionException) as error:
            raise DatabaseDownError("The database cannot be reached.") from error


def _rows_read(step: Any) -> float:
    """Of tables alone: what DuckDB expects of joins is too far off to refuse anything by."""
    facts = step.get("extra_info", {})
    own = float(str(facts.get("Estimated Cardinality", 0)).lstrip("~") or 0) if "Table" in facts else 0.0
    return own + sum(map(_rows_read, step.get("children", ())))


async def _stopped(cursor: duckdb.DuckDBPyConnection, running: "Future[Any]") -> None:
    while not running.cancel() and not running.done():
        cursor.interrupt()
        await asyncio.sleep(interrupt_seconds)
    if not running.cancelled():
        running.exception()  # taken, so that it is not reported as lost


class _DuckTransaction:
    def __init__(self, engine: DuckEngine, cursor: duckdb.DuckDBPyConnection, timeout: float) -> None:
        self._engine = engine
        self._cursor = cursor
        self._timeout = timeout

    async def fetch(self, statement: Statement) -> Rows:
        return await self._execute(statement.sql, statement.parameters)

    async def command(self, sql: str) -> None:
        await self._execute(sql, ())

    async def _execute(self, sql: str, parameters: Sequence[Any]) -> Rows:
        def write() -> Rows:
            return self._cursor.execute(sql, list(parameters)).fetchall()

        return await self._engine._run(self._cursor, write, self._timeout)
