"""The threshold of one turn: the tenant's, or what wrong answers cost makes of it, raised by what the topic needed."""

from __future__ import annotations

from tiermesh_policy.decision import Reason, Threshold
from tiermesh_policy.history import History, TurnSummary
from tiermesh_policy.routes import Route, Tier
from tiermesh_policy.scores import Scores
from tiermesh_policy.tenant import Stickiness, TenantPolicy

_GOES_ON = ("follow_up", "correction")


def threshold_for(
    scores: Scores | None, policy: TenantPolicy, history: History
) -> tuple[Threshold, tuple[Reason, ...]]:
    """The threshold that this turn's confidence is held against, with the reasons for any change.

    Depends on everything but the confidence, so that a lower confidence can only escalate.
    """
    value, reasons = _base(scores, policy)
    base = Threshold(value, policy.thresholds.version)
    if scores is None or not _goes_on(scores, history):
        return base, reasons
    topic = _turns_of_topic(scores, history)
    raised, why = _topic_prior(topic, policy.stickiness)
    cached = _cache_prior(topic, policy.stickiness)
    value = max(base.value, min(base.value + raised + cached, policy.stickiness.ceiling))
    if value <= base.value:
        return base, reasons
    if cached > 0:
        why += f", {topic[-1].cached_tokens} cached tokens at tier {int(topic[-1].tier)} would be lost"
    detail = f"threshold {base.value:.2f} raised to {value:.2f}: {why.lstrip(', ')}"
    return Threshold(value, base.version), (*reasons, Reason("topic_weighs_on_follow_ups", detail))


def least_chance(policy: TenantPolicy, scores: Scores, tier: Tier) -> float | None:
    """The chance from which a tier costs no more than the next one, a wrong answer counted; None where it is unknown.

    The dear side wins what is no probability.
    """
    wrong, above = policy.strategy.wrong_answer_micros, scores.suffices.get(Tier(tier + 1)) if tier < 3 else None
    if not wrong or above is None or tier not in scores.suffices:
        return None
    extra = policy.costs.of_route(Route.of_tier(Tier(tier + 1))) - policy.costs.of_route(Route.of_tier(tier))
    return (above if 0.0 <= above <= 1.0 else 1.0) - extra / wrong


def _base(scores: Scores | None, policy: TenantPolicy) -> tuple[float, tuple[Reason, ...]]:
    """The tenant's threshold, or the one at which both tiers cost the same, inside the tenant's bounds."""
    thresholds = policy.thresholds
    least = None if scores is None else least_chance(policy, scores, Tier.ONE)
    if least is None:
        return thresholds.tier1, ()
    value = min(max(least, thresholds.lowest), thresholds.highest)
    detail = f"threshold {value:.3f}: there tier 1 costs what tier 2 costs, wrong answers counted"
    return value, (Reason("wrong_answers_have_a_price", detail),)


def _goes_on(scores: Scores, history: History) -> bool:
    """Whether a turn goes on with its topic; in a pack without axes every turn of a running conversation does."""
    if scores.general:
        return bool(history.turns)
    return scores.position.label in _GOES_ON


def _turns_of_topic(scores: Scores, history: History) -> tuple[TurnSummary, ...]:
    """The latest turns of the same intent family, oldest first: a shift of topic ends them."""
    family = scores.intent.label.partition(".")[0]
    turns: list[TurnSummary] = []
    for turn in reversed(history.turns):
        if turn.family != family:
            break
        turns.append(turn)
    return tuple(reversed(turns))


def _topic_prior(topic: tuple[TurnSummary, ...], stickiness: Stickiness) -> tuple[float, str]:
    """What the last hard turn still weighs: it fades with each easy turn since."""
    for easy, turn in enumerate(reversed(topic)):
        if turn.hard:
            since = "the last turn" if easy == 0 else f"{easy} easy turn(s) ago"
            return stickiness.strength * stickiness.fade**easy, f"the topic needed tier 2, {since}"
    return 0.0, ""


def _cache_prior(topic: tuple[TurnSummary, ...], stickiness: Stickiness) -> float:
    """What the prompt cache of the tier that answered last weighs against a switch."""
    if not topic or topic[-1].tier < Tier.TWO:
        return 0.0
    return stickiness.cache_strength * min(1.0, max(0, topic[-1].cached_tokens) / stickiness.cache_tokens)
