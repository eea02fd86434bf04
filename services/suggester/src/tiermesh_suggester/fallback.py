"""Pills without a model, from the pack alone: its semantic model's figures, then its own suggestions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from tiermesh_pack import Intent, Pack
from tiermesh_pack.semantic_model import Domain, Entity, Measure

from tiermesh_suggester.candidates import MAX_CHARACTERS, Candidate, Kind

# Dimensions of people that a team or a company is looked at by first.
_OF_PEOPLE = ("department", "location")
_MONTH = "month"
_DAYS_OF_A_MONTH = 31
_MOST_LABEL_WORDS = 2
# Figures that say nothing of one person.
_OF_SEVERAL = frozenset({"average", "percentile"})
# The words around a measure's label below are English; packs in other languages give their own suggestions only.
TEMPLATE_LANGUAGE = "en"
_KINDS: dict[str, Kind] = {"write": "act", "policy": "explain"}


@dataclass(frozen=True)
class Asked:
    """What is known of the question that the pills follow."""

    intent: str
    aggregation: str = ""
    measure: str = ""
    group_by: tuple[str, ...] = ()
    # More than one person's data.
    many: bool = False
    # First day and the day after the last; None when no period is known.
    period: tuple[date, date] | None = None
    # What day it is for the person who asks.
    today: date = date.min


def fallback_candidates(pack: Pack, asked: Asked) -> list[Candidate]:
    """Return the next dimension, the previous period, ranking ↔ total, then the pack's own suggestions."""
    found = [*_from_figures(pack, asked), *_from_suggestions(pack, asked)]
    unique = {candidate.text: candidate for candidate in reversed(found) if len(candidate.text) <= MAX_CHARACTERS}
    return [candidate for candidate in found if unique.get(candidate.text) is candidate]


def _from_figures(pack: Pack, asked: Asked) -> Iterator[Candidate]:
    intent = pack.vocabulary.intents.get(asked.intent)
    domain = pack.semantic.domains.get(intent.domain) if intent is not None else None
    english = pack.defaults.locale.lower().startswith(TEMPLATE_LANGUAGE)
    if intent is None or domain is None or intent.kind != "data" or not english:
        return
    computed = "" if asked.aggregation in {"none", "no_signal"} else asked.aggregation
    named = (asked.measure or domain.default_measure(intent.name, computed)) if computed else ""
    measure = domain.measures.get(named or intent.default_measure)
    if measure is None or (measure.compute in _OF_SEVERAL and not asked.many):
        return
    label = _in_a_sentence(measure.label)
    for dimension in _dimensions(domain, measure, asked):
        word = _in_a_sentence(domain.dimensions[dimension].label)
        yield Candidate(f"Show {label} by {word}", "drill_down", intent.name)
    if asked.aggregation != "compare":
        yield Candidate(f"Compare {label} with {_period_before(asked)}", "compare", intent.name)
    if asked.many and asked.aggregation == "rank" and measure.additive:
        yield Candidate(f"Show total {label} in my team", "drill_down", intent.name)
    elif asked.many and asked.aggregation in {"sum", "count", "average"} and "department" not in asked.group_by:
        most = "most" if measure.additive else "highest"
        yield Candidate(f"Which department has the {most} {label}?", "compare", intent.name)


def _dimensions(domain: Domain, measure: Measure, asked: Asked) -> Iterator[str]:
    """Return what the figure can be split by next, the records' own kinds first where it is one person's."""
    entity = domain.entities.get(measure.entity)
    names = [] if entity is None else [name for name in entity.dimensions if name in domain.dimensions]
    own = [name for name in names if domain.dimensions[name].kind == "category"]
    of_people = [name for name in _OF_PEOPLE if name in domain.dimensions] if asked.many else []
    for name in (*of_people, *own[:2], *([_MONTH] if _by_month(measure, entity, asked) else [])):
        # "Status of the request" is good above a column, not within a sentence.
        if name not in asked.group_by and len(domain.dimensions[name].label.split()) <= _MOST_LABEL_WORDS:
            yield name


def _by_month(measure: Measure, entity: Entity | None, asked: Asked) -> bool:
    """Months tell something of what happens on days, within a period that has several of them."""
    time = None if entity is None else entity.times.get(measure.time or entity.default_time)
    long_enough = asked.period is None or (asked.period[1] - asked.period[0]).days > _DAYS_OF_A_MONTH
    return time is not None and time.kind in {"point", "overlap"} and long_enough


def _period_before(asked: Asked) -> str:
    """Return the words for the period before the one that was asked about."""
    if asked.period is None:
        return "last year"
    start, end = asked.period
    days = (end - start).days
    unit = "week" if days <= 7 else "month" if days <= _DAYS_OF_A_MONTH else "quarter" if days <= 92 else "year"
    return f"last {unit}" if start <= asked.today < end else f"the {unit} before"


def _from_suggestions(pack: Pack, asked: Asked) -> Iterator[Candidate]:
    """The pack's suggestions: of other intents of the family first, they lead further; then where else to begin."""
    intents = pack.vocabulary.intents
    asked_for = intents.get(asked.intent)
    if asked_for is None:
        return
    family = [intent for intent in intents.values() if intent.family == asked_for.family]
    family.sort(key=lambda intent: intent.name == asked.intent)
    for rank in range(max((len(intent.suggestions) for intent in family), default=0)):
        yield from (_suggestion(intent, rank) for intent in family if rank < len(intent.suggestions))
    if asked_for.kind == "chat" or len(family) == 1:
        firsts: dict[str, Intent] = {}
        for intent in intents.values():
            if intent.suggestions and intent.family != asked_for.family:
                firsts.setdefault(intent.family, intent)
        yield from (_suggestion(intent, 0) for intent in firsts.values())


def _suggestion(intent: Intent, rank: int) -> Candidate:
    return Candidate(intent.suggestions[rank], _KINDS.get(intent.kind, "drill_down"), intent.name)


def _in_a_sentence(label: str) -> str:
    """Return a label with a small first letter, unless it begins with an acronym."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]
