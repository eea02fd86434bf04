"""Reads a question once, for features and slots alike: tokens with spelling mended, cues, domain words, periods."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter

from tiermesh_classifier.lexicon import Lexicon
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.reading.periods import Period, find_periods
from tiermesh_classifier.reading.phrases import Found, PhraseIndex
from tiermesh_classifier.reading.spelling import Speller
from tiermesh_classifier.reading.text import Text, Token, read_text


@dataclass(frozen=True, slots=True)
class Term:
    """A name of the pack's semantic model that words stand for."""

    # "domain", "measure", "dimension", "filter" or "population".
    kind: str
    domain: str
    name: str
    # Value of a filter; empty otherwise.
    value: str = ""


@dataclass(frozen=True)
class Reading:
    """Everything that the words themselves say."""

    text: Text
    # As typed, and with spelling mended; the same length.
    tokens: tuple[Token, ...]
    mended: tuple[Token, ...]
    cues: tuple[Found[str], ...]
    terms: tuple[Found[Term], ...]
    periods: tuple[Period, ...]
    today: date

    def has(self, cue: str) -> bool:
        """Whether a cue is among the words."""
        return any(found.value == cue for found in self.cues)

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Code points of a range of tokens in the raw text."""
        return self.text.raw_span(self.tokens[first].start, self.tokens[last - 1].end)

    def token_range(self, start: int, end: int) -> range:
        """Tokens that lie in a range of the folded text."""
        first = bisect_left(self.tokens, start, key=attrgetter("start"))
        last = bisect_right(self.tokens, end, key=attrgetter("end"))
        return range(first, last) if first < last else range(0)


class Reader:
    """Holds the indexes; made once, read by many threads."""

    def __init__(
        self, lexicon: Lexicon, terms: Iterable[tuple[Sequence[str], Term]], known: Iterable[str] = ()
    ) -> None:
        self._spellings = lexicon.spellings
        self._cues = PhraseIndex((phrase, cue) for cue, phrases in lexicon.cues.items() for phrase in phrases)
        self._terms = PhraseIndex(terms)
        self._speller = Speller(self._cues.words() | self._terms.words() | _CALENDAR_WORDS, known)

    def read(self, raw: str, calendar: Calendar) -> Reading:
        """Reads a question; never fails."""
        text = read_text(raw)
        tokens = text.tokens
        mended = tuple(self._mend(token) for token in tokens)
        return Reading(
            text=text,
            tokens=tokens,
            mended=mended,
            cues=tuple(self._cues.find(mended)),
            terms=tuple(self._terms.find(mended)),
            periods=_periods(text, tokens, mended, calendar),
            today=calendar.today,
        )

    def _mend(self, token: Token) -> Token:
        meant = self._spellings.get(token.text)
        if meant is None:
            meant = self._speller.correct(token.text)
        return token if meant == token.text else Token(meant, token.start, token.end)


_CALENDAR_WORDS = frozenset(
    [
        "yesterday",
        "today",
        "tomorrow",
        "month",
        "months",
        "quarter",
        "quarters",
        "years",
        "weeks",
        "january",
        "february",
        "march",
        "april",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "previous",
        "since",
    ]
)


def _periods(text: Text, tokens: Sequence[Token], mended: Sequence[Token], calendar: Calendar) -> tuple[Period, ...]:
    """Periods of the mended text, with their places in the folded one."""
    if all(before is after for before, after in zip(tokens, mended, strict=True)):
        return find_periods(text.folded, calendar)
    parts: list[str] = []
    places: list[int] = []
    at = 0
    for token in mended:
        parts.append(text.folded[at : token.start])
        places.extend(range(at, token.start))
        parts.append(token.text)
        places.extend([token.start] * (len(token.text) - 1) + [token.end - 1])
        at = token.end
    parts.append(text.folded[at:])
    places.extend(range(at, len(text.folded)))
    return tuple(
        Period(
            found.start, found.end, places[found.start_at], places[found.end_at - 1] + 1, found.kind, found.unresolved
        )
        for found in find_periods("".join(parts), calendar)
    )
