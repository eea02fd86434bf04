"""Finds the names of people and departments in a question. Whether they exist is for the aggregator to say."""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

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
# What a person has below them; "Priya's team" means her reports, "the Sales team" a department.
_BELOW = frozenset(
    [
        "team",
        "group",
        "crew",
        "squad",
        "people",
        "folks",
        "staff",
        "reports",
        "directs",
        "org",
        "lot",
        "guys",
        "subordinates",
        "skip-levels",
    ]
)
_OWN = frozenset(["whole", "entire", "own", "direct", "full", "immediate"])
_PLACE_BEFORE = frozenset(["in", "within", "across", "from", "of", "for", "at"])
_JOINING = frozenset(("and", "or", "vs", "versus", "against", "than", "&", "with"))
# Signs that are tokens of their own; a full stop is none.
_SENTENCE_ENDS = frozenset("?!")
_PART = re.compile(r"^[^\W\d_][^\W\d_'’-]*$")


@dataclass(frozen=True, slots=True)
class Name:
    """A name with its range of tokens."""

    kind: str
    words: str
    first: int
    last: int
    confidence: float
    # The last token of the words that ask for the people below this person, "Priya's team"; 0 when none do.
    below: int = 0


def find_names(reading: Reading, not_names: Set[str], units: Set[str]) -> Iterator[Name]:
    """Names in order, none overlapping: titled people, "X's …", capitalised runs, "the X department".

    `not_names` are words that are capitalised for other reasons; `units` are departments whose names the pack knows.
    """
    taken = _taken(reading, units)
    # In a text all in capitals they tell nothing.
    shouted = reading.text.raw.isupper()
    at, before = 0, None
    while at < len(reading.tokens):
        name = _unit_name(reading, at, units)
        end = at + 1 if name is not None else at if shouted else _run(reading, at, taken, not_names)
        if end == at:
            at += 1
            continue
        name = name or _named(reading, at, end)
        if before is not None and _coordinated(reading, before, name):
            name = replace(name, kind=before.kind)
        yield name
        at, before = end, name


def _taken(reading: Reading, units: Set[str]) -> set[int]:
    """Tokens that are spoken for by a period, a measure or a filter."""
    taken = {at for period in reading.periods for at in reading.token_range(period.start_at, period.end_at)}
    for found in reading.terms:
        if found.value.kind in ("filter", "measure"):
            taken.update(range(found.first, found.last))
    return {at for at in taken if reading.tokens[at].text not in units}


def _unit_name(reading: Reading, at: int, units: Set[str]) -> Name | None:
    """A department that the pack knows, where the words around it make it one."""
    if reading.tokens[at].text not in units:
        return None
    before = reading.tokens[at - 1].text if at else ""
    before = reading.tokens[at - 2].text if before == "the" and at > 1 else before
    after = reading.tokens[at + 1].text.rstrip("s") if at + 1 < len(reading.tokens) else ""
    capital = _word(reading, at)[0].isupper() and at > 0
    joined = before in _JOINING or (after in _JOINING and _word(reading, at)[0].isupper())
    if not (capital or after in _UNIT or before in _PLACE_BEFORE or joined):
        return None
    return Name("department", _word(reading, at), at, at + 1, 0.85)


def _coordinated(reading: Reading, before: Name, name: Name) -> bool:
    """Whether a name stands beside the one before: "Sales and Porto", "Anna, Ben"."""
    between = [reading.tokens[at].text for at in range(before.last, name.first)]
    return before.kind == "department" and name.confidence < 0.8 and len(between) == 1 and between[0] in _JOINING


def _run(reading: Reading, first: int, taken: Set[int], not_names: Set[str]) -> int:
    """End of the run of name words that starts here; `first` itself when none does."""
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
    titled = at > 0 and reading.tokens[at - 1].text in _TITLE
    sentence_start = at == 0 or not (titled or _adjacent(reading, at))
    if not sentence_start:
        return True
    # A first word is capitalised anyway: only a possessive or a following surname makes it a name.
    return bare != word or (
        at + 1 < len(reading.tokens) and _adjacent(reading, at + 1) and _name_like(reading, at + 1, not_names)
    )


def _named(reading: Reading, first: int, last: int) -> Name:
    start, end = reading.span(first, last)
    words = re.sub(r"['’]s$", "", reading.text.raw[start:end]).strip()
    before = reading.tokens[first - 1].text if first else ""
    after = reading.tokens[last].text.rstrip("s") if last < len(reading.tokens) else ""
    after_full = reading.tokens[last].text if last < len(reading.tokens) else ""
    below = _people_below(reading, first, last)
    if before in _TITLE:
        return Name("person", words, first - 1, last, 0.9, below)
    if below:
        return Name("person", words, first, last, 0.8, below)
    if after in _UNIT or after_full in _UNIT:
        return Name("department", words, first, last, 0.85)
    if before in _PLACE_BEFORE and last - first == 1 and not reading.text.raw[start:end].endswith(("'s", "’s")):
        return Name("department", words, first, last, 0.55 if before in ("in", "within", "across") else 0.4)
    return Name("person", words, first, last, 0.7 if last - first > 1 else 0.6)


def _people_below(reading: Reading, first: int, last: int) -> int:
    """End of "Priya's (whole) team"; for "reporting to Priya" and "the team of Priya" the end of the name; else 0."""
    words = [token.text for token in reading.tokens]
    if _word(reading, last - 1).endswith(("'s", "’s", "s'", "s’")):
        at = last + 1 if last < len(words) and words[last] in _OWN else last
        return at + 1 if at < len(words) and words[at] in _BELOW else 0
    before = words[max(0, first - 3) : first]
    before = before[:-1] if before and before[-1] in _TITLE else before
    told = before[-2:]
    reporting = len(told) == 2 and told[0].startswith("report") and told[1] == "to"
    of = len(told) == 2 and told[0] in _BELOW and told[1] == "of"
    return last if reporting or of else 0


def _word(reading: Reading, at: int) -> str:
    start, end = reading.span(at, at + 1)
    return reading.text.raw[start:end]


def _adjacent(reading: Reading, at: int) -> bool:
    """Whether only spaces stand between a token and the one before: a full stop or comma ends a name."""
    if reading.tokens[at - 1].text in _SENTENCE_ENDS:
        return False
    gap = reading.text.folded[reading.tokens[at - 1].end : reading.tokens[at].start]
    return not gap.strip(" -")
