"""Finds known phrases among the words of a text, the longest first. Knows nothing of what they mean."""

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
    """Phrases by their first word. A plural "s" on the last word of a text's phrase is forgiven."""

    def __init__(self, phrases: Iterable[tuple[Sequence[str], T]]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], T]]] = {}
        for words, value in phrases:
            key = tuple(words)
            if key:
                self._by_first.setdefault(key[0], []).append((key, value))
        for entries in self._by_first.values():
            entries.sort(key=lambda entry: -len(entry[0]))

    def words(self) -> set[str]:
        """Every word of every phrase."""
        return {word for entries in self._by_first.values() for key, _ in entries for word in key}

    def find(self, tokens: Sequence[Token]) -> Iterator[Found[T]]:
        """Every phrase at every place, longer ones first at each place."""
        texts = [token.text for token in tokens]
        count = len(texts)
        for at, word in enumerate(texts):
            for form in _forms(word):
                for key, value in self._by_first.get(form, ()):
                    size = len(key)
                    if size == 1:
                        yield Found(value, at, at + 1)
                    elif at + size <= count and _continues(key, texts, at):
                        yield Found(value, at, at + size)


def _forms(word: str) -> tuple[str, ...]:
    if word.endswith("'s"):
        return word, word[:-2]
    if len(word) > 3 and word.endswith("s"):
        return word, word[:-1]
    return (word,)


def _continues(key: tuple[str, ...], texts: Sequence[str], at: int) -> bool:
    return all(expected in _forms(texts[at + offset]) for offset, expected in enumerate(key[1:], start=1))
