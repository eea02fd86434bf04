"""Translates calls to the classifier and back; scores nothing itself.

A usual question takes a millisecond or two and is scored where it arrives: a thread would not make it cheaper. Long
texts and batches go to one thread, so that the event loop keeps answering.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any
from zlib import crc32

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from tiermesh.classifier.v1 import classifier_service_pb2 as pb
from tiermesh.classifier.v1.classifier_service_pb2_grpc import ClassifierServiceServicer
from tiermesh.common.v1 import context_pb2, history_pb2
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.principal import current

from tiermesh_classifier.batches import Batches
from tiermesh_classifier.classifier import Classifier, Depth, Question, Scorer, UncertainStage
from tiermesh_classifier.live import Live
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.scores import AXES, NO_SIGNAL, Scores
from tiermesh_classifier.telemetry import DriftMetrics
from tiermesh_classifier.translation import depth_of, history_of, scores_to_wire, today_of

_SURROUND = "surround"
_WITHOUT_LABELS = ("confidence", "tiers")
_ASKS_MODEL = (Depth.FULL, Depth.LANGUAGE_MODEL)
# Makes the stage for what the local ones leave uncertain, for one call.
StageForCall = Callable[[context_pb2.RequestContext], UncertainStage]


class ClassifierServicer(ClassifierServiceServicer):
    """tiermesh.classifier.v1.ClassifierService over the classifier in force."""

    def __init__(
        self,
        live: Live,
        executor: Executor,
        *,
        inline_characters: int,
        fiscal_start_month: int,
        uncertain: StageForCall | None = None,
        language_model_version: str = "",
        language_model_seconds: float = 0.0,
        shadow_share: float = 0.0,
        remembered_candidates: int = 0,
        metrics: DriftMetrics | None = None,
    ) -> None:
        self._live = live
        self._executor = executor
        self._batches = Batches(executor, remembered_candidates)
        self._inline = inline_characters
        self._fiscal = fiscal_start_month
        self._uncertain = uncertain
        self._language_model_version = language_model_version
        self._language_model_time = _duration(language_model_seconds) if uncertain is not None else None
        self._shadow_share = shadow_share
        self._metrics = metrics or DriftMetrics()

    async def Classify(
        self, request: pb.ClassifyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ClassifyResponse:
        """Scores one turn."""
        started = time.perf_counter()
        classifier = self._checked(request.context)
        question = self._question(classifier, request.text, request.history, request.context)
        depth = depth_of(request.depth)
        local = await self._scored(classifier, question, depth)
        scores = local
        # Without axes there is nothing that a language model could label.
        if depth in _ASKS_MODEL and self._uncertain is not None and isinstance(classifier, Classifier):
            scores = await self._uncertain(request.context).refine(classifier, question, local)
        self._metrics.scored(scores)
        shadow = await self._shadowed(question, depth, local, request.context)
        return pb.ClassifyResponse(
            scores=scores_to_wire(scores),
            shadow=None if shadow is None else scores_to_wire(shadow),
            elapsed=_since(started),
            language_model_time=self._language_model_time,
        )

    async def ClassifyBatch(
        self, request: pb.ClassifyBatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ClassifyBatchResponse:
        """Scores turns in order, all with the same artefact."""
        started = time.perf_counter()
        classifier = self._checked(request.context)
        questions = self._questions(classifier, request)
        found = await self._batches.scored(classifier, questions, depth_of(request.depth), current().tenant)
        response = pb.ClassifyBatchResponse()
        for scores in found:
            response.scores.add().MergeFromString(scores)
        response.elapsed.CopyFrom(_since(started))
        return response

    async def DescribeVocabulary(
        self, request: pb.DescribeVocabularyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.DescribeVocabularyResponse:
        """Says which labels each axis has, and which versions are loaded."""
        classifier = self._checked(request.context)
        words, versions, shadow = classifier.words, classifier.versions, self._live.shadow
        axes = [_axis(name, words.labels[name], versions.get(name, "")) for name in (*AXES, _SURROUND)]
        for name in (name for name in _WITHOUT_LABELS if name in versions):
            axes.append(pb.DescribeVocabularyResponse.Axis(name=name, version=versions[name], served=True))
        return pb.DescribeVocabularyResponse(
            axes=axes,
            vocabulary_version=words.version,
            artefact_version=classifier.version,
            shadow_artefact_version="" if shadow is None else shadow.version,
            language_model_version=self._language_model_version,
        )

    def _questions(self, classifier: Scorer, request: pb.ClassifyBatchRequest) -> list[Question]:
        """Candidates of one turn come with one history: it is read once."""
        calendar = Calendar(today_of(request.context), self._fiscal)
        found: list[Question] = []
        before = None
        for item in request.items:
            if before is None or item.history != before:
                before, past = item.history, history_of(item.history, classifier.words.version)
            found.append(Question(item.text, past, calendar, candidate=True))
        return found

    def _question(
        self,
        classifier: Scorer,
        text: str,
        history: history_pb2.RoutingHistory,
        context: context_pb2.RequestContext,
    ) -> Question:
        past = history_of(history, classifier.words.version)
        return Question(text, past, Calendar(today_of(context), self._fiscal))

    async def _scored(self, classifier: Scorer, question: Question, depth: Depth) -> Scores:
        if len(question.text) <= self._inline:
            return classifier.score(question, depth)
        return await self._in_thread(classifier, question, depth)

    async def _in_thread(self, classifier: Scorer, question: Question, depth: Depth) -> Scores:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, classifier.score, question, depth)

    async def _shadowed(
        self, question: Question, depth: Depth, scores: Scores, context: context_pb2.RequestContext
    ) -> Scores | None:
        """What the second artefact says, compared with what the local stages of the first said; never an error."""
        shadow = self._live.shadow
        if shadow is None or not _drawn(context.request_id, self._shadow_share):
            return None
        try:
            found = await self._scored(shadow, question, depth)
        except Exception:  # a candidate's fault is for the log, not for the person who asked
            structlog.get_logger().exception("shadow_failed", version=shadow.version)
            return None
        self._metrics.shadowed(scores, found)
        return found

    def _checked(self, context: context_pb2.RequestContext) -> Scorer:
        """The classifier that serves this call to its end."""
        classifier = self._live.current
        loaded = classifier.words.version
        if context.pack_version != loaded:
            raise RpcError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "PACK_VERSION_MISMATCH",
                f"this classifier has {loaded} loaded, the request is for {context.pack_version}",
                metadata={"loaded": loaded, "requested": context.pack_version},
            )
        return classifier


def _drawn(request_id: str, share: float) -> bool:
    """Whether a request is in the sample: the same on every replica and for every try."""
    return crc32(request_id.encode()) < share * 2**32


def _axis(name: str, labels: Mapping[str, str], version: str) -> pb.DescribeVocabularyResponse.Axis:
    described = {**labels, NO_SIGNAL: "Nothing was seen; it never means simple."}
    return pb.DescribeVocabularyResponse.Axis(
        name=name,
        labels=[
            pb.DescribeVocabularyResponse.Label(name=label, description=words) for label, words in described.items()
        ],
        version=version,
        served=bool(version),
    )


def _since(started: float) -> Duration:
    return _duration(time.perf_counter() - started)


def _duration(seconds: float) -> Duration:
    message = Duration()
    message.FromNanoseconds(int(seconds * 1e9))
    return message
