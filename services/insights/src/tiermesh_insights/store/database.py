"""One database: opening it, one transaction per piece of work, its failures as ours. Knows no table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tiermesh_insights import migrations
from tiermesh_insights.tables import METADATA

_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 60
# Of a table, as the planner is told.
_ROWS = 100_000
_LOCK = text("SELECT pg_advisory_xact_lock(hashtext(:name))")


class StoreUnavailableError(Exception):
    """The database could not be reached or refused; nothing of the batch was stored."""


class UnstorableError(Exception):
    """The database is there and will never take this record as it is."""


class Database:
    """Connections to one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._locks: dict[str, asyncio.Lock] = {}
        self.insert = postgresql.insert if self.is_postgresql else sqlite.insert

    @property
    def is_postgresql(self) -> bool:
        """True where there are partitions and several processes."""
        return self._engine.dialect.name == "postgresql"

    @classmethod
    async def open(cls, address: str, *, migrate: bool) -> Database:
        """Connect, and bring the schema up to date or check that it is. Raises StoreUnavailableError."""
        _check_folder(address)
        database = cls(_engine(address))
        try:
            if not database.is_postgresql:
                async with database._engine.connect() as connection:
                    # Readers go on while a batch is written, and a commit survives the process.
                    await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            async with database.transaction(alone="migrations") as connection:
                await connection.run_sync(migrations.upgrade if migrate else _check_version)
                if not database.is_postgresql:
                    await _tell_planner(connection)
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Give the connections back."""
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self, alone: str = "") -> AsyncIterator[AsyncConnection]:
        """All of what happens inside, or nothing. With `alone`, one at a time of that name, over all processes."""
        async with AsyncExitStack() as stack:
            if alone and not self.is_postgresql:  # SQLite is for one process
                await stack.enter_async_context(self._locks.setdefault(alone, asyncio.Lock()))
            connection = await stack.enter_async_context(self._translated())
            if alone and self.is_postgresql:
                await connection.execute(_LOCK, {"name": f"tiermesh_insights.{alone}"})
            yield connection

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (DataError, IntegrityError) as error:
            raise UnstorableError(type(error.orig).__name__) from error
        except (DBAPIError, OSError, TimeoutError) as error:
            raise StoreUnavailableError(str(error)) from error

    async def rows(self, statement: Any) -> Sequence[Any]:
        """Return what a query finds."""
        try:
            async with self._engine.connect() as connection:
                return (await connection.execute(statement)).all()
        except (DBAPIError, OSError, TimeoutError) as error:
            raise StoreUnavailableError(str(error)) from error

    async def now(self) -> datetime:
        """The database's clock where several processes share it, else this machine's."""
        if not self.is_postgresql:
            return datetime.now(UTC)
        async with self.transaction() as connection:
            moment: datetime = (await connection.exec_driver_sql("SELECT now()")).scalar_one()
            return moment.astimezone(UTC)


def fitted(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Cut texts to their columns and take out what PostgreSQL will not store: one odd label must not stop a log."""
    fitting: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, str):
            length = getattr(table.c[name].type, "length", None)
            clean = value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
            fitting[name] = clean if length is None else clean[:length]
        else:
            fitting[name] = value
    return fitting


def _engine(address: str) -> AsyncEngine:
    if address.startswith("sqlite:///"):
        return create_async_engine(address.replace("sqlite:///", "sqlite+aiosqlite:///", 1))
    return create_async_engine(
        address.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_pre_ping=True,
        connect_args={"timeout": _CONNECT_SECONDS, "command_timeout": _STATEMENT_SECONDS},
    )


async def _tell_planner(connection: AsyncConnection) -> None:
    """Say what SQLite would else guess: a tenant's log is most of a table, and a key names one row.

    Left to guess, it joins by the tenant alone, and a report then takes the square of the log.
    """
    await connection.exec_driver_sql("ANALYZE sqlite_schema")  # makes the table of statistics
    await connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    for table in METADATA.tables.values():
        indexes = {f"sqlite_autoindex_{table.name}_1": [1 for _ in table.primary_key.columns]}
        for index in table.indexes:
            indexes[str(index.name)] = [_ROWS // 2, *(1 for _ in list(index.columns)[1:])]
        for name, rows in indexes.items():
            shares = " ".join(map(str, (_ROWS, *rows)))
            await connection.exec_driver_sql(
                "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", (table.name, name, shares)
            )
    await connection.exec_driver_sql("ANALYZE sqlite_schema")  # lets this connection read them


def _check_folder(address: str) -> None:
    """Raise StoreUnavailableError when an embedded database would lie in a folder that is not there."""
    folder = Path(address.removeprefix("sqlite:///")).absolute().parent
    if address.startswith("sqlite:///") and not folder.is_dir():
        raise StoreUnavailableError(f"the folder {folder} does not exist; make it, or name another file")


def _check_version(connection: Connection) -> None:
    if not migrations.is_current(connection):
        raise StoreUnavailableError("its schema is of another version; run `python -m tiermesh_insights.migrate` first")
