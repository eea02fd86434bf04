"""Puts the slots together: what the words say, what the pack means by default, what the conversation established."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

from tiermesh_pack.semantic import Domain, SemanticModel

from tiermesh_classifier.history import History
from tiermesh_classifier.lexicon import Lexicon
from tiermesh_classifier.reading.periods import Period
from tiermesh_classifier.reading.reader import Reading
from tiermesh_classifier.scores import DateRange, Slot, Slots, Stage
from tiermesh_classifier.slots import words
from tiermesh_classifier.slots.names import find_names

# Rows of a ranking that does not say how many.
USUAL_LIMIT = 10
# Population of the people below whoever is named: "Priya's team".
NAMED_REPORTS = "named_reports"
_DEFAULT = 0.7
_COMPARING = frozenset({"compare", "trend"})


@dataclass(frozen=True, slots=True)
class Sense:
    """What the axes say of the turn, as far as slots depend on it."""

    intent: str
    cardinality: str
    aggregation: str
    # True when the turn goes on with or corrects what was said before.
    continues: bool


class SlotFiller:
    """Fills slots by one pack's semantic model."""

    def __init__(self, semantic: SemanticModel, lexicon: Lexicon, kinds: Mapping[str, str], units: Set[str]) -> None:
        self._semantic = semantic
        self._lexicon = lexicon
        self._kinds = kinds
        self._units = units

    def fill(self, reading: Reading, sense: Sense, history: History) -> Slots:
        """The slots of a turn. Without a domain nothing can be aggregated, and names and dates are all there is."""
        domain = self._domain(sense.intent)
        slots = self._common(reading, sense)
        if domain is not None:
            slots = self._of_domain(slots, reading, sense, domain)
        if sense.continues:
            slots = inherited(slots, history, sense)
        return slots if domain is None else _completed(slots, sense, domain)

    def _domain(self, intent: str) -> Domain | None:
        found = self._semantic.domain_of(intent)
        return found if found is not None else self._semantic.domains.get(intent.partition(".")[0])

    def _of_domain(self, slots: Slots, reading: Reading, sense: Sense, domain: Domain) -> Slots:
        usual = domain.default_measure(sense.intent, sense.aggregation)
        general = domain.default_measure("*", sense.aggregation)
        return replace(
            slots,
            domain=_domain_slot(reading, domain),
            measures=tuple(words.measure_slots(reading, domain, usual, general)),
            group_by=tuple(words.group_slots(reading, domain)),
            filters=tuple(words.filter_slots(reading, domain, self._lexicon.weak_values)),
            descending=words.direction_of(reading) if sense.aggregation == "rank" else None,
            limit=words.limit_of(reading),
        )

    def _common(self, reading: Reading, sense: Sense) -> Slots:
        people: list[Slot] = []
        departments: list[Slot] = []
        below: Slot | None = None
        for name in find_names(reading, self._lexicon.not_names, self._units):
            start, end = reading.span(name.first, name.last)
            slot = Slot(name.words[:200], name.confidence, start=start, end=end)
            (people if name.kind == "person" else departments).append(slot)
            if name.below:
                start, end = reading.span(name.first, name.below)
                below = Slot(NAMED_REPORTS, name.confidence, start=start, end=end)
        named = bool(people or departments)
        first, second = _ranges(reading, sense, ahead=self._looks_ahead(sense.intent))
        sides: list[Slot] = []
        if sense.aggregation == "compare":
            sides = [*people, *departments] if len(people) + len(departments) > 1 else _period_sides(reading)
        return Slots(
            people=tuple(people[:200]),
            departments=tuple(departments[:200]),
            comparison_sides=tuple(sides[:20]),
            date_range=first,
            compared_range=second,
            population=below or words.population_slot(reading, sense.cardinality, named),
        )

    def _looks_ahead(self, intent: str) -> bool:
        """Whether a bare "Friday" or "March" is the next one: what is to be written, planned or looked up ahead."""
        return self._kinds.get(intent) == "write" or intent.endswith((".calendar", ".simulate", ".shift"))


def inherited(slots: Slots, history: History, sense: Sense) -> Slots:
    """What the turn leaves unsaid, taken over; what belongs to another domain or intent is let go."""
    before, topic = history.slots, history.topic
    same = before.domain is None or slots.domain is None or before.domain.value == slots.domain.value
    changes: dict[str, object] = {}
    for name in ("people", "departments"):
        if not getattr(slots, name) and sense.cardinality != "org":
            changes[name] = _taken(getattr(before, name))
    if slots.date_range is None and before.date_range is not None:
        changes["date_range"] = before.date_range
        changes["compared_range"] = before.compared_range
    elif slots.date_range is not None and sense.aggregation == "compare" and slots.compared_range is None:
        changes["compared_range"] = slots.date_range
        changes["date_range"] = before.date_range or slots.date_range
    if slots.population is None or slots.population.start == slots.population.end:
        changes["population"] = _one(before.population) or slots.population
    if same:
        same_intent = topic is None or topic.intent == sense.intent
        changes |= _same_domain(slots, before, same_intent=same_intent, ranked=sense.aggregation == "rank")
    return replace(slots, **changes)  # type: ignore[arg-type]  # names are checked by the tests of inheritance


def _same_domain(slots: Slots, before: Slots, *, same_intent: bool, ranked: bool) -> dict[str, object]:
    changes: dict[str, object] = {"domain": slots.domain or _one(before.domain)}
    if not slots.measures and same_intent:
        changes["measures"] = _taken(before.measures)
    if not slots.group_by:
        changes["group_by"] = _taken(before.group_by)
    said = {slot.value.partition("=")[0] for slot in slots.filters}
    kept = tuple(slot for slot in before.filters if slot.value.partition("=")[0] not in said)
    changes["filters"] = (*slots.filters, *_taken(kept))
    if ranked and not slots.measures and same_intent:
        changes["order_by"] = _one(before.order_by)
    if ranked:
        changes["descending"] = before.descending if slots.descending is None else slots.descending
        changes["limit"] = before.limit if slots.limit is None else slots.limit
    return changes


def _taken(slots: tuple[Slot, ...]) -> tuple[Slot, ...]:
    return tuple(
        replace(slot, stage=Stage.INHERITED, start=0, end=0, confidence=min(slot.confidence, 0.8)) for slot in slots
    )


def _one(slot: Slot | None) -> Slot | None:
    return _taken((slot,))[0] if slot is not None else None


def _ranges(reading: Reading, sense: Sense, *, ahead: bool) -> tuple[DateRange | None, DateRange | None]:
    dated = [period for period in reading.periods if not period.unresolved]
    if ahead:
        dated = [period.upcoming(reading.today) for period in dated]
    open_ended = [period for period in reading.periods if period.unresolved]
    if not dated:
        return (_range(reading, open_ended[0]) if open_ended else None), None
    if len(dated) > 1 and sense.aggregation in _COMPARING:
        return _range(reading, dated[0]), _range(reading, dated[1])
    longest = max(dated, key=lambda period: (period.days is None, period.days or 0))
    return _range(reading, longest), None


def _range(reading: Reading, period: Period) -> DateRange:
    phrase = reading.text.raw_text(period.start_at, period.end_at)[:200]
    start = period.start.isoformat() if period.start else ""
    end = period.end.isoformat() if period.end else ""
    return DateRange(start, end, phrase, period.unresolved)


def _period_sides(reading: Reading) -> list[Slot]:
    if len(reading.periods) < 2:
        return []
    sides = []
    for period in reading.periods:
        start, end = reading.text.raw_span(period.start_at, period.end_at)
        sides.append(Slot(reading.text.raw[start:end][:200], 0.8, start=start, end=end))
    return sides


def _domain_slot(reading: Reading, domain: Domain) -> Slot:
    for found in reading.terms:
        if found.value.domain == domain.name and found.value.kind in ("domain", "measure"):
            start, end = reading.span(found.first, found.last)
            return Slot(domain.name, 0.9, start=start, end=end)
    return Slot(domain.name, 0.8, Stage.TRAINED)


def _completed(slots: Slots, sense: Sense, domain: Domain) -> Slots:
    """The pack's defaults for what is still open."""
    if sense.aggregation == "none":
        return slots
    measures = slots.measures
    if not measures:
        usual = domain.default_measure(sense.intent, sense.aggregation)
        measures = (Slot(usual, _DEFAULT),) if usual else ()
    if sense.aggregation == "average" and measures:
        named = domain.measures.get(measures[0].value)
        if named is not None and named.average_as:
            measures = (replace(measures[0], value=named.average_as), *measures[1:])
    group_by = slots.group_by or tuple(
        Slot(name, _DEFAULT) for name in domain.default_group_by.get(sense.aggregation, ())
    )
    if sense.aggregation != "rank":
        return replace(slots, measures=measures, group_by=group_by)
    return replace(
        slots,
        measures=measures,
        group_by=group_by,
        order_by=slots.order_by or (replace(measures[0], start=0, end=0) if measures else None),
        descending=True if slots.descending is None else slots.descending,
        limit=slots.limit or USUAL_LIMIT,
    )
