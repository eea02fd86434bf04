"""Heads fitted fold by fold, each without a part of the turns, and what they say of that part."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiermesh_classifier.artefact import HEADS, KEEP_HEADS
from tiermesh_classifier.encoder import Encoder, fit_encoder
from tiermesh_classifier.training.fitting import Fitted, Matrix, fit, logits
from tiermesh_classifier.training.prepared import Prepared
from tiermesh_classifier.training.solver import Rows

# Heads that are fitted at once; the products of matrices leave Python's lock alone.
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
    encoders, heads = [], []
    for fold in range(count):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        seen = data.take(inside)
        encoders.append(fit_encoder(seen.features))
        heads.append(fitted_heads(seen, seen.rows(encoders[-1]), labels, how))
        unseen = data.take(outside).rows(encoders[-1])
        for head, fitted in heads[-1].items():
            held_out[head][outside] = logits(fitted, unseen)
        tell(f"fold {fold + 1} of {count}")
    return CrossFitted(folds, encoders, heads, held_out)


def fitted_heads(data: Prepared, rows: Rows, labels: LabelSets, how: Fit) -> Mapping[str, Fitted]:
    """All heads, two at a time: they share nothing but the rows, so the result does not depend on who is first."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda head: _fitted(head, data, rows, labels[head], how), HEADS)
        return dict(zip(HEADS, found, strict=True))


def _fitted(head: str, data: Prepared, rows: Rows, labels: Sequence[str], how: Fit) -> Fitted:
    """One head; whether a label is kept can only be learnt where there is a topic."""
    targets, weights = data.targets(head), data.weights
    if head in KEEP_HEADS:
        places = np.array([at for at, turn in enumerate(data.turns) if turn.history.topic is not None], dtype=np.int64)
        if len(places):
            rows, weights = rows.take(places), weights[places]
            targets = [targets[at] for at in places]
    return fit(rows, targets, labels, weights, c=how.strength, steps=how.steps)
