"""Turns a reading and the routing history into named, weighted features. Which of them a model knows is the model's.

Three blocks, each scaled on its own: words and word pairs; character pieces (for misspellings and endings); signals,
which are what the reader and the history say. All heads share them.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from tiermesh_classifier.history import History
from tiermesh_classifier.reading.reader import Reading

# Written into artefacts: an artefact of other features is refused.
FEATURES_VERSION = "features-2"

# Signal of a text that names no period.
NO_PERIOD = "period:none"

_SIGNS = frozenset("?!%:")
# Cues whose coincidence means more than their sum.
_PAIRED = frozenset(
    [
        "self",
        "reports",
        "team",
        "company",
        "person_word",
        "rank",
        "count",
        "sum",
        "average",
        "compare",
        "trend",
        "why",
        "draft",
        "advice",
        "what_if",
        "write",
        "policy",
        "anaphora",
        "continuing",
        "correcting",
        "shifting",
        "closing",
        "problem",
    ]
)


@dataclass(frozen=True, slots=True)
class Features:
    """Feature names by block; repeated names count."""

    words: Sequence[str]
    pieces: Sequence[str]
    signals: Sequence[str]


def features_of(reading: Reading, history: History, rules: Iterable[str] = ()) -> Features:
    """All features of a turn; `rules` names the pack's rules that fired on it."""
    words = [_shape(token.text) for token in reading.mended]
    signals = [*_signals(reading), *(f"rule:{rule}" for rule in rules)]
    if history.running:
        signals += [f"r|{signal}" for signal in signals]
        signals += _history_signals(reading, history)
    else:
        signals.append("opening")
    return Features([*words, *_pairs(words)], list(_pieces(words)), signals)


def _shape(word: str) -> str:
    """Figures by their number of digits: which claim or day is meant says nothing of the question's shape."""
    return "#" * len(word) if word.isdigit() else word


def _pairs(words: Sequence[str]) -> Iterator[str]:
    framed = ["^", *words, "$"]
    return (f"{left} {right}" for left, right in pairwise(framed))


def _pieces(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        framed = f"<{word[:24]}>"
        size = len(framed)
        if size < 4:
            continue
        for width in (3, 4, 5):
            for at in range(size - width + 1):
                yield framed[at : at + width]


def _signals(reading: Reading) -> Iterator[str]:
    cues = {found.value for found in reading.cues}
    for cue in sorted(cues):
        yield f"cue:{cue}"
    for left, right in combinations(sorted(cues & _PAIRED), 2):
        yield f"cues:{left}+{right}"
    yield from _term_signals(reading)
    yield from _period_signals(reading)
    yield from _shape_signals(reading)


def _term_signals(reading: Reading) -> Iterator[str]:
    domains = {found.value.domain for found in reading.terms if found.value.domain}
    for domain in sorted(domains):
        yield f"domain:{domain}"
    for found in reading.terms:
        yield f"{found.value.kind}:{found.value.domain}.{found.value.name}"
    yield f"domains:{min(len(domains), 2)}"


def _period_signals(reading: Reading) -> Iterator[str]:
    if not reading.periods:
        yield NO_PERIOD
    for period in reading.periods:
        yield f"period:{_PLAIN_KINDS.get(period.kind, period.kind)}"
        yield f"period-size:{period_size(period.kind, period.days)}"
    if len(reading.periods) > 1:
        yield "period:several"


def period_size(kind: str, days: int | None) -> str:
    """The temporal label that a period by itself speaks for."""
    if kind == "always":
        return "unbounded"
    if days is None:
        return "unknown"
    if days <= 1:
        return "day"
    return "window" if days <= 370 else "years"


def _shape_signals(reading: Reading) -> Iterator[str]:
    words = reading.mended
    yield f"length:{min(int(math.log2(len(words) + 1) * 1.5), 12)}"
    for token in words:
        if token.text in _SIGNS:
            yield f"sign:{token.text}"
    if words:
        yield f"first:{_shape(words[0].text)}"
    if any(_superlative(token.text) for token in words):
        yield "superlative"
    names = _name_count(reading)
    yield f"names:{min(names, 2)}"
    if any(token.text.isdigit() for token in words):
        yield "digits"
    sentences = reading.text.folded.count(". ") + reading.text.folded.count("? ") + 1
    yield f"sentences:{min(sentences, 3)}"
    if reading.text.truncated:
        yield "truncated"


def _superlative(word: str) -> bool:
    return len(word) > 5 and word.endswith("est") and word not in _NO_SUPERLATIVE


def _name_count(reading: Reading) -> int:
    """Words written as names in a text that is not shouted: a rough sign; the slots look closer."""
    raw = reading.text.raw
    if raw.isupper():
        return 0
    count = 0
    previous = -2
    for at, token in enumerate(reading.tokens):
        start, end = reading.text.raw_span(token.start, token.end)
        word = raw[start:end]
        if at and word[:1].isupper() and word[1:].islower() and len(word) > 2 and not _calendar_word(token.text):
            count += at != previous + 1
            previous = at
    return count


def _calendar_word(word: str) -> bool:
    return word in _CALENDAR_NAMES


_CALENDAR_NAMES = frozenset(
    [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "christmas",
        "easter",
        "diwali",
        "i",
    ]
)


def _history_signals(reading: Reading, history: History) -> Iterator[str]:
    yield "running"
    yield f"turns:{min(history.total_turns or len(history.turns), 4)}"
    topic, last = history.topic, history.last
    if topic is None or last is None:
        yield "history:unknown"
        return
    domains = {found.value.domain for found in reading.terms if found.value.kind in ("domain", "measure", "filter")}
    family = topic.intent.partition(".")[0]
    fit = "same" if family in domains else "other" if domains else "none"
    size = "short" if len(reading.mended) <= 5 else "long"
    for name, value in (
        ("intent", topic.intent),
        ("cardinality", topic.cardinality),
        ("temporal", topic.temporal),
        ("aggregation", topic.aggregation),
        ("route", topic.route),
    ):
        yield f"topic-{name}:{value}"
        yield f"topic-{name}:{value}|{fit}|{size}"
    yield f"topic-fit:{fit}|{size}"
    yield f"topic-family:{family}|{fit}"
    for flag in ("ambiguous", "multi_step", "high_stakes"):
        if getattr(last, flag):
            yield f"last-{flag}"
            yield f"last-{flag}|{size}"
    if any(turn.high_stakes or turn.multi_step for turn in history.turns):
        yield "hard-before"
    for found in sorted({found.value for found in reading.cues if found.value in _TOPIC_CUES}):
        yield f"{found}|topic-{topic.intent}"
        yield f"{found}|topic-agg-{topic.aggregation}"
        yield f"{found}|topic-card-{topic.cardinality}"
        yield f"{found}|topic-temp-{topic.temporal}"


_PLAIN_KINDS = {"weekday": "day", "month": "named"}
_NO_SUPERLATIVE = frozenset(
    [
        "request",
        "interest",
        "honest",
        "protest",
        "contest",
        "suggest",
        "invest",
        "forest",
        "harvest",
        "digest",
        "manifest",
        "modest",
        "latest",
        "arrest",
    ]
)
_TOPIC_CUES = frozenset(
    [
        "what_if",
        "why",
        "draft",
        "advice",
        "policy",
        "write",
        "self",
        "reports",
        "team",
        "company",
        "correcting",
        "closing",
    ]
)
