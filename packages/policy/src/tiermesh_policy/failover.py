"""Where a turn may go when a path is down or was lost: what the tenant's failure policy means, in one place."""

from __future__ import annotations

from collections.abc import Collection

from tiermesh_policy.history import Health
from tiermesh_policy.routes import FailurePolicy, Route, Tier
from tiermesh_policy.tenant import TenantPolicy


def is_up(route: Route, health: Health) -> bool:
    """True when a route can be taken."""
    if route is Route.AGGREGATE and not health.aggregate:
        return False
    return route.tier in health.tiers


def failover(
    lost: Route,
    policy: TenantPolicy,
    health: Health,
    *,
    min_tier: Tier = Tier.ONE,
    tried: Collection[Route] = (),
) -> Route | None:
    """The best route instead of a lost one; None when nothing may answer.

    Up when it can be, down only when cost comes first; never below `min_tier`. High scope stays with the caller:
    a model route that replaces a bulk call is offered bulk tools only.
    """
    for candidate in _replacements(lost, policy):
        if candidate not in tried and candidate.tier >= min_tier and is_up(candidate, health):
            return candidate
    return None


def next_tier(bounced: Route, policy: TenantPolicy, health: Health, *, tried: Collection[Route] = ()) -> Route | None:
    """The route that takes over what a lower tier handed on; None when there is none above that is up."""
    above = [Route.TIER2] if bounced.tier is Tier.ONE else []
    if policy.tier3.on_failure and bounced is not Route.TIER3:
        above.append(Route.TIER3)
    return next((each for each in above if each not in tried and is_up(each, health)), None)


def _replacements(lost: Route, policy: TenantPolicy) -> tuple[Route, ...]:
    """Where a turn may go instead, best first."""
    cheaper = (Route.TIER1,) if policy.failure_policy is FailurePolicy.COST_FIRST else ()
    dearest = (Route.TIER3,) if policy.tier3.on_failure else ()
    match lost:
        case Route.AGGREGATE:
            return (Route.TIER2, *dearest, *cheaper)
        case Route.TIER1:
            return (Route.TIER2, *dearest)
        case Route.TIER2:
            return (*dearest, *cheaper)
        case Route.TIER3:
            # Tier 3 is an extra: what it was mapped for is tier 2's work without it.
            return (Route.TIER2, *cheaper)
