"""Precomputed views for the compiler: what a view's table looks like, what fills it, and which questions it answers.

A view stands in for an entity: the same person, the same names, a day per step, one column per measure. So the row
scope, the groups, the filters and the suppression of a question over a view are those of a question over the tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from tiermesh_pack.semantic import Condition, Entity, Measure, PrecomputedView, SemanticModel, TimeColumn, grains

from tiermesh_aggregator import calendars
from tiermesh_aggregator.compiling import filters
from tiermesh_aggregator.compiling.calendar_sql import truncated
from tiermesh_aggregator.compiling.catalog import Catalog, sql_kinds
from tiermesh_aggregator.compiling.money import Conversion, Reporting
from tiermesh_aggregator.compiling.parts import computed, kept_rates, rated
from tiermesh_aggregator.compiling.plan import Part, Plan
from tiermesh_aggregator.compiling.source import Source
from tiermesh_aggregator.engines.statement import literally
from tiermesh_aggregator.query import ColumnKind, Moment, Period

person, step = "person", "step"


@dataclass(frozen=True)
class Ready:
    """A view that is fresh enough to answer, and how much there is to read in it."""

    view: PrecomputedView
    rows: int = 0


coarser: Mapping[str, tuple[str, ...]] = {
    "day": grains,
    "month": ("month", "quarter", "year", "fiscal_quarter", "fiscal_year"),
    "quarter": ("quarter", "year"),
    "year": ("year",),
}
"""Which grains a view of a grain can be told apart by."""


def table_name(view: PrecomputedView) -> str:
    """The table, or on PostgreSQL the guarded view, that statements read."""
    return f"tiermesh_view_{view.name}"


def stand_in(model: SemanticModel, view: PrecomputedView) -> Entity:
    """The view as an entity."""
    entity = model.domains[view.domain].entities[view.entity]
    return replace(
        entity,
        table=table_name(view),
        key=(),
        person=person,
        person_match=("", ""),
        joins={},
        times={view.time: TimeColumn(kind="point", start=step, label=entity.times[view.time].label)},
        default_time=view.time,
        dimensions={name: f"d_{name}" for name in view.dimensions},
        shows={name: f"w_{name}" for name in view.dimensions if name in entity.shows},
        outliers=None,
    )


def measured(measure: Measure) -> Measure:
    """The measure over the view: its sum. Where nothing was recorded the column is empty, not zero."""
    column = f"m_{measure.name}"
    conditions = (Condition(column, "is_null", (False,)),)
    return replace(measure, compute="sum", column=column, conditions=conditions, money=None)


def register(catalog: Catalog, model: SemanticModel) -> None:
    """Makes the views' tables known to the catalog."""
    for view in model.views.values():
        catalog.add(table_name(view), _kinds(catalog, model, view))


def _kinds(catalog: Catalog, model: SemanticModel, view: PrecomputedView) -> dict[str, ColumnKind]:
    domain = model.domains[view.domain]
    entity = domain.entities[view.entity]
    source = Source(catalog, model, entity, Moment(calendars.earliest))
    found: dict[str, ColumnKind] = {person: "text", step: "date"}
    for name in view.dimensions:
        found[f"d_{name}"] = source.dimension_kind(name)
        if name in entity.shows:
            found[f"w_{name}"] = "text"
    for name in view.measures:
        measure = domain.measures[name]
        found[f"m_{name}"] = "integer" if measure.compute == "count" else source.value_kind(measure.column)
        if measure.money is not None:
            lacking, newest = kept_rates(name)
            found |= {f"m_{name}": "decimal", lacking: "integer", newest: "date"}
    return found


def definition(catalog: Catalog, model: SemanticModel, view: PrecomputedView, moment: Moment) -> str:
    """The SELECT that fills the view, with nothing left open: over everybody, all time, all values."""
    domain = model.domains[view.domain]
    entity = domain.entities[view.entity]
    source = Source(catalog, model, entity, moment)
    day = source.column(entity.times[view.time].start)
    keys: list[sa.Label[Any]] = [source.person.label(person), truncated(day, view.grain, moment).label(step)]
    for name in view.dimensions:
        keys.append(source.dimension(name).label(f"d_{name}"))
        words = source.shown(name)
        if words is not None:
            keys.append(words.label(f"w_{name}"))
    kinds = _kinds(catalog, model, view)
    rates = model.currencies
    conversion = Conversion(source, Reporting(catalog, rates, rates.base)) if rates else None
    rules: list[list[Any]] = []
    values: list[sa.Label[Any]] = []
    for name in view.measures:
        measure = domain.measures[name]
        rule = [filters.condition(source, one) for one in measure.conditions]
        rules.append(rule)
        if measure.money is not None and conversion is not None:
            amount = conversion.amount(measure.money, source.value(measure.column), day)
            value = computed(source, measure, rule, amount.value)
            unrated, _, newest = rated(amount, rule)
            lacking = kept_rates(name)
            # Empty amounts are left out where a view is read; one that only lacks its rate must not be.
            value = sa.case((unrated > 0, sa.func.coalesce(value, 0)), else_=value)
            values += [unrated.label(lacking[0]), newest.label(lacking[1])]
        else:
            value = computed(source, measure, rule)
        if measure.compute == "count":
            value = sa.func.nullif(value, 0)
        values.append(sa.cast(value, sql_kinds[kinds[f"m_{name}"]]).label(f"m_{name}"))
    joined = conversion.joined(source.from_clause) if conversion else source.from_clause
    chosen = sa.select(*keys, *values).select_from(joined)
    if all(rules):
        chosen = chosen.where(sa.or_(*(sa.and_(*rule) for rule in rules)))
    return literally(chosen.group_by(*(key.element for key in keys)))


def answered(
    plan: Plan, model: SemanticModel, fresh: Sequence[Ready], moment: Moment
) -> tuple[Plan, tuple[PrecomputedView, ...]] | None:
    """The plan over views, when they answer all of it exactly; None when any part of it needs the tables.

    Of several that could, those are taken of which least has to be read.
    """
    fitting = {name: _fitting(part, plan, model, fresh, moment) for name, part in plan.parts.items()}
    if not all(fitting.values()):
        return None
    taken = _least(fitting)
    parts = {
        name: replace(part, entity=stand_in(model, taken[name]), measure=measured(part.measure))
        for name, part in plan.parts.items()
    }
    return replace(plan, parts=parts), tuple({view.name: view for view in taken.values()}.values())


def _fitting(part: Part, plan: Plan, model: SemanticModel, fresh: Sequence[Ready], moment: Moment) -> Sequence[Ready]:
    """The views that hold a part, smallest first. Money is kept in the base currency: in another it has no view."""
    if part.converted and model.currencies and plan.reporting != model.currencies.base:
        return ()
    found = [one for one in fresh if _covers(one.view, part) and _exact(one.view, plan, model, moment)]
    return sorted(found, key=lambda one: one.rows)


def _least(fitting: Mapping[str, Sequence[Ready]]) -> dict[str, PrecomputedView]:
    """The smallest view for each part, or one for all of them where reading that once is less."""
    apart = {name: found[0] for name, found in fitting.items()}
    shared = [one for one in next(iter(fitting.values())) if all(one in found for found in fitting.values())]
    rows = sum({one.view.name: one.rows for one in apart.values()}.values())
    if shared and shared[0].rows <= rows:
        return dict.fromkeys(fitting, shared[0].view)
    return {name: one.view for name, one in apart.items()}


def _covers(view: PrecomputedView, part: Part) -> bool:
    measure = part.measure
    return view.entity == part.entity.name and view.time == measure.time and measure.name in view.measures


def _exact(view: PrecomputedView, plan: Plan, model: SemanticModel, moment: Moment) -> bool:
    """Whether no step and no dimension of the question is finer than the view's."""
    people = model.person.dimensions if model.person else {}
    reachable = {*view.dimensions, *people, *coarser[view.grain]}
    asked = [*(one.name for one in plan.dimensions), *(one.field for one in plan.query.filters)]
    periods = [side.period for side in plan.query.sides if side.period] or [plan.query.period or Period()]
    return set(asked) <= reachable and all(_whole(one, view.grain, moment) for one in periods)


def _whole(period: Period, grain: str, moment: Moment) -> bool:
    edges: list[Any] = [day for day in (period.start, period.end) if day is not None]
    return all(calendars.floor(day, grain, moment) == day for day in edges)
