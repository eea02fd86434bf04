"""What holds for every input, also for nonsense."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiermesh_policy import (
    Axis,
    Decision,
    FailurePolicy,
    Health,
    History,
    Inputs,
    IntentFacts,
    Route,
    Scores,
    StrategyKind,
    TenantPolicy,
    Tier,
    TurnSummary,
    Vocabulary,
    decide,
    replay,
)
from tiermesh_policy.record import RecordUnreadableError
from tiermesh_policy.tenant import Doubts, Speculation, Stickiness, Strategy, Thresholds, TierThree

INTENTS = ["leave.history", "leave.apply", "leave.policy", "chat.greeting", "no_signal", "", "made.up"]
VOCABULARY = Vocabulary(
    {
        "leave.history": IntentFacts("leave", "leave"),
        "leave.apply": IntentFacts("leave", "leave", write=True),
        "leave.policy": IntentFacts("leave"),
        "chat.greeting": IntentFacts("chat"),
    }
)
SEVERAL, COMPUTED = ("team", "org"), ("count", "sum", "average", "rank", "compare", "trend")
shares = st.floats(0, 1)
any_number = st.one_of(shares, st.floats())


def axes(labels: list[str], numbers: st.SearchStrategy[float] = any_number) -> st.SearchStrategy[Axis]:
    label = st.sampled_from(labels)
    return st.builds(Axis, label, numbers, st.dictionaries(label, numbers, max_size=4))


any_scores = st.builds(
    Scores,
    intent=axes(INTENTS),
    cardinality=axes(["one", "team", "org", "no_signal", "?"]),
    temporal=axes(["now", "window", "multi_year", "no_signal"]),
    aggregation=axes(["none", *COMPUTED, "no_signal"]),
    position=axes(["opening", "follow_up", "correction", "topic_shift", "closing", "no_signal"]),
    needs_context=axes(["yes", "no", "no_signal"]),
    ambiguous=axes(["yes", "no", "no_signal"]),
    multi_step=axes(["yes", "no", "no_signal"]),
    stakes=axes(["low", "high", "no_signal"]),
    confidence=any_number,
    slots_complete=st.sampled_from([None, True, False]),
    approval=st.booleans(),
    # A pack without intents too, judged by the chances of its tiers.
    suffices=st.dictionaries(st.sampled_from(Tier), any_number, max_size=3),
    vocabulary=st.sampled_from([VOCABULARY, Vocabulary()]),
)
histories = st.builds(
    History,
    st.lists(
        st.builds(
            TurnSummary,
            st.sampled_from(Route),
            st.sampled_from(Tier),
            st.sampled_from(INTENTS),
            st.booleans(),
            st.booleans(),
            cached_tokens=st.integers(-1, 10**12),
        ),
        max_size=16,
    ).map(tuple),
)
healths = st.builds(Health, st.frozensets(st.sampled_from(Tier)), st.booleans())
policies = st.builds(
    TenantPolicy,
    thresholds=st.tuples(shares, st.none() | shares, st.none() | shares).map(
        lambda each: Thresholds(max(each[0], each[1] or 0.0), each[1], tier2=each[2])
    ),
    doubts=st.builds(Doubts, scope=shares, ambiguous=shares, multi_step=shares),
    stickiness=st.builds(Stickiness, strength=shares, fade=shares, cache_strength=shares),
    failure_policy=st.sampled_from(FailurePolicy),
    strategy=st.builds(
        Strategy,
        kind=st.sampled_from(StrategyKind),
        fixed_tier=st.sampled_from(Tier),
        tiers=st.dictionaries(st.sampled_from([*INTENTS, "leave"]), st.sampled_from(Tier), min_size=1, max_size=3),
        calibration=st.lists(st.tuples(shares, shares), max_size=3, unique_by=lambda pair: pair[0]).map(
            lambda pairs: tuple(zip(sorted(a for a, _ in pairs), sorted(b for _, b in pairs), strict=True))
        ),
        wrong_answer_micros=st.integers(0, 10_000_000),
    ),
    tier3=st.builds(TierThree, st.booleans(), st.booleans()),
    speculation=st.builds(Speculation, shares, shares),
)
min_tiers = st.none() | st.sampled_from(Tier)
maybe_scores = st.none() | any_scores


def per_entity(decision: Decision) -> bool:
    """True when look-ups per person would be offered."""
    return decision.route not in (None, Route.AGGREGATE) and not decision.bulk_tools_only


@given(any_scores, policies, histories, healths, min_tiers, st.booleans())
def test_high_scope_never_yields_a_per_entity_path(
    scores: Scores, policy: TenantPolicy, history: History, health: Health, min_tier: Tier | None, broke: bool
) -> None:
    # A pack without intents has no data to loop over.
    data = scores.intent.label == "leave.history" and bool(scores.vocabulary.intents)
    decision = decide(scores, policy, history, health, min_tier, over_budget=broke)
    if scores.cardinality.label in SEVERAL or (data and scores.aggregation.label in COMPUTED):
        assert not per_entity(decision)


@given(any_scores, any_number, any_number, policies, histories, healths, min_tiers, st.booleans())
def test_a_lower_confidence_never_lowers_the_tier(
    scores: Scores,
    one: float,
    other: float,
    policy: TenantPolicy,
    history: History,
    health: Health,
    min_tier: Tier | None,
    broke: bool,
) -> None:
    low, high = sorted((one, other), key=lambda value: (value == value, value))  # NaN is the least sure
    unsure = decide(replace(scores, confidence=low), policy, history, health, min_tier, over_budget=broke)
    sure = decide(replace(scores, confidence=high), policy, history, health, min_tier, over_budget=broke)
    if unsure.tier is not None and sure.tier is not None:
        assert unsure.tier >= sure.tier


@given(any_scores, shares, shares, histories)
def test_a_higher_threshold_never_lowers_the_tier(scores: Scores, one: float, other: float, history: History) -> None:
    low, high = sorted((one, other))
    lax, strict = (decide(scores, TenantPolicy(thresholds=Thresholds(each)), history) for each in (low, high))
    assert lax.tier is not None
    assert strict.tier is not None
    assert strict.tier >= lax.tier


@given(maybe_scores, policies, histories, healths, min_tiers)
def test_no_input_raises_and_the_same_input_gives_the_same_decision(
    scores: Scores | None, policy: TenantPolicy, history: History, health: Health, min_tier: Tier | None
) -> None:
    first, second = (repr(decide(scores, policy, history, health, min_tier)) for _ in range(2))
    assert first == second


@given(maybe_scores, policies, histories, healths, min_tiers)
def test_only_what_is_up_is_chosen_never_below_what_was_asked_for_and_never_without_a_reason(
    scores: Scores | None, policy: TenantPolicy, history: History, health: Health, min_tier: Tier | None
) -> None:
    decision = decide(scores, policy, history, health, min_tier)
    assert decision.reasons
    if decision.route is None:
        assert decision.tier is None
        return
    assert decision.tier in health.tiers
    assert decision.tier >= (min_tier or Tier.ONE)
    assert decision.route is not Route.AGGREGATE or health.aggregate


@given(any_scores, policies, histories, healths)
def test_quality_first_never_answers_below_the_tier_that_was_needed(
    scores: Scores, policy: TenantPolicy, history: History, health: Health
) -> None:
    careful = replace(policy, failure_policy=FailurePolicy.QUALITY_FIRST)
    wanted = decide(
        scores,
        careful,
        history,
        replace(health, tiers=frozenset(Tier) & (health.tiers | {Tier.ONE, Tier.TWO}), aggregate=True),
    )
    got = decide(scores, careful, history, health)
    if got.tier is not None and wanted.tier is not None and wanted.tier is not Tier.THREE:
        assert got.tier >= wanted.tier


@given(maybe_scores, policies, histories, healths)
def test_over_budget_nothing_above_tier_1_is_chosen(
    scores: Scores | None, policy: TenantPolicy, history: History, health: Health
) -> None:
    decision = decide(scores, policy, history, health, Tier.THREE, over_budget=True)
    assert decision.tier in (None, Tier.ONE)
    assert not decision.speculate


@given(maybe_scores, policies, histories, healths, min_tiers, st.booleans())
def test_a_record_gives_the_same_decision_again(
    scores: Scores | None,
    policy: TenantPolicy,
    history: History,
    health: Health,
    min_tier: Tier | None,
    broke: bool,
) -> None:
    inputs = Inputs(scores, policy, history, health, min_tier or Tier.ONE, broke)
    decision = decide(scores, policy, history, health, min_tier, over_budget=broke)
    assert repr(replay(inputs.dump())) == repr(decision)


@given(any_scores, policies, histories, shares, shares)
def test_replayed_under_a_higher_threshold_no_turn_goes_lower(
    scores: Scores, policy: TenantPolicy, history: History, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    # Tier 3 has a threshold of its own, which must stay below.
    policy = replace(policy, thresholds=Thresholds(policy.thresholds.tier1))
    record = Inputs(scores, policy, history).dump()
    lax, strict = replay(record, threshold=low), replay(record, threshold=high)
    if lax.tier is not None and strict.tier is not None:
        assert strict.tier >= lax.tier


@given(st.binary(max_size=64))
def test_a_record_that_is_no_record_is_refused_in_one_way(junk: bytes) -> None:
    with pytest.raises(RecordUnreadableError):
        replay(junk)
