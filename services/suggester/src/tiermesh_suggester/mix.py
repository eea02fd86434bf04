"""The mix of kinds that suits an answer, kept while candidates come one by one. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Generic, TypeVar

from tiermesh_suggester.candidates import KINDS, Kind

# A kind that the answer does not ask for still gets a turn when there is nothing else.
_LEAST_WEIGHT = 0.01

T = TypeVar("T")


class Mix(Generic[T]):
    """Decides on each candidate at once: what its kind still lacks is taken, the others wait for `rest`."""

    def __init__(self, weights: Mapping[str, float], count: int) -> None:
        """`weights` say how much of each kind suits, `count` how many are wanted in all."""
        self._weights = {kind: max(weights.get(kind, 0.0), _LEAST_WEIGHT) for kind in KINDS}
        self._count = count
        self._waiting: list[tuple[Kind, T]] = []
        self.taken: list[Kind] = []
        self.wanted: list[Kind] = []
        for _ in range(count):
            self.wanted.append(self._next_kind(self.wanted, KINDS))

    @property
    def missing(self) -> int:
        """How many are still to be taken."""
        return self._count - len(self.taken)

    def take(self, kind: Kind, candidate: T) -> bool:
        """Return True when the candidate is taken now; otherwise it waits."""
        if self.missing and self.taken.count(kind) < self.wanted.count(kind):
            self.taken.append(kind)
            return True
        self.wait(kind, candidate)
        return False

    def wait(self, kind: Kind, candidate: T) -> None:
        """Keep a candidate for `rest`."""
        self._waiting.append((kind, candidate))

    def rest(self) -> list[T]:
        """Take what fills up, of those that wait, in the order that suits best. The others are forgotten."""
        chosen: list[T] = []
        while self.missing and self._waiting:
            kind = self._next_kind(self.taken, {each for each, _ in self._waiting})
            pair = next(pair for pair in self._waiting if pair[0] == kind)
            self._waiting.remove(pair)
            self.taken.append(kind)
            chosen.append(pair[1])
        self._waiting.clear()
        return chosen

    def _next_kind(self, taken: Collection[Kind], among: Collection[Kind]) -> Kind:
        """Return the kind that is furthest behind its share; the earlier of two that are equally far."""
        behind = {kind: self._weights[kind] / (list(taken).count(kind) + 1) for kind in KINDS if kind in among}
        return max(behind, key=behind.__getitem__)
