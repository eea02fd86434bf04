"""Exchange rates to the euro, month by month. Says nothing about who is paid in what."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .columns import Chunk, Columns, Floats, Ints, dates, month_of, month_start, split, texts
from .draws import stream
from .options import Options
from .places import CURRENCIES

USUAL_RATES = np.array([1.0, 1.17, 0.0112, 0.92, 1.05, 0.0062])
"""What the rates wander about, in the order of CURRENCIES."""
EARLIER_MONTHS = 20 * 12
"""Before the period: salaries that are in force began that long ago."""
_PULL, _SPREAD = 0.92, 0.012


@dataclass(frozen=True)
class Rates:
    """Rates from twenty years before the period to the month of `as_of`."""

    first_month: int
    table: Floats
    """[currency, month]"""

    def to_eur(self, amount: Floats, currency: Ints, day: Ints) -> Floats:
        """Amounts in euros by the rate of the month, rounded to cents; earlier months use the first rate known."""
        month = np.clip(month_of(day) - self.first_month, 0, self.table.shape[1] - 1)
        euros: Floats = np.round(amount * self.table[currency, month], 2)
        return euros


def make_rates(options: Options) -> Rates:
    """Rates that wander slowly and pull back to the usual ones."""
    first, last = month_of(np.array([options.start, options.today]))
    first -= 1
    later = _walk(stream(options.seed, "rates"), np.zeros(len(CURRENCIES)), int(last - first) + 1)
    # Walked backwards from the first month, by draws of their own: a longer past changes nothing that came after.
    earlier = _walk(stream(options.seed, "earlier rates"), later[0], EARLIER_MONTHS)
    table = np.round(USUAL_RATES[:, None] * np.exp(np.concatenate([earlier[::-1], later]).T), 6)
    table[0] = 1.0
    return Rates(int(first) - EARLIER_MONTHS, table)


def _walk(draws: np.random.Generator, begin: Floats, months: int) -> Floats:
    """[month, currency]: the logarithm of each rate's distance from the usual one."""
    drift, drifts = begin, []
    for step in draws.normal(0, _SPREAD, (len(CURRENCIES), months)).T:
        drift = _PULL * drift + step
        drifts.append(drift)
    return np.array(drifts)


def rate_table(rates: Rates) -> Iterator[Chunk]:
    """The table `exchange_rates`."""
    months = np.arange(rates.first_month, rates.first_month + rates.table.shape[1])
    columns: Columns = {
        "currency": texts(CURRENCIES, np.repeat(np.arange(len(CURRENCIES)), len(months))),
        "month": dates(month_start(np.tile(months, len(CURRENCIES)))),
        "rate_to_eur": rates.table.ravel(),
    }
    yield from split("exchange_rates", columns)
