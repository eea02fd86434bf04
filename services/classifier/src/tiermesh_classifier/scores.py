"""What the classifier says of a turn, as plain data. How it travels is the servicer's; how it is found, the axes'."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

NO_SIGNAL = "no_signal"
AXES = (
    "intent",
    "cardinality",
    "temporal",
    "aggregation",
    "position",
    "needs_context",
    "ambiguous",
    "multi_step",
    "stakes",
)


class Stage(Enum):
    """Which kind of router decided."""

    RULE = "rule"
    TRAINED = "trained"
    LLM = "llm"
    INHERITED = "inherited"


class EvidenceKind(Enum):
    """What a piece of evidence is."""

    RULE = "rule"
    FEATURE = "feature"
    SPAN = "span"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why; the range is half-open, in code points of the raw text, 0 to 0 when there is none."""

    kind: EvidenceKind
    name: str
    weight: float = 1.0
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class AxisScore:
    """One axis: every label with its probability, and who decided."""

    distribution: Mapping[str, float]
    stage: Stage
    version: str
    evidence: Sequence[Evidence] = ()

    @property
    def label(self) -> str:
        """The most probable label; the first one of a tie."""
        return max(self.distribution, key=lambda label: self.distribution[label])

    @property
    def probability(self) -> float:
        """Probability of the winning label."""
        return self.distribution[self.label]


@dataclass(frozen=True, slots=True)
class Slot:
    """One value with the words it was read from."""

    value: str
    confidence: float
    stage: Stage = Stage.RULE
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class DateRange:
    """Half-open ISO days; an empty bound is open."""

    start: str = ""
    end: str = ""
    phrase: str = ""
    unresolved: bool = False


@dataclass(frozen=True, slots=True)
class Slots:
    """What a bulk call needs, as far as the question says it."""

    domain: Slot | None = None
    measures: tuple[Slot, ...] = ()
    group_by: tuple[Slot, ...] = ()
    order_by: Slot | None = None
    descending: bool | None = None
    limit: int | None = None
    people: tuple[Slot, ...] = ()
    departments: tuple[Slot, ...] = ()
    filters: tuple[Slot, ...] = ()
    comparison_sides: tuple[Slot, ...] = ()
    date_range: DateRange | None = None
    compared_range: DateRange | None = None
    population: Slot | None = None


@dataclass(frozen=True)
class Confidence:
    """Calibrated probability that tier 1 answers right."""

    value: float
    version: str
    evidence: Sequence[Evidence] = ()


@dataclass(frozen=True, slots=True)
class TierChance:
    """Calibrated probability that one tier (1, 2 or 3) answers right, by a model of outcomes."""

    tier: int
    probability: float
    version: str


@dataclass(frozen=True)
class Scores:
    """Every axis of one turn."""

    # By axis name, in the order of `AXES`, and "surround".
    axes: Mapping[str, AxisScore]
    slots: Slots
    inherited_intent: str
    confidence: Confidence
    vocabulary_version: str
    artefact_version: str
    notes: Sequence[str] = field(default=())
    # Lowest tier first; empty when the least-tier model does not run.
    tiers: Sequence[TierChance] = ()
