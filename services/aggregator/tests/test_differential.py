"""Random questions on both engines against an independent answer in pandas, made from the generator's arrays."""

import bisect
import itertools
import math
import os
import random
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiermesh_aggregator.failures import RateMissingError
from tiermesh_aggregator.query import Aggregation, Answer, Filter, Ordering, Period, Population, Query
from tiermesh_pack.semantic import Domain, Entity, Measure, SemanticModel

today = date(2026, 11, 20)
grains = {"month": "M", "quarter": "Q", "year": "Y"}
roles = {
    "E00014": ("employee", "manager"),
    "E00016": ("employee",),
    "E00007": ("employee", "hr_admin"),
    "E00001": ("employee", "manager"),
}
rounds = int(os.environ.get("TIERMESH_TEST_QUESTIONS", "100"))
"""`make differential` asks for thousands."""
Values = dict[tuple[Any, ...], list[Any]]


class NoRateError(Exception):
    """An amount that has no exchange rate: there is no answer, and the service must say so."""


class Rates:
    """The rate table, looked up one amount at a time."""

    def __init__(self, model: SemanticModel, frames: dict[str, pd.DataFrame]) -> None:
        assert model.currencies is not None
        table = model.currencies
        self._base = table.base
        self._days: dict[str, list[date]] = {}
        self._rates: dict[str, list[Decimal]] = {}
        for row in frames[table.table].sort_values(table.date).to_dict("records"):
            self._days.setdefault(row[table.currency], []).append(row[table.date].date())
            self._rates.setdefault(row[table.currency], []).append(Decimal(str(row[table.rate])))

    def _rate(self, currency: str, day: date) -> Decimal:
        if currency == self._base:
            return Decimal(1)
        place = bisect.bisect_right(self._days.get(currency, []), day)
        if place == 0:
            raise NoRateError(currency, day)
        return self._rates[currency][place - 1]

    def convert(self, amount: float, currency: str, day: date, wanted: str) -> Decimal:
        value = Decimal(str(amount))
        if currency == wanted:
            return value
        value *= self._rate(currency, day)
        if wanted != self._base:
            value = round(Decimal(float(value) / float(self._rate(wanted, day))), 6)
        return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


class Reference:
    """The same questions, answered row by row in pandas. Knows the model, not the compiler."""

    def __init__(
        self, model: SemanticModel, frames: dict[str, pd.DataFrame], visible: Callable[[str], set[str]]
    ) -> None:
        self._model = model
        self._frames = frames
        self._visible = visible
        self._rates = Rates(model, frames)
        self._questions: list[tuple[Query, str, Values | None]] = []
        self._records: dict[str, pd.DataFrame] = {}
        assert model.person is not None
        self._person = model.person

    def questions(self) -> list[tuple[Query, str, Values | None]]:
        """The same random questions for every engine, with their answers; None where an amount has no rate."""
        if not self._questions:
            dice = random.Random(20261122)
            for _ in range(rounds):
                query, person = _random_query(self._model, dice, self)
                self._questions.append((query, person, self._answer(query, person)))
        return self._questions

    def _answer(self, query: Query, person: str) -> Values | None:
        try:
            return self.answer(query, person)
        except NoRateError:
            return None

    def records(self, entity: Entity) -> pd.DataFrame:
        """The records with everything that can be reached, many-to-one, as columns."""
        if entity.name not in self._records:
            self._records[entity.name] = self._joined(entity)
        return self._records[entity.name]

    def _joined(self, entity: Entity) -> pd.DataFrame:
        base = self._frames[entity.table].copy()
        joined = base.copy()
        for name, join in entity.joins.items():
            other = self._frames[join.table].add_prefix(f"{name}.")
            left = list(join.on)
            right = [f"{name}.{key}" for key in join.on.values()]
            joined = joined.merge(other, how="left", left_on=left, right_on=right)
        if entity.person:
            people = self._frames[self._person.table].copy()
            for name, join in self._person.joins.items():
                other = self._frames[join.table].add_prefix(f"{name}.")
                people = people.merge(
                    other, how="left", left_on=list(join.on), right_on=[f"{name}.{key}" for key in join.on.values()]
                )
            joined = joined.merge(
                people.add_prefix("@"), how="left", left_on=entity.person, right_on=f"@{self._person.key}"
            )
        assert len(joined) == len(base), "joins multiply nothing"
        return joined

    def key(self, entity: Entity, frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
        domain = next(one for one in self._model.domains.values() if name in one.dimensions)
        if domain.dimensions[name].kind == "person":
            return self.raw(entity, frame, name)
        if name in entity.dimensions:
            return frame[entity.shows.get(name, entity.dimensions[name])]
        dimension = self._person.dimensions[name]
        if dimension.kind == "band":
            years = (pd.Timestamp(today) - frame[f"@{self._person.columns[name]}"]).dt.days / 365.25
            edges = [-math.inf, *dimension.bands, math.inf]
            words = [f"{edge:g}" for edge in dimension.bands]
            labels = [
                f"under {words[0]}",
                *(f"{a} to under {b}" for a, b in itertools.pairwise(words)),
                f"{words[-1]} and more",
            ]
            return pd.cut(years, edges, right=False, labels=labels).astype(object)
        return frame[f"@{self._person.shows.get(name, self._person.columns[name])}"]

    def raw(self, entity: Entity, frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
        if name in entity.dimensions:
            return frame[entity.dimensions[name]]
        return frame[f"@{self._person.columns[name]}"]

    def kept(self, entity: Entity, measure: Measure, query: Query, person: str, frame: pd.DataFrame) -> pd.DataFrame:
        for rule in measure.conditions:
            column = frame[rule.column]
            if rule.operator in ("in", "not_in"):
                inside = column.isin(list(rule.values))
                frame = frame[inside if rule.operator == "in" else ~inside & column.notna()]
            elif rule.operator == "is_null":
                frame = frame[column.isna() == rule.values[0]]
            else:
                frame = (
                    frame[column >= rule.values[0]] if rule.operator == "at_least" else frame[column <= rule.values[0]]
                )
        frame = self._scoped(entity, measure, query, person, frame)
        for one in query.filters:
            if one.field in entity.dimensions or one.field in self._person.dimensions:
                codes = self._model.domains[query.domain].dimensions[one.field].codes
                inside = self.raw(entity, frame, one.field).isin([codes.get(value, value) for value in one.values])
                frame = frame[inside if one.operator == "in" else ~inside & self.raw(entity, frame, one.field).notna()]
        return frame

    def _scoped(self, entity: Entity, measure: Measure, query: Query, person: str, frame: pd.DataFrame) -> pd.DataFrame:
        column = frame[entity.person]
        for rule in self._rules(query):
            if not rule.everyone and not rule.roles & set(roles[person]):
                # Each of them lets in or not: several measures of one question are of people whom all rules let in.
                frame = frame[column.loc[frame.index].isin(self._let_in(rule, person))]
        people = self._frames["employees"].set_index("employee_id")
        chosen = {
            Population.SELF: {person},
            Population.DIRECT_REPORTS: set(people[people.manager_id == person].index),
            Population.ALL_REPORTS: self._visible(person) - {person},
        }.get(query.population)
        return frame if chosen is None else frame[frame[entity.person].isin(chosen)]

    def _let_in(self, rule: Any, person: str) -> set[str]:
        seen = set(self._visible(person)) if rule.reports else {person}
        if rule.department:
            people = self._frames["employees"].set_index("employee_id").department_id
            headed = set(self._frames["departments"].query("head_employee_id == @person").department_id)
            seen |= set(people[(people == people[person]) | people.isin(headed)].index)
        return seen

    def _rules(self, query: Query) -> list[Any]:
        found = []
        for measure in (self._model.domains[query.domain].measures[name] for name in query.measures):
            for half in self.halves(query.domain, measure):
                entity = self._model.entity(half.entity)
                assert entity is not None
                found.append(self._model.visibility[half.visibility or entity.visibility])
        return found

    def halves(self, domain: str, measure: Measure) -> list[Measure]:
        if measure.compute != "ratio":
            return [measure]
        found = [self._model.measure(name, domain) for name in (measure.numerator, measure.denominator)]
        return [one for one in found if one is not None]

    def timed(self, entity: Entity, measure: Measure, period: Period, grain: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Bounded by the period; with a grain, one copy of a record per step that it belongs to (column "%")."""
        if not measure.time:
            return frame
        time = entity.times[measure.time]
        if time.kind == "point":
            day = frame[time.start]
            frame = frame[(day >= pd.Timestamp(period.start)) & (day < pd.Timestamp(period.end))]
            frame = frame.assign(**{"%day": frame[time.start]})
            if grain:
                frame = frame.assign(**{"%": frame[time.start].dt.to_period(grains[grain]).dt.start_time.dt.date})
            return frame
        if not grain:
            return self._state(entity, measure, period, frame)
        steps = pd.period_range(period.start, period.end - timedelta(days=1), freq=grains[grain])
        copies = []
        for step in steps:
            start, end = step.start_time.date(), step.end_time.date() + timedelta(days=1)
            if start > max(today, period.start):
                continue
            whole = (
                Period(max(start, period.start), min(end, period.end)) if time.kind == "overlap" else Period(start, end)
            )
            copies.append(self._state(entity, measure, whole, frame).assign(**{"%": start}))
        return pd.concat(copies) if copies else frame.iloc[:0].assign(**{"%": None})

    def _state(self, entity: Entity, measure: Measure, period: Period, frame: pd.DataFrame) -> pd.DataFrame:
        time = entity.times[measure.time]
        start, last = pd.Timestamp(period.start), pd.Timestamp(period.last_day(today))
        if time.kind == "overlap":
            end = frame[time.end]
            return frame[(frame[time.start] < pd.Timestamp(period.end)) & ((end >= start) | end.isna())]
        if time.kind == "yearly":
            return frame[frame[time.start] == last.year]
        if time.kind == "effective":
            valid = self._frames[entity.table]
            valid = valid[valid[time.start] <= last].sort_values(time.start).groupby(list(time.per)).tail(1)
            keys = [*time.per, time.start]
            return frame.merge(valid[keys].drop_duplicates(), on=keys).assign(**{"%day": last})
        end = frame[time.end]
        return frame[(frame[time.start] <= last) & ((end >= last) | end.isna())]

    def _converted(self, measure: Measure, frame: pd.DataFrame, currency: str) -> "pd.Series[Any]":
        assert measure.money is not None
        columns = (measure.column, measure.money.column, measure.money.date or "%day")
        rows = zip(*(frame[name] for name in columns), strict=True)
        found = [self._rates.convert(amount, code, day.date(), currency) for amount, code, day in rows]
        return pd.Series(found, index=frame.index, dtype=object)

    def value(self, measure: Measure, frame: pd.DataFrame, currency: str) -> Any:
        if measure.compute == "count":
            return len(frame)
        if measure.money is not None:
            values = self._converted(measure, frame, currency)
        elif measure.column.startswith("years_since"):
            values = (pd.Timestamp(today) - frame[measure.column[12:-1]]).dt.days / 365.25
        elif " - " in measure.column:
            left, right = measure.column.split(" - ")
            values = (frame[left] - frame[right]).dt.days
        elif " * " in measure.column:
            left, right = measure.column.split(" * ")
            values = frame[left] * frame[right]
        else:
            values = frame[measure.column]
        values = values.dropna()
        if measure.compute == "count_distinct":
            return values.nunique()
        if values.empty:
            return 0 if measure.compute == "sum" else None
        if measure.compute == "percentile":
            return float(np.percentile(values.astype(float), measure.percentile * 100))
        return getattr(values, {"sum": "sum", "average": "mean", "min": "min", "max": "max"}[measure.compute])()

    def groups(self, query: Query, measure: Measure, person: str, dims: Sequence[str]) -> dict[tuple[Any, ...], Any]:
        entity = self._model.entity(measure.entity)
        assert entity is not None
        assert query.period is not None
        grain = next((name for name in dims if name in grains), "")
        frame = self.kept(entity, measure, query, person, self.records(entity))
        frame = self.timed(entity, measure, query.period, grain, frame)
        if not dims:
            return {(): self.value(measure, frame, query.currency or "EUR")}
        keys = [frame["%"] if name in grains else self.key(entity, frame, name) for name in dims]
        labelled = frame.assign(**{f"#{i}": key.astype(object).where(key.notna(), None) for i, key in enumerate(keys)})
        columns = [f"#{i}" for i in range(len(dims))]
        return {
            _clean(key if isinstance(key, tuple) else (key,)): self.value(measure, part, query.currency or "EUR")
            for key, part in labelled.groupby(columns, dropna=False)
        }

    def answer(self, query: Query, person: str) -> dict[tuple[Any, ...], list[Any]]:
        domain = self._model.domains[query.domain]
        found: dict[tuple[Any, ...], list[Any]] = {}
        measures = [domain.measures[name] for name in query.measures]
        # A group that any measure has is a group of all: what a ratio divides may be nothing there.
        groups = {key for measure in measures for key in self._measure(query, measure, person, set())}
        for index, measure in enumerate(measures):
            for key, value in self._measure(query, measure, person, groups).items():
                found.setdefault(_clean(key), [None] * len(query.measures))[index] = value
        for values in found.values():
            for index, name in enumerate(query.measures):
                if values[index] is None and domain.measures[name].additive:
                    values[index] = 0
        return found

    def _measure(
        self, query: Query, measure: Measure, person: str, more: set[tuple[Any, ...]]
    ) -> dict[tuple[Any, ...], Any]:
        halves = self.halves(query.domain, measure)
        first = self.groups(query, halves[0], person, query.group_by)
        if len(halves) == 1:
            return first
        entity = self._model.entity(halves[1].entity)
        assert entity is not None
        known = [d for d in query.group_by if d in grains or d in entity.dimensions or d in self._person.dimensions]
        second = self.groups(query, halves[1], person, known)
        places = [query.group_by.index(name) for name in known]
        keys = set(first) | (set(second) if len(known) == len(query.group_by) else set()) | more
        found = {}
        for key in keys:
            below = second.get(tuple(key[place] for place in places))
            above = first.get(key, 0 if halves[0].additive else None)
            found[key] = float(above) / float(below) * measure.scale if below and above is not None else None
        return found


def _clean(key: tuple[Any, ...]) -> tuple[Any, ...]:
    def clean(one: Any) -> str | None:
        if one is None or one is pd.NaT or (isinstance(one, float) and math.isnan(one)):
            return None
        return str(int(one)) if isinstance(one, float) and one == int(one) else str(one)

    return tuple(clean(one) for one in key)


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
def reference(pack: Any, frames: dict[str, pd.DataFrame], visible: Callable[[str], set[str]]) -> Reference:
    return Reference(pack.semantic, frames, visible)


async def test_random_questions_get_the_answer_that_pandas_gets(asking: Any, pack: Any, reference: Reference) -> None:
    checked = filled = converted = unrated = 0
    for query, person, expected in reference.questions():
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
