"""How long a turn waits for its classification: for the stages that its tenant pays for and the classifier has."""

from typing import Any

import pytest
from tiermesh.classifier.v1 import classifier_service_pb2 as pb

LOCAL_SECONDS = 5.0
MODEL_SECONDS = 8
# gRPC's clocks on both sides agree to some milliseconds; the way takes its time.
SLACK = 1.0


@pytest.mark.parametrize(
    ("strategy", "extra"),
    [
        ("", MODEL_SECONDS),
        ("  strategy: {language_model_seconds: 4}\n", 4),
        ("  strategy: {language_model_seconds: 0}\n", 0),
        ("  strategy: {depth: local}\n", 0),
        ("  strategy: {depth: language_model}\n", MODEL_SECONDS),
    ],
)
async def test_a_turn_waits_for_the_language_model_as_its_tenant_says(
    start_suite: Any, strategy: str, extra: float
) -> None:
    suite = await start_suite(policy=strategy, classify_seconds=LOCAL_SECONDS)
    suite.classifier.language_model_seconds = MODEL_SECONDS
    for _ in range(2):
        assert (await suite.ask(no_pills=True)).done.complete
    first, second = suite.classifier.left
    assert first <= LOCAL_SECONDS + SLACK, "before its first answer nothing is known of a language model"
    assert abs(second - (LOCAL_SECONDS + extra)) < SLACK


async def test_without_a_language_model_no_turn_waits_for_one_and_its_end_is_noticed(start_suite: Any) -> None:
    suite = await start_suite(classify_seconds=LOCAL_SECONDS)
    suite.classifier.language_model_seconds = MODEL_SECONDS
    await suite.ask(no_pills=True)
    suite.classifier.language_model_seconds = 0
    for _ in range(2):
        await suite.ask(no_pills=True)
    assert [left > LOCAL_SECONDS + SLACK for left in suite.classifier.left] == [False, True, False]


@pytest.mark.parametrize(
    ("depth", "asked"),
    [
        ("full", pb.DEPTH_FULL),
        ("local", pb.DEPTH_LOCAL),
        ("rules", pb.DEPTH_RULES),
        ("language_model", pb.DEPTH_LANGUAGE_MODEL),
    ],
)
async def test_the_classifier_is_asked_for_the_stages_of_the_tenant_s_strategy(
    start_suite: Any, depth: str, asked: pb.Depth
) -> None:
    suite = await start_suite(policy=f"  strategy: {{depth: {depth}}}\n")
    await suite.ask(no_pills=True)
    assert [request.depth for request in suite.classifier.requests] == [asked]
