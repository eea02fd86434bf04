"""Quotes passages: the sentences that go best with the question, with their source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tiermesh_simulator.rules.lexicon import best_likeness, content_words, words
from tiermesh_simulator.rules.results import Passage

NOTHING_SAID: Final = "I found nothing on that in the handbook. Your HR contact can tell you more."
_QUOTED: Final = 2
# Of the question's words, so many have to be in a passage that answers it.
_ENOUGH: Final = 0.34


def word_passages(passages: Sequence[Passage], question: str) -> str:
    """Quote the passage that fits best; between equals the search's own order decides."""
    asked = content_words(question)
    best = max(passages, key=lambda passage: _fit(asked, f"{passage.source} {passage.text}"))
    if len(asked) > 1 and _fit(asked, f"{best.source} {best.text}") < _ENOUGH * len(asked):
        return NOTHING_SAID
    source = f"According to “{best.source}”: " if best.source else ""
    return f"{source}{_telling(best.text, asked)}"


def _fit(asked: Sequence[str], text: str) -> float:
    known = set(words(text))
    return sum(best_likeness(word, known) for word in asked)


def _telling(text: str, asked: Sequence[str]) -> str:
    """Return the sentences that say most of what is asked, in the passage's order."""
    pieces = sentences(text)
    ranked = sorted(range(len(pieces)), key=lambda at: (-_fit(asked, pieces[at]), at))
    return " ".join(_ended(pieces[at]) for at in sorted(ranked[:_QUOTED]))


def sentences(text: str) -> list[str]:
    """Cut a text into sentences; headings and list marks go."""
    lines = [re.sub(r"^\s*(?:[-*]|\d+\.)\s+", "", line) for line in text.splitlines() if not line.startswith("#")]
    body = " ".join(" ".join(lines).split()) or text
    return [piece for piece in re.split(r"(?<=[.!?])\s+(?=[A-Z0-9])", body) if piece]


def first_sentences(text: str, count: int) -> str:
    """Return the beginning of a text."""
    return _ended(" ".join(sentences(text)[:count]).strip())


def _ended(said: str) -> str:
    return said if said.endswith((".", "!", "?")) else f"{said}."
