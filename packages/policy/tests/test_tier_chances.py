"""Packs without intents: the chance of each tier is what decides, and what a wrong answer costs sets the threshold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiermesh_policy import (
    Axis,
    Health,
    History,
    Inputs,
    Route,
    Scores,
    TenantPolicy,
    Tier,
    TurnSummary,
    decide,
    replay,
)
from tiermesh_policy.tenant import Strategy, Thresholds

ALL_UP = Health(frozenset(Tier))
# The default table: an answer of tier 1 costs 625 micro-dollars, one of tier 2 35,000, one of tier 3 70,000.
EXTRA_TIER2 = 34_375


def general(one: float, two: float, three: float | None = None) -> Scores:
    """What the classifier says of an opening of a pack without intents: chances, and silence on every axis."""
    chances = {Tier.ONE: one, Tier.TWO: two} | ({} if three is None else {Tier.THREE: three})
    return Scores(confidence=one, suffices=chances, position=Axis("opening"), needs_context=Axis("no"))


def priced(wrong: int, **thresholds: float) -> TenantPolicy:
    return TenantPolicy(strategy=Strategy(wrong_answer_micros=wrong), thresholds=Thresholds(**thresholds))


@pytest.mark.parametrize(("chance", "route"), [(0.7, Route.TIER1), (0.6, Route.TIER1), (0.59, Route.TIER2)])
def test_silent_axes_are_no_doubt_where_the_chances_speak(chance: float, route: Route) -> None:
    decision = decide(general(chance, 0.9), TenantPolicy())
    assert decision.route is route
    assert decision.reasons[-1].rule in ("confidence_reaches_the_threshold", "doubt_escalates")


def test_the_same_silence_in_a_pack_with_intents_is_doubt(scores) -> None:
    silent = scores(intent="no_signal", suffices={Tier.ONE: 0.99, Tier.TWO: 0.99}, confidence=0.99)
    assert decide(silent, TenantPolicy()).route is Route.TIER2


@pytest.mark.parametrize("axis", ["ambiguous", "multi_step"])
def test_a_rule_that_speaks_on_difficulty_is_heard(axis: str) -> None:
    hard = replace(general(0.99, 0.99), **{axis: Axis("yes", 0.75, {"yes": 0.75, "no": 0.25})})
    assert decide(hard, TenantPolicy()).route is Route.TIER2


@pytest.mark.parametrize("wrong", [100_000, 400_000, 2_000_000])
@pytest.mark.parametrize("gain", [-0.1, 0.0, 0.02, 0.1, 0.2, 0.4])
def test_each_question_goes_where_it_costs_least_in_expectation(wrong: int, gain: float) -> None:
    one = 0.5
    decision = decide(general(one, one + gain), priced(wrong))
    at_one, at_two = (1 - one) * wrong, EXTRA_TIER2 + (1 - one - gain) * wrong
    assert decision.route is (Route.TIER1 if at_one <= at_two else Route.TIER2)
    assert "wrong_answers_have_a_price" in [each.rule for each in decision.reasons]


def test_the_tenants_bounds_hold_whatever_a_wrong_answer_costs() -> None:
    hopeless = general(0.1, 0.1)
    assert decide(hopeless, priced(1_000_000)).route is Route.TIER1
    assert decide(hopeless, priced(1_000_000, lowest=0.4)).route is Route.TIER2


def test_without_the_chance_of_both_tiers_the_tenants_threshold_stands() -> None:
    known = replace(general(0.65, 0.9), suffices={Tier.ONE: 0.65})
    assert decide(known, priced(1_000_000)).threshold.value == TenantPolicy().thresholds.tier1


@pytest.mark.parametrize(
    ("two", "limit", "health", "route"),
    [
        (0.5, 0.6, ALL_UP, Route.TIER3),
        (0.7, 0.6, ALL_UP, Route.TIER2),
        (0.5, None, ALL_UP, Route.TIER2),
        (0.5, 0.6, Health(), Route.TIER2),
    ],
)
def test_tier_3_takes_what_tier_2_is_not_likely_to_answer_where_the_tenant_says_so(
    two: float, limit: float | None, health: Health, route: Route
) -> None:
    policy = TenantPolicy(thresholds=Thresholds(tier2=limit))
    assert decide(general(0.2, two, 0.9), policy, health=health).route is route


@pytest.mark.parametrize(("three", "route"), [(0.6, Route.TIER3), (0.52, Route.TIER2)])
def test_with_a_price_tier_3_answers_where_its_gain_is_worth_its_cost(three: float, route: Route) -> None:
    # 35,000 of 1,000,000: from a gain of 3.5 points on.
    policy = priced(1_000_000, tier2=0.3)
    assert decide(general(0.2, 0.5, three), policy, health=ALL_UP).route is route


def test_every_turn_of_a_running_conversation_goes_on_with_its_topic() -> None:
    hard = History((TurnSummary(Route.TIER2, Tier.TWO, "no_signal"),))
    follow_up = replace(general(0.65, 0.9), position=Axis())
    assert decide(follow_up, TenantPolicy(), hard).route is Route.TIER2
    assert decide(follow_up, TenantPolicy(), History((TurnSummary(Route.TIER1, Tier.ONE, "no_signal"),))).route is (
        Route.TIER1
    )


def test_a_record_with_chances_replays_and_a_threshold_takes_the_place_of_the_price() -> None:
    inputs = Inputs(general(0.5, 0.9, 0.95), priced(1_000_000, tier2=0.99), health=ALL_UP)
    assert replay(inputs.dump()) == inputs.decide()
    assert replay(inputs.dump()).route is Route.TIER3
    assert replay(inputs.dump(), threshold=0.4).route is Route.TIER1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 2.0])
def test_what_is_no_probability_leans_to_the_dear_side(value: float) -> None:
    assert decide(general(0.9, value), priced(1_000_000)).route is Route.TIER2
