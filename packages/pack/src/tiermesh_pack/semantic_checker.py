"""Looks the names of a semantic model up and reports what does not exist. Which names: `semantic_checks`."""

from collections.abc import Iterable, Mapping

from tiermesh_pack.documents import Document, Key, Problems, suggestion
from tiermesh_pack.schema import Column, Schema
from tiermesh_pack.semantic_model import Join


class Checker:
    """Looks names up and reports what does not exist, with the nearest that does."""

    def __init__(self, document: Document, schema: Schema, problems: Problems) -> None:
        self._document = document
        self._schema = schema
        self._problems = problems

    def report(self, where: tuple[Key, ...], what: str, mend: str) -> None:
        self._problems.add(self._document.path, self._document.line(*where), what, mend)

    def known(self, where: tuple[Key, ...], name: str, known: Iterable[str], noun: str) -> bool:
        names = list(known)
        if name in names:
            return True
        self.report(where, f'"{name}" is no {noun}', suggestion(name, names))
        return False

    def table(self, where: tuple[Key, ...], name: str) -> bool:
        return self.known(where, name, self._schema.tables, "table of the schema")

    def column(self, where: tuple[Key, ...], reference: str, table: str, joins: Mapping[str, Join]) -> Column | None:
        """Checks "column" or "join.column" as seen from `table`; None when it does not exist."""
        owner, _, name = reference.rpartition(".")
        if owner and not self.known(where, owner, joins, f'join (in "{reference}")'):
            return None
        source = joins[owner].table if owner else table
        if source not in self._schema.tables:
            return None
        names = [column.name for column in self._schema.tables[source].columns]
        if not self.known(where, name, names, f'column of the table "{source}"'):
            return None
        return self._schema.tables[source].column(name)

    def joins(self, where: tuple[Key, ...], table: str, joins: Mapping[str, Join]) -> None:
        """A join leads to the whole primary key, so that it can never multiply rows."""
        for name, join in joins.items():
            here = (*where, name)
            if not self.table((*here, "table"), join.table):
                continue
            for source in join.on:
                self.column((*here, "on", source), source, table, joins)
            key = self._schema.tables[join.table].primary_key
            if set(join.on.values()) != set(key):
                what = f'the join "{name}" does not name the whole key of "{join.table}", so rows could multiply'
                self.report((*here, "on"), what, "join on " + ", ".join(key))
