from __future__ import annotations

import pytest
from tiermesh_policy import FailurePolicy, PolicyProblems, Tier, parse_policy


def test_a_file_sets_what_it_names_and_leaves_the_rest_at_its_default() -> None:
    policy = parse_policy(
        {
            "version": "2026-11-22.1",
            "failure_policy": "cost_first",
            "thresholds": {"tier1": 0.7},
            "strategy": {"kind": "table", "tiers": {"leave": 2}},
        }
    )
    assert policy.failure_policy is FailurePolicy.COST_FIRST
    assert policy.thresholds.tier1 == 0.7
    assert policy.strategy.tiers == {"leave": Tier.TWO}
    assert policy.pills.count == 3


def test_every_problem_is_listed_with_its_field() -> None:
    with pytest.raises(PolicyProblems) as caught:
        parse_policy({"thresholds": {"tier1": 1.7}, "commit_point": "never", "doubts": {"scoop": 1}, "treshold": 1})
    fields = {problem.field for problem in caught.value.problems}
    assert fields == {"thresholds.tier1", "commit_point", "doubts.scoop", "treshold"}


def test_contradictory_thresholds_are_refused() -> None:
    with pytest.raises(PolicyProblems, match="must not be above tier1"):
        parse_policy({"thresholds": {"tier1": 0.5, "tier3": 0.7}})


def test_a_threshold_that_is_no_number_is_refused() -> None:
    with pytest.raises(PolicyProblems):
        parse_policy({"thresholds": {"tier1": float("nan")}})


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ({"kind": "table"}, "at least one row"),
        ({"kind": "self", "calibration": [[0.9, 0.5], [0.5, 0.9]]}, "must rise"),
        ({"kind": "guess"}, "Input should be"),
    ],
)
def test_a_strategy_that_cannot_work_is_refused(strategy: dict[str, object], words: str) -> None:
    with pytest.raises(PolicyProblems, match=words):
        parse_policy({"strategy": strategy})
