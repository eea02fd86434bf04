"""A question as tokens that know their place in the original characters.

Folding (case, compatibility forms, invisible characters) lives here; what words mean does not.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

# Characters of a text that the trained model reads. What lies beyond is not read, and the scores say so.
READ_LIMIT = 2_000

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[€$£%?!:/@#&+]")
# A sign or blank again and again says no more than three of it, and costs rules that look for what stands between.
_RUN = re.compile(r"([\W_])\1{3,}")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-"})
# Unicode categories without a visible form: format (zero-width, bidi marks), control, surrogate, private use.
_INVISIBLE = {"Cf", "Cc", "Cs", "Co", "Cn"}


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign, folded, with its half-open range of code points in the raw text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Text:
    """A question: raw, folded, and the map from folded positions back to raw ones."""

    raw: str
    folded: str
    offsets: tuple[int, ...] | None
    truncated: bool

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Words and telling signs in order."""
        return tuple(Token(m.group(), m.start(), m.end()) for m in _WORD.finditer(self.folded))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The folded words without signs."""
        return tuple(token.text for token in self.tokens if token.text[0].isalnum())

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Range in the raw text of a range in the folded text."""
        if self.offsets is None:
            return start, end
        if start >= end:
            return 0, 0
        return self.offsets[start], self.offsets[end - 1] + 1

    def raw_text(self, start: int, end: int) -> str:
        """The words as the user typed them."""
        first, last = self.raw_span(start, end)
        return self.raw[first:last]


def read_text(raw: str) -> Text:
    """Folds a text. Never fails, whatever the characters."""
    kept = raw[:READ_LIMIT]
    truncated = len(raw) > READ_LIMIT
    if kept.isascii() and _RUN.search(kept) is None:
        if kept.isprintable():
            return Text(raw, kept.lower(), None, truncated)
        return Text(raw, _blank_controls(kept).lower(), None, truncated)
    characters: list[str] = []
    offsets: list[int] = []
    for position, character in enumerate(kept):
        if len(characters) >= READ_LIMIT:
            # Some characters fold to many ("ﷺ" to eighteen): what is read stays bounded all the same.
            truncated = True
            break
        for folded in _fold(character):
            if characters[-3:] == [folded] * 3 and not folded.isalnum():
                continue
            characters.append(folded)
            offsets.append(position)
    return Text(raw, "".join(characters), tuple(offsets), truncated)


def _blank_controls(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _fold(character: str) -> str:
    if character.isascii():
        return character.lower() if character.isprintable() else " "
    if character.isspace():
        return " "
    if unicodedata.category(character) in _INVISIBLE:
        return ""
    return unicodedata.normalize("NFKC", character).lower().translate(_QUOTES)
