"""Measures a classifier on labelled turns: per axis, and per route where the decision package is there.

Conversations are played in order with the histories of their gold labels, so that one error does not count twice.
What is printed of it is `evaluate`'s.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from tiermesh_policy import (
    Axis,
    History,
    IntentFacts,
    Route,
    Scores,
    TenantPolicy,
    Tier,
    TurnSummary,
    Vocabulary,
    decide,
)

from tiermesh_classifier import scores as mine
from tiermesh_classifier.classifier import Classifier, Question
from tiermesh_classifier.history import History as Past
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.training.fitting import adaptive_ece, macro_f1
from tiermesh_classifier.training.turns import Turn

# Draws of the bootstrap behind the interval of a calibration error.
_DRAWS = 200
_SEED = 20260101

Advance = Callable[[], None]


@dataclass(frozen=True)
class Scored:
    """One turn with what was said of it."""

    turn: Turn
    scores: mine.Scores
    route: str
    milliseconds: float
    cpu_milliseconds: float


def score_turns(
    classifier: Classifier, policy: TenantPolicy, turns: Sequence[Turn], today: date, advance: Advance = lambda: None
) -> list[Scored]:
    """Every turn scored and decided; `advance` is called after each."""
    calendar = Calendar(today, classifier.words.fiscal_start_month)
    vocabulary = facts_of(classifier)
    scored = []
    for turn in turns:
        scored.append(_scored(classifier, policy, vocabulary, turn, calendar))
        advance()
    return scored


def facts_of(classifier: Classifier) -> Vocabulary:
    """What the decision has to know of the pack's intents."""
    kinds = classifier.words.kinds
    return Vocabulary(
        {
            name: IntentFacts(
                family=name.partition(".")[0],
                domain=name.partition(".")[0] if kind == "data" else None,
                write=kind == "write",
            )
            for name, kind in kinds.items()
        }
    )


def report(scored: Sequence[Scored]) -> Mapping[str, Any]:
    """Metrics of scored turns, and every error, worst first."""
    axes = {axis: _axis(scored, axis) for axis in mine.AXES}
    times = np.array([each.milliseconds for each in scored])
    work = np.array([each.cpu_milliseconds for each in scored])
    return {
        "turns": len(scored),
        "axes": axes,
        "route": _routes(scored),
        "confidence": _confidence(scored),
        "latency_ms": {"p50": _at(times, 50), "p99": _at(times, 99)},
        "cpu_ms": {"p50": _at(work, 50), "p99": _at(work, 99)},
        "intent_confusions": _confusions(scored),
        "errors": _errors(scored),
    }


def _scored(
    classifier: Classifier, policy: TenantPolicy, vocabulary: Vocabulary, turn: Turn, calendar: Calendar
) -> Scored:
    before, worked = time.perf_counter(), time.thread_time()
    scores = classifier.score(Question(turn.text, turn.history, calendar))
    spent, work = (time.perf_counter() - before) * 1e3, (time.thread_time() - worked) * 1e3
    decision = decide(policy_scores(scores, vocabulary), policy, policy_history(turn.history))
    route = decision.route.value if decision.route is not None else ""
    return Scored(turn, scores, route, spent, work)


def policy_scores(scores: mine.Scores, vocabulary: Vocabulary) -> Scores:
    """The scores as the decision takes them."""

    def axis(name: str) -> Axis:
        score = scores.axes[name]
        return Axis(score.label, score.probability, dict(score.distribution))

    return Scores(
        intent=axis("intent"),
        cardinality=axis("cardinality"),
        temporal=axis("temporal"),
        aggregation=axis("aggregation"),
        position=axis("position"),
        needs_context=axis("needs_context"),
        ambiguous=axis("ambiguous"),
        multi_step=axis("multi_step"),
        stakes=axis("stakes"),
        confidence=scores.confidence.value,
        suffices={Tier(each.tier): each.probability for each in scores.tiers},
        vocabulary=vocabulary,
    )


def policy_history(history: Past) -> History:
    """The history as the decision takes it."""
    turns = []
    for turn in history.turns:
        route = Route(turn.route)
        tier = Tier.TWO if route is Route.TIER2 else Tier.ONE
        turns.append(TurnSummary(route, tier, turn.intent, turn.ambiguous, turn.multi_step, turn.high_stakes))
    return History(tuple(turns))


def _counted(scored: Sequence[Scored], axis: str) -> list[Scored]:
    """Intents count only on turns that are not ambiguous: without a topic they are a guess."""
    return [each for each in scored if axis != "intent" or each.turn.labels["ambiguous"] == "no"]


def _axis(scored: Sequence[Scored], axis: str) -> Mapping[str, Any]:
    counted = _counted(scored, axis)
    names = sorted({each.turn.labels[axis] for each in counted} | {each.scores.axes[axis].label for each in counted})
    truth = np.array([names.index(each.turn.labels[axis]) for each in counted])
    picked = np.array([names.index(each.scores.axes[axis].label) for each in counted])
    sure = np.array([each.scores.axes[axis].probability for each in counted])
    right = picked == truth
    low, high = _ece_interval(sure, right)
    return {
        "accuracy": round(float(right.mean()), 4),
        "macro_f1": round(macro_f1(picked, truth), 4),
        "ece": round(adaptive_ece(sure, right), 4),
        "ece_interval": [low, high],
        "brier": round(_brier(counted, axis), 4),
    }


def _ece_interval(sure: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """90 % of the calibration errors of resampled turns. A bootstrap leans upwards: read it as a bound."""
    chance = np.random.default_rng(_SEED)
    draws = [chance.integers(0, len(sure), len(sure)) for _ in range(_DRAWS)]
    found = [adaptive_ece(sure[drawn], right[drawn]) for drawn in draws]
    return round(float(np.percentile(found, 5)), 4), round(float(np.percentile(found, 95)), 4)


def _brier(counted: Sequence[Scored], axis: str) -> float:
    """Mean squared distance of the whole distribution from the truth."""
    found = []
    for each in counted:
        distribution, truth = each.scores.axes[axis].distribution, each.turn.labels[axis]
        found.append(sum((share - (label == truth)) ** 2 for label, share in distribution.items()))
    return float(np.mean(found))


def _confusions(scored: Sequence[Scored]) -> Sequence[Mapping[str, Any]]:
    """Which intent was taken for which, most frequent first."""
    pairs = Counter(
        (each.turn.labels["intent"], each.scores.axes["intent"].label)
        for each in _counted(scored, "intent")
        if each.turn.labels["intent"] != each.scores.axes["intent"].label
    )
    ordered = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"truth": truth, "taken_for": taken, "turns": turns} for (truth, taken), turns in ordered]


def _routes(scored: Sequence[Scored]) -> Mapping[str, float]:
    """Shares of all turns, by the kinds of error that the design names."""
    pairs = [(each.turn.route, each.route) for each in scored]

    def share(gold: Sequence[str], chosen: Sequence[str]) -> float:
        return round(sum(g in gold and c in chosen for g, c in pairs) / len(pairs), 4)

    return {
        "accuracy": round(sum(g == c for g, c in pairs) / len(pairs), 4),
        "trap": share(["aggregate"], ["tier1"]),
        "quality_loss": share(["tier2"], ["tier1", "aggregate"]),
        "cost_inflation": share(["tier1", "aggregate"], ["tier2"]),
        "detour": share(["tier1"], ["aggregate"]),
    }


def _confidence(scored: Sequence[Scored]) -> Mapping[str, float]:
    values = np.array([each.scores.confidence.value for each in scored])
    truth = np.array([each.turn.route == "tier1" for each in scored])
    return {
        "ece": round(adaptive_ece(values, truth), 4),
        "brier": round(float(((values - truth) ** 2).mean()), 4),
        "accuracy": round(float(((values >= 0.5) == truth).mean()), 4),
    }


def _errors(scored: Sequence[Scored]) -> Sequence[Mapping[str, Any]]:
    """Wrong routes first, then the surest wrong labels."""
    found = [each for each in scored if each.route != each.turn.route or _wrong(each)]
    found.sort(key=lambda each: (each.route == each.turn.route, -_surest(each)))
    return [_error(each) for each in found]


def _wrong(each: Scored) -> Sequence[str]:
    return [axis for axis in mine.AXES if each.scores.axes[axis].label != each.turn.labels[axis]]


def _surest(each: Scored) -> float:
    return max((each.scores.axes[axis].probability for axis in _wrong(each)), default=0.0)


def _error(each: Scored) -> Mapping[str, Any]:
    axes = {
        axis: [each.turn.labels[axis], each.scores.axes[axis].label, round(each.scores.axes[axis].probability, 3)]
        for axis in _wrong(each)
    }
    return {
        "id": each.turn.id,
        "text": each.turn.text,
        "route": [each.turn.route, each.route],
        "confidence": round(each.scores.confidence.value, 3),
        "axes": axes,
    }


def _at(times: np.ndarray, percentile: float) -> float:
    return round(float(np.percentile(times, percentile)), 3)
