"""The service over gRPC: what the gateway sees."""

import asyncio

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.classifier.v1 import classifier_service_pb2 as pb
from tiermesh.common.v1 import history_pb2, routing_pb2, scores_pb2
from tiermesh.common.v1.context_pb2 import RequestContext
from tiermesh_classifier.classifier import Classifier, Question
from tiermesh_classifier.live import Live
from tiermesh_classifier.scores import Scores
from tiermesh_classifier.servicer import ClassifierServicer
from tiermesh_runtime.errors import from_call


async def classify(served, text: str, *, context=None, **fields: object) -> pb.ClassifyResponse:
    request = pb.ClassifyRequest(context=context or served.context(), text=text, **fields)
    return await served.stub.Classify(request, metadata=served.metadata, timeout=5)


async def test_a_question_comes_back_with_every_axis_and_its_versions(served) -> None:
    response = await classify(served, "Who applied for the most leave this year?")
    scores = response.scores

    assert scores.intent.label == "leave.history"
    assert scores.scope.aggregation.label == "rank"
    assert scores.scope.slots.date_range.start == "2026-01-01"
    assert scores.scope.slots.limit == 10
    assert scores.difficulty.stakes.label == "low"
    assert scores.vocabulary_version == "hr@1.0.0"
    assert scores.artefact_version
    assert response.elapsed.ToNanoseconds() > 0
    probabilities = [each.probability for each in scores.intent.distribution]
    assert probabilities == sorted(probabilities, reverse=True)


async def test_what_one_answer_said_is_what_the_next_turn_inherits(served) -> None:
    first = (await classify(served, "Who applied for the most leave this year?")).scores
    history = history_pb2.RoutingHistory(
        turns=[
            history_pb2.TurnSummary(
                turn=1,
                route=routing_pb2.ROUTE_AGGREGATE,
                intent=first.intent.label,
                cardinality="team",
                temporal="window",
                aggregation="rank",
            )
        ],
        slots=first.scope.slots,
        total_turns=1,
        vocabulary_version=first.vocabulary_version,
    )

    scores = (await classify(served, "what about last month?", history=history)).scores

    assert scores.conversation.position.label == "follow_up"
    assert scores.conversation.inherited_intent == "leave.history"
    assert scores.scope.slots.measures[0].value == "leave_days_applied"
    assert scores.scope.slots.measures[0].stage == scores_pb2.STAGE_INHERITED
    assert scores.scope.slots.date_range.start == "2026-10-01"


async def test_today_is_the_askers_day(served) -> None:
    asked_at = Timestamp()
    asked_at.FromJsonString("2026-01-01T03:00:00Z")
    west = served.context(asked_at=asked_at, time_zone="America/New_York")
    east = served.context(asked_at=asked_at, time_zone="Asia/Tokyo")

    before = await classify(served, "total overtime of my team this year", context=west)
    after = await classify(served, "total overtime of my team this year", context=east)

    assert before.scores.scope.slots.date_range.start == "2025-01-01"
    assert after.scores.scope.slots.date_range.start == "2026-01-01"


async def test_a_batch_keeps_its_order_and_equals_single_calls(served) -> None:
    texts = ["How many leave days do I have left?", "top 5 spenders last month", "x " * 700]
    items = [pb.ClassifyBatchRequest.Item(text=text) for text in texts]
    request = pb.ClassifyBatchRequest(context=served.context(), items=items)

    batch = await served.stub.ClassifyBatch(request, metadata=served.metadata, timeout=10)

    singles = [(await classify(served, text)).scores for text in texts]
    assert list(batch.scores) == singles


async def test_rules_only_leaves_no_signal_where_no_rule_speaks(served) -> None:
    response = await classify(served, "flurbo wibble", depth=pb.DEPTH_RULES)

    assert response.scores.intent.label == "no_signal"
    assert response.scores.confidence.value == 0.0


async def test_the_vocabulary_lists_every_axis_with_labels_and_versions(served) -> None:
    request = pb.DescribeVocabularyRequest(context=served.context())
    found = await served.stub.DescribeVocabulary(request, metadata=served.metadata, timeout=5)

    axes = {axis.name: axis for axis in found.axes}
    assert len(axes["intent"].labels) == 39
    assert {label.name for label in axes["stakes"].labels} == {"low", "high", "no_signal"}
    assert all(axis.served and axis.version for axis in found.axes)
    assert "confidence" in axes
    assert found.vocabulary_version == "hr@1.0.0"


async def test_another_pack_version_is_refused(served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await classify(served, "hello", context=served.context(pack_version="hr@2.0.0"))

    error = from_call(caught.value)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "PACK_VERSION_MISMATCH"
    assert error.metadata["loaded"] == "hr@1.0.0"


@pytest.mark.parametrize("text", ["", "x" * 8001])
async def test_text_out_of_bounds_names_the_field(served, text: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await classify(served, text)

    error = from_call(caught.value)
    assert (caught.value.code(), error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert [violation.field for violation in error.violations] == ["text"]


async def test_a_time_zone_that_is_none_names_the_field(served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await classify(served, "hello", context=served.context(time_zone="Mars/Olympus"))

    assert [violation.field for violation in from_call(caught.value).violations] == ["context.time_zone"]


async def test_a_call_without_a_principal_is_refused(served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stub.Classify(pb.ClassifyRequest(context=served.context(), text="hi"), timeout=5)

    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_long_batch_does_not_hold_up_other_questions(served) -> None:
    items = [pb.ClassifyBatchRequest.Item(text="who took leave since 12 May 2024? " * 200) for _ in range(40)]
    request = pb.ClassifyBatchRequest(context=served.context(), items=items)
    batch = asyncio.ensure_future(served.stub.ClassifyBatch(request, metadata=served.metadata, timeout=30))

    await classify(served, "How many leave days do I have left?")

    assert not batch.done()
    await batch


@pytest.mark.parametrize("seconds", [None, 2.5])
async def test_an_answer_says_how_long_the_language_model_takes_where_there_is_one(
    classifier, executor, seconds: float | None
) -> None:
    servicer = ClassifierServicer(
        Live(classifier),
        executor,
        inline_characters=600,
        fiscal_start_month=1,
        uncertain=None if seconds is None else lambda context: SameScores(),
        language_model_seconds=seconds or 1.0,
    )
    context = RequestContext(request_id="r1", tenant="acme", pack_version="hr@1.0.0")

    response = await servicer.Classify(pb.ClassifyRequest(context=context, text="my leave balance"), None)

    assert response.HasField("language_model_time") is (seconds is not None)
    assert response.language_model_time.ToNanoseconds() == int((seconds or 0.0) * 1e9)


@pytest.mark.parametrize(
    ("depth", "asked"),
    [(pb.DEPTH_FULL, 1), (pb.DEPTH_LANGUAGE_MODEL, 1), (pb.DEPTH_LOCAL, 0), (pb.DEPTH_RULES, 0)],
)
async def test_the_language_model_is_asked_at_the_depths_that_have_it(classifier, executor, depth, asked) -> None:
    stage = SameScores()
    servicer = ClassifierServicer(
        Live(classifier), executor, inline_characters=600, fiscal_start_month=1, uncertain=lambda context: stage
    )
    context = RequestContext(request_id="r1", tenant="acme", pack_version="hr@1.0.0")

    await servicer.Classify(pb.ClassifyRequest(context=context, text="my leave balance", depth=depth), None)

    assert stage.asked == asked


class SameScores:
    """A language-model stage that never says better."""

    def __init__(self) -> None:
        self.asked = 0

    async def refine(self, classifier: Classifier, question: Question, scores: Scores) -> Scores:
        self.asked += 1
        return scores
