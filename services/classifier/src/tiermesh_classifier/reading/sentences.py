"""Cuts a text into the sentences that may each ask for something of their own.

Also where no sign stands between them ("… this year?Write me", "… justifying your answer Compare …"): whoever glues a
text to a question keeps to no spelling. The words are data (`lexicon/sentences.yaml`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import yaml

# Each is classified on its own, so their number bounds what a text costs.
MOST = 4
# A piece of fewer words ("Hi Tom!", "Thanks.") goes with its neighbour.
LEAST_WORDS = 3
# Longer texts are asked back when they hold several sentences, and lists when they do not (`steering.buried`).
LONGEST = 2_000
_ADDRESS = re.compile(r"@|://|www\.")
# Characters around a cut that are looked at.
_AROUND = 40
_WORD = re.compile(r"[^\W\d_]{2,}")
_COMMON_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class _Words:
    boundary: re.Pattern[str]
    abbreviated: re.Pattern[str]
    asking: re.Pattern[str]


@lru_cache(maxsize=1)
def _words() -> _Words:
    source = resources.files("tiermesh_classifier.lexicon").joinpath("sentences.yaml").read_text(encoding="utf-8")
    lists = {name: words.split() for name, words in yaml.safe_load(source).items() if name != "version"}

    def either(words: Sequence[str]) -> str:
        return "|".join(map(re.escape, words))

    capitalised = either([word.capitalize() for word in lists["openers"]])
    return _Words(
        boundary=re.compile(
            r"(?<=[.?!;])(?<!\.\.)(?=[\"')\]*]*\s)"
            r"|(?<=[\n\r])"
            r"|(?<=[\"”]:)(?=\s)"
            r"|(?<=[?!])(?=[^\W\d_])"
            r"|(?<=[.)\"])(?=[A-Z][^\W\d_])"
            r"|(?<=[^\W\d_]{3}\.)(?=[^\W\d_]{2})"
            r"|(?<=[)\]}\">])\s(?=[A-Z][a-z])"
            r"|(?<=\S{28})\s|\s(?=\S{28})"
            rf"|(?<=[^\W_A-Z.?!])\s(?=(?:{capitalised})\b)"
            rf"|(?<=[a-z]{{2}})(?=(?:{capitalised})\b)"
        ),
        abbreviated=re.compile(rf"\b(?:{either(lists['abbreviations'])})\.$", re.IGNORECASE),
        asking=re.compile(
            rf"\?|^\W*(?:(?:{either(lists['polite'])})\b\W*)*(?:{either([*lists['openers'], *lists['requests']])})\b"
            rf"|\b(?:{either([words.replace('_', ' ') for words in lists['anywhere']])})\b",
            re.IGNORECASE,
        ),
    )


def sentences(text: str) -> list[str]:
    """The sentences in order, at most `MOST`; joined they are the text. One for most questions."""
    if len(text) > LONGEST:
        return [text]
    words = _words()
    cuts = [match.start() for match in words.boundary.finditer(text)]
    if not cuts:
        return [text]
    ends = [cut for cut in cuts if not _inside(text, cut)]
    return _few(_with_words(text, [*ends, len(text)]))


def _inside(text: str, cut: int) -> bool:
    """Whether a cut would stand behind an abbreviation or within an address."""
    before = text[max(0, cut - _AROUND) : cut]
    if _words().abbreviated.search(before) is not None:
        return True
    behind = text[cut : cut + _AROUND]
    if not behind or before[-1:].isspace() or behind[0].isspace():
        return False
    return _ADDRESS.search(before.split()[-1] + behind.split()[0]) is not None


def asks(sentence: str) -> bool:
    """Whether a sentence asks for something by its form, rather than telling something."""
    return _words().asking.search(sentence) is not None


def common_words(sentence: str) -> list[str]:
    """Its words, folded, without those that are written as names; the first word may be one without looking so."""
    found = _COMMON_WORD.findall(sentence)
    return [word.lower() for at, word in enumerate(found) if at == 0 or not word.istitle()]


def _with_words(text: str, ends: Sequence[int]) -> list[str]:
    """Pieces of enough words; what is too short goes to the piece before, the first one to the piece behind."""
    starts, counts, start = [0], [0], 0
    for end in ends:
        count = _weight(text, start, end)
        if counts[-1] >= LEAST_WORDS and count >= LEAST_WORDS:
            starts.append(start)
            counts.append(count)
        else:
            counts[-1] += count
        start = end
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _weight(text: str, start: int, end: int) -> int:
    """Words of a piece; a request of two words ("approve it") counts as enough."""
    count = len(_WORD.findall(text, start, end))
    return LEAST_WORDS if count == LEAST_WORDS - 1 and asks(text[start:end]) else count


def _few(pieces: list[str]) -> list[str]:
    """Neighbours joined until there are few, the shortest first and what asks for something last."""
    asking = [asks(piece) for piece in pieces] if len(pieces) > MOST else []
    while len(pieces) > MOST:
        at = min(
            range(len(pieces) - 1),
            key=lambda at: (asking[at] or asking[at + 1], len(pieces[at]) + len(pieces[at + 1])),
        )
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        asking[at : at + 2] = [asking[at] or asking[at + 1]]
    return pieces
