"""An independent answer to a query: in pandas, from the generator's arrays."""

import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from tiermesh_aggregator.query import Period, Population, Query
from tiermesh_pack.semantic import Entity, Measure, SemanticModel

from .exchange_rates import Rates
from .pandas_records import Records, today

grains = {"month": "M", "quarter": "Q", "year": "Y"}
roles = {
    "E00014": ("employee", "manager"),
    "E00016": ("employee",),
    "E00007": ("employee", "hr_admin"),
    "E00001": ("employee", "manager"),
}
Values = dict[tuple[Any, ...], list[Any]]


class Reference:
    """Answers row by row; NoRateError when an amount has no exchange rate. Knows the model, not the compiler."""

    def __init__(
        self, model: SemanticModel, frames: dict[str, pd.DataFrame], visible: Callable[[str], set[str]]
    ) -> None:
        self._model = model
        self._frames = frames
        self._visible = visible
        self._rates = Rates(model, frames)
        self._records = Records(model, frames)
        assert model.person is not None
        self._person = model.person

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
                raw = self._records.raw(entity, frame, one.field)
                inside = raw.isin([codes.get(value, value) for value in one.values])
                frame = frame[inside if one.operator == "in" else ~inside & raw.notna()]
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
        frame = self.kept(entity, measure, query, person, self._records.of(entity))
        frame = self.timed(entity, measure, query.period, grain, frame)
        if not dims:
            return {(): self.value(measure, frame, query.currency or "EUR")}
        keys = [frame["%"] if name in grains else self._records.key(entity, frame, name) for name in dims]
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
