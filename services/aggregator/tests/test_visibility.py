"""Row scope, for every person of the company and every domain, against a brute-force check."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import pandas as pd
import pytest
from opentelemetry import metrics, trace
from tiermesh_aggregator.answering import Answering, Database
from tiermesh_aggregator.engines.duck import DuckEngine
from tiermesh_aggregator.engines.engine import Engine
from tiermesh_aggregator.engines.postgres import PostgresEngine
from tiermesh_aggregator.query import Aggregation, Period, Population, Query, Viewer

sensitive = {
    "leave": "requests",
    "attendance": "days",
    "expenses": "claims",
    "performance": "reviews",
    "payroll": "salaries",
}


async def test_nobody_gets_a_row_of_somebody_they_may_not_see(
    asking: Any, frames: dict[str, pd.DataFrame], visible: Callable[[str], set[str]]
) -> None:
    views = list(sensitive.items())
    for number, person in enumerate(frames["employees"].employee_id):
        allowed = visible(person)
        # Every person; the domains and the two widest populations take turns, so that each pair occurs.
        for domain, view in (views[number % 5], views[(number + 2) % 5]):
            population = (Population.VISIBLE, Population.COMPANY)[number // 5 % 2]
            query = Query(domain, Aggregation.LIST, (view,), period=Period(), limit=1000, population=population)
            answer = await asking(query, person, "employee")
            ids = {row[0] for row in answer.table.rows}
            assert ids <= allowed, (person, domain, ids - allowed)


async def test_payslips_are_seen_by_their_owner_and_the_payroll_only(
    asking: Any, frames: dict[str, pd.DataFrame]
) -> None:
    query = Query("payroll", Aggregation.COUNT, ("payslips",), ("employee",), period=Period(), limit=1000)
    manager = await asking(query, "E00001", "employee", "manager")
    assert {row[0] for row in manager.table.rows} == {"E00001"}
    finance = await asking(query, "E00006", "employee", "finance")
    assert {row[0] for row in finance.table.rows} == set(frames["payslips"].employee_id)


async def test_a_viewer_who_is_no_person_sees_nothing(asking: Any) -> None:
    for subject in ("", "service:audit", "E99999"):
        answer = await asking(Query("leave", Aggregation.LIST, ("requests",), period=Period()), subject, "service")
        assert answer.table.rows == []


async def test_roles_of_one_domain_open_no_other(asking: Any, visible: Callable[[str], set[str]]) -> None:
    query = Query("performance", Aggregation.LIST, ("reviews",), period=Period(), limit=1000)
    answer = await asking(query, "E00006", "employee", "finance")
    assert {row[0] for row in answer.table.rows} <= visible("E00006")


async def test_populations_narrow_what_is_visible(
    asking: Any, frames: dict[str, pd.DataFrame], visible: Callable[[str], set[str]]
) -> None:
    people = frames["employees"].set_index("employee_id")
    expected = {
        Population.SELF: {"E00014"},
        Population.DIRECT_REPORTS: set(people[people.manager_id == "E00014"].index),
        Population.ALL_REPORTS: visible("E00014") - {"E00014"},
    }
    for population, members in expected.items():
        query = Query("payroll", Aggregation.LIST, ("salaries",), period=Period(), limit=1000, population=population)
        answer = await asking(query)
        assert {row[0] for row in answer.table.rows} == members & set(frames["compensation"].employee_id)


circle = [("E00059", "E00060", 1), ("E00060", "E00059", 1), ("E00059", "E00059", 2), ("E00060", "E00060", 2)]
"""A closure made from two people who are each other's managers: there are rows from people to themselves."""


@pytest.fixture(params=["duckdb", "postgresql"])
async def circular(
    request: pytest.FixtureRequest, duck_file: Path, postgres_copy: str, tmp_path: Path
) -> AsyncIterator[Engine]:
    if request.param == "duckdb":
        copy = tmp_path / "circle.duckdb"
        shutil.copy(duck_file, copy)
        with duckdb.connect(str(copy)) as connection:
            connection.executemany("INSERT INTO reporting_lines VALUES (?, ?, ?)", circle)
        engine = DuckEngine(copy, memory="256MB")
        yield engine
        await engine.close()
        return
    owner = await asyncpg.connect(postgres_copy)
    server = await PostgresEngine.open(postgres_copy, statement_timeout=20)
    await owner.executemany("INSERT INTO reporting_lines VALUES ($1, $2, $3)", circle)
    try:
        yield server
    finally:
        await owner.executemany(
            "DELETE FROM reporting_lines WHERE manager_id = $1 AND employee_id = $2", [row[:2] for row in circle]
        )
        await owner.close()
        await server.close()


@pytest.mark.parametrize(("domain", "measure"), [("leave", "leave_requests"), ("expenses", "expense_items")])
async def test_a_circle_of_managers_ends_and_counts_nobody_twice(
    circular: Engine, pack: Any, moment: Any, domain: str, measure: str
) -> None:
    """Nothing walks the tree when it is asked: the closure is a set, whoever stands in it."""
    answering = Answering(pack, Database(circular, trace.get_tracer("test"), metrics.get_meter("test")))
    asked = Query(domain, Aggregation.COUNT, (measure,), ("employee",), period=Period(), limit=1000)
    plain = await answering.answer(asked, moment, Viewer("E00007", frozenset({"hr_admin", "finance"})), 20)
    mine = await answering.answer(asked, moment, Viewer("E00060", frozenset({"employee"})), 20)
    both = [row for row in plain.table.rows if row[0] in ("E00059", "E00060")]
    assert both
    assert sorted(mine.table.rows) == sorted(both)
