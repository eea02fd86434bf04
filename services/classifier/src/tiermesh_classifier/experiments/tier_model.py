"""The least tier that suffices: the probability that the weak and that the strong model is right, from the words.

Two logistic regressions over word features; what ranks questions is the difference. The baseline to beat asks one
regression directly whether the strong model is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, train_test_split

from tiermesh_classifier.experiments.cost_quality import apgr, recovered
from tiermesh_classifier.experiments.outcomes import Outcomes

Floats = NDArray[np.float64]
_LONGEST_PROMPT = 8_000


@dataclass(frozen=True)
class Choice:
    """What training chooses between, on a part of the training data alone."""

    longest_phrase: int
    strength: float


CHOICES = (Choice(1, 0.3), Choice(1, 1.0), Choice(2, 1.0), Choice(2, 3.0))


@dataclass(frozen=True)
class Suffices:
    """Per question the probability that each tier is right."""

    weak: Floats
    strong: Floats

    @property
    def gain(self) -> Floats:
        """How much more often the strong model is expected to be right."""
        return self.strong - self.weak


class TierModel:
    """Fitted on outcome data."""

    def __init__(self, words: Any, weak: Any, strong: Any, choice: Choice) -> None:
        self._words = words
        self._weak = weak
        self._strong = strong
        self.choice = choice

    def suffices(self, prompts: Sequence[str]) -> Suffices:
        """What each tier is expected to make of the questions."""
        matrix = self._words.transform([prompt[:_LONGEST_PROMPT] for prompt in prompts])
        return Suffices(_chance(self._weak, matrix), _chance(self._strong, matrix))


def fit_tiers(data: Outcomes, choice: Choice) -> TierModel:
    """Fits the two regressions with given settings."""
    words = TfidfVectorizer(ngram_range=(1, choice.longest_phrase), min_df=2, sublinear_tf=True)
    matrix = words.fit_transform([prompt[:_LONGEST_PROMPT] for prompt in data.prompts])
    weak, strong = (
        LogisticRegression(C=choice.strength, max_iter=300).fit(matrix, right) for right in (data.weak, data.strong)
    )
    return TierModel(words, weak, strong, choice)


def choose(data: Outcomes, seed: int = 0) -> Choice:
    """The settings that rank best on a quarter of the training data, fitted on the rest."""
    fitted_on, held = train_test_split(np.arange(len(data)), test_size=0.25, random_state=seed)
    part = data.part(held)

    def worth(choice: Choice) -> float:
        gain = fit_tiers(data.part(fitted_on), choice).suffices(part.prompts).gain
        return apgr(recovered(gain, part.weak, part.strong))

    return max(CHOICES, key=worth)


def baseline(data: Outcomes, prompts: Sequence[str]) -> Floats:
    """The plain baseline: one regression over single words, asked whether only the strong model is right."""
    words = TfidfVectorizer(min_df=2, sublinear_tf=True)
    matrix = words.fit_transform([prompt[:_LONGEST_PROMPT] for prompt in data.prompts])
    needed = data.strong & ~data.weak
    model = LogisticRegression(max_iter=300).fit(matrix, needed)
    return _chance(model, words.transform([prompt[:_LONGEST_PROMPT] for prompt in prompts]))


def held_out(data: Outcomes, folds: int, step: Callable[[], None]) -> tuple[Suffices, Floats]:
    """Every question scored by a model that has not seen it: the tier model, and the baseline."""
    weak, strong, plain = (np.zeros(len(data)) for _ in range(3))
    for fitted_on, held in KFold(folds, shuffle=True, random_state=0).split(np.arange(len(data))):
        part = data.part(fitted_on)
        prompts = [data.prompts[at] for at in held]
        found = fit_tiers(part, choose(part)).suffices(prompts)
        weak[held], strong[held], plain[held] = found.weak, found.strong, baseline(part, prompts)
        step()
    return Suffices(weak, strong), plain


def _chance(model: Any, matrix: Any) -> Floats:
    return np.asarray(model.predict_proba(matrix)[:, 1], dtype=np.float64)
