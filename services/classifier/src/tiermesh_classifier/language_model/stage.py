"""Asks a language model about what stayed uncertain, and takes of its labels what the rails allow.

Whatever goes wrong, the local scores stand: late, broken, refused, not JSON, too many at once. How the model is
reached is the adapter's; what its labels may change, `rails`'.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Protocol

from tiermesh_classifier.classifier import Classifier, Question
from tiermesh_classifier.language_model.breaker import CircuitBreaker
from tiermesh_classifier.language_model.prompt import Prompt, message
from tiermesh_classifier.language_model.rails import Trust, allowed, combined, trust_in, uncertain
from tiermesh_classifier.reading.steering import steering_sign
from tiermesh_classifier.reading.text import READ_LIMIT
from tiermesh_classifier.scores import AxisScore, Confidence, Scores


class Outcome(Enum):
    """How the stage ended for one turn."""

    REFINED = "refined"
    UNCHANGED = "unchanged"
    NOTHING_UNCERTAIN = "nothing_uncertain"
    STEERING = "steering"
    TOO_LONG = "too_long"
    NO_TIME = "no_time"
    BUSY = "busy"
    BREAKER_OPEN = "breaker_open"
    LATE = "late"
    FAILED = "failed"
    NOT_USABLE = "not_usable"


class ModelUnavailableError(Exception):
    """The model could not be reached or failed; says something of the other side."""


class ModelDeclinedError(Exception):
    """The model gave nothing for this text; says nothing of the other side."""


@dataclass(frozen=True)
class Said:
    """What the model answered."""

    text: str
    model: str


class LabelModel(Protocol):
    """One call of the model, for one turn."""

    async def labels(self, prompt: Prompt, message: str, seconds: float) -> Said:
        """The model's JSON. Raises `ModelUnavailableError` or `ModelDeclinedError`."""
        ...

    def seconds_left(self) -> float:
        """Time that the caller still has."""
        ...


@dataclass(frozen=True)
class Limits:
    """How much the stage may take."""

    seconds: float
    # Less time than this is not worth a call.
    least_seconds: float
    # Kept back for the answer to travel.
    reserve_seconds: float
    in_flight: int


class LanguageModelStage:
    """The stage over one pack. For one event loop."""

    def __init__(
        self, prompt: Prompt, breaker: CircuitBreaker, limits: Limits, observe: Callable[[Outcome], None]
    ) -> None:
        self.prompt = prompt
        self._breaker = breaker
        self._limits = limits
        self._observe = observe
        self._in_flight = 0

    async def refine(self, classifier: Classifier, question: Question, scores: Scores, model: LabelModel) -> Scores:
        """The scores with uncertain axes labelled by the model; the same scores when it may or can not say better."""
        refined, outcome = await self._refined(classifier, question, scores, model)
        self._observe(outcome)
        return refined

    async def _refined(
        self, classifier: Classifier, question: Question, scores: Scores, model: LabelModel
    ) -> tuple[Scores, Outcome]:
        open_axes = uncertain(scores.axes)
        seconds = min(self._limits.seconds, model.seconds_left() - self._limits.reserve_seconds)
        reason = self._reason_not_to(question.text, open_axes, seconds)
        if reason is not None:
            return scores, reason
        said = await self._ask(message(question, open_axes), model, seconds)
        if isinstance(said, Outcome):
            return scores, said
        labels = _labels(said.text)
        if labels is None:
            return scores, Outcome.NOT_USABLE
        version = f"llm-{self.prompt.version}@{said.model}"
        trust = trust_in(question.text, classifier.familiarity(question))
        changed: dict[str, AxisScore] = {}
        for axis in open_axes:
            local, label = scores.axes[axis], labels.get(axis)
            if isinstance(label, str) and allowed(axis, local, label, trust):
                changed[axis] = combined(local, label, version)
        if not changed:
            return scores, Outcome.UNCHANGED
        again = classifier.reconsidered(question, scores, changed)
        if trust is Trust.GUARDED and again.confidence.value > scores.confidence.value:
            kept = Confidence(scores.confidence.value, again.confidence.version, again.confidence.evidence)
            again = replace(again, confidence=kept)
        return again, Outcome.REFINED

    def _reason_not_to(self, text: str, open_axes: tuple[str, ...], seconds: float) -> Outcome | None:
        """Why the model is not asked, cheapest test first; the breaker last, because it counts on a call."""
        if not open_axes:
            return Outcome.NOTHING_UNCERTAIN
        if seconds < self._limits.least_seconds:
            return Outcome.NO_TIME
        if len(text) > READ_LIMIT:
            return Outcome.TOO_LONG
        if steering_sign(text) is not None:
            return Outcome.STEERING
        if self._in_flight >= self._limits.in_flight:
            return Outcome.BUSY
        return None if self._breaker.lets_through() else Outcome.BREAKER_OPEN

    async def _ask(self, words: str, model: LabelModel, seconds: float) -> Said | Outcome:
        self._in_flight += 1
        told = self._breaker.gave_up
        try:
            async with asyncio.timeout(seconds):
                said = await model.labels(self.prompt, words, seconds)
            told = self._breaker.succeeded
        except TimeoutError:
            told = self._breaker.failed
            return Outcome.LATE
        except ModelUnavailableError:
            told = self._breaker.failed
            return Outcome.FAILED
        except ModelDeclinedError:
            return Outcome.NOT_USABLE
        finally:
            self._in_flight -= 1
            told()
        return said


def _labels(text: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


@dataclass(frozen=True)
class OneCall:
    """The stage for one turn: `classifier.UncertainStage`."""

    stage: LanguageModelStage
    model: LabelModel

    async def refine(self, classifier: Classifier, question: Question, scores: Scores) -> Scores:
        """The scores with uncertain axes labelled by the model."""
        return await self.stage.refine(classifier, question, scores, self.model)
