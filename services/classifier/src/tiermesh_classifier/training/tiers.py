"""Fits the least-tier model on outcome data and calibrates it on questions it has not seen."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from tiermesh_classifier.experiments.outcomes import Outcomes, read_outcomes
from tiermesh_classifier.experiments.tier_model import Choice, choose
from tiermesh_classifier.tiers.artefact import TrainedTiers, save
from tiermesh_classifier.tiers.words import LONGEST
from tiermesh_classifier.training.calibrating import calibrated

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Progress = Callable[[str], None]
FOLDS = 5


def train_tiers(pack: str, data: Path, out: Path, *, tell: Progress = print, folds: int = FOLDS) -> str:
    """Trains on an outcome file for the pack of that name; returns the artefact's version. `RowsError` for bad data."""
    outcomes = read_outcomes(data)
    choice = choose(outcomes)
    right = by_tier(outcomes)
    tell(f"{len(outcomes)} questions, tiers {', '.join(map(str, right))}, phrases of up to {choice.longest_phrase}")
    raw = _held_out(outcomes.prompts, list(right.values()), choice, folds)
    calibrations = [calibrated(raw[at], flags, folds) for at, flags in enumerate(right.values())]
    for tier, found in zip(right, calibrations, strict=True):
        tell(f"tier {tier} held out: " + ", ".join(f"{name} {value}" for name, value in found.held_out.items()))
    words, matrix = _words(outcomes.prompts, choice)
    models = [_model(choice).fit(matrix, flags) for flags in right.values()]
    version = save(
        TrainedTiers(
            pack=pack,
            tiers=list(right),
            names=list(words.get_feature_names_out()),
            idf=np.asarray(words.idf_, dtype=np.float32),
            longest_phrase=choice.longest_phrase,
            weights=np.stack([model.coef_[0] for model in models], axis=1).astype(np.float32),
            bias=np.array([model.intercept_[0] for model in models], dtype=np.float32),
            curves=[found.curve for found in calibrations],
            held_out={
                f"tier{tier}": {**found.held_out, "curve": found.method}
                for tier, found in zip(right, calibrations, strict=True)
            },
            provenance=_provenance(data, outcomes, choice),
        ),
        out,
    )
    tell(f"least-tier model {version} in {out}")
    return version


def by_tier(outcomes: Outcomes) -> Mapping[int, Flags]:
    """Who was right, by tier: with a model in the middle the strong one is tier 3."""
    if outcomes.middle is None:
        return {1: outcomes.weak, 2: outcomes.strong}
    return {1: outcomes.weak, 2: outcomes.middle, 3: outcomes.strong}


def _held_out(prompts: Sequence[str], right: Sequence[Flags], choice: Choice, folds: int) -> Floats:
    """Tiers × questions: raw chances by models that have not seen the question."""
    raw = np.zeros((len(right), len(prompts)))
    for inside, outside in KFold(folds, shuffle=True, random_state=0).split(np.arange(len(prompts))):
        words, matrix = _words([prompts[at] for at in inside], choice)
        rows = words.transform([prompts[at][:LONGEST] for at in outside])
        for at, flags in enumerate(right):
            raw[at, outside] = _model(choice).fit(matrix, flags[inside]).predict_proba(rows)[:, 1]
    return raw


def _words(prompts: Sequence[str], choice: Choice) -> tuple[Any, Any]:
    words = TfidfVectorizer(ngram_range=(1, choice.longest_phrase), min_df=2, sublinear_tf=True)
    return words, words.fit_transform([prompt[:LONGEST] for prompt in prompts])


def _model(choice: Choice) -> Any:
    return LogisticRegression(C=choice.strength, max_iter=300)


def _provenance(data: Path, outcomes: Outcomes, choice: Choice) -> Mapping[str, Any]:
    """What it was made from, so that it can be made again."""
    return {
        "data": {data.name: hashlib.sha256(data.read_bytes()).hexdigest()},
        "questions": len(outcomes),
        "left_out_as_contaminated": outcomes.left_out,
        "models": outcomes.models,
        "choice": asdict(choice),
    }
