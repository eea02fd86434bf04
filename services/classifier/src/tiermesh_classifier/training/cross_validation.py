"""Measures training itself: a turn is scored by heads that have seen neither its conversation nor a copy of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tiermesh_pack import Pack
from tiermesh_policy import TenantPolicy

from tiermesh_classifier.artefact import save
from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.classifier import Classifier
from tiermesh_classifier.evaluation import Advance, Scored, score_turns
from tiermesh_classifier.training.calibration import calibrated
from tiermesh_classifier.training.train import Learnt, Options, labelled_turns, learn, trained_of
from tiermesh_classifier.training.turns import Turn
from tiermesh_classifier.vocabulary import PackWords, words_of


def cross_validated(
    pack: Pack,
    turns: Sequence[Turn],
    policy: TenantPolicy,
    today: date,
    *,
    folds: int,
    options: Options | None = None,
    advance: Advance = lambda: None,
) -> list[Scored]:
    """The turns, scored fold by fold: heads and calibration of a fold are fitted without its turns.

    The scores that a fold's calibration is fitted on are the other folds' own held-out scores, of heads that have seen
    this fold: a few dozen numbers learn that much of it. Without it, all heads would be fitted six times as often.
    """
    words = words_of(pack)
    chosen = replace(options or Options(), folds=folds)
    learnt_from = joined(labelled_turns(pack, words, [], chosen), turns)
    learnt = learn(words, learnt_from, chosen, lambda words: None)
    fold_of = dict(zip((turn.group for turn in learnt_from), learnt.cross.folds.tolist(), strict=True))
    scored: list[Scored] = []
    for fold in range(len(learnt.cross.heads)):
        # A conversation that is not in training at all is as new to one fold's heads as to another's.
        outside = [turn for turn in turns if fold_of.get(turn.group, 0) == fold]
        if outside:
            classifier = _classifier(without(pack, outside), words, learnt, fold)
            scored += score_turns(classifier, policy, outside, today, advance)
    return scored


def joined(learnt_from: Sequence[Turn], measured: Sequence[Turn]) -> list[Turn]:
    """What is learnt from, with copies of measured openings moved into the group of what they copy, and no lessons."""
    groups = {turn.text: turn.group for turn in measured if not turn.history.running}
    moved = {turn.group: groups[turn.text] for turn in learnt_from if not turn.history.running and turn.text in groups}
    return [replace(turn, group=moved[turn.group], made=False) if turn.group in moved else turn for turn in learnt_from]


def without(pack: Pack, turns: Sequence[Turn]) -> Pack:
    """The pack less the examples that are among the turns, or that belong to their conversations: none is known."""
    texts = {turn.text for turn in turns if not turn.history.running}
    groups = {turn.group for turn in turns}
    kept = tuple(
        example
        for example in pack.vocabulary.examples
        if (example.conversation or example.id) not in groups
        and not (not example.conversation and example.text in texts)
    )
    return replace(pack, vocabulary=replace(pack.vocabulary, examples=kept))


def _classifier(pack: Pack, words: PackWords, learnt: Learnt, fold: int) -> Classifier:
    """What has not seen a fold, as it would be served."""
    seen = np.flatnonzero(learnt.cross.folds != fold)
    scores = {head: rows[seen] for head, rows in learnt.cross.held_out.items()}
    calibration = calibrated(words, learnt.data.take(seen), learnt.labels, scores)
    heads = learnt.cross.heads[fold]
    encoder = learnt.cross.encoders[fold]
    trained = trained_of(words, encoder, heads, calibration, sentence=learnt.sentence, provenance={})
    with TemporaryDirectory() as folder:
        save(trained, Path(folder))
        return assemble(pack, Path(folder))
