"""Makes the artefact of a pack. Reads files, writes one folder, uses no network."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tiermesh_pack import Pack

from tiermesh_classifier.artefact import KEEP_HEADS, TIER1_HEAD, Trained, save
from tiermesh_classifier.assembly import axis_labels
from tiermesh_classifier.encoder import Encoder, fit_encoder
from tiermesh_classifier.heads import LinearHead
from tiermesh_classifier.scores import AXES
from tiermesh_classifier.sentence.encoder import SentenceFiles, encoder_of
from tiermesh_classifier.training.calibration import Calibration, calibrated
from tiermesh_classifier.training.cross_fitting import CrossFitted, Fit, LabelSets, cross_fitted, fitted_heads
from tiermesh_classifier.training.fitting import Fitted
from tiermesh_classifier.training.noise import noisy, wrapped
from tiermesh_classifier.training.patterns import Expander, Labels, load_grammars
from tiermesh_classifier.training.prepared import Prepared, ReadTurns, prepared, read_all
from tiermesh_classifier.training.turns import Turn, group_folds, read_turns, turns_of
from tiermesh_classifier.training.weaving import woven
from tiermesh_classifier.training.weights import PACKAGE, weights_folder
from tiermesh_classifier.vocabulary import PackWords, words_of

FOLDS = 5
STRENGTH = 1.0
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
    most_steps: int = 60
    # Without it the artefact reads the sparse features alone.
    sentence_encoder: bool = True
    # Folder of its weights; where the installed package keeps them when left out.
    weights: Path | None = None
    # Turns made by patterns that it takes to tune the encoder to the pack; with fewer it stays as published.
    fewest_lessons: int = 2_000


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
    version = save(fit_all(words, turns, options, provenance_of(pack, data, turns), tell), out)
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


def fit_all(
    words: PackWords, turns: Sequence[Turn], options: Options, provenance: Mapping[str, Any], tell: Progress
) -> Trained:
    """Held-out scores by folds for calibration and metrics, then the heads on everything."""
    learnt = learn(words, turns, options, tell)
    with threadpool_limits(1):  # type: ignore[no-untyped-call]  # published without annotations
        calibration = calibrated(words, learnt.data, learnt.labels, learnt.cross.held_out)
        tell("held out: " + ", ".join(f"{head} {each['accuracy']:.3f}" for head, each in calibration.metrics.items()))
        encoder = fit_encoder(learnt.data.features)
        fitted = fitted_heads(learnt.data, learnt.data.rows(encoder), learnt.labels, _how(options))
    return trained_of(words, encoder, fitted, calibration, sentence=learnt.sentence, provenance=provenance)


@dataclass(frozen=True)
class Learnt:
    """Turns as numbers, and the heads that were fitted without a fold of them each."""

    data: Prepared
    labels: LabelSets
    sentence: SentenceFiles | None
    cross: CrossFitted


def learn(words: PackWords, turns: Sequence[Turn], options: Options, tell: Progress) -> Learnt:
    """Everything up to the held-out scores."""
    read = read_all(words, turns)
    sentence = _sentence(words, read, options, tell)
    data = prepared(read, None if sentence is None else encoder_of(sentence))
    labels = {**axis_labels(words), **dict.fromkeys((*KEEP_HEADS, TIER1_HEAD), ("yes", "no"))}
    with threadpool_limits(1):  # type: ignore[no-untyped-call]  # published without annotations
        cross = cross_fitted(data, folds_of(turns, options.folds), labels, _how(options), tell)
    return Learnt(data, labels, sentence, cross)


def folds_of(turns: Sequence[Turn], folds: int) -> NDArray[np.int64]:
    """A fold for each turn; fewer where some would stay empty."""
    placed = np.array(group_folds(turns, folds), dtype=np.int64)
    return np.asarray(np.unique(placed, return_inverse=True)[1], dtype=np.int64)


def trained_of(
    words: PackWords,
    encoder: Encoder,
    fitted: Mapping[str, Fitted],
    calibration: Calibration,
    *,
    sentence: SentenceFiles | None,
    provenance: Mapping[str, Any],
) -> Trained:
    """Heads and the calibration of them, ready to be saved."""
    heads = {
        name: LinearHead(name, each.labels, each.weights, each.dense, each.bias, calibration.temperatures[name], "")
        for name, each in fitted.items()
    }
    return Trained(
        encoder=encoder,
        idf=np.array(encoder.idf, dtype=np.float32),
        heads=heads,
        confidence=calibration.confidence,
        metrics=calibration.metrics,
        provenance=provenance,
        vocabulary_version=words.version,
        rules_digest=words.digest,
        sentence={} if sentence is None else {**sentence.files, **sentence.arrays},
    )


def _how(options: Options) -> Fit:
    return Fit(options.strength, options.most_steps)


def _sentence(words: PackWords, read: ReadTurns, options: Options, tell: Progress) -> SentenceFiles | None:
    if not options.sentence_encoder:
        return None
    folder = options.weights or weights_folder()
    if folder is None:
        raise TrainingError(
            f"the sentence encoder's weights (package {PACKAGE}) are not installed; run `make setup`, or train with "
            "--sparse for an artefact without them"
        )
    from tiermesh_classifier.training.lessons import tuned_to  # `onnx` and `jax`, which sparse training does without
    from tiermesh_classifier.training.sentence_graph import read_weights, sentence_files

    weights = read_weights(folder)
    if sum(turn.made for turn in read.turns) >= options.fewest_lessons:
        weights = tuned_to(words, read, weights, tell)
    return sentence_files(weights)
