"""Which days are worked in which country, as tables that whole columns are looked up in."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from .columns import NO_DAY, Bools, Chunk, Ints, dates, split, texts, year_start
from .holidays import COUNTRIES, holidays
from .options import Options


@dataclass(frozen=True)
class Workdays:
    """Working days from the start of the period to the end of the year after `as_of`. Countries are codes 0 … 5."""

    first: int
    holiday: Bools
    """[country, day]"""
    working: Bools
    """[country, day]: Monday to Friday and no holiday."""
    before: Ints
    """[country, day]: working days earlier than that day; one column more than days."""
    listed: Ints
    """[country, n]: the n-th working day; padded with NO_DAY."""

    def count(self, country: Ints, start: Ints, end: Ints) -> Ints:
        """Working days from start to end, both included."""
        return self.before[country, end - self.first + 1] - self.before[country, start - self.first]

    def later(self, country: Ints, start: Ints, steps: Ints) -> Ints:
        """The first working day on or after start, and then `steps` further ones; NO_DAY past the table."""
        position = self.before[country, start - self.first] + steps
        days: Ints = self.listed[country, np.minimum(position, self.listed.shape[1] - 1)]
        return days


def make_workdays(options: Options) -> Workdays:
    """The tables of the period; the year after `as_of` is in it for leave that is planned ahead."""
    bounds = year_start(np.array([options.start_year, options.as_of.year + 2]))
    days = np.arange(bounds[0], bounds[1])
    holiday = np.zeros((len(COUNTRIES), len(days)), dtype=np.bool_)
    for code, day, _ in _holidays(options):
        holiday[code, day - days[0]] = True
    working = ~holiday & (weekday(days) < 5)
    before = np.zeros((len(COUNTRIES), len(days) + 1), dtype=np.int64)
    np.cumsum(working, axis=1, out=before[:, 1:])
    listed = np.full((len(COUNTRIES), int(before[:, -1].max()) + 1), NO_DAY, dtype=np.int64)
    for code in range(len(COUNTRIES)):
        own = days[working[code]]
        listed[code, : len(own)] = own
    return Workdays(int(days[0]), holiday, working, before, listed)


def weekday(days: Ints) -> Ints:
    """Monday 0 … Sunday 6 (1 January 1970 was a Thursday)."""
    return (days + 3) % 7


def holiday_table(options: Options) -> Iterator[Chunk]:
    """The table `holidays`, one row a country and day."""
    rows = list(_holidays(options))
    codes, days, names = zip(*rows, strict=True)
    yield from split(
        "holidays",
        {"country": texts(COUNTRIES, np.array(codes)), "day": dates(np.array(days)), "name": texts(names)},
    )


def _holidays(options: Options) -> Iterator[tuple[int, int, str]]:
    epoch = date(1970, 1, 1)
    for code, country in enumerate(COUNTRIES):
        for year in range(options.start_year, options.as_of.year + 2):
            for day, name in holidays(country, year).items():
                # A holiday observed on the last day of the year before belongs to that year's rows.
                if day.year >= options.start_year:
                    yield code, (day - epoch).days, name
