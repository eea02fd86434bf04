"""Random questions on both engines against an independent answer in pandas, made from the generator's arrays."""

import os
import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from tiermesh_aggregator.failures import RateMissingError
from tiermesh_aggregator.query import Aggregation, Answer, Filter, Ordering, Period, Population, Query
from tiermesh_pack.semantic import Domain, SemanticModel

from .exchange_rates import NoRateError
from .pandas_reference import Reference, Values, grains, roles

rounds = int(os.environ.get("TIERMESH_TEST_QUESTIONS", "100"))
"""`make differential` asks for thousands."""


def _random_query(model: SemanticModel, dice: random.Random, reference: Reference) -> tuple[Query, str]:
    domain = dice.choice(list(model.domains.values()))
    person = dice.choice([*roles, "E00007", "E00001"])
    measures = dice.sample(sorted(domain.measures), dice.choice([1, 1, 1, 2]))
    entities = [
        model.entity(half.entity)
        for name in measures
        for half in reference.halves(domain.name, domain.measures[name])[:1]
    ]
    assert model.person is not None
    shared = set.intersection(*({*one.dimensions, *model.person.dimensions} for one in entities if one))
    timed = all(domain.measures[name].time or domain.measures[name].compute == "ratio" for name in measures)
    dims = dice.sample(sorted(shared), min(dice.choice([0, 1, 1, 2]), len(shared)))
    if dice.random() < 0.25 and timed and all(one and one.times for one in entities):
        dims = [dice.choice(sorted(grains)), *dims[:1]]
    filters = []
    for name in dice.sample(sorted(shared), min(1, len(shared))):
        values = sorted(domain.dimensions[name].values)
        if values and dice.random() < 0.4:
            operator = dice.choice(["in", "in", "not_in"])
            filters.append(Filter(name, operator, tuple(dice.sample(values, min(2, len(values))))))
    start = date(2024, 1, 1) + timedelta(days=dice.randrange(0, 900))
    end = start + timedelta(days=dice.choice([1, 7, 31, 92, 365, 500]))
    aggregation = dice.choice([Aggregation.COUNT, Aggregation.SUM, Aggregation.RANK if dims else Aggregation.SUM])
    everyone = [Population.VISIBLE, Population.SELF, Population.DIRECT_REPORTS, Population.ALL_REPORTS]
    population = Population.COMPANY if person == "E00007" and dice.random() < 0.5 else dice.choice(everyone)
    order = (Ordering(measures[0], True),) if aggregation is Aggregation.RANK else ()
    query = Query(
        domain.name,
        aggregation,
        tuple(measures),
        tuple(dims),
        tuple(filters),
        Period(start, end),
        order,
        1000,
        population,
        currency=dice.choice(["", "", "EUR", "USD", "INR", "JPY"]),
    )
    return query, person


@pytest.fixture(scope="session")
def questions(
    pack: Any, frames: dict[str, pd.DataFrame], visible: Callable[[str], set[str]]
) -> list[tuple[Query, str, Values | None]]:
    """The same random questions for every engine, with their answers; None where an amount has no rate."""
    reference = Reference(pack.semantic, frames, visible)

    def answer(query: Query, person: str) -> Values | None:
        try:
            return reference.answer(query, person)
        except NoRateError:
            return None

    dice = random.Random(20261122)
    drawn = [_random_query(pack.semantic, dice, reference) for _ in range(rounds)]
    return [(query, person, answer(query, person)) for query, person in drawn]


async def test_random_questions_get_the_answer_that_pandas_gets(asking: Any, pack: Any, questions: Any) -> None:
    checked = filled = converted = unrated = 0
    for query, person, expected in questions:
        domain = pack.semantic.domains[query.domain]
        names = (*query.group_by, *(one.field for one in query.filters))
        if any(domain.dimensions[name].name == "balance_year" for name in names):
            continue  # all years of the period, by design; tested apart
        if expected is None:
            with pytest.raises(RateMissingError):
                await asking(query, person, *roles[person])
            unrated += 1
            continue
        answer = await asking(query, person, *roles[person])
        _assert_same(query, person, answer, expected, domain)
        money = [one for one in query.measures if pack.semantic.converted(domain.measures[one], domain.name)]
        checked += 1
        converted += bool(money and query.currency not in ("", "EUR"))
        filled += any(value for values in expected.values() for value in values)
    print(f"{checked} answers the same, {filled} with figures, {converted} converted, {unrated} without a rate")
    assert checked > rounds * 0.8
    assert filled > rounds * 0.4, "most questions have something to compute"
    assert converted > rounds * 0.03


def _assert_same(query: Query, person: str, answer: Answer, expected: Values, domain: Domain) -> None:
    got = _shown(answer, query)
    if query.aggregation is Aggregation.RANK:
        expected = {key: values for key, values in expected.items() if values[0] is not None}
    assert answer.table.statements == 1
    assert set(got) == set(expected), (query, person, sorted(map(str, set(got) ^ set(expected)))[:5])
    for key, values in expected.items():
        for name, mine, other in zip(query.measures, got[key], values, strict=True):
            assert _same(mine, other, domain.measures[name].decimals), (query, person, key, name, mine, other)


def _shown(answer: Answer, query: Query) -> dict[tuple[Any, ...], list[Any]]:
    names = [column.name for column in answer.table.columns]
    keys = [names.index(f"{name}_id" if f"{name}_id" in names else name) for name in query.group_by]
    values = [names.index(name) for name in query.measures]
    return {
        tuple(None if row[k] is None else str(row[k]) for k in keys): [row[v] for v in values]
        for row in answer.table.rows
    }


def _same(mine: Any, other: Any, decimals: int) -> bool:
    if mine is None or other is None:
        return mine is None and other is None
    if isinstance(mine, str) and len(mine) == 10 and mine[4] == "-":
        return mine == str(other)[:10]
    return abs(Decimal(str(mine)) - Decimal(str(float(other)))) <= Decimal(1) / 10**decimals
