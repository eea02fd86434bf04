"""Precomputed views for the compiler: what a view's table looks like, what fills it, and which questions it answers.

A view stands in for an entity: the same person, the same names, a day per step, one column per measure. So the row
scope, the groups, the filters and the suppression of a question over a view are those of a question over the tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from tiermesh_pack.semantic import Condition, Entity, Measure, PrecomputedView, SemanticModel, TimeColumn, grains

from tiermesh_aggregator import calendars
from tiermesh_aggregator.compiling import filters
from tiermesh_aggregator.compiling.calendar_sql import truncated
from tiermesh_aggregator.compiling.catalog import Catalog, sql_kinds
from tiermesh_aggregator.compiling.parts import computed
from tiermesh_aggregator.compiling.plan import Part, Plan
from tiermesh_aggregator.compiling.source import Source
from tiermesh_aggregator.engines.statement import literally
from tiermesh_aggregator.query import ColumnKind, Moment, Period

person, step = "person", "step"
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
    return replace(measure, compute="sum", column=column, conditions=(Condition(column, "is_null", (False,)),))


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
    rules, values = [], []
    for name in view.measures:
        measure = domain.measures[name]
        rule = [filters.condition(source, one) for one in measure.conditions]
        rules.append(rule)
        value = computed(source, measure, rule)
        if measure.compute == "count":
            value = sa.func.nullif(value, 0)
        values.append(sa.cast(value, sql_kinds[kinds[f"m_{name}"]]).label(f"m_{name}"))
    chosen = sa.select(*keys, *values).select_from(source.from_clause)
    if all(rules):
        chosen = chosen.where(sa.or_(*(sa.and_(*rule) for rule in rules)))
    return literally(chosen.group_by(*(key.element for key in keys)))


def answered(
    plan: Plan, model: SemanticModel, fresh: Sequence[PrecomputedView], moment: Moment
) -> tuple[Plan, tuple[PrecomputedView, ...]] | None:
    """The plan over views, when they answer all of it exactly; None when any part of it needs the tables."""
    used: dict[str, PrecomputedView] = {}
    parts: dict[str, Part] = {}
    for name, part in plan.parts.items():
        view = next((one for one in fresh if _covers(one, part) and _exact(one, plan, model, moment)), None)
        if view is None:
            return None
        used[view.name] = view
        parts[name] = replace(part, entity=stand_in(model, view), measure=measured(part.measure))
    return replace(plan, parts=parts), tuple(used.values())


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
