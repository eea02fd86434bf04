from __future__ import annotations

from tiermesh_policy import FailurePolicy, Health, Route, TenantPolicy, Tier, failover, next_tier
from tiermesh_policy.tenant import TierThree

QUALITY, COST = TenantPolicy(), TenantPolicy(failure_policy=FailurePolicy.COST_FIRST)
WITH_THREE = TenantPolicy(tier3=TierThree(on_failure=True))
ALL = Health(tiers=frozenset(Tier))


def test_what_is_lost_goes_up_first() -> None:
    assert failover(Route.AGGREGATE, QUALITY, ALL) is Route.TIER2
    assert failover(Route.TIER1, COST, ALL) is Route.TIER2
    assert failover(Route.TIER3, QUALITY, ALL) is Route.TIER2


def test_only_cost_first_goes_down() -> None:
    assert failover(Route.TIER2, QUALITY, ALL) is None
    assert failover(Route.TIER2, COST, ALL) is Route.TIER1
    assert failover(Route.TIER2, WITH_THREE, ALL) is Route.TIER3


def test_nothing_is_tried_twice_or_below_what_was_asked_for_or_while_it_is_down() -> None:
    assert failover(Route.TIER1, COST, ALL, tried={Route.TIER2}) is None
    assert failover(Route.TIER2, COST, ALL, min_tier=Tier.TWO) is None
    assert failover(Route.TIER1, COST, Health(tiers=frozenset({Tier.ONE}))) is None


def test_a_bounce_goes_to_the_tier_above_and_never_down() -> None:
    assert next_tier(Route.TIER1, COST, ALL) is Route.TIER2
    assert next_tier(Route.AGGREGATE, QUALITY, ALL) is Route.TIER2
    assert next_tier(Route.TIER2, COST, ALL) is None
    assert next_tier(Route.TIER2, WITH_THREE, ALL) is Route.TIER3
    assert next_tier(Route.TIER1, QUALITY, Health(tiers=frozenset({Tier.ONE}))) is None
