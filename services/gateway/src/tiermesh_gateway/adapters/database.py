"""SQLite or PostgreSQL under one store: an operation is a generator of statements, and each engine runs it its own way.

Operations say what is written and read; this module knows connections, threads, pools and transactions, and no table.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import asyncpg
from asyncpg.exceptions import InterfaceError, InternalClientError, PostgresError

from tiermesh_gateway.errors import StoreUnavailable

T = TypeVar("T")
Rows = Sequence[Sequence[Any]]
# A statement with its values, $1 and on; what comes back are its rows.
Statement = tuple[str, Sequence[Any]]
Operation = Generator[Statement, Rows, T]

_POSTGRES = ("postgresql://", "postgres://")
# How long one operation may wait for PostgreSQL before its question is refused.
OPERATION_SECONDS = 5.0
_CONNECTIONS = 10
# A connection that breaks in the middle of something raises whatever it was at.
_LOST = (OSError, TimeoutError, PostgresError, InterfaceError, InternalClientError)


class Database(Protocol):
    """Runs operations, each in one transaction."""

    async def run(self, operation: Operation[T]) -> T:
        """The operation's result; StoreUnavailable when the database is away, and then nothing was done."""
        ...

    async def close(self) -> None:
        """Finish what was begun, then close."""
        ...


async def open_database(address: str, schema: str, *, seconds: float = OPERATION_SECONDS) -> Database:
    """Open `postgresql://…` or the path of a SQLite file and make the tables that are not there.

    An operation on PostgreSQL is given up after `seconds`, the wait for a connection included.

    Raises StoreUnavailable: a start-up error.
    """
    if address.startswith(_POSTGRES):
        return await PostgresDatabase.open(address, _for_postgres(schema), seconds)
    return SqliteDatabase.open(Path(address), schema)


class SqliteDatabase:
    """One file (WAL), one thread, operations in the order in which they were asked for.

    Several processes of one host may share the file; each transaction takes the write lock at its start.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use `open`."""
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    @classmethod
    def open(cls, path: Path, schema: str) -> SqliteDatabase:
        """Open or make the file."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.executescript(schema)
        except sqlite3.Error as error:
            connection.close()
            raise StoreUnavailable(f"{path}: {error}") from error
        return cls(connection)

    async def run(self, operation: Operation[T]) -> T:
        """The operation's result."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, operation)

    async def close(self) -> None:
        """Finish what was begun, then close."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)

    def _run(self, operation: Operation[T]) -> T:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            operation.close()
            raise StoreUnavailable(str(error)) from error
        try:
            result = _played(operation, self._fetch)
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise StoreUnavailable(str(error)) from error
            raise
        return result

    def _fetch(self, statement: Statement) -> Rows:
        sql, values = statement
        named = {str(place): value for place, value in enumerate(values, start=1)}
        return self._connection.execute(sql, named).fetchall()


class PostgresDatabase:
    """A pool of connections to one server, for any number of replicas."""

    def __init__(self, pool: Any, seconds: float) -> None:
        """Use `open`."""
        self._pool = pool
        self._seconds = seconds

    @classmethod
    async def open(cls, address: str, schema: str, seconds: float) -> PostgresDatabase:
        """Connect; the password comes by PGPASSFILE or the address."""
        try:
            pool = await asyncpg.create_pool(  # type: ignore[no-untyped-call] # published untyped
                address,
                min_size=1,
                max_size=_CONNECTIONS,
                command_timeout=seconds,
                server_settings={"application_name": "tiermesh-gateway"},
            )
            # Replicas that start at once would make the same table twice.
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(723145)")
                await connection.execute(schema)
        except (ValueError, *_LOST) as error:
            raise StoreUnavailable(str(error) or type(error).__name__) from error
        return cls(pool, seconds)

    async def run(self, operation: Operation[T]) -> T:
        """The operation's result."""
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._pool.acquire() as connection,
                connection.transaction(),
            ):
                return await _played_async(operation, connection)
        except _LOST as error:
            raise StoreUnavailable(str(error) or type(error).__name__) from error
        finally:
            operation.close()

    async def close(self) -> None:
        """Give the connections back."""
        try:
            async with asyncio.timeout(OPERATION_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


def _played(operation: Operation[T], fetch: Callable[[Statement], Rows]) -> T:
    try:
        statement = next(operation)
        while True:
            statement = operation.send(fetch(statement))
    except StopIteration as end:
        result: T = end.value
        return result


async def _played_async(operation: Operation[T], connection: Any) -> T:
    try:
        statement = next(operation)
        while True:
            sql, values = statement
            statement = operation.send(await connection.fetch(sql, *values))
    except StopIteration as end:
        result: T = end.value
        return result


def _for_postgres(schema: str) -> str:
    for ours, theirs in ((" BLOB", " BYTEA"), (" REAL", " DOUBLE PRECISION"), (" INTEGER", " BIGINT")):
        schema = schema.replace(ours, theirs)
    return schema.replace(" WITHOUT ROWID", "")
