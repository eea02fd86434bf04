"""Runs the rules and puts the decision together. The rules themselves are in `rules`."""

from __future__ import annotations

from dataclasses import replace

from tiermesh_policy.case import Case, Choice, Verdict
from tiermesh_policy.decision import Alternative, Decision, Reason
from tiermesh_policy.history import Health, History
from tiermesh_policy.prior import threshold_for
from tiermesh_policy.routes import Route, StrategyKind, Tier
from tiermesh_policy.rules import ADJUSTING_RULES, ROUTING_RULES
from tiermesh_policy.scores import Scores
from tiermesh_policy.selfrouting import least_stated
from tiermesh_policy.signals import read_signals
from tiermesh_policy.tenant import TenantPolicy


def decide(
    scores: Scores | None,
    policy: TenantPolicy,
    history: History | None = None,
    health: Health | None = None,
    min_tier: Tier | None = None,
    *,
    over_budget: bool = False,
    held_back: str = "",
) -> Decision:
    """Decide where a turn goes. The same arguments always give the same decision.

    Args:
        scores: what the classifier said; None when it gave nothing.
        policy: the tenant's constants.
        history: the conversation so far; None for an opening question.
        health: what is up; None takes both tiers and the bulk path as up.
        min_tier: the human override.
        over_budget: the tenant's budget is used up, and its policy wants an answer all the same.
        held_back: why no second tier may be started now; empty where it may.
    """
    history = history or History()
    threshold, raised = threshold_for(scores, policy, history)
    case = Case(
        policy=policy,
        history=history,
        health=health or Health(),
        min_tier=min_tier or Tier.ONE,
        over_budget=over_budget,
        held_back=held_back,
        threshold=threshold,
        scores=scores,
        signals=None if scores is None else read_signals(scores, policy.doubts),
    )
    return _decision(case, _adjusted(case, _settled(case, raised)))


def _settled(case: Case, reasons: tuple[Reason, ...]) -> Choice:
    """The first rule that speaks settles the route."""
    for rule in ROUTING_RULES:
        verdict = rule(case)
        if verdict is not None:
            return _taken(Choice(None, None, reasons), rule.__name__, verdict)
    message = "the last routing rule always speaks"
    raise AssertionError(message)


def _adjusted(case: Case, choice: Choice) -> Choice:
    """Each adjusting rule may move what was settled."""
    for rule in ADJUSTING_RULES:
        verdict = rule(case, choice)
        if verdict is not None:
            choice = _taken(choice, rule.__name__, verdict)
    return choice


def _taken(choice: Choice, rule: str, verdict: Verdict) -> Choice:
    return replace(
        choice,
        route=verdict.route,
        tier=None if verdict.route is None else verdict.route.tier,
        reasons=(*choice.reasons, Reason(rule, verdict.detail)),
        otherwise=verdict.otherwise,
        otherwise_detail=verdict.otherwise_detail,
        speculate=verdict.speculate,
    )


def _decision(case: Case, choice: Choice) -> Decision:
    costs = case.policy.costs
    usage = costs.aggregate if choice.route is Route.AGGREGATE else costs.for_tier(choice.tier or Tier.ONE)
    return Decision(
        route=choice.route,
        tier=choice.tier,
        reasons=choice.reasons,
        threshold=case.threshold,
        otherwise=_alternative(case, choice),
        speculate=choice.speculate,
        bulk_tools_only=case.high_scope and choice.route not in (None, Route.AGGREGATE),
        policy_version=case.policy.version,
        estimated_cost_micros=0 if choice.tier is None else costs.cost_micros(usage, choice.tier),
        **_least_confidence(case, choice),
    )


def _least_confidence(case: Case, choice: Choice) -> dict[str, float]:
    """What tier 1 must say of its own confidence, where the tenant's strategy goes by that.

    The tenant's own curve turns the threshold into a number to be stated; without one the executor, which knows the
    model that answers, holds the threshold against what that model's word has been worth.
    """
    strategy = case.policy.strategy
    if strategy.kind is not StrategyKind.SELF or choice.route is not Route.TIER1:
        return {}
    if strategy.calibration:
        return {"least_stated_confidence": least_stated(strategy.calibration, case.threshold.value)}
    return {"least_right_confidence": min(max(case.threshold.value, 0.0), 1.0)}


def _alternative(case: Case, choice: Choice) -> Alternative | None:
    """The runner-up; where it is the per-entity path, with the calls that the loop would have made."""
    route = choice.otherwise
    if route is None or route is choice.route:
        return None
    costs = case.policy.costs
    if route is Route.AGGREGATE:
        usage = costs.aggregate
    elif route is Route.TIER1 and case.high_scope and case.signals is not None:
        usage = costs.per_entity(whole_company=case.signals.whole_company)
    else:
        usage = costs.for_tier(route.tier)
    return Alternative(
        route=route,
        tier=route.tier,
        detail=choice.otherwise_detail,
        estimated_model_calls=usage.model_calls,
        estimated_data_calls=usage.data_calls,
        estimated_cost_micros=costs.cost_micros(usage, route.tier),
    )
