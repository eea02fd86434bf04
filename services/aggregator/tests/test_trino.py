"""Trino as an added dialect: everything the compiler makes compiles, is valid Trino by a parser, and means the same.

No Trino runs here. What its SQL means is shown by running what another project's rules translate it to for DuckDB.
"""

import itertools
import random
import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import sqlglot
from sqlglot import expressions as exp
from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.compiling.compiler import Compiler
from tiermesh_aggregator.compiling.precomputed import Ready, register
from tiermesh_aggregator.engines.duck import DuckEngine
from tiermesh_aggregator.engines.statement import Statement, dialect, statement, trino
from tiermesh_aggregator.failures import AggregatorError
from tiermesh_aggregator.query import (
    Aggregation,
    Filter,
    Moment,
    OutlierRule,
    Period,
    Population,
    Query,
    Side,
    Viewer,
)
from tiermesh_pack.pack import Pack

year = Period(date(2025, 6, 1), date(2026, 6, 1))
manager = Viewer("E00014", frozenset({"employee", "manager"}))
office = Viewer("E00007", frozenset({"hr_admin", "finance"}))
own_functions = {"contains", "element_at", "transform", "filter"}
"""Functions of Trino that the parser does not know as such."""


def questions(pack: Pack) -> list[tuple[Query, Viewer]]:
    """Every measure in every aggregation, every list, every rule for what stands out."""
    found: list[Query] = []
    half = Period(date(2026, 1, 1), date(2026, 4, 1))
    for domain in pack.semantic.domains.values():
        for name in domain.measures:
            base = Query(domain.name, Aggregation.SUM, (name,), period=year, limit=1000)
            found += [
                base,
                replace(base, aggregation=Aggregation.COUNT, group_by=("employment_type",)),
                replace(base, aggregation=Aggregation.AVERAGE),
                replace(base, group_by=("department",), currency=random.Random(name).choice(["", "USD"])),
                replace(base, aggregation=Aggregation.RANK, people=("E00014", "E00031")),
                replace(base, aggregation=Aggregation.TREND, group_by=("fiscal_quarter",), period=half),
                replace(base, aggregation=Aggregation.COMPARE, sides=(Side(period=half), Side(period=year))),
                replace(base, filters=(Filter("tenure", "in", ("1 to under 3",)), Filter("city", "in", ("Berlin",)))),
                replace(base, group_by=("division",), population=Population.COMPANY),
            ]
        for name in domain.lists:
            found.append(Query(domain.name, Aggregation.LIST, (name,), period=year, limit=1000))
        for rule in (OutlierRule(deviations=2), OutlierRule(over_limit=True), OutlierRule(duplicates=True)):
            found.append(Query(domain.name, Aggregation.OUTLIERS, outliers=rule, period=year, limit=1000))
    return [(query, viewer) for query in found for viewer in (manager, office)]


@pytest.fixture(scope="session")
def compiled(pack: Pack) -> list[tuple[Query, Any]]:
    catalog = Catalog(pack.schema)
    register(catalog, pack.semantic)
    compiler = Compiler(pack.semantic, catalog, lateral=False)
    moment = Moment(date(2026, 11, 20), fiscal_year_start=4, week_start="sunday")
    found = []
    for number, (query, viewer) in enumerate(questions(pack)):
        views = [Ready(one) for one in pack.semantic.views.values()] if number % 3 == 0 else []
        try:
            found.append((query, compiler.compile(query, moment, viewer, {}, views=views).select))
        except AggregatorError:
            continue  # such a question is refused in every dialect
    return found


def test_every_operation_compiles_to_valid_trino(compiled: list[tuple[Query, Any]]) -> None:
    words, unknown = trino(), set()
    for query, select in compiled:
        made = statement(select, words)
        tree = sqlglot.parse_one(made.sql, dialect="trino", error_level=sqlglot.ErrorLevel.RAISE)
        assert len(list(tree.find_all(exp.Placeholder))) == len(made.parameters), query
        unknown |= {one.name.lower() for one in tree.find_all(exp.Anonymous)}
        for foreign in ("::", "$1", " ANY (", "COLLATE", "percentile_cont", "INTERVAL", "WITHIN GROUP", "LATERAL"):
            assert foreign not in made.sql, (foreign, made.sql)
    assert unknown <= own_functions
    assert len(compiled) > 900
    assert {query.aggregation for query, _ in compiled} == set(Aggregation)


async def test_trinos_words_mean_what_the_engines_do(compiled: list[tuple[Query, Any]], duck_file: Any) -> None:
    words, same, filled = trino(), 0, 0
    engine = DuckEngine(duck_file, memory="512MB")
    try:
        for query, select in random.Random(20261127).sample(compiled, 150):
            made = statement(select, words)
            sql = for_duckdb(made.sql)
            theirs = await engine.fetch(Statement(sql, made.parameters, ""), 20)
            ours = await engine.fetch(statement(select), 20)
            assert [rounded(row) for row in theirs.rows] == [rounded(row) for row in ours.rows], (query, sql)
            same += 1
            filled += bool(ours.rows)
    finally:
        await engine.close()
    assert same == 150
    assert filled > 100


def for_duckdb(sql: str) -> str:
    """A translation may move or repeat parameters, so they are numbered first."""
    numbers = itertools.count(1)
    numbered = re.sub(r"\?", lambda _: f":p{next(numbers)}", sql)
    (translated,) = sqlglot.transpile(numbered, read="trino", write="duckdb")
    return re.sub(r"\$p(\d+)", r"$\1", translated)


def rounded(row: Any) -> list[Any]:
    return [round(float(one), 6) if hasattr(one, "as_tuple") or isinstance(one, float) else one for one in row]


@pytest.mark.parametrize("words", [dialect, trino()], ids=["both engines", "trino"])
def test_a_shape_that_was_compiled_before_takes_its_own_values(compiled: list[tuple[Query, Any]], words: Any) -> None:
    for query, select in [*compiled, *reversed(compiled)]:
        anew = select.compile(dialect=words, compile_kwargs={"render_postcompile": True})
        made = statement(select, words)

        assert made.sql == anew.string, query
        assert made.parameters == tuple(anew.params[name] for name in anew.positiontup), query


def test_another_persons_question_of_the_same_shape_is_not_compiled_again(pack: Pack) -> None:
    catalog = Catalog(pack.schema)
    compiler, moment = Compiler(pack.semantic, catalog), Moment(date(2026, 11, 20))
    query = Query("leave", Aggregation.RANK, ("leave_days_applied",), ("employee",), period=year, limit=10)
    first, second = (
        statement(compiler.compile(query, moment, Viewer(person, frozenset({"manager"})), {}).select)
        for person in ("E00014", "E00001")
    )

    assert first.sql is second.sql
    assert "E00014" in first.parameters
    assert "E00014" not in second.parameters
