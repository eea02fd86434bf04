"""Amounts in other currencies by the generator's rate table: what the service's own conversion is held against."""

import bisect
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd
from tiermesh_pack.semantic import SemanticModel


class NoRateError(Exception):
    """An amount that has no exchange rate: there is no answer, and the service must say so."""


class Rates:
    """The rate table, looked up one amount at a time."""

    def __init__(self, model: SemanticModel, frames: dict[str, pd.DataFrame]) -> None:
        assert model.currencies is not None
        table = model.currencies
        self._base = table.base
        self._days: dict[str, list[date]] = {}
        self._rates: dict[str, list[Decimal]] = {}
        for row in frames[table.table].sort_values(table.date).to_dict("records"):
            self._days.setdefault(row[table.currency], []).append(row[table.date].date())
            self._rates.setdefault(row[table.currency], []).append(Decimal(str(row[table.rate])))

    def _rate(self, currency: str, day: date) -> Decimal:
        if currency == self._base:
            return Decimal(1)
        place = bisect.bisect_right(self._days.get(currency, []), day)
        if place == 0:
            raise NoRateError(currency, day)
        return self._rates[currency][place - 1]

    def convert(self, amount: float, currency: str, day: date, wanted: str) -> Decimal:
        value = Decimal(str(amount))
        if currency == wanted:
            return value
        value *= self._rate(currency, day)
        if wanted != self._base:
            value = round(Decimal(float(value) / float(self._rate(wanted, day))), 6)
        return value.quantize(Decimal("0.01"), ROUND_HALF_UP)
