"""A bulk question in the words of the semantic model, and the answer's rows. Knows no SQL and no wire format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal

Cell = str | int | float | bool | None
"""A value as it is shown: decimals, days and instants are text."""

ColumnKind = Literal["text", "integer", "decimal", "double", "boolean", "date", "timestamp"]


class Aggregation(StrEnum):
    """What is computed over the records."""

    LIST = "list"
    COUNT = "count"
    SUM = "sum"
    AVERAGE = "average"
    RANK = "rank"
    COMPARE = "compare"
    TREND = "trend"
    OUTLIERS = "outliers"

    @property
    def in_model(self) -> str:
        """The semantic model's word for it."""
        return "none" if self is Aggregation.LIST else self.value


class Population(StrEnum):
    """Whose records, within what the viewer may see."""

    VISIBLE = "visible"
    SELF = "self"
    DIRECT_REPORTS = "direct_reports"
    ALL_REPORTS = "all_reports"
    DEPARTMENT = "department"
    COMPANY = "company"


@dataclass(frozen=True)
class Period:
    """A half-open period of days; None is unbounded."""

    start: date | None = None
    end: date | None = None

    def last_day(self, today: date) -> date:
        """The day on which states are looked at: the period's last, or today while the period still runs."""
        if self.end is None:
            return today
        last = self.end - timedelta(days=1)
        return today if last > today and (self.start is None or self.start <= today) else last

    def __str__(self) -> str:
        if self.start is None and self.end is None:
            return "all time"
        if self.end is None:
            return f"from {self.start}"
        last = self.end - timedelta(days=1)
        if self.start is None:
            return f"until {last}"
        return f"{self.start}" if self.start == last else f"{self.start} to {last}"


@dataclass(frozen=True)
class Filter:
    """A condition on a dimension; all filters hold together."""

    field: str
    operator: Literal["in", "not_in", "at_least", "at_most"]
    values: tuple[str, ...]


@dataclass(frozen=True)
class Ordering:
    """A selected measure or dimension and its direction."""

    field: str
    descending: bool = False


@dataclass(frozen=True)
class Side:
    """One side of a comparison: what is set here replaces what the query says."""

    label: str = ""
    named: str = ""
    """A person or department as worded; which of the two is found out with the name."""
    period: Period | None = None
    people: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    population: Population | None = None
    teams: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutlierRule:
    """What makes a record stand out; exactly one holds."""

    deviations: float | None = None
    over_limit: bool = False
    duplicates: bool = False


@dataclass(frozen=True)
class Query:
    """One bulk question. `people` and `departments` are names until they are resolved, keys afterwards."""

    domain: str
    aggregation: Aggregation
    measures: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    period: Period | None = None
    order_by: tuple[Ordering, ...] = ()
    limit: int | None = None
    population: Population = Population.VISIBLE
    people: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    """People, departments or places as worded, where the question does not say which."""
    sides: tuple[Side, ...] = ()
    outliers: OutlierRule | None = None
    teams: tuple[str, ...] = ()
    """People whose reports at any depth are meant."""
    currency: str = ""
    """ISO 4217 code that money is wanted in; empty for the tenant's."""


@dataclass(frozen=True)
class Viewer:
    """Who asks: the only source of row scope."""

    person: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Moment:
    """When the question is asked, in the asker's calendar."""

    today: date
    fiscal_year_start: int = 1
    week_start: str = "monday"
    currency: str = ""
    """The tenant's currency; empty takes the model's."""


@dataclass(frozen=True)
class ResultColumn:
    """One column of an answer."""

    name: str
    label: str
    kind: ColumnKind
    unit: str = ""
    currency: str = ""
    measure: bool = False
    decimals: int = 2


@dataclass(frozen=True)
class ResultTable:
    """Rows with what a reader must know about them."""

    columns: Sequence[ResultColumn]
    rows: Sequence[Sequence[Cell]]
    caption: str
    notes: tuple[str, ...] = ()
    truncated: bool = False
    fingerprint: str = ""
    statements: int = 1
    suppressed_groups: int = 0
    view: str = ""
    """The precomputed view that answered; empty when the tables did."""
    as_of: datetime | None = None
    """When the view was computed; None for now."""
    rates_as_of: date | None = None
    """Day of the newest exchange rate that was used; None when nothing was converted."""
    database_seconds: float = 0.0


@dataclass(frozen=True)
class Answer:
    """A result, and the query as it was understood."""

    table: ResultTable
    resolved: Query
    labels: Mapping[str, str]
    """Keys of people and departments to the names that were meant."""
