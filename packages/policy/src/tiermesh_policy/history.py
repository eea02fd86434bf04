"""What the decision knows of the conversation and of the suite's health."""

from __future__ import annotations

from dataclasses import dataclass

from tiermesh_policy.routes import Route, Tier


@dataclass(frozen=True, slots=True)
class TurnSummary:
    """One earlier turn, without its words."""

    route: Route
    # Tier that ended up answering.
    tier: Tier
    intent: str
    ambiguous: bool = False
    multi_step: bool = False
    high_stakes: bool = False
    # True when tier 1 had to hand the turn over.
    escalated: bool = False
    # True when a proposal waits for the user's word.
    proposed: bool = False
    # Tokens of this conversation in the tier's prompt cache, as last reported.
    cached_tokens: int = 0

    @property
    def family(self) -> str:
        """Family of the intent, such as "leave"."""
        return self.intent.partition(".")[0]

    @property
    def hard(self) -> bool:
        """True when the turn needed more than tier 1."""
        return self.tier >= Tier.TWO or self.ambiguous or self.multi_step or self.escalated


@dataclass(frozen=True, slots=True)
class History:
    """The last turns, oldest first."""

    turns: tuple[TurnSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """What is up. The tiers are those that are configured and reachable."""

    tiers: frozenset[Tier] = frozenset({Tier.ONE, Tier.TWO})
    # The bulk path: the aggregator behind tier 1.
    aggregate: bool = True
