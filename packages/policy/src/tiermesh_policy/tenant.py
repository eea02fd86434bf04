"""A tenant's policy: every constant of the decision is data here, with a working default.

Parsing untrusted data into this is in `schema`; what the constants do is in `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from tiermesh_policy.costs import CostTable
from tiermesh_policy.routes import Depth, FailurePolicy, StrategyKind, Tier

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Micros = Annotated[int, Field(ge=0)]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Confidence per tier boundary. Higher escalates more."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    # Tier 1 answers from this confidence on.
    tier1: Share = 0.6
    # Below this confidence tier 3 answers; absent leaves tier 3 to its mapping.
    tier3: Share | None = None
    version: Annotated[str, Field(min_length=1, max_length=64)] = "default"

    def __post_init__(self) -> None:
        """Refuse thresholds that contradict each other."""
        if self.tier3 is not None and self.tier3 > self.tier1:
            message = f"tier3 ({self.tier3}) must not be above tier1 ({self.tier1})"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Doubts:
    """Probabilities from which a signal counts. Low ones lean to the dear side: a wrong cheap answer costs more."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    ambiguous: Share = 0.35
    multi_step: Share = 0.35
    high_stakes: Share = 0.4
    needs_context: Share = 0.5
    # Chance of several people's data, or of a computation over records.
    scope: Share = 0.45
    # Chance that the intent is one of a data domain, given that it is not the most likely one.
    data: Share = 0.5
    no_signal: Share = 0.5


@dataclass(frozen=True, slots=True)
class Stickiness:
    """How much the tier that a topic needed weighs on its follow-ups."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    # Added to the threshold right after a hard turn.
    strength: Share = 0.1
    # Left of it after each easy turn.
    fade: Share = 0.5
    # Added at most for the prompt cache that a switch would lose, reached at `cache_tokens`.
    cache_strength: Share = 0.02
    cache_tokens: Annotated[int, Field(ge=1)] = 20_000
    # The threshold is never raised beyond this: a sure, easy follow-up may always go back.
    ceiling: Share = 0.9


@dataclass(frozen=True, slots=True)
class Strategy:
    """How turns are routed."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    kind: StrategyKind = StrategyKind.CASCADE
    # For `off`.
    fixed_tier: Tier = Tier.TWO
    # For `table`: intents or families to tiers; what is not listed is judged by confidence.
    tiers: Mapping[str, Tier] = field(default_factory=dict)
    depth: Depth = Depth.FULL


@dataclass(frozen=True, slots=True)
class TierThree:
    """What is mapped to tier 3. All off by default."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    high_stakes: bool = False
    on_failure: bool = False


@dataclass(frozen=True, slots=True)
class Speculation:
    """Starting two tiers at once in the borderline band."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    # Half the width of the band around the threshold.
    band: Share = 0.08
    # Largest share of a tenant's turns that may speculate; 0 switches it off.
    share: Share = 0.0


@dataclass(frozen=True, slots=True)
class Budgets:
    """Money, in micro-dollars; 0 is no limit."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    per_day_micros: Micros = 0
    per_question_micros: Micros = 0
    pills_per_question_micros: Micros = 0
    # Once a day's pills have cost this much, they come from the pack alone.
    pills_per_day_micros: Micros = 0


@dataclass(frozen=True, slots=True)
class PillPolicy:
    """The pill track."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    enabled: bool = True
    count: Annotated[int, Field(ge=1, le=6)] = 3
    mode: Annotated[str, Field(pattern="^(early|informed)$")] = "early"
    # How long pills may still come after the answer is done.
    deadline_seconds: Annotated[float, Field(gt=0, le=30)] = 4.0


@dataclass(frozen=True, slots=True)
class TenantPolicy:
    """Everything that the decision and the gateway must know about a tenant."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    version: Annotated[str, Field(min_length=1, max_length=64)] = "default"
    thresholds: Thresholds = field(default_factory=Thresholds)
    doubts: Doubts = field(default_factory=Doubts)
    stickiness: Stickiness = field(default_factory=Stickiness)
    failure_policy: FailurePolicy = FailurePolicy.QUALITY_FIRST
    strategy: Strategy = field(default_factory=Strategy)
    tier3: TierThree = field(default_factory=TierThree)
    speculation: Speculation = field(default_factory=Speculation)
    budgets: Budgets = field(default_factory=Budgets)
    pills: PillPolicy = field(default_factory=PillPolicy)
    commit_point: Annotated[str, Field(pattern="^(immediate|first_sentence|whole_answer)$")] = "first_sentence"
    # Empty allows every candidate of a tag.
    allowed_models: tuple[str, ...] = ()
    costs: CostTable = field(default_factory=CostTable)
