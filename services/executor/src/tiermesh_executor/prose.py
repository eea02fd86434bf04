"""The answer's prose on its way to the user: held until the commit point, released when it may be said.

Holds what must come with it (tables, proposals) until then. Which figures may be said
is decided in `figures`; where a sentence ends in `sentences`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from tiermesh_executor.answer_events import AnswerEvent, CommittedTo, Text
from tiermesh_executor.bounce.calibration import Stated
from tiermesh_executor.bounce.confidence import StatedConfidence
from tiermesh_executor.bounce.validators import Validators
from tiermesh_executor.failures import HandOverError
from tiermesh_executor.figures import FigureGuard
from tiermesh_executor.sentences import take_sentences


class CommitPoint(StrEnum):
    """Until when text is held back."""

    IMMEDIATE = "immediate"
    FIRST_SENTENCE = "first_sentence"
    WHOLE_ANSWER = "whole_answer"


class Prose:
    """One answer's visible part."""

    def __init__(self, put: Callable[[AnswerEvent], Awaitable[None]], point: CommitPoint) -> None:
        """`put` sends an event towards the user."""
        self._put = put
        self._point = point
        self._guard: FigureGuard | None = None
        self._rows: Callable[[], str] | None = None
        self._waiting = ""
        self._released: list[str] = []
        self._held: list[AnswerEvent] = []
        self._clock = asyncio.get_running_loop().time
        self._since: float | None = None
        self.model = ""
        self.committed = False
        # What the user has of the current model call.
        self.shown_in_round = ""
        self.said_anything = False
        self.held_back = 0.0
        self.held_sentences = 0
        # At tier 1: what cannot be said before the commit point is handed over.
        self.validators: Validators | None = None
        # Writes a sentence again from the rows; its figures are verified like any other's.
        self.rewrite: Callable[[str], Awaitable[str]] | None = None
        self._confidence = StatedConfidence()
        # Reads what a model says of its own confidence; None where nobody asked.
        self.read_stated: Callable[[float, str], Stated] | None = None
        self.stated: Stated | None = None

    def ground(self, guard: FigureGuard, rows: Callable[[], str]) -> None:
        """From here on figures must hold; `rows` words the data for when they do not."""
        self._guard, self._rows = guard, rows

    async def show(self, event: AnswerEvent) -> None:
        """A table, proposal or question: goes out in its place, with the commit point."""
        if self.committed:
            await self._release_all()
            await self._put(event)
        else:
            self._held.append(event)

    async def feed(self, text: str) -> None:
        """Some more prose of the model."""
        self._since = self._since or self._clock()
        self._waiting += self._confidence.feed(text)
        if self.stated is None and self._confidence.value is not None and self.read_stated is not None:
            self.stated = self.read_stated(self._confidence.value, self.model)
        if self._guard is None and (self.committed or self._point is CommitPoint.IMMEDIATE):
            await self._release_all()
            return
        sentences, self._waiting = take_sentences(self._waiting)
        for sentence in sentences:
            await self._say(sentence)
        if sentences and self._guard is None and self.committed:
            await self._release_all()

    def drop_preamble(self) -> None:
        """The model turned to its tools: what was not yet shown was not the answer."""
        self._confidence, self.stated = StatedConfidence(), None
        self._waiting = ""
        self._released.clear()
        self._since = None

    def restart(self) -> None:
        """Another attempt begins, or goes on from what was shown: what was not shown is void."""
        self.drop_preamble()

    def next_round(self) -> None:
        """A new model call begins."""
        self._confidence = StatedConfidence()
        self.shown_in_round = ""

    async def end_round(self) -> None:
        """The model ended: the last sentence is whole too."""
        last, self._waiting = self._waiting + self._confidence.end(), ""
        if last:
            await self._say(last)

    @property
    def held_text(self) -> str:
        """What would be shown if it were committed now."""
        return "".join(self._released)

    async def commit(self) -> None:
        """Everything that was held goes out, and what follows is visible."""
        if self.committed:
            return
        self.committed = True
        await self._put(CommittedTo(self.model))
        held, self._held = self._held, []
        for event in held:
            await self._put(event)

    async def finish(self) -> None:
        """The answer is whole."""
        if self._released or self._held:
            await self.commit()
        await self._release_all()

    async def _say(self, sentence: str) -> None:
        if not sentence.strip():
            await self._accept(sentence)
            return
        checks = self.validators if not self.committed else None
        if checks is not None:
            checks.check_confidence(self.stated)
            if not self._released:
                checks.check_first(sentence)
            checks.check("".join([*self._released, sentence]))
        if self._guard is not None and self._guard.unverified(sentence):
            self.held_sentences += 1
            if checks is not None:
                raise HandOverError("ungrounded", "a figure does not follow from the data")
            sentence = await self._mended(sentence, self._guard)
            if not sentence:
                return
        await self._accept(sentence)
        if self._point is not CommitPoint.WHOLE_ANSWER:
            await self.commit()
            await self._flush_released()

    async def _mended(self, sentence: str, guard: FigureGuard) -> str:
        """Written again once; where that does not hold either, the rows in plain words."""
        again = await self.rewrite(sentence) if self.rewrite is not None else ""
        if again and not guard.unverified(again):
            return again + sentence[len(sentence.rstrip()) :]
        if self._rows is None:
            return ""
        # Said once: the rows stand for every sentence that could not be verified.
        rows, self._rows = f"{self._rows()} ", None
        return rows

    async def _accept(self, text: str) -> None:
        self._released.append(text)
        self.said_anything = self.said_anything or bool(text.strip())

    async def _release_all(self) -> None:
        """Ungrounded text after the commit point is not looked at sentence by sentence."""
        if self._waiting and self._guard is None:
            waiting, self._waiting = self._waiting, ""
            await self._accept(waiting)
        if self._released and (self.committed or self._point is CommitPoint.IMMEDIATE):
            await self.commit()
            await self._flush_released()

    async def _flush_released(self) -> None:
        text, self._released = "".join(self._released), []
        if not text:
            return
        if self._since is not None:
            self.held_back += self._clock() - self._since
            self._since = self._clock() if self._waiting else None
        self.shown_in_round += text
        await self._put(Text(text))
