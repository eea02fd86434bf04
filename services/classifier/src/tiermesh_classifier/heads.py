"""One linear head per axis over the shared vector, and the head of the confidence. Each is replaced on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiermesh_classifier.encoder import Encoder, Vector

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class LinearHead:
    """A calibrated multinomial model of one axis."""

    axis: str
    labels: Sequence[str]
    # Features × labels, memory-mapped when loaded from an artefact.
    weights: Floats
    bias: Floats
    temperature: float
    version: str

    def logits(self, vector: Vector) -> NDArray[np.float64]:
        """Raw scores, before calibration."""
        rows = self.weights[vector.positions]
        return np.asarray(vector.values @ rows + self.bias, dtype=np.float64)

    def probabilities(self, vector: Vector) -> NDArray[np.float64]:
        """Calibrated probabilities in the order of `labels`."""
        return softmax(self.logits(vector) / self.temperature)

    def reasons(self, vector: Vector, label: int, encoder: Encoder, most: int = 3) -> Sequence[tuple[str, float]]:
        """The features that spoke loudest for or against a label; weights of one feature sum to nearly zero."""
        share = vector.values * self.weights[vector.positions, label]
        order = np.argsort(-np.abs(share))[:most]
        return [(encoder.names[vector.positions[at]], float(share[at])) for at in order]


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


def kept(distribution: Mapping[str, float], label: str, chance: float) -> dict[str, float]:
    """Half the distribution, half one in which the topic's label has the given chance and the others share the rest.

    The first half knows what the words say, the second that a turn may only make sense with its topic; measured, their
    mean beats either.
    """
    if label not in distribution:
        return dict(distribution)
    others = 1.0 - distribution[label]
    scale = (1.0 - chance) / others if others > 1e-9 else 0.0
    mixed = {name: share * (1.0 + scale) / 2 for name, share in distribution.items()}
    mixed[label] = 1.0 - sum(share for name, share in mixed.items() if name != label)
    return mixed


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
