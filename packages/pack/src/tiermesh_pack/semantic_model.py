"""The parts of a semantic model, as frozen data. `semantic` is the door; `semantic_loading` reads them from YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

grains: tuple[str, ...] = ("day", "week", "month", "quarter", "year", "fiscal_quarter", "fiscal_year")
"""Calendar grains, finest first. Each is a dimension of every domain."""

aggregations: tuple[str, ...] = ("none", "count", "sum", "average", "rank", "compare", "trend", "outliers")
"""What may be computed; "none" is a bulk list."""

DimensionKind = Literal["category", "person", "department", "boolean", "number", "date", "time", "band"]
Compute = Literal["sum", "count", "count_distinct", "average", "min", "max", "percentile", "ratio"]
TimeKind = Literal["point", "overlap", "snapshot", "effective", "yearly"]
Operator = Literal["in", "not_in", "at_least", "at_most", "is_null", "equals_column"]


@dataclass(frozen=True)
class Visibility:
    """Who sees the records of whom. People always see their own records."""

    name: str
    reports: bool
    """Managers see their reports at any depth."""
    department: bool
    """Heads see the people of the departments that they head, colleagues see their own department."""
    everyone: bool
    """Anyone sees everybody."""
    roles: frozenset[str]
    """Roles that see everybody."""
    aggregates: Literal["none", "department", "company"]
    """Population that may also be summed up beyond the visible people, in groups that are large enough."""
    minimum_group: int
    """Fewest people that a group beyond the visible ones must hold; smaller groups are suppressed."""


@dataclass(frozen=True)
class Currencies:
    """Dated exchange rates, and the currencies that figures may be asked for in.

    A row says how many units of `base` one unit of its currency is worth from its day until the currency's next row.
    """

    base: str
    """ISO 4217; worth one of itself on every day, also without a row."""
    reporting: tuple[str, ...]
    """Currencies that a question may ask for; the base is one of them."""
    table: str
    currency: str
    date: str
    rate: str
    max_age_days: int
    """A rate that is older on the day it is needed is none; 0 for no bound."""


@dataclass(frozen=True)
class Money:
    """Amounts in the currency that each record names."""

    column: str
    """Column ("currency" or "join.currency") with the ISO 4217 code."""
    date: str
    """Column with the day whose rate holds; empty for the day on which the measure's time looks at the record."""


@dataclass(frozen=True)
class Join:
    """A many-to-one join: `on` maps columns of the base to the whole primary key of `table`, so rows never multiply."""

    table: str
    on: Mapping[str, str]
    """Column of the base (or "join.column") to column of `table`."""


@dataclass(frozen=True)
class TimeColumn:
    """How the records of an entity lie in time.

    point: `start` is the day. overlap: [start, end], both included, counted in every period that they touch.
    snapshot: valid in [start, end], both included, looked at on the period's last day. An empty `end` is open.
    effective: valid from `start` until the next row of the same `per`. yearly: `start` holds a calendar year.
    """

    kind: TimeKind
    start: str
    end: str = ""
    per: tuple[str, ...] = ()
    label: str = ""
    """What the period bounds, for captions, such as "by the day of applying"."""


@dataclass(frozen=True)
class Condition:
    """One condition on a column ("column" of the entity's table or "join.column")."""

    column: str
    operator: Operator
    values: tuple[str | int | float | bool, ...] = ()
    """Literals; for `equals_column` the other column."""


@dataclass(frozen=True)
class OutlierRules:
    """What stands out among an entity's records."""

    value: str
    """Column that is judged."""
    unit: str
    within: tuple[str, ...]
    """Dimensions that make a group: a record is compared with its own kind."""
    limit: str
    """Column that holds the limit ("join.column"), or a number; empty when there is none."""
    duplicates: tuple[str, ...]
    """Columns that make two records the same."""
    view: str
    """List whose columns are shown."""


@dataclass(frozen=True)
class Entity:
    """One kind of record: its table, key, the person it is about, how it lies in time, what can be reached from it."""

    name: str
    label: str
    table: str
    key: tuple[str, ...]
    person: str
    """Column with the person whose record it is; empty when the records are public."""
    person_match: tuple[str, str]
    """(column, person dimension) for public records that still concern people, such as holidays by country."""
    joins: Mapping[str, Join]
    times: Mapping[str, TimeColumn]
    default_time: str
    """Empty when the records do not lie in time."""
    dimensions: Mapping[str, str]
    """Name of a dimension to the column that it is grouped and filtered by."""
    shows: Mapping[str, str]
    """Name of a dimension to the column with words for people; absent when the column itself reads well."""
    visibility: str
    outliers: OutlierRules | None


@dataclass(frozen=True)
class Measure:
    """A figure. A ratio divides two other measures, each computed at its own grain."""

    name: str
    label: str
    description: str
    entity: str
    """Empty for a ratio."""
    compute: Compute
    column: str
    """What is computed over: a column, "a - b" (days between), "a * b" or "years_since(a)"; empty for a count of
    records and for a ratio."""
    conditions: tuple[Condition, ...]
    time: str
    """Time column of the entity that a period bounds."""
    unit: str
    currency: str
    """ISO 4217 of amounts that are all kept in one currency; empty when it is no money, or converted."""
    money: Money | None
    """How amounts in several currencies are converted to the one that is asked for; None when they are not."""
    synonyms: tuple[str, ...]
    visibility: str
    """Name of a visibility; empty takes the entity's."""
    percentile: float
    numerator: str
    denominator: str
    """Measure of the same domain, or "domain.measure"."""
    scale: float
    """A ratio is multiplied by it: 100 for a percentage."""
    average_as: str
    """Measure that "average" asks for instead of this one; empty when it is an average itself."""
    decimals: int
    """Digits shown after the point."""
    higher_is: Literal["more", "better", "worse"]
    """How people word the ends: most, best or worst."""
    rank_by: tuple[str, ...]
    """Dimensions that a ranking means when none is named; empty takes the domain's."""

    @property
    def additive(self) -> bool:
        """Whether nothing recorded means zero."""
        return self.compute in ("sum", "count", "count_distinct")


@dataclass(frozen=True)
class Dimension:
    """Something to group, filter or order by."""

    name: str
    label: str
    kind: DimensionKind
    description: str = ""
    synonyms: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Closed set of values as people say them, each with its synonyms; empty when open."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """Value as people say it ("Germany") to the one that is stored ("DE"), where the two differ."""
    bands: tuple[float, ...] = ()
    """Lower edges of a band after the first, ascending; "years since" when the column is a date."""
    identifying: bool = False
    """Whether its groups may be single people; such groups never go beyond the visible people."""


@dataclass(frozen=True)
class ListView:
    """A bulk list: records as they stand, bounded and ordered."""

    name: str
    label: str
    description: str
    entity: str
    columns: tuple[str, ...]
    """Dimensions ("employee", "leave_type") or columns ("days", "type.name") in order."""
    labels: Mapping[str, str]
    units: Mapping[str, str]
    conditions: tuple[Condition, ...]
    time: str
    order: tuple[str, ...]
    """Columns; a leading "-" is descending."""
    intents: tuple[str, ...]
    synonyms: tuple[str, ...]
    visibility: str
    default_period: str


@dataclass(frozen=True)
class Lookup:
    """A tool of tier 1: the records of one person, as a list shows them."""

    name: str
    description: str
    view: str
    subject: str
    """Dimension that the argument `employee` selects: "employee", or "manager" for the people under one."""
    filters: tuple[str, ...]
    """Dimensions that the tool takes as further arguments."""
    period: str
    """Period when none is given: "all" or one of the relative periods, such as "this_year"."""
    intents: tuple[str, ...]
    limit: int


@dataclass(frozen=True)
class PrecomputedView:
    """Sums and counts of one entity, computed ahead per person, step of the calendar and some dimensions.

    It holds no scope and no total: who may see whom, and every coarser question, is still answered when it is asked.
    """

    name: str
    label: str
    domain: str
    entity: str
    time: str
    grain: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    max_age_hours: float
    """Older than this it is not used, unless a question says that it may."""


@dataclass(frozen=True)
class Domain:
    """Everything that can be asked of one area, such as leave."""

    name: str
    label: str
    description: str
    synonyms: tuple[str, ...]
    intents: tuple[str, ...]
    default_period: str
    entities: Mapping[str, Entity]
    measures: Mapping[str, Measure]
    dimensions: Mapping[str, Dimension]
    """The domain's own, those of people, and the calendar grains."""
    lists: Mapping[str, ListView]
    lookups: Mapping[str, Lookup]
    views: Mapping[str, PrecomputedView]
    defaults: Mapping[str, Mapping[str, str]]
    """Intent ("*" for any) to aggregation ("*" for any) to the measure (or list, for "none") that is meant."""
    default_group_by: Mapping[str, tuple[str, ...]]
    """Aggregation to the dimensions meant when none is named."""
    tool: str
    """Name of the domain's bulk tool."""
    tool_description: str

    def default_measure(self, intent: str, aggregation: str) -> str:
        """The measure that a question of this intent and aggregation means when it names none; empty when unknown."""
        for rows in (self.defaults.get(intent, {}), self.defaults.get("*", {})):
            found = rows.get(aggregation) or (rows.get("*") if aggregation != "none" else None)
            if found:
                return found
        return ""

    def default_list(self, intent: str) -> str:
        """The list that a question of this intent means when nothing is computed; empty when the domain has none."""
        named = self.defaults.get(intent, {}).get("none")
        if named:
            return named
        fitting = (view.name for view in self.lists.values() if intent in view.intents)
        return next(fitting, next(iter(self.lists), ""))


@dataclass(frozen=True)
class ReportingLines:
    """The closure of the manager tree: one row per manager, report and depth; nobody reports to themselves."""

    table: str
    manager: str
    report: str
    depth: str


@dataclass(frozen=True)
class PersonModel:
    """The people of the pack: what records are about, who reports to whom, and what can be said of a person."""

    table: str
    key: str
    name: str
    department: str
    """Column with the person's department."""
    departments: tuple[str, str, str, str]
    """Table, key, name and head of departments; the last is empty when there are no heads."""
    employed: tuple[str, str]
    """Columns of the first day and the day of leaving (null while employed)."""
    lines: ReportingLines
    joins: Mapping[str, Join]
    dimensions: Mapping[str, Dimension]
    columns: Mapping[str, str]
    shows: Mapping[str, str]


@dataclass(frozen=True)
class SemanticModel:
    """The whole model. Every name in it has been checked against the schema."""

    person: PersonModel | None
    """None only while problems are being collected."""
    visibility: Mapping[str, Visibility]
    domains: Mapping[str, Domain]
    currencies: Currencies | None = None
    """None when no measure is converted."""

    @property
    def views(self) -> Mapping[str, PrecomputedView]:
        """All precomputed views by name; names are unique in the model."""
        return {name: view for domain in self.domains.values() for name, view in domain.views.items()}

    def domain_of(self, intent: str) -> Domain | None:
        """The domain that answers questions of this intent, or None."""
        return next((domain for domain in self.domains.values() if intent in domain.intents), None)

    def measure(self, reference: str, domain: str) -> Measure | None:
        """The measure called "name" in `domain`, or "other_domain.name"."""
        owner, _, name = reference.rpartition(".")
        found = self.domains.get(owner or domain)
        return found.measures.get(name) if found else None

    def converted(self, measure: Measure, domain: str) -> bool:
        """Whether the figure is money in the currency that is asked for; a ratio is when what it divides is."""
        if measure.compute != "ratio":
            return measure.money is not None
        halves = [self.measure(name, domain) for name in (measure.numerator, measure.denominator)]
        above, below = (half is not None and half.money is not None for half in halves)
        return above and not below

    def entity(self, name: str) -> Entity | None:
        """The entity of that name; names are unique in the model."""
        return next((domain.entities[name] for domain in self.domains.values() if name in domain.entities), None)
