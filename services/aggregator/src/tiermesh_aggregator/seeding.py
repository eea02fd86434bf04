"""Fills a database with a pack's data, invented or from files: creates the tables, loads the chunks.

Works on both engines. What a database was seeded with stands in its table `tiermesh_seed`.
"""

import asyncio
import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import asyncpg
import duckdb
from asyncpg import exceptions
from tiermesh_pack.pack import Pack
from tiermesh_pack.schema import Schema, Table

from tiermesh_aggregator.engines.address import DuckAddress, PostgresAddress
from tiermesh_aggregator.precomputing import definitions, embedded
from tiermesh_aggregator.secure import secure

Columns = Mapping[str, Any]
Progress = Callable[[str, float], None]
meta_table = "tiermesh_seed"
insert_fact = f"INSERT INTO {meta_table} VALUES ($1, $2)"  # noqa: S608 - a name of ours


class SeedingError(Exception):
    """The data cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Company:
    """What is asked for. Without `as_of` any day will do that is already there."""

    employees: int
    years: int
    as_of: date | None
    seed: int = 7
    source: Path | None = None
    """Folder of files that the pack's loader reads; None when it invents its data."""

    def facts(self, pack: Pack) -> dict[str, str]:
        """What the database will remember."""
        return {
            "pack": pack.identity,
            "tables": shape(pack.schema),
            "employees": str(self.employees),
            "years": str(self.years),
            "as_of": str(self.as_of or date.today()),
            "seed": str(self.seed),
            **({"source": str(self.source)} if self.source else {}),
        }


def seed(pack: Pack, target: DuckAddress | PostgresAddress, company: Company, progress: Progress) -> None:
    """Makes the data anew, whatever is there. Nothing is left half done."""
    chunks = _chunks(pack, company, progress)
    facts = company.facts(pack)
    if isinstance(target, DuckAddress):
        _seed_duck(target.path, pack, chunks, facts)
    else:
        asyncio.run(_seed_postgres(target.url, pack, chunks, facts))


def seeded_with(target: DuckAddress | PostgresAddress) -> dict[str, str]:
    """What a database was seeded with; empty when it was not. SeedingError when it cannot be opened."""
    sql = f"SELECT key, value FROM {meta_table}"  # noqa: S608 - a name of ours
    if isinstance(target, PostgresAddress):
        return asyncio.run(_postgres_facts(target.url, sql))
    if not target.path.exists():
        return {}
    try:
        with duckdb.connect(str(target.path), read_only=True) as connection:
            return {str(key): str(value) for key, value in connection.execute(sql).fetchall()}
    except duckdb.CatalogException:
        return {}
    except duckdb.Error as error:
        cause = str(error).splitlines()[0]
        mend = "stop the service that uses it, or remove it"
        raise SeedingError(f"{target.path} cannot be opened ({cause}); {mend}") from error


async def _postgres_facts(url: str, sql: str) -> dict[str, str]:
    connection = await _connect(url)
    try:
        return {row["key"]: row["value"] for row in await connection.fetch(sql)}
    except exceptions.UndefinedTableError:
        return {}
    finally:
        await connection.close()


async def _connect(url: str) -> Any:
    try:
        return await asyncpg.connect(url, timeout=10)  # type: ignore[no-untyped-call] # published untyped
    except (exceptions.PostgresError, OSError, TimeoutError, ValueError) as error:
        raise SeedingError(f"PostgreSQL cannot be reached: {error}; check the address and that it runs") from error


def _chunks(pack: Pack, company: Company, progress: Progress) -> Iterator[tuple[str, Columns]]:
    path = pack.path / "seed" / "generate.py"
    if not path.is_file():
        raise SeedingError(f"{path} is missing: this pack brings no seed data")
    module = _module(path)
    try:
        made: Iterator[tuple[str, Columns]] = module.tables(
            employees=company.employees,
            years=company.years,
            as_of=company.as_of or date.today(),
            seed=company.seed,
            **({"source": company.source} if company.source else {}),
            progress=progress,
        )
        yield from made
    except ValueError as error:
        raise SeedingError(str(error)) from error


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("tiermesh_seed_generate", path)
    if spec is None or spec.loader is None:
        raise SeedingError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def shape(schema: Schema) -> str:
    """A hash of the tables and columns: words about them may change without making data anew."""
    columns = [
        (table.name, [(one.name, one.type, one.nullable) for one in table.columns]) for table in schema.tables.values()
    ]
    return hashlib.sha256(repr(columns).encode()).hexdigest()[:16]


def create_table(table: Table, name: str, *, keys: bool) -> str:
    """The statement that creates a table of the schema. Names have been checked by the pack's JSON schema."""
    columns = [f"{column.name} {column.type}{'' if column.nullable else ' NOT NULL'}" for column in table.columns]
    if keys:
        columns.append(f"PRIMARY KEY ({', '.join(table.primary_key)})")
    return f"CREATE TABLE {name} ({', '.join(columns)})"


def _seed_duck(path: Path, pack: Pack, chunks: Iterator[tuple[str, Columns]], facts: Mapping[str, str]) -> None:
    """Written beside the file and renamed: a reader sees the old data or the new, never a half."""
    schema = pack.schema
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    try:
        with duckdb.connect(str(fresh)) as connection:
            # Key indexes would cost more memory than all else; scans of columns need none.
            for table in schema.tables.values():
                connection.execute(create_table(table, table.name, keys=False))
            for name, columns in chunks:
                connection.register("chunk", dict(columns))
                connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM chunk")  # noqa: S608 - a checked name
                connection.unregister("chunk")
            connection.execute(f"CREATE TABLE {meta_table} (key text, value text)")
            connection.executemany(insert_fact, list(facts.items()))
            for name, sql in definitions(pack).items():
                for step in embedded(pack.semantic.views[name], sql):
                    connection.execute(step)
            connection.execute("CHECKPOINT")
        fresh.replace(path)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
    finally:
        fresh.unlink(missing_ok=True)
        fresh.with_name(f"{fresh.name}.wal").unlink(missing_ok=True)


async def _seed_postgres(url: str, pack: Pack, chunks: Iterator[tuple[str, Columns]], facts: Mapping[str, str]) -> None:
    """In one transaction; DuckDB turns the arrays into CSV, COPY takes them."""
    schema = pack.schema
    connection = await _connect(url)
    try:
        async with connection.transaction():
            for table in reversed(list(schema.tables.values())):
                await connection.execute(f"DROP TABLE IF EXISTS {table.name} CASCADE")
            await connection.execute(f"DROP TABLE IF EXISTS {meta_table}, tiermesh_actions")
            for table in schema.tables.values():
                await connection.execute(create_table(table, table.name, keys=False))
            with tempfile.TemporaryDirectory() as folder, duckdb.connect() as arrays:
                for name, columns in chunks:
                    await _copy(connection, arrays, Path(folder) / "chunk.csv", schema.tables[name], columns)
            for table in schema.tables.values():
                for statement in _keys(table):
                    await connection.execute(statement)
            await connection.execute(f"CREATE TABLE {meta_table} (key text PRIMARY KEY, value text)")
            await connection.executemany(insert_fact, list(facts.items()))
            await secure(connection, pack)
        for table in schema.tables.values():
            await connection.execute(f"ANALYZE {table.name}")
    finally:
        await connection.close()


async def _copy(connection: Any, arrays: Any, file: Path, table: Table, columns: Columns) -> None:
    arrays.register("chunk", dict(columns))
    shown = ", ".join(f"CAST({column.name} AS {column.type}) AS {column.name}" for column in table.columns)
    arrays.execute(f"COPY (SELECT {shown} FROM chunk) TO '{file}' (FORMAT csv, HEADER false, NULLSTR '\\N')")  # noqa: S608
    arrays.unregister("chunk")
    names = [column.name for column in table.columns]
    await connection.copy_to_table(table.name, source=str(file), columns=names, format="csv", null="\\N")


def _keys(table: Table) -> list[str]:
    found = [f"ALTER TABLE {table.name} ADD PRIMARY KEY ({', '.join(table.primary_key)})"]
    for columns in table.indexes:
        found.append(f"CREATE INDEX ON {table.name} ({', '.join(columns)})")
    return found
