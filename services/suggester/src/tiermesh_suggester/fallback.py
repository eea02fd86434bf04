"""Pills without a model, from the pack alone: the semantic model's dimensions and the pack's own examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiermesh_pack import Example, Pack

from tiermesh_suggester.candidates import MAX_CHARACTERS, Candidate, Kind


@dataclass(frozen=True)
class Asked:
    """What is known of the question that the pills follow."""

    intent: str
    aggregation: str
    domain: str
    measure: str
    group_by: tuple[str, ...]


def fallback_candidates(pack: Pack, asked: Asked) -> list[Candidate]:
    """Return the next dimension, the previous period, ranking ↔ total, then the pack's examples."""
    return [*_from_model(pack, asked), *_from_examples(pack.vocabulary.examples, pack, asked)]


def _from_model(pack: Pack, asked: Asked) -> list[Candidate]:
    domain = pack.semantic.domains.get(asked.domain)
    if domain is None or asked.aggregation in {"", "none", "no_signal"}:
        return []
    measure = domain.measures.get(asked.measure)
    if measure is None:
        return []
    subject = measure.label.lower()
    found = [
        Candidate(f"Show {subject} by {dimension.label.lower()}", "drill_down")
        for name, dimension in domain.dimensions.items()
        if name in {"department", "location", "month"} and name not in asked.group_by
    ]
    if asked.aggregation != "compare":
        found.append(Candidate(f"Compare {subject} with last year", "compare"))
    if asked.aggregation == "rank" and measure.compute == "sum":
        found.append(Candidate(f"What is the total of {subject}?", "drill_down"))
    return [candidate for candidate in found if len(candidate.text) <= MAX_CHARACTERS]


def _from_examples(examples: Sequence[Example], pack: Pack, asked: Asked) -> list[Candidate]:
    """Take the pack's own opening questions of the same family: other intents first, they lead further."""
    family = pack.vocabulary.intents[asked.intent].family if asked.intent in pack.vocabulary.intents else ""
    usable = [
        example
        for example in examples
        if example.intent in pack.vocabulary.intents
        and pack.vocabulary.intents[example.intent].family == family
        and presentable_example(example)
    ]
    usable.sort(key=lambda example: (example.intent == asked.intent, example.id))
    seen: set[str] = set()
    found = []
    for example in usable:
        if example.intent not in seen:
            seen.add(example.intent)
            found.append(Candidate(example.text, _kind(example, pack)))
    return found


def presentable_example(example: Example) -> bool:
    """Say whether an example reads like a suggestion: a whole, plain question without dates of its own.

    The examples teach a classifier: many are terse, misspelt, ambiguous or about troubles that nobody is nudged into.
    """
    return (
        example.position == "opening"
        and not example.ambiguous
        and example.route != "tier2"
        and example.stakes == "low"
        and len(example.text) <= MAX_CHARACTERS
        and example.text[:1].isupper()
        and example.text.endswith("?")
        and not any(character.isdigit() for character in example.text)
    )


def _kind(example: Example, pack: Pack) -> Kind:
    kinds: dict[str, Kind] = {"write": "act", "policy": "explain"}
    if example.aggregation == "compare":
        return "compare"
    return kinds.get(pack.vocabulary.intents[example.intent].kind, "drill_down")
