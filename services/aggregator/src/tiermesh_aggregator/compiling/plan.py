"""What a question asks for, with all defaults taken and all names checked; no SQL yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tiermesh_pack.semantic import Dimension, Domain, Entity, Measure, SemanticModel, Visibility, grains

from tiermesh_aggregator import calendars
from tiermesh_aggregator.compiling.disclosure import all_compatible, summed
from tiermesh_aggregator.compiling.filters import meant, nearest
from tiermesh_aggregator.compiling.scope import restricting
from tiermesh_aggregator.failures import BadFieldError, UnknownNameError
from tiermesh_aggregator.query import Aggregation, Filter, Moment, Period, Population, Query, Viewer

row_cap = 1000
default_limits: Mapping[Aggregation, int] = {Aggregation.RANK: 10}
default_limit = 100


@dataclass(frozen=True)
class Part:
    """A measure that is computed from records: one that is asked for, or half of a ratio."""

    measure: Measure
    entity: Entity
    divides: bool
    """True for a denominator of another entity: it ignores what its entity cannot be told apart by."""
    converted: bool = False
    """Whether its amounts are in the currency that is asked for, also where a view has converted them before."""

    @property
    def name(self) -> str:
        """Unique in the statement."""
        return f"{self.entity.name}__{self.measure.name}{'__total' if self.divides else ''}"


@dataclass(frozen=True)
class Plan:
    """A checked question about figures."""

    query: Query
    domain: Domain
    measures: tuple[Measure, ...]
    parts: Mapping[str, Part]
    """Parts by name, each once."""
    halves: Mapping[str, tuple[str, ...]]
    """Measure to its parts: one, or numerator and denominator."""
    dimensions: tuple[Dimension, ...]
    rules: tuple[Visibility, ...]
    wide: bool
    limit: int
    reporting: str = ""
    """Currency of converted figures; empty when the model converts none."""

    @property
    def grains(self) -> tuple[str, ...]:
        """The calendar grains among the dimensions."""
        return tuple(dimension.name for dimension in self.dimensions if dimension.kind == "time")


def domain_of(model: SemanticModel, name: str) -> Domain:
    """The domain of that name; UnknownNameError otherwise."""
    found = model.domains.get(name)
    if found is None:
        raise UnknownNameError("domain", name, "domain", nearest(name, list(model.domains)) or sorted(model.domains))
    return found


def limit_of(query: Query) -> int:
    """The rows wanted. BadFieldError outside 1 to the cap."""
    if query.limit is None:
        return default_limits.get(query.aggregation, default_limit)
    if not 1 <= query.limit <= row_cap:
        raise BadFieldError("limit", f"The limit is {query.limit}; give 1 to {row_cap}.")
    return query.limit


def period_of(query: Query, domain: Domain, moment: Moment, default: str = "") -> Period:
    """The question's period, or the default one."""
    return calendars.check(query.period or calendars.relative(default or domain.default_period, moment))


def filters_of(query: Query, domain: Domain) -> tuple[Filter, ...]:
    """The filters with the model's own values."""
    found = []
    for index, one in enumerate(query.filters):
        place = f"filters[{index}]"
        dimension = dimension_of(domain, one.field, f"{place}.field")
        found.append(meant(dimension, one, f"{place}.values"))
    return tuple(found)


def dimension_of(domain: Domain, name: str, place: str) -> Dimension:
    """The dimension of that name; UnknownNameError otherwise."""
    found = domain.dimensions.get(name)
    if found is None:
        raise UnknownNameError(place, name, f"dimension of {domain.name}", nearest(name, list(domain.dimensions)))
    return found


def plan(model: SemanticModel, query: Query, moment: Moment, viewer: Viewer, *, beyond: bool = True) -> Plan:
    """Takes the defaults and checks the names of a question that is no list. Not `beyond`: visible people only."""
    domain = domain_of(model, query.domain)
    measures = _measures(domain, query)
    parts: dict[str, Part] = {}
    halves: dict[str, tuple[str, ...]] = {}
    for measure in measures:
        mine = _parts(model, domain, measure)
        parts.update({part.name: part for part in mine})
        halves[measure.name] = tuple(part.name for part in mine)
    dimensions = _dimensions(domain, query, measures)
    filters = filters_of(query, domain)
    for part in parts.values():
        _check_reach(model, domain, part, dimensions, filters)
    rules = tuple({rule.name: rule for part in parts.values() for rule in [_rule(model, part)]}.values())
    query = replace(
        query,
        measures=tuple(measure.name for measure in measures),
        group_by=tuple(dimension.name for dimension in dimensions),
        filters=filters,
        period=period_of(query, domain, moment),
        limit=limit_of(query),
    )
    _check_sides(query)
    limits = restricting(rules, viewer)
    wide = beyond and _wide(query, domain, [part.measure for part in parts.values()], dimensions, limits)
    reporting = reporting_of(model, query, moment)
    _check_currency(measures, query.currency)
    return Plan(query, domain, measures, parts, halves, dimensions, rules, wide, limit_of(query), reporting)


def reporting_of(model: SemanticModel, query: Query, moment: Moment) -> str:
    """The currency of converted figures: asked for, else the tenant's, else the one that the rates are of."""
    currencies = model.currencies
    if currencies is None:
        return ""
    if query.currency and query.currency not in currencies.reporting:
        close = nearest(query.currency, list(currencies.reporting)) or list(currencies.reporting)
        raise UnknownNameError("currency", query.currency, "currency that figures are converted to", close)
    usual = moment.currency if moment.currency in currencies.reporting else currencies.base
    return query.currency or usual


def _check_currency(measures: Sequence[Measure], asked: str) -> None:
    """Money that is kept in one currency cannot be had in another."""
    for measure in measures:
        if asked and measure.currency and measure.currency != asked:
            raise BadFieldError("currency", f"{measure.label} is kept in {measure.currency} and is not converted.")


def _measures(domain: Domain, query: Query) -> tuple[Measure, ...]:
    names = query.measures or (domain.default_measure("*", query.aggregation.in_model),)
    found: dict[str, Measure] = {}
    for index, name in enumerate(names):
        measure = domain.measures.get(name)
        if measure is None:
            close = nearest(name, list(domain.measures))
            raise UnknownNameError(f"measures[{index}]", name, f"measure of {domain.name}", close)
        if query.aggregation is Aggregation.AVERAGE and measure.average_as:
            measure = domain.measures[measure.average_as]
        found[measure.name] = measure
    return tuple(found.values())


def _parts(model: SemanticModel, domain: Domain, measure: Measure) -> list[Part]:
    if measure.compute != "ratio":
        return [Part(measure, domain.entities[measure.entity], divides=False, converted=measure.money is not None)]
    found: list[Part] = []
    for reference in (measure.numerator, measure.denominator):
        half = model.measure(reference, domain.name)
        entity = model.entity(half.entity) if half else None
        if half is None or entity is None:
            raise BadFieldError("measures", f'"{measure.name}" cannot be computed.')
        foreign = bool(found) and entity.name != found[0].entity.name
        found.append(Part(half, entity, divides=foreign, converted=half.money is not None))
    return found


def _dimensions(domain: Domain, query: Query, measures: Sequence[Measure]) -> tuple[Dimension, ...]:
    names = list(query.group_by)
    word = query.aggregation.in_model
    if not names and query.aggregation is Aggregation.RANK:
        names = list(measures[0].rank_by or domain.default_group_by.get(word, ()))
    if query.aggregation is Aggregation.TREND and not any(name in grains for name in names):
        names += domain.default_group_by.get(word, ("month",))
    found = {name: dimension_of(domain, name, f"group_by[{index}]") for index, name in enumerate(names)}
    return tuple(found.values())


def _check_reach(
    model: SemanticModel, domain: Domain, part: Part, dimensions: Sequence[Dimension], filters: Sequence[Filter]
) -> None:
    """Every record of a part can be told apart by every dimension, unless it only divides."""
    if part.divides:
        return
    person = model.person.dimensions if model.person and part.entity.person else {}
    reachable = {*part.entity.dimensions, *person, *(grains if part.entity.times else ())}
    for place, names in (
        ("group_by", [dimension.name for dimension in dimensions]),
        ("filters", [one.field for one in filters]),
    ):
        for index, name in enumerate(names):
            if name not in reachable:
                noun = f"dimension of {part.measure.name}"
                known = [one for one in domain.dimensions if one in reachable]
                raise UnknownNameError(f"{place}[{index}]", name, noun, nearest(name, known) or known[:5])


def _rule(model: SemanticModel, part: Part) -> Visibility:
    return model.visibility[part.measure.visibility or part.entity.visibility]


def _check_sides(query: Query) -> None:
    if query.aggregation is not Aggregation.COMPARE:
        if query.sides:
            raise BadFieldError("sides", "Only a comparison has sides; set aggregation to COMPARE.")
        return
    if len(query.sides) == 1 or (not query.sides and not query.group_by):
        raise BadFieldError("sides", "A comparison needs two to ten sides, or a dimension to group by.")
    for side in query.sides:
        if side.period is not None:
            calendars.check(side.period)


def _wide(
    query: Query,
    domain: Domain,
    measures: Sequence[Measure],
    dimensions: Sequence[Dimension],
    limits: Sequence[Visibility],
) -> bool:
    """Whether the question may sum up people beyond the visible ones: nothing in it may single anybody out."""
    populations = {side.population or query.population for side in query.sides} or {query.population}
    company = populations <= {Population.COMPANY, Population.DEPARTMENT}
    named = query.people or query.teams or any(side.people or side.teams for side in query.sides)
    if not limits or not company or named:
        return False
    widest = {"company"} if Population.COMPANY in populations else {"company", "department"}
    singled_out = [*dimensions, *(domain.dimensions[one.field] for one in query.filters)]
    parts = [measure.name for measure in measures]
    grains_of = [dimension.name for dimension in dimensions if dimension.kind == "time"]
    if not all_compatible(summed(query, parts, grains_of)):
        return False
    return (
        all(rule.aggregates in widest for rule in limits)
        and not any(dimension.identifying for dimension in singled_out)
        and all(measure.compute in ("sum", "count", "count_distinct", "average") for measure in measures)
    )
