"""Heads fitted fold by fold, each without a part of the turns, and what they say of that part."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiermesh_classifier.artefact import HEADS, KEEP_HEADS
from tiermesh_classifier.encoder import Encoder, fit_encoder
from tiermesh_classifier.training.fitting import Fitted, Matrix, Task, fit, logits
from tiermesh_classifier.training.prepared import Prepared
from tiermesh_classifier.training.solver import Rows

# Folds at a time: most of the work is products, which let other threads run. Each takes a gigabyte.
_AT_ONCE = 2

LabelSets = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Fit:
    """How heads are fitted: how much the data counts, and the most steps that a head may take."""

    strength: float
    steps: int


@dataclass(frozen=True)
class CrossFitted:
    """A fold per turn; vocabulary and heads that have not seen it, per fold; what was said of each turn, per head."""

    folds: NDArray[np.int64]
    encoders: Sequence[Encoder]
    heads: Sequence[Mapping[str, Fitted]]
    held_out: Mapping[str, Matrix]


def cross_fitted(
    data: Prepared, folds: NDArray[np.int64], labels: LabelSets, how: Fit, tell: Callable[[str], None]
) -> CrossFitted:
    """Fits all heads once per fold."""
    count = int(folds.max()) + 1
    held_out = {head: np.zeros((len(data.turns), len(labels[head]))) for head in HEADS}

    def without(fold: int) -> tuple[Encoder, Mapping[str, Fitted]]:
        seen = data.take(np.flatnonzero(folds != fold))
        encoder = fit_encoder(seen.features)
        fitted = fitted_heads(seen, seen.rows(encoder), labels, how)
        outside = np.flatnonzero(folds == fold)
        unseen = data.take(outside).rows(encoder)
        for head, each in fitted.items():
            held_out[head][outside] = logits(each, unseen)
        return encoder, fitted

    encoders, heads = [], []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for fold, (encoder, fitted) in enumerate(pool.map(without, range(count))):
            encoders.append(encoder)
            heads.append(fitted)
            tell(f"fold {fold + 1} of {count}")
    return CrossFitted(folds, encoders, heads, held_out)


def fitted_heads(data: Prepared, rows: Rows, labels: LabelSets, how: Fit) -> Mapping[str, Fitted]:
    """All heads, in one go over the rows."""
    tasks = [Task(labels[head], data.targets(head), _weights(head, data)) for head in HEADS]
    return dict(zip(HEADS, fit(rows, tasks, c=how.strength, steps=how.steps), strict=True))


def _weights(head: str, data: Prepared) -> Matrix:
    """What each turn counts; whether a label is kept can only be learnt where there is a topic."""
    if head not in KEEP_HEADS:
        return data.weights
    topical = np.array([turn.history.topic is not None for turn in data.turns])
    return data.weights * topical if topical.any() else data.weights
