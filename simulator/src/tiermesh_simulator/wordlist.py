"""Sets of words written as text, where one word a line would hide the rest of a file."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())
