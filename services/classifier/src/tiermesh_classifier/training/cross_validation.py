"""Measures training itself: a turn is scored by an artefact that has seen neither its conversation nor a copy of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from tiermesh_pack import Pack
from tiermesh_policy import TenantPolicy

from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.evaluation import Advance, Scored, score_turns
from tiermesh_classifier.training.train import Options, train
from tiermesh_classifier.training.turns import Turn, group_folds


def cross_validated(
    pack: Pack, turns: Sequence[Turn], policy: TenantPolicy, today: date, *, folds: int, advance: Advance = lambda: None
) -> list[Scored]:
    """The turns, scored fold by fold. Calibration is made anew in each: nothing is tuned on what is measured.

    The pack's other examples are in every training set. Turns that are not among the pack's examples are in none.
    """
    placed = group_folds(turns, folds)
    scored: list[Scored] = []
    for fold in range(folds):
        outside = [turn for turn, place in zip(turns, placed, strict=True) if place == fold]
        if outside:
            scored += _fold(without(pack, outside), outside, policy, today, advance)
    return scored


def without(pack: Pack, turns: Sequence[Turn]) -> Pack:
    """The pack less the examples that are among the turns, or that belong to their conversations."""
    texts = {turn.text for turn in turns if not turn.history.running}
    groups = {turn.group for turn in turns}
    kept = tuple(
        example
        for example in pack.vocabulary.examples
        if (example.conversation or example.id) not in groups
        and not (not example.conversation and example.text in texts)
    )
    return replace(pack, vocabulary=replace(pack.vocabulary, examples=kept))


def _fold(pack: Pack, turns: Sequence[Turn], policy: TenantPolicy, today: date, advance: Advance) -> list[Scored]:
    with TemporaryDirectory() as folder:
        train(pack, [], Path(folder), Options(), tell=lambda words: None)
        return score_turns(assemble(pack, Path(folder)), policy, turns, today, advance)
