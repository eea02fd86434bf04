"""Which texts say the same: by their words (RapidFuzz), and by what the classifier makes of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from rapidfuzz import fuzz, process

# Likeness (0 to 100) of the words that matter from which two texts say the same: plurals and typos are above it,
# another period or dimension is below.
SAME_WORDS = 88.0

_WORD = re.compile(r"\w+")
# Words that carry no difference between two questions.
_FILLER_WORDS = """
a an and are by can could did do does for from give how i in is it me my of on or please show split tell that the their
this to was were what which who with you
"""
_FILLERS = frozenset(_FILLER_WORDS.split())


@dataclass
class Seen:
    """What was asked, answered and shown so far."""

    _before: list[str] = field(default_factory=list)
    _pills: list[str] = field(default_factory=list)
    _meanings: dict[Hashable, str] = field(default_factory=dict)

    @classmethod
    def before(cls, texts: Iterable[str], answered: Hashable | None = None) -> Seen:
        """Begin with what this conversation has had; `answered` is the meaning of the question being answered."""
        seen = cls(_before=[content_words(text) for text in texts])
        if answered is not None:
            seen._meanings[answered] = "answered"
        return seen

    def repeats(self, text: str) -> str:
        """Return whether a text says again what was said: "repeated", "duplicate", or empty when it is new."""
        words = content_words(text)
        for reason, texts in (("repeated", self._before), ("duplicate", self._pills)):
            scorer = fuzz.token_sort_ratio
            if process.extractOne(words, texts, scorer=scorer, processor=None, score_cutoff=SAME_WORDS) is not None:
                return reason
        return ""

    def means_again(self, meaning: Hashable | None) -> str:
        """Return whether a meaning was had: "answered", "duplicate", or empty when it is new or not known."""
        return "" if meaning is None else self._meanings.get(meaning, "")

    def add(self, text: str, meaning: Hashable | None) -> None:
        """Note a pill that goes out."""
        self._pills.append(content_words(text))
        if meaning is not None:
            self._meanings.setdefault(meaning, "duplicate")


def content_words(text: str) -> str:
    """Return the words that make a question what it is."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return " ".join(word for word in words if word not in _FILLERS) or " ".join(words)
