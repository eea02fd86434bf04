"""Fits the heads and calibrates them on turns they have not seen. Writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from tiermesh_classifier.encoder import Vector
from tiermesh_classifier.heads import softmax
from tiermesh_classifier.training.solver import Problem, Rows, Solution, solve

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """Weights (features × labels, and sentence vector × labels) and bias of one axis."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32]
    dense: NDArray[np.float32]
    bias: NDArray[np.float32]


def matrix_of(vectors: Sequence[Vector], width: int) -> sp.csr_matrix:
    """Stacks vectors to a sparse matrix, each row in the order of its positions.

    Vectors come in the order of sets of words, which is another in every process: sums would differ in their last
    digits, and weights in more than these.
    """
    lengths = [len(vector.positions) for vector in vectors]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    positions = np.concatenate([vector.positions for vector in vectors]) if vectors else np.zeros(0, dtype=np.int64)
    values = np.concatenate([vector.values for vector in vectors]) if vectors else np.zeros(0, dtype=np.float32)
    stacked = sp.csr_matrix((values, positions, starts), shape=(len(vectors), width))  # type: ignore[no-untyped-call]  # published without annotations
    stacked.sort_indices()  # type: ignore[no-untyped-call]  # published without annotations
    return stacked


@dataclass(frozen=True)
class Task:
    """What one head has to learn: a label per row of those that it has, and what each row counts."""

    labels: Sequence[str]
    targets: Sequence[str]
    weights: Matrix


def fit(rows: Rows, tasks: Sequence[Task], *, c: float, steps: int = 60) -> list[Fitted]:
    """Multinomial logistic regressions. A label without examples gets a bias that keeps it improbable."""
    present = [_present(task) for task in tasks]
    problems = [
        Problem(_places(task.targets, names), len(names), task.weights)
        for task, names in zip(tasks, present, strict=True)
    ]
    solutions = solve(rows, problems, c=c, steps=steps)
    return [_fitted(*each) for each in zip(tasks, present, solutions, strict=True)]


def _places(targets: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    """The number of each target; what is not among the names counts for nothing anyway."""
    at = {name: number for number, name in enumerate(names)}
    return np.array([at.get(target, 0) for target in targets], dtype=np.int64)


def _present(task: Task) -> list[str]:
    """The labels that have an example, in their order."""
    seen = {target for target, weight in zip(task.targets, task.weights, strict=True) if weight > 0.0}
    return [label for label in task.labels if label in seen]


def _fitted(task: Task, present: Sequence[str], solution: Solution) -> Fitted:
    columns = [list(task.labels).index(label) for label in present]
    blocks = []
    for found in (solution.sparse, solution.dense):
        block = np.zeros((len(found), len(task.labels)), dtype=np.float32)
        block[:, columns] = found
        blocks.append(block)
    bias = np.full(len(task.labels), -12.0, dtype=np.float32)
    bias[columns] = solution.bias
    return Fitted(tuple(task.labels), blocks[0], blocks[1], bias)


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
