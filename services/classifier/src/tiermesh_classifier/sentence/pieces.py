"""WordPiece as BERT's uncased models read text. Own code: the library that does it brings a hub client along."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

_ASCII_WORDS = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")
_LONGEST_WORD = 100
# Words whose pieces are kept; questions use few, and strangers must not fill the memory.
_REMEMBERED = 20_000


class Pieces:
    """The vocabulary of pieces, one a line in the order of their numbers."""

    def __init__(self, names: Sequence[str]) -> None:
        self._at = {name: at for at, name in enumerate(names)}
        self._unknown = self._at["[UNK]"]
        self._start, self._end = self._at["[CLS]"], self._at["[SEP]"]
        self._seen: dict[str, tuple[int, ...]] = {}

    def numbers(self, text: str, most: int) -> list[int]:
        """Numbers of the pieces between the marks of start and end, at most `most` with them."""
        found = [self._start]
        for word in split(text):
            pieces = self._seen.get(word)
            if pieces is None:
                pieces = self._of(word)
                if len(self._seen) < _REMEMBERED:
                    self._seen[word] = pieces
            found.extend(pieces)
            if len(found) >= most - 1:
                break
        return [*found[: most - 1], self._end]

    def _of(self, word: str) -> tuple[int, ...]:
        """Longest known pieces from the left; a word that is not made of any is unknown as a whole."""
        if len(word) > _LONGEST_WORD:
            return (self._unknown,)
        found, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = word[start:end] if start == 0 else "##" + word[start:end]
                if piece in self._at:
                    break
            else:
                return (self._unknown,)
            found.append(self._at[piece])
            start = end
        return tuple(found)


def split(text: str) -> Iterator[str]:
    """Lower-case words and single signs, without accents."""
    if text.isascii() and text.isprintable():
        yield from _ASCII_WORDS.findall(text.lower())
        return
    plain = "".join(_cleaned(text))
    folded = "".join(sign for sign in unicodedata.normalize("NFD", plain.lower()) if unicodedata.category(sign) != "Mn")
    word = ""
    for sign in folded:
        if sign.isspace() or _stands_alone(sign):
            if word:
                yield word
            word = ""
            if not sign.isspace():
                yield sign
        else:
            word += sign
    if word:
        yield word


def _cleaned(text: str) -> Iterator[str]:
    for sign in text:
        if sign in "\t\n\r" or unicodedata.category(sign) == "Zs":
            yield " "
        elif sign not in "\0\ufffd" and not unicodedata.category(sign).startswith("C"):
            yield f" {sign} " if _ideograph(ord(sign)) else sign


def _stands_alone(sign: str) -> bool:
    """Punctuation, and every ASCII sign that is neither letter nor figure."""
    return (sign.isascii() and not sign.isalnum()) or unicodedata.category(sign).startswith("P")


_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)


def _ideograph(code: int) -> bool:
    return code >= _IDEOGRAPHS[0][0] and any(low <= code <= high for low, high in _IDEOGRAPHS)
