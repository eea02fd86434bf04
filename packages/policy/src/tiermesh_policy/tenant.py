"""A tenant's policy: every constant of the decision is data here, with a working default.

Parsing untrusted data into this is in `schema`; what the constants do is in `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from tiermesh_policy.costs import CostTable
from tiermesh_policy.routes import Depth, FailurePolicy, OverBudget, StrategyKind, Tier

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
    # Bounds inside which `tier1` may be set at run time.
    lowest: Share = 0.0
    highest: Share = 1.0
    # Where the chance is known that tier 2 suffices: tier 2 answers from this chance on, below it tier 3. Absent leaves
    # tier 3 out of it.
    tier2: Share | None = None

    def __post_init__(self) -> None:
        """Refuse thresholds that contradict each other."""
        if not self.lowest <= self.tier1 <= self.highest:
            message = f"tier1 ({self.tier1}) must lie between lowest ({self.lowest}) and highest ({self.highest})"
            raise ValueError(message)
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
    # For `self`: pairs of tier 1's stated confidence and its measured share of right answers, both rising. Empty leaves
    # it to the executor's own calibration, which knows the model that answered.
    calibration: tuple[tuple[Share, Share], ...] = ()
    # Rules alone, rules and trained model, the language model alone, or all of them, each for what is left uncertain.
    depth: Depth = Depth.FULL
    # What a wrong answer costs. Where the chance of each tier is known, tier 1 answers when that costs least in
    # expectation, the `costs` of its calls counted; `thresholds` bound it. 0 keeps to the thresholds.
    wrong_answer_micros: Micros = 0
    # Longest that a turn waits for the language model beyond the local stages. Absent waits as long as the classifier
    # says that stage takes, 0 goes without it. No turn waits where the classifier has no such stage.
    language_model_seconds: Annotated[float, Field(ge=0, le=30, allow_inf_nan=False)] | None = None

    def __post_init__(self) -> None:
        """Refuse a calibration that is no rising curve, and a table without a row."""
        for (low, low_right), (high, high_right) in pairwise(self.calibration):
            if not (low < high and low_right <= high_right):
                message = f"calibration must rise: ({high}, {high_right}) follows ({low}, {low_right})"
                raise ValueError(message)
        if self.kind is StrategyKind.TABLE and not self.tiers:
            message = "kind: table needs at least one row in `tiers`"
            raise ValueError(message)


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
    # What one second less of waiting is worth: a loser that is likely to cost more is not started.
    second_micros: Micros = 50_000


@dataclass(frozen=True, slots=True)
class Budgets:
    """Money, in micro-dollars; 0 is no limit."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    # Per day in the tenant's time zone.
    per_day_micros: Micros = 0
    per_question_micros: Micros = 0
    pills_per_question_micros: Micros = 0
    # Once a day's pills have cost this much, they come from the pack alone.
    pills_per_day_micros: Micros = 0
    over_budget: OverBudget = OverBudget.TIER1
    # What is reserved for a question without a bound of its own: this many times its estimate.
    headroom: Annotated[float, Field(ge=1, le=100)] = 3.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a tenant may ask, over all replicas of the gateway; 0 is no limit."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    per_second: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] = 0.0
    # Questions that may come at once after a pause.
    burst: Annotated[int, Field(ge=1, le=100_000)] = 20
    concurrent: Annotated[int, Field(ge=0, le=100_000)] = 0


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which answers are looked at again, off the path."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    # Share of tier-1 answers that go to a judge, the same for each intent. Stores question and answer at insights.
    judged_share: Share = 0.2
    # Share of the turns that doubt sent to tier 2 that tier 1 answers, too, unseen: what escalating costs for nothing.
    shadowed_share: Share = 0.05


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
    limits: Limits = field(default_factory=Limits)
    sampling: Sampling = field(default_factory=Sampling)
    pills: PillPolicy = field(default_factory=PillPolicy)
    commit_point: Annotated[str, Field(pattern="^(immediate|first_sentence|whole_answer)$")] = "first_sentence"
    # Intents whose tier-1 answers a judge one tier up reads before anything is shown, such as "payroll.tax".
    judged_intents: tuple[str, ...] = ()
    # Empty allows every candidate of a tag.
    allowed_models: tuple[str, ...] = ()
    costs: CostTable = field(default_factory=CostTable)
