"""The answer track: one turn's executions until one of them ends it, and nothing of it twice.

Bounces, lost executors and failed tiers are resolved here. Knows no pills, no store and no wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tiermesh_policy import Decision, Route, Tier, failover, next_tier

from tiermesh_gateway.budget import Purse
from tiermesh_gateway.conversations import Exchange
from tiermesh_gateway.events import (
    AnswerEnd,
    Bounced,
    CallCost,
    Committed,
    Event,
    Finished,
    Kind,
    LookUp,
    RouteChanged,
    Said,
    Saying,
    Speculated,
    Stop,
    Voided,
)
from tiermesh_gateway.ports import (
    Execution,
    ExecutorLostError,
    ExecutorRefusedError,
    Executors,
    HealthSource,
    OutOfTimeError,
    PillFeed,
)
from tiermesh_gateway.question import Scored, Turn
from tiermesh_gateway.speculation import Branch, first_call_micros, first_to_commit

MOST_EXECUTIONS = 5
# Kept back of the question's time, so that the end can still be told.
RESERVE_SECONDS = 0.15
_SHOWN = (Kind.TEXT, Kind.TABLE, Kind.CLARIFICATION, Kind.PROPOSAL)
_OUT_OF_TIME = AnswerEnd(False, Stop.DEADLINE, "DEADLINE_EXCEEDED", "The time for this question is up.")
_OUT_OF_MONEY = AnswerEnd(
    False,
    Stop.FAILED,
    "BUDGET_EXHAUSTED",
    "What is left of the tenant's budget for today does not pay for another tier.",
)


@dataclass(slots=True)
class Answered:
    """What came of a turn, filled in as it comes."""

    route: Route
    tier: Tier
    end: AnswerEnd | None = None
    text: list[str] = field(default_factory=list)
    tables: list[Any] = field(default_factory=list)
    # The earlier turns that the executors were given.
    exchanges: Sequence[Exchange] = ()
    costs: list[CallCost] = field(default_factory=list)
    at_least: bool = False
    tool_calls: int = 0
    statements: int = 0
    bounces: list[str] = field(default_factory=list)
    proposed: bool = False
    first_event_at: float | None = None
    done_at: float | None = None
    speculation: Speculated | None = None

    @property
    def reply(self) -> str:
        """The words that stand."""
        return "".join(self.text)


@dataclass(frozen=True, slots=True)
class _Lost:
    """An execution that did not get to its end."""

    cause: str
    reason: str
    message: str
    same_tier: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is run next."""

    route: Route
    findings: str = ""
    bulk_tools_only: bool = False
    look_ups: Sequence[LookUp] = ()


_Ended = Finished | Bounced | _Lost


class AnswerTrack:
    """Runs one turn's answer to its single end."""

    def __init__(
        self,
        turn: Turn,
        decision: Decision,
        scored: Scored | None,
        exchanges: Sequence[Exchange],
        *,
        executors: Executors,
        health: HealthSource,
        purse: Purse,
        earlier: str = "",
        feed: PillFeed,
        emit: Callable[[Event], Awaitable[None]],
    ) -> None:
        """`decision` must name a route."""
        if decision.route is None or decision.tier is None:
            message = "a turn without a route has no answer track"
            raise ValueError(message)
        self._turn = turn
        self._policy = turn.question.tenant.policy
        self._decision = decision
        self._scored = scored
        self._exchanges = exchanges
        self._earlier = earlier
        self._executors = executors
        self._health = health
        self._purse = purse
        self._feed = feed
        self._emit = emit
        self._shown = False
        self._tried: list[Route] = []
        self.answered = Answered(decision.route, decision.tier, exchanges=exchanges)

    async def run(self) -> AnswerEnd:
        """Answer. The last event that is emitted is the one and only `answer_done`."""
        plan = _Plan(self.answered.route, bulk_tools_only=self._decision.bulk_tools_only)
        if self._decision.speculate:
            plan, ended = await self._race()
        else:
            ended = await self._execute_as(plan)
        while True:
            following = None if len(self._tried) >= MOST_EXECUTIONS else self._following(plan, ended)
            if following is None:
                return await self._end(_end_of(ended))
            if not await self._purse.add(following.route):
                return await self._end(_OUT_OF_MONEY)
            await self._switch(plan, following, ended)
            plan = following
            ended = await self._execute_as(plan)

    async def _execute_as(self, plan: _Plan) -> _Ended:
        self._tried.append(plan.route)
        self.answered.route, self.answered.tier = plan.route, plan.route.tier
        return await self._execute(plan, self._pass_on)

    async def _race(self) -> tuple[_Plan, _Ended]:
        """Both tiers at once: the first that commits is kept, the other is stopped there and then."""
        started = asyncio.get_running_loop().time()
        plans = [_Plan(route, bulk_tools_only=self._decision.bulk_tools_only) for route in (Route.TIER1, Route.TIER2)]
        self._tried.extend(plan.route for plan in plans)
        cheap, dear = branches = [Branch(partial(self._execute, plan, speculative=True)) for plan in plans]
        try:
            kept = await first_to_commit(cheap, dear)
            loser, plan = (dear, plans[0]) if kept is cheap else (cheap, plans[1])
            loser.cancel()
            saved = 0.0 if kept is cheap or cheap.ended_at is None else cheap.ended_at - started
            lost = (
                0
                if loser.ended is not None
                else first_call_micros(self._policy, Route.of_tier(Tier.TWO if kept is cheap else Tier.ONE))
            )
            self.answered.speculation = Speculated(plan.route.tier, lost, saved)
            await self._keep(plan, cheap.ended if kept is dear else None)
            return plan, await kept.drain(self._pass_on)
        finally:
            for branch in branches:
                branch.cancel()
            await asyncio.gather(*(branch.gone() for branch in branches))

    async def _keep(self, plan: _Plan, given_up: _Ended | None) -> None:
        """Say where the turn went, if that is not where it was decided to go."""
        self.answered.route, self.answered.tier = plan.route, plan.route.tier
        cause, detail = ("speculation", "tier 2 was ready first") if given_up is None else _cause_of(given_up)
        if isinstance(given_up, Bounced):
            self.answered.bounces.append(given_up.cause)
        if plan.route is not self._decision.route:
            await self._emit(Event(Kind.ROUTE_CHANGED, RouteChanged(plan.route, cause, detail)))

    async def _execute(
        self, plan: _Plan, pass_on: Callable[[Saying], Awaitable[None]], *, speculative: bool = False
    ) -> _Ended:
        """One execution, to its end or its loss."""
        left = self._turn.question.ends_at - asyncio.get_running_loop().time() - RESERVE_SECONDS
        if left <= 0:
            return Finished(_OUT_OF_TIME)
        execution = Execution(
            turn=self._turn,
            route=plan.route,
            scored=self._scored,
            exchanges=self._exchanges,
            findings=plan.findings,
            look_ups=plan.look_ups,
            bulk_tools_only=plan.bulk_tools_only,
            timeout=left,
            most_micros=self._purse.most_micros,
            earlier=self._earlier,
            speculative=speculative,
            least_stated_confidence=self._decision.least_stated_confidence,
            least_right_confidence=self._decision.least_right_confidence,
        )
        bounced: Bounced | None = None
        heard = False
        try:
            async with self._executors.execute(execution) as sayings:
                async for saying in sayings:
                    heard = True
                    if isinstance(saying, Bounced):
                        bounced = saying
                    elif isinstance(saying, Finished):
                        self._book(saying)
                        return bounced or saying
                    elif bounced is None:
                        await pass_on(saying)
        except OutOfTimeError:
            self.answered.at_least = True
            return bounced or Finished(_OUT_OF_TIME)
        except ExecutorRefusedError as refusal:
            return Finished(AnswerEnd(False, Stop.FAILED, refusal.reason, refusal.message))
        except ExecutorLostError as loss:
            # What its calls have cost by now is not known, if there were any.
            self.answered.at_least |= heard
            return bounced or _Lost("executor_lost", loss.reason, loss.message, loss.same_tier)
        self.answered.at_least = True
        return bounced or _Lost("executor_lost", "MODELS_UNAVAILABLE", "The answer broke off.", True)

    async def _pass_on(self, saying: Saying) -> None:
        match saying:
            case Said(kind, payload, text):
                await self._say(kind, payload, text)
            case Voided(cause, _):
                if self._shown:
                    await self._void(cause, saying)
            case Committed(tier, _):
                self.answered.tier = tier
            case _:
                pass

    async def _say(self, kind: Kind, payload: object, text: str) -> None:
        if kind in _SHOWN:
            self._shown = True
            if self.answered.first_event_at is None:
                self.answered.first_event_at = asyncio.get_running_loop().time()
        if kind is Kind.PROPOSAL:
            self.answered.proposed = True
        if text:
            self.answered.text.append(text)
        await self._emit(Event(kind, payload))
        if kind is Kind.TEXT:
            self._feed.said(text)
        elif kind is Kind.TABLE:
            self.answered.tables.append(payload)
            self._feed.showed(payload)

    async def _void(self, cause: str, voided: Voided) -> None:
        """What was shown no longer counts."""
        self._shown = False
        self.answered.text.clear()
        self.answered.tables.clear()
        self.answered.proposed = False
        await self._emit(Event(Kind.SUPERSEDED, voided))
        self._feed.restarted(cause)

    def _book(self, finished: Finished) -> None:
        self.answered.costs.extend(finished.costs)
        self.answered.tool_calls += finished.tool_calls
        self.answered.statements += finished.statements

    def _following(self, plan: _Plan, ended: _Ended) -> _Plan | None:
        """What is run next; None when the turn ends here."""
        match ended:
            case Bounced():
                return self._after_bounce(plan, ended)
            case _Lost():
                # Another replica of the same tier first, once.
                if ended.same_tier and self._tried.count(plan.route) == 1:
                    return plan
                return self._instead(plan)
            case Finished(end) if end.stop in (Stop.FAILED, Stop.CANCELLED) and end.error_reason in _ELSEWHERE:
                return self._instead(plan)
            case _:
                return None

    def _after_bounce(self, plan: _Plan, bounced: Bounced) -> _Plan | None:
        health = self._health.now()
        bulk_only = plan.bulk_tools_only or bounced.to_aggregate or plan.route is Route.AGGREGATE
        wants_aggregate = bounced.to_aggregate and Route.AGGREGATE not in self._tried and health.aggregate
        if wants_aggregate and self._turn.question.min_tier is Tier.ONE:
            return _Plan(Route.AGGREGATE, bounced.findings, look_ups=bounced.look_ups)
        if bounced.to_aggregate and plan.route.tier >= Tier.TWO and not plan.bulk_tools_only:
            # The guard stopped a loop at this tier: the same tier again, with bulk tools only.
            return _Plan(plan.route, bounced.findings, bulk_tools_only=True, look_ups=bounced.look_ups)
        route = next_tier(plan.route, self._policy, health, tried=self._tried)
        return None if route is None else _Plan(route, bounced.findings, bulk_only, bounced.look_ups)

    def _instead(self, plan: _Plan) -> _Plan | None:
        min_tier = self._turn.question.min_tier
        route = failover(plan.route, self._policy, self._health.now(), min_tier=min_tier, tried=self._tried)
        if route is None:
            return None
        bulk_only = plan.bulk_tools_only or plan.route is Route.AGGREGATE
        return replace(plan, route=route, bulk_tools_only=bulk_only)

    async def _switch(self, plan: _Plan, following: _Plan, ended: _Ended) -> None:
        """Silent for what was not shown yet; said where the turn goes elsewhere."""
        cause, detail = _cause_of(ended)
        if isinstance(ended, Bounced):
            self.answered.bounces.append(ended.cause)
        if self._shown:
            word = "bounce" if isinstance(ended, Bounced) else cause
            await self._void(word, Voided(word, detail))
        if following.route is not plan.route:
            await self._emit(Event(Kind.ROUTE_CHANGED, RouteChanged(following.route, cause, detail)))

    async def _end(self, end: AnswerEnd) -> AnswerEnd:
        if end.tier is None:
            end = replace(end, tier=self.answered.tier)
        self.answered.end = end
        self.answered.done_at = asyncio.get_running_loop().time()
        await self._emit(Event(Kind.ANSWER_DONE, end))
        self._feed.completed(end.complete)
        return end


# Only these end a whole answer, whatever an executor says: a cut one never passes for success.
_WHOLE = (Stop.COMPLETE, Stop.CLARIFICATION)
# Failures of one tier that another may not have.
_ELSEWHERE = frozenset(
    {"MODELS_UNAVAILABLE", "TOOLS_UNAVAILABLE", "ANSWER_TRUNCATED", "OUTPUT_NOT_VALID", "NOT_READY", "OVERLOADED"}
)


def _cause_of(ended: _Ended) -> tuple[str, str]:
    match ended:
        case Bounced(cause, detail):
            return cause, detail
        case _Lost(cause, _, message, _):
            return cause, message
        case Finished(end):
            return "provider_failed", end.error_message


def _end_of(ended: _Ended) -> AnswerEnd:
    """How the turn ends when nothing follows."""
    match ended:
        case Finished(end):
            if end.stop is Stop.MAX_TOKENS:
                return replace(end, complete=False, error_reason=end.error_reason or "ANSWER_TRUNCATED")
            return end if not end.complete or end.stop in _WHOLE else replace(end, complete=False)
        case Bounced(_, detail):
            return AnswerEnd(False, Stop.FAILED, "NO_ROUTE_AVAILABLE", detail or "No tier is up that could take over.")
        case _Lost(_, reason, message, _):
            return AnswerEnd(False, Stop.FAILED, reason, message)
