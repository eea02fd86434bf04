"""What one measured question is like: its words, its model's chunks, whether pills are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

# Texts that no example of the pack has, so that none is answered from the classifier's memory.
QUESTIONS: Final[Mapping[str, str]] = {
    "words": "Hello, what can you do for me on day {number}?",
    "look-up": "How many leave days do I have left as of today, note {number}?",
    "aggregate": "Who of my team applied for the most leave this year? This is note {number}.",
}
# Five digits: four can be a year, and the question then asks for something else.
_numbers = count(10_011)


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to ask: `words` is one model call, `look-up` two and a tool, `aggregate` a bulk call and a narration."""

    kind: str = "words"
    # Pieces of the model's text; milliseconds between two of them; questions at once.
    chunks: int = 40
    pause_ms: float = 0
    askers: int = 16
    pills: bool = False

    @property
    def name(self) -> str:
        """As it stands in tables."""
        pause = f", {self.pause_ms:g} ms apart" if self.pause_ms else ""
        return f"{self.kind}{' + pills' if self.pills else ''}: {self.chunks} chunks{pause}, {self.askers} askers"

    def question(self) -> str:
        """Words that were not asked before."""
        return QUESTIONS[self.kind].format(number=next(_numbers))

    def directive(self) -> str:
        """The same for the floor, which reads no words."""
        return f"{self.kind} {self.chunks} {self.pause_ms:g} {int(self.pills)}"

    @classmethod
    def of(cls, directive: str) -> Shape:
        """Read a directive."""
        kind, chunks, pause, pills = directive.split()
        return cls(kind, int(chunks), float(pause), pills=pills == "1")
