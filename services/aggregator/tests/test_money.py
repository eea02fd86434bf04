"""Sums over several currencies: one statement, each amount at the rate of its own day, nothing left out in silence."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import metrics, trace
from tiermesh_aggregator.answering import Answering, Database
from tiermesh_aggregator.engines.engine import Engine
from tiermesh_aggregator.engines.identity import Identity
from tiermesh_aggregator.engines.statement import Statement
from tiermesh_aggregator.failures import BadFieldError, GraphRefusedError, RateMissingError, UnknownNameError
from tiermesh_aggregator.graph.querying import Graph
from tiermesh_aggregator.handbook import Handbook
from tiermesh_aggregator.precomputing import Views, embedded
from tiermesh_aggregator.query import Aggregation, Answer, Filter, Moment, Period, Population, Query, Viewer
from tiermesh_aggregator.row_security import readable
from tiermesh_aggregator.tools.tool import Call
from tiermesh_aggregator.tools.toolbox import Toolbox
from tiermesh_pack.pack import Pack

year = Period(date(2026, 1, 1), date(2027, 1, 1))
finance = ("E00007", "finance")
spent = Query("expenses", Aggregation.SUM, ("amount",), period=year, population=Population.COMPANY)
lines = "expense_lines l JOIN expense_claims c ON c.claim_id = l.claim_id"
counted = "c.status IN ('submitted', 'approved', 'paid') AND l.spent_on >= DATE '2026-01-01'"


def rate(currency: str) -> str:
    """The latest rate at or before the day, looked up row by row."""
    return (
        f"(SELECT x.rate_to_eur FROM exchange_rates x WHERE x.currency = {currency} AND x.month <= l.spent_on "
        "ORDER BY x.month DESC LIMIT 1)"
    )


async def plainly(engine: Engine, sql: str) -> Any:
    return (await engine.fetch(Statement(sql, (), ""), 20, Identity("E00007", frozenset({"finance"})))).rows


async def test_every_amount_is_converted_at_the_rate_of_its_day_in_one_statement(asking: Any) -> None:
    sql = f"SELECT sum(round(l.amount * {rate('l.currency')}, 2)) FROM {lines} WHERE {counted}"
    euros = await asking(spent, *finance)
    assert Decimal(euros.table.rows[0][0]) == (await plainly(asking.engine, sql))[0][0]
    assert (euros.table.columns[0].currency, euros.table.statements) == ("EUR", 1)
    own, theirs = rate("l.currency"), rate("'USD'")
    other = f"CAST(CAST(l.amount * {own} AS DOUBLE PRECISION) / CAST({theirs} AS DOUBLE PRECISION) AS NUMERIC(38, 6))"
    value = f"CASE WHEN l.currency = 'USD' THEN l.amount ELSE round({other}, 2) END"
    dollars = await asking(replace(spent, currency="USD"), *finance)
    expected = (await plainly(asking.engine, f"SELECT sum({value}) FROM {lines} WHERE {counted}"))[0][0]
    assert abs(Decimal(dollars.table.rows[0][0]) - Decimal(expected)) <= Decimal("0.01")
    assert (dollars.table.columns[0].currency, dollars.table.statements) == ("USD", 1)
    assert dollars.table.rows != euros.table.rows


async def test_groups_sum_up_to_the_whole_and_the_reader_learns_the_rates_day(asking: Any) -> None:
    whole = await asking(spent, *finance)
    groups = await asking(replace(spent, group_by=("original_currency",)), *finance)
    assert len(groups.table.rows) >= 5
    assert {column.currency for column in groups.table.columns if column.measure} == {"EUR"}
    assert sum(Decimal(row[1]) for row in groups.table.rows) == Decimal(whole.table.rows[0][0])
    newest = (await plainly(asking.engine, "SELECT max(month) FROM exchange_rates"))[0][0]
    assert whole.table.rates_as_of == newest
    assert f"Converted to EUR, each amount at the rate of its day; newest rate used: {newest}." in whole.table.notes


async def test_what_is_in_the_wanted_currency_already_stays_as_it_is(asking: Any) -> None:
    pounds = (Filter("original_currency", "in", ("GBP",)),)
    found = await asking(replace(spent, filters=pounds, currency="GBP"), *finance)
    sql = f"SELECT sum(l.amount) FROM {lines} WHERE l.currency = 'GBP' AND {counted}"
    assert Decimal(found.table.rows[0][0]) == (await plainly(asking.engine, sql))[0][0]
    assert found.table.rates_as_of is None
    assert not any("Converted" in note for note in found.table.notes)


async def test_states_are_converted_at_the_rate_of_the_day_they_are_looked_at(asking: Any) -> None:
    query = Query("payroll", Aggregation.SUM, ("salary_sum",), filters=(Filter("pay_currency", "in", ("GBP",)),))
    sums = {}
    for day in (date(2025, 3, 1), date(2026, 3, 1)):
        period = Period(day, day.replace(day=2))
        pounds = await asking(replace(query, period=period, currency="GBP"), *finance)
        euros = await asking(replace(query, period=period), *finance)
        sums[day] = float(euros.table.rows[0][0]) / float(pounds.table.rows[0][0])
        sql = f"SELECT rate_to_eur FROM exchange_rates WHERE currency = 'GBP' AND month = DATE '{day}'"
        assert sums[day] == pytest.approx(float((await plainly(asking.engine, sql))[0][0]), abs=1e-6)
    assert len(set(sums.values())) == 2


async def test_a_ratio_of_money_is_in_the_currency_of_what_it_divides(asking: Any) -> None:
    query = replace(spent, aggregation=Aggregation.AVERAGE, measures=("average_claim",))
    euros, yen = await asking(query, *finance), await asking(replace(query, currency="JPY"), *finance)
    assert [one.table.columns[0].currency for one in (euros, yen)] == ["EUR", "JPY"]
    assert yen.table.rows[0][0] > 100 * euros.table.rows[0][0]


async def test_the_tenants_currency_is_the_usual_one(asking: Any) -> None:
    asked = await asking(replace(spent, currency="INR"), *finance)
    asking.moment = Moment(asking.moment.today, currency="INR")
    usual = await asking(spent, *finance)
    assert (usual.table.rows, usual.table.columns[0].currency) == (asked.table.rows, "INR")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"currency": "XYZ"}, UnknownNameError),
        ({"currency": "EUR'; DROP TABLE employees; --"}, UnknownNameError),
        ({"currency": "USD", "aggregation": Aggregation.LIST, "measures": ("claims",)}, BadFieldError),
        ({"currency": "USD", "aggregation": Aggregation.OUTLIERS}, BadFieldError),
    ],
)
async def test_a_currency_that_cannot_be_had_is_refused(asking: Any, changed: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="curren"):
        await asking(replace(spent, **changed), *finance)


def aged(pack: Pack, days: int) -> Pack:
    """The pack with rates that hold for some days only: what was spent later in a month has none."""
    assert pack.semantic.currencies is not None
    currencies = replace(pack.semantic.currencies, max_age_days=days)
    return replace(pack, semantic=replace(pack.semantic, currencies=currencies))


@pytest.fixture
def rarely(pack: Pack, engine: Engine) -> Answering:
    return Answering(aged(pack, 5), Database(engine, trace.get_tracer("test"), metrics.get_meter("test")))


async def answered(answering: Answering, query: Query, moment: Moment, person: str, *roles: str) -> Answer:
    return await answering.answer(query, moment, Viewer(person, frozenset(roles)), 20)


async def test_an_amount_without_a_rate_is_an_error_and_never_left_out(rarely: Answering, moment: Moment) -> None:
    with pytest.raises(RateMissingError, match="no exchange rate") as caught:
        await answered(rarely, spent, moment, *finance)
    assert caught.value.count > 10
    assert caught.value.currency in ("GBP", "INR", "USD", "CHF", "JPY")
    euros = replace(spent, filters=(Filter("original_currency", "in", ("EUR",)),))
    assert (await answered(rarely, euros, moment, *finance)).table.rows[0][0], "the base needs no rate"
    pounds = replace(spent, filters=(Filter("original_currency", "in", ("GBP",)),), currency="GBP")
    assert (await answered(rarely, pounds, moment, *finance)).table.rows[0][0], "nor does what is asked for as it is"


async def test_a_missing_rate_is_told_also_where_no_row_would_show_it(rarely: Answering, moment: Moment) -> None:
    ranking = Query("expenses", Aggregation.RANK, ("average_line",), ("category",), period=year, limit=1)
    late = Period(date(2026, 3, 20), date(2026, 3, 25))
    everything = replace(ranking, population=Population.COMPANY)
    for query in (everything, replace(everything, period=late)):
        with pytest.raises(RateMissingError):
            await answered(rarely, query, moment, *finance)


async def test_in_a_wide_scope_the_error_names_nobodys_currency(rarely: Answering, moment: Moment) -> None:
    by_department = replace(spent, group_by=("department",))
    with pytest.raises(RateMissingError) as caught:
        await answered(rarely, by_department, moment, "E00060", "employee")
    assert caught.value.currency == ""
    assert "(" not in str(caught.value)


async def test_a_view_remembers_what_had_no_rate(pack: Pack, duck_file: Any, tmp_path: Any, moment: Moment) -> None:
    import shutil

    from tiermesh_aggregator.engines.duck import DuckEngine
    from tiermesh_aggregator.precomputing import definitions

    other = aged(pack, 5)
    shutil.copy(duck_file, tmp_path / "company.duckdb")
    engine = DuckEngine(tmp_path / "company.duckdb", memory="512MB")
    try:
        sql = definitions(other)["expenses_monthly"]
        async with engine.writing(20) as transaction:
            for step in embedded(other.semantic.views["expenses_monthly"], sql):
                await transaction.fetch(Statement(step, (), ""))
        views = Views(other, engine)
        await views.look()
        database = Database(engine, trace.get_tracer("test"), metrics.get_meter("test"))
        with pytest.raises(RateMissingError):
            await answered(Answering(other, database, views), spent, moment, *finance)
        claims = replace(spent, measures=("expense_items",))
        assert (await answered(Answering(other, database, views), claims, moment, *finance)).table.view
    finally:
        await engine.close()


async def test_tools_and_graphql_take_the_currency_and_say_which_there_are(
    pack: Pack, asking: Any, moment: Moment
) -> None:
    box = Toolbox(pack, asking.answering, Handbook(pack.handbook))
    assert pack.semantic.currencies is not None
    known = list(pack.semantic.currencies.reporting)
    assert box.tools["expenses_team_aggregate"].schema["properties"]["currency"]["enum"] == known
    assert "currency" not in box.tools["leave_team_aggregate"].schema["properties"]
    call = Call(Viewer("E00007", frozenset({"finance"})), "acme", moment, 20)
    arguments = {"aggregation": "sum", "measures": ["amount"], "population": "company", "currency": "USD"}
    table: Any = await box.call("expenses_team_aggregate", json.dumps(arguments), call)
    assert table.columns[0].currency == "USD"
    with pytest.raises(BadFieldError) as caught:
        await box.call("expenses_team_aggregate", json.dumps({**arguments, "currency": "DM"}), call)
    assert list(caught.value.nearest) == known
    graph = Graph(asking.answering, {})
    document = "{ expenses(currency: USD, population: COMPANY) { rows { amount } ratesAsOf notes } }"
    found = json.loads((await graph.query(document, "", call, is_person=True)).data)["expenses"]
    assert (found["rows"][0]["amount"], bool(found["ratesAsOf"])) == (table.rows[0][0], True)
    with pytest.raises(GraphRefusedError, match="DM"):
        await graph.query(document.replace("USD", "DM"), "", call, is_person=True)


def test_the_reader_may_read_the_rates(pack: Pack) -> None:
    assert "exchange_rates" in readable(pack)
