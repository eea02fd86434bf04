"""Group-by, order, limit, filters and population from the words and the semantic model's terms."""

import re
from collections.abc import Iterator, Set

from tiermesh_pack.semantic import Domain

from tiermesh_classifier.reading.period_readings import number_of
from tiermesh_classifier.reading.phrases import Found
from tiermesh_classifier.reading.reader import Reading, Term
from tiermesh_classifier.scores import Slot

_GROUPING = frozenset(["by", "per", "each", "every", "across", "which", "what"])
_GRAINS = {
    "day": "day",
    "daily": "day",
    "week": "week",
    "weekly": "week",
    "month": "month",
    "monthly": "month",
    "quarter": "quarter",
    "quarterly": "quarter",
    "year": "year",
    "yearly": "year",
    "annually": "year",
}
_ASCENDING = re.compile(
    r"\b(least|fewest|lowest|smallest|shortest|bottom|worst|weakest|slowest|cheapest|youngest|earliest)\b"
)
_DESCENDING = re.compile(
    r"\b(most|highest|largest|biggest|longest|top|best|greatest|fastest|costliest|oldest|strongest|dearest)\b"
)
_ASKING = frozenset(["how", "many", "much", "number", "of", "the", "total"])
_LIMIT = re.compile(
    r"\b(?:top|bottom|first|last)\s+(\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|twenty)\b|"
    r"\b(\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|twenty)\s+(?:best|worst|biggest|largest|highest|lowest|most|"
    r"longest|smallest|top|cheapest|fastest|slowest)\b"
)


def measure_slots(reading: Reading, domain: Domain, usual: str, general: str) -> list[Slot]:
    """The measure that the words name; among several the one that is not meant anyway, then the longer phrase.

    The domain's own words ("leave") do not name the usual measure, which is meant anyway; nor do vague ones ("how many
    people") name what the domain means in `general`, when the intent usually means something else. A word within a
    longer phrase ("leave" in "leave requests", or in "leave type") names nothing of its own.
    """
    found = [
        f
        for f in reading.terms
        if f.value.kind == "measure"
        and f.value.domain == domain.name
        and not (f.value.name == general != usual and _is_vague(reading, f))
        and not (f.value.name == usual and f.last - f.first == 1 and reading.mended[f.first].text in domain.synonyms)
    ]
    longer = [*found, *(f for f in reading.terms if f.value.kind == "dimension")]
    found = [f for f in found if not any(_within(f, other) for other in longer)]
    if not found:
        return []
    best = max(found, key=lambda f: (f.value.name != usual, f.last - f.first, -f.first))
    start, end = reading.span(best.first, best.last)
    sure = 0.9 if best.last - best.first > 1 else 0.75
    return [Slot(best.value.name, sure, start=start, end=end)]


def _is_vague(reading: Reading, found: Found[Term]) -> bool:
    """Whether a phrase is one word, but for those that only ask for a figure."""
    said = (token.text for token in reading.mended[found.first : found.last])
    return sum(word not in _ASKING for word in said) < 2


def _within(inner: Found[Term], outer: Found[Term]) -> bool:
    covered = outer.first <= inner.first and inner.last <= outer.last
    return covered and outer.last - outer.first > inner.last - inner.first


def group_slots(reading: Reading, domain: Domain) -> list[Slot]:
    """Dimensions after "by", "per", "each", "which"."""
    slots: dict[str, Slot] = {}
    for found in reading.terms:
        name = found.value.name
        if found.value.kind != "dimension" or name not in domain.dimensions or not _grouped(reading, found):
            continue
        start, end = reading.span(found.first, found.last)
        slots.setdefault(name, Slot(name, 0.85, start=start, end=end))
    for at, token in enumerate(reading.mended):
        grain = _GRAINS.get(token.text)
        before = reading.mended[at - 1].text if at else ""
        if (
            grain
            and (before in ("by", "per", "each", "every") or token.text.endswith("ly"))
            and grain in domain.dimensions
        ):
            start, end = reading.span(at, at + 1)
            slots.setdefault(grain, Slot(grain, 0.85, start=start, end=end))
    return list(slots.values())


def _grouped(reading: Reading, found: Found[Term]) -> bool:
    words = [token.text for token in reading.mended]
    return words[found.first] in ("by", "per", "across") or (found.first > 0 and words[found.first - 1] in _GROUPING)


def filter_slots(reading: Reading, domain: Domain, weak: Set[str]) -> list[Slot]:
    """Values of closed dimensions, as "dimension=value"; the longest phrase at a place wins."""
    taken: set[int] = set()
    slots: dict[str, Slot] = {}
    for found in sorted(reading.terms, key=lambda f: f.first - f.last):
        term = found.value
        if term.kind != "filter" or term.name not in domain.dimensions or (term.domain and term.domain != domain.name):
            continue
        places = set(range(found.first, found.last))
        if places & taken or (len(places) == 1 and reading.mended[found.first].text in weak):
            continue
        taken |= places
        start, end = reading.span(found.first, found.last)
        value = f"{term.name}={term.value}"
        slots.setdefault(value, Slot(value, 0.8, start=start, end=end))
    return list(slots.values())


def direction_of(reading: Reading) -> bool | None:
    """True for most-first, False for least-first, nothing when not said."""
    if _ASCENDING.search(reading.text.folded):
        return False
    return True if _DESCENDING.search(reading.text.folded) else None


def limit_of(reading: Reading) -> int | None:
    """The number of rows asked for; "the last 12 months" asks for a period and not for rows."""
    match = _LIMIT.search(reading.text.folded)
    if match is None or any(match.start() < each.end_at and each.start_at < match.end() for each in reading.periods):
        return None
    number = number_of(match.group(1) or match.group(2))
    return number if number and number <= 1000 else None


def population_slot(reading: Reading, cardinality: str, named: bool) -> Slot | None:
    """Whom the question is about, when nobody is named."""
    said = list(_populations(reading))
    if cardinality == "org":
        return _said(said, ("company",)) or Slot("company", 0.7)
    if named:
        return None
    if cardinality == "one":
        return _said(said, ("self",)) or Slot("self", 0.7)
    if cardinality != "team":
        return None
    return _said(said, ("reports", "department", "team")) or Slot("team", 0.6)


def _said(said: list[Slot], wanted: tuple[str, ...]) -> Slot | None:
    return next((slot for value in wanted for slot in said if slot.value == value), None)


def _populations(reading: Reading) -> Iterator[Slot]:
    for found in reading.terms:
        if found.value.kind == "population":
            start, end = reading.span(found.first, found.last)
            yield Slot(found.value.name, 0.9, start=start, end=end)
