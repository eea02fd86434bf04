"""Makes probabilities of held-out scores: temperatures, the confidence, and what both are worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    written = np.array([turn.weight >= 1.0 and not turn.made for turn in data.turns])
    if written.sum() < FEWEST_WRITTEN:
        written[:] = True
    running = np.array([turn.history.topic is not None for turn in data.turns])
    temperatures, metrics, chances = {}, {}, {}
    for head, scores in held_out.items():
        counted = _counted(head, written, running)
        truth = data.truth(head, labels[head])
        temperatures[head] = temperature_of(scores[counted], truth[counted], data.weights[counted])
        chances[head] = softmax(scores / temperatures[head])
    columns = {head: dict(zip(labels[head], matrix.T, strict=True)) for head, matrix in chances.items()}
    for axis in KEPT_AXES:
        columns[axis] = _with_kept(data, axis, columns)
    kinds = shape.kinds_of(columns["intent"], words.kinds)
    for axis in ("cardinality", "aggregation"):
        columns[axis] = shape.of_kind(axis, columns[axis], kinds)
    for head in HEADS:
        counted = _counted(head, written, running)
        metrics[head] = _rounded(
            held_out_metrics(_matrix(columns[head])[counted], data.truth(head, labels[head])[counted])
        )
    confidence, metrics["confidence"] = _confidence(data, labels, {**columns, "kind": kinds}, written)
    return Calibration(temperatures, confidence, metrics)


def _counted(head: str, written: NDArray[np.bool_], running: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return written & running if head in KEEP_HEADS and (written & running).any() else written


def _matrix(columns: Mapping[str, Any]) -> Matrix:
    return np.stack(list(columns.values()), axis=1)


def _with_kept(data: Prepared, axis: str, columns: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An axis's chances mixed with the chance that the topic's label is kept, as serving does; a column per label."""
    mixed = {label: column.copy() for label, column in columns[axis].items()}
    keep, leans = columns[f"keep_{axis}"]["yes"], columns["needs_context"]["yes"]
    topical = np.array([_kept_label(data, axis, at) for at in range(len(data.turns))])
    for label in mixed:
        rows = np.flatnonzero(topical == label)
        if len(rows):
            before = {name: column[rows] for name, column in mixed.items()}
            for name, after in kept(before, label, keep[rows], leans[rows]).items():
                mixed[name][rows] = after
    return mixed


def _kept_label(data: Prepared, axis: str, at: int) -> str:
    """The topic's label, where a turn has a topic and names no period of its own."""
    topic = data.turns[at].history.topic
    if topic is None or (axis == "temporal" and NO_PERIOD not in data.features[at].signals):
        return ""
    return str(getattr(topic, axis))


def _confidence(
    data: Prepared, labels: LabelSets, columns: Mapping[str, Mapping[str, Any]], written: NDArray[np.bool_]
) -> tuple[ConfidenceHead, Mapping[str, float]]:
    """Logistic regression over held-out axis scores, then isotonic calibration, each on turns the other did not see."""
    names = [f"{axis}={label}" for axis in AXES if axis != "intent" for label in labels[axis]]
    names += [f"kind={kind}" for kind in KINDS] + ["plain=yes", f"{TIER1_HEAD}=yes"]
    nothing = np.zeros(len(data.turns))
    kinds = {kind: columns["kind"].get(kind, nothing) for kind in KINDS}
    plain = {"yes": shape.plain(columns, kinds)}
    rows = confidence_inputs(names, {**columns, "kind": kinds, "plain": plain}).T
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


def _isotonic(raw: Matrix, truth: np.ndarray, weights: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """Knots of a rising step-free curve from raw score to share of right ones, never quite 0 or 1."""
    model = IsotonicRegression(y_min=0.005, y_max=0.995, out_of_bounds="clip").fit(raw, truth, weights)  # type: ignore[no-untyped-call]  # published without annotations
    return model.X_thresholds_.astype(np.float32), model.y_thresholds_.astype(np.float32)


def _rounded(metrics: Mapping[str, float]) -> Mapping[str, float]:
    return {name: round(value, 4) for name, value in metrics.items()}
