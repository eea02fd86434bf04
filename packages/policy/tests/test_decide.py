from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tiermesh_policy import (
    Axis,
    FailurePolicy,
    Health,
    History,
    IntentFacts,
    Route,
    Scores,
    StrategyKind,
    TenantPolicy,
    Tier,
    TurnSummary,
    Vocabulary,
    decide,
    parse_policy,
)
from tiermesh_policy.tenant import Speculation, Strategy, Thresholds, TierThree

Make = Callable[..., Scores]
POLICY = TenantPolicy()
COST_FIRST = TenantPolicy(failure_policy=FailurePolicy.COST_FIRST)


def rules(decision: object) -> list[str]:
    return [reason.rule for reason in decision.reasons]  # type: ignore[attr-defined]  # any decision


def test_a_sure_narrow_question_is_answered_by_tier_1(scores: Make) -> None:
    decision = decide(scores(), POLICY)
    assert (decision.route, decision.tier) == (Route.TIER1, Tier.ONE)
    assert rules(decision) == ["confidence_reaches_the_threshold"]
    assert decision.otherwise is not None
    assert decision.otherwise.route is Route.TIER2


def test_a_higher_threshold_escalates_more(scores: Make) -> None:
    strict = TenantPolicy(thresholds=Thresholds(tier1=0.99, version="7"))
    decision = decide(scores(), strict)
    assert decision.route is Route.TIER2
    assert rules(decision) == ["doubt_escalates"]
    assert (decision.threshold.value, decision.threshold.version) == (0.99, "7")


@pytest.mark.parametrize("change", [{"cardinality": "team"}, {"cardinality": "org"}, {"aggregation": "sum"}])
def test_high_scope_in_a_data_domain_is_one_bulk_call(scores: Make, change: dict[str, str]) -> None:
    decision = decide(scores(intent="leave.history", **change), POLICY)
    assert decision.route is Route.AGGREGATE
    assert rules(decision) == ["high_scope_takes_aggregate"]


def test_the_runner_up_of_a_bulk_call_is_the_loop_with_its_calls_and_cost(scores: Make) -> None:
    decision = decide(scores(intent="leave.history", cardinality="team", aggregation="rank"), POLICY)
    assert decision.otherwise is not None
    assert decision.otherwise.route is Route.TIER1
    assert decision.otherwise.estimated_data_calls == 50
    assert decision.otherwise.estimated_cost_micros > 100 * decision.estimated_cost_micros


def test_an_even_chance_of_several_people_already_counts(scores: Make) -> None:
    torn = Axis("one", 0.5, {"one": 0.5, "team": 0.3, "org": 0.2})
    assert decide(scores(cardinality=torn), POLICY).route is Route.AGGREGATE


@pytest.mark.parametrize("axis", ["ambiguous", "multi_step"])
def test_a_hard_question_of_high_scope_gets_tier_2_with_bulk_tools_only(scores: Make, axis: str) -> None:
    likely = Axis("no", 0.6, {"no": 0.6, "yes": 0.4})
    decision = decide(scores(intent="leave.history", cardinality="team", **{axis: likely}), POLICY)
    assert decision.route is Route.TIER2
    assert decision.bulk_tools_only
    assert decision.otherwise is not None
    assert decision.otherwise.route is Route.AGGREGATE


@pytest.mark.parametrize("intent", ["leave.apply", "support.ticket", "leave.policy"])
def test_several_people_outside_the_data_domains_need_tier_2(scores: Make, intent: str) -> None:
    decision = decide(scores(intent=intent, cardinality="team"), POLICY)
    assert decision.route is Route.TIER2
    assert decision.bulk_tools_only


def test_a_policy_question_about_a_total_stays_a_look_up(scores: Make) -> None:
    assert decide(scores(intent="leave.policy", aggregation="sum"), POLICY).route is Route.TIER1


def test_high_stakes_go_up_but_a_plain_data_question_stays_a_bulk_call(scores: Make) -> None:
    assert decide(scores(stakes="high"), POLICY).route is Route.TIER2
    assert decide(scores(stakes="high", aggregation="sum"), POLICY).route is Route.AGGREGATE


def test_an_intent_that_the_pack_calls_high_stakes_needs_no_axis(scores: Make) -> None:
    grave = Vocabulary({"people.grievance": IntentFacts("people", high_stakes=True)})
    decision = decide(scores(intent="people.grievance", vocabulary=grave), POLICY)
    assert rules(decision) == ["high_stakes_need_tier2"]


def test_a_write_that_lacks_a_value_needs_tier_2(scores: Make) -> None:
    assert decide(scores(intent="leave.apply"), POLICY).route is Route.TIER1
    assert decide(scores(intent="leave.apply", slots_complete=False), POLICY).route is Route.TIER2


def test_no_signal_never_means_simple(scores: Make) -> None:
    assert decide(Scores(confidence=1.0), POLICY).route is Route.TIER2
    for axis in ("intent", "cardinality", "aggregation", "ambiguous", "multi_step", "stakes"):
        decision = decide(scores(**{axis: "no_signal"}), POLICY)
        assert decision.route is Route.TIER2, axis


def test_words_that_lean_on_a_conversation_need_one(scores: Make) -> None:
    follow_up = scores(needs_context="yes", position="follow_up")
    assert "context_is_missing" in rules(decide(follow_up, POLICY))
    easy = History((TurnSummary(Route.TIER1, Tier.ONE, "leave.balance"),))
    assert decide(follow_up, POLICY, easy).route is Route.TIER1


def test_the_topic_weighs_on_its_follow_ups_and_fades_with_each_easy_turn(scores: Make) -> None:
    hard = TurnSummary(Route.TIER2, Tier.TWO, "leave.history", multi_step=True)
    easy = TurnSummary(Route.TIER1, Tier.ONE, "leave.balance")
    turn = scores(position="follow_up", confidence=0.67)
    fresh = decide(turn, POLICY, History((hard,)))
    faded = decide(turn, POLICY, History((hard, easy)))
    assert fresh.route is Route.TIER2
    assert rules(fresh)[0] == "topic_weighs_on_follow_ups"
    assert faded.route is Route.TIER1
    assert fresh.threshold.value > faded.threshold.value > POLICY.thresholds.tier1


@pytest.mark.parametrize(
    "change", [{"position": "topic_shift"}, {"position": "follow_up", "intent": "expenses.history"}]
)
def test_a_shift_of_topic_ends_the_prior(scores: Make, change: dict[str, str]) -> None:
    hard = TurnSummary(Route.TIER2, Tier.TWO, "leave.history", multi_step=True)
    decision = decide(scores(confidence=0.65, **change), POLICY, History((hard,)))
    assert decision.threshold.value == POLICY.thresholds.tier1


def test_a_cache_that_a_switch_would_lose_is_weighed_and_named(scores: Make) -> None:
    cold = TurnSummary(Route.TIER2, Tier.TWO, "leave.history")
    warm = replace(cold, cached_tokens=20_000)
    turn = scores(position="follow_up")
    without, with_cache = (decide(turn, POLICY, History((each,))) for each in (cold, warm))
    assert with_cache.threshold.value > without.threshold.value
    assert "20000 cached tokens" in with_cache.reasons[0].detail


def test_a_sure_easy_follow_up_always_goes_back(scores: Make) -> None:
    hard = TurnSummary(Route.TIER2, Tier.TWO, "leave.history", multi_step=True, cached_tokens=10**9)
    assert decide(scores(position="follow_up"), POLICY, History((hard,) * 16)).route is Route.TIER1


def test_without_a_classifier_the_failure_policy_decides() -> None:
    assert decide(None, POLICY).route is Route.TIER2
    assert decide(None, COST_FIRST).route is Route.TIER1


def test_without_tier_1_everything_goes_up(scores: Make) -> None:
    health = Health(tiers=frozenset({Tier.TWO}), aggregate=True)
    assert decide(scores(), POLICY, health=health).route is Route.TIER2
    bulk = decide(scores(aggregation="sum"), POLICY, health=health)
    assert (bulk.route, bulk.bulk_tools_only) == (Route.TIER2, True)


def test_without_tier_2_quality_first_refuses_and_cost_first_goes_down(scores: Make) -> None:
    health = Health(tiers=frozenset({Tier.ONE}))
    doubtful = scores(confidence=0.1)
    refused = decide(doubtful, POLICY, health=health)
    assert (refused.route, refused.tier) == (None, None)
    assert rules(refused)[-1] == "a_path_that_is_down_is_left"
    assert decide(doubtful, COST_FIRST, health=health).route is Route.TIER1


def test_without_the_bulk_path_a_model_gets_bulk_tools_only(scores: Make) -> None:
    decision = decide(scores(cardinality="org"), POLICY, health=Health(aggregate=False))
    assert (decision.route, decision.bulk_tools_only) == (Route.TIER2, True)


def test_a_person_may_ask_for_more_but_not_for_a_loop(scores: Make) -> None:
    asked = decide(scores(), POLICY, min_tier=Tier.TWO)
    assert (asked.route, rules(asked)[-1]) == (Route.TIER2, "a_person_asked_for_more")
    assert asked.otherwise is not None
    assert asked.otherwise.route is Route.TIER1
    assert decide(scores(cardinality="team"), POLICY, min_tier=Tier.TWO).bulk_tools_only


def test_routing_can_be_off(scores: Make) -> None:
    fixed = TenantPolicy(strategy=Strategy(kind=StrategyKind.OFF, fixed_tier=Tier.ONE))
    decision = decide(scores(confidence=0.0), fixed)
    assert (decision.route, rules(decision)) == (Route.TIER1, ["routing_is_off"])
    assert decide(scores(cardinality="team"), fixed).bulk_tools_only


def test_a_table_names_tiers_by_intent_before_family_and_leaves_the_rest_to_confidence(scores: Make) -> None:
    table = TenantPolicy(
        strategy=Strategy(kind=StrategyKind.TABLE, tiers={"leave": Tier.TWO, "leave.balance": Tier.ONE})
    )
    assert decide(scores(confidence=0.0), table).route is Route.TIER1
    assert decide(scores(intent="leave.policy"), table).route is Route.TIER2
    assert decide(scores(intent="support.ticket", confidence=0.0), table).route is Route.TIER2
    assert decide(scores(aggregation="sum"), table).route is Route.AGGREGATE


def test_tier_3_is_off_unless_it_is_mapped(scores: Make) -> None:
    health = Health(tiers=frozenset(Tier))
    mapped = TenantPolicy(tier3=TierThree(high_stakes=True))
    assert decide(scores(stakes="high"), POLICY, health=health).route is Route.TIER2
    assert decide(scores(stakes="high"), mapped, health=health).route is Route.TIER3
    assert decide(scores(stakes="high"), mapped).route is Route.TIER2
    deep = TenantPolicy(thresholds=Thresholds(tier1=0.6, tier3=0.2))
    assert decide(scores(confidence=0.1), deep, health=health).route is Route.TIER3
    assert decide(scores(confidence=0.3), deep, health=health).route is Route.TIER2


def test_tier_3_stands_in_for_tier_2_where_it_is_mapped(scores: Make) -> None:
    health = Health(tiers=frozenset({Tier.ONE, Tier.THREE}))
    mapped = TenantPolicy(tier3=TierThree(on_failure=True))
    assert decide(scores(confidence=0.1), mapped, health=health).route is Route.TIER3


def test_the_borderline_is_speculated_on_only_where_the_tenant_pays_for_it(scores: Make) -> None:
    paying = TenantPolicy(speculation=Speculation(band=0.1, share=0.2))
    near = scores(confidence=0.65)
    assert decide(near, paying).speculate
    assert not decide(near, POLICY).speculate
    assert not decide(scores(confidence=0.95), paying).speculate
    assert not decide(scores(confidence=0.65, multi_step="yes"), paying).speculate
    assert not decide(near, paying, health=Health(tiers=frozenset({Tier.ONE}))).speculate
    assert not decide(near, paying, min_tier=Tier.TWO).speculate


HARD = TurnSummary(Route.TIER2, Tier.TWO, "leave.simulate", multi_step=True)
EASY = TurnSummary(Route.TIER1, Tier.ONE, "leave.balance")


def test_yes_do_that_is_as_hard_as_what_it_approves(scores: Make) -> None:
    yes = scores(position="follow_up", needs_context="yes", approval=True)
    assert decide(yes, POLICY, History((EASY, HARD))).route is Route.TIER2
    assert rules(decide(yes, POLICY, History((EASY, HARD))))[-1] == "approval_inherits_what_it_approves"
    assert decide(yes, POLICY, History((HARD, EASY))).route is Route.TIER1
    assert decide(replace(yes, approval=False), POLICY, History((EASY, HARD))).route is Route.TIER1


def test_a_word_of_thanks_inherits_nothing(scores: Make) -> None:
    thanks = scores(position="closing", approval=True)
    assert decide(thanks, POLICY, History((HARD,))).route is Route.TIER1


def test_over_budget_tier_1_answers_and_the_reason_says_so(scores: Make) -> None:
    decision = decide(scores(multi_step="yes"), POLICY, over_budget=True)
    assert decision.route is Route.TIER1
    assert rules(decision) == ["several_steps_need_tier2", "the_budget_is_used_up"]
    assert decision.otherwise is not None
    assert decision.otherwise.route is Route.TIER2


def test_over_budget_a_large_question_still_gets_no_per_entity_tools(scores: Make) -> None:
    decision = decide(scores(intent="leave.history", cardinality="team", ambiguous="yes"), POLICY, over_budget=True)
    assert (decision.route, decision.bulk_tools_only) == (Route.TIER1, True)


def test_self_routing_lets_tier_1_try_and_tells_it_when_to_hand_over(scores: Make) -> None:
    calibration = ((0.5, 0.3), (0.9, 0.7), (1.0, 0.9))
    policy = TenantPolicy(thresholds=Thresholds(0.6), strategy=Strategy(StrategyKind.SELF, calibration=calibration))
    decision = decide(scores(confidence=0.1), policy)
    assert (decision.route, rules(decision)[-1]) == (Route.TIER1, "tier1_judges_itself")
    assert decision.least_stated_confidence == pytest.approx(0.8)
    # What the rules refuse tier 1 does not get to try.
    assert decide(scores(intent="leave.history", cardinality="team"), policy).route is Route.AGGREGATE
    assert decide(scores(ambiguous="yes"), policy).route is Route.TIER2


@pytest.mark.parametrize(("calibration", "limit"), [(((0.4, 0.8),), 0.4), (((0.5, 0.1), (1.0, 0.5)), 1.0)])
def test_a_calibration_that_never_reaches_the_threshold_asks_for_certainty(
    scores: Make, calibration: tuple[tuple[float, float], ...], limit: float
) -> None:
    policy = TenantPolicy(strategy=Strategy(StrategyKind.SELF, calibration=calibration))
    decision = decide(scores(), policy)
    assert decision.least_stated_confidence == pytest.approx(limit)
    assert decision.least_right_confidence is None


def test_without_a_curve_of_the_tenants_the_executor_holds_the_threshold_against_its_own(scores: Make) -> None:
    policy = TenantPolicy(thresholds=Thresholds(0.7), strategy=Strategy(StrategyKind.SELF))
    decision = decide(scores(), policy)
    assert (decision.least_stated_confidence, decision.least_right_confidence) == (None, 0.7)
    assert decide(scores(ambiguous="yes"), policy).least_right_confidence is None
    assert decide(scores(), TenantPolicy()).least_right_confidence is None


STRATEGIES = {
    "one tier": ({"kind": "off", "fixed_tier": 1}, Route.TIER1),
    "rules only": ({"kind": "cascade", "depth": "rules"}, Route.TIER2),
    "trained": ({"kind": "cascade", "depth": "local"}, Route.TIER2),
    "language model alone": ({"kind": "cascade", "depth": "language_model"}, Route.TIER2),
    "hybrid": ({"kind": "cascade"}, Route.TIER2),
    "table": ({"kind": "table", "tiers": {"leave.balance": 1}}, Route.TIER1),
    "three tiers by table": ({"kind": "table", "tiers": {"leave": 3}}, Route.TIER3),
    "tier 1 itself": ({"kind": "self"}, Route.TIER1),
}


@pytest.mark.parametrize(("strategy", "route"), STRATEGIES.values(), ids=STRATEGIES)
def test_a_strategy_is_data_and_the_rules_stay_the_same(
    scores: Make, strategy: dict[str, object], route: Route
) -> None:
    policy = parse_policy({"strategy": strategy})
    health = Health(tiers=frozenset(Tier))
    assert decide(scores(confidence=0.2), policy, health=health).route is route
    high = decide(scores(intent="leave.history", cardinality="org", confidence=0.2), policy, health=health)
    assert high.route is Route.AGGREGATE or high.bulk_tools_only


def test_speculation_can_be_held_back_and_is_never_for_a_write(scores: Make) -> None:
    policy = TenantPolicy(speculation=Speculation(band=0.2, share=0.5))
    near = scores(confidence=0.65)
    assert decide(near, policy).speculate
    held = decide(near, policy, held_back="share")
    assert not held.speculate
    assert "not started: share" in held.reasons[-1].detail
    assert not decide(replace(near, intent=scores(intent="leave.apply").intent), policy).speculate
