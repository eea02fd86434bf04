"""Finds known phrases among the words of a text. Knows nothing of what they mean."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tiermesh_classifier.reading.text import Token

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A phrase in a text: what it stands for, and its range of tokens."""

    value: T
    first: int
    last: int


class PhraseIndex(Generic[T]):
    """Phrases by their first two words. A plural or possessive "s" in the text is forgiven."""

    def __init__(self, phrases: Iterable[tuple[Sequence[str], T]]) -> None:
        self._words: set[str] = set()
        self._single: dict[str, list[T]] = {}
        # First word to second word to the rest of each phrase.
        self._longer: dict[str, dict[str, list[tuple[tuple[str, ...], T]]]] = {}
        for phrase, value in phrases:
            words = tuple(phrase)
            self._words.update(words)
            if len(words) == 1:
                self._single.setdefault(words[0], []).append(value)
            elif words:
                seconds = self._longer.setdefault(words[0], {})
                seconds.setdefault(words[1], []).append((words[2:], value))

    def words(self) -> set[str]:
        """Every word of every phrase."""
        return set(self._words)

    def find(self, tokens: Sequence[Token]) -> Iterator[Found[T]]:
        """Every phrase at every place."""
        forms = [_forms(token.text) for token in tokens]
        for at, first in enumerate(forms):
            for word in first:
                for value in self._single.get(word, ()):
                    yield Found(value, at, at + 1)
                seconds = self._longer.get(word)
                if seconds is not None and at + 1 < len(forms):
                    yield from _longer(seconds, forms, at)


def _longer(
    seconds: dict[str, list[tuple[tuple[str, ...], T]]], forms: Sequence[tuple[str, ...]], at: int
) -> Iterator[Found[T]]:
    for word in forms[at + 1]:
        for rest, value in seconds.get(word, ()):
            end = at + 2 + len(rest)
            if end <= len(forms) and all(forms[at + 2 + step].count(want) for step, want in enumerate(rest)):
                yield Found(value, at, end)


def _forms(word: str) -> tuple[str, ...]:
    if not word.endswith("s") or len(word) < 3:
        return (word,)
    if word.endswith("'s"):
        return word, word[:-2]
    return (word, word[:-1]) if len(word) > 3 else (word,)
