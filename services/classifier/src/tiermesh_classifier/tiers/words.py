"""A text as words and phrases, for the least-tier model.

The same as scikit-learn's `TfidfVectorizer` makes of it, with which the model is fitted and measured; serving goes
without that library.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

# What is read of a text: the longest that a call may bring.
LONGEST = 8_000
_WORD = re.compile(r"(?u)\b\w\w+\b")


def words_of(text: str) -> Sequence[str]:
    """The words of two characters and more, in lower case."""
    return _WORD.findall(text[:LONGEST].lower())


@dataclass(frozen=True)
class Row:
    """One text: places of its words and phrases in the vocabulary, and their weights."""

    places: NDArray[np.int64]
    weights: NDArray[np.float32]
    # Share of its words that training knew; 0 for a text without words.
    known: float


class Words:
    """Vocabulary and inverse document frequencies."""

    def __init__(self, names: Sequence[str], idf: NDArray[np.float32], longest_phrase: int) -> None:
        """`names` are words, and phrases with a blank between words."""
        self._at: Mapping[str, int] = {name: at for at, name in enumerate(names)}
        self._idf: Sequence[float] = idf.tolist()
        self._longest = longest_phrase

    def row(self, text: str) -> Row:
        """Of any text."""
        words = words_of(text)
        counts = Counter(at for name in self._phrases(words) if (at := self._at.get(name)) is not None)
        weights = [(1.0 + log(count)) * self._idf[at] for at, count in counts.items()]
        norm = sum(weight * weight for weight in weights) ** 0.5 or 1.0
        known = sum(word in self._at for word in words) / len(words) if words else 0.0
        return Row(
            np.fromiter(counts, dtype=np.int64, count=len(counts)),
            np.array([weight / norm for weight in weights], dtype=np.float32),
            known,
        )

    def _phrases(self, words: Sequence[str]) -> Sequence[str]:
        found = list(words)
        for size in range(2, self._longest + 1):
            found += [" ".join(words[at : at + size]) for at in range(len(words) - size + 1)]
        return found
