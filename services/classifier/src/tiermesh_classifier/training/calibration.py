"""Makes probabilities of held-out scores: temperatures, the confidence, and what both are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from tiermesh_classifier import axes as shape
from tiermesh_classifier.artefact import HEADS, KEEP_HEADS, KEPT_AXES, TIER1_HEAD
from tiermesh_classifier.features import NO_PERIOD
from tiermesh_classifier.heads import ConfidenceHead, confidence_inputs, kept, softmax
from tiermesh_classifier.scores import AXES
from tiermesh_classifier.training.cross_fitting import LabelSets
from tiermesh_classifier.training.fitting import Matrix, held_out_metrics, temperature_of
from tiermesh_classifier.training.prepared import Prepared
from tiermesh_classifier.training.turns import Turn, group_folds
from tiermesh_classifier.vocabulary import KINDS, PackWords

# Turns that are written by hand count for calibration, where there are so many of them.
FEWEST_WRITTEN = 40


@dataclass(frozen=True)
class Calibration:
    """What held-out scores taught."""

    temperatures: Mapping[str, float]
    confidence: ConfidenceHead
    metrics: Mapping[str, Mapping[str, float]]


def calibrated(words: PackWords, data: Prepared, labels: LabelSets, held_out: Mapping[str, Matrix]) -> Calibration:
    """Fits temperatures and the confidence on held-out scores."""
    written = np.array([turn.weight >= 1.0 for turn in data.turns])
    if written.sum() < FEWEST_WRITTEN:
        written[:] = True
    running = np.array([turn.history.topic is not None for turn in data.turns])
    temperatures, metrics, chances = {}, {}, {}
    for head, scores in held_out.items():
        counted = _counted(head, written, running)
        truth = data.truth(head, labels[head])
        temperatures[head] = temperature_of(scores[counted], truth[counted], data.weights[counted])
        chances[head] = softmax(scores / temperatures[head])
    for axis in KEPT_AXES:
        chances[axis] = _with_kept(data, axis, labels, chances)
    kinds = [shape.kinds_of(dict(zip(labels["intent"], row, strict=True)), words.kinds) for row in chances["intent"]]
    for axis in ("cardinality", "aggregation"):
        chances[axis] = _of_kind(axis, labels[axis], chances[axis], kinds)
    for head in HEADS:
        counted = _counted(head, written, running)
        metrics[head] = _rounded(held_out_metrics(chances[head][counted], data.truth(head, labels[head])[counted]))
    confidence, metrics["confidence"] = _confidence(words, data, labels, chances, written)
    return Calibration(temperatures, confidence, metrics)


def _counted(head: str, written: NDArray[np.bool_], running: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return written & running if head in KEEP_HEADS and (written & running).any() else written


def _with_kept(data: Prepared, axis: str, labels: LabelSets, chances: Mapping[str, Matrix]) -> Matrix:
    """An axis's chances mixed with the chance that the topic's label is kept, as serving does."""
    mixed, names = chances[axis].copy(), labels[axis]
    leans = list(labels["needs_context"]).index("yes")
    for at, turn in enumerate(data.turns):
        topic = turn.history.topic
        dated = axis == "temporal" and NO_PERIOD not in data.features[at].signals
        if topic is not None and not dated:
            before = dict(zip(names, mixed[at].tolist(), strict=True))
            keep = float(chances[f"keep_{axis}"][at][0])
            after = kept(before, getattr(topic, axis), keep, float(chances["needs_context"][at][leans]))
            mixed[at] = [after[name] for name in names]
    return mixed


def _of_kind(axis: str, names: Sequence[str], chances: Matrix, kinds: Sequence[Mapping[str, float]]) -> Matrix:
    """An axis's chances mixed with the plain label of the turn's kind, as serving does."""
    mixed = [
        shape.of_kind(axis, dict(zip(names, row, strict=True)), shares)
        for row, shares in zip(chances.tolist(), kinds, strict=True)
    ]
    return np.array([[row[name] for name in names] for row in mixed])


def _confidence(
    words: PackWords,
    data: Prepared,
    labels: LabelSets,
    chances: Mapping[str, Matrix],
    written: np.ndarray,
) -> tuple[ConfidenceHead, Mapping[str, float]]:
    """Logistic regression over held-out axis scores, then isotonic calibration, each on turns the other did not see."""
    names = [f"{axis}={label}" for axis in AXES if axis != "intent" for label in labels[axis]]
    names += [f"kind={kind}" for kind in KINDS] + ["plain=yes", f"{TIER1_HEAD}=yes"]
    rows = np.stack([_stacked(words, names, labels, chances, at) for at in range(len(data.turns))])
    truth = np.array([turn.route == "tier1" for turn in data.turns])
    folds = np.array(group_folds([_shifted(turn) for turn in data.turns], 2))
    raw = np.zeros(len(truth))
    for fold in (0, 1):
        model = _stacker().fit(rows[folds != fold], truth[folds != fold], sample_weight=data.weights[folds != fold])
        raw[folds == fold] = model.predict_proba(rows[folds == fold])[:, 1]
    knots, values = _isotonic(raw[written], truth[written], data.weights[written])
    calibrated = np.interp(raw[written], knots, values)
    both = np.stack([1 - calibrated, calibrated], axis=1)
    metrics = _rounded(held_out_metrics(both, truth[written].astype(np.int64)))
    final = _stacker().fit(rows, truth, sample_weight=data.weights)
    head = ConfidenceHead(
        tuple(names), final.coef_[0].astype(np.float32), float(final.intercept_[0]), knots, values, version=""
    )
    return head, metrics


def _stacker() -> LogisticRegression:
    return LogisticRegression(C=0.1, max_iter=500)  # type: ignore[no-untyped-call]  # published without annotations


def _shifted(turn: Turn) -> Turn:
    return Turn(turn.id, turn.text, turn.history, turn.labels, turn.route, f"confidence-{turn.group}", turn.weight)


def _stacked(
    words: PackWords, names: Sequence[str], labels: LabelSets, chances: Mapping[str, Matrix], at: int
) -> np.ndarray:
    axes = {head: dict(zip(labels[head], matrix[at].tolist(), strict=True)) for head, matrix in chances.items()}
    kinds = shape.kinds_of(axes["intent"], words.kinds)
    return confidence_inputs(names, {**axes, "kind": kinds, "plain": {"yes": shape.plain(axes, kinds)}})


def _isotonic(raw: Matrix, truth: np.ndarray, weights: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """Knots of a rising step-free curve from raw score to share of right ones, never quite 0 or 1."""
    model = IsotonicRegression(y_min=0.005, y_max=0.995, out_of_bounds="clip").fit(raw, truth, weights)  # type: ignore[no-untyped-call]  # published without annotations
    return model.X_thresholds_.astype(np.float32), model.y_thresholds_.astype(np.float32)


def _rounded(metrics: Mapping[str, float]) -> Mapping[str, float]:
    return {name: round(value, 4) for name, value in metrics.items()}
