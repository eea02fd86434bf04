"""Tells a question's own words from strangers: words that training never saw, code, and what they take along.

Whoever glues a text to a question keeps to no sentence ("what's the story with my claim <script>alert(1)</script>"),
but nothing in the question leads up to it. The words are data (`lexicon/strangers.yaml`).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib import resources

import yaml

from tiermesh_classifier.reading.reader import Reading
from tiermesh_classifier.reading.sentences import LONGEST

# So many words of the question's language between two strangers go with them.
_BETWEEN = 3
# From so many strangers on they take along whatever stands on their side of the pack's matters.
_CROWD = 2
# What is left has to be more than a word, and no letter: in so many characters a stranger weighs little.
_LEAST = 2
_LONGEST = 200
# Figures and letters mixed are a machine's when they are longer than numbers of claims, days and times.
_MACHINES = 12
_PIECE = re.compile(r"\S+")
_EDGE = ".,;:!?()'\""
_CODE = re.compile(
    r"[<>{}\[\]\\|`=^~_;$#*\u2190-\u2bff\U0001f000-\U0001faff]|--|%[a-z]|\w\(|\w[/@.:]\w*[^\W\d]|/\W|/$|^\W*/\w"
)
# Where a word of the question ends inside a piece.
_JOINED = re.compile(r"\b([^\W\d_]{2,}?)(?=[A-Z][a-z]|[^\w\s'’.,;:!?/@&+%)-])")
_OWNED = ("'s", "s'")

Read = Callable[[str], Reading]
Known = Callable[[str], bool]


class _Kind(Enum):
    OWN = 0
    # Neither: it goes with its neighbours.
    FIGURE = 1
    UNKNOWN = 2
    CODE = 3


@dataclass(slots=True)
class _Piece:
    """What stands between two blanks."""

    text: str
    kind: _Kind
    # Whether it names something of the pack's.
    matter: bool

    @property
    def strange(self) -> bool:
        return self.kind in (_Kind.UNKNOWN, _Kind.CODE)

    @property
    def bare(self) -> str:
        return self.text.strip(_EDGE).lower().replace("’", "'")


@lru_cache(maxsize=1)
def _leading() -> frozenset[str]:
    source = resources.files("tiermesh_classifier.lexicon").joinpath("strangers.yaml").read_text(encoding="utf-8")
    return frozenset(yaml.safe_load(source)["leading"].split())


def without_strangers(reading: Reading, read: Read, known: Known) -> str | None:
    """The text less what is strange; None where nothing is, or where nothing of the pack's would be left.

    `known` says of a folded word whether training saw it. `read` is called where a word is glued to a stranger.
    """
    pieces = [] if len(reading.text.raw) > LONGEST else _pieces(reading, known)
    if not any(piece.strange for piece in pieces):
        return None
    parted = _JOINED.sub(lambda found: _parted(found, known), reading.text.raw)
    if parted != reading.text.raw:
        apart = _pieces(read(parted), known)
        pieces = apart if any(piece.strange for piece in apart) else pieces
    if not any(piece.matter for piece in pieces):
        return None
    gone = {at for first, last in _stretches(pieces) for at in range(first, last + 1)}
    left = [piece for at, piece in enumerate(pieces) if at not in gone]
    if not gone or sum(piece.kind is _Kind.OWN for piece in left) < _LEAST:
        return None
    rest = " ".join(piece.text for piece in left)
    return rest if len(rest) <= _LONGEST else None


def _parted(found: re.Match[str], known: Known) -> str:
    return found[1] + " " if known(found[1].lower()) else found[1]


def _pieces(reading: Reading, known: Known) -> list[_Piece]:
    named = {at for term in reading.terms for at in range(term.first, term.last)}
    starts = [reading.text.raw_span(token.start, token.end)[0] for token in reading.tokens]
    pieces: list[_Piece] = []
    at = 0
    for found in _PIECE.finditer(reading.text.raw):
        first = at
        while at < len(starts) and starts[at] < found.end():
            at += 1
        kind = _kind(found.group(), [token.text for token in reading.mended[first:at]], known)
        matter = kind is _Kind.OWN and not named.isdisjoint(range(first, at))
        pieces.append(_Piece(found.group(), kind, matter))
    return pieces


def _kind(piece: str, words: Sequence[str], known: Known) -> _Kind:
    bare = piece.strip(_EDGE)
    machine = len(bare) >= _MACHINES and any(map(str.isdigit, bare))
    if machine or _CODE.search(piece[:-1] if piece[-1] in _EDGE[:6] else piece) is not None:
        return _Kind.CODE
    spoken = [word for word in words if word.replace("'", "").isalpha()]
    if any(not known(word) and not (word.endswith(_OWNED) and known(word[:-2])) for word in spoken):
        return _Kind.UNKNOWN
    return _Kind.OWN if spoken else _Kind.FIGURE


def _stretches(pieces: Sequence[_Piece]) -> list[tuple[int, int]]:
    """First and last piece of what goes, in order."""
    found: list[tuple[int, int]] = []
    for at, piece in enumerate(pieces):
        if not piece.strange:
            continue
        if found and _bridged(pieces[found[-1][1] + 1 : at]):
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    matters = [at for at, piece in enumerate(pieces) if piece.matter]
    return [
        _grown(pieces, first, last, matters) for first, last in found if first < last or not _belongs(pieces, first)
    ]


def _bridged(between: Sequence[_Piece]) -> bool:
    own = [piece for piece in between if piece.kind is _Kind.OWN]
    return len(own) <= _BETWEEN and not any(piece.matter for piece in own)


def _belongs(pieces: Sequence[_Piece], at: int) -> bool:
    """Whether the sentence leads up to a single unknown word, or on from it ("Priya's")."""
    piece = pieces[at]
    led = at > 0 and pieces[at - 1].bare in _leading()
    return piece.kind is _Kind.UNKNOWN and (led or piece.bare.endswith(_OWNED))


def _grown(pieces: Sequence[_Piece], first: int, last: int, matters: Sequence[int]) -> tuple[int, int]:
    """With figures and capitals beside it; and a crowd with all that stands on its side of the pack's matters."""
    crowd = sum(piece.strange for piece in pieces[first : last + 1]) >= _CROWD
    while first > 0 and _goes_along(pieces[first - 1], opens=first == 1):
        first -= 1
    while last + 1 < len(pieces) and _goes_along(pieces[last + 1], opens=False):
        last += 1
    if crowd and last < matters[0]:
        first = 0
    if crowd and first > matters[-1]:
        first, last = matters[-1] + 1, len(pieces) - 1
    return first, last


def _goes_along(piece: _Piece, *, opens: bool) -> bool:
    capital = piece.text[0].isupper() and not opens and piece.bare not in _leading()
    return not piece.matter and (capital or piece.kind is _Kind.FIGURE)
