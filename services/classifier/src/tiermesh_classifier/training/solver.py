"""Multinomial logistic regressions over sparse and dense features side by side, by L-BFGS in single precision.

Own code: scikit-learn takes one matrix and one problem. Here all heads walk in step, so that the rows are gone through
once for all of them, and a dense block costs what a dense product costs. Each head's path is its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats = NDArray[np.float32]
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


@dataclass(frozen=True)
class Problem:
    """What one head has to learn: a label's number and a weight per row; rows of weight 0 count for nothing."""

    targets: NDArray[np.int64]
    labels: int
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Solution:
    """Weights per feature and label, by block, and the bias."""

    sparse: Floats
    dense: Floats
    bias: Floats


def solve(rows: Rows, problems: Sequence[Problem], *, c: float, steps: int) -> list[Solution]:
    """For each problem the weights that make its targets most probable, less half their square.

    `c` is how much the data counts; `steps` bounds the steps of each.
    """
    table = _Table(rows)
    walks = [_Walk(table.height * problem.labels, steps) for problem in problems]
    while open_walks := [(problem, walk) for problem, walk in zip(problems, walks, strict=True) if not walk.done]:
        points = [walk.trial.reshape(table.height, -1) for _, walk in open_walks]
        scores = table.scores(np.concatenate(points, axis=1))
        losses, start = [], 0
        for problem, _ in open_walks:
            losses.append(_to_slope(scores[:, start : start + problem.labels], problem, c))
            start += problem.labels
        slopes = table.slopes(scores)
        start = 0
        for (problem, walk), point, loss in zip(open_walks, points, losses, strict=True):
            slope = slopes[:, start : start + problem.labels].copy()
            slope[:-1] += point[:-1]
            size = point[:-1].ravel()
            walk.tell(loss + 0.5 * float(np.dot(size, size)), slope.ravel())
            start += problem.labels
    found = [walk.place.reshape(table.height, -1) for walk in walks]
    return [Solution(each[: table.wide], each[table.wide : -1], each[-1]) for each in found]


class _Table:
    """The rows, ready for products in both directions. Weights have a row per feature and one for the bias."""

    def __init__(self, rows: Rows) -> None:
        self._sparse = rows.sparse.astype(np.float32)  # type: ignore[no-untyped-call]  # published without annotations
        self._turned = self._sparse.T.tocsr()
        self._dense = rows.dense
        self.wide = int(rows.sparse.shape[1])
        self.height = self.wide + int(rows.dense.shape[1]) + 1

    def scores(self, weights: Floats) -> Floats:
        found = self._sparse @ weights[: self.wide] + weights[-1]
        if self._dense.shape[1]:
            found += self._dense @ weights[self.wide : -1]
        return np.asarray(found, dtype=np.float32)

    def slopes(self, errors: Floats) -> Floats:
        found = np.empty((self.height, errors.shape[1]), dtype=np.float32)
        found[: self.wide] = self._turned @ errors
        if self._dense.shape[1]:
            found[self.wide : -1] = self._dense.T @ errors
        found[-1] = errors.sum(axis=0)
        return found


def _to_slope(scores: Floats, problem: Problem, c: float) -> float:
    """The loss of scores, which are turned into the slope of the loss where they stand."""
    every, counts = np.arange(len(problem.targets)), (problem.weights * c).astype(np.float32)
    scores -= scores.max(axis=1, keepdims=True)
    aimed = scores[every, problem.targets].copy()
    np.exp(scores, out=scores)
    totals = scores.sum(axis=1)
    loss = float((counts * (np.log(totals) - aimed)).sum(dtype=np.float64))
    scores /= totals[:, None]
    scores[every, problem.targets] -= 1.0
    scores *= counts[:, None]
    return loss


class _Walk:
    """One way downhill from zero: asks for value and slope at `trial`, is told, goes on until `done`."""

    def __init__(self, size: int, steps: int) -> None:
        self.place = np.zeros(size, dtype=np.float32)
        self.trial = self.place
        self.done = False
        self._left = steps
        self._value = float("nan")
        self._slope = self._step = self.place
        self._share = self._descent = 0.0
        self._past: list[tuple[Floats, Floats, float]] = []

    def tell(self, value: float, slope: Floats) -> None:
        if self._share == 0.0:
            self._value, self._slope = value, slope
            self._set_out()
        elif value <= self._value + _SUFFICIENT * self._share * self._descent or self._share < _SHORTEST:
            self._arrive(value, slope)
        else:
            self._share *= 0.5
            self.trial = self.place - np.float32(self._share) * self._step

    def _arrive(self, value: float, slope: Floats) -> None:
        moved, bent = self.trial - self.place, slope - self._slope
        curvature = float(np.dot(moved, bent))
        if curvature > 1e-10:
            self._past = [*self._past, (moved, bent, 1.0 / curvature)][-_MEMORY:]
        gain = self._value - value
        self.place, self._value, self._slope = self.trial, value, slope
        self._left -= 1
        if self._left <= 0 or gain < _LEAST_GAIN * max(1.0, abs(value)):
            self.done = True
        else:
            self._set_out()

    def _set_out(self) -> None:
        self._step = _direction(self._slope, self._past)
        self._descent = -float(np.dot(self._slope, self._step))
        self.done = self._descent >= 0.0
        self._share = 1.0
        self.trial = self.place - self._step


def _direction(slope: Floats, past: Sequence[tuple[Floats, Floats, float]]) -> Floats:
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
