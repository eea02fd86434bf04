"""The stakes axis on texts that nobody trained on: half high, half their harmless neighbours.

Measured on the artefact that TIERMESH_STAKES_ARTEFACT names (the tests' own is not served); `-s` prints it.
"""

import json
import os
from pathlib import Path

import pytest
from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.classifier import Classifier, Question
from tiermesh_classifier.evaluation import facts_of, policy_history, policy_scores
from tiermesh_classifier.history import NO_HISTORY
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.training.train import Options, labelled_turns
from tiermesh_classifier.vocabulary import words_of
from tiermesh_pack import Pack
from tiermesh_policy import TenantPolicy, decide

from .conftest import TODAY

FIXTURE = Path(__file__).with_name("stakes.jsonl")
ROWS = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]
# What the artefact that is shipped reaches (0.91, 0.95), less a few texts: below it something broke. The aim is higher.
LEAST_ACCURACY = 0.85
LEAST_HIGH_AT_TIER2 = 0.9


@pytest.fixture(scope="module")
def measured(pack: Pack) -> Classifier:
    folder = os.environ.get("TIERMESH_STAKES_ARTEFACT")
    if folder is None:
        pytest.skip("TIERMESH_STAKES_ARTEFACT names no folder with an artefact to measure")
    return assemble(pack, Path(folder))


def test_the_set_is_half_high_and_of_different_texts() -> None:
    assert [row["stakes"] for row in ROWS].count("high") == len(ROWS) / 2 == 60
    assert len({row["text"].casefold() for row in ROWS}) == len(ROWS)


def test_no_text_of_the_set_is_trained_on_or_known(pack: Pack) -> None:
    words = words_of(pack)
    turns = labelled_turns(pack, words, [], Options(pattern_samples=1, noise=False))
    trained = {" ".join(turn.text.casefold().split()) for turn in turns}
    assert [row["text"] for row in ROWS if row["text"].casefold() in trained] == []


def test_high_stakes_are_told_from_their_neighbours_and_reach_tier_2(measured: Classifier) -> None:
    facts, calendar = facts_of(measured), Calendar(TODAY)
    labels, routes = [], []
    for row in ROWS:
        scores = measured.score(Question(row["text"], NO_HISTORY, calendar))
        labels.append(scores.axes["stakes"].label)
        routes.append(decide(policy_scores(scores, facts), TenantPolicy(), policy_history(NO_HISTORY)).route)
    truth = [row["stakes"] for row in ROWS]
    accuracy = sum(said == right for said, right in zip(labels, truth, strict=True)) / len(truth)
    of = {kind: [at for at, right in enumerate(truth) if right == kind] for kind in ("high", "low")}
    found = {kind: sum(labels[at] == kind for at in places) / len(places) for kind, places in of.items()}
    escalated = {kind: sum(routes[at] == "tier2" for at in places) / len(places) for kind, places in of.items()}
    print(f"\nstakes: accuracy {accuracy:.3f}, recall {found}, at tier 2 {escalated}")

    assert accuracy >= LEAST_ACCURACY
    assert escalated["high"] >= LEAST_HIGH_AT_TIER2
    assert escalated["low"] <= 0.1
