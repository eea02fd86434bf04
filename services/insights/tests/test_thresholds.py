"""Proposals against truths that are known, and against the promises of a proposal: bound, step, sample, support."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiermesh_insights.evidence import Case, turn_of
from tiermesh_insights.replaying import replay, route_under, why
from tiermesh_insights.simulation import REGRET_TARGET, TENANTS, Tenant, try_out
from tiermesh_insights.statistics import betting_upper, exact_upper
from tiermesh_insights.testing import decision
from tiermesh_insights.thresholds import (
    Costs,
    Sample,
    SampleTooSmallError,
    Terms,
    curve,
    point_at,
    propose,
    sample_of,
    saving,
)

TERMS = Terms(100_000, 0.05, alpha=0.05, minimum_sample=200, largest_step=0.1)
COSTS = Costs(600.0, 35_000.0)


@pytest.mark.parametrize("tenant", TENANTS, ids=lambda tenant: tenant.name)
def test_proposals_come_close_to_the_best_and_keep_their_bound(tenant: Tenant) -> None:
    # `make simulate-thresholds` runs a thousand; sixty of them leave room for chance.
    trial = try_out(tenant, runs=60, outcomes=2000)
    assert trial.silent == 0
    assert trial.broken <= 8  # of 60 at 5 %: more has a chance below 0.5 %
    if not tenant.bound_binds:
        assert trial.regret.mean() <= REGRET_TARGET


def test_the_exact_bound_is_clopper_and_pearsons() -> None:
    # Three of a hundred, one-sided 95 %: 0.0757 in the published tables.
    (bound,) = exact_upper(np.array([3]), 100, 0.05)
    assert bound == pytest.approx(0.0757, abs=5e-5)
    assert exact_upper(np.array([100]), 100, 0.05)[0] == 1.0


def test_the_betting_bound_holds_for_losses_between_nothing_and_all() -> None:
    chance = np.random.default_rng(1)
    broken = sum(betting_upper(chance.beta(0.5, 4.5, 300), 0.1) < 0.1 for _ in range(200))
    assert broken <= 32  # 20 are expected at most; 32 are one in two hundred


def log(count: int, bad_below: float, seed: int = 3) -> Sample:
    chance = np.random.default_rng(seed)
    level = chance.random(count)
    loss = (level < bad_below).astype(np.float64)
    return Sample(level, level, loss, np.ones(count), COSTS)


def test_below_the_minimum_sample_there_is_no_proposal() -> None:
    sample = log(199, 0.3)
    with pytest.raises(SampleTooSmallError, match="a proposal needs 200"):
        propose(sample, curve(sample, TERMS), TERMS, 0.6)


@given(current=st.floats(0.3, 0.95), bad=st.floats(0, 0.8), wanted=st.none() | st.floats(0, 1))
@settings(deadline=None, max_examples=40)
def test_a_proposal_keeps_the_bound_and_takes_no_longer_step_than_it_may(
    current: float, bad: float, wanted: float | None
) -> None:
    sample = log(1000, bad)
    points = curve(sample, TERMS)
    proposed = propose(sample, points, TERMS, current, wanted)
    assert point_at(points, proposed.optimum).allowed
    if proposed.current_breaks_bound:
        assert proposed.threshold > current
    else:
        assert abs(proposed.threshold - current) <= TERMS.largest_step + 1e-3
    assert proposed.threshold >= min(point.threshold for point in points if point.allowed) - 1e-9


def test_a_threshold_that_breaks_the_bound_is_left_in_one_step() -> None:
    sample = log(1000, 0.7)
    proposed = propose(sample, curve(sample, TERMS), TERMS, current=0.4)
    assert proposed.current_breaks_bound
    assert proposed.threshold == pytest.approx(0.7, abs=0.06)


def test_where_nobody_looked_nothing_is_proposed() -> None:
    chance = np.random.default_rng(5)
    level = chance.random(2000)
    seen = level[level >= 0.6]  # no shadow runs: nothing is known of what was escalated
    sample = Sample(level, seen, np.zeros(len(seen)), np.ones(len(seen)), COSTS)
    points = curve(sample, TERMS)
    assert min(point.threshold for point in points if point.allowed) == pytest.approx(0.6, abs=0.02)
    assert propose(sample, points, TERMS, current=0.6).threshold >= 0.585


def test_labels_that_were_drawn_more_often_count_less() -> None:
    """Of the sure turns all are labelled, of the doubtful one in ten: the curve must not take the log for the truth."""
    chance = np.random.default_rng(7)
    cases = []
    for number in range(4000):
        level = float(chance.random())
        up = level < 0.5
        known = not up or chance.random() < 0.1
        turn = turn_of(
            decision(
                number,
                confidence=level,
                threshold=0.5,
                base_threshold=0.5,
                route="tier2" if up else "tier1",
                tier=2 if up else 1,
                settled_by="doubt_escalates" if up else "confidence_reaches_the_threshold",
            )
        )
        cases.append(Case(turn, float(chance.random() < level) if known else None, 1.0 if known else 0.0))
    sample = sample_of(cases)
    assert not sample.binary
    lost = point_at(curve(sample, TERMS), 0.0).quality_loss
    assert lost == pytest.approx(0.5, abs=0.05)  # without the weights it would be near 0.29


def test_what_the_conversation_raised_is_taken_off_the_confidence() -> None:
    raised = turn_of(decision(1, confidence=0.75, threshold=0.8, base_threshold=0.7, route="tier2", tier=2))
    assert route_under(raised, 0.7) == "tier2"
    assert route_under(raised, 0.6) == "tier1"
    assert "raised to 0.800" in why(raised, 0.7)


def test_turns_that_another_rule_settled_stay_where_they_are() -> None:
    trap = turn_of(decision(1, route="aggregate", settled_by="high_scope_takes_aggregate"))
    assert route_under(trap, 1.0) == "aggregate"
    assert "no threshold is asked" in why(trap, 1.0)


def test_a_replay_of_the_threshold_in_force_changes_nothing() -> None:
    turns = [
        turn_of(decision(number, confidence=number / 100, threshold=0.5, base_threshold=0.5)) for number in range(100)
    ]
    cases = [Case(replace(turn, route="tier1" if turn.level >= 0.5 else "tier2"), 1.0, 1.0) for turn in turns]
    replayed = replay(cases, 0.5, 0.5)
    assert (replayed.changed, replayed.cost_change.value) == (0, 0.0)


def test_a_saving_has_an_interval_that_holds_it() -> None:
    saved = saving(log(1000, 0.3), current=0.8, proposed=0.5)
    assert saved.low <= saved.value <= saved.high
    assert saved.value == pytest.approx(0.3 * 34_400, rel=0.1)
    assert saving(log(1000, 0.3), current=0.5, proposed=0.8).value == pytest.approx(-saved.value)


def test_a_tenant_with_one_intent_gets_a_proposal_from_its_one_confidence() -> None:
    level = np.full(500, 0.8)
    sample = Sample(level, level, np.zeros(500), np.ones(500), COSTS)
    points = curve(sample, TERMS)
    assert propose(sample, points, TERMS, current=0.85).threshold == pytest.approx(0.8)
    all_wrong = Sample(level, level, np.ones(500), np.ones(500), COSTS)
    leaves = propose(all_wrong, curve(all_wrong, TERMS), TERMS, current=0.7)
    assert leaves.current_breaks_bound
    assert leaves.threshold > 0.8


def test_a_curve_without_any_turn_is_flat_and_allows_nothing() -> None:
    nothing = np.zeros(0)
    points = curve(Sample(nothing, nothing, nothing, nothing, COSTS), TERMS)
    assert len(points) == 201
    assert not any(point.allowed for point in points)
