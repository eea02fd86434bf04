"""A tenant whose pack has no intents: the chances of its tiers decide where a question goes."""

from pathlib import Path
from typing import Any

import pytest
from tiermesh.common.v1 import routing_pb2, scores_pb2


def general(*chances: float) -> scores_pb2.Scores:
    """What the classifier says of a pack without intents: chances, and silence on every axis but the place."""
    silent = scores_pb2.AxisScore(
        label="no_signal", probability=1.0, distribution=[scores_pb2.LabelScore(label="no_signal", probability=1.0)]
    )
    return scores_pb2.Scores(
        intent=silent,
        scope=scores_pb2.ScopeScores(cardinality=silent, temporal=silent, aggregation=silent),
        difficulty=scores_pb2.DifficultyScores(ambiguous=silent, multi_step=silent, stakes=silent),
        confidence=scores_pb2.Confidence(value=chances[0], version="tiers-1"),
        tiers=[
            scores_pb2.TierChance(tier=tier, probability=chance, version="tiers-1")
            for tier, chance in enumerate(chances, start=1)
        ],
        vocabulary_version="hr@1.0.0",
        artefact_version="tiers-1",
    )


@pytest.mark.parametrize(
    ("policy", "chances", "route"),
    [
        ("", (0.9, 0.95), routing_pb2.ROUTE_TIER1),
        ("", (0.4, 0.95), routing_pb2.ROUTE_TIER2),
        ("  strategy: {wrong_answer_micros: 1000000}\n", (0.9, 0.99), routing_pb2.ROUTE_TIER2),
        ("  strategy: {wrong_answer_micros: 100000}\n", (0.4, 0.5), routing_pb2.ROUTE_TIER1),
    ],
)
async def test_the_chances_of_the_tiers_decide(
    start_suite: Any, tmp_path: Path, policy: str, chances: tuple[float, ...], route: int
) -> None:
    (tmp_path / "hr/vocabulary").mkdir(parents=True)
    (tmp_path / "hr/pack.yaml").write_text(
        "name: hr\nversion: 1.0.0\nfiles: {semantic: [], examples: [], handbook: []}\n"
    )
    (tmp_path / "hr/vocabulary/intents.yaml").write_text("intents: {}\n")
    suite = await start_suite(policy=policy, packs=tmp_path)
    suite.classifier.scores = general(*chances)

    asked = await suite.ask(no_pills=True)

    decision = asked.decision.decision
    assert decision.route == route
    assert [each.probability for each in decision.scores.tiers] == list(chances)
    assert asked.done.complete
