"""Finds the names of people and departments in a question. Whether they exist is for the aggregator to say."""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass

from tiermesh_classifier.reading.reader import Reading

_TITLE = frozenset(["mr", "mrs", "ms", "miss", "mister", "herr", "frau", "dr", "madame", "señor"])
_UNIT = frozenset(
    [
        "department",
        "dept",
        "team",
        "division",
        "group",
        "unit",
        "function",
        "crew",
        "squad",
        "floor",
        "people",
        "folks",
        "staff",
    ]
)
_PLACE_BEFORE = frozenset(["in", "within", "across", "from", "of", "for", "at"])
_PART = re.compile(r"^[^\W\d_][^\W\d_'’-]*$")


@dataclass(frozen=True, slots=True)
class Name:
    """A name with its range of tokens."""

    kind: str
    words: str
    first: int
    last: int
    confidence: float


def find_names(reading: Reading, not_names: Set[str]) -> Iterator[Name]:
    """Names in order, none overlapping: titled people, "X's …", capitalised runs, "the X department".

    `not_names` are words that are capitalised for other reasons.
    """
    taken = {at for period in reading.periods for at in reading.token_range(period.start_at, period.end_at)}
    taken |= {
        at
        for found in reading.terms
        if found.value.kind in ("filter", "measure")
        for at in range(found.first, found.last)
    }
    at, count = 0, len(reading.tokens)
    while at < count:
        run = _run(reading, at, taken, not_names)
        if run == at:
            at += 1
            continue
        name = _named(reading, at, run)
        if name is not None:
            yield name
        at = run


def _run(reading: Reading, first: int, taken: Set[int], not_names: Set[str]) -> int:
    """End of the run of name words that starts here; `first` itself when none does."""
    if reading.text.raw.isupper():
        return first
    at = first
    while at < len(reading.tokens) and at not in taken and _name_like(reading, at, not_names):
        if at > first and not _adjacent(reading, at):
            break
        at += 1
        if _word(reading, at - 1).endswith(("'s", "’s")):
            break
    return at


def _name_like(reading: Reading, at: int, not_names: Set[str]) -> bool:
    word = _word(reading, at)
    bare = re.sub(r"['’]s$", "", word)
    if len(bare) < 2 or not bare[0].isupper() or not _PART.match(bare) or bare.lower() in not_names:
        return False
    sentence_start = at == 0 or not _adjacent(reading, at)
    if not sentence_start:
        return True
    # A first word is capitalised anyway: only a possessive or a following surname makes it a name.
    return bare != word or (
        at + 1 < len(reading.tokens) and _adjacent(reading, at + 1) and _name_like(reading, at + 1, not_names)
    )


def _named(reading: Reading, first: int, last: int) -> Name | None:
    start, end = reading.span(first, last)
    words = re.sub(r"['’]s$", "", reading.text.raw[start:end]).strip()
    before = reading.tokens[first - 1].text if first else ""
    after = reading.tokens[last].text.rstrip("s") if last < len(reading.tokens) else ""
    after_full = reading.tokens[last].text if last < len(reading.tokens) else ""
    if before in _TITLE:
        return Name("person", words, first - 1, last, 0.9)
    if after in _UNIT or after_full in _UNIT:
        return Name("department", words, first, last, 0.85)
    if before in _PLACE_BEFORE and last - first == 1 and not reading.text.raw[start:end].endswith(("'s", "’s")):
        return Name("department", words, first, last, 0.55 if before in ("in", "within", "across") else 0.4)
    return Name("person", words, first, last, 0.7 if last - first > 1 else 0.6)


def _word(reading: Reading, at: int) -> str:
    start, end = reading.span(at, at + 1)
    return reading.text.raw[start:end]


def _adjacent(reading: Reading, at: int) -> bool:
    """Whether only spaces stand between a token and the one before: a full stop or comma ends a name."""
    gap = reading.text.folded[reading.tokens[at - 1].end : reading.tokens[at].start]
    return not gap.strip(" -")
