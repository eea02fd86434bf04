"""Scores batches of candidates off the event loop, and those that were scored before not again.

The same candidate under the same history on the same day gets the same scores from one artefact, so what is kept is
what was answered. It holds slots, which are words of the text: a tenant finds only what was kept for itself.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

from tiermesh_classifier.classifier import Depth, Question, Scorer
from tiermesh_classifier.remembering import Remembered, digest
from tiermesh_classifier.translation import scores_to_wire

# Turns that are scored in the thread at a stretch: fewer hops cost less, more would hold up other batches.
_TURNS_PER_HOP = 8


class Batches:
    """Remembers for the scorer that was asked last: a new artefact begins with nothing."""

    def __init__(self, executor: Executor, most: int) -> None:
        """Keeps the scores of at most so many candidates."""
        self._executor = executor
        self._most = most
        self._scorer: Scorer | None = None
        self._remembered: Remembered[bytes] = Remembered(most)

    async def scored(self, scorer: Scorer, questions: Sequence[Question], depth: Depth, tenant: str) -> list[bytes]:
        """The scores of each, as messages are written, in order."""
        remembered = self._of(scorer)
        keys = _keys(questions, depth, tenant)
        found = [remembered.get(key) for key in keys]
        missing = [at for at, known in enumerate(found) if known is None]
        for start in range(0, len(missing), _TURNS_PER_HOP):
            few = missing[start : start + _TURNS_PER_HOP]
            made = await asyncio.get_running_loop().run_in_executor(
                self._executor, _written, scorer, [questions[at] for at in few], depth
            )
            for at, scores in zip(few, made, strict=True):
                found[at] = scores
                remembered.put(keys[at], scores)
        return [scores for scores in found if scores is not None]

    def _of(self, scorer: Scorer) -> Remembered[bytes]:
        if scorer is not self._scorer:
            self._scorer, self._remembered = scorer, Remembered(self._most)
        return self._remembered


def _keys(questions: Sequence[Question], depth: Depth, tenant: str) -> list[bytes]:
    """Everything that scores depend on but the scorer; what questions of a batch share is written out once."""
    written: dict[int, str] = {}
    keys = []
    for each in questions:
        about = written.get(id(each.history))
        if about is None:
            about = written[id(each.history)] = repr((each.history, each.calendar))
        keys.append(digest(tenant, depth.value, about, each.text))
    return keys


def _written(scorer: Scorer, questions: Sequence[Question], depth: Depth) -> list[bytes]:
    return [scores_to_wire(scorer.score(each, depth)).SerializeToString() for each in questions]
