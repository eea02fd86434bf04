"""The least-tier model: one logistic regression per tier over the words, each calibrated on its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiermesh_classifier.scores import TierChance
from tiermesh_classifier.tiers.words import Words

Floats = NDArray[np.float32]
# Share of known words below which the model has little to go by.
FAMILIAR = 0.5
# The most that a tier but the highest is believed of a text in which nobody can tell where the question ends.
TANGLED_MOST = 0.25


@dataclass(frozen=True)
class Curve:
    """From a raw probability to a calibrated one: knots that rise, straight lines between them."""

    knots: Floats
    values: Floats

    def __call__(self, raw: float) -> float:
        return float(np.interp(raw, self.knots, self.values))


@dataclass(frozen=True)
class Chances:
    """What the model says of one text."""

    # Lowest tier first.
    tiers: Sequence[TierChance]
    # Share of the words that training knew.
    known: float


class TierModel:
    """Reads memory-mapped arrays; safe to share among threads."""

    def __init__(
        self,
        words: Words,
        tiers: Sequence[int],
        weights: Floats,
        bias: Floats,
        curves: Sequence[Curve],
        *,
        version: str,
    ) -> None:
        """`weights` is features × tiers, in the order of `tiers`."""
        self.version = version
        self.tiers = tiers
        self._words = words
        self._weights = weights
        self._bias = bias
        self._curves = curves

    def chances(self, text: str, *, tangled: bool = False) -> Chances:
        """Of any text. Foreign words and words to the router never speak for a lower tier than the highest."""
        row = self._words.row(text)
        logits = row.weights @ self._weights[row.places] + self._bias
        raw = 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
        found = [curve(value) for curve, value in zip(self._curves, raw.tolist(), strict=True)]
        belief = min(1.0, row.known / FAMILIAR)
        for at in range(len(found) - 1):
            found[at] = min(found[at] * belief, TANGLED_MOST if tangled else 1.0)
        return Chances(
            [TierChance(tier, chance, self.version) for tier, chance in zip(self.tiers, found, strict=True)], row.known
        )
