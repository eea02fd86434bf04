"""PostgreSQL by asyncpg: read-only transactions under row-level security, a timeout per statement, bounded pools."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from asyncpg import exceptions

from tiermesh_aggregator.engines.engine import ConflictError, Estimate, Fetched, Rows
from tiermesh_aggregator.engines.identity import Identity, nobody
from tiermesh_aggregator.engines.statement import Statement
from tiermesh_aggregator.failures import DatabaseDownError, StatementTimeoutError

reader, writer = "tiermesh_reader", "tiermesh_writer"
"""Roles that no policy lets by. A transaction takes one of them before its first statement."""

longest_wait_seconds = 2.0
"""For a free connection: a full pool is told early, while the caller can still do something else."""

lost = (
    exceptions.PostgresConnectionError,
    exceptions.InterfaceError,
    # The client's own state after a cut that came between two of its messages.
    exceptions.InternalClientError,
    exceptions.TooManyConnectionsError,
    exceptions.CannotConnectNowError,
    exceptions.AdminShutdownError,
    OSError,
)
unreachable = (exceptions.PostgresError, exceptions.InterfaceError, OSError, TimeoutError, ValueError)


class PostgresEngine:
    """Pools of connections: one to the primary, one to each read replica. Cancelling a task cancels its statement."""

    system = "postgresql"

    def __init__(self, pool: Any, replicas: Sequence[Any] = (), *, secured: bool = True) -> None:
        """Unsecured, transactions run with the rights of whoever logs in: the compiler's scope stands alone."""
        self.secured = secured
        self._pool = pool
        self._replicas = tuple(replicas)
        self._turn = itertools.count()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        statement_timeout: float,
        connections: int = 10,
        replicas: Sequence[str] = (),
        secured: bool = True,
    ) -> "PostgresEngine":
        """Connects. DatabaseDownError when that fails; a replica may be down, it is tried again as it is needed."""
        settings = {
            "application_name": "tiermesh-aggregator",
            "statement_timeout": str(int(statement_timeout * 1000)),
            "idle_in_transaction_session_timeout": "30000",
            "jit": "off",  # compiling a short statement costs more than running it
        }

        async def opened(address: str, least: int) -> Any:
            return await asyncpg.create_pool(  # type: ignore[no-untyped-call] # published untyped
                address, min_size=least, max_size=connections, server_settings=settings, timeout=10
            )

        try:
            return cls(await opened(url, 1), [await opened(replica, 0) for replica in replicas], secured=secured)
        except unreachable as error:
            raise DatabaseDownError(f"PostgreSQL cannot be reached: {error}") from error

    async def fetch(self, statement: Statement, timeout: float, identity: Identity = nobody) -> Fetched:
        """Runs one statement in a read-only transaction of its own, on a replica where there is one."""
        replicas = self._replicas
        if replicas:
            try:
                return await self._read(replicas[next(self._turn) % len(replicas)], statement, timeout, identity)
            except DatabaseDownError:
                pass  # the primary answers as well
        return await self._read(self._pool, statement, timeout, identity)

    async def estimate(self, statement: Statement, timeout: float, identity: Identity = nobody) -> Estimate:
        """The planner's own estimate."""
        explained = Statement(f"EXPLAIN (FORMAT JSON) {statement.sql}", statement.parameters, statement.fingerprint)
        fetched = await self.fetch(explained, timeout, identity)
        plan = json.loads(fetched.rows[0][0])[0]["Plan"]
        return Estimate(_rows_read(plan), float(plan["Total Cost"]))

    async def _read(self, pool: Any, statement: Statement, timeout: float, identity: Identity) -> Fetched:
        with _translated():
            async with asyncio.timeout(timeout), _connection(pool, timeout) as connection:
                begun = time.perf_counter()
                async with self._transaction(connection, "READ ONLY", reader, identity):
                    rows = await connection.fetch(statement.sql, *statement.parameters)
        return Fetched([tuple(row) for row in rows], time.perf_counter() - begun)

    @asynccontextmanager
    async def writing(self, timeout: float, identity: Identity = nobody) -> AsyncIterator["_PostgresTransaction"]:
        """A transaction that locks what it checks: two confirmations at once see each other."""
        conflicts = (
            exceptions.SerializationError,
            exceptions.DeadlockDetectedError,
            exceptions.UniqueViolationError,
        )
        with _translated():
            try:
                async with (
                    asyncio.timeout(timeout),
                    _connection(self._pool, timeout) as connection,
                    self._transaction(connection, "ISOLATION LEVEL SERIALIZABLE", writer, identity),
                ):
                    yield _PostgresTransaction(connection)
            except conflicts as error:
                raise ConflictError(str(error)) from error

    @asynccontextmanager
    async def _transaction(self, connection: Any, mode: str, role: str, identity: Identity) -> AsyncIterator[None]:
        """BEGIN, the role and the identity go out as one message: one round trip instead of three."""
        taking = f"SET LOCAL ROLE {role};" if self.secured else ""
        await connection.execute(f"BEGIN {mode};{taking}{_telling(identity)}")
        try:
            yield
            await connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(*lost, exceptions.PostgresError):
                await connection.execute("ROLLBACK")
            raise

    async def columns(self) -> dict[str, set[str]]:
        """The tables of the current schema, also those that this login may not read."""
        sql = (
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped "
            "AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
        )
        fetched = await self._read(self._pool, Statement(sql, (), ""), 10, nobody)
        found: dict[str, set[str]] = {}
        for table, column in fetched.rows:
            found.setdefault(table, set()).add(column)
        return found

    async def plainly(self, sql: str, timeout: float = 10) -> Rows:
        """Runs a statement of ours with the rights of the login: for checks at start-up and for refreshing views."""
        with _translated():
            async with (
                asyncio.timeout(timeout),
                _connection(self._pool, timeout) as connection,
                connection.transaction(),
            ):
                await connection.execute(f"SET LOCAL statement_timeout = {int(timeout * 1000)}")
                return [tuple(row) for row in await connection.fetch(sql)]

    async def close(self) -> None:
        """Closes the pools; waits for what still runs, but not for long."""
        for pool in (self._pool, *self._replicas):
            try:
                async with asyncio.timeout(5):
                    await pool.close()
            except TimeoutError:
                pool.terminate()


def _rows_read(plan: Any) -> float:
    own = float(plan["Plan Rows"]) if "Relation Name" in plan else 0.0
    return own + sum(map(_rows_read, plan.get("Plans", ())))


@contextlib.contextmanager
def _translated() -> Any:
    try:
        yield
    except (TimeoutError, exceptions.QueryCanceledError) as error:
        raise StatementTimeoutError("The statement took too long and was cancelled.") from error
    except lost as error:
        raise DatabaseDownError("The database cannot be reached.") from error


@asynccontextmanager
async def _connection(pool: Any, timeout: float) -> AsyncIterator[Any]:
    """A connection of the pool; DatabaseDownError when none gets free, or none can be made, in time."""
    try:
        connection = await pool.acquire(timeout=min(longest_wait_seconds, timeout * 0.9))
    except TimeoutError as error:
        raise DatabaseDownError("Every connection to the database is busy.") from error
    try:
        yield connection
    finally:
        await pool.release(connection)


def _telling(identity: Identity) -> str:
    """The identity as transaction-local settings. In hexadecimal a value cannot end its own quotes."""
    values = {
        "person": _text(identity.person),
        "roles": json.dumps(sorted(filter(None, map(_text, identity.roles)))),
        "wide": "on" if identity.wide else "off",
    }
    settings = [
        f"set_config('tiermesh.{name}', convert_from('\\x{value.encode().hex()}', 'UTF8'), true)"
        for name, value in values.items()
    ]
    return f"SELECT {', '.join(settings)}"


def _text(value: str) -> str:
    """No text of PostgreSQL holds a NUL: a name with one is nobody's."""
    return "" if "\x00" in value else value


class _PostgresTransaction:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, statement: Statement) -> Rows:
        rows = await self._connection.fetch(statement.sql, *statement.parameters)
        return [tuple(row) for row in rows]
