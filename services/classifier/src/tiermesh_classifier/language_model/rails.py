"""What a model's labels may change, whatever it was talked into.

The rails do not rest on the model: they hold when it obeys every word of a hostile text.

- An axis of which the local stages are sure never changes.
- A text that addresses the router is not shown to the model at all (`reading.steering`).
- Only one short sentence in words that the local stages know may be labelled more simply, and only with a label that
  was plausible before: a question with a text smuggled in behind it is not that.
- Any other text may get an intent and a place in the conversation where there was no signal, and doubt may be raised.
  Its scope stays as it was and its confidence never rises.
"""

import re
from collections.abc import Mapping
from enum import Enum

from tiermesh_classifier.scores import NO_SIGNAL, AxisScore, Evidence, EvidenceKind, Stage

# Below this probability of its label an axis is uncertain.
UNCERTAIN_BELOW = 0.6
# A label that the local stages hold less likely than this is not plausible.
PLAUSIBLE = 0.05
# How far a model's label is believed, before anybody has measured it on outcomes.
BELIEF = 0.85
# What a text must be for the local stages to vouch for it: share of known words, and length.
FAMILIAR = 0.75
SHORT = 120
_MORE_THAN_ONE = re.compile(r"[.?!;:\n\r][\"')\]\s]*\w")
_FILLED = ("intent", "position", "needs_context")
_RAISED: Mapping[str, str] = {"ambiguous": "yes", "multi_step": "yes", "stakes": "high"}


class Trust(Enum):
    """How far a text's labels by the model may go."""

    FULL = "full"
    # Fills an intent where there was no signal and raises doubt; makes nothing simpler.
    GUARDED = "guarded"


def trust_in(text: str, familiar: float) -> Trust:
    """What a text allows."""
    one = len(text) <= SHORT and _MORE_THAN_ONE.search(text) is None
    return Trust.FULL if one and familiar >= FAMILIAR else Trust.GUARDED


def uncertain(axes: Mapping[str, AxisScore]) -> tuple[str, ...]:
    """The axes that may be looked at again. What a rule settled stays settled."""
    return tuple(name for name, score in axes.items() if name != "surround" and _uncertain(score))


def _uncertain(score: AxisScore) -> bool:
    return score.label == NO_SIGNAL or (score.stage is Stage.TRAINED and score.probability < UNCERTAIN_BELOW)


def allowed(axis: str, local: AxisScore, label: str, trust: Trust) -> bool:
    """Whether the model's label may speak."""
    if label == NO_SIGNAL or label not in local.distribution:
        return False
    if _RAISED.get(axis) == label:
        return True
    if trust is Trust.GUARDED:
        return axis in _FILLED and local.label == NO_SIGNAL
    return local.label == NO_SIGNAL or local.distribution[label] >= PLAUSIBLE


def combined(local: AxisScore, label: str, version: str) -> AxisScore:
    """The local distribution, told that the model said `label`; what had no signal counts as even."""
    labels = [name for name in local.distribution if name != NO_SIGNAL]
    even = local.distribution.get(NO_SIGNAL, 0.0) / len(labels)
    others = (1.0 - BELIEF) / max(1, len(labels) - 1)
    joint = {name: (local.distribution[name] + even) * (BELIEF if name == label else others) for name in labels}
    total = sum(joint.values())
    distribution = {name: share / total for name, share in joint.items()} | {NO_SIGNAL: 0.0}
    evidence = (*local.evidence, Evidence(EvidenceKind.RULE, f"language_model={label}", BELIEF))
    return AxisScore(distribution, Stage.LLM, version, evidence)
