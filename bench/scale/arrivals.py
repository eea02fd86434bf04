"""When questions come and which: random moments of a rate that changes, and a mix that drifts. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

# Texts that no example of the pack has, so that none is answered from the classifier's memory.
QUESTIONS: Final[Mapping[str, str]] = {
    "words": "Hello, what can you do for me on day {number}?",
    "look-up": "How many leave days do I have left as of today, note {number}?",
    "aggregate": "Who of my team applied for the most leave this year? This is note {number}.",
}
# Five digits: four can be a year ("note 2026"), and the question then asks for something else.
_numbers = count(10_011)


@dataclass(frozen=True)
class Phase:
    """A stretch of time: its rate as a multiple of capacity, and how often each kind of question comes."""

    name: str
    seconds: float
    load: float
    mix: Mapping[str, float]


EVEN: Final[Mapping[str, float]] = {"words": 1, "look-up": 1, "aggregate": 1}
# A working day and a month end in under a minute.
DAY: Final[Sequence[Phase]] = (
    Phase("quiet night", 8, 0.1, {"words": 3, "look-up": 1}),
    Phase("Monday, people come in", 6, 0.7, {"words": 1, "look-up": 4, "aggregate": 1}),
    Phase("Monday morning", 8, 1.5, {"words": 1, "look-up": 6, "aggregate": 1}),
    Phase("midday", 8, 0.5, EVEN),
    Phase("month end", 10, 2.0, {"look-up": 1, "aggregate": 5}),
    Phase("evening", 8, 0.2, {"words": 2, "look-up": 1}),
)


def scaled(phases: Sequence[Phase], scale: float) -> list[Phase]:
    """The same phases, longer or shorter."""
    return [Phase(each.name, each.seconds * scale, each.load, each.mix) for each in phases]


def moments(per_second: float, seconds: float, chance: random.Random) -> Iterator[float]:
    """Seconds from the beginning at which questions come: a Poisson process."""
    due = 0.0
    while per_second > 0 and (due := due + chance.expovariate(per_second)) < seconds:
        yield due


def draw(mix: Mapping[str, float], chance: random.Random) -> str:
    """One kind of question."""
    return chance.choices(list(mix), list(mix.values()))[0]


def question(kind: str) -> str:
    """Words that were not asked before in this run."""
    return QUESTIONS[kind].format(number=next(_numbers))
