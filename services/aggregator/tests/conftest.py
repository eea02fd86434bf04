"""A small company on both engines, opened once; answers over it; the service in process."""

import importlib.util
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import grpc
import pandas as pd
import pytest
import pytest_asyncio
from opentelemetry import metrics, trace
from tiermesh.aggregator.v1 import aggregator_service_pb2_grpc as stubs
from tiermesh.tools.v1 import tools_service_pb2_grpc as tools_stubs
from tiermesh_aggregator.answering import Answering, Database
from tiermesh_aggregator.building import build
from tiermesh_aggregator.engines.address import DuckAddress, PostgresAddress
from tiermesh_aggregator.engines.duck import DuckEngine
from tiermesh_aggregator.engines.engine import Engine
from tiermesh_aggregator.engines.postgres import PostgresEngine
from tiermesh_aggregator.query import Answer, Moment, Query, Viewer
from tiermesh_aggregator.seeding import Company, seed
from tiermesh_aggregator.settings import AggregatorSettings
from tiermesh_pack.pack import Pack, load_pack
from tiermesh_runtime.server import serving
from tiermesh_runtime.testing import EmbeddedPostgres, embedded_postgres, new_keys

from .signed_client import Client

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
def postgres_server() -> Iterator[EmbeddedPostgres]:
    with embedded_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(pack: Pack, postgres_server: EmbeddedPostgres) -> str:
    url = postgres_server.new_database()
    seed(pack, PostgresAddress(url), Company(people, 2, today), lambda table, share: None)
    return url


@pytest.fixture(scope="session")
def postgres_copy(pack: Pack, postgres_server: EmbeddedPostgres) -> str:
    """A second database with the same company, to write to."""
    url = postgres_server.new_database()
    seed(pack, PostgresAddress(url), Company(60, 2, today), lambda table, share: None)
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


@pytest_asyncio.fixture(params=["duckdb", "postgresql"], scope="module", loop_scope="module")
async def client(
    request: pytest.FixtureRequest,
    duck_file: Path,
    postgres_copy: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Client]:
    """Over copies of the company: here things are written."""
    keys = new_keys()
    tmp_path = tmp_path_factory.mktemp("service")
    copy = tmp_path / "company.duckdb"
    shutil.copy(duck_file, copy)
    (tmp_path / "action.key").write_bytes(b"k" * 64)
    settings = AggregatorSettings(
        port=0,
        pack=root / "packs" / "hr",
        database=f"duckdb:///{copy}" if request.param == "duckdb" else postgres_copy,
        principal_public_key=keys.write_public(tmp_path),
        action_key_file=tmp_path / "action.key",
    )
    async with (
        build(settings) as parts,
        serving(parts, settings) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield Client(
            stubs.AggregatorServiceStub(channel), tools_stubs.ToolsServiceStub(channel), keys, copy, server.address
        )
