"""Multinomial logistic regression over sparse and dense features side by side, by L-BFGS in single precision.

Own code: scikit-learn takes one matrix, and a dense block inside a sparse one costs five times as much.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Objective = Callable[[Floats], tuple[float, Floats]]
# Pairs of steps that the curvature is estimated from.
_MEMORY = 6
# A step that gains less than this share of the loss is the last one.
_LEAST_GAIN = 1e-4
_SHORTEST = 1e-3
_SUFFICIENT = 1e-4


@dataclass(frozen=True)
class Rows:
    """Turns as numbers: a sparse block, and a dense one that may have no columns."""

    sparse: sp.csr_matrix
    dense: Floats

    def __len__(self) -> int:
        return int(self.sparse.shape[0])

    def take(self, places: NDArray[np.int64]) -> "Rows":
        """Some of them."""
        return Rows(self.sparse[places], self.dense[places])


@dataclass(frozen=True)
class Solution:
    """Weights per feature and label, by block, and the bias."""

    sparse: Floats
    dense: Floats
    bias: Floats


def solve(
    rows: Rows, targets: NDArray[np.int64], labels: int, weights: NDArray[np.float64], *, c: float, steps: int
) -> Solution:
    """The weights that make the targets most probable, less half their square; `c` is how much the data counts."""
    wide, deep = rows.sparse.shape[1], rows.dense.shape[1]
    flat = minimised(_objective(rows, targets, labels, weights * c), (wide + deep + 1) * labels, steps)
    table = flat.reshape(-1, labels)
    return Solution(table[:wide], table[wide : wide + deep], table[-1])


def _objective(rows: Rows, targets: NDArray[np.int64], labels: int, weights: NDArray[np.float64]) -> Objective:
    sparse, dense = rows.sparse.astype(np.float32), rows.dense
    turned = sparse.T.tocsr()
    wide, deep = sparse.shape[1], dense.shape[1]
    every, counts = np.arange(len(targets)), weights.astype(np.float32)

    def objective(flat: Floats) -> tuple[float, Floats]:
        table = flat.reshape(-1, labels)
        scores = sparse @ table[:wide] + table[-1]
        if deep:
            scores += dense @ table[wide : wide + deep]
        scores -= scores.max(axis=1, keepdims=True)
        aimed = scores[every, targets].copy()
        np.exp(scores, out=scores)
        totals = scores.sum(axis=1)
        loss = float((counts * (np.log(totals) - aimed)).sum(dtype=np.float64))
        scores /= totals[:, None]
        scores[every, targets] -= 1.0
        scores *= counts[:, None]
        slope = np.empty_like(table)
        slope[:wide] = turned @ scores
        if deep:
            slope[wide : wide + deep] = dense.T @ scores
        slope[-1] = scores.sum(axis=0)
        slope[:-1] += table[:-1]
        size = table[:-1].ravel()
        return loss + 0.5 * float(np.dot(size, size)), slope.ravel()

    return objective


def minimised(objective: Objective, size: int, steps: int) -> Floats:
    """Where a smooth function is least, from zero, in at most so many steps."""
    place = np.zeros(size, dtype=np.float32)
    value, slope = objective(place)
    past: list[tuple[Floats, Floats, float]] = []
    for _ in range(steps):
        step = _direction(slope, past)
        descent = -float(np.dot(slope, step))
        if descent >= 0.0:
            break
        share = 1.0
        while True:
            there = place - np.float32(share) * step
            value_there, slope_there = objective(there)
            if value_there <= value + _SUFFICIENT * share * descent or share < _SHORTEST:
                break
            share *= 0.5
        moved, bent = there - place, slope_there - slope
        curvature = float(np.dot(moved, bent))
        if curvature > 1e-10:
            past = [*past, (moved, bent, 1.0 / curvature)][-_MEMORY:]
        gain = value - value_there
        place, value, slope = there, value_there, slope_there
        if gain < _LEAST_GAIN * max(1.0, abs(value)):
            break
    return place


def _direction(slope: Floats, past: list[tuple[Floats, Floats, float]]) -> Floats:
    """The slope, bent by what the last steps have shown of the curvature."""
    step = slope.copy()
    if not past:
        return step * np.float32(min(1.0, 1.0 / float(np.sqrt(np.dot(slope, slope)) or 1.0)))
    shares = []
    for moved, bent, inverse in reversed(past):
        share = inverse * float(np.dot(moved, step))
        shares.append(share)
        step -= np.float32(share) * bent
    _, bent, inverse = past[-1]
    step *= np.float32(1.0 / (inverse * float(np.dot(bent, bent))))
    for (moved, bent, inverse), share in zip(past, reversed(shares), strict=True):
        step += np.float32(share - inverse * float(np.dot(bent, step))) * moved
    return step
