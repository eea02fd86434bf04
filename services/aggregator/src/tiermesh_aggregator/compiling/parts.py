"""The parts of a statement: each measure aggregated at its own grain, before anything is put side by side.

All parts of one side of a question have the same columns (keys, words for the keys, one column per measure part), so
they are stacked and folded by key: no join ever multiplies a record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from tiermesh_pack.semantic import Dimension, Entity, Measure, SemanticModel, TimeColumn, grains

from tiermesh_aggregator.compiling import calendar_sql, filters
from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.compiling.money import Conversion, Converted, Reporting, told, untold
from tiermesh_aggregator.compiling.plan import Part, Plan
from tiermesh_aggregator.compiling.portable import percentile
from tiermesh_aggregator.compiling.scope import Members, RowScope
from tiermesh_aggregator.compiling.source import Expression, Source, raw
from tiermesh_aggregator.compiling.suppressing import beside, few, size, too_few
from tiermesh_aggregator.query import ColumnKind, Moment, Period

wide_decimal = sa.Numeric(38, 6)
real = "real"
"""Column of a part of a wide statement: 0 where a row only guards a group against subtraction."""


_unknown: Expression = sa.cast(sa.null(), sa.BigInteger())


@dataclass(frozen=True)
class Context:
    """What the whole statement shares."""

    catalog: Catalog
    model: SemanticModel
    moment: Moment
    scope: RowScope
    reporting: Reporting | None = None
    """None when the model converts no money."""


@dataclass(frozen=True)
class Frame:
    """One side of a question: whose records, in which period."""

    members: Members
    period: Period


def key_name(index: int) -> str:
    """Column of a dimension's key in all parts."""
    return f"k{index}"


def words_name(index: int) -> str:
    """Column of a dimension's words in all parts."""
    return f"w{index}"


def has_words(plan: Plan, dimension: Dimension, context: Context) -> bool:
    """Whether a dimension has a second column with words for people."""
    person = context.model.person
    shown = any(dimension.name in part.entity.shows for part in plan.parts.values())
    return dimension.kind == "band" or shown or bool(person and dimension.name in person.shows)


def grouped(plan: Plan, context: Context, frame: Frame, *, everyone: bool) -> sa.Select[Any]:
    """One row per group with every part. `everyone` adds the groups of people without a record."""
    stacked = [part for part in plan.parts.values() if not (part.divides and _missing(part, plan, context))]
    below = [part for part in plan.parts.values() if part not in stacked]
    together: dict[tuple[str, str], list[Part]] = {}
    for part in stacked:
        together.setdefault((part.entity.table, part.measure.time), []).append(part)
    selects = [_select(plan, context, frame, parts, plan.dimensions) for parts in together.values()]
    if everyone:
        selects.append(_people(plan, context, frame))
    if context.scope.wide:
        selects += [one for parts in together.values() for one in _outside(plan, context, frame, parts)]
    folded = _folded(plan, context, selects)
    return _with_totals(plan, context, frame, folded, below) if below else folded


def _missing(part: Part, plan: Plan, context: Context) -> list[Dimension]:
    """The dimensions that a part cannot be told apart by."""
    people = context.model.person.dimensions if context.model.person and part.entity.person else {}
    known = {*part.entity.dimensions, *people, *(grains if part.entity.times else ())}
    return [dimension for dimension in plan.dimensions if dimension.name not in known]


def _select(
    plan: Plan, context: Context, frame: Frame, parts: Sequence[Part], dimensions: Sequence[Dimension]
) -> sa.Select[Any]:
    """The parts that come from the same records and the same time, in one pass over them."""
    entity, time = parts[0].entity, parts[0].measure.time
    effective = time if time and entity.times[time].kind == "effective" else ""
    source = Source(context.catalog, context.model, entity, context.moment, effective=effective)
    wanted = [dimension.name for dimension in dimensions if dimension.kind == "time"]
    years = _by_year(plan, entity, entity.times[time]) if time else False
    timed = calendar_sql.bound(source, time, frame.period, wanted, context.moment, years=years)
    keys = _keys(plan, source, timed.grains, dimensions, context)
    where = [*timed.conditions, *context.scope.rows(source), *context.scope.members(source, frame.members)]
    where += _filters(plan, source, parts[0], context.moment)
    rules = [[filters.condition(source, rule) for rule in part.measure.conditions] for part in parts]
    alone = len(parts) == 1
    if alone:
        where += rules[0]
    elif all(rules):
        # A group exists when one of the measures has a record in it.
        where.append(sa.or_(*(sa.and_(*rule) for rule in rules)))
    conversion = Conversion(source, context.reporting) if context.reporting else None
    counted = {
        part.name: _counted(source, part, [] if alone else rule, conversion, timed.day)
        for part, rule in zip(parts, rules, strict=True)
    }
    columns = [*keys, *_padded(plan, context, counted)]
    if context.scope.wide:
        columns += [*_few(context, source, parts, [[]] if alone else rules), raw("1").label(real)]
    joined = _from(source, timed.steps)
    joined = conversion.joined(joined) if conversion else joined
    chosen = sa.select(*columns).select_from(joined).where(*where)
    return chosen.group_by(*[key.element for key in keys]) if keys else chosen


def _counted(
    source: Source, part: Part, rules: Sequence[Expression], conversion: Conversion | None, day: Expression | None
) -> list[sa.Label[Any]]:
    """The part's column, and what is told of its rates."""
    measure = part.measure
    if not part.converted:
        return [computed(source, measure, rules).label(part.name)]
    if measure.money is None:  # a view has converted it
        kept = (source.base.c[name] for name in kept_rates(measure.name))
        lacking, newest = (sa.func.sum(next(kept)), sa.func.max(next(kept)))
        value = computed(source, measure, rules).label(part.name)
        return [value, *told(part.name, (lacking, sa.cast(sa.null(), sa.Text), newest))]
    if conversion is None:
        raise ValueError("money without rates has not been checked")
    amount = conversion.amount(measure.money, source.value(measure.column), day)
    return [computed(source, measure, rules, amount.value).label(part.name), *told(part.name, rated(amount, rules))]


def rated(amount: Converted, rules: Sequence[Expression]) -> tuple[Expression, Expression, Expression]:
    """Of a group: how many amounts have no rate, a currency that has none, day of the newest rate used."""
    without = sa.and_(amount.unrated, *rules)
    return (
        sa.func.count(sa.case((without, raw("1")))),
        sa.func.min(sa.case((without, amount.lacking))),
        sa.func.max(sa.case((sa.and_(*rules), amount.rated)) if rules else amount.rated),
    )


def kept_rates(measure: str) -> tuple[str, str]:
    """Columns of a view beside converted money: how many amounts had no rate, and the newest rate used."""
    return f"x_{measure}", f"y_{measure}"


def _from(source: Source, steps: sa.FromClause | None) -> sa.FromClause:
    return source.from_clause if steps is None else source.from_clause.join(steps, sa.true())


def _by_year(plan: Plan, entity: Entity, time: TimeColumn) -> bool:
    named = {dimension.name for dimension in plan.dimensions} | {one.field for one in plan.query.filters}
    return time.kind == "yearly" and any(entity.dimensions.get(name) == time.start for name in named)


def _keys(
    plan: Plan, source: Source, steps: dict[str, Expression], dimensions: Sequence[Dimension], context: Context
) -> list[sa.Label[Any]]:
    found: list[sa.Label[Any]] = []
    for index, dimension in enumerate(plan.dimensions):
        if dimension not in dimensions:
            continue
        if dimension.kind == "time":
            found.append(steps[dimension.name].label(key_name(index)))
            continue
        key, words = source.dimension(dimension.name), source.shown(dimension.name)
        if dimension.kind == "band":
            key = filters.band(dimension, key, source.dimension_kind(dimension.name), context.moment)
            words = filters.band_words(dimension, key)
        found.append(key.label(key_name(index)))
        if has_words(plan, dimension, context):
            found.append((key if words is None else words).label(words_name(index)))
    return found


def _filters(plan: Plan, source: Source, part: Part, moment: Moment) -> list[Expression]:
    found = []
    for index, one in enumerate(plan.query.filters):
        if part.divides and not source.reaches(one.field):
            continue
        dimension = plan.domain.dimensions[one.field]
        found.append(filters.filtered(source, dimension, one, moment, f"filters[{index}].values"))
    return found


def computed(
    source: Source, measure: Measure, rules: Sequence[Expression], amount: Expression | None = None
) -> Expression:
    """The measure over a group; `rules` keep its records apart from those of its neighbours in the same pass.

    `amount` takes the place of the measure's own column.
    """

    def kept(value: Expression) -> Expression:
        return sa.case((sa.and_(*rules), value)) if rules else value

    if amount is None:
        amount = source.value(measure.column) if measure.column else raw("1")
    value = kept(amount)
    number = sa.cast(sa.func.count(value), sa.Double)
    # Both engines divide the same doubles here, to the last bit; their own averages are not of one type.
    average = sa.cast(sa.func.sum(value), sa.Double) / sa.func.nullif(number, raw("0"), type_=sa.Double())
    made: Mapping[str, Expression] = {
        "count": sa.func.count(value),
        "count_distinct": sa.func.count(sa.distinct(value)),
        "sum": sa.func.sum(value),
        "average": average,
        "percentile": percentile(sa.cast(value, sa.Double), measure.percentile),
        "min": sa.func.min(value),
        "max": sa.func.max(value),
    }
    return made[measure.compute]


def part_kind(part: Part, context: Context) -> ColumnKind:
    """What a part's values are."""
    measure = part.measure
    if measure.compute in ("count", "count_distinct"):
        return "integer"
    if measure.compute in ("average", "percentile"):
        return "double"
    if part.converted:
        return "decimal"
    return Source(context.catalog, context.model, part.entity, context.moment).value_kind(measure.column)


def _padded(plan: Plan, context: Context, counted: Mapping[str, Sequence[sa.Label[Any]]]) -> list[sa.Label[Any]]:
    """The columns of every part of the question; NULL where the part comes from other records."""
    found: list[sa.Label[Any]] = []
    for part in plan.parts.values():
        if part.name in counted:
            found += counted[part.name]
        elif not part.divides or not _missing(part, plan, context):
            found.append(sa.cast(sa.null(), _type(part)).label(part.name))
            found += untold(part.name) if part.converted else []
    return found


def _type(part: Part) -> sa.types.TypeEngine[Any]:
    """A type that holds the part's values; only NULLs are cast to it."""
    if part.measure.compute in ("count", "count_distinct"):
        return sa.BigInteger()
    return sa.Double() if part.measure.compute in ("average", "percentile") else wide_decimal


def _few(
    context: Context, source: Source, parts: Sequence[Part], rules: Sequence[Sequence[Expression]]
) -> list[sa.Label[Any]]:
    counts = [
        context.scope.hidden(source, rule)
        for part, rule in zip(parts, rules, strict=True)
        if not _everybodys(context, part)
    ]
    small, least = too_few(counts, context.scope.minimum_group)
    return [small.label(few), least.label(size), _unknown.label(beside)]


def _everybodys(context: Context, part: Part) -> bool:
    return context.model.visibility[part.measure.visibility or part.entity.visibility].everyone


def _outside(plan: Plan, context: Context, frame: Frame, parts: Sequence[Part]) -> list[sa.Select[Any]]:
    """Per group, the unseen people whom only a filter keeps out: without it the group would be shown with them."""
    parts = [part for part in parts if not _everybodys(context, part)]
    if not parts:
        return []
    entity, time = parts[0].entity, parts[0].measure.time
    effective = time if time and entity.times[time].kind == "effective" else ""
    source = Source(context.catalog, context.model, entity, context.moment, effective=effective)
    wanted = [dimension.name for dimension in plan.dimensions if dimension.kind == "time"]
    years = _by_year(plan, entity, entity.times[time]) if time else False
    timed = calendar_sql.bound(source, time, frame.period, wanted, context.moment, years=years)
    keys = _keys(plan, source, timed.grains, plan.dimensions, context)
    chosen = _filters(plan, source, parts[0], context.moment)
    members = context.scope.members(source, frame.members)
    chosen += [sa.and_(*members)] if members else []
    if not chosen:
        return []
    held = [sa.func.coalesce(one, sa.false()) for one in chosen]
    left_out = [[sa.not_(one), *(other for other in held if other is not one)] for one in held] + (
        [[sa.not_(sa.and_(*held))]] if len(held) > 1 else []
    )
    counts = [
        context.scope.hidden(source, [*(filters.condition(source, rule) for rule in part.measure.conditions), *outside])
        for part in parts
        for outside in left_out
    ]
    small, least = too_few(counts, context.scope.minimum_group)
    columns = [*keys, *_padded(plan, context, {}), small.label(few), _unknown.label(size), least.label(beside)]
    columns.append(raw("0").label(real))
    guard = sa.select(*columns).select_from(_from(source, timed.steps)).where(*timed.conditions)
    return [guard.group_by(*[key.element for key in keys]) if keys else guard]


def _people(plan: Plan, context: Context, frame: Frame) -> sa.Select[Any]:
    """The groups of everybody employed in the period, so that who has no record counts as zero."""
    person = context.model.person
    if person is None:
        raise ValueError("a model without people has not been checked")
    time = TimeColumn(kind="overlap", start=person.employed[0], end=person.employed[1])
    first = next(iter(plan.parts.values()))
    entity = replace(
        first.entity,
        name="people",
        table=person.table,
        person=person.key,
        joins={},
        times={"employed": time},
        dimensions={},
        shows={},
    )
    source = Source(context.catalog, context.model, entity, context.moment)
    timed = calendar_sql.bound(source, "employed", frame.period, [], context.moment, years=False)
    keys = _keys(plan, source, {}, plan.dimensions, context)
    where = [*timed.conditions, *context.scope.rows(source), *context.scope.members(source, frame.members)]
    for index, one in enumerate(plan.query.filters):
        if source.reaches(one.field):
            dimension = plan.domain.dimensions[one.field]
            where.append(filters.filtered(source, dimension, one, context.moment, f"filters[{index}].values"))
    columns: list[Any] = [*keys, *_padded(plan, context, {})]
    if context.scope.wide:
        columns += [raw("0").label(few), _unknown.label(size), _unknown.label(beside), raw("1").label(real)]
    chosen = sa.select(*columns).select_from(source.from_clause).where(*where)
    return chosen.group_by(*[key.element for key in keys])


def _folded(plan: Plan, context: Context, selects: Sequence[sa.Select[Any]]) -> sa.Select[Any]:
    if len(selects) == 1:
        return selects[0]
    stacked = sa.union_all(*selects).subquery("s")
    keys = [column for column in stacked.c if column.name[0] in "kw" and column.name[1:].isdigit()]
    rest = [column for column in stacked.c if column not in keys]
    folds: dict[str, Any] = {size: sa.func.min, beside: sa.func.min}
    folded = sa.select(*keys, *[folds.get(column.name, sa.func.max)(column).label(column.name) for column in rest])
    if context.scope.wide:
        folded = folded.having(sa.func.max(stacked.c[real]) > raw("0"))
    return folded.group_by(*keys) if keys else folded


def _with_totals(
    plan: Plan, context: Context, frame: Frame, folded: sa.Select[Any], below: Sequence[Part]
) -> sa.Select[Any]:
    """Adds denominators that know fewer dimensions: the same total stands below every group that shares its keys."""
    groups = folded.subquery("f")
    joined: sa.FromClause = groups
    added: list[Any] = []
    for number, part in enumerate(below):
        known = [dimension for dimension in plan.dimensions if dimension not in _missing(part, plan, context)]
        alone = replace(plan, parts={part.name: part})
        total = _select(alone, context, frame, [part], known).subquery(f"t{number}")
        indexes = [index for index, dimension in enumerate(plan.dimensions) if dimension in known]
        same = [groups.c[key_name(i)].is_not_distinct_from(total.c[key_name(i)]) for i in indexes]
        joined = joined.outerjoin(total, sa.and_(*same) if same else sa.true())
        added += [column for column in total.c if column.name.startswith(part.name)]
    return sa.select(*groups.c, *added).select_from(joined)
