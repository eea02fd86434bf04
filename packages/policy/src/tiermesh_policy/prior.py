"""The threshold of one turn: the tenant's, raised by what the topic has needed so far."""

from __future__ import annotations

from tiermesh_policy.decision import Reason, Threshold
from tiermesh_policy.history import History, TurnSummary
from tiermesh_policy.routes import Tier
from tiermesh_policy.scores import Scores
from tiermesh_policy.tenant import Stickiness, TenantPolicy

_GOES_ON = ("follow_up", "correction")


def threshold_for(
    scores: Scores | None, policy: TenantPolicy, history: History
) -> tuple[Threshold, tuple[Reason, ...]]:
    """The threshold that this turn's confidence is held against, with the reasons for any change.

    Depends on everything but the confidence, so that a lower confidence can only escalate.
    """
    base = Threshold(policy.thresholds.tier1, policy.thresholds.version)
    if scores is None or scores.position.label not in _GOES_ON:
        return base, ()
    topic = _turns_of_topic(scores, history)
    raised, why = _topic_prior(topic, policy.stickiness)
    cached = _cache_prior(topic, policy.stickiness)
    value = max(base.value, min(base.value + raised + cached, policy.stickiness.ceiling))
    if value <= base.value:
        return base, ()
    if cached > 0:
        why += f", {topic[-1].cached_tokens} cached tokens at tier {int(topic[-1].tier)} would be lost"
    detail = f"threshold {base.value:.2f} raised to {value:.2f}: {why.lstrip(', ')}"
    return Threshold(value, base.version), (Reason("topic_weighs_on_follow_ups", detail),)


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
