"""The decision as it is returned, logged and replayed."""

from __future__ import annotations

from dataclasses import dataclass

from tiermesh_policy.routes import Route, Tier


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that had a say."""

    # Stable name of the rule, for dashboards.
    rule: str
    # What it saw, for people; never the question's text.
    detail: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """The confidence from which tier 1 may answer, as it was applied to this turn."""

    value: float
    version: str


@dataclass(frozen=True, slots=True)
class Alternative:
    """The runner-up and what it would have cost."""

    route: Route
    tier: Tier
    detail: str
    estimated_model_calls: int
    estimated_data_calls: int
    estimated_cost_micros: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a turn goes, and why."""

    # None when no route is up that may answer under the tenant's failure policy.
    route: Route | None
    tier: Tier | None
    reasons: tuple[Reason, ...]
    threshold: Threshold
    otherwise: Alternative | None
    speculate: bool
    bulk_tools_only: bool
    policy_version: str
    estimated_cost_micros: int
    # Tier 1 hands over when it states less confidence than this; None leaves it to the executor.
    least_stated_confidence: float | None = None
    # Tier 1 hands over when what it states has been worth less, by the executor's calibration; None asks nothing.
    least_right_confidence: float | None = None
