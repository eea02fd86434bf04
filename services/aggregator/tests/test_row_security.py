"""PostgreSQL's own policies: what a statement without any scope may read, and what a service refuses to start on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pandas as pd
import pytest
from tiermesh_aggregator import row_security
from tiermesh_aggregator.building import build
from tiermesh_aggregator.engines.identity import Identity
from tiermesh_aggregator.engines.postgres import PostgresEngine
from tiermesh_aggregator.engines.statement import Statement
from tiermesh_aggregator.failures import DatabaseDownError
from tiermesh_aggregator.secure import main as secure
from tiermesh_aggregator.settings import AggregatorSettings
from tiermesh_pack.pack import Pack
from tiermesh_runtime.startup import StartupError

root = Path(__file__).parents[3]
endless = Statement("SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 300000) b", (), "")
started = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT count(*) FROM gen%' AND state = 'active'"
quick = Statement("SELECT 1", (), "")


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[PostgresEngine]:
    engine = await PostgresEngine.open(postgres_url, statement_timeout=20, connections=2)
    yield engine
    await engine.close()


def seen(table: str, column: str = "employee_id") -> Statement:
    """What a compiler that forgot the scope would send."""
    return Statement(f"SELECT DISTINCT {column} FROM {table}", (), "")


async def test_a_statement_without_any_scope_reads_only_visible_people(
    postgres: PostgresEngine, frames: dict[str, pd.DataFrame], visible: Callable[[str], set[str]]
) -> None:
    tables = ["leave_balances", "expense_lines", "goals", "compensation", "reviews"]
    leaked = hidden = 0
    for number, person in enumerate(frames["employees"].employee_id):
        table = tables[number % len(tables)]
        rows = (await postgres.fetch(seen(table), 20, Identity(person, frozenset({"employee"})))).rows
        everybody = set(frames[table].employee_id)
        assert {row[0] for row in rows} == visible(person) & everybody, (person, table)
        hidden += len(everybody - visible(person))
        leaked += len({row[0] for row in rows} - visible(person))
    assert leaked == 0
    assert hidden > 1000, "there was something to leak"


async def test_payslips_are_open_to_no_manager_and_no_wide_statement(postgres: PostgresEngine) -> None:
    for wide in (False, True):
        rows = (await postgres.fetch(seen("payslips"), 20, Identity("E00001", frozenset({"manager"}), wide))).rows
        assert {row[0] for row in rows} == {"E00001"}


async def test_who_is_away_is_seen_by_the_own_department(
    postgres: PostgresEngine, frames: dict[str, pd.DataFrame], visible: Callable[[str], set[str]]
) -> None:
    people = frames["employees"].set_index("employee_id").department_id
    person = str(frames["employees"].employee_id.iloc[-1])
    rows = (await postgres.fetch(seen("leave_requests"), 20, Identity(person))).rows
    allowed = visible(person) | set(people[people == people[person]].index)
    assert {row[0] for row in rows} == allowed & set(frames["leave_requests"].employee_id)


async def test_feedback_is_read_by_who_gave_it_and_who_received_it_and_by_those_above_them(
    postgres: PostgresEngine, frames: dict[str, pd.DataFrame], visible: Callable[[str], set[str]]
) -> None:
    feedback = frames["feedback"]
    given_by_others = 0
    for person in frames["employees"].employee_id:
        theirs = feedback.to_employee_id.isin(visible(person)) | feedback.from_employee_id.isin(visible(person))
        rows = (await postgres.fetch(seen("feedback", "feedback_id"), 20, Identity(person))).rows
        assert {row[0] for row in rows} == set(feedback[theirs].feedback_id), person
        received = feedback[feedback.to_employee_id == person]
        given_by_others += int((~received.from_employee_id.isin(visible(person))).sum())
    assert given_by_others > 20, "who gave it is mostly nobody whose records the receiver may see"


async def test_roles_open_what_the_pack_says_and_nothing_is_read_out_of_their_names(postgres: PostgresEngine) -> None:
    hostile = frozenset({'employee","hr_admin', "x,hr_admin", "hr_admin'); DROP TABLE employees; --", "\x00hr_admin"})
    everybody = (await postgres.fetch(seen("goals"), 20, Identity("E00014", frozenset({"hr_admin"})))).rows
    mine = (await postgres.fetch(seen("goals"), 20, Identity("E00060", hostile))).rows
    assert len(everybody) > 40
    assert len(mine) <= 1


@pytest.mark.parametrize("person", ["", "E99999", "service:audit", "' OR '1'='1", "\x00", "E00001\x00", "ü" * 5000])
async def test_nobody_and_hostile_subjects_read_nothing_personal(postgres: PostgresEngine, person: str) -> None:
    rows = (await postgres.fetch(seen("goals"), 20, Identity(person))).rows
    assert rows == []


async def test_one_statement_leaves_no_identity_to_the_next(postgres: PostgresEngine) -> None:
    for _ in range(4):  # more than there are connections
        assert (await postgres.fetch(seen("goals"), 20, Identity("E00014", frozenset({"hr_admin"}), wide=True))).rows
        assert (await postgres.fetch(seen("goals"), 20)).rows == []


async def test_tables_that_the_model_does_not_name_are_not_granted(postgres: PostgresEngine) -> None:
    for table in ("tiermesh_seed", "tiermesh_actions"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await postgres.fetch(Statement(f"SELECT * FROM {table}", (), ""), 20, Identity("E00001"))


async def test_a_writer_changes_no_row_of_somebody_unseen(postgres: PostgresEngine) -> None:
    raise_all = Statement("UPDATE goals SET progress = 100 RETURNING employee_id", (), "")
    changed: set[str] = set()

    async def change_and_roll_back() -> None:
        async with postgres.writing(20, Identity("E00060")) as transaction:
            changed.update(row[0] for row in await transaction.fetch(raise_all))
            raise asyncio.QueueEmpty

    with pytest.raises(asyncio.QueueEmpty):
        await change_and_roll_back()
    assert changed == {"E00060"}
    foreign = "INSERT INTO goals VALUES ('X', 'E00001', '2026H1', 'x', 1, 1, 'done', '2026-01-01')"
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with postgres.writing(20, Identity("E00060")) as transaction:
            await transaction.fetch(Statement(foreign, (), ""))


async def test_a_full_pool_is_told_and_recovers(postgres: PostgresEngine) -> None:
    busy = [asyncio.create_task(postgres.fetch(endless, 60)) for _ in range(2)]
    while True:  # both connections are out
        rows = await _watch(
            postgres, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT count(*) FROM gen%'"
        )
        if rows == 2:
            break
    with pytest.raises(DatabaseDownError, match="busy"):
        await postgres.fetch(quick, 0.5)
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)
    assert (await postgres.fetch(quick, 10)).rows[0][0] == 1


async def test_a_connection_cut_in_the_middle_is_told_and_the_pool_recovers(postgres: PostgresEngine) -> None:
    running = asyncio.create_task(postgres.fetch(endless, 60))
    kill = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE query LIKE 'SELECT count(*) FROM gen%' AND state = 'active'"
    )
    while not running.done() and not await _watch(postgres, kill):
        pass
    with pytest.raises(DatabaseDownError, match="cannot be reached"):
        await running
    for _ in range(4):
        assert (await postgres.fetch(quick, 10)).rows[0][0] == 1


_watchers: dict[int, Any] = {}


@pytest.fixture(autouse=True)
async def watcher(postgres: PostgresEngine, postgres_url: str) -> AsyncIterator[None]:
    """A connection of its own that sees what the server does."""
    _watchers[id(postgres)] = await asyncpg.connect(postgres_url)
    yield
    await _watchers.pop(id(postgres)).close()


async def _watch(engine: PostgresEngine, sql: str) -> int:
    return int(await _watchers[id(engine)].fetchval(sql))


async def test_a_replica_answers_and_the_primary_when_it_is_down(postgres_url: str) -> None:
    both = await PostgresEngine.open(postgres_url, statement_timeout=20, replicas=[postgres_url])
    down = await PostgresEngine.open(
        postgres_url, statement_timeout=20, replicas=["postgresql://nobody@127.0.0.1:1/none"]
    )
    try:
        for engine in (both, down):
            assert (await engine.fetch(quick, 20)).rows[0][0] == 1
    finally:
        await both.close()
        await down.close()


async def test_the_service_starts_on_no_database_that_would_not_hold_its_rows(
    postgres_url: str, pack: Pack, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE DATABASE unsecured TEMPLATE template0")
    url = urlsplit(postgres_url)._replace(path="/unsecured").geturl()
    other = await asyncpg.connect(url)
    try:
        for table in pack.schema.tables.values():
            columns = ", ".join(f"{one.name} {one.type}" for one in table.columns)
            await other.execute(f"CREATE TABLE {table.name} ({columns})")
        settings = AggregatorSettings(port=0, pack=root / "packs/hr", database=url)

        async def start(settings: AggregatorSettings) -> None:
            async with build(settings):
                pass

        with pytest.raises(StartupError, match=r"row-level security on attendance_days.*secure"):
            await start(settings)
        await start(settings.model_copy(update={"row_security": "off"}))
        arguments = ["--pack", str(root / "packs/hr"), "--database", url]
        assert await asyncio.to_thread(secure, arguments) == 0
        await start(settings)
        await other.execute("ALTER TABLE goals DISABLE ROW LEVEL SECURITY")
        with pytest.raises(StartupError, match="no row-level security on goals"):
            await start(settings)
        assert await asyncio.to_thread(secure, arguments) == 0, "securing again mends it"
        await other.execute("COMMENT ON FUNCTION tiermesh_colleagues() IS 'of another pack'")
        with pytest.raises(StartupError, match="other visibilities"):
            await start(settings)
    finally:
        await other.close()
        await connection.execute("DROP DATABASE unsecured WITH (FORCE)")
        await connection.close()


def test_securing_wants_postgres_and_can_be_read_before_it_is_run(
    pack: Pack, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--pack", str(root / "packs/hr"), "--database"]
    assert secure([*arguments, "duckdb:///x.duckdb"]) == 1
    assert secure([*arguments, "postgresql://nobody@127.0.0.1:1/none", "--print"]) == 0
    printed = capsys.readouterr().out
    assert all(sql in printed for sql in row_security.statements(pack))
    assert "employees ENABLE" not in printed, "the directory is everybody's"
