"""Translates calls to the classifier and back; scores nothing itself.

A usual question takes a millisecond or two and is scored where it arrives: a thread would not make it cheaper. Long
texts and batches go to one thread, so that the event loop keeps answering.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from tiermesh.classifier.v1 import classifier_service_pb2 as pb
from tiermesh.classifier.v1.classifier_service_pb2_grpc import ClassifierServiceServicer
from tiermesh.common.v1 import context_pb2, history_pb2
from tiermesh_runtime.errors import RpcError

from tiermesh_classifier.axes import SURROUND_VERSION
from tiermesh_classifier.classifier import Classifier, Depth, Question, UncertainStage
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.scores import AXES, NO_SIGNAL, Scores
from tiermesh_classifier.translation import depth_of, history_of, scores_to_wire, today_of

_SURROUND = "surround"
_CONFIDENCE = "confidence"
# Makes the stage for what the local ones leave uncertain, for one call.
StageForCall = Callable[[context_pb2.RequestContext], UncertainStage]


class ClassifierServicer(ClassifierServiceServicer):
    """tiermesh.classifier.v1.ClassifierService over one classifier."""

    def __init__(
        self,
        classifier: Classifier,
        executor: Executor,
        *,
        inline_characters: int,
        fiscal_start_month: int,
        uncertain: StageForCall | None = None,
    ) -> None:
        self._classifier = classifier
        self._executor = executor
        self._inline = inline_characters
        self._fiscal = fiscal_start_month
        self._uncertain = uncertain

    async def Classify(
        self, request: pb.ClassifyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ClassifyResponse:
        """Scores one turn."""
        started = time.perf_counter()
        self._check_version(request.context)
        question = self._question(request.text, request.history, request.context)
        depth = depth_of(request.depth)
        if len(request.text) <= self._inline:
            scores = self._classifier.score(question, depth)
        else:
            scores = await self._in_thread(question, depth)
        if depth is Depth.FULL and self._uncertain is not None:
            scores = await self._uncertain(request.context).refine(self._classifier, question, scores)
        return pb.ClassifyResponse(scores=scores_to_wire(scores), elapsed=_since(started))

    async def ClassifyBatch(
        self, request: pb.ClassifyBatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ClassifyBatchResponse:
        """Scores turns in order."""
        started = time.perf_counter()
        self._check_version(request.context)
        depth = depth_of(request.depth)
        found = []
        for item in request.items:
            question = self._question(item.text, item.history, request.context)
            found.append(scores_to_wire(await self._in_thread(question, depth)))
        return pb.ClassifyBatchResponse(scores=found, elapsed=_since(started))

    async def DescribeVocabulary(
        self, request: pb.DescribeVocabularyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.DescribeVocabularyResponse:
        """Says which labels each axis has, and which versions are loaded."""
        self._check_version(request.context)
        words, artefact = self._classifier.words, self._classifier.artefact
        versions = {axis: artefact.heads[axis].version for axis in AXES} | {_SURROUND: SURROUND_VERSION}
        axes = [_axis(name, words.labels[name], version) for name, version in versions.items()]
        axes.append(
            pb.DescribeVocabularyResponse.Axis(name=_CONFIDENCE, version=artefact.confidence.version, served=True)
        )
        return pb.DescribeVocabularyResponse(
            axes=axes, vocabulary_version=words.version, artefact_version=artefact.version
        )

    def _question(
        self, text: str, history: history_pb2.RoutingHistory, context: context_pb2.RequestContext
    ) -> Question:
        past = history_of(history, self._classifier.words.version)
        return Question(text, past, Calendar(today_of(context), self._fiscal))

    async def _in_thread(self, question: Question, depth: Depth) -> Scores:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._classifier.score, question, depth)

    def _check_version(self, context: context_pb2.RequestContext) -> None:
        loaded = self._classifier.words.version
        if context.pack_version != loaded:
            raise RpcError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "PACK_VERSION_MISMATCH",
                f"this classifier has {loaded} loaded, the request is for {context.pack_version}",
                metadata={"loaded": loaded, "requested": context.pack_version},
            )


def _axis(name: str, labels: Mapping[str, str], version: str) -> pb.DescribeVocabularyResponse.Axis:
    described = {**labels, NO_SIGNAL: "Nothing was seen; it never means simple."}
    return pb.DescribeVocabularyResponse.Axis(
        name=name,
        labels=[
            pb.DescribeVocabularyResponse.Label(name=label, description=words) for label, words in described.items()
        ],
        version=version,
        served=True,
    )


def _since(started: float) -> Duration:
    elapsed = Duration()
    elapsed.FromNanoseconds(int((time.perf_counter() - started) * 1e9))
    return elapsed
