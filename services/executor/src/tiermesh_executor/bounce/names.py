"""Names of people in an answer that nothing it rests on has: a model made them up.

Only what is plainly a name is looked at. In scripts with capitals: two or more capitalised words in a row, with
initials and particles between them, past words with which a sentence begins. In scripts without: what carries a title.
"""

import re
import unicodedata
from collections.abc import Iterable

from tiermesh_executor.bounce.language import SMALL_WORDS
from tiermesh_executor.bounce.name_words import AFTER, BEFORE, NO_PERSON, PARTICLES, STARTS

# A word of letters; hyphens, apostrophes and the Catalan and Hebrew marks keep it one.
_WORD = re.compile(r"[^\W\d_]+(?:[-'’·״׳‐‑][^\W\d_]+)*")
# The same, an initial with its dot, or what breaks a run of words.
_PIECE = re.compile(
    rf"(?P<code>\b\w*\d\w*)|(?P<initial>\b[^\W\d_]\.)|(?P<word>{_WORD.pattern})|(?P<gap>[^\S\n]+)|(?P<other>[\s\S])"
)
_GENITIVE = re.compile(r"['’]s?$|['’][^\W\d_]{1,4}$")
_LETTERS = r"[^\W\d_]"
_TITLED = re.compile(
    rf"(?P<family>(?:(?![ぁ-ん]){_LETTERS}){{1,6}}[ 　]?(?:(?![ぁ-ん]){_LETTERS}){{0,6}}?)(?:{'|'.join(AFTER)})"
    rf"|(?:{'|'.join(BEFORE)})[ ](?P<named>{_LETTERS}+(?:[ ]{_LETTERS}+)?)"
)
_INFLECTED = ("CYRILLIC", "GREEK")
_ENDING = 3
_SHORTEST_STEM = 3


class Known:
    """What an answer may rest on, as names are compared with it."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Reads each text once."""
        self._text = "\n".join(_folded(text) for text in texts)
        self._words = set(_WORD.findall(self._text))
        self._words |= {part for word in self._words for part in word.split("-")}

    def has(self, word: str) -> bool:
        """True when a word, whatever its genitive or its case ending, stands in one of the texts."""
        folded = _folded(word)
        bare = _GENITIVE.sub("", folded)
        if {folded, bare, folded.removesuffix("s")} & self._words:
            return True
        return unicodedata.name(folded[:1], "").startswith(_INFLECTED) and self._has_stem(bare)

    def has_anywhere(self, text: str) -> bool:
        """True when a name of a script that puts no space between words stands in one of the texts."""
        return _folded(text) in self._text

    def _has_stem(self, word: str) -> bool:
        stem = word[: max(_SHORTEST_STEM, len(word) - _ENDING)]
        return any(each.startswith(stem) and abs(len(each) - len(word)) <= _ENDING for each in self._words)


def ungrounded_names(text: str, known: Known) -> list[str]:
    """Names of which no word is known."""
    composed = unicodedata.normalize("NFC", text)
    cased = [name for run in _runs(composed) if (name := _made_up(run, known))]
    return cased + [name for name in _titled(composed) if not any(known.has_anywhere(part) for part in name.split())]


def _runs(text: str) -> Iterable[list[str]]:
    """Words in a row that may be names: capitalised ones, initials, and particles between them."""
    run: list[str] = []
    for piece in _PIECE.finditer(text):
        word = piece["initial"] or piece["word"]
        if piece["gap"]:
            continue
        if word and (word[0].isupper() or (run and word.casefold() in PARTICLES)):
            run.append(word)
            continue
        yield run
        run = []
    yield run


def _made_up(run: list[str], known: Known) -> str:
    """The name in a run, if it is one and no word of it is known."""
    words = list(run)
    while words and (words[0].casefold() in _OPENING or words[0].casefold() in PARTICLES or known.has(words[0])):
        words.pop(0)
    while words and words[-1].casefold() in PARTICLES:
        words.pop()
    capitalised = [word for word in words if word[0].isupper()]
    telling = [word for word in capitalised if len(word.rstrip(".")) > 1]
    if len(capitalised) < 2 or not telling:
        return ""
    if any(known.has(word) or _GENITIVE.sub("", word.casefold()) in NO_PERSON for word in telling):
        return ""
    return " ".join(words)


def _titled(text: str) -> Iterable[str]:
    for match in _TITLED.finditer(text):
        name = (match["family"] or match["named"]).strip()
        if not any(letter.isupper() or letter.islower() for letter in name):
            yield name


def _folded(text: str) -> str:
    """Without case and accents: a model that leaves an accent out has made nobody up."""
    parts = unicodedata.normalize("NFKD", text)
    bare = unicodedata.normalize("NFC", "".join(each for each in parts if not unicodedata.combining(each)))
    return bare.translate(_MARKS).casefold()


_MARKS = str.maketrans({"’": "'", "‐": "-", "‑": "-"})
_OPENING = STARTS | SMALL_WORDS
