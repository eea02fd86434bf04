"""What the classifier says, as plain data. How it is judged is in `signals`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiermesh_policy.routes import Tier

NO_SIGNAL = "no_signal"


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: the winning label, its probability, and all labels with theirs."""

    label: str = NO_SIGNAL
    probability: float = 1.0
    distribution: Mapping[str, float] = field(default_factory=dict)

    def chance(self, *labels: str) -> float:
        """Probability that one of these labels is right."""
        shares = self.distribution or {self.label: self.probability}
        return sum(shares.get(label, 0.0) for label in labels)


@dataclass(frozen=True, slots=True)
class IntentFacts:
    """What a domain pack states about one intent."""

    family: str
    # Data domain of the semantic model; None for policies, small talk and the like.
    domain: str | None = None
    write: bool = False
    high_stakes: bool = False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The intents of a pack. An intent that it does not know has no data and writes nothing."""

    intents: Mapping[str, IntentFacts] = field(default_factory=dict)

    def facts(self, intent: str) -> IntentFacts:
        """Facts of an intent, also of an unknown one."""
        known = self.intents.get(intent)
        return known if known is not None else IntentFacts(family=intent.partition(".")[0])


@dataclass(frozen=True, slots=True)
class Scores:
    """Every axis of one turn, none combined."""

    intent: Axis = field(default_factory=Axis)
    cardinality: Axis = field(default_factory=Axis)
    temporal: Axis = field(default_factory=Axis)
    aggregation: Axis = field(default_factory=Axis)
    position: Axis = field(default_factory=Axis)
    needs_context: Axis = field(default_factory=Axis)
    ambiguous: Axis = field(default_factory=Axis)
    multi_step: Axis = field(default_factory=Axis)
    stakes: Axis = field(default_factory=Axis)
    # Calibrated probability that tier 1 answers this turn right.
    confidence: float = 0.0
    # Calibrated probability that each tier answers right, by a model of outcomes; empty where none runs.
    suffices: Mapping[Tier, float] = field(default_factory=dict)
    # False when a write is known to lack a value that it cannot do without; None when nobody looked.
    slots_complete: bool | None = None
    # True for a short "yes, do that": it says nothing of its own.
    approval: bool = False
    # What the pack says of the intents in `intent`.
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    @property
    def general(self) -> bool:
        """True where a pack without intents is judged by the chances of the tiers: no axis is trained then."""
        return bool(self.suffices) and not self.vocabulary.intents
