"""What tokens cost. Prices are data (`config/prices.yaml`), each with its date."""

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from tiermesh_executor.configuration import read_yaml
from tiermesh_executor.models.events import Usage

Dollars = Annotated[Decimal, Field(gt=0)]


class LongPrompt(BaseModel):
    """The prices of a call whose prompt is longer than `over_tokens`, cached tokens included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    over_tokens: int = Field(gt=0)
    input: Dollars
    output: Dollars


class Price(BaseModel):
    """US dollars per million tokens, which is micro-dollars per token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Dollars
    output: Dollars
    long_prompt: LongPrompt | None = None
    # Multiples of the input price.
    cache_write_5m: Dollars = Decimal("1.25")
    cache_write_1h: Dollars = Decimal(2)
    cache_read: Dollars = Decimal("0.1")
    # Day from which it holds.
    date: date

    def cost(self, usage: Usage) -> Decimal:
        """In micro-dollars, not rounded."""
        prompt = (
            usage.input
            + usage.cache_write_5m * self.cache_write_5m
            + usage.cache_write_1h * self.cache_write_1h
            + usage.cache_read * self.cache_read
        )
        tokens = usage.input + usage.cache_write_5m + usage.cache_write_1h + usage.cache_read
        rates = self.long_prompt if self.long_prompt is not None and tokens > self.long_prompt.over_tokens else self
        return prompt * rates.input + usage.output * rates.output


class Cost(NamedTuple):
    """What a call cost; `version` is the price's date, empty when no price is known."""

    micros: int
    version: str
    at_least: bool


class PriceList(BaseModel):
    """Prices by model as the provider names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: Mapping[str, Price] = Field(min_length=1)

    def knows(self, model: str) -> bool:
        """Whether its price is in the list, also under a dated name such as "claude-x-20261001"."""
        return self._price(model) is not None

    def cost(self, model: str, usage: Usage, *, complete: bool) -> Cost:
        """`complete` is False for a call that ended before the provider had reported all of it.

        A model without a price is booked at the lowest price known, as "at least": never as nothing.
        """
        price = self._price(model)
        if price is not None:
            return Cost(_rounded(price.cost(usage)), price.date.isoformat(), not complete)
        return Cost(max(1, min(_rounded(known.cost(usage)) for known in self.models.values())), "", True)

    def _price(self, model: str) -> Price | None:
        if model in self.models:
            return self.models[model]
        stem, _, day = model.rpartition("-")
        return self.models.get(stem) if len(day) == 8 and day.isdigit() else None


def _rounded(micros: Decimal) -> int:
    return int(micros.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def load_prices(path: Path) -> PriceList:
    """Raises ConfigurationError with every problem."""
    return read_yaml(path, PriceList)
