"""Verified figures: whether every figure of a sentence may be said.

A figure is released when it matches a cell (in any format or rounding, of the row that
its clause names), the question, or a declared derivation whose words go with it.
Everything else is held. Reading figures is in `figure_reading`, what is true in
`figure_facts`, what happens to a sentence that is held in `prose`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cached_property

from tiermesh_executor.figure_facts import Fact, Facts
from tiermesh_executor.figure_reading import Day, Figure, FigureKind, Hedge, normalized, read_figures

_CLAUSES = re.compile(
    r"[,;:()—](?=\s|$)|\s[–-]\s|\b(?:and|while|whereas|but|versus|vs\.?|followed by|then|compared (?:with|to))\b"
)
_SUM_WORDS = re.compile(
    r"\b(?:total(?:s|ed|ling)?|sum|altogether|combined|together|overall|in all|across|collectively)\b", re.I
)
_DIFFERENCE_WORDS = re.compile(
    r"\b(?:more|less|fewer|than|difference|gap|ahead|behind|increas\w*|decreas\w*|rose|risen|fell|fallen|drop\w*|grew|"
    r"change\w*|between|up|down|higher|lower|by|from|lead|leads|margin|gain\w*|declin\w*)\b",
    re.I,
)
_NEGATIVE_WORDS = re.compile(
    r"\b(?:fell|fall\w*|down|decreas\w*|less|fewer|below|under|negative|overdrawn|drop\w*|lower|behind|short\w*|"
    r"reduc\w*|declin\w*|lost|loss|owe\w*|overtaken)\b",
    re.I,
)
_RANK_WORDS = re.compile(r"\b(?:top|first|last|bottom|next|other|leading|highest|lowest)\s*$", re.I)
_PART_OF_ONE = re.compile(r"\b(?:and a (?:half|quarter|third)|half an?)\b", re.I)
_TIME_UNITS = frozenset({"day", "hour", "minute", "week", "month", "year"})
_QUARTER = re.compile(r"(?P<half>[QH])(?P<number>[1-4])", re.I)
_IDENTIFIER_DIGITS = 3
_RATIO_TOLERANCE = Decimal("0.05")


def has_figures(text: str) -> bool:
    """Whether there is anything to verify."""
    return bool(read_figures(normalized(text)))


class FigureGuard:
    """Verifies sentences against the facts of one answer."""

    def __init__(self, facts: Callable[[], Facts], *, locale: str = "en") -> None:
        """`facts` are gathered only when the first figure comes; `locale` is the asker's."""
        self._gather = facts
        self._locale = locale

    @cached_property
    def _facts(self) -> Facts:
        return self._gather()

    def unverified(self, sentence: str) -> list[str]:
        """The figures of `sentence` that may not be said; empty releases it."""
        text = normalized(sentence)
        doubtful = [figure for figure in read_figures(text, self._locale) if not self._holds(figure, text)]
        if not doubtful:
            return []
        quotes = list(self._facts.quotes_in(text))
        return [
            figure.text
            for figure in doubtful
            if not any(start <= figure.start and figure.end <= end for start, end in quotes)
        ]

    def _holds(self, figure: Figure, text: str) -> bool:
        tests: Mapping[FigureKind, Callable[[Figure, str], bool]] = {
            FigureKind.NUMBER: self._is_number,
            FigureKind.PERCENT: self._is_percent,
            FigureKind.FRACTION: self._is_fraction,
            FigureKind.RATIO: self._is_ratio,
            FigureKind.ORDINAL: lambda ordinal, _: ordinal.values[0] <= max(3, self._facts.most_rows),
            FigureKind.DATE: lambda found, _: any(self._is_known_day(day) for day in found.days),
            FigureKind.TIME: lambda time, _: self._is_known_time(time.text),
            FigureKind.NAME: lambda name, _: self._is_known_name(name.text),
        }
        return tests[figure.kind](figure, text)

    def _is_number(self, figure: Figure, text: str) -> bool:
        facts = self._facts
        if figure.currency and facts.currencies and figure.currency not in facts.currencies:
            return False
        if self._is_year(figure) or (not figure.negative and any(value in facts.quoted for value in figure.values)):
            return True
        return (_RANK_WORDS.search(text[: figure.start]) is not None and figure.values[0] <= facts.most_rows) or (
            self._is_computed(figure, text)
        )

    def _is_computed(self, figure: Figure, text: str) -> bool:
        facts = self._facts
        named, whole = facts.named_rows(_clause(figure, text)), facts.named_rows(text)
        negated = bool(_NEGATIVE_WORDS.search(text))
        if any(_matches(figure, fact, negated) for fact in facts.cells if not named or fact.row in named):
            return True
        if _SUM_WORDS.search(text) and self._any(figure, facts.sums(named or whole), negated):
            return True
        if _DIFFERENCE_WORDS.search(text) and self._any(figure, facts.differences(whole), negated):
            return True
        countable = not figure.currency and figure.unit not in _TIME_UNITS
        return countable and self._any(figure, facts.counts(text), negated=False)

    def _is_percent(self, figure: Figure, text: str) -> bool:
        facts = self._facts
        if any(value in facts.quoted_percent for value in figure.values):
            return True
        named, negated = facts.named_rows(_clause(figure, text)), bool(_NEGATIVE_WORDS.search(text))
        if any(_matches(figure, fact, negated) for fact in facts.shares if not named or fact.row in named):
            return True
        if not _DIFFERENCE_WORDS.search(text):
            return False
        changes = (Fact(abs(ratio - 1) * 100) for ratio in facts.ratios(facts.named_rows(text)))
        return self._any(figure, changes, negated)

    def _is_fraction(self, figure: Figure, text: str) -> bool:
        facts = self._facts
        named, whole = facts.named_rows(_clause(figure, text)), facts.named_rows(text)
        values = [fact.value / 100 for fact in facts.shares if not named or fact.row in named]
        if len(whole) > 1:
            values += facts.ratios(whole)
        if _PART_OF_ONE.search(text):
            values += [fact.value % 1 for fact in facts.cells if not named or fact.row in named]
        return any(abs(value - figure.values[0]) <= _RATIO_TOLERANCE / 2 for value in values)

    def _is_ratio(self, figure: Figure, text: str) -> bool:
        wanted = figure.values[0]
        ratios = self._facts.ratios(self._facts.named_rows(text))
        return wanted in self._facts.quoted or any(abs(ratio - wanted) <= wanted * _RATIO_TOLERANCE for ratio in ratios)

    @staticmethod
    def _any(figure: Figure, facts: Iterable[Fact], negated: bool) -> bool:
        return any(_matches(figure, fact, negated) for fact in facts)

    def _is_year(self, figure: Figure) -> bool:
        bare = re.fullmatch(r"\d{4}", figure.text) is not None and not figure.negative
        return bare and int(figure.values[0]) in self._facts.years

    def _is_known_day(self, day: Day) -> bool:
        facts = self._facts
        if day.day is None:
            return (day.year, day.month) in facts.months
        return any(
            known.day == day.day and known.month == day.month and day.year in (None, known.year)
            for known in facts.days | facts.eves
        )

    def _is_known_time(self, time: str) -> bool:
        if time in self._facts.words:
            return True
        return any(time in str(cell) for table in self._facts.tables for row in table.rows for cell in row)

    def _is_known_name(self, name: str) -> bool:
        if re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", self._facts.words):
            return True
        if period := _QUARTER.fullmatch(name):
            length = 3 if period["half"].upper() == "Q" else 6
            number = int(period["number"])
            return any((month - 1) // length + 1 == number for _, month in self._facts.months)
        # "B2B" and "401k" are words; "E00007" is somebody.
        return len(re.findall(r"\d", name)) < _IDENTIFIER_DIGITS


def _clause(figure: Figure, text: str) -> str:
    """The part of the sentence that the figure stands in; all of it when the order is spread over it."""
    if re.search(r"\brespectively\b|\beach\b", text, re.I):
        return text
    start, end = 0, len(text)
    for cut in _CLAUSES.finditer(text):
        if cut.end() <= figure.start:
            start = cut.end()
        elif cut.start() >= figure.end:
            end = cut.start()
            break
    return text[start:end]


def _matches(figure: Figure, fact: Fact, negated: bool) -> bool:
    if figure.unit in _TIME_UNITS and fact.unit and fact.unit != figure.unit:
        return False
    if figure.currency and (fact.currency not in ("", figure.currency) or fact.unit in _TIME_UNITS):
        return False
    actual = fact.value
    if figure.negative:
        # A cell has the sign that it has; a change may be told with either.
        if actual > 0 and (fact.row is not None or not negated):
            return False
        actual = abs(actual)
    elif actual < 0:
        if not negated:
            return False
        actual = -actual
    return any(_close(value, actual, figure) for value in figure.values)


def _close(said: Decimal, actual: Decimal, figure: Figure) -> bool:
    if figure.hedge is Hedge.EXACT and abs(said - actual) > figure.step:
        return False
    if said in _roundings(actual, figure.step):
        return True
    difference = actual - said
    match figure.hedge:
        case Hedge.EXACT:
            return False
        case Hedge.OVER:
            return 0 <= difference < _coarse_step(said, figure.step, said / 2)
        case Hedge.UNDER:
            return 0 <= -difference < _coarse_step(said, figure.step, said / 2)
        case Hedge.ABOUT:
            return abs(difference) <= _coarse_step(said, figure.step, said / 10) / 2


def _roundings(actual: Decimal, step: Decimal) -> set[Decimal]:
    try:
        return {(actual / step).quantize(Decimal(1), mode) * step for mode in (ROUND_HALF_UP, ROUND_HALF_EVEN)}
    except InvalidOperation:
        return set()


def _coarse_step(said: Decimal, step: Decimal, most: Decimal) -> Decimal:
    """How round the number is: 100 for 1,200, but never more than `most`."""
    coarse = step
    while said and said % (coarse * 10) == 0 and coarse * 10 <= most:
        coarse *= 10
    return coarse
