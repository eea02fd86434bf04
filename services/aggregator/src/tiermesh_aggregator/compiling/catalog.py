"""The pack's tables as SQLAlchemy sees them, and the types of their columns."""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from tiermesh_pack.schema import Column, Schema

from tiermesh_aggregator.query import ColumnKind

kinds: Mapping[str, ColumnKind] = {
    "text": "text",
    "integer": "integer",
    "decimal": "decimal",
    "date": "date",
    "timestamp": "timestamp",
    "time": "text",
    "boolean": "boolean",
}


sql_kinds: Mapping[ColumnKind, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(),
    "integer": sa.BigInteger(),
    "decimal": sa.Numeric(38, 6),
    "double": sa.Double(),
    "date": sa.Date(),
    "timestamp": sa.TIMESTAMP(),
    "boolean": sa.Boolean(),
}


class Catalog:
    """Tables by name. Built once, from `schema.yaml`; the database is not asked."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.metadata = sa.MetaData()
        self._kinds: dict[str, Mapping[str, ColumnKind]] = {}
        for table in schema.tables.values():
            columns = [
                sa.Column(
                    column.name,
                    sql_type(column),
                    primary_key=column.name in table.primary_key,
                    nullable=column.nullable,
                )
                for column in table.columns
            ]
            sa.Table(table.name, self.metadata, *columns)

    def add(self, name: str, columns: Mapping[str, ColumnKind]) -> None:
        """A table that the schema does not have: the result of a statement, kept."""
        self._kinds[name] = columns
        sa.Table(name, self.metadata, *(sa.Column(column, sql_kinds[kind]) for column, kind in columns.items()))

    def table(self, name: str) -> sa.Table:
        """The table of that name; the pack's checks have made sure that it exists."""
        return self.metadata.tables[name]

    def kind(self, table: str, column: str) -> ColumnKind:
        """What the values of a column are."""
        if table in self._kinds:
            return self._kinds[table][column]
        found = self.schema.column(f"{table}.{column}")
        return kinds[found.kind] if found else "text"


def sql_type(column: Column) -> sa.types.TypeEngine[Any]:
    """The SQL type of a column as the schema writes it."""
    decimal = re.fullmatch(r"decimal\((\d+),(\d+)\)", column.type)
    if decimal:
        return sa.Numeric(int(decimal[1]), int(decimal[2]))
    types: Mapping[str, sa.types.TypeEngine[Any]] = {
        "text": sa.Text(),
        "integer": sa.Integer(),
        "date": sa.Date(),
        "timestamp": sa.TIMESTAMP(),
        "time": sa.Time(),
        "boolean": sa.Boolean(),
    }
    return types[column.type]
