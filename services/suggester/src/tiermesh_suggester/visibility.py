"""Which classified candidates lead somewhere for this person: known intent, sure, served, and about visible data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tiermesh_suggester.candidates import Candidate, Dropped

UNKNOWN_INTENTS = frozenset({"out_of_scope", "no_signal", ""})
# Roles that see other people's records; the aggregator decides whose, this only avoids pills that lead nowhere.
SEES_OTHERS = frozenset({"manager", "hr_admin", "finance"})


@dataclass(frozen=True)
class Classified:
    """A candidate with what the classifier says of it."""

    candidate: Candidate
    intent: str
    probability: float
    cardinality: str
    ambiguous: bool


def leading_somewhere(
    classified: Sequence[Classified],
    *,
    roles: Collection[str],
    min_probability: float,
    dropped: Dropped,
) -> list[Candidate]:
    """Keep candidates that end in an answer when clicked."""
    kept = []
    for one in classified:
        if one.intent in UNKNOWN_INTENTS:
            dropped.note("unknown_intent")
        elif one.probability < min_probability or one.ambiguous:
            dropped.note("low_confidence")
        elif one.cardinality in {"team", "org"} and not SEES_OTHERS & set(roles):
            dropped.note("not_visible")
        else:
            kept.append(one.candidate)
    return kept
