"""One turn as the rules see it, and what they hand on. No rule lives here."""

from __future__ import annotations

from dataclasses import dataclass

from tiermesh_policy.decision import Reason, Threshold
from tiermesh_policy.history import Health, History
from tiermesh_policy.routes import Route, Tier
from tiermesh_policy.scores import Scores
from tiermesh_policy.signals import Signals
from tiermesh_policy.tenant import TenantPolicy


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a rule may look at."""

    policy: TenantPolicy
    history: History
    health: Health
    min_tier: Tier
    # True when the tenant's budget is used up and its policy still wants an answer.
    over_budget: bool
    # Why no second tier may be started now, such as "share"; empty where it may.
    held_back: str
    threshold: Threshold
    # Both None when the classifier gave nothing.
    scores: Scores | None
    signals: Signals | None

    @property
    def high_scope(self) -> bool:
        """True when a per-entity path must not be taken."""
        return self.signals is not None and self.signals.high_scope


@dataclass(frozen=True, slots=True)
class Choice:
    """What the rules have settled so far."""

    # None when nothing may answer.
    route: Route | None
    tier: Tier | None
    reasons: tuple[Reason, ...]
    # The route that lost against this one, and why.
    otherwise: Route | None = None
    otherwise_detail: str = ""
    speculate: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says."""

    route: Route | None
    detail: str
    otherwise: Route | None = None
    otherwise_detail: str = ""
    speculate: bool = False
