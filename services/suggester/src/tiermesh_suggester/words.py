"""The words that a pack is written in: which texts are in its language, and which words are names of people."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Iterator

from tiermesh_pack import Pack
from tiermesh_pack.vocabulary import phrase_pattern

# Least words from which a language can be told, and the least share of them that the pack knows.
LEAST_WORDS = 3
LEAST_KNOWN = 0.25

# Words that ask for several people without naming any.
_WHOM = ("who", "department", "location", "which people")
_WORD = re.compile(r"[^\W\d_]+")
_NAME = re.compile(r"\b[^\W\d_]+(?:['’][^\W\d_]+)*", re.UNICODE)
_ADDRESS = re.compile(r"\S+@\S+")
# Figures of four digits and more, and marks such as E00123; years are no personal data.
_FIGURE = re.compile(r"\b[A-Za-z]{0,3}\d[\d.,/ -]*\d{3}\b|\b[A-Za-z]{1,3}\d{3,}\b|\b\d{4,}\b")
_YEAR = re.compile(r"(?:19|20)\d\d")
_MOST_OF_AN_ACRONYM = 5


class PackWords:
    """All words of a pack but those of its training examples: these hold names and other languages."""

    def __init__(self, pack: Pack) -> None:
        self._known = frozenset(word for text in _texts(pack) for word in _words(text))
        self._others = phrase_pattern([*_WHOM, *_populations(pack)])
        self.language = primary_language(pack.defaults.locale) or "en"

    def in_language(self, text: str) -> bool | None:
        """Return whether a text is in the pack's language; None when it is too short to tell."""
        words = _words(text)
        if any(not character.isascii() for word in words for character in word) and not self._share(words):
            return False
        return None if len(words) < LEAST_WORDS else self._share(words) >= LEAST_KNOWN

    def speaks(self, text: str, locale: str) -> bool:
        """Return whether the author of `text` is understood; what is too short to tell goes by their locale."""
        told = self.in_language(text)
        return told if told is not None else (primary_language(locale) or self.language) == self.language

    def personal(self, text: str, named: Iterable[str], shown: str) -> bool:
        """Return whether a text holds personal data that is not in `shown`: names, addresses, figures, marks.

        `named` are names that the classifier found. Doubt counts as personal: one pill less is no harm.
        """
        known_here = frozenset(_words(shown))
        for match in (*_ADDRESS.findall(text), *_FIGURE.findall(text)):
            if not _YEAR.fullmatch(match) and match not in shown:
                return True
        doubtful = [word for name in named for word in _words(name)]
        for index, name in enumerate(_NAME.findall(text)):
            bare, _, possessive = name.replace("’", "'").partition("'")
            capital = name[:1].isupper() and not (name.isupper() and len(name) <= _MOST_OF_AN_ACRONYM)
            # Every sentence begins with a capital: its first word is a name only when it owns something.
            if capital and (index > 0 or possessive == "s"):
                doubtful.append(bare.casefold())
        return any(word not in self._known and word not in known_here for word in doubtful)

    def about_others(self, text: str) -> bool:
        """Return whether a text of the pack's own asks for more than one person's data."""
        return self._others.search(text) is not None

    def _share(self, words: list[str]) -> float:
        return sum(word in self._known for word in words) / len(words) if words else 0.0


def _populations(pack: Pack) -> Iterator[str]:
    """The pack's words for people other than the one who asks."""
    for name, words in pack.vocabulary.populations.items():
        if name != "self":
            yield from words


def primary_language(locale: str) -> str:
    """Return "en" of "en-GB"; empty when there is none."""
    return locale.replace("_", "-").partition("-")[0].lower()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _texts(pack: Pack) -> Iterator[str]:
    for intent in pack.vocabulary.intents.values():
        yield from (intent.description, *intent.suggestions, *intent.neighbours.values())
    for axis in pack.vocabulary.axes.values():
        yield from (axis.description, *axis.labels.values())
    for words in pack.vocabulary.populations.values():
        yield from words
    for section in pack.handbook:
        yield from (section.title, section.document, section.text)
    for domain in pack.semantic.domains.values():
        yield from (domain.label, domain.description, *domain.synonyms)
        for measure in domain.measures.values():
            yield from (measure.label, measure.description, *measure.synonyms)
        for dimension in domain.dimensions.values():
            yield from (dimension.label, dimension.description, *dimension.synonyms, *dimension.values)
        for view in domain.lists.values():
            yield from (view.label, view.description, *view.synonyms)
    yield from (*calendar.month_name, *calendar.day_name)
