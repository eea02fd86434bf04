"""One entity in a FROM clause: its table, the joins that columns ask for, and expressions over them.

Joins are many-to-one only (the pack's checks hold that), so adding one never multiplies rows.
"""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from tiermesh_pack.semantic import Entity, Join, PersonModel, SemanticModel

from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.compiling.portable import days_between
from tiermesh_aggregator.query import ColumnKind, Moment

Expression = sa.ColumnElement[Any]


def raw(sql: str) -> Expression:
    """SQL that the compiler itself writes: numbers and names, never a value of a question."""
    return sa.literal_column(sql)


valid_until = "valid_until"
"""Name of the computed column that ends a row of an effective time."""


class Source:
    """Collects what a select needs of one entity; `from_clause` is complete when all columns have been asked for."""

    def __init__(
        self, catalog: Catalog, model: SemanticModel, entity: Entity, moment: Moment, *, effective: str = ""
    ) -> None:
        """`effective` names a time of kind "effective" whose rows get the day on which the next one begins."""
        if model.person is None:
            raise ValueError("a model without people has not been checked")
        self.entity = entity
        self.person_model: PersonModel = model.person
        self._catalog = catalog
        self._moment = moment
        self.base = self._base(effective)
        self._joined: dict[str, sa.FromClause] = {}
        self._from: sa.FromClause = self.base

    def _base(self, effective: str) -> sa.FromClause:
        table = self._catalog.table(self.entity.table)
        if not effective:
            return table.alias("r")
        time = self.entity.times[effective]
        following = sa.func.lead(table.c[time.start]).over(
            partition_by=[table.c[name] for name in time.per], order_by=table.c[time.start]
        )
        return sa.select(table, following.label(valid_until)).subquery("r")

    @property
    def from_clause(self) -> sa.FromClause:
        """The table with all joins that were needed so far."""
        return self._from

    @property
    def has_person(self) -> bool:
        """Whether the records are about people."""
        return bool(self.entity.person)

    @property
    def person(self) -> Expression:
        """The person whose record it is."""
        return self.base.c[self.entity.person]

    def column(self, reference: str) -> Expression:
        """A column of the table ("days") or of a join ("type.name")."""
        owner, _, name = reference.rpartition(".")
        if not owner:
            return self.base.c[name]
        return self._join(f"{owner}", self.entity.joins, self.base).c[name]

    def person_column(self, reference: str) -> Expression:
        """A column of the person's own record ("grade") or of a join of it ("department.name")."""
        owner, _, name = reference.rpartition(".")
        person = self._person_table()
        if not owner:
            return person.c[name]
        return self._join(f"person.{owner}", {f"person.{owner}": self.person_model.joins[owner]}, person).c[name]

    def _person_table(self) -> sa.FromClause:
        if self.entity.table == self.person_model.table and self.entity.person == self.person_model.key:
            return self.base
        if "person" not in self._joined:
            people = self._catalog.table(self.person_model.table).alias("p")
            self._joined["person"] = people
            self._from = self._from.join(people, people.c[self.person_model.key] == self.person)
        return self._joined["person"]

    def _join(self, name: str, joins: Mapping[str, Join], base: sa.FromClause) -> sa.FromClause:
        if name not in self._joined:
            join = joins[name]
            target = self._catalog.table(join.table).alias(f"j_{name.replace('.', '_')}")
            sides = [
                (self.column(source) if "." in source else base.c[source]) == target.c[key]
                for source, key in join.on.items()
            ]
            self._joined[name] = target
            self._from = self._from.outerjoin(target, sa.and_(*sides))
        return self._joined[name]

    def value(self, expression: str) -> Expression:
        """What a measure computes over: "a", "a - b" (days), "a * b" or "years_since(a)"."""
        years = re.fullmatch(r"years_since\((.+)\)", expression)
        if years:
            day = sa.literal(self._moment.today, sa.Date)
            return sa.cast(days_between(day, self.column(years[1])), sa.Double) / raw("365.25")
        parts = re.split(r" ([-*]) ", expression)
        if len(parts) == 1:
            return self.column(expression)
        left, operator, right = self.column(parts[0]), parts[1], self.column(parts[2])
        return days_between(left, right) if operator == "-" else left * right

    def value_kind(self, expression: str) -> ColumnKind:
        """What such values are."""
        if expression.startswith("years_since"):
            return "double"
        parts = re.split(r" [-*] ", expression)
        if len(parts) > 1:
            return "decimal" if " * " in expression else "integer"
        return self.kind(expression)

    def kind(self, reference: str) -> ColumnKind:
        """What the values of a column are."""
        owner, _, name = reference.rpartition(".")
        return self._catalog.kind(self.entity.joins[owner].table if owner else self.entity.table, name)

    def reaches(self, dimension: str) -> bool:
        """Whether the records can be told apart by a dimension (calendar grains aside)."""
        return dimension in self.entity.dimensions or (self.has_person and dimension in self.person_model.dimensions)

    def dimension(self, name: str) -> Expression:
        """The column that a dimension groups and filters by."""
        if name in self.entity.dimensions:
            return self.column(self.entity.dimensions[name])
        return self.person_column(self.person_model.columns[name])

    def shown(self, name: str) -> Expression | None:
        """The column with the dimension's words for people, or None when its own column reads well."""
        if name in self.entity.dimensions:
            return self.column(self.entity.shows[name]) if name in self.entity.shows else None
        return self.person_column(self.person_model.shows[name]) if name in self.person_model.shows else None

    def dimension_kind(self, name: str) -> ColumnKind:
        """What a dimension's values are."""
        if name in self.entity.dimensions:
            return self.kind(self.entity.dimensions[name])
        owner, _, column = self.person_model.columns[name].rpartition(".")
        table = self.person_model.joins[owner].table if owner else self.person_model.table
        return self._catalog.kind(table, column)
