"""Drift: an injected change is flagged, a quiet log is not, a small change with a large log is not either."""

from __future__ import annotations

import numpy as np
from tiermesh_insights.drift import drift
from tiermesh_insights.evidence import Case, turn_of
from tiermesh_insights.testing import NOW, decision


def window(
    seed: int, count: int = 800, *, lower: float = 0.0, worse: float = 0.0, expenses: float = 0.3, unknown: float = 0.01
) -> list[Case]:
    """Turns of an honest confidence; `lower` moves it, `worse` makes tier 1 fail more often than it says."""
    chance = np.random.default_rng(seed)
    made = []
    for number in range(count):
        confidence = float(np.clip(chance.beta(6, 2) - lower, 0, 1))
        family = "expenses" if chance.random() < expenses else "leave"
        intent = "no_signal" if chance.random() < unknown else f"{family}.history"
        turn = turn_of(decision(number, confidence=confidence, intent=intent, family=intent.partition(".")[0]))
        made.append(Case(turn, float(chance.random() < confidence - worse), 1.0))
    return made


def flagged(recent: list[Case], before: list[Case]) -> set[str]:
    return {each.what for each in drift(recent, before, NOW) if each.flagged}


def test_a_quiet_log_raises_no_alarm() -> None:
    alarms = [flagged(window(seed), window(seed + 1000, 2400)) for seed in range(8)]
    assert not any(alarms)


def test_each_injected_change_is_flagged_by_its_name() -> None:
    before = window(1, 2400)
    assert flagged(window(2, lower=0.15), before) == {"confidence"}
    assert flagged(window(3, worse=0.15), before) == {"success"}
    assert flagged(window(4, expenses=0.6), before) == {"intents"}
    assert "no_signal" in flagged(window(5, unknown=0.08), before)


def test_a_change_too_small_to_matter_is_not_flagged_however_sure_it_is() -> None:
    found = drift(window(6, 9_000, expenses=0.34), window(7, 9_000), NOW)
    intents = next(each for each in found if each.what == "intents")
    assert intents.p_value < 0.0001
    assert not intents.flagged


def test_too_little_of_either_says_nothing() -> None:
    assert drift(window(1, 20), window(2), NOW) == []
    assert drift([], [], NOW) == []
