"""Precomputed views: they answer what the tables answer, only what they answer exactly, and say how old they are."""

import random
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from tiermesh_aggregator.answering import Answering, Database
from tiermesh_aggregator.compiling.precomputed import Ready, _least
from tiermesh_aggregator.engines.duck import DuckEngine
from tiermesh_aggregator.engines.engine import Engine
from tiermesh_aggregator.engines.identity import Identity
from tiermesh_aggregator.engines.postgres import PostgresEngine
from tiermesh_aggregator.engines.statement import Statement
from tiermesh_aggregator.failures import UnknownNameError
from tiermesh_aggregator.precomputing import State, Views
from tiermesh_aggregator.query import (
    Aggregation,
    Answer,
    Filter,
    Moment,
    Ordering,
    Period,
    Population,
    Query,
    Side,
    Viewer,
)
from tiermesh_pack.pack import Pack

year = Period(date(2026, 1, 1), date(2027, 1, 1))


@pytest.fixture
async def views(pack: Pack, engine: Engine) -> Views:
    found = Views(pack, engine)
    await found.look()
    return found


@pytest.fixture
def over_views(pack: Pack, engine: Engine, views: Views) -> Answering:
    return Answering(pack, Database(engine, trace.get_tracer("test"), metrics.get_meter("test")), views)


async def ask(answering: Answering, moment: Moment, query: Query, person: str, *roles: str, **more: Any) -> Answer:
    return await answering.answer(query, moment, Viewer(person, frozenset(roles or ("employee",))), 20, **more)


def random_query(pack: Pack, dice: random.Random) -> Query:
    view = dice.choice(list(pack.semantic.views.values()))
    assert pack.semantic.person is not None
    people = [name for name, one in pack.semantic.person.dimensions.items() if one.kind != "band"]
    dims = dice.sample([*people, *view.dimensions], dice.choice([0, 1, 1, 2]))
    if dice.random() < 0.3:
        dims = [*dims[:1], dice.choice(["month", "quarter", "year", "fiscal_year"])]
    filters = []
    for name in dice.sample([*view.dimensions, "city", "employment_type"], 1):
        values = sorted(pack.semantic.domains[view.domain].dimensions[name].values)
        if values and dice.random() < 0.5:
            filters.append(Filter(name, dice.choice(["in", "not_in"]), tuple(dice.sample(values, 2))))
    start = date(dice.choice([2024, 2025, 2026]), dice.randint(1, 12), 1)
    end = (start + timedelta(days=dice.choice([40, 95, 370]))).replace(day=1)
    measures = tuple(dice.sample(view.measures, min(len(view.measures), dice.choice([1, 1, 2]))))
    rank = bool(dims) and dice.random() < 0.4
    return Query(
        view.domain,
        Aggregation.RANK if rank else Aggregation.SUM,
        measures,
        tuple(dims),
        tuple(filters),
        Period(start, end),
        (Ordering(measures[0], dice.random() < 0.7),) if rank else (),
        1000,
        dice.choice([Population.VISIBLE, Population.COMPANY, Population.ALL_REPORTS, Population.SELF]),
    )


async def test_random_questions_get_the_same_answer_from_a_view(
    asking: Any, over_views: Answering, pack: Pack, moment: Moment
) -> None:
    dice = random.Random(20261127)
    filled = suppressed = 0
    for _ in range(60):
        query = random_query(pack, dice)
        person = dice.choice([("E00014", "manager"), ("E00001", "manager"), ("E00007", "hr_admin"), ("E00060", "x")])
        plain = await asking(query, *person)
        kept = await ask(over_views, moment, query, *person)
        assert kept.table.view in pack.semantic.views
        assert kept.table.as_of is not None
        assert (kept.table.statements, plain.table.view) == (1, "")
        same = [replace(one.table, fingerprint="", database_seconds=0.0, view="", as_of=None) for one in (kept, plain)]
        assert same[0] == same[1], (query, person)
        filled += bool(plain.table.rows)
        suppressed += plain.table.suppressed_groups > 0
    assert filled > 30
    assert suppressed > 2


@pytest.mark.parametrize(
    "query",
    [
        Query("leave", Aggregation.SUM, ("leave_days",), period=Period(date(2026, 1, 2), date(2026, 3, 1))),
        Query("leave", Aggregation.SUM, ("leave_days",), period=Period(date(2026, 1, 1), date(2026, 3, 2))),
        Query("leave", Aggregation.TREND, ("leave_days",), ("week",), period=year),
        Query("leave", Aggregation.SUM, ("leave_days",), ("decided_by",), period=year),
        Query("leave", Aggregation.SUM, ("leave_days",), filters=(Filter("decided_by", "in", ("E00001",)),)),
        Query("leave", Aggregation.AVERAGE, ("leave_days",), period=year),
        Query("leave", Aggregation.SUM, ("leave_days", "leave_days_upcoming"), period=year),
        Query("leave", Aggregation.LIST, ("requests",), period=year),
        Query(
            "leave",
            Aggregation.COMPARE,
            ("leave_days",),
            period=year,
            sides=(Side(period=year), Side(period=Period(date(2025, 1, 1), date(2025, 11, 20)))),
        ),
    ],
)
async def test_what_a_view_cannot_answer_exactly_is_answered_from_the_tables(
    over_views: Answering, moment: Moment, pack: Pack, query: Query
) -> None:
    known = pack.semantic.domains["leave"].measures
    query = replace(query, measures=tuple(name if name in known else "leave_cancelled" for name in query.measures))
    if query.aggregation is Aggregation.LIST:
        query = replace(query, measures=("requests",))
    assert (await ask(over_views, moment, query, "E00001", "manager")).table.view == ""


async def test_a_view_older_than_the_question_allows_is_not_used(
    over_views: Answering, moment: Moment, views: Views
) -> None:
    query = Query("leave", Aggregation.SUM, ("leave_days",), period=year)
    assert (await ask(over_views, moment, query, "E00001")).table.view == "leave_taken_monthly"
    assert (await ask(over_views, moment, query, "E00001", staleness=0.0)).table.view == ""
    views.touched({"leave_requests"})
    assert (await ask(over_views, moment, query, "E00001")).table.view == "", "a write makes it old"
    other = replace(query, domain="attendance", measures=("sick_days",))
    assert (await ask(over_views, moment, other, "E00001")).table.view, "another table's view does not care"


async def test_the_smallest_view_that_answers_exactly_is_taken(
    over_views: Answering, moment: Moment, views: Views
) -> None:
    rows = {state.view.name: state.rows for state in views.states()}
    assert 0 < rows["leave_applied_yearly"] < rows["leave_applied_monthly"]
    query = Query("leave", Aggregation.SUM, ("leave_days_applied",), ("department",), period=year)

    async def taken(**changed: Any) -> str:
        return (await ask(over_views, moment, replace(query, **changed), "E00001", "manager")).table.view

    assert await taken() == "leave_applied_yearly"
    assert await taken(measures=("leave_days_applied", "leave_requests")) == "leave_applied_yearly"
    assert await taken(group_by=("leave_type",)) == "leave_applied_monthly", "the smaller one does not know the type"
    assert await taken(group_by=("month",)) == "leave_applied_monthly", "nor the month"
    assert await taken(period=Period(date(2026, 1, 1), date(2026, 7, 1))) == "leave_applied_monthly", "nor half a year"
    both = await taken(measures=("leave_days_applied", "leave_days"))
    assert both == "leave_applied_yearly, leave_taken_monthly", "each part takes its own"


def test_one_view_for_all_parts_beats_a_small_one_for_each(pack: Pack) -> None:
    view = pack.semantic.views["leave_applied_monthly"]
    large, small, other = (Ready(replace(view, name=name), rows) for name, rows in (("l", 10), ("s", 6), ("o", 5)))
    taken = _least({"one": [small, large], "two": [other, large]})
    assert {found.name for found in taken.values()} == {"l"}, "reading 10 rows once is less than 6 and 5"
    taken = _least({"one": [small, large], "two": [small, large]})
    assert {found.name for found in taken.values()} == {"s"}


async def test_money_in_another_currency_is_added_up_from_the_tables(over_views: Answering, moment: Moment) -> None:
    query = Query("expenses", Aggregation.SUM, ("amount",), period=year)
    kept = await ask(over_views, moment, query, "E00001", "manager")
    dollars = await ask(over_views, moment, replace(query, currency="USD"), "E00001", "manager")
    assert (kept.table.view, kept.table.columns[0].currency) == ("expenses_monthly", "EUR")
    assert (dollars.table.view, dollars.table.columns[0].currency) == ("", "USD")


def test_a_view_ages(pack: Pack) -> None:
    now = datetime.now(UTC)
    view = pack.semantic.views["leave_taken_monthly"]
    assert State(view, now - timedelta(hours=29)).fresh(now)
    assert not State(view, now - timedelta(hours=31)).fresh(now)
    assert State(view, now - timedelta(hours=31)).fresh(now, staleness=40 * 3600)
    assert not State(view).fresh(now, staleness=1e9)


@pytest.fixture(params=["duckdb", "postgresql"])
async def writable(
    request: pytest.FixtureRequest, duck_file: Path, postgres_copy: str, tmp_path: Path
) -> AsyncIterator[Engine]:
    one: Engine
    if request.param == "duckdb":
        shutil.copy(duck_file, tmp_path / "company.duckdb")
        one = DuckEngine(tmp_path / "company.duckdb", memory="512MB")
    else:
        one = await PostgresEngine.open(postgres_copy, statement_timeout=20)
    yield one
    await one.close()


async def test_refreshing_takes_in_what_was_written(pack: Pack, writable: Engine, moment: Moment) -> None:
    views = Views(pack, writable)
    await views.look()
    answering = Answering(pack, Database(writable, trace.get_tracer("test"), metrics.get_meter("test")), views)
    annual = (Filter("leave_type", "in", ("annual",)),)
    query = Query("leave", Aggregation.SUM, ("leave_days_applied",), (), annual, year, population=Population.SELF)
    before = await ask(answering, moment, query, "E00031")
    assert before.table.view
    insert = (
        "INSERT INTO leave_requests VALUES "
        f"('LRX{writable.system}', 'E00031', 'annual', '2026-12-01', '2026-12-02', 2, 'pending', '2026-11-01', NULL, "
        "NULL)"
    )
    async with writable.writing(20, Identity("E00031")) as transaction:
        await transaction.fetch(Statement(insert, (), ""))
    assert (await ask(answering, moment, query, "E00031")).table.rows == before.table.rows, "as of the refresh"
    state = await views.refresh("leave_applied_monthly", 20)
    assert state.as_of is not None
    assert before.table.as_of is not None
    assert state.as_of > before.table.as_of
    after = await ask(answering, moment, query, "E00031")
    assert after.table.view
    assert float(after.table.rows[0][0]) == float(before.table.rows[0][0]) + 2
    with pytest.raises(UnknownNameError, match="leave_applied_monthly"):
        await views.refresh("leave_applied_monthy; DROP TABLE employees", 20)


async def test_what_was_computed_for_another_definition_is_not_used(pack: Pack, writable: Engine) -> None:
    domain = pack.semantic.domains["leave"]
    changed = replace(domain.views["leave_taken_monthly"], dimensions=("leave_type",))
    domains = {**pack.semantic.domains, "leave": replace(domain, views={**domain.views, changed.name: changed})}
    other = replace(pack, semantic=replace(pack.semantic, domains=domains))
    views = Views(other, writable)
    await views.look()
    assert {state.view.name: state.as_of is not None for state in views.states()} == {
        name: name != "leave_taken_monthly" for name in pack.semantic.views
    }


async def test_on_postgres_a_view_holds_every_statement_to_its_rows(
    postgres_url: str, frames: Any, visible: Callable[[str], set[str]]
) -> None:
    engine = await PostgresEngine.open(postgres_url, statement_timeout=20)
    everything = Statement("SELECT DISTINCT person FROM tiermesh_view_expenses_monthly", (), "")
    try:
        finance = Identity("E1", frozenset({"finance"}))
        all_of_them = {row[0] for row in (await engine.fetch(everything, 20, finance)).rows}
        assert len(all_of_them) > 40
        for person in list(frames["employees"].employee_id)[::7]:
            rows = (await engine.fetch(everything, 20, Identity(person))).rows
            assert {row[0] for row in rows} == visible(person) & all_of_them
        assert (await engine.fetch(everything, 20)).rows == []
        with pytest.raises(Exception, match="permission denied"):
            await engine.fetch(Statement("SELECT * FROM tiermesh_kept_expenses_monthly", (), ""), 20)
    finally:
        await engine.close()
