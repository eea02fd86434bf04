"""When people would like to be away, by kind of leave and season. Whether it comes to that is decided in `leave`."""

from dataclasses import dataclass

import numpy as np

from .columns import Bools, Ints, year_start
from .draws import stream, weighted
from .options import Options
from .people import People
from .tree import CORE

LEAVE_TYPES = ("annual", "sick", "parental", "unpaid", "study", "compassionate")
ANNUAL, SICK, PARENTAL, UNPAID, STUDY, COMPASSIONATE = range(6)


@dataclass(frozen=True)
class Wishes:
    """One entry a wish."""

    person: Ints
    leave_type: Ints
    start: Ints
    """Any day; moved to a working day later."""
    length: Ints
    """Working days."""
    half: Bools
    """Half a day only; length is 1."""
    lead: Ints
    """Days between the request and the start."""
    upcoming: Bools
    """Asked for in the last few days and not decided yet."""


@dataclass(frozen=True)
class _PersonYears:
    """Everybody times every year of the period and the one after."""

    person: Ints
    first_day: Ints

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class _Season:
    """A habit: with `chance`, once a year around `day` of the year (or any day), `short` to `long` working days."""

    name: str
    chance: float
    day: float
    spread: float
    short: int
    long: int
    lead: float


_SEASONS = (
    _Season("summer", 0.90, 205, 24, 7, 16, 80),
    _Season("christmas", 0.80, 354, 3.5, 3, 7, 60),
    _Season("spring", 0.60, 105, 25, 2, 6, 40),
    _Season("autumn", 0.50, 288, 16, 2, 5, 35),
)
_ODD_DAYS_A_YEAR = 5
_ALWAYS_WAITING = [15, 16, 23]
"""E00016 and E00017 report to the core manager, E00024 one level below: there is always something to decide."""


def make_wishes(options: Options, people: People) -> Wishes:
    """All wishes, in no order; many will not come true."""
    years = np.arange(options.start_year, options.as_of.year + 2)
    grid = _PersonYears(np.repeat(np.arange(len(people)), len(years)), np.tile(year_start(years), len(people)))
    parts = [_season(options, grid, season) for season in _SEASONS]
    parts += [_odd_days(options, grid, number) for number in range(_ODD_DAYS_A_YEAR)]
    parts += [_sickness(options, grid, len(people))]
    parts += [
        _rare(options, grid, PARENTAL, chance=0.025, length=(20, 110), lead=90),
        _rare(options, grid, UNPAID, chance=0.025, length=(1, 15), lead=30),
        _rare(options, grid, STUDY, chance=0.06, length=(1, 5), lead=30),
        _rare(options, grid, COMPASSIONATE, chance=0.05, length=(1, 3), lead=0),
        _upcoming(options, people),
    ]
    return Wishes(*(np.concatenate([getattr(part, field) for part in parts]) for field in Wishes.__dataclass_fields__))


def _wishes(
    *, person: Ints, leave_type: int, start: Ints, length: Ints, lead: Ints, half: Bools | None = None
) -> Wishes:
    none = np.zeros(len(person), dtype=np.bool_)
    return Wishes(person, np.full(len(person), leave_type), start, length, none if half is None else half, lead, none)


def _season(options: Options, grid: _PersonYears, season: _Season) -> Wishes:
    draws = stream(options.seed, "leave", season.name)
    wanted = np.flatnonzero(draws.random(len(grid)) < season.chance)
    day = np.clip(draws.normal(season.day, season.spread, len(wanted)), 0, 363)
    length = draws.integers(season.short, season.long + 1, len(wanted))
    lead = 7 + draws.exponential(season.lead, len(wanted)).astype(np.int64)
    start = grid.first_day[wanted] + day.astype(np.int64)
    return _wishes(person=grid.person[wanted], leave_type=ANNUAL, start=start, length=length, lead=lead)


def _odd_days(options: Options, grid: _PersonYears, number: int) -> Wishes:
    """One to three days at any time of the year; some are only an afternoon."""
    draws = stream(options.seed, "leave", "odd days", number)
    wanted = np.flatnonzero(draws.random(len(grid)) < 0.55)
    start = grid.first_day[wanted] + draws.integers(0, 364, len(wanted))
    length = 1 + weighted(draws, (0.6, 0.25, 0.15), len(wanted))
    half = (length == 1) & (draws.random(len(wanted)) < 0.2)
    lead = 2 + draws.exponential(14, len(wanted)).astype(np.int64)
    return _wishes(person=grid.person[wanted], leave_type=ANNUAL, start=start, length=length, lead=lead, half=half)


def _sickness(options: Options, grid: _PersonYears, people: int) -> Wishes:
    """More in winter, and very uneven: many are hardly ever ill, a few often."""
    draws = stream(options.seed, "leave", "sick")
    often = draws.gamma(0.7, 2.4 / 0.7, people)
    person = np.repeat(np.arange(len(grid)), draws.poisson(often[grid.person]))
    winter = 1 + 0.6 * np.cos(2 * np.pi * (np.arange(365) - 20) / 365)
    start = grid.first_day[person] + np.searchsorted(
        np.cumsum(winter) / winter.sum(), draws.random(len(person)), side="right"
    )
    spells = np.array([1, 2, 3, 4, 5, 8, 10, 15, 30])
    length = spells[weighted(draws, (0.33, 0.25, 0.18, 0.08, 0.07, 0.03, 0.03, 0.02, 0.01), len(person))]
    return _wishes(person=grid.person[person], leave_type=SICK, start=start, length=length, lead=np.zeros_like(start))


def _rare(
    options: Options, grid: _PersonYears, leave_type: int, *, chance: float, length: tuple[int, int], lead: int
) -> Wishes:
    draws = stream(options.seed, "leave", LEAVE_TYPES[leave_type])
    wanted = np.flatnonzero(draws.random(len(grid)) < chance)
    start = grid.first_day[wanted] + draws.integers(0, 364, len(wanted))
    days = draws.integers(length[0], length[1] + 1, len(wanted))
    ahead = (lead * (0.5 + draws.random(len(wanted)))).astype(np.int64)
    return _wishes(person=grid.person[wanted], leave_type=leave_type, start=start, length=days, lead=ahead)


def _upcoming(options: Options, people: People) -> Wishes:
    """Fresh requests that wait for a decision on `as_of`: some everywhere, and most of the core people."""
    draws = stream(options.seed, "leave", "upcoming")
    chance = draws.random(len(people))
    asks = (chance < 0.1) | ((np.arange(len(people)) < CORE) & (chance < 0.7))
    asks[_ALWAYS_WAITING] = True
    person = np.flatnonzero(asks & people.active)
    count = len(person)
    ago = draws.integers(0, 6, count)
    start = options.today + draws.integers(6, 60, count)
    return Wishes(
        person=person,
        leave_type=np.full(count, ANNUAL),
        start=start,
        length=draws.integers(1, 8, count),
        half=np.zeros(count, dtype=np.bool_),
        lead=start - options.today + ago,
        upcoming=np.ones(count, dtype=np.bool_),
    )
