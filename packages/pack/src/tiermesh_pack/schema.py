"""The tables that a pack's data lives in, as `schema.yaml` describes them. Makes no SQL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiermesh_pack.documents import Document, Problems, check_schema, load_document, suggestion


@dataclass(frozen=True)
class Column:
    """One column. `type` is as written: text, integer, decimal(12,2), date, timestamp, time or boolean."""

    name: str
    type: str
    nullable: bool = False
    references: str = ""
    """ "table.column" that a value must exist in; empty when free."""
    values: tuple[str, ...] = ()
    """The closed set of values; empty when open."""
    description: str = ""

    @property
    def kind(self) -> str:
        """The type without its precision: "decimal" for "decimal(12,2)"."""
        return self.type.partition("(")[0]


@dataclass(frozen=True)
class Table:
    """One table with its columns in order."""

    name: str
    description: str
    primary_key: tuple[str, ...]
    columns: tuple[Column, ...]
    indexes: tuple[tuple[str, ...], ...] = ()

    def column(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class Schema:
    """All tables by name, in the order in which they can be created (referenced tables first is the author's duty)."""

    tables: Mapping[str, Table]

    def column(self, reference: str) -> Column | None:
        """The column of a "table.column" reference, or None."""
        table, _, name = reference.partition(".")
        return self.tables[table].column(name) if table in self.tables else None


def load_schema(path: Path, problems: Problems) -> Schema:
    """Reads `schema.yaml`. With problems the schema holds what could be understood, so that later checks go on."""
    document = load_document(path, problems)
    if document is None or not check_schema(document, "schema", problems):
        return Schema(tables={})
    tables: dict[str, Table] = {}
    for index, entry in enumerate(document.data["tables"]):
        table = _table(entry)
        if table.name in tables:
            line = document.line("tables", index, "name")
            problems.add(path, line, f'table "{table.name}" is defined twice', "rename or remove one")
        tables[table.name] = table
        _check_table(document, index, table, problems)
    schema = Schema(tables=tables)
    _check_references(document, schema, problems)
    return schema


def _table(entry: Mapping[str, Any]) -> Table:
    return Table(
        name=entry["name"],
        description=entry.get("description", ""),
        primary_key=tuple(entry["primary_key"]),
        columns=tuple(_column(column) for column in entry["columns"]),
        indexes=tuple(tuple(index) for index in entry.get("indexes", ())),
    )


def _column(entry: Mapping[str, Any]) -> Column:
    return Column(
        name=entry["name"],
        type=re.sub(r"\s+", "", entry["type"]),
        nullable=entry.get("nullable", False),
        references=entry.get("references", ""),
        values=tuple(str(value) for value in entry.get("values", ())),
        description=entry.get("description", ""),
    )


def _check_table(document: Document, index: int, table: Table, problems: Problems) -> None:
    """Columns are unique; keys and indexes name columns that exist."""
    names = [column.name for column in table.columns]
    for position, name in enumerate(names):
        if name in names[:position]:
            line = document.line("tables", index, "columns", position, "name")
            problems.add(document.path, line, f'column "{table.name}.{name}" is defined twice', "remove one")
    for place, columns in (("primary_key", [table.primary_key]), ("indexes", list(table.indexes))):
        for name in (name for group in columns for name in group if name not in names):
            line = document.line("tables", index, place)
            problems.add(
                document.path, line, f'{place} names "{name}", no column of "{table.name}"', suggestion(name, names)
            )


def _check_references(document: Document, schema: Schema, problems: Problems) -> None:
    for index, entry in enumerate(document.data["tables"]):
        for position, column in enumerate(entry["columns"]):
            target = column.get("references", "")
            if target and schema.column(target) is None:
                known = [f"{table.name}.{key}" for table in schema.tables.values() for key in table.primary_key]
                line = document.line("tables", index, "columns", position, "references")
                problems.add(document.path, line, f'"{target}" is no column of this schema', suggestion(target, known))
