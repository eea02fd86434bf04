"""The words of the decision: routes, tiers, strategies. No rules live here."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Tier(IntEnum):
    """Class of model, from small to large."""

    ONE = 1
    TWO = 2
    THREE = 3


class Route(StrEnum):
    """Where a question is answered."""

    AGGREGATE = "aggregate"
    TIER1 = "tier1"
    TIER2 = "tier2"
    TIER3 = "tier3"

    @property
    def tier(self) -> Tier:
        """Tier of the model that words the answer; aggregates are narrated by tier 1."""
        return _TIER_OF[self]

    @classmethod
    def of_tier(cls, tier: Tier) -> Route:
        """The route on which a tier answers with its tools."""
        return _ROUTE_OF[tier]


_TIER_OF = {Route.AGGREGATE: Tier.ONE, Route.TIER1: Tier.ONE, Route.TIER2: Tier.TWO, Route.TIER3: Tier.THREE}
_ROUTE_OF = {Tier.ONE: Route.TIER1, Tier.TWO: Route.TIER2, Tier.THREE: Route.TIER3}


class FailurePolicy(StrEnum):
    """What a tenant prefers when the classifier or a tier is down."""

    # Up, or not at all: an answer below the needed tier is worse than none.
    QUALITY_FIRST = "quality_first"
    # Down rather than not at all, and the cheap tier when nothing is known.
    COST_FIRST = "cost_first"


class StrategyKind(StrEnum):
    """How a tenant's turns are routed."""

    # Every rule, and the confidence against the threshold.
    CASCADE = "cascade"
    # Always the same tier.
    OFF = "off"
    # The scope and difficulty rules, then a table of intents instead of the confidence.
    TABLE = "table"
    # The scope and difficulty rules, then tier 1, which hands over when it is not sure of itself.
    SELF = "self"


class OverBudget(StrEnum):
    """What happens to a question when the day's budget is used up."""

    # Answered at the cheapest tier, at the tenant's further expense; never a refusal for money.
    TIER1 = "tier1"
    # Refused until the next day, or until something that was reserved comes back.
    REFUSE = "refuse"


class Depth(StrEnum):
    """Which stages of the classifier a tenant pays for."""

    # Rules and the trained model, and the language model for what stays uncertain.
    FULL = "full"
    LOCAL = "local"
    RULES = "rules"
    # The language model for whatever no rule settles; the trained model labels nothing.
    LANGUAGE_MODEL = "language_model"
