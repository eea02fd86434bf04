"""What a route is likely to cost, from a small table of prices and usual usage.

Estimates for the runner-up and the budget only: what is booked comes from the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from tiermesh_policy.routes import Route, Tier

Count = Annotated[int, Field(ge=0)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Prices:
    """Micro-dollars per token, which is dollars per million tokens."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    input: Price
    output: Price


@dataclass(frozen=True, slots=True)
class UsageEstimate:
    """Usual usage of one answer on a route."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    model_calls: Count
    data_calls: Count
    input_tokens: Count
    output_tokens: Count


@dataclass(frozen=True, slots=True)
class CostTable:
    """Prices per tier and usage per path. The defaults are list prices and measured usage of the HR pack."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    prices: Mapping[Tier, Prices] = field(
        default_factory=lambda: {
            Tier.ONE: Prices(input=0.1, output=0.5),
            Tier.TWO: Prices(input=2.0, output=10.0),
            Tier.THREE: Prices(input=4.0, output=20.0),
        }
    )
    # One statement, one narration.
    aggregate: UsageEstimate = field(default_factory=lambda: UsageEstimate(1, 1, 1_500, 120))
    # A tool call and the answer over it, with the tier's tool set in the prompt.
    tier1: UsageEstimate = field(default_factory=lambda: UsageEstimate(2, 1, 5_000, 250))
    tier2: UsageEstimate = field(default_factory=lambda: UsageEstimate(3, 2, 14_000, 700))
    pills: UsageEstimate = field(default_factory=lambda: UsageEstimate(1, 0, 2_000, 200))
    # Tokens that each look-up of a per-entity loop adds, and how many look-ups a team or a company takes.
    tokens_per_entity: Count = 6_000
    entities_team: Count = 50
    entities_org: Count = 500

    def cost_micros(self, usage: UsageEstimate, tier: Tier) -> int:
        """Estimated cost of a usage at a tier's prices; a tier without prices counts as the dearest."""
        price = self.prices.get(tier) or max(
            self.prices.values(), key=lambda each: each.output, default=Prices(0.0, 0.0)
        )
        return ceil(usage.input_tokens * price.input + usage.output_tokens * price.output)

    def of_route(self, route: Route) -> int:
        """Estimated cost of a usual answer on a route."""
        usage = self.aggregate if route is Route.AGGREGATE else self.for_tier(route.tier)
        return self.cost_micros(usage, route.tier)

    def of_pills(self) -> int:
        """Estimated cost of a question's pills, which are always made at tier 2."""
        return self.cost_micros(self.pills, Tier.TWO)

    def for_tier(self, tier: Tier) -> UsageEstimate:
        """Usual usage of an answer by a tier with its tools."""
        return self.tier1 if tier is Tier.ONE else self.tier2

    def per_entity(self, *, whole_company: bool) -> UsageEstimate:
        """Usage of the loop that asks once per person: what the bulk path saves."""
        entities = self.entities_org if whole_company else self.entities_team
        return UsageEstimate(
            model_calls=entities + 1,
            data_calls=entities,
            input_tokens=self.tier1.input_tokens + entities * self.tokens_per_entity,
            output_tokens=self.tier1.output_tokens + entities * 40,
        )
