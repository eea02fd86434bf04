"""The pill track of one turn: the model's candidates as they come, each checked and sent when ready, then the pack's.

Knows no transport. What a check is about is in a module of its own; here is when it happens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Hashable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from tiermesh_pack import Pack

from tiermesh_suggester.candidates import Candidate, Dropped, fault_of
from tiermesh_suggester.fallback import Asked, fallback_candidates
from tiermesh_suggester.leading import MANAGER, Classified, Labels, Leading
from tiermesh_suggester.likeness import Seen
from tiermesh_suggester.mix import Mix
from tiermesh_suggester.prompt import AnswerSoFar, instructions, message
from tiermesh_suggester.reading import CandidateReader
from tiermesh_suggester.words import PackWords

# As many of the pack's own candidates are classified as one cheap batch holds.
MAX_FALLBACK_CANDIDATES = 24
# Of the time that pills have after the answer, the model's share; the rest is for the pack's pills in its place.
MODEL_SHARE = 0.6
# Candidates that follow each other faster than this are classified in one call; people do not see the difference.
GATHER_SECONDS = 0.02
_UNKNOWN = Labels(intent="", probability=0.0)


class ModelFailedError(Exception):
    """The model did not give candidates in time; the message is a stable word."""


class ClassifierFailedError(Exception):
    """The candidates could not be classified."""


class Model(Protocol):
    """Where candidates come from."""

    def pieces(self, instructions: str, message: str) -> AsyncGenerator[str, None]:
        """Yield the model's JSON as it is written. Raises ModelFailedError."""
        ...


class Classifier(Protocol):
    """What says whether a candidate leads somewhere."""

    async def classify(self, candidates: Sequence[Candidate]) -> list[Classified]:
        """Classify all in one call, as questions of the next turn. Raises ClassifierFailedError."""
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
    # Earlier questions of the conversation.
    earlier: Sequence[str] = ()
    # What the question means, where its labels can tell.
    meaning: Hashable | None = None
    # A question of illness, dispute or the like: only rules and reasons are offered after it.
    high_stakes: bool = False
    locale: str = ""
    # Seconds that the caller takes pills after the answer; None when it did not say.
    after_answer: float | None = None


@dataclass(frozen=True)
class ReadyPill:
    """A pill that may be shown; `scores` is its classification, None when nobody classified it."""

    candidate: Candidate
    from_model: bool
    scores: object = None


@dataclass
class Answer:
    """The answer as it comes in: the moment from which enough of it is known, and its end."""

    so_far: AnswerSoFar = field(default_factory=AnswerSoFar)
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failed: bool = False


@dataclass(frozen=True)
class Checks:
    """What every turn of a deployment is checked with."""

    pack: Pack
    words: PackWords
    leading: Leading


@dataclass
class Track:
    """Runs once per turn; `dropped`, `fallback_cause` and `first_pill_seconds` tell afterwards how it went."""

    checks: Checks
    model: Model
    classifier: Classifier
    dropped: Dropped = field(default_factory=Dropped)
    fallback_cause: str = ""
    first_pill_seconds: float | None = None

    async def pills(self, turn: Turn, answer: Answer) -> AsyncGenerator[ReadyPill, None]:
        """Yield the turn's pills, each when it is ready: the model's, filled up from the pack."""
        started = time.monotonic()
        async with aclosing(self._ready(turn, answer)) as pills:
            async for pill in pills:
                if self.first_pill_seconds is None:
                    self.first_pill_seconds = time.monotonic() - started
                yield pill

    async def _ready(self, turn: Turn, answer: Answer) -> AsyncGenerator[ReadyPill, None]:
        if not self.checks.words.speaks(turn.question, turn.locale):
            # Nothing here could word a pill in that language and know where it leads.
            self.fallback_cause = "language"
            return
        mix: Mix[Classified] = Mix(turn.mix, turn.count)
        seen = Seen.before((turn.question, *turn.earlier, *turn.shown), turn.meaning)
        async with aclosing(self._waves(turn, answer, mix)) as waves:
            async for wave in waves:
                try:
                    leading = await self._checked(wave, turn, answer, seen, self.dropped)
                except ClassifierFailedError:
                    self.fallback_cause = "classifier_down"
                    break
                for one in leading:
                    if mix.take(one.candidate.kind, one):
                        yield ReadyPill(one.candidate, from_model=True, scores=one.scores)
        for one in mix.rest():
            yield ReadyPill(one.candidate, from_model=True, scores=one.scores)
        if mix.missing:
            self.fallback_cause = self.fallback_cause or "too_few"
            for one in await self._from_pack(turn, answer, mix, seen):
                yield ReadyPill(one.candidate, from_model=False, scores=one.scores)

    async def _waves(self, turn: Turn, answer: Answer, mix: Mix[Classified]) -> AsyncGenerator[list[Candidate], None]:
        """What the model has made whole since the last look, until it ends, fails or would be too late."""
        if not turn.classified:
            self.fallback_cause = "classifier_down"
            return
        if turn.informed:
            await answer.enough.wait()
            if answer.failed:
                # There is nothing to follow up on; money is not spent on guesses.
                self.fallback_cause = "answer_failed"
                return
        inbox: asyncio.Queue[Candidate | None] = asyncio.Queue()
        words = message(turn.question, answer.so_far, turn.shown, mix.wanted)
        writing = asyncio.create_task(self._write(words, inbox))
        late = asyncio.create_task(_too_late(turn, answer))
        tasks: set[asyncio.Task[Any]] = {writing, late}
        try:
            while True:
                getting = asyncio.create_task(inbox.get())
                tasks.add(getting)
                await asyncio.wait({getting, late}, return_when=asyncio.FIRST_COMPLETED)
                if not getting.done():
                    self.fallback_cause = "late"
                    return
                tasks.discard(getting)
                await asyncio.wait({late}, timeout=GATHER_SECONDS)
                wave = [getting.result(), *_at_hand(inbox)]
                yield [candidate for candidate in wave if candidate is not None]
                if wave[-1] is None:
                    return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _write(self, words: str, inbox: asyncio.Queue[Candidate | None]) -> None:
        """Put the model's candidates into the inbox, and None after the last."""
        reader = CandidateReader(self.dropped)
        try:
            async with aclosing(self.model.pieces(instructions(self.checks.pack), words)) as pieces:
                async for piece in pieces:
                    for candidate in reader.feed(piece):
                        inbox.put_nowait(candidate)
        except ModelFailedError as error:
            self.fallback_cause = str(error)
        except Exception as error:
            # A fault of ours costs the model's pills, not the pack's.
            self.fallback_cause = "failed"
            structlog.get_logger().error("pills_model_fault", error=type(error).__name__, exc_info=error)
        else:
            reader.close()
        finally:
            inbox.put_nowait(None)

    async def _checked(
        self, candidates: Sequence[Candidate], turn: Turn, answer: Answer, seen: Seen, dropped: Dropped
    ) -> list[Classified]:
        """Return those that may be shown; all that pass the cheap checks are classified in one call."""
        kept: list[Candidate] = []
        said = Seen()
        for candidate in candidates:
            sensitive = "sensitive" if turn.high_stakes and candidate.kind != "explain" else ""
            fault = (
                sensitive
                or self._plain_fault(candidate.text)
                or seen.repeats(candidate.text)
                or said.repeats(candidate.text)
            )
            if fault:
                dropped.note(fault)
            else:
                kept.append(candidate)
                said.add(candidate.text, None)
        if not kept:
            return []
        shown = "\n".join((turn.question, *turn.earlier, answer.so_far.words))
        leading = []
        for one in await self.classifier.classify(kept):
            labels = one.labels
            fault = (
                self.checks.leading.fault_of(one, turn.roles)
                or seen.means_again(labels.meaning)
                or ("personal_data" if self.checks.words.personal(one.candidate.text, labels.people, shown) else "")
            )
            if fault:
                dropped.note(fault)
            else:
                leading.append(one)
                seen.add(one.candidate.text, labels.meaning)
        return leading

    def _plain_fault(self, text: str) -> str:
        return fault_of(text) or ("language" if self.checks.words.in_language(text) is False else "")

    async def _from_pack(self, turn: Turn, answer: Answer, mix: Mix[Classified], seen: Seen) -> list[Classified]:
        """Return the pack's own words: checked like the model's or, when nobody can, those that need no check."""
        candidates = fallback_candidates(self.checks.pack, turn.asked)[:MAX_FALLBACK_CANDIDATES]
        if self.fallback_cause != "classifier_down":
            try:
                for one in await self._checked(candidates, turn, answer, seen, Dropped()):
                    mix.wait(one.candidate.kind, one)
                return mix.rest()
            except ClassifierFailedError:
                self.fallback_cause = "classifier_down"
        for candidate in self._unchecked(candidates, turn):
            if not seen.repeats(candidate.text):
                seen.add(candidate.text, None)
                mix.wait(candidate.kind, Classified(candidate, _UNKNOWN))
        return mix.rest()

    def _unchecked(self, candidates: Sequence[Candidate], turn: Turn) -> list[Candidate]:
        """Those that cannot be dead ends by their make: served, and of oneself where one sees no others."""
        leading, words = self.checks.leading, self.checks.words
        intents = self.checks.pack.vocabulary.intents
        return [
            candidate
            for candidate in candidates
            if (not intents[candidate.intent].write or candidate.intent in leading.proposed)
            and (candidate.kind == "explain" or not turn.high_stakes)
            and (MANAGER in turn.roles or not words.about_others(candidate.text))
        ]


def _at_hand(inbox: asyncio.Queue[Candidate | None]) -> list[Candidate | None]:
    """Take everything that is there already."""
    return [inbox.get_nowait() for _ in range(inbox.qsize())]


async def _too_late(turn: Turn, answer: Answer) -> None:
    """Return when the model has no time left: the caller ends the track a while after the answer."""
    await answer.ended.wait()
    if turn.after_answer is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(turn.after_answer * MODEL_SHARE)
