"""Bulk lists, and records that stand out: rows as they stand, bounded and ordered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from tiermesh_pack.semantic import Domain, ListView, OutlierRules, SemanticModel

from tiermesh_aggregator.compiling import calendar_sql, filters
from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.compiling.compiled import Compiled
from tiermesh_aggregator.compiling.figures import binary, directed
from tiermesh_aggregator.compiling.filters import nearest
from tiermesh_aggregator.compiling.plan import domain_of, filters_of, limit_of, period_of
from tiermesh_aggregator.compiling.scope import Members, RowScope
from tiermesh_aggregator.compiling.source import Expression, Source, raw
from tiermesh_aggregator.compiling.wording import list_caption, scope_notes
from tiermesh_aggregator.failures import BadFieldError, UnknownNameError
from tiermesh_aggregator.query import Aggregation, Moment, Ordering, OutlierRule, Query, ResultColumn, Viewer

usual_deviations = 3.0


@dataclass(frozen=True)
class Reader:
    """Over which pack, when and for whom records are listed."""

    model: SemanticModel
    catalog: Catalog
    moment: Moment
    viewer: Viewer


def records(reader: Reader, query: Query, labels: Mapping[str, str]) -> Compiled:
    """One statement for a question of aggregation LIST or OUTLIERS."""
    if query.sides:
        raise BadFieldError("sides", "Only a comparison has sides; set aggregation to COMPARE.")
    domain = domain_of(reader.model, query.domain)
    if query.currency:
        raise BadFieldError("currency", "Records are listed in their own currencies; only figures are converted.")
    rules = None
    if query.aggregation is Aggregation.OUTLIERS:
        rules, view = _judged(domain, query)
    else:
        view = _view(domain, query)
    query = replace(
        query,
        measures=(view.name,) if rules is None else query.measures,
        filters=filters_of(query, domain),
        period=period_of(query, domain, reader.moment, view.default_period),
        limit=limit_of(query),
    )
    return _Records(reader, domain, view, query).compiled(labels, rules)


def _view(domain: Domain, query: Query) -> ListView:
    """The list that is named, that fits the named measure's records, or the domain's default."""
    if not domain.lists:
        raise BadFieldError("aggregation", f"{domain.label} has no lists.")
    if not query.measures:
        return domain.lists[domain.default_list("*")]
    name = query.measures[0]
    if name in domain.lists:
        return domain.lists[name]
    measure = domain.measures.get(name)
    if measure is None:
        known = [*domain.lists, *domain.measures]
        raise UnknownNameError("measures[0]", name, f"list or measure of {domain.name}", nearest(name, known))
    fitting = (view for view in domain.lists.values() if view.entity == measure.entity)
    return next(fitting, domain.lists[domain.default_list("*")])


def _judged(domain: Domain, query: Query) -> tuple[OutlierRules, ListView]:
    """Whose records are judged: those of the named measure, else the first that the model has rules for."""
    named = [domain.measures[name].entity for name in query.measures if name in domain.measures]
    unknown = [name for name in query.measures if name not in domain.measures]
    if unknown:
        close = nearest(unknown[0], list(domain.measures))
        raise UnknownNameError("measures[0]", unknown[0], f"measure of {domain.name}", close)
    candidates = [domain.entities[name] for name in named if name] or list(domain.entities.values())
    for entity in candidates:
        if entity.outliers is not None:
            return entity.outliers, domain.lists[entity.outliers.view]
    raise BadFieldError("outliers", "The model states no rule for what stands out among these records.")


class _Records:
    """Builds one statement over the records of one entity."""

    def __init__(self, reader: Reader, domain: Domain, view: ListView, query: Query) -> None:
        model, entity = reader.model, domain.entities[view.entity]
        if model.person is None:
            raise ValueError("a model without people has not been checked")
        self._domain, self._entity, self._view, self._query = domain, entity, view, query
        self._moment = reader.moment
        effective = view.time if view.time and entity.times[view.time].kind == "effective" else ""
        self._source = Source(reader.catalog, model, entity, reader.moment, effective=effective)
        rule = model.visibility[view.visibility or entity.visibility]
        self._scope = RowScope(reader.catalog, model.person, reader.viewer, [rule], wide=False)
        self._columns: list[tuple[ResultColumn, Expression]] = []

    def compiled(self, labels: Mapping[str, str], rules: OutlierRules | None) -> Compiled:
        for name in self._view.columns:
            self._add(name)
        notes = scope_notes(self._scope, self._query)
        if rules is None:
            select = self._all().order_by(*self._ordering()).limit(self._query_limit + 1)
        else:
            select, note = self._outlying(rules)
            notes = (*notes, note)
        return Compiled(
            select=select,
            columns=[column for column, _ in self._columns],
            query=self._query,
            caption=list_caption(self._view, self._query, labels, timed=bool(self._view.time)),
            limit=self._query_limit,
            notes=notes,
        )

    @property
    def _query_limit(self) -> int:
        return limit_of(self._query)

    def _add(self, name: str) -> None:
        label, unit = self._view.labels.get(name, ""), self._view.units.get(name, "")
        currency = unit if re.fullmatch("[A-Z]{3}", unit) else ""
        unit = "" if currency else unit
        if not self._source.reaches(name) or name in self._view.labels:
            kind = self._source.kind(name)
            plain = name.rpartition(".")[2]
            column = ResultColumn(plain, label or plain, kind, unit, currency, measure=bool(unit or currency))
            self._columns.append((column, self._source.column(name)))
            return
        dimension = self._domain.dimensions[name]
        key, words = self._source.dimension(name), self._source.shown(name)
        kind = self._source.dimension_kind(name)
        if dimension.kind == "band":
            key = filters.band(dimension, key, kind, self._moment)
            words = filters.band_words(dimension, key)
        if dimension.kind == "person":
            self._columns.append((ResultColumn(f"{name}_id", f"{dimension.label} id", kind), key))
        shown = key if words is None else words
        self._columns.append((ResultColumn(name, label or dimension.label, kind if words is None else "text"), shown))

    def _conditions(self) -> list[Expression]:
        source, query = self._source, self._query
        found = [filters.condition(source, rule) for rule in self._view.conditions]
        for index, one in enumerate(query.filters):
            if not source.reaches(one.field):
                known = [name for name in self._domain.dimensions if source.reaches(name)]
                noun = f"dimension of the list {self._view.name}"
                raise UnknownNameError(f"filters[{index}].field", one.field, noun, nearest(one.field, known))
            dimension = self._domain.dimensions[one.field]
            found.append(filters.filtered(source, dimension, one, self._moment, f"filters[{index}].values"))
        found += self._scope.rows(source)
        found += self._scope.members(source, Members(query.population, query.people, query.departments, query.teams))
        if self._view.time and query.period is not None:
            found += calendar_sql.bound(source, self._view.time, query.period, [], self._moment, years=True).conditions
        return found

    def _all(self, *more: sa.Label[Any]) -> sa.Select[Any]:
        shown = [expression.label(f"c{index}") for index, (_, expression) in enumerate(self._columns)]
        conditions = self._conditions()
        return sa.select(*shown, *more).select_from(self._source.from_clause).where(*conditions)

    def _ordering(self) -> list[Expression]:
        asked = [self._named(index, one) for index, one in enumerate(self._query.order_by)]
        usual = []
        for name in () if asked else self._view.order:
            plain = name.removeprefix("-")
            column = self._source.dimension(plain) if self._source.reaches(plain) else self._source.column(plain)
            usual.append(directed(binary(column), descending=name.startswith("-")))
        keys = [directed(binary(self._source.base.c[name]), descending=False) for name in self._entity.key]
        return [*asked, *usual, *keys]

    def _named(self, index: int, one: Ordering) -> Expression:
        for column, expression in self._columns:
            if column.name == one.field:
                return directed(binary(expression), descending=one.descending)
        known = [column.name for column, _ in self._columns]
        raise UnknownNameError(f"order_by[{index}]", one.field, "column of this list", known)

    def _outlying(self, rules: OutlierRules) -> tuple[sa.Select[Any], str]:
        """Judges within the records that the viewer may see and the question asks for."""
        asked = self._query.outliers or OutlierRule(deviations=usual_deviations)
        if asked.over_limit:
            return self._over_limit(rules)
        if asked.duplicates:
            return self._duplicates(rules)
        return self._deviating(rules, asked.deviations or 0.0)

    def _over_limit(self, rules: OutlierRules) -> tuple[sa.Select[Any], str]:
        if not rules.limit:
            raise BadFieldError("outliers.over_limit", "The model states no limit for these records.")
        fixed = re.fullmatch(r"[0-9.]+", rules.limit)
        limit = raw(rules.limit) if fixed else self._source.column(rules.limit)
        value = self._source.column(rules.value)
        select = self._all().where(value > limit).order_by(*self._ordering()).limit(self._query_limit + 1)
        return select, f"Shown: records whose {_words(rules.value)} is over the limit."

    def _duplicates(self, rules: OutlierRules) -> tuple[sa.Select[Any], str]:
        if not rules.duplicates:
            raise BadFieldError("outliers.duplicates", "The model does not say what makes these records the same.")
        same: list[Expression] = [self._source.base.c[name] for name in rules.duplicates]
        count = sa.func.count().over(partition_by=same)
        times = ResultColumn("times", "Times", "integer", measure=True)
        select = self._judged(times, count, lambda column: column > raw("1"), same)
        return select, f"Shown: records that agree in {', '.join(map(_words, rules.duplicates))}."

    def _deviating(self, rules: OutlierRules, deviations: float) -> tuple[sa.Select[Any], str]:
        if not 0.5 <= deviations <= 100:
            raise BadFieldError("outliers.deviations", "Give 0.5 to 100 standard deviations.")
        value = sa.cast(self._source.column(rules.value), sa.Double)
        groups = [self._source.dimension(name) for name in rules.within]
        mean = sa.func.avg(value).over(partition_by=groups or None)
        spread: Expression = sa.cast(sa.func.stddev_samp(value).over(partition_by=groups or None), sa.Double)
        spread = sa.func.nullif(spread, raw("0"), type_=sa.Double())
        distance = ResultColumn("deviations", "Standard deviations from the mean", "double", measure=True, decimals=1)
        limit = sa.literal(deviations, sa.Double)
        select = self._judged(distance, (value - mean) / spread, lambda column: sa.func.abs(column) > limit, [])
        among = f" of the same {' and '.join(map(_words, rules.within))}" if rules.within else ""
        return select, (
            f"Shown: records whose {_words(rules.value)} is more than {deviations:g} standard deviations "
            f"from the mean of the records{among} that you may see."
        )

    def _judged(
        self, column: ResultColumn, verdict: Expression, stands_out: Any, order: list[Expression]
    ) -> sa.Select[Any]:
        """Windows look at all records; only then those that stand out are kept."""
        keys = [self._source.base.c[name].label(f"key{index}") for index, name in enumerate(self._entity.key)]
        more = [one.label(f"o{index}") for index, one in enumerate(order)]
        inner = self._all(verdict.label("verdict"), *more, *keys).subquery("j")
        self._columns.append((column, inner.c.verdict))
        shown = [inner.c[f"c{index}"] for index in range(len(self._columns) - 1)]
        by = [directed(binary(inner.c[one.name]), descending=False) for one in more]
        by = by or [directed(sa.func.abs(inner.c.verdict), descending=True)]
        last = [directed(binary(inner.c[key.name]), descending=False) for key in keys]
        chosen = sa.select(*shown, inner.c.verdict).where(stands_out(inner.c.verdict))
        return chosen.order_by(*by, *last).limit(self._query_limit + 1)


def _words(name: str) -> str:
    return name.rpartition(".")[2].replace("_", " ")
