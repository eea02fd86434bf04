"""Makes the artefact of a pack. Reads files, writes one folder, uses no network."""

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from tiermesh_pack import Pack

from tiermesh_classifier import axes as shape
from tiermesh_classifier.artefact import HEADS, KEEP_HEADS, KEPT_AXES, TIER1_HEAD, Trained, save
from tiermesh_classifier.assembly import axis_labels, make_reader, make_rules
from tiermesh_classifier.encoder import Encoder, fit_encoder
from tiermesh_classifier.features import NO_PERIOD, Features, features_of
from tiermesh_classifier.heads import ConfidenceHead, LinearHead, confidence_inputs, kept, softmax
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.scores import AXES
from tiermesh_classifier.training.fitting import (
    Fitted,
    Matrix,
    fit,
    held_out_metrics,
    logits,
    matrix_of,
    temperature_of,
)
from tiermesh_classifier.training.noise import noisy, wrapped
from tiermesh_classifier.training.patterns import Expander, Labels, load_grammars
from tiermesh_classifier.training.turns import Turn, group_folds, read_turns, turns_of
from tiermesh_classifier.training.weaving import woven
from tiermesh_classifier.vocabulary import KINDS, PackWords, words_of

FOLDS = 5
STRENGTH = 1.0
# Heads that are fitted at once; the sparse products leave Python's lock alone.
_AT_ONCE = 2
# Relative dates in examples are read from here; only lengths of periods matter, not the dates.
_READING_DAY = date(2026, 6, 17)
_FEWEST_TURNS = 40

Progress = Callable[[str], None]


class TrainingError(Exception):
    """Nothing can be trained from what was given; the message names the mend."""


@dataclass(frozen=True)
class Options:
    """What training may be told."""

    folds: int = FOLDS
    strength: float = STRENGTH
    pattern_samples: int = 6
    noise: bool = True
    # Optimisation steps a head may take.
    most_steps: int = 150


def train(pack: Pack, data: Sequence[Path], out: Path, options: Options | None = None, tell: Progress = print) -> str:
    """Trains on the pack's examples, its patterns and further labelled files; returns the artefact's version."""
    options = options or Options()
    words = words_of(pack)
    turns = labelled_turns(pack, words, data, options)
    if len(turns) < _FEWEST_TURNS:
        raise TrainingError(
            f"{pack.path}: {len(turns)} labelled turns, at least {_FEWEST_TURNS} are needed; add examples"
        )
    tell(f"{len(turns)} turns")
    trained = fit_all(words, turns, options, provenance_of(pack, data, turns), tell)
    version = save(trained, out)
    tell(f"artefact {version} in {out}")
    return version


def labelled_turns(pack: Pack, words: PackWords, data: Sequence[Path], options: Options) -> list[Turn]:
    """All turns: hand-written ones first, then what patterns and noise make."""
    records = [
        {
            "id": e.id,
            "conversation": e.conversation,
            "text": e.text,
            "route": e.route,
            "stakes": e.stakes,
            "weight": e.weight,
            **{axis: getattr(e, axis) for axis in AXES if axis != "stakes"},
        }
        for e in pack.vocabulary.examples
    ]
    turns = turns_of(records)
    for path in data:
        turns += read_turns(path)
    labels = Labels(axis_labels(words))
    expander = Expander(labels, words.kinds)
    grammars = load_grammars(pattern_files(pack), labels)
    turns += expander.expand(grammars, options.pattern_samples, turns)
    lists = {name: [text for text, _ in entries] for name, entries in grammars[0].lists.items()} if grammars else {}
    turns += woven(turns, lists)
    return [*turns, *noisy(turns), *wrapped(turns, lists)] if options.noise else turns


def pattern_files(pack: Pack) -> list[Path]:
    """The pack's pattern files."""
    return sorted((pack.path / "examples").glob("patterns*.yaml"))


def provenance_of(pack: Pack, data: Sequence[Path], turns: Sequence[Turn]) -> Mapping[str, Any]:
    """What the artefact was made from, so that it can be made again."""
    files = [*sorted((pack.path / "examples").glob("*.jsonl")), *pattern_files(pack), *data]
    return {
        "pack": pack.identity,
        "turns": len(turns),
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }


@dataclass
class _Set:
    """Turns with what is computed of them once."""

    turns: Sequence[Turn]
    features: Sequence[Features]
    weights: Matrix

    def take(self, places: Sequence[int]) -> "_Set":
        return _Set([self.turns[at] for at in places], [self.features[at] for at in places], self.weights[list(places)])

    def targets(self, head: str) -> list[str]:
        if head == TIER1_HEAD:
            return ["yes" if turn.route == "tier1" else "no" for turn in self.turns]
        if head in KEEP_HEADS:
            return [_keeps(turn, head.removeprefix("keep_")) for turn in self.turns]
        return [turn.labels[head] for turn in self.turns]


def _keeps(turn: Turn, axis: str) -> str:
    topic = turn.history.topic
    return "yes" if topic is not None and getattr(topic, axis) == turn.labels[axis] else "no"


def fit_all(
    words: PackWords, turns: Sequence[Turn], options: Options, provenance: Mapping[str, Any], tell: Progress
) -> Trained:
    """Held-out scores by folds for calibration and metrics, then the heads on everything."""
    data = _prepared(words, turns)
    labels = {**axis_labels(words), **dict.fromkeys((*KEEP_HEADS, TIER1_HEAD), ("yes", "no"))}
    held_out = _held_out_logits(data, labels, options, tell)
    written = np.array([turn.weight >= 1.0 for turn in turns])
    if written.sum() < _FEWEST_TURNS:
        written[:] = True
    running = np.array([turn.history.topic is not None for turn in turns])
    temperatures, metrics, chances = {}, {}, {}
    for head, scores in held_out.items():
        counted = written & running if head in KEEP_HEADS and (written & running).any() else written
        truth = _truth(data, head, labels)
        temperatures[head] = temperature_of(scores[counted], truth[counted], data.weights[counted])
        chances[head] = softmax(scores / temperatures[head])
    for axis in KEPT_AXES:
        chances[axis] = _with_kept(data, axis, labels, chances)
    kinds = [shape.kinds_of(dict(zip(labels["intent"], row, strict=True)), words.kinds) for row in chances["intent"]]
    for axis in ("cardinality", "aggregation"):
        chances[axis] = _of_kind(axis, labels[axis], chances[axis], kinds)
    for head in HEADS:
        counted = written & running if head in KEEP_HEADS and (written & running).any() else written
        metrics[head] = _rounded(held_out_metrics(chances[head][counted], _truth(data, head, labels)[counted]))
    confidence, metrics["confidence"] = _confidence(words, data, labels, chances, written)
    tell("held out: " + ", ".join(f"{head} {values['accuracy']:.3f}" for head, values in metrics.items()))
    encoder = fit_encoder(data.features)
    matrix = matrix_of([encoder.encode(each) for each in data.features], len(encoder))
    heads = {
        head: _head(head, fitted, temperatures[head]) for head, fitted in _fitted(data, matrix, labels, options).items()
    }
    return Trained(
        encoder=encoder,
        idf=np.array(encoder.idf, dtype=np.float32),
        heads=heads,
        confidence=confidence,
        metrics=metrics,
        provenance=provenance,
        vocabulary_version=words.version,
        rules_digest=words.digest,
    )


def _prepared(words: PackWords, turns: Sequence[Turn]) -> _Set:
    reader, rules, calendar = make_reader(words), make_rules(words), Calendar(_READING_DAY, words.fiscal_start_month)
    features = []
    for turn in turns:
        reading = reader.read(turn.text, calendar)
        features.append(features_of(reading, turn.history, (hit.rule.name for hit in rules.hits(reading))))
    return _Set(turns, features, np.array([turn.weight for turn in turns]))


def _held_out_logits(
    data: _Set, labels: Mapping[str, Sequence[str]], options: Options, tell: Progress
) -> Mapping[str, Matrix]:
    scores = {head: np.zeros((len(data.turns), len(labels[head]))) for head in HEADS}
    folds = np.array(group_folds(data.turns, options.folds))
    for fold in range(options.folds):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if not len(inside) or not len(outside):
            continue
        seen, unseen = data.take(inside.tolist()), data.take(outside.tolist())
        encoder = fit_encoder(seen.features)
        train_rows, test_rows = _rows(encoder, seen), _rows(encoder, unseen)
        for head, fitted in _fitted(seen, train_rows, labels, options).items():
            scores[head][outside] = logits(fitted, test_rows)
        tell(f"fold {fold + 1} of {options.folds}")
    return scores


def _fitted(
    data: _Set, rows: sp.csr_matrix, labels: Mapping[str, Sequence[str]], options: Options
) -> Mapping[str, Fitted]:
    """All heads, two at a time: they share nothing but the rows, so the result does not depend on who is first."""
    with warnings.catch_warnings(), ThreadPoolExecutor(_AT_ONCE) as pool:
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of steps is bounded on purpose
        found = pool.map(lambda head: _fitted_head(head, data, rows, labels, options), HEADS)
        return dict(zip(HEADS, found, strict=True))


def _fitted_head(
    head: str, data: _Set, rows: sp.csr_matrix, labels: Mapping[str, Sequence[str]], options: Options
) -> Fitted:
    """One head; whether a label is kept can only be learnt where there is a topic."""
    targets, weights = data.targets(head), data.weights
    places = [at for at, turn in enumerate(data.turns) if turn.history.topic is not None]
    if head in KEEP_HEADS and places:
        rows, weights = rows[places], weights[places]
        targets = [targets[at] for at in places]
    return fit(rows, targets, labels[head], weights, c=options.strength, steps=options.most_steps)


def _truth(data: _Set, head: str, labels: Mapping[str, Sequence[str]]) -> np.ndarray:
    names = list(labels[head])
    return np.array([names.index(target) for target in data.targets(head)])


def _with_kept(data: _Set, axis: str, labels: Mapping[str, Sequence[str]], chances: Mapping[str, Matrix]) -> Matrix:
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


def _rows(encoder: Encoder, data: _Set) -> sp.csr_matrix:
    return matrix_of([encoder.encode(features) for features in data.features], len(encoder))


def _head(name: str, fitted: Fitted, temperature: float) -> LinearHead:
    return LinearHead(name, fitted.labels, fitted.weights, fitted.bias, temperature, version="")


def _confidence(
    words: PackWords,
    data: _Set,
    labels: Mapping[str, Sequence[str]],
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
    words: PackWords, names: Sequence[str], labels: Mapping[str, Sequence[str]], chances: Mapping[str, Matrix], at: int
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
