"""Money for one question: reserved before, added to when it goes to a dearer route, settled after.

Where the sums are kept is not known here (`ports.Budgets`); what happens over budget is the tenant's policy.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from uuid import uuid4
from zoneinfo import ZoneInfo

from tiermesh_policy import OverBudget, Route

from tiermesh_gateway.errors import BudgetExhausted
from tiermesh_gateway.ports import Budgets
from tiermesh_gateway.question import Question

# While others hold the rest of the day's money, some of it comes back when they are done.
_RESERVED_BY_OTHERS_SECONDS = 5.0


class Purse:
    """What one question may spend. Without a budget of its tenant it does nothing, and costs nothing."""

    def __init__(self, question: Question, budgets: Budgets) -> None:
        """One per question; reserves nothing yet."""
        tenant = question.tenant
        self.limited = tenant.policy.budgets.per_day_micros > 0
        self.reservation_id = uuid4().hex if self.limited else ""
        self.reserved_micros = 0
        self.over_budget = False
        # True once a reservation may be there, also when its answer was never heard.
        self._touched = False
        self._policy = tenant.policy
        self._tenant = tenant.name
        self._budgets = budgets
        self._local = question.asked_at.astimezone(ZoneInfo(tenant.time_zone))

    @property
    def most_micros(self) -> int:
        """What an execution may cost; 0 is no limit."""
        own = self._policy.budgets.per_question_micros
        if not self.limited:
            return own
        return min(own, self.reserved_micros) if own else self.reserved_micros

    async def reserve(self, route: Route, *, speculates: bool = False) -> bool:
        """Reserve for a route, pills included; False when the policy wants tier 1 instead.

        Raises BudgetExhausted where the policy refuses.
        """
        micros = self._estimate(route, speculates=speculates)
        if not self.limited or await self._take(micros, self._policy.budgets.per_day_micros):
            return True
        if self._policy.budgets.over_budget is OverBudget.REFUSE:
            raise BudgetExhausted(self._retry_after)
        self.over_budget = True
        return False

    async def reserve_beyond(self, route: Route) -> None:
        """Reserve for the answer that the policy wants over budget: booked, and not refused."""
        if self.limited:
            await self._take(self._estimate(route, pills=False), None)

    async def add(self, route: Route) -> bool:
        """Reserve for another route after one that did not end; False when it does not fit."""
        if not self.limited:
            return True
        limit = self._policy.budgets.per_day_micros
        # A question that was let in over budget keeps to what is cheap.
        if self.over_budget and route.tier > Route.TIER1.tier:
            return False
        return await self._take(self._estimate(route, pills=False), None if self.over_budget else limit)

    async def settle(self, micros: int, *, at_least: bool) -> None:
        """Book what it came to. Where that is not known for sure, what was reserved counts if it is more."""
        if self._touched:
            await self._budgets.settle(self.reservation_id, max(micros, self.reserved_micros) if at_least else micros)

    async def _take(self, micros: int, limit: int | None) -> bool:
        day = self._local.date().isoformat()
        self._touched = True
        refused = await self._budgets.reserve(self.reservation_id, self._tenant, day, micros, limit)
        if refused is None:
            self.reserved_micros += micros
            return True
        fits_alone = limit is not None and refused.spent_micros + micros <= limit
        self._retry_after = _RESERVED_BY_OTHERS_SECONDS if fits_alone else _until_tomorrow(self._local)
        return False

    def _estimate(self, route: Route, *, pills: bool = True, speculates: bool = False) -> int:
        policy = self._policy
        own = policy.budgets.per_question_micros
        if own:
            return own
        micros = policy.costs.of_route(route)
        if speculates:
            micros = policy.costs.of_route(Route.TIER1) + policy.costs.of_route(Route.TIER2)
        if pills and policy.pills.enabled:
            micros += policy.budgets.pills_per_question_micros or policy.costs.of_pills()
        return ceil(micros * policy.budgets.headroom)


class PillPurse:
    """The tenant's own cap on what pills cost in a day, exact over all replicas. Without a cap it does nothing."""

    def __init__(self, question: Question, budgets: Budgets) -> None:
        """One per question; reserves nothing yet."""
        policy, tenant = question.tenant.policy, question.tenant
        self._limit = policy.budgets.pills_per_day_micros
        self._micros = policy.budgets.pills_per_question_micros or ceil(
            policy.costs.of_pills() * policy.budgets.headroom
        )
        # An account beside the tenant's: no tenant's name has a slash.
        self._account = f"{tenant.name}/pills"
        self._day = question.asked_at.astimezone(ZoneInfo(tenant.time_zone)).date().isoformat()
        self._budgets = budgets
        self._reservation_id = ""

    async def reserve(self) -> bool:
        """Set aside what the pills of one question may cost; False when the day has no room for it."""
        if not self._limit:
            return True
        self._reservation_id = uuid4().hex
        refused = await self._budgets.reserve(self._reservation_id, self._account, self._day, self._micros, self._limit)
        return refused is None

    async def settle(self, micros: int, *, at_least: bool) -> None:
        """Book what the pills came to; where that is not known for sure, what was set aside if it is more."""
        if self._reservation_id:
            await self._budgets.settle(self._reservation_id, max(micros, self._micros) if at_least else micros)


def _until_tomorrow(local: datetime) -> float:
    tomorrow = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(1.0, (tomorrow - local).total_seconds())
