"""Intents with out-of-scope: one linear model over words, pieces of words and, where given, a sentence encoder.

Out-of-scope examples of the training data are a class of their own; what is measured against the threshold is how far
that class is ahead of the best intent. Without such examples it is how weak the best intent is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from tiermesh_classifier.experiments.rows import enough, read_rows
from tiermesh_classifier.sentence.encoder import SentenceEncoder

Floats = NDArray[np.float64]
OUT_OF_SCOPE = "oos"
# How much the encoder's row of length one counts against the two sparse blocks of length one.
_ENCODER_WEIGHT = 3.0
_STRENGTH = 0.3
# Share of in-scope questions that the threshold may turn away where it is chosen: half of the 3 % that are allowed in
# the end, because what comes later is further from the training data than a held-out part of it.
FALSE_ALARM = 0.015
_FOLDS = 5
_ANY_WORD = r"\S+"


@dataclass(frozen=True)
class Labelled:
    """Texts with intents; `encoded` is empty without an encoder."""

    texts: Sequence[str]
    intents: NDArray[np.str_]
    encoded: NDArray[np.float32]

    @property
    def outside(self) -> NDArray[np.bool_]:
        """Which are out of scope."""
        return np.asarray(self.intents == OUT_OF_SCOPE)

    def part(self, chosen: NDArray[np.int64]) -> "Labelled":
        """Some of them."""
        return Labelled([self.texts[at] for at in chosen], self.intents[chosen], self.encoded[chosen])


def read_intents(path: Path, split: str | None) -> tuple[Sequence[str], NDArray[np.str_]]:
    """Reads `text` and `intent`; out of scope is `is_oos` or the intent "oos". `split` keeps the rows of that split."""
    rows = list(read_rows(path, {"text": str, "intent": str}))
    kept = [row for row in rows if split is None or row.get("split") == split]
    enough(kept, path, 20)
    intents = [OUT_OF_SCOPE if row.get("is_oos") is True else row["intent"] for row in kept]
    return [row["text"] for row in kept], np.array(intents)


class IntentModel:
    """Fitted on labelled texts."""

    def __init__(self, words: Any, pieces: Any, model: Any) -> None:
        self._words = words
        self._pieces = pieces
        self._model = model
        self._outside = np.asarray(model.classes_ == OUT_OF_SCOPE)

    def read(self, data: Labelled) -> tuple[NDArray[np.str_], Floats]:
        """Per text the best intent that is one, and how much it speaks for out of scope."""
        blocks = [self._words.transform(data.texts), self._pieces.transform(data.texts)]
        margins = self._model.decision_function(_joined(blocks, data.encoded))
        inside = margins[:, ~self._outside]
        best = inside.max(axis=1)
        against = margins[:, self._outside][:, 0] - best if self._outside.any() else -best
        return self._model.classes_[~self._outside][inside.argmax(axis=1)], np.asarray(against)


def fit_intents(data: Labelled) -> IntentModel:
    """Fits the model."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_ANY_WORD)
    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
    blocks = [words.fit_transform(data.texts), pieces.fit_transform(data.texts)]
    model = LinearSVC(C=_STRENGTH, random_state=0).fit(_joined(blocks, data.encoded), data.intents)
    return IntentModel(words, pieces, model)


def threshold_of(data: Labelled) -> float:
    """What keeps the false alarms of a held-out fifth of the training data within `FALSE_ALARM`."""
    fitted_on, held = next(StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(data.texts, data.intents))
    part = data.part(held)
    _, against = fit_intents(data.part(fitted_on)).read(part)
    return float(np.quantile(against[~part.outside], 1.0 - FALSE_ALARM))


def tenth_of(data: Labelled) -> tuple[Labelled, Labelled]:
    """Nine tenths to fit on, and one to measure on, in like proportions of intents."""
    fitted_on, held = next(StratifiedKFold(10, shuffle=True, random_state=0).split(data.texts, data.intents))
    return data.part(fitted_on), data.part(held)


def encoded(texts: Sequence[str], encoder: SentenceEncoder | None, step: Any) -> NDArray[np.float32]:
    """The encoder's rows; rows of nothing without one."""
    return np.zeros((len(texts), 0), dtype=np.float32) if encoder is None else encoder.vectors(texts, step)


def _joined(blocks: Sequence[Any], dense: NDArray[np.float32]) -> Any:
    if dense.shape[1]:
        blocks = [*blocks, sp.csr_matrix(dense * _ENCODER_WEIGHT)]
    return sp.hstack(blocks).tocsr()
