"""Feature names to a sparse vector, by a vocabulary fixed in training.

Own code, because scikit-learn's vectorizer alone costs 1.1 ms a text.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log1p

import numpy as np
from numpy.typing import NDArray

from tiermesh_classifier.features import Features

# Weight of a whole block against the others; each is scaled to this length (signals stay unscaled).
WORDS_LENGTH = 3.0
PIECES_LENGTH = 2.0
SIGNAL_WEIGHT = 0.5
# Of each of the two means that make the sentence vector.
SENTENCE_LENGTH = 2.0
NO_SENTENCE = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class Vector:
    """A sparse row (positions and values), and the sentence vector, empty without a sentence encoder."""

    positions: NDArray[np.int64]
    values: NDArray[np.float32]
    sentence: NDArray[np.float32] = field(default_factory=lambda: NO_SENTENCE)


class Encoder:
    """Vocabulary and inverse document frequencies, by block name and feature."""

    def __init__(self, names: Sequence[str], idf: NDArray[np.float32]) -> None:
        self.names = names
        self.idf = idf
        self._idf: Sequence[float] = idf.tolist()
        self._at: Mapping[str, int] = {name: at for at, name in enumerate(names)}

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, features: Features) -> Vector:
        """The vector of a turn; features never seen in training are left out."""
        positions: list[int] = []
        values: list[float] = []
        self._block("w ", features.words, WORDS_LENGTH, positions, values)
        self._block("c ", features.pieces, PIECES_LENGTH, positions, values)
        for signal in dict.fromkeys(features.signals):
            at = self._at.get("s " + signal)
            if at is not None:
                positions.append(at)
                values.append(SIGNAL_WEIGHT)
        return Vector(np.array(positions, dtype=np.int64), np.array(values, dtype=np.float32))

    def knows(self, word: str) -> bool:
        """Whether a folded word was among what training saw."""
        return "w " + word in self._at

    def known_share(self, features: Features) -> float | None:
        """Share of the words that training knew: a sign of how foreign a text is. Nothing when there are no words."""
        words = [word for word in features.words if word.isalpha()]
        return sum(map(self.knows, words)) / len(words) if words else None

    def _block(
        self, prefix: str, names: Sequence[str], length: float, positions: list[int], values: list[float]
    ) -> None:
        found: list[int] = []
        weights: list[float] = []
        for name, count in Counter(names).items():
            at = self._at.get(prefix + name)
            if at is not None:
                found.append(at)
                weights.append(self._idf[at] * (1.0 if count == 1 else 1.0 + log1p(count - 1)))
        norm = sum(weight * weight for weight in weights) ** 0.5
        if norm:
            scale = length / norm
            positions.extend(found)
            values.extend(weight * scale for weight in weights)


def fit_encoder(turns: Sequence[Features], minimum: int = 2) -> Encoder:
    """The vocabulary of all features that occur in at least `minimum` turns, in alphabetical order."""
    seen: Counter[str] = Counter()
    for features in turns:
        present = {"w " + name for name in features.words}
        present.update("c " + name for name in features.pieces)
        present.update("s " + name for name in features.signals)
        seen.update(present)
    names = sorted(name for name, count in seen.items() if count >= minimum)
    counts = np.array([seen[name] for name in names], dtype=np.float64)
    idf = np.log((1 + len(turns)) / (1 + counts)) + 1
    return Encoder(names, idf.astype(np.float32))
