"""The rules of the decision, in the order in which they run.

`ROUTING_RULES`: the first that speaks settles the route. `ADJUSTING_RULES`: each may move what was settled.
A rule's name is its function's name, is stable, and appears in the decision's reasons.
"""

from __future__ import annotations

from collections.abc import Callable

from tiermesh_policy.case import Case, Choice, Verdict
from tiermesh_policy.failover import failover, is_up
from tiermesh_policy.prior import least_chance
from tiermesh_policy.routes import FailurePolicy, Route, StrategyKind, Tier

RoutingRule = Callable[[Case], Verdict | None]
AdjustingRule = Callable[[Case, Choice], Verdict | None]


def routing_is_off(case: Case) -> Verdict | None:
    """Some workloads should not route: their tenant names one tier."""
    strategy = case.policy.strategy
    if strategy.kind is not StrategyKind.OFF:
        return None
    return Verdict(Route.of_tier(strategy.fixed_tier), f"the tenant always answers at tier {int(strategy.fixed_tier)}")


def classifier_is_down(case: Case) -> Verdict | None:
    """Without scores only the tenant's failure policy can say."""
    if case.scores is not None:
        return None
    if case.policy.failure_policy is FailurePolicy.COST_FIRST:
        return Verdict(Route.TIER1, "no scores; cost first", Route.TIER2, "quality first would have taken it")
    return Verdict(Route.TIER2, "no scores; quality first", Route.TIER1, "cost first would have taken it")


def intent_is_unknown(case: Case) -> Verdict | None:
    """No signal never means simple."""
    if case.signals is None or not case.signals.intent_unknown:
        return None
    return Verdict(Route.TIER2, "no signal on the intent")


def context_is_missing(case: Case) -> Verdict | None:
    """A turn that leans on earlier ones, where there are none, is a question back."""
    if case.signals is None or not case.signals.needs_context or case.history.turns:
        return None
    return Verdict(Route.TIER2, "it leans on earlier turns and there are none", Route.TIER1, "needs its context")


def ambiguity_needs_tier2(case: Case) -> Verdict | None:
    """To ask back well is tier 2's work."""
    if case.scores is None or case.signals is None or not case.signals.ambiguous:
        return None
    chance = case.scores.ambiguous.chance("yes")
    return Verdict(Route.TIER2, f"ambiguous with probability {chance:.2f}", _plain_route(case), "if it were clear")


def several_steps_need_tier2(case: Case) -> Verdict | None:
    """Dependent look-ups, judgement, planning and drafting."""
    if case.scores is None or case.signals is None or not case.signals.multi_step:
        return None
    chance = case.scores.multi_step.chance("yes")
    return Verdict(Route.TIER2, f"several steps with probability {chance:.2f}", _plain_route(case), "if it were one")


def high_scope_takes_aggregate(case: Case) -> Verdict | None:
    """Several people's data, or a figure over many records, is one bulk call: never a loop."""
    signals, scores = case.signals, case.scores
    if signals is None or scores is None or not signals.data or not signals.high_scope:
        return None
    detail = f"cardinality {scores.cardinality.label}, aggregation {scores.aggregation.label}, domain data"
    return Verdict(Route.AGGREGATE, detail, Route.TIER1, "the per-entity path would ask once per person")


def scope_is_unknown(case: Case) -> Verdict | None:
    """A data question whose scope gave no signal may be a large one."""
    if case.signals is None or not case.signals.scope_unknown or not case.signals.data:
        return None
    return Verdict(Route.TIER2, "no signal on the scope of a data question", Route.AGGREGATE, "scope not established")


def several_people_outside_the_data_need_tier2(case: Case) -> Verdict | None:
    """No bulk call covers these: tickets of a team, or a write over several records."""
    if case.signals is None or not case.signals.several_people:
        return None
    return Verdict(Route.TIER2, "several people's records outside the data domains")


def incomplete_write_needs_tier2(case: Case) -> Verdict | None:
    """A write that lacks what it cannot do without."""
    if case.signals is None or case.scores is None or not case.signals.facts.write:
        return None
    if case.scores.slots_complete is not False:
        return None
    return Verdict(Route.TIER2, "a write that lacks a value", Route.TIER1, "if it named every value")


def high_stakes_need_tier2(case: Case) -> Verdict | None:
    """Emotional, legal or otherwise costly to get wrong."""
    if case.signals is None or not case.signals.high_stakes:
        return None
    return Verdict(Route.TIER2, "high stakes", Route.TIER1, "if the stakes were low")


def approval_inherits_what_it_approves(case: Case) -> Verdict | None:
    """ "Yes, do that" is as hard as what it says yes to, however easy its own words are."""
    if case.scores is None or not case.scores.approval or not case.history.turns:
        return None
    approved = case.history.turns[-1]
    if case.scores.position.label in ("closing", "topic_shift") or not approved.hard:
        return None
    return Verdict(Route.TIER2, "it approves a turn that needed tier 2", Route.TIER1, "for its own few words")


def table_names_the_tier(case: Case) -> Verdict | None:
    """The tenant's table of intents or families, instead of the confidence."""
    strategy = case.policy.strategy
    if strategy.kind is not StrategyKind.TABLE or case.scores is None or case.signals is None:
        return None
    intent = case.scores.intent.label
    tier = strategy.tiers.get(intent, strategy.tiers.get(case.signals.facts.family))
    return None if tier is None else Verdict(Route.of_tier(tier), f"the tenant's table names tier {int(tier)}")


def tier1_judges_itself(case: Case) -> Verdict | None:
    """The tenant lets tier 1 try, and hand over by its own word."""
    if case.policy.strategy.kind is not StrategyKind.SELF or case.scores is None:
        return None
    detail = "tier 1 tries, and hands over when it is less sure than its calibration asks"
    return Verdict(Route.TIER1, detail, Route.TIER2, "where tier 1 hands over")


def confidence_reaches_the_threshold(case: Case) -> Verdict | None:
    """Clear, narrow and sure: tier 1 answers."""
    if case.scores is None or not case.scores.confidence >= case.threshold.value:
        return None
    detail = f"confidence {case.scores.confidence:.3f} reaches {case.threshold.value:.3f}"
    return Verdict(Route.TIER1, detail, Route.TIER2, "below the threshold it would have escalated")


def doubt_escalates(case: Case) -> Verdict:
    """What is not sure goes up."""
    confidence = case.scores.confidence if case.scores is not None else 0.0
    detail = f"confidence {confidence:.3f} below {case.threshold.value:.3f}"
    return Verdict(Route.TIER2, detail, Route.TIER1, "its confidence is below the threshold")


ROUTING_RULES: tuple[RoutingRule, ...] = (
    # The tenant's word on routing as such, then what happens when there is nothing to route by.
    routing_is_off,
    classifier_is_down,
    intent_is_unknown,
    context_is_missing,
    # What no bulk call can do comes before the bulk call.
    ambiguity_needs_tier2,
    several_steps_need_tier2,
    high_scope_takes_aggregate,
    scope_is_unknown,
    # What is left asks for at most one person's data, but for these.
    several_people_outside_the_data_need_tier2,
    incomplete_write_needs_tier2,
    high_stakes_need_tier2,
    approval_inherits_what_it_approves,
    # And the confidence has the last word: the tenant's table, tier 1's own, or the classifier's.
    table_names_the_tier,
    tier1_judges_itself,
    confidence_reaches_the_threshold,
    doubt_escalates,
)


def high_stakes_are_mapped_to_tier3(case: Case, choice: Choice) -> Verdict | None:
    """Only where the tenant says so, and never for a plain bulk call."""
    wanted = case.policy.tier3.high_stakes and case.signals is not None and case.signals.high_stakes
    if not wanted or choice.route is not Route.TIER2 or Tier.THREE not in case.health.tiers:
        return None
    return Verdict(Route.TIER3, "the tenant maps high stakes to tier 3", Route.TIER2, "without the mapping")


def deep_doubt_is_mapped_to_tier3(case: Case, choice: Choice) -> Verdict | None:
    """Below the second threshold, where the tenant set one."""
    limit = case.policy.thresholds.tier3
    if limit is None or case.scores is None or choice.route is not Route.TIER2:
        return None
    if case.scores.confidence >= limit or Tier.THREE not in case.health.tiers:
        return None
    detail = f"confidence {case.scores.confidence:.3f} below {limit:.3f}"
    return Verdict(Route.TIER3, detail, Route.TIER2, "above the second threshold")


def tier2_is_not_likely_enough(case: Case, choice: Choice) -> Verdict | None:
    """Three tiers: what tier 2 is not likely to answer right either, where the tenant says from which chance on."""
    scores, limit = case.scores, case.policy.thresholds.tier2
    if limit is None or scores is None or choice.route is not Route.TIER2 or Tier.THREE not in case.health.tiers:
        return None
    chance = scores.suffices.get(Tier.TWO)
    least = least_chance(case.policy, scores, Tier.TWO)
    limit = limit if least is None else least
    if chance is None or chance >= limit:
        return None
    return Verdict(Route.TIER3, f"chance of tier 2 {chance:.3f} below {limit:.3f}", Route.TIER2, "if it sufficed")


def a_person_asked_for_more(case: Case, choice: Choice) -> Verdict | None:
    """The human override: not below this tier."""
    if choice.route is None or choice.tier is None or choice.tier >= case.min_tier:
        return None
    detail = f"asked for tier {int(case.min_tier)} or above"
    return Verdict(Route.of_tier(case.min_tier), detail, choice.route, "the decision without the override")


def the_borderline_is_speculated_on(case: Case, choice: Choice) -> Verdict | None:
    """Near the threshold both tiers may start, where the tenant pays for it."""
    speculation = case.policy.speculation
    if speculation.share <= 0 or case.scores is None or case.min_tier > Tier.ONE or case.over_budget:
        return None
    if case.signals is not None and case.signals.facts.write:
        # A branch that may lose proposes nothing, and a write is a proposal.
        return None
    settled_by = choice.reasons[-1].rule if choice.reasons else ""
    if settled_by not in (confidence_reaches_the_threshold.__name__, doubt_escalates.__name__):
        return None
    distance = abs(case.scores.confidence - case.threshold.value)
    if not distance <= speculation.band or not {Tier.ONE, Tier.TWO} <= case.health.tiers:
        return None
    detail = f"within {speculation.band:.2f} of the threshold"
    if case.held_back:
        detail += f"; not started: {case.held_back}"
    return Verdict(choice.route, detail, choice.otherwise, choice.otherwise_detail, speculate=not case.held_back)


def the_budget_is_used_up(case: Case, choice: Choice) -> Verdict | None:
    """Over budget the cheapest tier answers, also where a person asked for more."""
    if not case.over_budget or choice.tier is None or choice.tier is Tier.ONE:
        return None
    return Verdict(Route.TIER1, "the tenant's budget for today is used up", choice.route, "with budget left")


def a_path_that_is_down_is_left(case: Case, choice: Choice) -> Verdict | None:
    """Up when it can be, down only when cost comes first, else nowhere."""
    if choice.route is None or is_up(choice.route, case.health):
        return None
    lost = choice.route
    if case.over_budget:
        return Verdict(None, f"{lost} is down and there is no budget for more")
    instead = failover(lost, case.policy, case.health, min_tier=case.min_tier)
    if instead is not None:
        return Verdict(instead, f"{lost} is down", lost, "it is down")
    return Verdict(None, f"{lost} is down and {case.policy.failure_policy} allows nothing else that is up")


ADJUSTING_RULES: tuple[AdjustingRule, ...] = (
    the_borderline_is_speculated_on,
    high_stakes_are_mapped_to_tier3,
    deep_doubt_is_mapped_to_tier3,
    tier2_is_not_likely_enough,
    a_person_asked_for_more,
    the_budget_is_used_up,
    # Last: whatever was settled must be up.
    a_path_that_is_down_is_left,
)


def _plain_route(case: Case) -> Route:
    """The route if the turn were neither ambiguous nor of several steps."""
    plain = case.signals is not None and case.signals.data and case.signals.high_scope
    return Route.AGGREGATE if plain else Route.TIER1
