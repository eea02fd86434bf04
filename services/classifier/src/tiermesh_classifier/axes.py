"""What ties an axis to the others or to the conversation, where the trained heads cannot know it.

Structure only (an opening needs no context), honesty about unknown words, and the axis "surround", which follows from
the others. Each function touches one axis. Training calls some of them with a column of turns in the place of a number.
"""

from collections.abc import Mapping

import numpy as np

from tiermesh_classifier.history import History
from tiermesh_classifier.scores import NO_SIGNAL, AxisScore, Evidence, EvidenceKind, Stage

# Share of known words below which the trained model has little to go by.
FAMILIAR = 0.34
SURROUND_VERSION = "surround-1"
# How ambiguous a text is that mixes a question with words to the router; and the most that its confidence can be.
TANGLED = 0.75
TO_THE_ROUTER = "question_tangled_with_words_to_the_router"
IN_A_LONG_TEXT = "question_buried_in_a_long_text"
BESIDE_OTHERS = "takes_less_than_one_of_its_sentences_alone"
BESIDE_STRANGERS = "takes_less_than_without_what_is_strange_in_it"
_MIX: Mapping[str, tuple[float, float, float, float]] = {
    # drill_down, compare, act, explain
    "count": (0.5, 0.3, 0.1, 0.1),
    "sum": (0.5, 0.3, 0.1, 0.1),
    "average": (0.35, 0.45, 0.05, 0.15),
    "rank": (0.5, 0.25, 0.1, 0.15),
    "compare": (0.4, 0.15, 0.1, 0.35),
    "trend": (0.35, 0.25, 0.05, 0.35),
    "list": (0.3, 0.2, 0.4, 0.1),
    "value": (0.2, 0.1, 0.45, 0.25),
    "policy": (0.05, 0.05, 0.4, 0.5),
    "write": (0.1, 0.05, 0.65, 0.2),
    "chat": (0.3, 0.1, 0.4, 0.2),
}
# What a turn of a kind that asks for no records is about, by the labelling guide: nobody's data, nothing computed.
_PLAIN: Mapping[str, tuple[str, frozenset[str]]] = {
    "cardinality": ("one", frozenset({"policy", "chat"})),
    "aggregation": ("none", frozenset({"policy", "chat", "write"})),
}
_PILLS = ("drill_down", "compare", "act", "explain")


def structural(axis: str, distribution: Mapping[str, float], history: History) -> dict[str, float] | None:
    """The distribution that the place in the conversation leaves; nothing when it has no say."""
    if axis == "position":
        barred = {"opening"} if history.running else set(distribution) - {"opening"}
    elif axis == "needs_context" and not history.running:
        barred = {"yes"}
    else:
        return None
    kept = {label: (0.0 if label in barred else share) for label, share in distribution.items()}
    total = sum(kept.values())
    if total <= 0.0:
        return {label: 0.0 if label in barred else 1.0 / (len(kept) - len(barred)) for label in kept}
    return {label: share / total for label, share in kept.items()}


def of_kind(axis: str, distribution: Mapping[str, float], kinds: Mapping[str, float]) -> dict[str, float]:
    """The distribution, mixed with certainty for the plain label as far as the turn's kind asks for no records."""
    label, plain = _PLAIN.get(axis, ("", frozenset[str]()))
    chance = sum(share for kind, share in kinds.items() if kind in plain)
    if label not in distribution:
        return dict(distribution)
    mixed = {name: share * (1.0 - chance) for name, share in distribution.items()}
    return mixed | {label: mixed[label] + chance}


def doubted(distribution: Mapping[str, float], known_share: float) -> dict[str, float]:
    """Moves probability to "no_signal" as far as the words are foreign to the model."""
    doubt = max(0.0, 1.0 - known_share / FAMILIAR)
    return {label: share * (1.0 - doubt) for label, share in distribution.items()} | {NO_SIGNAL: doubt}


def surround(axes: Mapping[str, AxisScore], kinds: Mapping[str, str]) -> AxisScore:
    """The mix of pills that suits the answer."""
    kind = kinds.get(axes["intent"].label, "chat")
    aggregation, several = axes["aggregation"].label, axes["cardinality"].label in ("team", "org")
    if axes["intent"].label == NO_SIGNAL:
        return AxisScore(dict.fromkeys(_PILLS, 0.0) | {NO_SIGNAL: 1.0}, Stage.TRAINED, SURROUND_VERSION)
    row = kind if kind != "data" else aggregation if aggregation in _MIX else "list" if several else "value"
    shares = dict(zip(_PILLS, _MIX[row], strict=True))
    if axes["multi_step"].label == "yes":
        shares["explain"] += 0.15
        shares["act"] += 0.1
    total = sum(shares.values())
    evidence = (Evidence(EvidenceKind.RULE, f"shape_{row}", max(shares.values())),)
    distribution = {pill: share / total for pill, share in shares.items()} | {NO_SIGNAL: 0.0}
    return AxisScore(distribution, Stage.RULE, SURROUND_VERSION, evidence)


def tangled(axes: Mapping[str, AxisScore], why: str = TO_THE_ROUTER) -> dict[str, AxisScore]:
    """The axes of a text in which the question cannot be told from what is around it: it needs asking back."""
    evidence = (Evidence(EvidenceKind.RULE, why, TANGLED),)
    shares = {"yes": TANGLED, "no": 1.0 - TANGLED, NO_SIGNAL: 0.0}
    if axes["ambiguous"].distribution.get("yes", 0.0) >= TANGLED:
        return dict(axes)
    return {**axes, "ambiguous": AxisScore(shares, Stage.RULE, axes["ambiguous"].version, evidence)}


def plain(axes: Mapping[str, Mapping[str, float]], kinds: Mapping[str, float]) -> float:
    """Chance that the turn is one plain look-up, rule, write or chat, were the axes independent.

    The labelling guide's rule for tier 1. A sum over the axes cannot say it: one of them is enough to spoil it.
    """
    hard = [axes["ambiguous"].get("yes", 0.0), axes["multi_step"].get("yes", 0.0), axes["stakes"].get("high", 0.0)]
    alone = axes["cardinality"].get("one", 0.0)
    stored = alone * axes["aggregation"].get("none", 0.0)
    bulk = kinds.get("data", 0.0) * (1.0 - stored) + kinds.get("write", 0.0) * (1.0 - alone)
    chance: float = 1.0 - np.minimum(1.0, bulk)
    for share in hard:
        chance = chance * (1.0 - share)
    return chance


def kinds_of(intent: Mapping[str, float], kinds: Mapping[str, str]) -> dict[str, float]:
    """Probability of each kind of intent."""
    shares: dict[str, float] = {}
    for label, share in intent.items():
        kind = kinds.get(label, NO_SIGNAL)
        shares[kind] = shares.get(kind, 0.0) + share
    return shares
