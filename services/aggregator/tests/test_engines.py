"""Engines: read-only, interrupted, timed out, locked down; and start-up that names what lacks."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import pytest
from tiermesh_aggregator.building import build
from tiermesh_aggregator.engines.address import address
from tiermesh_aggregator.engines.duck import DuckEngine
from tiermesh_aggregator.engines.engine import Engine
from tiermesh_aggregator.engines.postgres import PostgresEngine
from tiermesh_aggregator.engines.statement import Statement, fingerprint
from tiermesh_aggregator.failures import DatabaseDownError, StatementTimeoutError
from tiermesh_aggregator.seed import main
from tiermesh_aggregator.settings import AggregatorSettings
from tiermesh_runtime.startup import StartupError

root = Path(__file__).parents[3]
endless = Statement("SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 300000) b", (), "")
quick = Statement("SELECT 1", (), "")


async def test_a_cancelled_question_stops_its_statement_and_harms_no_other(engine: Engine) -> None:
    running = asyncio.create_task(engine.fetch(endless, 60))
    await engine.fetch(quick, 5)
    running.cancel()
    begun = time.perf_counter()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.perf_counter() - begun < 2
    assert (await engine.fetch(quick, 5)).rows[0][0] == 1


async def test_a_slow_statement_runs_into_its_timeout(engine: Engine) -> None:
    with pytest.raises(StatementTimeoutError):
        await engine.fetch(endless, 0.3)
    assert (await engine.fetch(quick, 5)).rows[0][0] == 1


async def test_reads_cannot_write(engine: Engine) -> None:
    with pytest.raises(Exception, match=r"(?i)read.only"):
        await engine.fetch(Statement("DELETE FROM employees", (), ""), 5)


async def test_a_failed_write_leaves_nothing(engine: Engine) -> None:
    insert = Statement("INSERT INTO leave_types VALUES ('x', 'X', true, 0, 0)", (), "")

    async def fail() -> None:
        async with engine.writing(5) as transaction:
            await transaction.fetch(insert)
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        await fail()
    count = Statement("SELECT count(*) FROM leave_types WHERE leave_type = 'x'", (), "")
    assert (await engine.fetch(count, 5)).rows[0][0] == 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY employees TO '/tmp/x.csv'",
        "INSTALL httpfs",
        "ATTACH '/tmp/x.db'",
        "SET memory_limit='10GB'",
    ],
)
async def test_duckdb_reaches_no_files_and_keeps_its_settings(duck_file: Path, sql: str) -> None:
    engine = DuckEngine(duck_file, memory="256MB")
    with pytest.raises((duckdb.Error, DatabaseDownError)):
        await engine.fetch(Statement(sql, (), ""), 5)
    await engine.close()


async def test_an_unreachable_server_is_told_as_such() -> None:
    with pytest.raises(DatabaseDownError, match="PostgreSQL cannot be reached"):
        await PostgresEngine.open("postgresql://nobody@127.0.0.1:1/none", statement_timeout=1)


def test_fingerprints_ignore_values_and_their_number() -> None:
    first = fingerprint("SELECT a FROM t WHERE b = $1::VARCHAR AND c IN ($2::DATE, $3::DATE)")
    assert first == fingerprint("SELECT a\nFROM t WHERE b = $4::VARCHAR AND c IN ($5::DATE)")
    assert first != fingerprint("SELECT a FROM t WHERE b > $1::VARCHAR AND c IN ($2::DATE)")


@pytest.mark.parametrize("url", ["", "duckdb://", "duckdb:///", "mysql://x", "hr.duckdb"])
def test_addresses_of_other_kinds_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="duckdb:///"):
        address(url)


async def start(**settings: Any) -> None:
    async with build(AggregatorSettings(port=0, **settings)):
        pass


async def test_start_up_names_what_lacks_and_the_mend(tmp_path: Path) -> None:
    pack = root / "packs" / "hr"
    with pytest.raises(StartupError, match="no pack in"):
        await start(pack=tmp_path, database="duckdb:///x.duckdb")
    with pytest.raises(StartupError, match="tiermesh seed"):
        await start(pack=pack, database=f"duckdb:///{tmp_path}/none.duckdb")
    with duckdb.connect(str(tmp_path / "half.duckdb")) as connection:
        connection.execute("CREATE TABLE employees (employee_id text)")
    with pytest.raises(StartupError, match=r"departments, .*seed --force"):
        await start(pack=pack, database=f"duckdb:///{tmp_path}/half.duckdb")
    with pytest.raises(StartupError, match="WORKERS"):
        await start(pack=pack, database=f"duckdb:///{tmp_path}/half.duckdb", workers=2)


async def test_a_column_that_the_model_names_and_the_database_lacks_stops_the_start(
    duck_file: Path, tmp_path: Path, postgres_copy: str
) -> None:
    pack, told = root / "packs" / "hr", r"describes: exchange_rates.rate_to_eur, expense_lines.amount; add it"
    copy = tmp_path / "less.duckdb"
    shutil.copy(duck_file, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("ALTER TABLE expense_lines DROP COLUMN amount")
        connection.execute("ALTER TABLE exchange_rates RENAME COLUMN rate_to_eur TO rate")
    with pytest.raises(StartupError, match=told):
        await start(pack=pack, database=f"duckdb:///{copy}")
    connection = await asyncpg.connect(postgres_copy)
    try:
        async with renamed(connection, "expense_lines", "amount"), renamed(connection, "exchange_rates", "rate_to_eur"):
            with pytest.raises(StartupError, match=told):
                await start(pack=pack, database=postgres_copy)
    finally:
        await connection.close()


@asynccontextmanager
async def renamed(connection: Any, table: str, column: str) -> AsyncIterator[None]:
    await connection.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO away")
    try:
        yield
    finally:
        await connection.execute(f"ALTER TABLE {table} RENAME COLUMN away TO {column}")


def test_seeding_again_keeps_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "data" / "hr.duckdb"
    arguments = [
        "--pack",
        str(root / "packs/hr"),
        "--database",
        f"duckdb:///{file}",
        "--employees",
        "50",
        "--years",
        "1",
        "--as-of",
        "2026-11-20",
    ]
    assert main(arguments) == 0
    made = file.stat().st_mtime_ns
    assert main(arguments) == 0
    assert "Already seeded: 50 employees" in capsys.readouterr().err
    assert main([*arguments[:5], "80"]) == 0
    assert "--force" in capsys.readouterr().err
    assert file.stat().st_mtime_ns == made
    assert main([*arguments, "--force"]) == 0
    assert file.stat().st_mtime_ns != made
    assert list(file.parent.iterdir()) == [file]


def test_seeding_refuses_what_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = ["--database", f"duckdb:///{tmp_path}/hr.duckdb"]
    assert main(["--pack", str(root / "packs/hr"), *target, "--employees", "3"]) == 1
    assert not (tmp_path / "hr.duckdb").exists()
    assert main(["--pack", str(tmp_path), *target]) == 1
    assert main(["--pack", str(root / "packs/hr"), "--database", "mysql://x"]) == 2


def test_a_seeded_server_is_recognized(postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--pack", str(root / "packs/hr"), "--database", postgres_url, "--employees", "60", "--years", "2"]
    assert main(arguments) == 0
    assert "Already seeded: 60 employees, 2 years, as of 2026-11-20" in capsys.readouterr().err
