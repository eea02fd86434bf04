"""The pill track of one turn: wait for what the mode needs, ask the model, check, or fall back. Knows no transport."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tiermesh_pack import Pack

from tiermesh_suggester.candidates import Candidate, Dropped, fresh, mixed, parse_candidates, presentable
from tiermesh_suggester.fallback import Asked, fallback_candidates
from tiermesh_suggester.prompt import AnswerSoFar, instructions, message
from tiermesh_suggester.visibility import Classified, leading_somewhere

# As many of the pack's own candidates are classified as one cheap batch holds.
MAX_FALLBACK_CANDIDATES = 16


class ModelFailedError(Exception):
    """The model did not give candidates in time; the message is a stable word."""


class ClassifierFailedError(Exception):
    """The candidates could not be classified."""


class Model(Protocol):
    """Where candidates come from."""

    async def candidates(self, instructions: str, message: str) -> str:
        """Return the model's JSON. Raises ModelFailedError."""
        ...


class Classifier(Protocol):
    """What says whether a candidate leads somewhere."""

    async def classify(self, candidates: Sequence[Candidate]) -> list[Classified]:
        """Classify all in one call. Raises ClassifierFailedError."""
        ...


@dataclass(frozen=True)
class Turn:
    """One turn that wants pills."""

    question: str
    asked: Asked
    # Weight per kind, from the surround axis.
    mix: Mapping[str, float]
    roles: Collection[str]
    count: int
    shown: Sequence[str]
    # False starts the model at once, beside the answer.
    informed: bool
    # False when the classifier was down: the model's candidates could not be checked either.
    classified: bool


@dataclass(frozen=True)
class ReadyPill:
    """A pill that may be shown."""

    candidate: Candidate
    from_model: bool


@dataclass
class Answer:
    """The answer as it comes in, and the moment from which enough of it is known."""

    so_far: AnswerSoFar = field(default_factory=AnswerSoFar)
    enough: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Track:
    """Runs once per turn; `dropped`, `fallback_cause` and `first_pill_seconds` tell afterwards how it went."""

    pack: Pack
    model: Model
    classifier: Classifier
    min_probability: float
    dropped: Dropped = field(default_factory=Dropped)
    fallback_cause: str = ""
    first_pill_seconds: float | None = None

    async def pills(self, turn: Turn, answer: Answer) -> AsyncIterator[ReadyPill]:
        """Yield the turn's pills: the model's, filled up from the pack where they are too few."""
        started = time.monotonic()
        for ready in await self._chosen(turn, answer):
            if self.first_pill_seconds is None:
                self.first_pill_seconds = time.monotonic() - started
            yield ready

    async def _chosen(self, turn: Turn, answer: Answer) -> list[ReadyPill]:
        own = await self._from_model(turn, answer)
        pills = [ReadyPill(candidate, from_model=True) for candidate in mixed(own, turn.mix, turn.count)]
        missing = turn.count - len(pills)
        if missing:
            self.fallback_cause = self.fallback_cause or "too_few"
            shown = [*turn.shown, *(pill.candidate.text for pill in pills)]
            candidates = await self._from_pack(turn, shown)
            pills += [ReadyPill(candidate, from_model=False) for candidate in mixed(candidates, turn.mix, missing)]
        return pills

    async def _from_model(self, turn: Turn, answer: Answer) -> list[Candidate]:
        if not turn.classified:
            self.fallback_cause = "classifier_down"
            return []
        if turn.informed:
            await answer.enough.wait()
        words = message(turn.question, answer.so_far, turn.shown)
        try:
            text = await self.model.candidates(instructions(self.pack), words)
            candidates = presentable(parse_candidates(text, self.dropped), self.dropped)
            return await self._leading(fresh(candidates, turn.question, turn.shown, self.dropped), turn, self.dropped)
        except ModelFailedError as error:
            self.fallback_cause = str(error)
        except ClassifierFailedError:
            self.fallback_cause = "classifier_down"
        return []

    async def _from_pack(self, turn: Turn, shown: Sequence[str]) -> list[Candidate]:
        """Return the pack's own words; checked like the model's, or, when nobody can check them, as they are."""
        candidates = fresh(fallback_candidates(self.pack, turn.asked), turn.question, shown, Dropped())
        if self.fallback_cause == "classifier_down":
            return candidates
        try:
            return await self._leading(candidates[:MAX_FALLBACK_CANDIDATES], turn, Dropped())
        except ClassifierFailedError:
            return candidates

    async def _leading(self, candidates: Sequence[Candidate], turn: Turn, dropped: Dropped) -> list[Candidate]:
        if not candidates:
            return []
        classified = await self.classifier.classify(candidates)
        return leading_somewhere(classified, roles=turn.roles, min_probability=self.min_probability, dropped=dropped)
