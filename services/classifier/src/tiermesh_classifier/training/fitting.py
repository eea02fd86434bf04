"""Fits the heads and calibrates them on turns they have not seen. Writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from tiermesh_classifier.encoder import Vector
from tiermesh_classifier.heads import softmax
from tiermesh_classifier.training.solver import Rows, solve

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """Weights (features × labels, and sentence vector × labels) and bias of one axis."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32]
    dense: NDArray[np.float32]
    bias: NDArray[np.float32]


def matrix_of(vectors: Sequence[Vector], width: int) -> sp.csr_matrix:
    """Stacks vectors to a sparse matrix."""
    lengths = [len(vector.positions) for vector in vectors]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    positions = np.concatenate([vector.positions for vector in vectors]) if vectors else np.zeros(0, dtype=np.int64)
    values = np.concatenate([vector.values for vector in vectors]) if vectors else np.zeros(0, dtype=np.float32)
    return sp.csr_matrix((values, positions, starts), shape=(len(vectors), width))  # type: ignore[no-untyped-call]  # published without annotations


def fit(
    rows: Rows, targets: Sequence[str], labels: Sequence[str], weights: Matrix, *, c: float, steps: int = 60
) -> Fitted:
    """A multinomial logistic regression. A label without examples gets a bias that keeps it improbable."""
    names = list(labels)
    present = sorted(set(targets), key=names.index)
    columns = [names.index(label) for label in present]
    out = np.zeros((rows.sparse.shape[1], len(names)), dtype=np.float32)
    dense = np.zeros((rows.dense.shape[1], len(names)), dtype=np.float32)
    bias = np.full(len(names), -12.0, dtype=np.float32)
    if len(present) == 1:
        bias[columns[0]] = 0.0
        return Fitted(tuple(labels), out, dense, bias)
    places = np.array([present.index(target) for target in targets], dtype=np.int64)
    solution = solve(rows, places, len(present), weights, c=c, steps=steps)
    out[:, columns], dense[:, columns], bias[columns] = solution.sparse, solution.dense, solution.bias
    return Fitted(tuple(labels), out, dense, bias)


def logits(fitted: Fitted, rows: Rows) -> Matrix:
    """Raw scores of many turns."""
    return np.asarray(rows.sparse @ fitted.weights + rows.dense @ fitted.dense + fitted.bias, dtype=np.float64)


def temperature_of(scores: Matrix, truth: NDArray[np.int64], weights: Matrix | None = None) -> float:
    """The temperature that makes held-out scores most probable."""
    weight = np.ones(len(truth)) if weights is None else weights

    def loss(log_temperature: float) -> float:
        chance = softmax(scores / np.exp(log_temperature))[np.arange(len(truth)), truth]
        return float(-(weight * np.log(np.clip(chance, 1e-9, 1))).sum() / weight.sum())

    found = minimize_scalar(loss, bounds=(-2.0, 2.5), method="bounded", options={"xatol": 1e-3})  # type: ignore[no-untyped-call]  # published without annotations
    return float(np.exp(found.x))


def held_out_metrics(probabilities: Matrix, truth: NDArray[np.int64]) -> Mapping[str, float]:
    """Accuracy, macro-F1, calibration error (adaptive bins) and Brier score."""
    picked = probabilities.argmax(axis=1)
    right = picked == truth
    one_hot = np.eye(probabilities.shape[1])[truth]
    return {
        "turns": len(truth),
        "accuracy": float(right.mean()),
        "macro_f1": macro_f1(picked, truth),
        "ece": adaptive_ece(probabilities.max(axis=1), right),
        "brier": float(((probabilities - one_hot) ** 2).sum(axis=1).mean()),
    }


def macro_f1(picked: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Mean F1 over the labels that occur."""
    scores = []
    for label in np.unique(truth):
        hits = float(((picked == label) & (truth == label)).sum())
        scores.append(2 * hits / float((picked == label).sum() + (truth == label).sum()))
    return float(np.mean(scores))


def adaptive_ece(confidence: Matrix, right: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error over bins of equal size."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(order))) if len(part)]
    gaps = [len(part) * abs(confidence[part].mean() - right[part].mean()) for part in parts]
    return float(sum(gaps) / len(order))
