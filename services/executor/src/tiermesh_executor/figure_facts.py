"""What figures may be spoken of: the cells, what is declared to follow from them, and what the asker said.

The declared derivations are the sum of a column or of named rows, the difference, the
ratio and the relative change of two rows, the share of a row in its column, and counts
of rows. A model never adds up: whatever it says beyond these is not released.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import accumulate, combinations

from tiermesh_executor.figure_reading import MONTH_NAMES, FigureKind, normalized, read_figures
from tiermesh_executor.tables import Column, Table, number_of

_ISO_DAY = re.compile(r"\b(\d{4})-(\d{2})(?:-(\d{2}))?")
# Differences of everything with everything would make almost every small number true.
_COMPARED_ROWS = 4
_PREFIX_SUMS = 10
# Shorter text cells are codes and numbers; quoting one would release any figure that looks like it.
_SHORTEST_QUOTE = 6
# Of these a sum means nothing.
_RELATIVE_UNITS = frozenset({"share", "ratio", "fraction", "percent", "%"})
_PLAIN_NUMBER = re.compile(r"(?<![\w.,])[0-9]+(?:\.[0-9]+)?(?![\w.,])")
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Fact:
    """A number that may be said. `row` is None for what belongs to the whole table."""

    value: Decimal
    unit: str = ""
    currency: str = ""
    row: tuple[int, int] | None = None


class Facts:
    """Everything that the answer's figures are held against."""

    def __init__(self, tables: Sequence[Table], texts: Iterable[str], *, today: date, locale: str = "en") -> None:
        """`texts` are the question and whatever else may be quoted: earlier turns, passages, notes."""
        self.tables = tables
        self.locale = locale
        self.days: set[date] = {today}
        self.eves: set[date] = set()
        self.months: set[tuple[int, int]] = set()
        self.years: set[int] = set()
        self.quoted: set[Decimal] = set()
        self.quoted_percent: set[Decimal] = set()
        self._cell_words: list[str] = []
        self._quoted_words: list[str] = []
        self.currencies: set[str] = set()
        # Whole names in lower case; single words of names and months as written.
        self._names: dict[str, set[tuple[int, int]]] = {}
        self._name_words: dict[str, set[tuple[int, int]]] = {}
        self._quote([*texts, *(text for table in tables for text in (table.caption, *table.notes))])
        for number, table in enumerate(tables):
            self._learn(number, table)
        self.words = " ".join([*self._quoted_words, *self._cell_words])
        self.years |= {day.year for day in self.days} | {year for year, _ in self.months}
        self.months |= {(day.year, day.month) for day in self.days}

    def named_rows(self, clause: str) -> set[tuple[int, int]]:
        """The rows that a piece of a sentence speaks of by name."""
        folded = clause.casefold()
        found = [rows for name, rows in self._names.items() if name in folded and _mentions(clause, name)]
        found += [self._name_words[word] for word in set(_WORD.findall(clause)) if word in self._name_words]
        return set().union(*found)

    def quotes_in(self, sentence: str) -> Iterable[tuple[int, int]]:
        """Where a sentence repeats a text cell to the letter: a title or a phone number is not a claim of figures."""
        folded = sentence.casefold()
        if len(folded) != len(sentence):  # places would not be the same
            return
        for cell in {normalized(cell) for cell in self._cell_words if len(cell) >= _SHORTEST_QUOTE}:
            for found in re.finditer(rf"(?<!\w){re.escape(cell)}(?!\w)", folded):
                yield found.span()

    @cached_property
    def cells(self) -> Sequence[Fact]:
        """Every numeric cell."""
        return [
            Fact(value, unit_of(column), column.currency, (number, row))
            for number, row, column, value in self._numeric()
        ]

    @cached_property
    def shares(self) -> Sequence[Fact]:
        """In percent: cells that are shares, and each cell's share of its column."""
        return list(self._shares())

    def _shares(self) -> Iterable[Fact]:
        for number, row, column, value in self._numeric():
            if column.unit in ("share", "ratio", "fraction"):
                yield Fact(value * 100, row=(number, row))
            elif column.unit in _RELATIVE_UNITS or re.search(r"percent|pct", column.name):
                yield Fact(value, row=(number, row))
        for number, column, values in self._columns:
            total = sum((value for _, value in values), Decimal(0))
            if total > 0 and not self.tables[number].truncated and unit_of(column) not in _RELATIVE_UNITS:
                for row, value in values:
                    yield Fact(value / total * 100, row=(number, row))

    def sums(self, rows: set[tuple[int, int]]) -> Iterable[Fact]:
        """Of whole columns, of their first rows, and of the rows in `rows`."""
        for number, column, values in self._columns:
            unit, currency = unit_of(column), column.currency
            if unit in _RELATIVE_UNITS:
                continue
            if not self.tables[number].truncated:
                yield Fact(sum((value for _, value in values), Decimal(0)), unit, currency)
                for running in accumulate(value for _, value in values[:_PREFIX_SUMS]):
                    yield Fact(running, unit, currency)
            chosen = [value for row, value in values if (number, row) in rows]
            if len(chosen) > 1:
                yield Fact(sum(chosen, Decimal(0)), unit, currency)

    def differences(self, rows: set[tuple[int, int]]) -> Iterable[Fact]:
        """Of two rows of a column: named ones, else neighbours of the top and the ends; and of two cells of a row."""
        for column, first, second in self._pairs(rows):
            yield Fact(abs(first - second), unit_of(column), column.currency)

    def ratios(self, rows: set[tuple[int, int]]) -> Iterable[Decimal]:
        """Of the same pairs, either way round."""
        for _, first, second in self._pairs(rows):
            if first and second:
                yield first / second
                yield second / first

    def counts(self, sentence: str) -> Iterable[Fact]:
        """Of rows, of different values in a column, and of rows that share a value which the sentence names."""
        folded = sentence.casefold()
        for table in self.tables:
            if table.truncated:
                continue
            yield Fact(Decimal(len(table.rows)))
            for place, column in enumerate(table.columns):
                if column.measure:
                    continue
                values = [row[place] for row in table.rows if row[place] is not None]
                yield Fact(Decimal(len(set(values))))
                for value, count in Counter(values).items():
                    if isinstance(value, str) and value.casefold() in folded and _mentions(sentence, value):
                        yield Fact(Decimal(count))

    @property
    def most_rows(self) -> int:
        """Of the longest table."""
        return max((len(table.rows) for table in self.tables), default=0)

    def _numeric(self) -> Iterable[tuple[int, int, Column, Decimal]]:
        for number, table in enumerate(self.tables):
            for row, cells in enumerate(table.rows):
                for column, cell in zip(table.columns, cells, strict=False):
                    if (value := number_of(cell, column)) is not None:
                        yield number, row, column, value

    @cached_property
    def _columns(self) -> Sequence[tuple[int, Column, list[tuple[int, Decimal]]]]:
        found = []
        for number, table in enumerate(self.tables):
            for place, column in enumerate(table.columns):
                values = [
                    (row, value)
                    for row, cells in enumerate(table.rows)
                    if (value := number_of(cells[place], column)) is not None
                ]
                if len(values) > 1:
                    found.append((number, column, values))
        return found

    def _pairs(self, rows: set[tuple[int, int]]) -> Iterable[tuple[Column, Decimal, Decimal]]:
        for number, column, values in self._columns:
            chosen = [value for row, value in values if (number, row) in rows]
            if len(chosen) < 2:
                ends = dict([*values[:_COMPARED_ROWS], values[-1]])
                chosen = list(ends.values())
            for first, second in combinations(chosen[:50], 2):
                yield column, first, second
        for table in self.tables:
            for cells in table.rows[:50]:
                numbers = [
                    (column, value)
                    for column, cell in zip(table.columns, cells, strict=False)
                    if column.measure and (value := number_of(cell, column)) is not None
                ]
                for (column, first), (other, second) in combinations(numbers[:6], 2):
                    if unit_of(column) == unit_of(other) and column.currency == other.currency:
                        yield column, first, second

    def _learn(self, number: int, table: Table) -> None:
        self.currencies |= {column.currency for column in table.columns if column.currency}
        for row, cells in enumerate(table.rows):
            for column, cell in zip(table.columns, cells, strict=False):
                if isinstance(cell, str) and cell:
                    self._learn_text(number, row, column, cell)

    def _learn_text(self, number: int, row: int, column: Column, cell: str) -> None:
        place = (number, row)
        dates = _ISO_DAY.match(cell) if column.type in ("date", "timestamp", "string") else None
        if dates is not None:
            self._learn_date(dates)
            if 1 <= int(dates[2]) <= 12:
                self._name_words.setdefault(MONTH_NAMES[int(dates[2]) - 1], set()).add(place)
        if column.type != "string":
            return
        self._cell_words.append(cell.casefold())
        if re.fullmatch(r"[A-Z]{3}", cell):
            self.currencies.add(cell)
        self.quoted |= {Decimal(digits) for digits in _PLAIN_NUMBER.findall(cell)}
        if not column.measure and len(cell) >= 2:
            self._names.setdefault(cell.casefold(), set()).add(place)
            # People are often called by one of their names.
            for word in _WORD.findall(cell):
                if len(word) > 2 and word[0].isupper():
                    self._name_words.setdefault(word, set()).add(place)

    def _learn_date(self, match: re.Match[str]) -> None:
        try:
            if match[3]:
                day = date(int(match[1]), int(match[2]), int(match[3]))
                self.days.add(day)
                # Periods are half-open: their last day is the day before their end.
                self.eves.add(day - timedelta(days=1) if day > date.min else day)
            elif 1 <= int(match[2]) <= 12:
                self.months.add((int(match[1]), int(match[2])))
        except ValueError:
            return

    def _quote(self, texts: Iterable[str]) -> None:
        for raw in texts:
            text = normalized(raw)
            self._quoted_words.append(text.casefold())
            self.currencies |= set(re.findall(r"\b[A-Z]{3}\b", text))
            for match in _ISO_DAY.finditer(text):
                self._learn_date(match)
            for figure in read_figures(text, self.locale):
                self._quote_figure(figure.kind, figure.values, figure.currency)
                for day in figure.days:
                    self.years |= {day.year} if day.year else set()
                    if day.year and day.day:
                        self.days.add(date(day.year, day.month, day.day))
                    elif day.year:
                        self.months.add((day.year, day.month))

    def _quote_figure(self, kind: FigureKind, values: tuple[Decimal, ...], currency: str) -> None:
        if currency:
            self.currencies.add(currency)
        (self.quoted_percent if kind is FigureKind.PERCENT else self.quoted).update(values)
        self.years |= {int(value) for value in values if 1900 <= value <= 2100 and value == int(value)}


def unit_of(column: Column) -> str:
    """The unit in the singular, so that "days" and "day" are one."""
    unit = column.unit.lower().rstrip("s")
    return {"hr": "hour", "h": "hour", "d": "day", "min": "minute"}.get(unit, unit)


def _mentions(sentence: str, value: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", sentence, re.IGNORECASE) is not None
