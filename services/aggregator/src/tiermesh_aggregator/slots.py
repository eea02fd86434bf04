"""From the classifier's slots to a question, when they are complete and sure. Knows no wire format and no database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tiermesh_pack.semantic import Condition, Domain, Entity, Measure, SemanticModel

from tiermesh_aggregator import calendars
from tiermesh_aggregator.failures import SlotsIncompleteError
from tiermesh_aggregator.query import (
    Aggregation,
    Filter,
    Moment,
    Ordering,
    Period,
    Population,
    Query,
    Side,
    Viewer,
)

populations: Mapping[str, Population] = {
    "self": Population.SELF,
    "reports": Population.ALL_REPORTS,
    "department": Population.DEPARTMENT,
    "company": Population.COMPANY,
}
# "Priya's team": the people who report to whoever is named.
NAMED_REPORTS = "named_reports"


clear_word = 0.8
"""Confidence of a measure that the question names by a word of its own."""


@dataclass(frozen=True)
class Said:
    """One value with how sure it is; `inherited` ones come from no word of the question."""

    value: str
    confidence: float = 1.0
    inherited: bool = False
    start: int = 0
    end: int = 0
    """Where the words stand in the question; both 0 when nowhere."""

    def overlaps(self, other: "Said") -> bool:
        """Whether both were read from the same words."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class SaidPeriod:
    """A period, or words for one that has no dates."""

    period: Period
    phrase: str = ""
    unresolved: bool = False


@dataclass(frozen=True)
class Slots:
    """What the classifier read."""

    intent: str
    aggregation: Said
    cardinality: Said
    temporal: Said
    domain: Said | None = None
    measures: Sequence[Said] = ()
    group_by: Sequence[Said] = ()
    order_by: Said | None = None
    descending: bool | None = None
    limit: int | None = None
    people: Sequence[Said] = ()
    departments: Sequence[Said] = ()
    filters: Sequence[Said] = ()
    sides: Sequence[Said] = ()
    period: SaidPeriod | None = None
    compared: SaidPeriod | None = None
    population: Said | None = None


@dataclass
class _Reading:
    """Collects what lacks, so that all of it is told at once."""

    sure: float
    missing: list[str] = field(default_factory=list)

    def values(self, name: str, said: Sequence[Said], known: Sequence[str] | Mapping[str, object] | None) -> list[str]:
        for one in said:
            unknown = known is not None and one.value not in known
            if (one.confidence < self.sure or unknown) and name not in self.missing:
                self.missing.append(name)
        return list(dict.fromkeys(one.value for one in said))


def question(model: SemanticModel, slots: Slots, moment: Moment, viewer: Viewer, *, sure: float) -> Query:
    """The query. SlotsIncompleteError names every slot that lacks or is below `sure`."""
    reading = _Reading(sure)
    domain = _domain(model, slots, reading)
    aggregation = _aggregation(slots, reading)
    if domain is None or aggregation is None:
        raise SlotsIncompleteError(reading.missing)
    measures = _measures(domain, slots, aggregation, reading)
    sides = _sides(slots, reading) if aggregation is Aggregation.COMPARE else ()
    group_by = _group_by(domain, slots, aggregation, measures, reading)
    if aggregation is Aggregation.COMPARE and not sides and not group_by:
        reading.missing.append("comparison_sides")
    split = bool(sides) and not any(side.period for side in sides)
    below = _below_the_named(model, domain, slots, reading)
    query = Query(
        domain=domain.name,
        aggregation=aggregation,
        measures=tuple(measures),
        group_by=tuple(group_by),
        filters=(*_filters(model, domain, slots, measures, reading), *below),
        period=_period(domain, slots, measures, moment, reading),
        order_by=_ordering(slots, aggregation, measures),
        limit=min(max(slots.limit, 1), 1000) if slots.limit is not None else None,
        population=_population(slots, viewer, reading),
        named=() if split or below else tuple(reading.values("people", slots.people, None)),
        departments=() if split else tuple(reading.values("departments", slots.departments, None)),
        sides=tuple(sides),
    )
    if reading.missing:
        raise SlotsIncompleteError(reading.missing)
    return query


def _domain(model: SemanticModel, slots: Slots, reading: _Reading) -> Domain | None:
    if slots.domain is not None and slots.domain.value:
        names = reading.values("domain", [slots.domain], model.domains)
        return model.domains.get(names[0])
    found = model.domain_of(slots.intent)
    if found is None:
        reading.missing.append("domain")
    return found


def _aggregation(slots: Slots, reading: _Reading) -> Aggregation | None:
    words = {one.in_model: one for one in Aggregation}
    if slots.aggregation.value not in words or slots.aggregation.confidence < reading.sure:
        reading.missing.append("aggregation")
        return None
    return words[slots.aggregation.value]


def _measures(domain: Domain, slots: Slots, aggregation: Aggregation, reading: _Reading) -> list[str]:
    if aggregation is Aggregation.LIST:
        lists = [one.value for one in slots.measures if one.value in domain.lists]
        return lists[:1] or [domain.default_list(slots.intent)]
    named = reading.values("measures", slots.measures, domain.measures)
    if not named:
        usual = domain.default_measure(slots.intent, aggregation.in_model)
        if not usual:
            reading.missing.append("measures")
        named = [usual] if usual else []
    if _is_general(domain, slots, aggregation):
        reading.missing.append("measures")
    order = slots.order_by.value if slots.order_by else ""
    if order in domain.measures and order not in named:
        named.insert(0, order)
    return named[:8]


def _is_general(domain: Domain, slots: Slots, aggregation: Aggregation) -> bool:
    """Whether the only measure is what the domain's questions mean in general, read from a word as general.

    "People", in a question about who came and who went, is no word for the headcount.
    """
    general = domain.default_measure("*", aggregation.in_model)
    usual = domain.default_measure(slots.intent, aggregation.in_model)
    said = {one.value for one in slots.measures}
    vague = all(one.confidence < clear_word for one in slots.measures)
    return said == {general} and usual != general and vague


def _group_by(
    domain: Domain, slots: Slots, aggregation: Aggregation, measures: Sequence[str], reading: _Reading
) -> list[str]:
    if aggregation is Aggregation.LIST:
        return []
    named = reading.values("group_by", slots.group_by, domain.dimensions)
    first: Measure | None = domain.measures.get(measures[0]) if measures else None
    if aggregation is Aggregation.RANK and first is not None and first.rank_by:
        # A default of the domain yields to the measure's own, a word of the question does not.
        return named if any(not one.inherited for one in slots.group_by) else list(first.rank_by)
    if aggregation is Aggregation.TREND and slots.temporal.value == "multi_year":
        coarse = [one.value for one in slots.group_by if not one.inherited]
        return coarse or ["year"]
    return named[:6]


def _sides(slots: Slots, reading: _Reading) -> tuple[Side, ...]:
    """Two periods, or the people and departments that are set side by side."""
    if slots.period is not None and slots.compared is not None:
        if slots.period.unresolved or slots.compared.unresolved:
            reading.missing.append("compared_range")
            return ()
        return tuple(Side(label=one.phrase, period=one.period) for one in (slots.period, slots.compared))
    words = reading.values("comparison_sides", slots.sides, None)
    people = [one.value for one in slots.people]
    departments = [one.value for one in slots.departments]
    if not words and len(people) + len(departments) > 1:
        words = [*people, *departments]
    sides = []
    for word in words[:10]:
        if word in people:
            sides.append(Side(people=(word,)))
        elif word in departments:
            sides.append(Side(departments=(word,)))
        else:
            sides.append(Side(named=word))
    return tuple(sides) if len(sides) > 1 else ()


def _filters(
    model: SemanticModel, domain: Domain, slots: Slots, measures: Sequence[str], reading: _Reading
) -> tuple[Filter, ...]:
    """The filters, without those that only repeat what the measure itself says."""
    found: dict[str, list[str]] = {}
    said = [(one, *one.value.partition("=")[::2]) for one in slots.filters]
    for one, name, value in said:
        verdict = (
            "missing" if not value or one.confidence < reading.sure else _verdict(model, domain, one, measures, slots)
        )
        if verdict == "kept":
            found.setdefault(name, []).append(value)
        elif verdict == "missing" and "filters" not in reading.missing:
            reading.missing.append("filters")
    return tuple(Filter(name, "in", tuple(values)) for name, values in found.items())


def _verdict(model: SemanticModel, domain: Domain, one: Said, measures: Sequence[str], slots: Slots) -> str:
    """kept; repeated (the measure holds it already, or both were read from the same words); or missing."""
    name, _, value = one.value.partition("=")
    dimension = domain.dimensions.get(name)
    if dimension is None:
        return "missing"
    stored = dimension.codes.get(value, value)
    for entity, conditions in _records(model, domain, measures, listed=slots.aggregation.value == "none"):
        reachable = name in entity.dimensions or (entity.person and model.person and name in model.person.dimensions)
        if not reachable:
            return "repeated" if any(one.overlaps(measure) for measure in slots.measures) else "missing"
        held = [rule for rule in conditions if rule.column == entity.dimensions.get(name)]
        for rule in held:
            inside = stored in map(str, rule.values)
            if inside and rule.operator == "in" and len(rule.values) == 1:
                return "repeated"
            if inside is not (rule.operator == "in"):
                return "missing"  # what the measure leaves out is asked for: another measure is meant
    return "kept"


def _records(
    model: SemanticModel, domain: Domain, measures: Sequence[str], *, listed: bool
) -> list[tuple[Entity, Sequence[Condition]]]:
    """What the measures (or the list) are computed from, and what they hold already; of a ratio the numerator."""
    found: list[tuple[Entity, Sequence[Condition]]] = []
    for name in measures:
        view = domain.lists.get(name)
        if listed and view is not None:
            found.append((domain.entities[view.entity], view.conditions))
            continue
        measure = domain.measures[name]
        half = model.measure(measure.numerator, domain.name) if measure.compute == "ratio" else measure
        entity = model.entity(half.entity) if half else None
        found += [(entity, half.conditions)] if half and entity else []
    return found


def _period(domain: Domain, slots: Slots, measures: Sequence[str], moment: Moment, reading: _Reading) -> Period | None:
    if slots.period is not None and slots.period.unresolved:
        reading.missing.append("date_range")
        return None
    if slots.period is not None and (slots.period.period.start or slots.period.period.end):
        return slots.period.period
    if slots.temporal.value == "multi_year":
        return Period()
    measure = domain.measures.get(measures[0]) if measures else None
    entity = domain.entities.get(measure.entity) if measure else None
    spans = bool(entity and measure and measure.time and entity.times[measure.time].kind == "overlap")
    return calendars.relative("today", moment) if spans and slots.temporal.value == "now" else None


def _below_the_named(model: SemanticModel, domain: Domain, slots: Slots, reading: _Reading) -> tuple[Filter, ...]:
    """The people whose manager is named, as a filter on the pack's dimension for managers."""
    if slots.population is None or slots.population.value != NAMED_REPORTS or not slots.people:
        return ()
    person = model.person
    columns = person.columns if person else {}
    managers = [
        one
        for one in domain.dimensions.values()
        if one.kind == "person" and person and columns.get(one.name) == person.lines.manager
    ]
    if not managers or len(slots.people) > 1:
        reading.missing.append("population")
        return ()
    return (Filter(managers[0].name, "in", tuple(reading.values("people", slots.people, None))),)


def _ordering(slots: Slots, aggregation: Aggregation, measures: Sequence[str]) -> tuple[Ordering, ...]:
    if aggregation is not Aggregation.RANK or slots.descending is None or not measures:
        return ()
    return (Ordering(measures[0], slots.descending),)


def _population(slots: Slots, viewer: Viewer, reading: _Reading) -> Population:
    """Whom the question is about. "Team" is the tree below a manager, and the department of everybody else."""
    named = bool(slots.people or slots.departments)
    said = slots.population.value if slots.population and slots.population.confidence >= reading.sure else ""
    if said == "team":
        return Population.ALL_REPORTS if "manager" in viewer.roles else Population.DEPARTMENT
    if said in populations:
        return populations[said]
    if slots.departments:
        return Population.COMPANY
    if named:
        return Population.VISIBLE
    by_cardinality = {"one": Population.SELF, "org": Population.COMPANY}
    return by_cardinality.get(slots.cardinality.value, Population.VISIBLE)
