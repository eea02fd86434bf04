"""One linear head per axis over the shared vector, and the head of the confidence. Each is replaced on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiermesh_classifier.encoder import Encoder, Vector

Floats = NDArray[np.float32]
# What the evidence calls the sentence vector: its numbers have no names that a person could read.
SENTENCE = "meaning of the sentence"


@dataclass(frozen=True)
class LinearHead:
    """A calibrated multinomial model of one axis."""

    axis: str
    labels: Sequence[str]
    # Features × labels, memory-mapped when loaded from an artefact.
    weights: Floats
    # Sentence vector × labels; no rows where the artefact has no sentence encoder.
    dense: Floats
    bias: Floats
    temperature: float
    version: str


@dataclass(frozen=True)
class Read:
    """What one head says of a turn: calibrated probabilities by label, and how each feature spoke for each label."""

    head: LinearHead
    probabilities: Mapping[str, float]
    # Features of the turn × labels; the sentence vector is the last of them, as a whole.
    shares: Floats


class Heads:
    """All heads side by side, so that a turn is looked up once. Each stays its own: this is only how they are run."""

    def __init__(self, heads: Sequence[LinearHead]) -> None:
        self._weights = np.concatenate([np.asarray(head.weights) for head in heads], axis=1)
        self._dense = np.concatenate([np.asarray(head.dense) for head in heads], axis=1)
        self._bias = np.concatenate([head.bias for head in heads])
        ends = np.cumsum([len(head.labels) for head in heads]).tolist()
        self._parts = [(head, end - len(head.labels), end) for head, end in zip(heads, ends, strict=True)]

    def read(self, vector: Vector) -> Mapping[str, Read]:
        """Every head's reading of a turn, by its axis."""
        count = len(vector.positions)
        shares = np.empty((count + (len(vector.sentence) > 0), len(self._bias)), dtype=np.float32)
        np.multiply(self._weights[vector.positions], vector.values[:, None], out=shares[:count])
        if len(vector.sentence):
            np.dot(vector.sentence, self._dense, out=shares[count])
        logits = shares.sum(axis=0) + self._bias
        found = {}
        for head, start, end in self._parts:
            chances = softmax(logits[start:end] / head.temperature).tolist()
            found[head.axis] = Read(head, dict(zip(head.labels, chances, strict=True)), shares[:, start:end])
        return found


def reasons(read: Read, vector: Vector, label: str, encoder: Encoder, most: int = 3) -> Sequence[tuple[str, float]]:
    """The features that spoke loudest for or against a label; weights of one feature sum to nearly zero."""
    share = read.shares[:, read.head.labels.index(label)]
    if len(share) > most:
        loudest = np.argpartition(-np.abs(share), most)[:most]
        loudest = loudest[np.argsort(-np.abs(share[loudest]))]
    else:
        loudest = np.argsort(-np.abs(share))
    named = len(vector.positions)
    return [(encoder.names[vector.positions[at]] if at < named else SENTENCE, float(share[at])) for at in loudest]


@dataclass(frozen=True)
class ConfidenceHead:
    """Probability that tier 1 is right, from what every axis says."""

    inputs: Sequence[str]
    weights: Floats
    bias: float
    # Calibration: raw score to probability by linear interpolation between knots (isotonic).
    knots: Floats
    values: Floats
    version: str

    def probability(self, axes: Mapping[str, Mapping[str, float]]) -> float:
        """The calibrated probability; `axes` holds each axis's distribution."""
        features = confidence_inputs(self.inputs, axes)
        raw = 1.0 / (1.0 + np.exp(-float(features @ self.weights + self.bias)))
        return float(np.interp(raw, self.knots, self.values))


def confidence_inputs(names: Sequence[str], axes: Mapping[str, Mapping[str, float]]) -> Floats:
    """The inputs by name: "axis=label" is its log-odds, bounded."""
    values = np.array([_of(name, axes) for name in names], dtype=np.float64)
    clipped = np.clip(values, 0.002, 0.998)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float32)


def _of(name: str, axes: Mapping[str, Mapping[str, float]]) -> float:
    axis, _, label = name.partition("=")
    return axes[axis].get(label, 0.0)


# How far the head that says whether a label is kept is believed over the axis's own, for a turn that needs its context.
# Of 0 to 1, held-out turns that are in no labelled set are likeliest here.
_KEEP_WEIGHT = 0.4


def kept(distribution: Mapping[str, float], label: str, chance: float, leaning: float) -> dict[str, float]:
    """A distribution mixed with one in which the topic's label has the given chance and the others share the rest.

    `leaning` is the chance that the turn leans on its context: a turn that stands alone keeps nothing.
    Training calls this with columns of turns.
    """
    if label not in distribution:
        return dict(distribution)
    weight = _KEEP_WEIGHT * leaning
    others = 1.0 - distribution[label]
    scale = (1.0 - chance) / np.maximum(others, 1e-9)
    mixed = {name: share * (1.0 - weight + weight * scale) for name, share in distribution.items()}
    mixed[label] = 1.0 - sum(share for name, share in mixed.items() if name != label)
    return mixed


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
